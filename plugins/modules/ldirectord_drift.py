#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the kernel's table is not what ldirectord was told."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ldirectord_drift
short_description: Wait for ldirectord to do what its file says, find what others changed in its services
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - ldirectord acts some time after it was told to reload, and looks at the kernel's table again only when a real server
    comes or goes. This module compares the kernel's table with the services that ldirectord watches, as the inventory
    describes them, and waits for some seconds for both to agree.
  - Drift are services that are missing or have other attributes, real servers with other attributes or another weight,
    and real servers that nobody described.
  - What health checks may have done is no drift. A real server that is missing or has weight 0 is taken for down, since
    ldirectord tells nobody what it believes. Nor is the fallback server drift. Services that are not described are
    never looked at.
requirements:
  - Python 3.8 or newer on the target.
  - C(CAP_NET_ADMIN) in the initial user namespace, usually C(become=true).
options:
  watched:
    description: The services, as C(watched) of P(lvs.cluster.view#filter) gives them, or the same as JSON text.
    type: raw
    required: true
  repair:
    description:
      - Whether to let ldirectord read its file again, which makes the table what it says. Otherwise differences are
        reported and warned of.
    type: bool
    default: false
  linger:
    description:
      - For how many seconds to go on looking while everything is as it should be, where another program is about to
        take rows away.
    type: int
    default: 0
  unit:
    description: ldirectord's unit.
    type: str
    default: ldirectord.service
extends_documentation_fragment:
  - lvs.cluster.attributes
seealso:
  - module: lvs.cluster.keepalived_drift
"""

EXAMPLES = r"""
- name: Has anybody touched ldirectord's services?
  lvs.cluster.ldirectord_drift:
    watched: "{{ (__lvs_cluster | lvs.cluster.view(inventory_hostname)).watched }}"
  register: drift
"""

RETURN = r"""
drift:
  description: The differences.
  returned: always
  type: list
  elements: str
  sample: ["192.0.2.11:80 of tcp 192.0.2.10:80 has weight 5 in place of 1"]
commands:
  description: What was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ["systemctl reload ldirectord.service"]
"""

import time
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import drift as d
from ansible_collections.lvs.cluster.plugins.module_utils import kernel
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

PAUSES = (1, 1, 2, 3, 4)


def look(watched: List[d.Watched]) -> List[d.Drift]:
    """What differs now."""
    return d.find(watched, as_described(watched, kernel.table_now()), {})


def as_described(watched: List[d.Watched], current: t.Table) -> t.Table:
    """The table with what ldirectord itself changes put back: a server of weight 0 has lost its thresholds."""
    table = dict(current)
    for service, wanted in (one.entry for one in watched):
        entry = table.get(service.key)
        if entry is None:
            continue
        servers = dict(entry.real_servers)
        for key, there in servers.items():
            if there.weight == 0 and key in wanted:
                servers[key] = there._replace(upper=wanted[key].upper, lower=wanted[key].lower)
        table[service.key] = entry._replace(real_servers=servers)
    return table


def settled(watched: List[d.Watched], linger: int = 0) -> List[d.Drift]:
    """What differs, and still does after some time."""
    found = look(watched)
    for _second in range(linger):
        if found:
            break
        time.sleep(1)
        found = look(watched)
    for pause in PAUSES:
        if not found:
            break
        time.sleep(pause)
        found = look(watched)
    return found


def runs(module: Any) -> bool:
    """Tell whether there is anybody to compare with."""
    words = ["systemctl", "is-active", "--quiet", module.params["unit"]]
    status, _out, _err = module.run_command(words, environ_update={"LC_ALL": "C"})
    return bool(status == 0)


def run(module: Any) -> Dict[str, Any]:
    """Compare, and mend what is asked for."""
    unit = module.params["unit"]
    watched = d.parse_watched(module.params["watched"])
    if not runs(module):
        if not module.check_mode:
            module.warn("%s does not run: see journalctl -u %s" % (unit, unit))
        return {"changed": False, "drift": [], "commands": []}
    found = settled(watched, 0 if module.check_mode else module.params["linger"])
    reload = ["systemctl", "reload", unit]
    mend = bool(found) and module.params["repair"]
    left = found
    if mend and not module.check_mode:
        status, out, err = module.run_command(reload, environ_update={"LC_ALL": "C"})
        if status != 0:
            module.fail_json(msg="%s: %s" % (" ".join(reload), (err or out).strip()))
        left = settled(watched)
    if left and not (mend and module.check_mode):
        module.warn(
            "The kernel's table is not what ldirectord was told: %s. Find out who changed it; the role mends it with"
            " ldirectord_repair_drift: true." % "; ".join(one.text for one in left)
        )
    return {
        "changed": mend,
        "drift": [one.text for one in found],
        "commands": [" ".join(reload)] if mend else [],
    }


def main() -> None:
    """Run the module."""
    arguments = {
        "watched": {"type": "raw", "required": True},
        "repair": {"type": "bool", "default": False},
        "linger": {"type": "int", "default": 0},
        "unit": {"type": "str", "default": "ldirectord.service"},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    try:
        result = run(module)
    except (kernel.KernelError, kernel.Refused, t.TableError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
