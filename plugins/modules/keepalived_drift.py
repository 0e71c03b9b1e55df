#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the kernel's table is not what keepalived believes it to be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: keepalived_drift
short_description: Find and mend what others changed in keepalived's services
version_added: 0.1.0
author:
  - The lvs.cluster authors (@lvs-cluster)
description:
  - keepalived's reload compares its new file with its old one and never looks at the kernel. This module compares the
    kernel's IPVS table with the services that keepalived watches, as the inventory describes them.
  - Drift are services that are missing or have other attributes, real servers with other attributes or another weight,
    real servers that nobody described, a real server that keepalived holds up and that is missing or at weight 0, and
    one that keepalived has taken out and that is there all the same.
  - What health checks did is no drift; a real server that is down is not put back, whatever O(repair) says. Nor is
    the fallback server while they are down. Services that are not described are never touched.
  - keepalived's opinion comes from what it writes at C(SIGUSR1). Without it, real servers that are missing or at
    weight 0 are taken for down.
  - A difference counts only when it is still there after some seconds, since a check or a reload may be about to change
    it.
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
      - Whether to change the kernel's table back. Otherwise differences are reported and warned of.
      - A fallback that answers beside the real servers is taken out in any case. That is nobody's doing. keepalived
        forgets that it is there when it is reloaded meanwhile.
    type: bool
    default: false
  record:
    description:
      - A record of M(lvs.cluster.ipvs) that keepalived has taken over from, for example C(/etc/lvs/table.ipvs). Its
        rows that are not described are deleted from the kernel, the others are left for keepalived, and differences are
        mended once whatever O(repair) says. Then the record is removed.
    type: path
  unit:
    description: keepalived's unit.
    type: str
    default: keepalived.service
extends_documentation_fragment:
  - lvs.cluster.attributes
seealso:
  - module: lvs.cluster.ipvs_info
"""

EXAMPLES = r"""
- name: Has anybody touched keepalived's services?
  lvs.cluster.keepalived_drift:
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
  description: The C(ipvsadm) commands that say the same as what was done, or would be done in check mode.
  returned: always
  type: list
  elements: str
  sample: ["ipvsadm -e -t 192.0.2.10:80 -r 192.0.2.11:80 -g -w 1"]
opinions:
  description: Whether keepalived told its opinion of the real servers.
  returned: always
  type: bool
  sample: true
"""

import os
import stat
import time
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import drift as d
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, record
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.module_utils.plan import Action

DATA = "/proc/%d/root/tmp/keepalived_check.data"
END = "Health checkers"
OWNER = 0
PATIENCE = 5.0
PAUSES = (1, 2, 3)


class Keepalived:
    """The running keepalived, which can be asked for its opinions."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.answered = False

    def runs(self) -> bool:
        """Tell whether there is anybody to compare with."""
        return self._pid() > 0

    def opinions(self) -> d.Opinions:
        """Ask for what it holds; nothing when it does not run or does not answer."""
        pid = self._pid()
        text = self._data(pid) if pid else None
        self.answered = text is not None
        return d.parse_data(text or "")

    def _pid(self) -> int:
        words = ["systemctl", "show", "-p", "MainPID", self._module.params["unit"]]
        _status, out, _err = self._module.run_command(words, environ_update={"LC_ALL": "C"})
        number = out.strip().partition("=")[2]
        return int(number) if number.isdigit() else 0

    def _data(self, pid: int) -> Optional[str]:
        """What keepalived writes on demand: a new file of root's, whole once the part behind ours has begun."""
        path = DATA % pid
        try:
            if stat.S_ISREG(os.lstat(path).st_mode):
                os.unlink(path)
        except FileNotFoundError:
            pass
        try:
            os.kill(pid, 10)  # SIGUSR1
        except ProcessLookupError:
            return None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            text = _read_own(path)
            if END in text:
                return text
            time.sleep(0.1)
        return None


def _read_own(path: str) -> str:
    """A regular file of root's: the folder is everybody's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return ""
    with os.fdopen(handle, encoding="utf-8", errors="replace") as stream:
        found = os.fstat(handle)
        return stream.read() if found.st_uid == OWNER and stat.S_ISREG(found.st_mode) else ""


def look(watched: List[d.Watched], keepalived: Keepalived) -> Tuple[List[d.Drift], t.Table]:
    """What differs now. Opinions are asked for first: what a check changes in between is looked at again."""
    opinions = keepalived.opinions()
    current = kernel.table_now()
    return d.find(watched, current, opinions), current


def settled(watched: List[d.Watched], keepalived: Keepalived) -> Tuple[List[d.Drift], t.Table]:
    """What differs, and still does after some time."""
    found, current = look(watched, keepalived)
    for pause in PAUSES:
        if not found:
            break
        time.sleep(pause)
        again, current = look(watched, keepalived)
        found = d.both(found, again)
    return found, current


def leftovers(path: str, watched: List[d.Watched], current: t.Table) -> List[Action]:
    """The rows of a record that no service describes any more."""
    described = {one.entry.service.key for one in watched}
    gone = [key for key in record.parse(record.read(path), path) if key not in described]
    return [Action("-D", current[key].service) for key in gone if key in current]


def run(module: Any) -> Dict[str, Any]:
    """Compare, and mend what is asked for."""
    watched = d.parse_watched(module.params["watched"])
    path = module.params["record"]
    taken_over = bool(path) and os.path.exists(path)
    keepalived = Keepalived(module)
    if not keepalived.runs():
        if not module.check_mode:
            module.warn("%s does not run: see journalctl -u %s" % (module.params["unit"], module.params["unit"]))
        return {"changed": False, "drift": [], "commands": [], "opinions": False}
    found, current = settled(watched, keepalived)
    mend = module.params["repair"] or taken_over
    left = [] if mend else [one.text for one in found if not one.forgotten]
    actions = [one.action for one in found if mend or one.forgotten]
    removals = leftovers(path, watched, current) if taken_over else []
    if left:
        module.warn(
            "The kernel's table is not what keepalived believes it to be: %s. Find out who changed it; the role mends"
            " it with keepalived_repair_drift: true." % "; ".join(left)
        )
    if not module.check_mode:
        if actions or removals:
            kernel.load().apply(actions, removals)
        if taken_over:
            record.remove(path)
    return {
        "changed": bool(actions or removals or taken_over),
        "drift": [one.text for one in found],
        "commands": [action.command() for action in actions + removals],
        "opinions": keepalived.answered,
    }


def main() -> None:
    """Run the module."""
    arguments = {
        "watched": {"type": "raw", "required": True},
        "repair": {"type": "bool", "default": False},
        "record": {"type": "path"},
        "unit": {"type": "str", "default": "keepalived.service"},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    try:
        result = run(module)
    except (kernel.KernelError, kernel.Refused, t.TableError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
