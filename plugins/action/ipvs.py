# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send a table to the ipvs module as text.

Ansible copies a module's parameters twice, piece by piece, before the module sees them. For a table of 10,000 real
servers that is more work than all the rest of a run that changes nothing. Text is one piece.
"""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase


def as_text(config: Any) -> Any:
    """Return a list as JSON text; anything else, and what JSON cannot say, as it is."""
    if not isinstance(config, list):
        return config
    try:
        return json.dumps(config, separators=(",", ":"))
    except (TypeError, ValueError):
        return config


class ActionModule(ActionBase):
    """Runs the module of the same name."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; its result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        args = dict(self._task.args)
        if "config" in args:
            args["config"] = as_text(args["config"])
        result.update(
            self._execute_module(
                module_name="lvs.cluster.ipvs",
                module_args=args,
                task_vars=task_vars,
                wrap_async=self._task.async_val,
            )
        )
        return result
