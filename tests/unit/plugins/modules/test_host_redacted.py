# SPDX-License-Identifier: GPL-3.0-or-later
"""The host module: files with a secret line, units that must rest, and units of daemons whose files are ours."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils.host_objects import DIFFERS, Object, plan
from ansible_collections.lvs.cluster.plugins.module_utils.host_system import File
from ansible_collections.lvs.cluster.plugins.modules import host
from ansible_collections.lvs.cluster.plugins.plugin_utils.ldirectord import REDACT
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

UNIT = "ldirectord.service"
OLD = 'login = "lvs"\n    passwd = "o#d\'s"\nsecret="elder-1"\n'
NEW = 'login = "lvs"\n    passwd = "new one"\n'


class Host:
    """A host whose only unit is in a given state; commands are noted."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.state = {"UnitFileState": "enabled", "ActiveState": "active", "LoadState": "loaded"}
        self.commands = []
        self.verdict = (0, "", "")
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))
        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _self, name: f"/usr/sbin/{name}")

    def command(self, words):
        if words[:2] == ["systemctl", "show"]:
            return 0, "".join(f"{key}={value}\n" for key, value in self.state.items()), ""
        if words[0] == "judge":
            return self.verdict
        self.commands.append(" ".join(words))
        if words[:2] == ["systemctl", "disable"]:
            self.state = {"UnitFileState": "disabled", "ActiveState": "inactive", "LoadState": "loaded"}
        return 0, "", ""

    def run(self, state="present", **config):
        params = {"record": str(self.folder / "lvs" / "x.record"), "state": state}
        return run(self.monkeypatch, host, {**params, **({"config": config} if state == "present" else {})})


@pytest.fixture(name="machine")
def _machine(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", ["files", "secret_files"])
def test_a_diff_without_the_secrets_of_either_side(machine, tmp_path, kind):
    path = tmp_path / "conf"
    path.write_text(OLD)
    rows = {kind: [{"path": str(path), "content": NEW, "mode": "0600", "redact": REDACT}]}
    result = machine.run(**rows)
    (shown,) = [diff for diff in result["diff"] if diff["after_header"] == str(path)]
    assert shown["before"] == 'login = "lvs"\n    passwd = "(hidden)"\nsecret="(hidden)"\n'
    assert shown["after"] == 'login = "lvs"\n    passwd = "(hidden)"\n'
    said = json.dumps({key: value for key, value in result.items() if key != "invocation"})
    assert "new one" not in said and "elder-1" not in said
    assert path.read_text() == NEW
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_content_of_a_file_is_in_the_hosts_log(machine, tmp_path, monkeypatch):
    """Ansible logs parameters, and hides in what Python prints of them only secrets without line ends."""
    logged = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, *_, **__: logged.append(text))
    assert hasattr(AnsibleModule, "_log_invocation")
    machine.run(secret_files=[{"path": str(tmp_path / "conf"), "content": NEW}])
    assert "new one" not in "".join(logged)
    assert any("x.record" in text for text in logged)


def test_a_judge_that_quotes_a_secret_line_is_not_quoted(machine, tmp_path):
    path = str(tmp_path / "conf")
    machine.verdict = (2, "", 'no such: passwd = "new one"\n')
    daemon = {"unit": UNIT, "program": "x", "files": [path], "judge": ["judge"]}
    result = machine.run(secret_files=[{"path": path, "content": NEW, "redact": REDACT}], daemons=[daemon])
    assert "(a line of a secret file)" in result["msg"]
    assert "new one" not in result["msg"]


def test_what_is_secret_in_a_file():
    assert File(NEW, redact=REDACT).secrets.strip() == 'passwd = "new one"'
    assert File(NEW, secret=True).secrets == NEW
    assert File(NEW).secrets == ""
    assert File(NEW, secret=True).shown(NEW) is None


def test_a_unit_that_another_program_starts_rests(machine):
    result = machine.run(idle_units=[UNIT])
    assert result["commands"] == [f"systemctl disable --now {UNIT}"]
    assert not machine.run(idle_units=[UNIT])["changed"]
    machine.commands.clear()
    assert machine.run(state="absent")["commands"] == []
    assert machine.commands == []


@pytest.mark.parametrize(("enabled", "active"), [("enabled", "failed"), ("disabled", "active")])
def test_a_unit_that_somebody_stopped_or_disabled_is_taken_away_whole(machine, enabled, active):
    machine.state.update(UnitFileState="disabled", ActiveState="inactive")
    machine.run(units=[UNIT])
    machine.commands.clear()
    machine.state.update(UnitFileState=enabled, ActiveState=active)
    assert machine.run(state="absent")["commands"] == [f"systemctl disable --now {UNIT}"]


def test_a_unit_that_is_merely_enabled_was_not_at_work_before_us():
    unit = Object("unit", UNIT)
    assert plan([unit], [], {unit.key: UNIT + DIFFERS}).narrowed == [unit]


def test_a_daemon_that_ran_before_is_ours_once_its_file_is():
    unit = Object("unit", UNIT)
    current = {unit.key: UNIT}
    assert plan([unit], [], current).narrowed == [unit._replace(was="present")]
    ours = plan([unit], [], current, owned=[unit.key]).narrowed
    assert ours == [unit]
    assert plan([], ours, current).remove == [unit]
