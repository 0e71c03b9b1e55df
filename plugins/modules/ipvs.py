#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's IPVS table as one resource."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs
short_description: Manage the kernel's table of virtual services (IPVS)
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - Brings the running kernel's table of virtual services and real servers to what O(config) says, in one step and by
    generic netlink, without C(ipvsadm).
  - What can be set in place is set in place. A service or real server is never deleted and added again to change it,
    so open connections live on.
  - New rows come first and rows that leave go last, so a service that has servers before and after has servers in
    between.
  - Works on one network namespace, the one the module runs in. It does not make the table survive a reboot; O(record)
    writes a file that C(ipvsadm -R) can load at boot.
requirements:
  - Python 3.8 or newer on the target.
  - The kernel module C(ip_vs). It is loaded when it is needed, never in check mode.
  - C(CAP_NET_ADMIN) in the initial user namespace, usually C(become=true). Neither this nor IPVS is needed for
    O(state=rendered) and O(state=parsed).
options:
  config:
    description:
      - The services, each with its real servers.
      - A service is identified by O(config[].address), O(config[].protocol) and O(config[].port), or by
        O(config[].fwmark) and O(config[].family). Each may be listed once.
      - An option that is left out or null is not named. With O(state=merged) what is not named stays as it is, and
        gets its default only in a new row. With the other states what is not named has its default.
      - The defaults of the options below are therefore given in words, and the values are checked by the module
        itself, which names the item and option at fault, like C(config[2].real_servers[0].weight).
    type: list
    elements: dict
    suboptions:
      address:
        description:
          - The virtual IP address, IPv4 or IPv6, without prefix length. Anything else fails.
          - Required unless O(config[].fwmark) is set.
        type: str
      port:
        description:
          - The virtual service's port, from 0 to 65535. 0 stands for every port and is refused without
            O(config[].persistence), since the kernel would not answer such a service.
          - Required with O(config[].address).
        type: int
      protocol:
        description:
          - The transport protocol. It is V(tcp) when not named.
        type: str
        choices: [tcp, udp, sctp]
      fwmark:
        description:
          - The firewall mark that makes up the service, from 1 to 4294967295, instead of an address.
        type: int
      family:
        description:
          - The address family of a service by firewall mark; V(ipv4) when not named. One mark can have a service of
            either family.
          - Follows from O(config[].address) otherwise.
        type: str
        choices: [ipv4, ipv6]
      scheduler:
        description:
          - The scheduler's name, as in the kernel module C(ip_vs_NAME), V(rr), V(wrr), V(lc), V(wlc), V(lblc),
            V(lblcr), V(dh), V(sh), V(sed), V(nq), V(fo), V(ovf), V(mh), V(twos), or V(none). At most 15 characters.
          - It is V(wlc) in a new service, as with C(ipvsadm). A name that the kernel is known to have no module for is
            refused before anything is changed, in check mode as well; where the kernel's modules are not listed, as in
            a container without them, the kernel refuses the service with the same message.
        type: str
      scheduler_flags:
        description:
          - The scheduler's flags, by number (V(flag-1), V(flag-2), V(flag-3)) or by the name they have with
            O(config[].scheduler), V(sh-fallback), V(sh-port), V(mh-fallback), V(mh-port). A name that belongs to
            another scheduler fails.
          - The list is the whole; V([]) clears all flags. None in a new service.
        type: list
        elements: str
      one_packet:
        description:
          - Schedule each packet on its own. The kernel heeds it for UDP only. False in a new service.
        type: bool
      persistence:
        description:
          - A dictionary of C(timeout) (seconds from 0 to 4294967; 360 when not named, as in the kernel's header),
            C(netmask) (how clients are grouped; for IPv4 a prefix length from 0 to 32 or a mask like 255.255.255.0,
            for IPv6 a prefix length from 1 to 128; every client by itself when not named) and C(engine) (V(sip), the
            kernel's only one; none when not named).
          - A number is the timeout alone, V(true) is the defaults.
          - V(false) or null means not persistent, as in a new service. This is the only option where null has a
            meaning.
        type: raw
      real_servers:
        description:
          - The real servers of the service. Each is identified by address and port and may be listed once.
          - With O(state=merged) real servers that are not listed stay. With O(state=replaced) and O(state=overridden)
            they leave; V([]), or to leave the option out, then means that the service has none.
          - With O(state=deleted) the listed ones leave and the service stays, V([]) names none and deletes nothing,
            and to leave the option out deletes the service.
          - Null fails, since it is what an expression returns that went wrong.
        type: list
        elements: dict
        suboptions:
          address:
            description:
              - The real server's IP address. Another family than the service's works with
                O(config[].real_servers[].forward=tun) only.
            type: str
            required: true
          port:
            description:
              - The real server's port, from 0 to 65535; the service's when not named. For a firewall mark 0 keeps the
                client's port, and is what it is when not named.
              - With V(dr) and V(tun) the kernel cannot change the port, so any other than the service's fails.
            type: int
          forward:
            description:
              - How packets reach the real server, V(nat) (masquerading), V(dr) (direct routing) or V(tun)
                (tunnelling). V(dr) in a new real server, as with C(ipvsadm).
              - V(local) exists so that a table can be read and written back; the kernel finds out by itself that an
                address is its own.
            type: str
            choices: [nat, dr, tun, local]
          weight:
            description:
              - The weight, from 0 to 2147483647. With 0 no new connection goes there, and the open ones go on. 1 in a
                new real server.
              - O(weights=keep) leaves the weight of a real server that is there already.
            type: int
          upper_threshold:
            description:
              - The number of connections from which on the real server gets no new ones, from 0 to 2147483647. 0, as
                in a new real server, sets no limit.
            type: int
          lower_threshold:
            description:
              - The number of connections below which it gets new ones again, at most
                O(config[].real_servers[].upper_threshold). 0, as in a new real server, stands for three quarters of
                it.
            type: int
          tunnel:
            description:
              - With V(tun) only; the tunnel, set as a whole. C(type) is V(ipip) (when not named), V(gue) or V(gre).
                C(port) is the port a V(gue) tunnel goes to, required there and refused elsewhere. C(checksum) is
                V(none) (when not named), V(csum) (V(gue) and V(gre)) or V(remcsum) (V(gue)).
              - Needs Linux 5.2 for V(gue) and 5.3 for V(gre) and checksums. An older kernel takes the row and makes
                it an V(ipip) tunnel; the module reads such rows back and fails.
            type: dict
  state:
    description:
      - V(merged) adds what is missing and sets what is named. It removes nothing.
      - V(replaced) makes the listed services exactly what is said, and leaves other services alone.
      - V(overridden) does the same and removes other services, as far as O(scope) and O(record) allow.
      - V(deleted) removes the listed services or real servers; without O(config) all that O(scope) and O(record)
        allow.
      - V(gathered) returns the running table as RV(gathered) and changes nothing.
      - V(rendered) returns O(config) as text for C(ipvsadm -R), RV(rendered).
      - V(parsed) returns the text in O(running_config) as RV(parsed).
    type: str
    choices: [merged, replaced, overridden, deleted, gathered, rendered, parsed]
    default: merged
  running_config:
    description:
      - For O(state=parsed), the text C(ipvsadm -S) wrote, with or without C(-n), or a script of C(ipvsadm) commands
        that build a table. Host and port names are looked up on the target.
    type: str
  scope:
    description:
      - What may be removed. A limit only; it never keeps anything from being added or changed.
      - V(all), or a dictionary with any of C(networks) (a list of networks whose virtual addresses are covered),
        C(marks) (a list of firewall marks or ranges like C(100-199)) and C(protocols) (a list of V(tcp), V(udp),
        V(sctp) that narrows C(networks), or by itself covers every address).
      - O(state=overridden), and O(state=deleted) without O(config), need O(scope) or O(record).
    type: raw
  record:
    description:
      - The path of a file that remembers what this task owns, like C(/etc/lvs/table.ipvs). Only rows in it are ever
        removed. Rows in O(config) become ours, also those that were there before.
      - A real server that somebody else put into a service of ours is left alone; a service that holds one is not
        deleted and is theirs from then on.
      - The file is text for C(ipvsadm -R), mode 0600, replaced in one step. It is widened before the kernel is
        touched and narrowed after success, so that a run that was cut off is mended by the next. A record that owns
        nothing is removed.
      - Together with O(scope) both are limits.
    type: path
  allow_empty:
    description:
      - Take an empty O(config) with O(state=replaced) or O(state=overridden), and O(state=deleted) without O(config),
        at its word. Without it they fail, so that one bad expression cannot empty the table.
    type: bool
    default: false
  weights:
    description:
      - V(set) sets the weights in O(config).
      - V(keep) sets them in new real servers only, for tables whose running weights belong to a health checker. The
        record holds the weights in O(config) either way.
    type: str
    choices: [set, keep]
    default: set
  removed:
    description:
      - V(delete) deletes real servers that leave at once. The kernel then drops the packets of their connections.
      - V(quiesce) gives a real server that leaves weight 0, and keeps it, and in O(record), while it has active,
        inactive or persistent connections. A later run deletes it. Services stay as long as they hold such a real
        server.
    type: str
    choices: [delete, quiesce]
    default: delete
extends_documentation_fragment:
  - lvs.cluster.attributes
notes:
  - Rows that cannot be said in O(config) are listed in RV(unsupported) and never touched, for example services of
    unknown protocols, or of port 0 without persistence.
  - Several writers may share a table. A row that another program added or removed in the meantime is set or left as
    the plan needs it.
seealso:
  - name: ipvsadm(8)
    description: The administration tool, whose words the messages use.
    link: https://manpages.debian.org/ipvsadm
  - name: IPVS sysctls
    description: The kernel's own settings, such as expire_nodest_conn.
    link: https://docs.kernel.org/networking/ipvs-sysctl.html
"""

EXAMPLES = r"""
- name: One balanced web service, direct routing
  lvs.cluster.ipvs:
    config:
      - address: 192.0.2.10
        port: 80
        protocol: tcp
        scheduler: wrr
        real_servers:
          - {address: 198.51.100.11, forward: dr, weight: 1}
          - {address: 198.51.100.12, forward: dr, weight: 2}

- name: Take one real server out for maintenance, touch nothing else
  lvs.cluster.ipvs:
    config:
      - address: 192.0.2.10
        port: 80
        real_servers:
          - {address: 198.51.100.11, weight: 0}

- name: Own exactly these rows and remember them for the next boot
  lvs.cluster.ipvs:
    state: overridden
    record: /etc/lvs/table.ipvs
    config: "{{ my_table }}"

- name: Nothing but these services in one network of virtual addresses
  lvs.cluster.ipvs:
    state: overridden
    scope: {networks: [192.0.2.0/24]}
    config:
      - {address: 192.0.2.10, port: 53, protocol: udp, one_packet: true, scheduler: rr,
         real_servers: [{address: 198.51.100.11, forward: nat}]}

- name: HTTP and HTTPS tied together by a mark, clients of one /24 to one server
  lvs.cluster.ipvs:
    config:
      - fwmark: 1
        scheduler: sh
        scheduler_flags: [sh-fallback]
        persistence: {timeout: 300, netmask: 24}
        real_servers:
          - {address: 198.51.100.11, forward: tun, tunnel: {type: gue, port: 6080}}

- name: Delete one real server, and one whole service
  lvs.cluster.ipvs:
    state: deleted
    config:
      - {address: 192.0.2.10, port: 80, real_servers: [{address: 198.51.100.12}]}
      - {address: 192.0.2.10, port: 443}

- name: Give back everything this collection put into the table
  lvs.cluster.ipvs:
    state: deleted
    record: /etc/lvs/table.ipvs
    allow_empty: true

- name: Read the running table
  lvs.cluster.ipvs:
    state: gathered
  register: table

- name: Translate a script of ipvsadm commands
  lvs.cluster.ipvs:
    state: parsed
    running_config: "{{ lookup('ansible.builtin.file', 'lvs.sh') }}"
"""

RETURN = r"""
commands:
  description:
    - The C(ipvsadm) commands that say the same as what was done, or would be done in check mode, in order.
    - The first 1000 only; RV(omitted) counts the rest.
  returned: when O(state) is merged, replaced, overridden or deleted
  type: list
  elements: str
  sample: ["ipvsadm -e -t 192.0.2.10:80 -r 198.51.100.11:80 -g -w 0"]
omitted:
  description: How many commands are not listed. RV(before) and RV(after) leave services out as well then.
  returned: when there are more than 1000
  type: int
  sample: 10000
before:
  description: The services that change, as they were, as valid O(config).
  returned: when something changes in the kernel
  type: list
  elements: dict
  sample: []
after:
  description: The services that change, as they are now, as valid O(config).
  returned: when something changes in the kernel
  type: list
  elements: dict
  sample:
    - address: 192.0.2.10
      port: 80
      protocol: tcp
      scheduler: wlc
      scheduler_flags: []
      one_packet: false
      persistence: false
      real_servers:
        - {address: 198.51.100.11, port: 80, forward: dr, weight: 1, upper_threshold: 0, lower_threshold: 0}
quiesced:
  description: The real servers that should leave and stay with weight 0 for the connections they have.
  returned: when there are any
  type: list
  elements: str
  sample: ["198.51.100.12:80 of tcp 192.0.2.10:80"]
unsupported:
  description: Rows of the running table that cannot be said in O(config), each with its reason. They are never
    touched.
  returned: when there are any
  type: list
  elements: dict
  contains:
    row:
      description: The service, or the real server and its service.
      type: str
      sample: protocol 1 192.0.2.10:80
    reason:
      description: Why it cannot be said.
      type: str
      sample: "protocol: 1 is none of tcp, udp, sctp"
gathered:
  description: The running table, as valid O(config).
  returned: when O(state=gathered)
  type: list
  elements: dict
  sample: []
rendered:
  description: O(config) as text for C(ipvsadm -R), with the thresholds that C(ipvsadm -S) would lose.
  returned: when O(state=rendered)
  type: str
  sample: "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 198.51.100.11:80 -g -w 1\n"
parsed:
  description: The table in O(running_config), as valid O(config).
  returned: when O(state=parsed)
  type: list
  elements: dict
  sample: []
applied:
  description: What had been done when the kernel refused an action. The first 1000 commands only.
  returned: when the kernel refuses an action
  type: list
  elements: str
  sample: []
errno:
  description: The kernel's error number for the refused action.
  returned: when the kernel refuses an action
  type: int
  sample: 2
"""

import json
from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule

# config is documented as the list of dictionaries that it is, and declared raw, for three reasons. The action sends
# long tables as text. Declared suboptions would put a null into every option that is left out, and tell left out from
# null no more. And they cost: 0.18 s instead of 0.06 s for 10,000 real servers, and a third more memory.
ARGUMENTS = {
    "config": {"type": "raw"},
    "state": {
        "choices": ["merged", "replaced", "overridden", "deleted", "gathered", "rendered", "parsed"],
        "default": "merged",
    },
    "running_config": {"type": "str"},
    "scope": {"type": "raw"},
    "record": {"type": "path"},
    "allow_empty": {"type": "bool", "default": False},
    "weights": {"choices": ["set", "keep"], "default": "set"},
    "removed": {"choices": ["delete", "quiesce"], "default": "delete"},
}
REQUIRED_IF = [
    ("state", "merged", ["config"]),
    ("state", "replaced", ["config"]),
    ("state", "overridden", ["config"]),
    ("state", "overridden", ["scope", "record"], True),
    ("state", "rendered", ["config"]),
    ("state", "parsed", ["running_config"]),
]


def empty_refusal(params: Dict[str, Any]) -> Optional[str]:
    """Return why an empty config is not taken at its word, or None."""
    state, config = params["state"], params["config"]
    if config or params["allow_empty"] or state not in ("replaced", "overridden", "deleted"):
        return None
    effect = "does nothing" if state == "replaced" else "empties everything that scope and record allow"
    return "state %s with an empty config %s; if that is meant, set allow_empty: true" % (state, effect)


def rows_of(config: Any) -> Any:
    """Return config as it was written: the action plugin sends it as JSON text."""
    if not isinstance(config, str):
        return config
    try:
        return json.loads(config)
    except ValueError:
        return config


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    module.params["config"] = rows_of(module.params["config"])
    refusal = empty_refusal(module.params)
    if refusal:
        module.fail_json(msg=refusal)
    if module.params["state"] in ("merged", "replaced") and not module.params["config"]:
        module.exit_json(changed=False, commands=[])
    # Compiling this is most of a small run's time, so a run that has nothing to do goes without it.
    from ansible_collections.lvs.cluster.plugins.module_utils import states  # noqa: PLC0415

    echo = invocation(module.params)
    try:
        result = states.run(module)
    except Exception as error:
        failure = states.failure(error)
        if failure is None:
            raise
        module.fail_json(invocation=echo, **failure)
    module.exit_json(invocation=echo, **result)


def invocation(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the parameters without a long config: sending it back would cost more than the work."""
    config = params["config"]
    if config and len(config) > 20:
        params = dict(params, config="%d services" % len(config))
    return {"module_args": params}


if __name__ == "__main__":
    main()
