# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what Ansible executes on hosts: one line `host module` in $BENCH_EXECUTIONS for each module execution.

The count is taken where Ansible sends a module, so it knows no exceptions: what an action plugin runs besides its own
module counts (package asks setup for the package manager), and what never leaves the controller does not.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: executions
type: aggregate
short_description: counts module executions per host
description: Writes one line for each module execution on a host into the file that BENCH_EXECUTIONS names.
options: {}
"""


def counted(execute: Any) -> Any:
    """Wrap ActionBase._execute_module."""

    @functools.wraps(execute)
    def wrapper(self: Any, module_name: Any = None, *args: Any, **kwargs: Any) -> Any:
        host = (kwargs.get("task_vars") or {}).get("inventory_hostname", "?")
        # One write of one short line to a file opened for appending: workers do not tear each other's lines.
        with open(os.environ["BENCH_EXECUTIONS"], "a") as log:
            log.write(f"{host} {module_name or self._task.action}\n")
        return execute(self, module_name, *args, **kwargs)

    return wrapper


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "executions"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Here, in the process that forks the workers: they inherit it.
        ActionBase._execute_module = counted(ActionBase._execute_module)
