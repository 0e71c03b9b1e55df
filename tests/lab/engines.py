# SPDX-License-Identifier: GPL-3.0-or-later
"""The two machines that can run nodes: this one, or a small virtual one with Debian's stock kernel."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import images, ssh
from lab.common import LabError, as_root, checkout_id, is_root_possible, poll, run, say, state

SLOTS = 32  # nodes at a time; the virtual machine's forwarded ports are fixed when it starts
AGENT = Path(__file__).resolve().parent / "agent.py"


class Engine:
    """What scenario commands need of a machine that runs nodes."""

    name = ""

    def up(self) -> None:
        raise NotImplementedError

    def down(self) -> None:
        raise NotImplementedError

    def is_up(self) -> bool:
        raise NotImplementedError

    def generation(self) -> str:
        """Changes when the engine starts anew, and its nodes are gone."""
        raise NotImplementedError

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        """The management address of a node, and where its ssh answers from here."""
        raise NotImplementedError

    def mgmt(self) -> dict[str, Any]:
        raise NotImplementedError

    def images(self) -> dict[str, str]:
        raise NotImplementedError

    def shell(self) -> list[str]:
        """A command that runs a Python program from standard input as root on the engine."""
        raise NotImplementedError

    def ask(self, operation: str, **request: Any) -> list[Any]:
        """Send the agent one request and pass its progress on as it comes."""
        request = {
            "operation": operation,
            "checkout": checkout_id(),
            "mgmt": self.mgmt(),
            "images": self.images(),
            "key": ssh.public_key(),
            **request,
        }
        source = AGENT.read_text().split('\nif __name__ == "__main__":')[0]
        program = f"{source}\nsys.exit(main(json.loads({json.dumps(request)!r})))\n"
        process = subprocess.Popen(
            self.shell(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(program)
        process.stdin.close()
        answers, finished = [], False
        for line in process.stdout:
            kind, value = json.loads(line)
            if kind == "progress":
                say(value)
            elif kind == "error":
                raise LabError(value)
            elif kind == "done":
                finished = True
            else:
                answers.append(value)
        trouble = process.stderr.read()
        if process.wait() != 0 or not finished:
            raise LabError(f"the engine did not finish {operation!r}:\n{trouble[-4000:]}")
        return answers


class Local(Engine):
    """podman on this machine's own kernel."""

    name = "local"

    def up(self) -> None:
        images.ensure(images.RECIPES_OF["local"])
        run(as_root(["modprobe", "-a", "ip_vs", "bridge", "overlay"]), check=False)
        if not Path("/proc/net/ip_vs").exists():
            raise LabError("this machine's kernel has no IPVS (module ip_vs): use LAB_ENGINE=vm")

    def down(self) -> None:
        if shutil.which("podman") and is_root_possible():
            self.ask("clean", bridges=[])

    def is_up(self) -> bool:
        return True

    def generation(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text()

    def subnet(self) -> str:
        """One /24 of the benchmarking range for each checkout."""
        return f"198.18.{int(checkout_id()[:4], 16) % 250 + 1}"

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        address = f"{self.subnet()}.{11 + slot}"
        return address, (address, 22)

    def mgmt(self) -> dict[str, Any]:
        return {
            "bridge": f"lm{checkout_id()}",
            "subnet": f"{self.subnet()}.0/24",
            "gateway": f"{self.subnet()}.2",
            "dns": own_resolver(),
            "masquerade": True,
        }

    def images(self) -> dict[str, str]:
        return {recipe.name: str(recipe.image()) for recipe in (images.NODE, images.BARE)}

    def shell(self) -> list[str]:
        return as_root(["python3", "-"])


class VirtualMachine(Engine):
    """QEMU with Debian's stock kernel: needs neither root nor anything of this machine's kernel."""

    name = "vm"

    def directory(self) -> Path:
        return state() / "engine"

    def facts(self) -> dict[str, Any]:
        path = self.directory() / "vm.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def process(self) -> int | None:
        """Found by the name on its command line: a file with its number could outlive it, or never be written."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if b"qemu-system" in words[0] and f"lvs-lab-{checkout_id()}".encode() in words:
                    return int(entry.parent.name)
        return None

    def generation(self) -> str:
        return str(self.process())

    def keys(self) -> list[str]:
        return [recipe.key() for recipe in images.RECIPES_OF["vm"]]

    def is_up(self) -> bool:
        return bool(self.process() and self.facts())

    def up(self) -> None:
        images.ensure(images.RECIPES_OF["vm"])
        if self.is_up() and self.facts().get("images") == self.keys():
            self.wait()  # a run that was killed may have left it booting
            return
        if self.is_up():
            say("the engine runs from older images: starting it anew")
        self.down()
        for attempt in (1, 2, 3):
            self.start()
            try:
                self.wait()
                say("the engine is up")
                return
            except PortTaken:
                say(f"a port was taken by somebody else meanwhile; trying others ({attempt})")
        raise LabError(f"the engine does not start: see {self.directory()}/qemu.log")

    def start(self) -> None:
        if not shutil.which("qemu-system-x86_64"):
            raise LabError("qemu-system-x86_64 is missing: run 'python tests/lab prepare' first")
        where = self.directory()
        where.mkdir(parents=True, exist_ok=True)
        ports = free_ports(SLOTS + 1)
        ssh.write_config(where, {"engine": ("127.0.0.1", ports[0])})
        kvm = has_kvm()
        say(f"booting the engine ({'KVM' if kvm else 'software emulation'})")
        with (where / "qemu.log").open("w") as log:
            process = subprocess.Popen(
                self.command(ports, kvm),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(where)},
            )
        (where / "vm.json").write_text(json.dumps({"pid": process.pid, "ports": ports, "images": self.keys()}))

    def command(self, ports: list[int], kvm: bool) -> list[str]:
        key = ssh.public_key().split()[1]
        guests = ["198.18.0.10", *(f"198.18.0.{11 + slot}" for slot in range(SLOTS))]
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{port}-{guest}:22" for port, guest in zip(ports, guests))
        engine = images.ENGINE.directory()
        disks = [f"file={images.ENGINE.image()},format=raw,snapshot=on,cache=unsafe"]
        disks += [f"file={r.image()},format=raw,readonly=on,file.locking=off" for r in (images.NODE, images.BARE)]
        accelerator = ["-accel", "kvm", "-cpu", "host"]
        if not kvm:
            accelerator = ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Haswell-noTSX"]
        append = "root=/dev/vda rw quiet console=ttyS0 panic=5 fsck.mode=skip mitigations=off audit=0 net.ifnames=0"
        append += " rcupdate.rcu_expedited=1"  # without it every stop of a node waits seconds for each of its mounts
        return [
            *("qemu-system-x86_64", "-name", f"lvs-lab-{checkout_id()}", "-M", "q35", *accelerator),
            *("-smp", str(min(4, os.cpu_count() or 1)), "-m", str(memory())),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-serial", f"file:{self.directory()}/console.log", "-device", "virtio-rng-pci"),
            *("-kernel", str(engine / "vmlinuz"), "-initrd", str(engine / "initrd.img")),
            *("-append", f"{append} lab.key={key}"),
            *(word for disk in disks for word in ("-drive", f"if=virtio,{disk}")),
            *("-netdev", f"user,id=net,ipv6=off,net=198.18.0.0/24,host=198.18.0.2,dns=198.18.0.3,{forwards}"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
        ]

    def wait(self) -> None:
        def up() -> bool:
            if self.process() is None:
                log = (self.directory() / "qemu.log").read_text()
                if "Could not set up host forwarding" in log:
                    raise PortTaken
                raise LabError(f"the engine stopped while booting:\n{log[-2000:]}")
            return ssh.answers(self.directory(), "engine")

        poll("the engine's ssh", 300, up)

    def down(self) -> None:
        ssh.hang_up(self.directory())
        pid = self.process()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # its disk is thrown away anyway
            poll("the engine's end", 20, lambda: self.process() is None, 0.1)
        with contextlib.suppress(FileNotFoundError):
            (self.directory() / "vm.json").unlink()

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        return f"198.18.0.{11 + slot}", ("127.0.0.1", self.facts()["ports"][1 + slot])

    def mgmt(self) -> dict[str, Any]:
        return {
            "bridge": "lab-mgmt",
            "subnet": "198.18.0.0/24",
            "gateway": "198.18.0.2",
            "dns": "198.18.0.3",
            "masquerade": False,
        }

    def images(self) -> dict[str, str]:
        return {"node": "/dev/vdb", "bare": "/dev/vdc"}

    def shell(self) -> list[str]:
        return ["ssh", "-F", str(self.directory() / "ssh_config"), "engine", "python3", "-"]


class PortTaken(Exception):
    """Between looking for free ports and QEMU binding them somebody took one."""


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


def memory() -> int:
    """Megabytes for the virtual machine: six thousand, but never more than half of what there is."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    return max(1024, min(6144, total // 2))


def own_resolver() -> str:
    """A name server that nodes can reach, so not the stub on this machine's loopback."""
    for path in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(path).read_text().splitlines():
                if line.startswith("nameserver ") and not line.split()[1].startswith("127."):
                    return line.split()[1]
    return "198.18.0.1"


def has_local() -> str:
    """Why this machine cannot be the engine itself; empty when it can."""
    if not shutil.which("podman"):
        return "no podman here"
    if not is_root_possible():
        return "podman needs root here and sudo asks for a password"
    loaded = Path("/proc/net/ip_vs").exists() or Path("/sys/module/ip_vs").exists()
    if not loaded and run(as_root(["modprobe", "-n", "ip_vs"]), check=False).returncode != 0:
        return "this kernel has no ip_vs"
    return ""


def choose() -> tuple[Engine, str]:
    """The engine and why; LAB_ENGINE overrides."""
    wanted = os.environ.get("LAB_ENGINE", "")
    known: dict[str, Callable[[], Engine]] = {"local": Local, "vm": VirtualMachine}
    if wanted:
        if wanted not in known:
            raise LabError(f"LAB_ENGINE={wanted}: it is one of {', '.join(known)}")
        return known[wanted](), "LAB_ENGINE says so"
    obstacle = has_local()
    if obstacle:
        return VirtualMachine(), obstacle
    return Local(), "podman and ip_vs are here"
