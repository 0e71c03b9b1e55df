#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel's IPVS holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_info
short_description: Read the kernel's IPVS table, its statistics and settings
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - Reads the running kernel's IPVS of one network namespace. Loads and changes nothing; where IPVS is not loaded,
    RV(available) is false and everything else is empty.
requirements:
  - Python 3.8 or newer on the target.
  - C(CAP_NET_ADMIN) in the initial user namespace, usually C(become=true).
options:
  gather:
    description:
      - What to read. Of what is not named nothing is returned.
      - V(statistics) reads the whole table once more; V(connections) can be long and is therefore not read by
        default.
    type: list
    elements: str
    choices: [services, statistics, daemons, timeouts, schedulers, connections]
    default: [services, statistics, daemons, timeouts, schedulers]
  connections:
    description:
      - Which connections to return; every option that is named must fit. For C(gather) with V(connections).
    type: dict
    suboptions:
      protocol:
        description: The transport protocol.
        type: str
        choices: [tcp, udp, sctp]
      client:
        description: The client's address. What is no IP address fails.
        type: str
      address:
        description: The virtual address. What is no IP address fails.
        type: str
      port:
        description: The virtual port.
        type: int
      real_server:
        description: The real server's address. What is no IP address fails.
        type: str
      state:
        description:
          - The state as the kernel names it, like V(ESTABLISHED), V(FIN_WAIT), or V(NONE) for a persistence template.
        type: str
  limit:
    description: How many connections to return at most. RV(connection_count) counts all that fit.
    type: int
    default: 100
extends_documentation_fragment:
  - lvs.cluster.attributes.reads
seealso:
  - module: lvs.cluster.ipvs
"""

EXAMPLES = r"""
- name: Read all there is
  lvs.cluster.ipvs_info:
  register: director

- name: Put the table of one director onto another
  lvs.cluster.ipvs:
    config: "{{ director.services }}"
  delegate_to: dir2

- name: Who talks to this real server?
  lvs.cluster.ipvs_info:
    gather: [connections]
    connections: {real_server: 198.51.100.11, state: ESTABLISHED}
    limit: 20
"""

RETURN = r"""
available:
  description: Whether the kernel has IPVS loaded.
  returned: always
  type: bool
  sample: true
version:
  description: The version of the kernel's IPVS.
  returned: when available
  type: str
  sample: 1.2.1
connection_table_size:
  description: How many buckets the connection table has.
  returned: when available
  type: int
  sample: 4096
services:
  description: The table, valid as C(config) of M(lvs.cluster.ipvs).
  returned: when asked for
  type: list
  elements: dict
  sample: []
unsupported:
  description: Rows that cannot be said in C(config), each with its reason.
  returned: when services are asked for
  type: list
  elements: dict
  sample: []
statistics:
  description:
    - For each service its identity (C(address), C(port) and C(protocol), or C(fwmark) and C(family)), counters
      (C(connections), C(in_packets), C(out_packets), C(in_bytes), C(out_bytes)), the same per second
      (C(connections_per_second) and so on), and its C(real_servers).
    - Each real server has address, port, the same counters, and its connections now (C(active), C(inactive),
      C(persistent)).
    - The kernel refreshes counters every two seconds, so they lag behind.
  returned: when asked for
  type: list
  elements: dict
  sample: []
daemons:
  description: The sync daemons that run.
  returned: when asked for
  type: list
  elements: dict
  contains:
    role:
      description: Which of the two, V(master) or V(backup).
      type: str
      sample: master
    interface:
      description: The network interface.
      type: str
      sample: eth0
    sync_id:
      description: The number of the group of directors.
      type: int
      sample: 1
    max_length:
      description: The longest message in bytes.
      type: int
      sample: 1472
    group:
      description: The multicast group.
      type: str
      sample: 224.0.0.81
    port:
      description: The UDP port.
      type: int
      sample: 8848
    ttl:
      description: The multicast time to live.
      type: int
      sample: 1
