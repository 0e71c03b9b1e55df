# SPDX-License-Identifier: GPL-3.0-or-later
"""The host module's rules and routes, with a kernel that prints them as iproute2 6.1 does."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.modules import host
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

LOCAL = {"type": "local", "interface": "lo", "table": 5020}
MARKED = {"fwmark": 99, "table": 5020, "priority": 5020}
OWN = {"fwmark": 99, "interface": "lo", "table": 254, "priority": 5019}


class Host:
    """Commands that change something are noted; what `ip -j` prints is given."""

    def __init__(self, folder, monkeypatch):
        self.record = folder / "director.record"
        self.monkeypatch = monkeypatch
        self.commands = []
        self.rules = []
        self.routes = {}
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))

    def command(self, words):
        if words[:3] == ["ip", "-j", "-N"]:
            rows = self.rules if words[4] == "rule" else self.routes.get(words[-1], [])
            return 0, json.dumps(rows), ""
        self.commands.append(" ".join(words))
        return 0, "", ""

    def run(self, rules=(), routes=(), state="present"):
        self.commands.clear()
        given = {"record": str(self.record), "state": state}
        if state == "present":
            given["config"] = {"rules": list(rules), "routes": list(routes)}
        return run(self.monkeypatch, host, given)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_marks_are_looked_up_in_a_table_that_is_all_local(kernel):
    assert kernel.run([OWN, MARKED], [LOCAL])["changed"]
    assert kernel.commands == [
        "ip -4 route replace local default dev lo table 5020",
        "ip -4 rule add fwmark 0x63 iif lo lookup 254 priority 5019",
        "ip -4 rule add fwmark 0x63 lookup 5020 priority 5020",
    ]
    kernel.rules = [
        {"priority": 0, "src": "all", "table": "255"},
        {"priority": 5019, "src": "all", "fwmark": "0x63", "iif": "lo", "table": "254"},
        {"priority": 5020, "src": "all", "fwmark": "0x63", "table": "5020"},
    ]
    kernel.routes["5020"] = [{"type": "2", "dst": "default", "dev": "lo", "scope": "254", "flags": []}]
    assert not kernel.run([OWN, MARKED], [LOCAL])["changed"]
    assert kernel.run(state="absent")["changed"]
    assert kernel.commands == [
        "ip -4 rule del fwmark 0x63 lookup 5020 priority 5020",
        "ip -4 rule del fwmark 0x63 iif lo lookup 254 priority 5019",
        "ip -4 route del local default dev lo table 5020",
    ]


def test_the_name_of_a_type_is_understood_like_its_number(kernel):
    kernel.routes["5020"] = [{"type": "local", "dst": "default", "dev": "lo", "flags": []}]
    assert not any("route" in command for command in kernel.run([MARKED], [LOCAL])["commands"])


@pytest.mark.parametrize(
    "other",
    [
        {"fwmark": "0x63", "fwmask": "0xff"},
        {"fwmark": "0x64"},
        {"fwmark": "0x63", "iif": "lo"},
        {},
    ],
)
def test_another_rule_is_not_ours(kernel, other):
    kernel.rules = [{"priority": 5020, "src": "all", "table": "5020", **other}]
    kernel.run([MARKED])
    assert kernel.commands == ["ip -4 rule add fwmark 0x63 lookup 5020 priority 5020"]


def test_a_rule_that_was_there_outlives_us(kernel):
    kernel.rules = [{"priority": 5020, "src": "all", "fwmark": "0x63", "table": "5020"}]
    assert kernel.run([MARKED])["commands"] == []
    assert "(was present)" in kernel.record.read_text()
    assert kernel.run(state="absent")["commands"] == []


def test_a_whole_network(kernel):
    rows = [
        {"type": "local", "to": "192.168.0.0/24", "interface": "lo", "table": 255},
        {"type": "local", "to": "192.168.1.7/32", "interface": "lo", "table": 255},
        {"family": "ipv6", "type": "local", "to": "2001:db8:9::/64", "interface": "lo", "table": 255},
    ]
    kernel.run(routes=rows)
    assert kernel.commands == [
        "ip -4 route replace local 192.168.0.0/24 dev lo table 255",
        "ip -4 route replace local 192.168.1.7 dev lo table 255",
        "ip -6 route replace local 2001:db8:9::/64 dev lo table 255",
    ]
    kernel.routes["255"] = [
        {"type": "2", "dst": "192.168.0.0/24", "dev": "lo", "scope": "254", "flags": []},
        {"type": "2", "dst": "192.168.1.7", "dev": "lo", "scope": "254", "flags": []},
        {"type": "2", "dst": "2001:db8:9::/64", "dev": "lo", "metric": 1024, "flags": [], "pref": "medium"},
    ]
    assert not kernel.run(routes=rows)["changed"]


def test_what_stood_in_a_routes_place_comes_back(kernel):
    kernel.routes["5020"] = [{"type": "6", "dst": "default", "flags": []}]
    kernel.run(routes=[LOCAL])
    kernel.routes["5020"] = [{"type": "2", "dst": "default", "dev": "lo", "flags": []}]
    assert kernel.run(state="absent")["commands"] == ["ip -4 route replace blackhole default table 5020"]


def test_ranges_of_ports(kernel):
    rule = {"source": "10.0.0.11", "protocol": "tcp", "table": 5010, "priority": 5010}
    rows = [{**rule, "source_port": 21}, {**rule, "source_port": "40000-40100"}]
    kernel.run(rows)
    assert kernel.commands == [
        "ip -4 rule add from 10.0.0.11 ipproto tcp sport 21 lookup 5010 priority 5010",
        "ip -4 rule add from 10.0.0.11 ipproto tcp sport 40000-40100 lookup 5010 priority 5010",
    ]
    one = {"priority": 5010, "src": "10.0.0.11", "ipproto": "ipproto-6", "table": "5010"}
    kernel.rules = [{**one, "sport": 21}, {**one, "sport_start": 40000, "sport_end": 40100}]
    assert not kernel.run(rows)["changed"]


def test_what_has_no_source_yet(kernel):
    datagrams = {"protocol": "udp", "source_port": 53}
    last = {"family": "ipv6", "interface": "lo", **datagrams}
    rows = [
        {"source": "0.0.0.0", **datagrams, "table": 5010, "priority": 5010},
        {**last, "source": "8000::/1", "table": 254, "priority": 32764},
        {**last, "table": 5010, "priority": 32765},
    ]
    kernel.run(rows)
    added = [
        "ip -4 rule add from 0.0.0.0 ipproto udp sport 53 lookup 5010 priority 5010",
        "ip -6 rule add from 8000::/1 iif lo ipproto udp sport 53 lookup 254 priority 32764",
        "ip -6 rule add iif lo ipproto udp sport 53 lookup 5010 priority 32765",
    ]
    assert kernel.commands == added
    words = {"ipproto": "ipproto-17", "sport": 53}
    kernel.rules = [
        {"priority": 5010, "src": "0.0.0.0", "table": "5010", **words},
        {"priority": 32764, "src": "8000::", "srclen": 1, "iif": "lo", "table": "254", **words},
        {"priority": 32765, "src": "all", "iif": "lo", "table": "5010", **words},
    ]
    assert not kernel.run(rows)["changed"]
    assert kernel.run(state="absent")["commands"] == [line.replace(" add ", " del ") for line in reversed(added)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rules": [{"table": 1, "priority": 1}]}, "source, fwmark, interface"),
        ({"routes": [{"to": "default"}]}, "via, interface"),
    ],
)
def test_what_leads_nowhere_is_refused(kernel, given, said):
    result = kernel.run(**given)
    assert result["failed"]
    assert said in result["msg"]
