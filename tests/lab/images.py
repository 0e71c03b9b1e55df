# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of nodes and the engine's disk: built once from Debian's packages, cached, shared by checkouts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lab.common import LabError, cache, locked, run, say

SUITE = "bookworm"
RECIPES = Path(__file__).resolve().parent / "recipes"
FORMAT = 1  # raise it when the way images are made changes without a recipe changing

GUEST = ("systemd-sysv", "dbus", "openssh-server", "iproute2", "ca-certificates", "python3")
TOOLS = ("iputils-ping", "iputils-arping", "curl", "kmod", "procps", "tcpdump", "socat", "netcat-openbsd")
DAEMONS = ("ipvsadm", "keepalived", "nginx-light", "nftables", "iptables", "conntrack", "heartbeat", "ldirectord")


@dataclass(frozen=True)
class Recipe:
    """What an image is made of; the key of the cache is a hash of all this."""

    name: str
    packages: tuple[str, ...]
    scripts: tuple[str, ...]
    size: str
    bootable: bool = False

    def key(self) -> str:
        made_of = {
            "format": FORMAT,
            "suite": SUITE,
            "recipe": [self.name, self.packages, self.size],
            "scripts": [(RECIPES / script).read_text() for script in self.scripts],
            "apt": apt_options(),
            "mirrors": mirrors(),
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]

    def directory(self) -> Path:
        return store() / f"{self.name}-{self.key()}"

    def image(self) -> Path:
        return self.directory() / "root.img"


