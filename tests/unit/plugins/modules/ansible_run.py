# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main() in this process, and a kernel that lives in memory."""

from __future__ import annotations

import errno
import json

from ansible.module_utils import basic
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, kernel_modules
from ansible_collections.lvs.cluster.plugins.module_utils import plan as p


class Exit(Exception):
    """The module ended."""


def run(monkeypatch, module, params, check=False, diff=False):
    """Run module.main() with params; return its result, with failed and warnings."""
    arguments = dict(params, _ansible_check_mode=check, _ansible_diff=diff)
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    # Newer versions of ansible-core want to know how the arguments are encoded.
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    warnings = []

    def end(self, **result):
        raise Exit({"failed": False, "warnings": warnings, **result})

    def fail(self, msg, **result):
        raise Exit({"failed": True, "msg": msg, "warnings": warnings, **result})

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", end)
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", fail)
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda self, text: warnings.append(text))
    try:
        module.main()
    except Exit as end_of_run:
        return end_of_run.args[0]
    raise AssertionError("the module did not end")


class MemoryKernel:
    """IPVS in memory: not loaded at first, refuses schedulers it does not know."""

    def __init__(self, monkeypatch, table=None, loaded=True):
        self.table = table or {}
        self.loaded = loaded
        self.busy = frozenset()
        self.unsupported = ()
        self.applied = 0
        self.limit = None
        monkeypatch.setattr(kernel, "connect", lambda: self if self.loaded else None)
        monkeypatch.setattr(kernel, "load", self.load)
        # Which modules the machine has that runs the tests says nothing about this kernel.
        monkeypatch.setattr(kernel_modules, "lacking", lambda wanted: [name for name in wanted if name in self.lacking])
        self.lacking = ()

    def load(self):
        self.loaded = True
        return self

    def read(self):
        return p.Current(self.table, self.busy, frozenset(), self.unsupported)

    def apply(self, build, remove):
        done = []
        for action in [*build, *remove]:
            if self.limit is not None and self.applied >= self.limit:
                raise KeyboardInterrupt("killed")
            if action.service.scheduler == "nosuch":
                raise kernel.Refused(action, errno.ENOENT, done)
            self.table = p.apply_to_table([action], self.table)
            self.applied += 1
            done.append(action)
