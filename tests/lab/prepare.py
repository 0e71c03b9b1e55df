# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs of the machine it runs on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from lab.common import LabError, as_root, is_root_possible, run, say

# A program and the Debian package that has it.
BUILD = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "fakeroot": "fakeroot",
    "ssh": "openssh-client",
    "newuidmap": "uidmap",
    "qemu-system-x86_64": "qemu-system-x86",  # scenarios of whole machines need it whichever the engine
}
ENGINES: dict[str, dict[str, str]] = {
    "vm": {},
    "local": {"podman": "podman", "crun": "crun", "nft": "nftables", "ip": "iproute2", "modprobe": "kmod"},
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def missing(engine: str) -> list[str]:
    wanted = {**BUILD, **ENGINES[engine]}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    packages = {package for program, package in wanted.items() if not shutil.which(program, path=path)}
    if not os.path.exists(KEYRING):
        packages.add("debian-archive-keyring")
    return sorted(packages)


def packages(engine: str) -> None:
    """Install what is missing with apt, or say exactly what to run."""
    names = missing(engine)
    if not names:
        say("this machine has all the lab needs")
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if not shutil.which("apt-get"):
        raise LabError(f"please install what Debian calls {' '.join(names)}; this machine has no apt-get")
    if not is_root_possible():
        raise LabError(f"system packages are missing; please run:\n\n    sudo {' '.join(install)}\n")
    say(f"installing {' '.join(names)}")
    if run(privileged(install), check=False).returncode != 0:
        run(privileged(["apt-get", "update"]))
        run(privileged(install))
    say("installed")


def privileged(command: Iterable[str]) -> list[str]:
    return as_root(["env", "DEBIAN_FRONTEND=noninteractive", *command])
