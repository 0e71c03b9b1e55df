# SPDX-License-Identifier: GPL-3.0-or-later
"""The ipvs module from its parameters to its result, on a kernel in memory."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from ansible_collections.lvs.cluster.plugins.module_utils import kernel, states
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.modules import ipvs
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import MemoryKernel
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run as run_module

RS1 = {"address": "198.51.100.1"}
RS2 = {"address": "198.51.100.2"}
WEB = {"address": "192.0.2.10", "port": 80, "real_servers": [RS1, RS2]}
TEXT = """\
-A -t 192.0.2.10:80 -s wlc
-a -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 1
-a -t 192.0.2.10:80 -r 198.51.100.2:80 -g -w 1
"""


def table(text=TEXT):
    """Return the table of a text."""
    return t.parse_saved(text)


@pytest.fixture
def run(monkeypatch):
    """Run the module with these parameters."""

    def runner(check=False, diff=False, **params):
        return run_module(monkeypatch, ipvs, params, check, diff)

    return runner


@pytest.fixture
def memory(monkeypatch):
    """A kernel with an empty table."""
    return MemoryKernel(monkeypatch)


def test_a_table_is_filled_and_found_filled(run, memory):
    result = run(config=[WEB])
    assert (result["failed"], result["changed"]) == (False, True)
    assert result["commands"] == ["ipvsadm " + line for line in TEXT.splitlines()]
    assert result["before"] == []
    assert t.complete_table(t.parse_config(result["after"])) == memory.table == table()
    again = run(config=[WEB])
    assert (again["changed"], again["commands"]) == (False, [])
    assert "before" not in again
    assert "diff" not in again


@pytest.mark.parametrize("state", ["merged", "replaced", "overridden", "deleted"])
def test_check_mode_says_what_the_run_does(run, memory, state):
    memory.table = table(TEXT + "-A -f 1 -s rr\n")
    params = {"state": state, "scope": "all", "config": [{**WEB, "scheduler": "rr", "real_servers": [RS1]}]}
    said = run(check=True, diff=True, **params)
    assert memory.applied == 0
    did = run(diff=True, **params)
    assert said == did
    assert did["changed"]


def test_check_mode_loads_nothing(run, memory):
    memory.loaded = False
    result = run(check=True, config=[WEB])
    assert result["changed"]
    assert not memory.loaded
    assert run(config=[WEB])["changed"]
    assert memory.loaded


def test_reading_loads_nothing(run, memory):
    memory.loaded = False
    assert run(state="gathered")["gathered"] == []
    assert not run(state="deleted", scope="all", allow_empty=True)["changed"]
    assert not memory.loaded


def test_nothing_asked_nothing_done(run, monkeypatch):
    monkeypatch.setattr(states, "run", lambda module: pytest.fail("did something"))
    assert run(config=[])["changed"] is False
    assert run(state="replaced", config=[], allow_empty=True)["changed"] is False


def test_config_may_come_as_text(run, memory):
    assert run(config=json.dumps([WEB]))["changed"]
    assert memory.table == table()
    result = run(config="[{")
    assert result["failed"]
    assert "config: '[{' is not a list of services" in result["msg"]
    result = run(state="overridden", scope="all", config="[]")
    assert "set allow_empty: true" in result["msg"]


# --- refusals


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "state is merged but all of the following are missing: config"),
        (
            {"state": "overridden", "config": [WEB]},
            "state is overridden but any of the following are missing: scope, record",
        ),
        ({"state": "overridden", "config": [], "scope": "all"}, "empties everything .* set allow_empty: true"),
        ({"state": "replaced", "config": []}, "set allow_empty: true"),
        ({"state": "deleted"}, "set allow_empty: true"),
        ({"state": "deleted", "allow_empty": True}, "needs scope or record"),
        ({"state": "parsed"}, "missing: running_config"),
        ({"config": [{**WEB, "sheduler": "rr"}]}, r"config\[0\]\.sheduler: .* Did you mean 'scheduler'"),
        ({"config": [WEB], "scope": "some"}, "scope: 'some' is neither"),
        ({"state": "parsed", "running_config": "hello"}, "running_config line 1: 'hello' is out of place"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_kernel_is_asked(run, monkeypatch, params, message):
    monkeypatch.setattr(kernel, "connect", lambda: pytest.fail("asked the kernel"))
    result = run(**params)
    assert result["failed"]
    assert re.search(message, result["msg"]), result["msg"]


def test_a_refusal_by_the_kernel_is_told_with_what_was_done(run, memory):
    result = run(config=[WEB, {"fwmark": 1, "scheduler": "nosuch"}])
    assert result["failed"]
    assert result["errno"] == 2
    assert result["applied"] == ["ipvsadm " + line for line in TEXT.splitlines()]
    assert "ipvsadm -A -f 1 -s nosuch: No such file or directory (ENOENT): the kernel has no scheduler" in result["msg"]
    assert run(config=[WEB, {"fwmark": 1, "scheduler": "rr"}])["commands"] == ["ipvsadm -A -f 1 -s rr"]


@pytest.mark.parametrize("check", [True, False])
def test_a_scheduler_the_kernel_has_no_module_for_is_refused_before_anything_is_changed(run, memory, check):
    memory.lacking = ("ip_vs_twos",)
    result = run(check=check, config=[WEB, {"fwmark": 1, "scheduler": "twos"}])
    assert result["failed"]
    assert result["applied"] == []
    assert "ipvsadm -A -f 1 -s twos: No such file or directory (ENOENT): the kernel has no scheduler" in result["msg"]
    assert memory.table == {}
    assert memory.applied == 0


def test_a_row_with_such_a_scheduler_that_stays_as_it_is_is_no_reason_to_refuse(run, memory):
    memory.table = table(TEXT)
    memory.lacking = ("ip_vs_wlc",)
    assert not run(config=[WEB])["failed"]


def test_an_unusable_kernel_is_told(run, monkeypatch):
    def refuse():
        raise kernel.KernelError(kernel.PERMISSION)

    monkeypatch.setattr(kernel, "connect", refuse)
    result = run(config=[WEB])
    assert result["failed"]
    assert "CAP_NET_ADMIN" in result["msg"]


def test_a_bug_keeps_its_traceback(run, monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(kernel, "connect", broken)
    with pytest.raises(ZeroDivisionError):
        run(config=[WEB])


# --- the record


def test_the_record_holds_what_is_ours(run, memory, tmp_path):
    path = tmp_path / "lvs" / "table.ipvs"
    memory.table = table("-A -t 192.0.2.99:80 -s rr\n")
    asked = {"state": "overridden", "record": str(path)}
    assert run(check=True, config=[WEB], **asked)["changed"]
    assert not path.parent.exists()
    assert run(config=[WEB], **asked)["changed"]
    assert path.read_text() == TEXT
    assert not run(config=[WEB], **asked)["changed"]
    assert run(config=[{"fwmark": 1}], **asked)["commands"] == ["ipvsadm -A -f 1 -s wlc", "ipvsadm -D -t 192.0.2.10:80"]
    assert path.read_text() == "-A -f 1 -s wlc\n"
    result = run(state="deleted", record=str(path), allow_empty=True)
    assert result["commands"] == ["ipvsadm -D -f 1"]
    assert not path.exists()
    assert memory.table == table("-A -t 192.0.2.99:80 -s rr\n")


def test_a_record_that_lags_behind_is_a_change(run, memory, tmp_path):
    path = tmp_path / "table.ipvs"
    memory.table = table()
    result = run(state="overridden", record=str(path), config=[WEB], diff=True)
    assert (result["changed"], result["commands"]) == (True, [])
    assert [part["before_header"] for part in result["diff"]] == [str(path)]
    assert path.read_text() == TEXT
    assert not run(state="overridden", record=str(path), config=[WEB])["changed"]


def test_the_record_is_wide_while_the_kernel_changes(run, memory, tmp_path):
    path = tmp_path / "table.ipvs"
    asked = {"state": "overridden", "record": str(path)}
    run(config=[WEB], **asked)
    memory.limit = memory.applied + 1
    with pytest.raises(KeyboardInterrupt):
        run(config=[{"fwmark": 1, "real_servers": [RS1]}], **asked)
    assert path.read_text() == "-A -f 1 -s wlc\n-a -f 1 -r 198.51.100.1:0 -g -w 1\n" + TEXT
    memory.limit = None
    assert run(config=[], allow_empty=True, **asked)["changed"]
    assert memory.table == {}
    assert not path.exists()


def test_a_kernel_without_ipvs_leaves_no_record(run, monkeypatch, memory, tmp_path):
    memory.loaded = False

    def missing():
        raise kernel.KernelError(kernel.missing_message())

    monkeypatch.setattr(kernel, "load", missing)
    result = run(state="overridden", record=str(tmp_path / "table.ipvs"), config=[WEB])
    assert "kernel module ip_vs" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_ipvsadm_cannot_restore_is_warned_of(run, memory, tmp_path):
    row = {**WEB, "real_servers": [{**RS1, "forward": "local"}]}
    result = run(state="overridden", record=str(tmp_path / "table.ipvs"), config=[row])
    assert any("cannot ask for local forwarding" in text for text in result["warnings"])


def test_quiesced_real_servers_are_named(run, memory):
    memory.table = table()
    (key,) = memory.table
    memory.busy = frozenset([(key, (t.parse_address("198.51.100.2"), 80))])
    row = {**WEB, "real_servers": [RS1]}
    result = run(state="replaced", config=[row], removed="quiesce")
    assert result["commands"] == ["ipvsadm -e -t 192.0.2.10:80 -r 198.51.100.2:80 -g -w 0"]
    assert result["quiesced"] == ["198.51.100.2:80 of tcp 192.0.2.10:80"]


# --- the states that change nothing


def test_gathered_is_config(run, memory):
    memory.table = table()
    memory.unsupported = ({"row": "protocol 1 192.0.2.1:7", "reason": "protocol: 1 is none of tcp, udp, sctp"},)
    result = run(state="gathered")
    assert t.complete_table(t.parse_config(result["gathered"])) == table()
    assert result["unsupported"] == list(memory.unsupported)
    assert not run(state="overridden", scope="all", config=result["gathered"])["changed"]


def test_rendered_and_parsed_need_no_kernel(run, monkeypatch):
    monkeypatch.setattr(kernel, "connect", lambda: pytest.fail("asked the kernel"))
    assert run(state="rendered", config=[WEB])["rendered"] == TEXT
    parsed = run(state="parsed", running_config=TEXT)["parsed"]
    assert run(state="rendered", config=parsed)["rendered"] == TEXT


# --- large answers


def test_a_large_answer_is_cut(run, memory, monkeypatch):
    monkeypatch.setattr(states, "LIMIT", 10)
    config = [{"address": "192.0.2.%d" % n, "port": 80, "real_servers": [RS1, RS2]} for n in range(1, 31)]
    result = run(config=config, diff=True)
    assert len(memory.table) == 30
    assert len(result["commands"]) == 10
    assert result["omitted"] == 80
    assert len(result["after"]) == 3
    assert result["invocation"]["module_args"]["config"] == "30 services"
    assert len(result["diff"][0]["after"].splitlines()) <= 11


def test_a_long_diff_of_the_record_is_cut(monkeypatch):
    monkeypatch.setattr(states, "LIMIT", 2)
    assert states.capped("1\n2\n3\n4\n") == "1\n2\n# and 2 more\n"
    assert states.capped("1\n2\n") == "1\n2\n"


# --- documentation


def test_every_option_is_documented_and_every_example_parses():
    documented = yaml.safe_load(ipvs.DOCUMENTATION)["options"]
    assert documented.keys() == ipvs.ARGUMENTS.keys()
    for name, option in ipvs.ARGUMENTS.items():
        assert documented[name].get("choices") == option.get("choices"), name
        assert documented[name].get("default") == option.get("default"), name
    rows = documented["config"]["suboptions"]
    assert rows.keys() == t._SERVICE_KEYS
    assert rows["real_servers"]["suboptions"].keys() == t._REAL_SERVER_KEYS
    for task in yaml.safe_load(ipvs.EXAMPLES):
        config = task["lvs.cluster.ipvs"].get("config")
        if isinstance(config, list):
            t.parse_config(config)


def test_every_result_is_documented(run, memory):
    documented = yaml.safe_load(ipvs.RETURN)
    memory.table = table()
    for params in ({"config": [{"fwmark": 1}]}, {"state": "gathered"}, {"state": "rendered", "config": [WEB]}):
        result = run(**params)
        assert result.keys() - {"failed", "changed", "warnings", "invocation"} <= documented.keys()
