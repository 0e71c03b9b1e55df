# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules ipvs_info, ipvs_timeouts and ipvs_sync, on a kernel in memory."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.lvs.cluster.plugins.module_utils import kernel
from ansible_collections.lvs.cluster.plugins.module_utils import kernel_state as ks
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.modules import ipvs_info, ipvs_sync, ipvs_timeouts
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import MemoryKernel
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run as run_module

KERNELS_CHOICE = {"max_length": 1472, "group": bytes([224, 0, 0, 81]), "port": 8848, "ttl": 1}


@pytest.fixture
def run(monkeypatch):
    """Run a module with these parameters."""

    def runner(module, check=False, **params):
        return run_module(monkeypatch, module, params, check)

    return runner


@pytest.fixture
def memory(monkeypatch):
    """A kernel whose timeouts and daemons are plain values."""
    made = MemoryKernel(monkeypatch)
    made.timeouts = dict(ks.DEFAULT_TIMEOUTS)
    made.daemons = {}
    made.refuse = None

    def start(ipvs, daemon):
        if made.refuse and daemon.interface == made.refuse:
            raise ks.DaemonError("refused")
        chosen = {name: value for name, value in KERNELS_CHOICE.items() if getattr(daemon, name) is None}
        made.daemons[daemon.role] = daemon._replace(**chosen)

    monkeypatch.setattr(ks, "read_timeouts", lambda ipvs: dict(made.timeouts))
    monkeypatch.setattr(ks, "write_timeouts", lambda ipvs, values: made.timeouts.update(values))
    monkeypatch.setattr(ks, "read_daemons", lambda ipvs: dict(made.daemons))
    monkeypatch.setattr(ks, "start_daemon", start)
    monkeypatch.setattr(ks, "stop_daemon", lambda ipvs, role: made.daemons.pop(role, None))
    return made


@pytest.mark.parametrize("module", [ipvs_info, ipvs_sync, ipvs_timeouts])
def test_every_option_is_documented_and_every_example_uses_known_ones(module):
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert documented.keys() == module.ARGUMENTS.keys()
    for name, option in module.ARGUMENTS.items():
        assert documented[name].get("choices") == option.get("choices"), name
        assert documented[name].get("default") == option.get("default"), name
    assert yaml.safe_load(module.RETURN)
    name = "lvs.cluster." + module.__name__.rsplit(".", 1)[-1]
    for task in yaml.safe_load(module.EXAMPLES):
        assert (task.get(name) or {}).keys() <= module.ARGUMENTS.keys()


# --- ipvs_timeouts


def test_timeouts_are_set_once(run, memory):
    said = run(ipvs_timeouts, check=True, tcp=7200, udp=300)
    assert memory.timeouts["tcp"] == 900
    did = run(ipvs_timeouts, tcp=7200, udp=300)
    assert said == did
    assert did["commands"] == ["ipvsadm --set 7200 0 0"]
    assert did["after"] == {"tcp": 7200, "tcp_fin": 120, "udp": 300} == memory.timeouts
    assert did["diff"]["after"] == "tcp: 7200\ntcp_fin: 120\nudp: 300\n"
    again = run(ipvs_timeouts, tcp=7200)
    assert (again["changed"], again["commands"]) == (False, [])


def test_a_timeout_of_0_is_left_alone(run, memory):
    assert not run(ipvs_timeouts, tcp=0, tcp_fin=0, udp=0)["changed"]


def test_timeouts_load_ipvs_only_to_change_them(run, memory):
    memory.loaded = False
    assert not run(ipvs_timeouts, tcp=900)["changed"]
    assert run(ipvs_timeouts, check=True, tcp=1)["changed"]
    assert not memory.loaded
    assert run(ipvs_timeouts, tcp=1)["changed"]
    assert memory.loaded


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "one of the following is required: tcp, tcp_fin, udp"),
        ({"tcp": -1}, "tcp: -1 is not from 0 to 2147483"),
        ({"udp": 2147484}, "udp: 2147484 is not from 0 to 2147483"),
    ],
)
def test_bad_timeouts_are_refused(run, memory, params, message):
    result = run(ipvs_timeouts, **params)
    assert result["failed"]
    assert message in result["msg"]


# --- ipvs_sync

MASTER = {"daemon": "master", "interface": "eth0", "sync_id": 1}


def test_a_daemon_is_started_once(run, memory):
    said = run(ipvs_sync, check=True, **MASTER)
    assert memory.daemons == {}
    did = run(ipvs_sync, **MASTER)
    assert said["commands"] == did["commands"] == ["ipvsadm --start-daemon master --mcast-interface eth0 --syncid 1"]
    assert (said["changed"], did["changed"], did["restarted"]) == (True, True, False)
    assert did["before"] == {}
    assert did["after"]["group"] == "224.0.0.81"
    for params in (MASTER, {"daemon": "master"}, {"daemon": "master", "port": 8848}):
        assert not run(ipvs_sync, **params)["changed"]


def test_a_daemon_that_differs_is_restarted(run, memory):
    run(ipvs_sync, **MASTER)
    result = run(ipvs_sync, daemon="master", group="239.1.2.3", ttl=3)
    assert result["restarted"]
    assert result["commands"] == [
        "ipvsadm --stop-daemon master",
        "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 1 --sync-maxlen 1472 --mcast-group 239.1.2.3 "
        "--mcast-port 8848 --mcast-ttl 3",
    ]
    assert "group: 224.0.0.81\n" in result["diff"]["before"]
    assert "group: 239.1.2.3\n" in result["diff"]["after"]


