# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory changes under load: keepalived reloads, no request fails, the VIP stays where it is."""

from __future__ import annotations

import json
import re

import pytest
from lab.cluster import quick
from lab.common import run
from lab.faults import watching
from lab.pair import Pair

VIP = "172.17.60.201"
NODES = ("lb1", "lb2", "rs1", "rs2")
OTHER = {"name": "other", "vip": "172.17.60.202", "port": 80, "scheduler": "rr", "forward": "dr"}


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    pair.poll("both servers", lambda: cluster.client("client").ask(VIP, count=8).by.keys() == {"rs1", "rs2"})
    yield pair
    cluster.deploy()


@pytest.fixture
def web(cluster):
    """The scenario's own service, as a director reads it."""
    said = run(["ansible-inventory", "-i", str(cluster.deployment()[1] / "inventory"), "--host", "lb1"]).stdout
    return json.loads(said)["lvs_services"][0]


def undisturbed(pair, client, variables):
    """Deploy under load; what Ansible said. The same director is active afterwards, and nobody noticed."""
    before = pair.settle()
    with watching(client, VIP, timeout=10) as watch:
        said = pair.cluster.deploy(variables)
        watch.answers(30)
    assert not watch.failed()
    assert pair.settle() == before
    return said


def test_a_run_without_a_change_changes_nothing(pair, client):
    said = undisturbed(pair, client, {})
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}


def test_a_server_in_maintenance_keeps_its_connections_and_gets_no_new_ones(pair, cluster, client):
    with client.connection(VIP) as held:
        server = held.ask()
        undisturbed(pair, client, {server: {"lvs_weight": 0}})
        assert held.ask() == server
    other = "rs2" if server == "rs1" else "rs1"
    assert client.ask(VIP, count=6).by == {other: 6}


def test_a_service_comes(pair, client, web):
    undisturbed(pair, client, {name: {"lvs_services": [web, OTHER]} for name in NODES})
    pair.poll("both services", lambda: client.ask(OTHER["vip"], count=4).by == {"rs1": 2, "rs2": 2})
    assert client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2}


def test_a_service_goes(pair, cluster, client):
    undisturbed(pair, client, {})
    for name in NODES:
        assert OTHER["vip"] not in cluster.run(name, "ip -o address; ipvsadm -Sn; cat /etc/lvs/*.record")


def test_a_file_that_keepalived_refuses_stops_at_the_standby(pair, cluster):
    active = pair.active()
    standby = next(name for name in pair.names if name != active)
    look = "systemctl show -p MainPID -p InvocationID keepalived; sha256sum /etc/keepalived/keepalived.conf"
    before = {name: cluster.run(name, look) for name in pair.names}
    bad = {"lvs_keepalived": {"text": "no_such_keyword here"}}
    command, folder = cluster.deployment(dict.fromkeys(NODES, bad))
    done = run(command, cwd=folder, env=quick(), check=False)
    assert done.returncode != 0
    assert "no_such_keyword" in done.stdout + done.stderr
    assert re.search(rf"{standby}\b.*failed=1", done.stdout)
    assert {name: cluster.run(name, look) for name in pair.names} == before
    assert pair.settle() == active
