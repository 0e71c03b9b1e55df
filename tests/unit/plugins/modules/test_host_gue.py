# SPDX-License-Identifier: GPL-3.0-or-later
"""The host module: ports that unpack GUE, sysctls that a host may lack, and defences that the kernel turns itself."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils import host_system
from ansible_collections.lvs.cluster.plugins.modules import host
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

FOUR, SIX = {"port": 6080}, {"port": 6080, "family": "ipv6"}
NO_MODULE = "RTNETLINK answers: No such file or directory\nError talking to the kernel\n"
DROP = "net.ipv4.vs.drop_entry"


class Host:
    """A folder, a kernel's fou ports as `ip -j fou show` prints them, and its sysctls; commands are noted."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.commands = []
        self.ports = None
        self.proc = folder / "proc"
        self.proc.mkdir()
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))
        for module in (host, host_system):
            monkeypatch.setattr(module, "sysctl_path", lambda name: str(self.proc / name))

    def command(self, words):
        if words == ["ip", "-j", "fou", "show"]:
            return (1, "", NO_MODULE) if self.ports is None else (0, json.dumps(self.ports), "")
        self.commands.append(" ".join(words))
        return 0, "", ""

    def run(self, state="present", **config):
        self.commands.clear()
        params = {"record": str(self.folder / "lvs" / "x.record"), "state": state}
        return run(self.monkeypatch, host, {**params, **({"config": config} if state == "present" else {})})

    def sysctl(self, name, value):
        (self.proc / name).write_text(value + "\n")


@pytest.fixture(name="machine")
def _machine(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_ports_of_both_families_come_and_go(machine):
    assert machine.run(gue_ports=[FOUR, SIX])["changed"]
    assert machine.commands == ["ip fou add port 6080 gue", "ip fou add port 6080 -6 gue"]
    machine.ports = [{"port": 6080, "gue": None, "family": "inet6"}, {"port": 6080, "gue": None, "family": "inet"}]
    assert not machine.run(gue_ports=[FOUR, SIX])["changed"]
    assert machine.run(gue_ports=[FOUR])["commands"] == ["ip fou del port 6080 -6"]
    del machine.ports[0]
    assert machine.run("absent")["commands"] == ["ip fou del port 6080"]


def test_a_port_that_stood_there_before_stays(machine):
    machine.ports = [{"port": 6080, "gue": None, "family": "inet"}]
    assert not machine.run(gue_ports=[FOUR])["commands"]
    assert not machine.run("absent")["commands"]


@pytest.mark.parametrize("other", [{"ipproto": 4}, {"gue": None, "local": "192.0.2.1"}])
def test_a_port_that_unpacks_something_else_is_not_taken_for_ours(machine, other):
    machine.ports = [{"port": 6080, "family": "inet", **other}]
    assert machine.run(gue_ports=[FOUR])["commands"] == ["ip fou add port 6080 gue"]


def test_an_optional_sysctl_that_the_host_lacks_is_skipped_and_said(machine):
    machine.sysctl("net.ipv4.tcp_fin_timeout", "60")
    rows = [{"name": name, "value": "30", "optional": True} for name in ("net.ipv4.tcp_fin_timeout", "net.core.x")]
    result = machine.run(sysctls=rows)
    assert result["commands"] == ["sysctl -w 'net.ipv4.tcp_fin_timeout=30'"]
    assert any("net.core.x: this kernel does not have it: skipped" in str(text) for text in result["warnings"])
    assert machine.run()["commands"] == ["sysctl -w 'net.ipv4.tcp_fin_timeout=60'"]


def test_an_optional_sysctl_that_only_the_machine_may_set_is_skipped(machine, monkeypatch):
    machine.sysctl("net.core.rmem_max", "212992")
    monkeypatch.setattr(host.os, "access", lambda path, mode: False)
    result = machine.run(sysctls=[{"name": "net.core.rmem_max", "value": "1", "optional": True}])
    assert result["commands"] == []
    assert "a container may not set it" in str(result["warnings"])


@pytest.mark.parametrize(("wanted", "now"), [("1", "2"), ("2", "1")])
def test_automatic_defence_is_one_setting(machine, wanted, now):
    machine.sysctl(DROP, now)
    assert not machine.run(sysctls=[{"name": DROP, "value": wanted}])["changed"]


@pytest.mark.parametrize(("wanted", "now"), [("1", "0"), ("3", "2"), ("0", "1")])
def test_other_changes_of_a_defence_are_changes(machine, wanted, now):
    machine.sysctl(DROP, now)
    assert machine.run(sysctls=[{"name": DROP, "value": wanted}])["changed"]
    assert (machine.proc / DROP).read_text() == wanted + "\n"
