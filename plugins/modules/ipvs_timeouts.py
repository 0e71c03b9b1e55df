#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's IPVS timeouts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_timeouts
short_description: Set how long the kernel keeps idle IPVS connections
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - Sets the timeouts of the running kernel's IPVS, as C(ipvsadm --set) does. They hold for one network namespace and
    are lost at a reboot.
  - At least one of the options is required. A timeout that is not named stays as it is.
requirements:
  - Python 3.8 or newer on the target.
  - The kernel module C(ip_vs). It is loaded when it is needed, never in check mode.
  - C(CAP_NET_ADMIN) in the initial user namespace, usually C(become=true).
options:
  tcp:
    description:
      - How long an idle TCP connection is kept, in seconds from 0 to 2147483. The kernel starts with 900.
      - 0 leaves it as it is; the kernel knows no way to set 0.
    type: int
  tcp_fin:
    description:
      - How long a TCP connection is kept after a FIN, in seconds from 0 to 2147483. The kernel starts with 120.
      - 0 leaves it as it is.
    type: int
  udp:
    description:
      - How long an idle UDP flow is kept, in seconds from 0 to 2147483. The kernel starts with 300.
      - 0 leaves it as it is.
    type: int
extends_documentation_fragment:
  - lvs.cluster.attributes
seealso:
  - module: lvs.cluster.ipvs
  - name: ipvsadm(8)
    description: The administration tool; see its C(--set).
    link: https://manpages.debian.org/ipvsadm
"""

EXAMPLES = r"""
- name: Keep idle TCP connections for two hours
  lvs.cluster.ipvs_timeouts:
    tcp: 7200

- name: Set all three
  lvs.cluster.ipvs_timeouts:
    tcp: 900
    tcp_fin: 30
    udp: 60
"""

RETURN = r"""
commands:
  description: The C(ipvsadm) command that says the same as what was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ["ipvsadm --set 7200 0 0"]
before:
  description: The timeouts before, in seconds. Where IPVS is not loaded yet, those a kernel starts with.
  returned: always
  type: dict
  contains: &timeouts
    tcp:
      description: Idle TCP connections.
      type: int
      sample: 900
    tcp_fin:
      description: TCP connections after a FIN.
      type: int
      sample: 120
    udp:
      description: Idle UDP flows.
      type: int
      sample: 300
after:
  description: The timeouts now, in seconds.
  returned: always
  type: dict
  contains: *timeouts
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, kernel_state

ARGUMENTS = {name: {"type": "int"} for name in kernel_state.TIMEOUTS}


def run(module: Any) -> Dict[str, Any]:
    """Set what differs; return the result."""
    wanted = {name: module.params[name] for name in kernel_state.TIMEOUTS if module.params[name]}
    ipvs = kernel.connect()
    before = kernel_state.read_timeouts(ipvs) if ipvs else dict(kernel_state.DEFAULT_TIMEOUTS)
    differ = {name: value for name, value in wanted.items() if value != before[name]}
    after = dict(before, **differ)
    result = {"changed": bool(differ), "commands": [], "before": before, "after": after}
    if differ:
        result["commands"] = ["ipvsadm --set %d %d %d" % tuple(differ.get(name, 0) for name in kernel_state.TIMEOUTS)]
        result["diff"] = {"before": text(before), "after": text(after)}
        if not module.check_mode:
            kernel_state.write_timeouts(ipvs or kernel.load(), differ)
    return result


def text(timeouts: Dict[str, int]) -> str:
    """Return timeouts as lines for a diff."""
    return "".join("%s: %d\n" % item for item in timeouts.items())


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_one_of=[list(kernel_state.TIMEOUTS)], supports_check_mode=True
    )
    for name in kernel_state.TIMEOUTS:
        if not 0 <= (module.params[name] or 0) <= kernel_state.MAX_TIMEOUT:
            module.fail_json(msg="%s: %d is not from 0 to %d" % (name, module.params[name], kernel_state.MAX_TIMEOUT))
    try:
        result = run(module)
    except kernel.KernelError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
