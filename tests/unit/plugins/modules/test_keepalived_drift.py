# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import drift as d
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.modules import keepalived_drift
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import MemoryKernel, run

ROW = {
    "address": "192.0.2.10",
    "port": 80,
    "protocol": "tcp",
    "scheduler": "rr",
    "real_servers": [{"address": "192.0.2.11", "port": 80, "forward": "dr", "weight": 1}],
}
WATCHED = json.dumps([{"row": ROW, "check": {"type": "tcp"}, "fallback": None}])
GOOD = "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 192.0.2.11:80 -g -w 1\n"
WRONG = GOOD.replace("-s rr", "-s wlc")
OTHER = "-A -t 192.0.2.99:80 -s rr\n"
KEY = t.parse_config([ROW])[0].service.key
UP = {KEY: {(t.parse_address("192.0.2.11"), 80): d.Opinion(True, 1)}}


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(keepalived_drift.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(keepalived_drift.Keepalived, "runs", lambda _self: True)
    monkeypatch.setattr(keepalived_drift.Keepalived, "opinions", lambda _self: UP)
    return monkeypatch


def drift(monkeypatch, table, check=False, **params):
    kernel = MemoryKernel(monkeypatch, t.parse_saved(table))
    result = run(monkeypatch, keepalived_drift, {"watched": WATCHED, **params}, check=check)
    return result, t.render(kernel.table)


def test_a_table_as_described(host):
    result, after = drift(host, GOOD)
    assert (result["changed"], result["drift"], after) == (False, [], GOOD)


def test_a_difference_is_reported_and_left(host):
    result, after = drift(host, WRONG)
    assert (result["changed"], after) == (False, WRONG)
    assert result["drift"] == ["tcp 192.0.2.10:80 has other attributes"]
    assert "keepalived_repair_drift" in result["warnings"][0]


@pytest.mark.parametrize("check", [True, False])
def test_a_difference_is_mended_where_that_is_wanted(host, check):
    result, after = drift(host, WRONG, check, repair=True)
    assert (result["changed"], after) == (True, WRONG if check else GOOD)
    assert result["commands"] == ["ipvsadm -E -t 192.0.2.10:80 -s rr"]
    assert result["warnings"] == []


def test_a_fallback_that_keepalived_forgot_goes_and_the_rest_is_left(host):
    fallback = {"address": "192.0.2.50", "port": 80, "forward": "dr"}
    rows = json.dumps([{"row": ROW, "check": {"type": "tcp"}, "fallback": fallback}])
    forgotten = {KEY: {**UP[KEY], (t.parse_address("192.0.2.50"), 80): d.Opinion(False, 1)}}
    host.setattr(keepalived_drift.Keepalived, "opinions", lambda _self: forgotten)
    result, after = drift(host, WRONG + "-a -t 192.0.2.10:80 -r 192.0.2.50:80 -g -w 1\n", watched=rows)
    assert (result["changed"], after) == (True, WRONG)
    assert result["warnings"][0].count("192.0.2.50") == 0


def test_a_static_table_is_taken_over_without_a_row_gone(host, tmp_path):
    record = tmp_path / "table.ipvs"
    record.write_text(GOOD + OTHER)
    result, after = drift(host, WRONG + OTHER + OTHER.replace("99", "98"), record=str(record))
    assert result["changed"]
    assert after == GOOD + OTHER.replace("99", "98")
    assert not record.exists()


def test_what_is_gone_on_a_second_look_was_no_drift(host):
    looks = iter([WRONG, GOOD])
    kernel = MemoryKernel(host, t.parse_saved(WRONG))
    host.setattr(
        keepalived_drift.Keepalived,
        "opinions",
        lambda _self: setattr(kernel, "table", t.parse_saved(next(looks))) or UP,
    )
    assert run(host, keepalived_drift, {"watched": WATCHED})["drift"] == []


def test_without_a_keepalived_there_is_nothing_to_compare_with(host):
    host.setattr(keepalived_drift.Keepalived, "runs", lambda _self: False)
    result, after = drift(host, WRONG, repair=True)
    assert (result["changed"], after) == (False, WRONG)
    assert "does not run" in result["warnings"][0]
    assert drift(host, WRONG, check=True)[0]["warnings"] == []


class Asked:
    """A keepalived that answers SIGUSR1 with a file, some of it at once and the rest later."""

    def __init__(self, monkeypatch, folder, parts, owner=None):
        self.parts = list(parts)
        self.path = folder / "7"
        self.path.write_text("stale\nHealth checkers\n")
        self.signals = []
        monkeypatch.setattr(keepalived_drift, "DATA", f"{folder}/%d")
        monkeypatch.setattr(keepalived_drift.os, "kill", lambda pid, number: self.signals.append((pid, number)))
        monkeypatch.setattr(keepalived_drift.time, "sleep", self.later)
        monkeypatch.setattr(keepalived_drift, "OWNER", os.getuid() if owner is None else owner)
        clock = iter(range(100))
        monkeypatch.setattr(keepalived_drift.time, "monotonic", lambda: next(clock))

    def later(self, _seconds):
        if self.parts:
            with self.path.open("a") as stream:
                stream.write(self.parts.pop(0))


def ask():
    return keepalived_drift.Keepalived(None)._data(7)


def test_the_answer_is_waited_for_until_it_is_whole(monkeypatch, tmp_path):
    keepalived = Asked(monkeypatch, tmp_path, ["VS VIP\n", "Health checkers\n"])
    assert ask() == "VS VIP\nHealth checkers\n"
    assert keepalived.signals == [(7, 10)]


def test_no_answer_is_none(monkeypatch, tmp_path):
    Asked(monkeypatch, tmp_path, ["VS VIP\n"])
    assert ask() is None


def test_a_file_that_is_not_roots_is_no_answer(monkeypatch, tmp_path):
    Asked(monkeypatch, tmp_path, ["Health checkers\n"], owner=os.getuid() + 1)
    assert ask() is None