def test_another_interface_may_have_another_mtu(run, memory):
    run(ipvs_sync, **MASTER)
    result = run(ipvs_sync, daemon="master", interface="eth1")
    assert "--sync-maxlen" not in result["commands"][1]


def test_the_two_daemons_are_apart(run, memory):
    run(ipvs_sync, **MASTER)
    assert run(ipvs_sync, daemon="backup", interface="eth1", sync_id=2)["changed"]
    assert memory.daemons.keys() == {"master", "backup"}
    result = run(ipvs_sync, daemon="master", state="absent")
    assert (result["commands"], result["after"]) == (["ipvsadm --stop-daemon master"], {})
    assert memory.daemons.keys() == {"backup"}
    assert not run(ipvs_sync, daemon="master", state="absent")["changed"]


def test_a_refused_daemon_leaves_the_old_one_running(run, memory):
    run(ipvs_sync, **MASTER)
    memory.refuse = "eth9"
    result = run(ipvs_sync, daemon="master", interface="eth9")
    assert result["failed"]
    assert memory.daemons["master"].interface == "eth0"


def test_what_an_old_kernel_ignores_is_noticed(run, memory, monkeypatch):
    start = ks.start_daemon
    monkeypatch.setattr(ks, "start_daemon", lambda ipvs, daemon: start(ipvs, daemon._replace(ttl=1)))
    result = run(ipvs_sync, ttl=9, **MASTER)
    assert result["failed"]
    assert "may be too old" in result["msg"]


def test_check_mode_loads_nothing(run, memory):
    memory.loaded = False
    assert run(ipvs_sync, check=True, **MASTER)["changed"]
    assert not run(ipvs_sync, daemon="backup", state="absent")["changed"]
    assert not memory.loaded


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"daemon": "master"}, "interface is required to start the master daemon"),
        ({**MASTER, "sync_id": 256}, "sync_id: 256 is not from 0 to 255"),
        ({**MASTER, "daemon": "backup", "max_length": 10}, "max_length: 10 is not from 1024 to 65507"),
        ({**MASTER, "port": 0}, "port: 0 is not from 1 to 65535"),
        ({**MASTER, "ttl": 0}, "ttl: 0 is not from 1 to 255"),
        ({**MASTER, "interface": "a" * 16}, "is no interface's name"),
        ({**MASTER, "group": "192.0.2.1"}, "group: 192.0.2.1 is no multicast address"),
        ({**MASTER, "group": "2001:db8::1"}, "is no multicast address"),
        ({**MASTER, "group": "all"}, "'all' is not an IP address"),
    ],
)
def test_bad_daemons_are_refused(run, memory, params, message):
    result = run(ipvs_sync, **params)
    assert result["failed"]
    assert message in result["msg"]
    assert memory.daemons == {}


# --- ipvs_info

TEXT = "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 1\n"


def test_info_returns_what_is_asked_for(run, memory, monkeypatch):
    memory.table = t.parse_saved(TEXT)
    monkeypatch.setattr(ks, "read_info", lambda ipvs: {"version": "1.2.1", "connection_table_size": 4096})
    monkeypatch.setattr(ks, "read_statistics", lambda ipvs: [{"connections": 1}])
    result = run(ipvs_info)
    documented = yaml.safe_load(ipvs_info.RETURN)
    assert result.keys() - {"failed", "changed", "warnings"} <= documented.keys()
    assert t.complete_table(t.parse_config(result["services"])) == memory.table
    assert result["timeouts"] == ks.DEFAULT_TIMEOUTS
    assert "connections" not in result
    few = run(ipvs_info, gather=["daemons"])
    assert few["daemons"] == []
    assert "services" not in few


def test_info_without_ipvs(run, memory):
    memory.loaded = False
    result = run(ipvs_info)
    assert result["available"] is False
    assert (result["services"], result["statistics"], result["daemons"], result["timeouts"]) == ([], [], [], {})


def test_connections_are_filtered(run, memory, monkeypatch):
    asked = {}

    def read(**options):
        asked.update(options)
        return [], 7

    memory.loaded = False
    monkeypatch.setattr(ks, "read_connections", read)
    result = run(ipvs_info, gather=["connections"], limit=3, connections={"client": "2001:DB8::1", "port": 80})
    assert (result["connections"], result["connection_count"]) == ([], 7)
    assert asked == {"wanted": {"client": "2001:db8::1", "port": 80}, "limit": 3}
    result = run(ipvs_info, gather=["connections"], connections={"client": "web"})
    assert result["failed"]
    assert re.search("'web' is not an IP address", result["msg"])


def test_an_unusable_kernel_is_told(run, monkeypatch):
    def refuse():
        raise kernel.KernelError(kernel.PERMISSION)

    monkeypatch.setattr(kernel, "connect", refuse)
    for module, params in ((ipvs_info, {}), (ipvs_sync, MASTER), (ipvs_timeouts, {"tcp": 1})):
        result = run(module, **params)
        assert result["failed"]
        assert "CAP_NET_ADMIN" in result["msg"]
