# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read every host's ``lvs_*`` variables and build the model of all clusters, once a run, on the controller alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# Ansible compiles a collection's filters anew in each process it forks, for every host and task, unless the process
# that forks has them already. That one loads this action, so the filters come with it.
from ansible_collections.lvs.cluster.plugins.filter import objects, view  # noqa: F401
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import InventoryError
from ansible_collections.lvs.cluster.plugins.plugin_utils.variables import Inventory
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack


class ActionModule(ActionBase):
    """Connects to no host, changes nothing, runs the same in check mode."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the model, or fail with every problem of the inventory."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if self._task.args:
            raise AnsibleError(f"lvs.cluster.model takes no parameters: {', '.join(sorted(self._task.args))}")
        variables: Mapping[str, Any] = task_vars or {}
        try:
            inventory = Inventory(variables, self._loader)
            model = pack(build(inventory.read(), inventory.groups))
        except InventoryError as error:
            return {**result, **_failure(error.problems)}
        # The whole model on the screen at -v would bury everything else; debug shows it to who wants it.
        return {**result, "changed": False, **model, "_ansible_verbose_override": True}


def _failure(problems: list[str]) -> dict[str, Any]:
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return {"failed": True, "msg": "\n".join([f"The inventory has {count}:", *problems]), "problems": problems}
