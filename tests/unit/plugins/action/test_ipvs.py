# SPDX-License-Identifier: GPL-3.0-or-later
"""The ipvs action plugin sends long lists as text, and nothing else."""

from __future__ import annotations

import json

from ansible_collections.lvs.cluster.plugins.action.ipvs import ActionModule, as_text


class Task:
    """What the plugin needs of a task."""

    async_val = 7

    def __init__(self, args):
        self.args = args


def sent(monkeypatch, **args):
    """Run the plugin; return what it hands to the module."""
    seen = {}

    def execute(self, **options):
        seen.update(options)
        return {"changed": True}

    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(ActionModule, "_execute_module", execute, raising=False)
    plugin = ActionModule.__new__(ActionModule)
    plugin._task = Task(args)
    assert plugin.run(task_vars={}) == {"changed": True}
    assert (seen["module_name"], seen["wrap_async"]) == ("lvs.cluster.ipvs", 7)
    assert plugin._task.args is args
    return seen["module_args"]


def test_a_table_travels_as_text(monkeypatch):
    config = [{"address": "192.0.2.10", "port": 80, "persistence": None, "one_packet": True}]
    args = sent(monkeypatch, state="merged", config=config)
    assert args["state"] == "merged"
    assert json.loads(args["config"]) == config


def test_what_is_no_list_travels_as_it_is(monkeypatch):
    assert sent(monkeypatch, state="gathered") == {"state": "gathered"}
    assert sent(monkeypatch, config=None) == {"config": None}
    assert sent(monkeypatch, config={"address": 1}) == {"config": {"address": 1}}


def test_what_json_cannot_say_is_left_to_ansible():
    odd = [{"address": object()}]
    assert as_text(odd) is odd
