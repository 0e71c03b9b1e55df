# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are machines of their own, for what a container cannot show: kernel modules, a true reboot.

Each is a QEMU on this machine, whichever engine runs the other scenarios. A network is a multicast group on the
loopback, which QEMU's cards send their frames to and hear.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from lab import images, qemu, ssh
from lab.common import LabError, checkout_id, poll, run, say, state

CORES = 1  # several machines share this one's cores; a second of their own would wait for the first
MEMORY = 768
MGMT_MAC = "02:00:00:00:00:01"  # the image names this card mgmt0; each machine is alone on its management network


class Machines:
    """The same verbs as an engine has."""

    def place(self, nodes: list[dict[str, Any]], taken: set[int]) -> None:
        """Note in each node where its ssh answers."""
        for node, port in zip(nodes, qemu.free_ports(len(nodes))):
            node["access"] = ["127.0.0.1", port]

    def make(self, scenario: str, nodes: list[dict[str, Any]]) -> None:
        images.ensure((images.MACHINE,))
        where = state() / scenario
        for node in nodes:
            say(f"{node['name']}: booting a machine")
            qemu.start(self.command(scenario, node), where, where / f"{node['name']}.log")
        for node in nodes:
            try:
                qemu.wait(vm_name(scenario, node["name"]), where, node["name"], where / f"{node['name']}.log")
            except qemu.Ended as ended:
                raise LabError(str(ended)) from None
            run(to(scenario, node["name"], "sh"), stdin=furnish(node), timeout=120)
            say(f"{node['name']}: up")

    def command(self, scenario: str, node: dict[str, Any]) -> list[str]:
        where = state() / scenario
        words = qemu.command(
            vm_name(scenario, node["name"]), images.MACHINE.image(), CORES, MEMORY, where / f"{node['name']}.console"
        )
        words += ["-append", f"{qemu.KERNEL} {qemu.key_argument()}"]
        for number, card in enumerate(node["interfaces"]):
            words += ["-netdev", f"socket,id=net{number},mcast={segment(card['bridge'])},localaddr=127.0.0.1"]
            words += ["-device", f"virtio-net-pci,netdev=net{number},mac={card['mac']},romfile="]
        forward = f"hostfwd=tcp:127.0.0.1:{node['access'][1]}-:22"
        words += ["-netdev", f"user,id=mgmt,ipv6=off,restrict=on,{forward}"]
        return [*words, "-device", f"virtio-net-pci,netdev=mgmt,mac={MGMT_MAC},romfile="]

    def drop(self, scenario: str, nodes: list[dict[str, Any]]) -> None:
        for node in nodes:
            qemu.end(vm_name(scenario, node["name"]))

    def reboot(self, scenario: str, nodes: list[dict[str, Any]]) -> None:
        """By the machine's own systemctl reboot; back when it has booted once more and started everything."""
        before = {node["name"]: boot_id(scenario, node["name"]) for node in nodes}
        for node in nodes:
            run(to(scenario, node["name"], "systemctl --no-block reboot"), check=False, timeout=60)
        ssh.hang_up(state() / scenario, list(before))
        for name, old in before.items():
            poll(f"{name}'s reboot", 900, lambda name=name, old=old: boot_id(scenario, name) not in ("", old))
            settled = run(to(scenario, name, "systemctl is-system-running --wait"), check=False, timeout=900).stdout
            say(f"{name}: rebooted ({settled.strip()})")

    def running(self, scenario: str, nodes: list[dict[str, Any]]) -> bool:
        return all(qemu.process(vm_name(scenario, node["name"])) for node in nodes)


def vm_name(scenario: str, node: str) -> str:
    return f"lvs-machine-{checkout_id()}-{scenario}-{node}"


def to(scenario: str, node: str, command: str) -> list[str]:
    return ["ssh", "-F", str(state() / scenario / "ssh_config"), node, command]


def boot_id(scenario: str, node: str) -> str:
    """Empty while the machine is away."""
    command = to(scenario, node, "cat /proc/sys/kernel/random/boot_id")
    # A shared connection into a machine that is going away would be waited for.
    command[1:1] = ["-o", "ControlPath=none", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
    try:
        done = run(command, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def segment(bridge: str) -> str:
    """Group and port of a network; its name is a hash, different for each checkout and scenario."""
    digits = bridge.removeprefix("lb")
    group = ".".join(str(int(digits[at : at + 2], 16)) for at in (0, 2, 4))
    return f"239.{group}:{20000 + int(digits[6:10], 16) % 10000}"


def furnish(node: dict[str, Any]) -> str:
    """A shell script for the fresh machine: what an administrator sets up before there is any cluster."""
    lines = [
        "set -e",
        f"echo {node['name']} >/etc/hostname; hostname {node['name']}",
        f"printf '127.0.0.1 localhost\\n::1 localhost\\n127.0.1.1 {node['name']}\\n' >/etc/hosts",
    ]
    for card in node["interfaces"]:
        network = [f"[Match]\nName={card['name']}\n[Network]", *(f"Address={each}" for each in card["addresses"])]
        for target, how in node["routes"] if card is node["interfaces"][0] else []:
            destination = {"default": "0.0.0.0/0"}.get(target, target)
            network.append(f"[Route]\nDestination={destination}\nGateway={how.removeprefix('via ')}")
        lines.append(write(f"/etc/systemd/network/20-{card['name']}.network", "\n".join(network)))
    if node["sysctls"]:
        lines.append(write("/etc/sysctl.d/00-lab.conf", "\n".join(f"{k} = {v}" for k, v in node["sysctls"].items())))
        lines.append("sysctl -q -p /etc/sysctl.d/00-lab.conf")
    lines.append("networkctl reload")
    lines += [f"systemctl --quiet enable --now {service}" for service in node["services"]]
    for card in node["interfaces"]:
        lines.append(f"/lib/systemd/systemd-networkd-wait-online --timeout=60 --interface={card['name']}")
    return "\n".join(lines) + "\n"


def write(path: str, content: str) -> str:
    return f"printf '%s\\n' {shlex.quote(content)} >{path}"


def all_of_this_checkout() -> list[tuple[str, list[dict[str, Any]]]]:
    """The scenarios whose nodes are machines, by their files."""
    found = []
    for path in Path(state()).glob("*/nodes.json"):
        nodes = json.loads(path.read_text())
        if are_machines(nodes):
            found.append((path.parent.name, nodes))
    return found


def are_machines(nodes: list[dict[str, Any]]) -> bool:
    """All of a scenario's nodes, or none: a machine's network does not reach a container."""
    kinds = {node["image"] == "machine" for node in nodes}
    if len(kinds) > 1:
        raise LabError("lab_image: machine is for all nodes of a scenario or for none: their networks don't meet")
    return True in kinds
