#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's IPVS synchronisation daemons."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_sync
short_description: Start and stop the kernel's connection synchronisation
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - Directors tell each other of their connections, so that these survive when another one takes over. The kernel's
    master daemon sends, its backup daemon receives; both may run at once, each with its own settings.
  - Starts or stops one of them, as C(ipvsadm --start-daemon) does. They belong to one network namespace and do not
    come back after a reboot.
  - The kernel cannot change a running daemon, so a daemon that differs is stopped and started again, and
    RV(restarted) says so. What is sent in between is lost to the others until the next packet of each connection.
  - Do not use it where keepalived has C(lvs_sync_daemon); they would undo each other.
requirements:
  - Python 3.8 or newer on the target.
  - The kernel module C(ip_vs). It is loaded when it is needed, never in check mode.
  - C(CAP_NET_ADMIN) in the initial user namespace, usually C(become=true).
options:
  daemon:
    description: Which of the two.
    type: str
    choices: [master, backup]
    required: true
  state:
    description: Whether it runs.
    type: str
    choices: [present, absent]
    default: present
  interface:
    description:
      - The network interface to send or listen on, at most 15 characters. Required to start a daemon; a running one
        keeps its own when this is not named. The master's must be up.
    type: str
  sync_id:
    description:
      - A number from 0 to 255 that tells groups of directors apart. A backup with 0 takes every group's messages.
      - 0 in a new daemon; a running one keeps its own when this is not named.
    type: int
  max_length:
    description:
      - The longest message in bytes, from 1 to 65507 for the master and from 1024 for the backup. The kernel takes it
        from the interface's MTU when it is not named, and a running daemon keeps its own. Needs Linux 4.3.
    type: int
  group:
    description:
      - The multicast group, an IPv4 or IPv6 address. The kernel's is V(224.0.0.81); a running daemon keeps its own
        when this is not named. Needs Linux 4.3.
    type: str
  port:
    description:
      - The UDP port, from 1 to 65535. The kernel's is 8848; a running daemon keeps its own when this is not named.
        Needs Linux 4.3.
    type: int
  ttl:
    description:
      - The multicast time to live, from 1 to 255. The kernel's is 1; a running daemon keeps its own when this is not
        named. Needs Linux 4.3.
    type: int
extends_documentation_fragment:
  - lvs.cluster.attributes
seealso:
  - module: lvs.cluster.ipvs_info
  - name: ipvsadm(8)
    description: The administration tool; see its C(--start-daemon).
    link: https://manpages.debian.org/ipvsadm
"""

EXAMPLES = r"""
- name: Send this director's connections
  lvs.cluster.ipvs_sync:
    daemon: master
    interface: eth0
    sync_id: 1

- name: Receive the other's
  lvs.cluster.ipvs_sync:
    daemon: backup
    interface: eth0
    sync_id: 1

- name: Stop sending
  lvs.cluster.ipvs_sync:
    daemon: master
    state: absent
"""

RETURN = r"""
commands:
  description: The C(ipvsadm) commands that say the same as what was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ["ipvsadm --start-daemon master --mcast-interface eth0 --syncid 1"]
restarted:
  description: Whether a running daemon was stopped and started again, since the kernel cannot change it.
  returned: always
  type: bool
  sample: false
before:
  description: The daemon before, as RV(after). Empty when it did not run.
  returned: always
  type: dict
  sample: {}
after:
  description:
    - The daemon now. Empty when it does not run. In check mode the values that the kernel will choose are null.
  returned: always
  type: dict
  sample: {role: master, interface: eth0, sync_id: 1, max_length: 1472, group: 224.0.0.81, port: 8848, ttl: 1}
