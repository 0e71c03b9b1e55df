#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the VIPs that move between directors a host holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vip_info
short_description: Which of the moving VIPs a director holds
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - Looks which VIPs are on the host's interfaces. C(lvs.cluster.site) asks it of every director before it changes any
    host, so that the ones that stand by come first.
  - Fails when the host cannot hold them as described. An interface is missing, an address that adverts come from is not
    on its interface, the host has another name than O(node), or a VIP is in no network of its interface and no prefix
    length was stated for it.
  - Reads only.
options:
  vips:
    description: The VIPs, as C(moving) of P(lvs.cluster.view#filter) gives them.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description: The address.
        type: str
        required: true
      prefix:
        description: Its prefix length.
        type: int
        required: true
      interface:
        description: The interface that carries it where it is held.
        type: str
        required: true
      stated:
        description: Whether the inventory states the prefix length.
        type: bool
        default: false
      family:
        description: The address family, which the address says as well.
        type: str
  sources:
    description: Addresses that the host must have on its interfaces already.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: The address.
        type: str
        required: true
      interface:
        description: The interface.
        type: str
        required: true
  unit:
    description:
      - The daemon that moves the VIPs. Where the host holds VIPs while it does not run, they were put there in another
        way, and the host is to be set up first, so that nobody else takes them meanwhile.
    type: str
  node:
    description: The name that the host must have, as C(uname -n) prints it. Case does not count.
    type: str
extends_documentation_fragment:
  - lvs.cluster.attributes
"""

EXAMPLES = r"""
- name: Does this director hold the VIP?
  lvs.cluster.vip_info:
    vips:
      - {address: 192.0.2.10, prefix: 32, interface: eth0}
"""

RETURN = r"""
held:
  description: The VIPs that are on the host.
  returned: always
  type: list
  elements: str
  sample: ["192.0.2.10"]
rank:
  description: How late in a run the host's turn is, the number of VIPs it holds. Negative where O(unit) does not run.
  returned: always
  type: int
  sample: 1
"""

import ipaddress
import json
import os
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule

Rows = List[Dict[str, Any]]


def look(links: Rows, vips: Rows, sources: Rows) -> Tuple[List[str], List[str]]:
    """Which VIPs are held, and what is wrong. links is what `ip -j address show` prints."""
    on: Dict[str, List[Any]] = {
        link["ifname"]: [
            ipaddress.ip_interface("%s/%s" % (row["local"], row["prefixlen"]))
            for row in link.get("addr_info", ())
            if "local" in row
        ]
        for link in links
        if "ifname" in link
    }
    wrong = [
        "there is no interface %s: correct lvs_interface or lvs_gateway_interface" % name
        for name in dict.fromkeys(row["interface"] for row in vips)
        if name not in on
    ]
    for row in sources:
        if row["interface"] in on and not _has(on[row["interface"]], row["address"]):
            wrong.append(
                "%s, which adverts or heartbeats are to come from, is not on %s: say the host's own address there with"
                " lvs_vrrp_address (or lvs_address), or use multicast (lvs_vrrp.unicast: false, or lvs_heartbeat.media)"
                % (row["address"], row["interface"])
            )
    moving = {ipaddress.ip_address(row["address"]) for row in vips}
    for row in vips:
        own = [one for one in on.get(row["interface"], ()) if one.ip not in moving]
        if row["interface"] in on and not row["stated"] and not _inside(own, row["address"]):
            wrong.append(
                "the VIP %s is in no network of %s (%s): correct it, or state a prefix length: %s/%d"
                % (row["address"], row["interface"], _networks(own, row), row["address"], row["prefix"])
            )
    held = [row["address"] for row in vips if _has(on.get(row["interface"], []), row["address"])]
    return held, wrong


def _has(interfaces: List[Any], address: str) -> bool:
    return ipaddress.ip_address(address) in {one.ip for one in interfaces}


def _inside(interfaces: List[Any], address: str) -> bool:
    return any(ipaddress.ip_address(address) in one.network for one in interfaces)


def _networks(interfaces: List[Any], row: Dict[str, Any]) -> str:
    version = ipaddress.ip_address(row["address"]).version
    found = [str(one.network) for one in interfaces if one.version == version and not one.ip.is_link_local]
    return ", ".join(found) or "it has none"


def misnamed(wanted: Optional[str], name: str) -> List[str]:
    """What is wrong with the host's name."""
    if wanted is None or wanted.lower() == name.lower():
        return []
    return [
        "`uname -n` says %s here, and the inventory %s: directors would not know each other; set lvs_node_name: %s for"
        " this host, or correct its name" % (name, wanted, name)
    ]


def run(module: Any) -> Dict[str, Any]:
    """Return what the host holds."""
    environment = {"LC_ALL": "C"}
    _status, out, _err = module.run_command(["ip", "-j", "address", "show"], check_rc=True, environ_update=environment)
    held, wrong = look([row for row in json.loads(out or "[]") if row], module.params["vips"], module.params["sources"])
    wrong += misnamed(module.params["node"], os.uname().nodename)
    if wrong:
        module.fail_json(msg="This director cannot hold the VIPs as described:\n" + "\n".join(wrong))
    rank = len(held)
    if held and module.params["unit"]:
        status, _out, _err = module.run_command(["systemctl", "is-active", "--quiet", module.params["unit"]])
        rank = rank if status == 0 else -rank
    return {"changed": False, "held": held, "rank": rank}


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    vip = {"address": text, "interface": text, "prefix": {"type": "int", "required": True}}
    vip.update(stated={"type": "bool", "default": False}, family={"type": "str"})
    source = {"address": text, "interface": text}
    arguments = {
        "vips": {"type": "list", "elements": "dict", "required": True, "options": vip},
        "sources": {"type": "list", "elements": "dict", "default": [], "options": source},
        "unit": {"type": "str"},
        "node": {"type": "str"},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