timeouts:
  description: The timeouts in seconds, C(tcp), C(tcp_fin) and C(udp).
  returned: when asked for
  type: dict
  sample: {tcp: 900, tcp_fin: 120, udp: 300}
schedulers:
  description: The schedulers that are C(loaded), and those that are C(loadable). What is built into the kernel is both.
  returned: when asked for
  type: dict
  sample: {loaded: [wlc], loadable: [dh, fo, lc, mh, rr, sh, wlc, wrr]}
connections:
  description: Connections that fit, in the kernel's order. C(expires) is in seconds.
  returned: when asked for
  type: list
  elements: dict
  sample:
    - protocol: tcp
      client: 203.0.113.5
      client_port: 40000
      address: 192.0.2.10
      port: 80
      real_server: 198.51.100.11
      real_server_port: 80
      state: ESTABLISHED
      expires: 900
connection_count:
  description: How many connections fit, returned or not.
  returned: when connections are asked for
  type: int
  sample: 1
"""

from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, kernel_state
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

PARTS = ["services", "statistics", "daemons", "timeouts", "schedulers", "connections"]
FILTER = {
    "protocol": {"choices": ["tcp", "udp", "sctp"]},
    "client": {"type": "str"},
    "address": {"type": "str"},
    "port": {"type": "int"},
    "real_server": {"type": "str"},
    "state": {"type": "str"},
}
ARGUMENTS = {
    "gather": {"type": "list", "elements": "str", "choices": PARTS, "default": PARTS[:-1]},
    "connections": {"type": "dict", "options": FILTER},
    "limit": {"type": "int", "default": 100},
}


def run(module: Any) -> Dict[str, Any]:
    """Return what is asked for."""
    wanted = wanted_connections(module.params["connections"] or {})
    ipvs = kernel.connect()
    result: Dict[str, Any] = {"changed": False, "available": ipvs is not None}
    if ipvs is not None:
        result.update(kernel_state.read_info(ipvs))
    for part in module.params["gather"]:
        if part == "connections":
            found, count = kernel_state.read_connections(wanted=wanted, limit=module.params["limit"])
            result.update(connections=found, connection_count=count)
        else:
            result.update(READERS[part](ipvs))
    return result


def wanted_connections(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the filter, addresses in the form in which connections have them."""
    wanted = {name: value for name, value in params.items() if value is not None}
    for name in ("client", "address", "real_server"):
        if name in wanted:
            wanted[name] = t.format_address(t.parse_address(wanted[name]))
    return wanted


def services(ipvs: Optional[kernel.Ipvs]) -> Dict[str, Any]:
    """Return the table as config."""
    if ipvs is None:
        return {"services": [], "unsupported": []}
    current = ipvs.read()
    rows = [t.to_config(entry) for entry in current.table.values()]
    return {"services": rows, "unsupported": list(current.unsupported)}


def statistics(ipvs: Optional[kernel.Ipvs]) -> Dict[str, Any]:
    """Return counters and rates."""
    return {"statistics": kernel_state.read_statistics(ipvs) if ipvs else []}


def daemons(ipvs: Optional[kernel.Ipvs]) -> Dict[str, Any]:
    """Return the sync daemons."""
    running = kernel_state.read_daemons(ipvs) if ipvs else {}
    return {"daemons": [daemon.config() for daemon in running.values()]}


def timeouts(ipvs: Optional[kernel.Ipvs]) -> Dict[str, Any]:
    """Return the timeouts."""
    return {"timeouts": kernel_state.read_timeouts(ipvs) if ipvs else {}}


def schedulers(_ipvs: Optional[kernel.Ipvs]) -> Dict[str, Any]:
    """Return the schedulers."""
    return {"schedulers": kernel_state.read_schedulers()}


READERS = {
    "services": services,
    "statistics": statistics,
    "daemons": daemons,
    "timeouts": timeouts,
    "schedulers": schedulers,
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except (kernel.KernelError, t.TableError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