NODE = Recipe(
    "node",
    (*GUEST, "python3-apt", "sudo", *TOOLS, *DAEMONS),
    ("ssh.sh", "guest.sh", "python.sh", "web.sh", "node.sh"),
    "2G",
)
BARE = Recipe("bare", (*GUEST, "sudo"), ("ssh.sh", "guest.sh", "python.sh"), "1G")
ENGINE = Recipe(
    "engine",
    (
        *GUEST,
        *("udev", "kmod", "procps", "podman", "crun", "netavark", "nftables", "iptables", "tcpdump"),
        *("linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    ),
    ("ssh.sh", "guest.sh", "key.sh", "engine.sh"),
    "12G",
    bootable=True,
)
MACHINE = Recipe(
    "machine",
    (
        *("systemd-sysv", "dbus", "udev", "openssh-server", "iproute2", "python3", "python3-apt", "procps", "kmod"),
        *("nftables", "ipvsadm", "keepalived", "nginx-light", "iputils-arping", "iputils-ping"),
        *("linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    ),
    ("ssh.sh", "key.sh", "python.sh", "web.sh", "machine.sh"),
    "2G",
    bootable=True,
)
RECIPES_OF = {"vm": (ENGINE, NODE, BARE), "local": (NODE, BARE)}
ALL = (ENGINE, NODE, BARE, MACHINE)


def store() -> Path:
    return cache() / "images"


def mirrors() -> list[str]:
    """Debian's archive, or the mirror named by LAB_MIRROR (then also asked for security updates)."""
    base = os.environ.get("LAB_MIRROR", "http://deb.debian.org").rstrip("/")
    return [
        f"deb {base}/debian {SUITE} main",
        f"deb {base}/debian {SUITE}-updates main",
        f"deb {base}/debian-security {SUITE}-security main",
    ]


def apt_options() -> list[str]:
    """How this machine's apt reaches the archive (proxies, validity checks): the images need the same."""
    if not shutil.which("apt-config"):
        return []
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check", "Acquire::Retries", "Acquire::Force")
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [line for line in lines if line.startswith(wanted) and not line.endswith(' "";')]


def ensure(recipes: tuple[Recipe, ...]) -> None:
    """Build what is missing. The check is cheap, the lock is taken only when there is something to build."""
    missing = [recipe for recipe in recipes if not recipe.image().exists()]
    if not missing:
        return
    for tool in ("mmdebstrap", "mke2fs"):
        if not shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            raise LabError(f"{tool} is missing: run 'python tests/lab prepare' first")
    with locked(store() / "lock", "another checkout that builds the same images"):
        remove_leftovers()
        for recipe in missing:
            if not recipe.image().exists():
                build(recipe)
        prune()


def build(recipe: Recipe) -> None:
    """Make one image in a temporary directory of the store and rename it when it is whole."""
    began = time.monotonic()
    say(f"image {recipe.name}: building from {len(recipe.packages)} packages and what they need")
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=store()))
    try:
        work.chmod(0o755)
        root = work / "root"
        if os.geteuid() == 0:
            bootstrap(recipe, root, work / "log", "root")
            pack(recipe, root, work, [])
        else:
            bootstrap(recipe, work / "root.tar", work / "log", "unshare")
            root.mkdir()
            pack(recipe, root, work, ["fakeroot"], unpack=work / "root.tar")
        recipe.directory().parent.mkdir(parents=True, exist_ok=True)
        work.rename(recipe.directory())
    finally:
        if work.exists():
            shutil.rmtree(work, ignore_errors=True)
    say(f"image {recipe.name}: ready after {time.monotonic() - began:.0f} s")


def bootstrap(recipe: Recipe, target: Path, log: Path, mode: str) -> None:
    """mmdebstrap, with a line of progress for each of its stages."""
    command = ["mmdebstrap", "--variant=minbase", f"--mode={mode}", f"--include={','.join(recipe.packages)}"]
    command += [f"--aptopt={option}" for option in ['Apt::Install-Recommends "false"', *apt_options()]]
    command += [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale", "info")]
    command += [f'--customize-hook=sh {shlex.quote(str(RECIPES / script))} "$1"' for script in recipe.scripts]
    command += [SUITE, str(target), *mirrors()]
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "TMPDIR": str(store())}
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
        assert process.stdout is not None
        for line in process.stdout:
            written.write(line)
            if line.startswith("I: ") and line.strip().endswith("..."):
                say(f"image {recipe.name}: {line[3:].strip()}")
    if process.wait() != 0:
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
        raise LabError(f"building image {recipe.name} failed:\n{tail}")


def pack(recipe: Recipe, root: Path, work: Path, wrapper: list[str], unpack: Path | None = None) -> None:
    """From a root directory (or a tar file, under fakeroot) to a file system image, and the kernel beside it."""
    say(f"image {recipe.name}: writing the file system")
    steps = ["set -e", 'PATH="$PATH:/usr/sbin:/sbin"', f"cd {shlex.quote(str(work))}"]
    if unpack:
        steps.append(f"tar -x -p --numeric-owner -f {shlex.quote(unpack.name)} -C root")
    if recipe.bootable:
        steps += ["cp -L root/vmlinuz root/initrd.img .", "rm -rf root/boot/* root/vmlinuz* root/initrd.img*"]
    options = f"-O ^has_journal -L lab-{recipe.name} -E root_owner=0:0"
    steps.append(f"mke2fs -q -t ext4 {options} -d root root.img {recipe.size}")
    steps.append("rm -rf root root.tar")
    run([*wrapper, "sh", "-c", "\n".join(steps)])
    (work / "packages").write_text("\n".join(recipe.packages) + "\n")


def in_use(directory: Path) -> bool:
    """True when some process has the image open (a QEMU of another checkout), or a mount uses it."""
    image = str(directory / "root.img")
    if any(image in line for line in Path("/proc/mounts").read_text().splitlines()):
        return True
    if any(image in path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")):
        return True
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) == image:
                return True
    return False


def prune() -> None:
    """Drop the images of older recipes, unless a machine still runs from them."""
    current = {recipe.directory().name for recipe in ALL}
    for directory in store().iterdir():
        old = time.time() - directory.stat().st_mtime > 24 * 3600
        if directory.is_dir() and directory.name not in current and old and not in_use(directory):
            say(f"image cache: removing {directory.name}")
            shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers() -> None:
    """Half-built images of a run that was killed; we hold the lock, so nobody is building."""
    for directory in store().glob(".building-*"):
        shutil.rmtree(directory, ignore_errors=True)


def clean() -> None:
    with locked(store() / "lock", "another checkout that builds images"):
        for directory in store().iterdir():
            if directory.is_dir() and not in_use(directory):
                shutil.rmtree(directory)
