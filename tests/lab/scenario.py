# SPDX-License-Identifier: GPL-3.0-or-later
"""From a scenario's inventory to the nodes and networks the engine shall make. Pure but for reading the inventory."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from lab.common import CHECKOUT, LabError, run, state

IMAGES = ("node", "bare", "machine")
KNOWN = {"lab_image", "lab_networks", "lab_routes", "lab_services", "lab_sysctls", "lab_internet"}


def directory(scenario: str) -> Path:
    return CHECKOUT / "molecule" / scenario


def inventory_of(scenario: str, inventory: str | None = None) -> Path:
    path = Path(inventory) if inventory else directory(scenario) / "inventory"
    if not path.exists():
        raise LabError(f"scenario {scenario}: no inventory at {path}")
    return path


def read_inventory(path: Path) -> dict[str, Any]:
    """What Ansible makes of the inventory; one that does not parse is an error, not an empty one."""
    tool = Path(sys.executable).with_name("ansible-inventory")
    command = str(tool) if tool.exists() else shutil.which("ansible-inventory")
    if not command:
        raise LabError("ansible-inventory is missing: run 'make setup' or activate the virtual environment")
    environment = {
        **os.environ,
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
    }
    environment.setdefault("ANSIBLE_HOME", str(state() / "ansible"))
    listed: dict[str, Any] = json.loads(run([command, "-i", str(path), "--list"], env=environment).stdout)
    return listed


def plan(scenario: str, inventory: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a scenario in the inventory's order; raises LabError for what the lab cannot make."""
    hostvars = inventory.get("_meta", {}).get("hostvars", {})
    names = [name for name in hosts_in_order(inventory) if "lab_networks" in hostvars.get(name, {})]
    if not names:
        raise LabError(f"scenario {scenario}: no host of its inventory has lab_networks")
    nodes = [node(scenario, name, hostvars[name]) for name in names]
    addresses: dict[str, str] = {}
    for entry in nodes:
        for interface in entry["interfaces"]:
            for address in interface["addresses"]:
                key = f"{interface['bridge']} {address.split('/')[0]}"
                if key in addresses:
                    raise LabError(f"scenario {scenario}: {address} given to {addresses[key]} and {entry['name']}")
                addresses[key] = entry["name"]
    return nodes


def bridges(nodes: list[dict[str, Any]]) -> list[str]:
    return sorted({interface["bridge"] for node in nodes for interface in node["interfaces"]})


def hosts_in_order(inventory: dict[str, Any]) -> list[str]:
    """Hosts as the groups list them, each once: 'all' first, then depth first."""
    found: dict[str, None] = {}

    def walk(group: str) -> None:
        entry = inventory.get(group, {})
        for host in entry.get("hosts", []):
            found.setdefault(host)
        for child in entry.get("children", []):
            walk(child)

    walk("all")
    return list(found)


def node(scenario: str, name: str, variables: dict[str, Any]) -> dict[str, Any]:
    where = f"scenario {scenario}, host {name}"
    unknown = sorted(
        key for key in variables if key.startswith("lab_") and key not in KNOWN | {"lab_state", "lab_groups"}
    )
    if unknown:
        raise LabError(f"{where}: unknown {', '.join(unknown)}; the lab knows {', '.join(sorted(KNOWN))}")
    image = variables.get("lab_image", "node")
    if image not in IMAGES:
        raise LabError(f"{where}: lab_image {image!r} is none of {', '.join(IMAGES)}")
    networks = networks_in_order(where, variables["lab_networks"])
    return {
        "name": name,
        "image": image,
        "interfaces": [
            {
                "name": f"eth{number}",
                "bridge": bridge_name(scenario, network),
                "mac": mac(scenario, name, network),
                "addresses": [checked_address(where, each) for each in as_list(addresses)],
            }
            for number, (network, addresses) in enumerate(networks)
        ],
        "routes": [[str(target), str(how)] for target, how in variables.get("lab_routes", {}).items()],
        "sysctls": {str(key): str(value) for key, value in variables.get("lab_sysctls", {}).items()},
        "services": list(variables.get("lab_services", [])),
        "internet": bool(variables.get("lab_internet", False)),
    }


def networks_in_order(where: str, networks: Any) -> list[tuple[str, Any]]:
    """The networks of eth0, eth1 and so on. Ansible sorts the keys of a mapping, so several networks are a list."""
    entries = as_list(networks)
    if not entries or not all(isinstance(entry, dict) and len(entry) == 1 for entry in entries):
        raise LabError(f"{where}: lab_networks is {{network: addresses}}, or a list of such, the first one for eth0")
    return [pair for entry in entries for pair in entry.items()]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def checked_address(where: str, text: Any) -> str:
    try:
        interface = ipaddress.ip_interface(str(text))
    except ValueError as error:
        raise LabError(f"{where}: lab_networks: {error}") from None
    if "/" not in str(text):
        raise LabError(f"{where}: lab_networks: {text} lacks its prefix length")
    return str(interface)


def bridge_name(scenario: str, network: str) -> str:
    """Fits the kernel's 15 characters and is the scenario's own."""
    return "lb" + digest(str(state()), scenario, network)[:10]


def mac(scenario: str, name: str, network: str) -> str:
    digits = digest(str(state()), scenario, name, network)
    return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
