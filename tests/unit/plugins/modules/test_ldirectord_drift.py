# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.modules import ldirectord_drift
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import MemoryKernel, run

ROW = {
    "address": "192.0.2.10",
    "port": 80,
    "protocol": "tcp",
    "scheduler": "rr",
    "real_servers": [
        {"address": "192.0.2.11", "port": 80, "forward": "dr", "weight": 1, "upper_threshold": 9},
        {"address": "192.0.2.12", "port": 80, "forward": "dr", "weight": 2},
    ],
}
FALLBACK = {"address": "192.0.2.99", "port": 80, "forward": "dr"}
WATCHED = json.dumps([{"row": ROW, "check": {"type": "tcp"}, "fallback": FALLBACK}])
HEAD = "-A -t 192.0.2.10:80 -s rr\n"
FIRST = "-a -t 192.0.2.10:80 -r 192.0.2.11:80 -g -w 1 -x 9\n"
SECOND = "-a -t 192.0.2.10:80 -r 192.0.2.12:80 -g -w 2\n"
QUIET = FIRST.replace("-w 1 -x 9", "-w 0")
SORRY = SECOND.replace(".12", ".99").replace("-w 2", "-w 1")
EXTRA = SECOND.replace(".12", ".13")


class Ldirectord:
    """It runs, and a reload makes the table what its file says."""

    def __init__(self, monkeypatch, table):
        self.kernel = MemoryKernel(monkeypatch, t.parse_saved(table))
        self.monkeypatch, self.running, self.slept, self.reloads = monkeypatch, True, 0, 0
        self.when = {}
        monkeypatch.setattr(ldirectord_drift.time, "sleep", self.sleep)
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))

    def sleep(self, seconds):
        self.slept += seconds
        for time, table in self.when.items():
            if self.slept >= time:
                self.kernel.table = t.parse_saved(table)

    def command(self, words):
        if words[1] == "reload":
            self.reloads += 1
            self.when.clear()
            self.kernel.table = t.parse_saved(HEAD + FIRST + SECOND)
        return (0 if self.running else 3), "", ""

    def run(self, check=False, **params):
        return run(self.monkeypatch, ldirectord_drift, {"watched": WATCHED, **params}, check=check)


@pytest.mark.parametrize(
    "rows", [FIRST + SECOND, SECOND, QUIET + SECOND, SORRY, QUIET + SORRY, ""], ids=lambda rows: str(len(rows))
)
def test_what_checks_did_is_no_drift(monkeypatch, rows):
    result = Ldirectord(monkeypatch, HEAD + rows).run()
    assert (result["changed"], result["drift"], result["warnings"]) == (False, [], [])


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("", "tcp 192.0.2.10:80 is missing"),
        (HEAD.replace("rr", "lc") + FIRST, "tcp 192.0.2.10:80 has other attributes"),
        (HEAD + FIRST + EXTRA, "192.0.2.13:80 of tcp 192.0.2.10:80 is in no description"),
        (HEAD + FIRST.replace("-w 1", "-w 7"), "192.0.2.11:80 of tcp 192.0.2.10:80 has weight 7 in place of 1"),
        (HEAD + FIRST.replace("-x 9", "-x 8"), "192.0.2.11:80 of tcp 192.0.2.10:80 has other attributes"),
    ],
)
def test_what_others_changed(monkeypatch, table, text):
    found = Ldirectord(monkeypatch, table)
    result = found.run()
    assert (result["changed"], result["drift"][:1], found.reloads) == (False, [text], 0)
    assert "ldirectord_repair_drift" in result["warnings"][0]
    assert 5 < found.slept < 30


def test_a_reload_takes_its_time(monkeypatch):
    found = Ldirectord(monkeypatch, HEAD + FIRST + EXTRA)
    found.when[4] = HEAD + FIRST
    result = found.run(repair=True)
    assert (result["changed"], found.reloads, result["warnings"]) == (False, 0, [])


@pytest.mark.parametrize("check", [True, False])
def test_reading_the_file_again_mends(monkeypatch, check):
    found = Ldirectord(monkeypatch, "")
    result = found.run(check, repair=True)
    assert (result["changed"], found.reloads, result["warnings"]) == (True, 0 if check else 1, [])
    assert result["commands"] == ["systemctl reload ldirectord.service"]


def test_rows_that_go_some_seconds_later(monkeypatch):
    found = Ldirectord(monkeypatch, HEAD + FIRST + SECOND)
    found.when[3] = ""
    assert not found.run(repair=True)["changed"]
    assert found.run(repair=True, linger=6)["changed"]
    assert t.render(found.kernel.table) == HEAD + FIRST + SECOND


@pytest.mark.parametrize("check", [True, False])
def test_nobody_runs(monkeypatch, check):
    found = Ldirectord(monkeypatch, "")
    found.running = False
    result = found.run(check)
    assert (result["changed"], result["drift"]) == (False, [])
    assert bool(result["warnings"]) is not check
