# SPDX-License-Identifier: GPL-3.0-or-later
"""What every QEMU of the lab has in common: how it is found, what it runs on, how it is ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from lab import ssh
from lab.common import LabError, poll

KERNEL = "root=/dev/vda rw quiet console=ttyS0 panic=5 fsck.mode=skip mitigations=off audit=0 net.ifnames=0"


class Ended(Exception):
    """A machine ended while it booted: a port was taken meanwhile, or the emulated machine reset itself."""


def process(name: str) -> int | None:
    """Found by the name on its command line: a file with its number could outlive it, or never be written."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if b"qemu-system" in words[0] and name.encode() in words:
                return int(entry.parent.name)
    return None


def command(name: str, image: Path, cores: int, memory: int, console: Path) -> list[str]:
    """A machine without disks beyond its root, whose changes last as long as QEMU, and without cards."""
    if not shutil.which("qemu-system-x86_64"):
        raise LabError("qemu-system-x86_64 is missing: run 'python tests/lab prepare' first")
    accelerator = ["-accel", "kvm", "-cpu", "host"]
    if not has_kvm():
        accelerator = ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Haswell-noTSX"]
    return [
        *("qemu-system-x86_64", "-name", name, "-M", "q35", *accelerator),
        *("-smp", str(cores), "-m", str(memory)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-serial", f"file:{console}", "-device", "virtio-rng-pci"),
        *("-kernel", str(image.parent / "vmlinuz"), "-initrd", str(image.parent / "initrd.img")),
        *("-drive", f"if=virtio,file={image},format=raw,snapshot=on,cache=unsafe"),
    ]


def key_argument() -> str:
    """The checkout's public key on the kernel's command line: images are shared by all checkouts."""
    return f"lab.key={ssh.public_key().split()[1]}"


def start(words: list[str], where: Path, log: Path) -> int:
    with log.open("w") as written:
        started = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(where)},
        )
    # It has no command line to be found by until the kernel has read the program from the disk.
    said = Path(f"/proc/{started.pid}/cmdline")
    poll(f"the start of {words[0]}", 60, lambda: started.poll() is not None or said.read_bytes(), 0.1)
    return started.pid


def wait(name: str, where: Path, node: str, log: Path) -> None:
    """Until ssh to the node answers."""

    def up() -> bool:
        if process(name) is None:
            raise Ended(f"{node} stopped while booting:\n{log.read_text()[-2000:]}")
        return ssh.answers(where, node)

    poll(f"ssh to {node}", 900, up)


def end(name: str) -> None:
    """At once: its disk is thrown away anyway."""

    def ended() -> bool:
        pid = process(name)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid is None

    poll(f"the end of {name}", 60, ended, 0.1)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def has_kvm() -> bool:
    """The CPU's flags decide: a device node alone may belong to a host that cannot run an ordinary guest."""
    flags = re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return bool(flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)
