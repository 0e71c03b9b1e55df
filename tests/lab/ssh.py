# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in: one key a checkout, one ssh_config a scenario, one shared connection a node."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from lab.common import LabError, run, state

COMMON = """\
# Written by tests/lab; it lasts as long as the machines it leads to.
Host *
    User root
    IdentityFile "{key}"
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    GlobalKnownHostsFile /dev/null
    LogLevel ERROR
    Compression no
    ControlMaster auto
    ControlPath "{directory}/%n.ctl"
    ControlPersist 30m
    ConnectTimeout 20
    ServerAliveInterval 15
    ServerAliveCountMax 8
"""
HOST = """\
Host {name}
    HostName {address}
    Port {port}
"""
SOCKET_LIMIT = 108 - 1 - 17 - len(".ctl")  # sun_path, its end, the suffix ssh adds while it binds


def key() -> Path:
    """The checkout's own key, made on first use."""
    path = state() / "id_ed25519"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)])
    return path


def public_key() -> str:
    return key().with_suffix(".pub").read_text().strip()


def write_config(directory: Path, hosts: dict[str, tuple[str, int]]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    longest = max(len(str(directory / name)) for name in hosts)
    if longest > SOCKET_LIMIT:
        raise LabError(f"{directory} is too long for ssh's sockets: set LVS_LAB_STATE to a shorter path")
    config = directory / "ssh_config"
    parts = [HOST.format(name=name, address=address, port=port) for name, (address, port) in hosts.items()]
    config.write_text("".join([*parts, COMMON.format(key=key(), directory=directory)]))
    return config


def hang_up(directory: Path, names: list[str] | None = None) -> None:
    """End the shared connections, so that nobody talks into a machine that is gone."""
    for socket in directory.glob("*.ctl"):
        if names is None or socket.stem in names:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run(["ssh", "-F", str(directory / "ssh_config"), "-O", "exit", socket.stem], check=False, timeout=10)
            socket.unlink(missing_ok=True)


def answers(directory: Path, name: str) -> bool:
    try:
        return run(["ssh", "-F", str(directory / "ssh_config"), name, "true"], check=False, timeout=45).returncode == 0
    except subprocess.TimeoutExpired:
        return False