"""

from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, kernel_state
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

ARGUMENTS = {
    "daemon": {"choices": ["master", "backup"], "required": True},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "interface": {"type": "str"},
    "sync_id": {"type": "int"},
    "max_length": {"type": "int"},
    "group": {"type": "str"},
    "port": {"type": "int"},
    "ttl": {"type": "int"},
}
LIMITS = {"sync_id": (0, 255), "max_length": (1, 65507), "port": (1, 65535), "ttl": (1, 255)}


def parse(params: Dict[str, Any]) -> kernel_state.Daemon:
    """Return the daemon the parameters name. TableError for what makes no sense."""
    for name, (low, high) in LIMITS.items():
        if name == "max_length" and params["daemon"] == "backup":
            low = 1024
        if params[name] is not None and not low <= params[name] <= high:
            raise t.TableError("%s: %d is not from %d to %d" % (name, params[name], low, high))
    if params["interface"] is not None and not 0 < len(params["interface"]) <= 15:
        raise t.TableError("interface: %r is no interface's name" % params["interface"])
    group = None
    if params["group"] is not None:
        group = t.parse_address(params["group"])
        if not (group[0] >> 4 == 14 if len(group) == 4 else group[0] == 255):
            raise t.TableError("group: %s is no multicast address; the kernel's own is 224.0.0.81" % params["group"])
    return kernel_state.Daemon(
        params["daemon"],
        params["interface"],
        params["sync_id"],
        params["max_length"],
        group,
        params["port"],
        params["ttl"],
    )


def complete(wish: kernel_state.Daemon, running: Optional[kernel_state.Daemon]) -> kernel_state.Daemon:
    """Return the daemon to run: what is not named stays as it is, or is the kernel's choice."""
    if running is None:
        if wish.interface is None:
            raise t.TableError("interface is required to start the %s daemon" % wish.role)
        return wish._replace(sync_id=wish.sync_id or 0)
    daemon = kernel_state.Daemon._make(old if new is None else new for new, old in zip(wish, running))
    if wish.interface not in (None, running.interface) and wish.max_length is None:
        # Another interface may have another MTU.
        daemon = daemon._replace(max_length=None)
    return daemon


def run(module: Any) -> Dict[str, Any]:
    """Bring the daemon to what is asked; return the result."""
    wish = parse(module.params)
    ipvs = kernel.connect()
    running = kernel_state.read_daemons(ipvs).get(wish.role) if ipvs else None
    target = complete(wish, running) if module.params["state"] == "present" else None
    changed = target != running
    commands = []
    if changed and running is not None:
        commands.append(kernel_state.stop_command(wish.role))
    if changed and target is not None:
        commands.append(target.start_command())
    after = target
    if changed and not module.check_mode:
        after = apply(ipvs or kernel.load(), running, target)
    result: Dict[str, Any] = {
        "changed": changed,
        "commands": commands,
        "restarted": changed and running is not None and target is not None,
        "before": running.config() if running else {},
        "after": after.config() if after else {},
    }
    if changed:
        result["diff"] = {"before": text(result["before"]), "after": text(result["after"])}
    return result


def apply(
    ipvs: kernel.Ipvs, running: Optional[kernel_state.Daemon], target: Optional[kernel_state.Daemon]
) -> Optional[kernel_state.Daemon]:
    """Stop and start; return what runs then. The old daemon is started again when the new one is refused."""
    if running is not None:
        kernel_state.stop_daemon(ipvs, running.role)
    if target is None:
        return None
    try:
        kernel_state.start_daemon(ipvs, target)
    except kernel_state.DaemonError:
        if running is not None:
            kernel_state.start_daemon(ipvs, running)
        raise
    found = kernel_state.read_daemons(ipvs).get(target.role)
    if found is None or any(want not in (None, got) for want, got in zip(target, found)):
        raise kernel_state.DaemonError(
            "%s: the kernel runs %s instead; it may be too old for some of it" % (target.start_command(), found)
        )
    return found


def text(daemon: Dict[str, Any]) -> str:
    """Return a daemon as lines for a diff."""
    return "".join("%s: %s\n" % item for item in daemon.items() if item[1] is not None)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except (kernel.KernelError, kernel_state.DaemonError, t.TableError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
