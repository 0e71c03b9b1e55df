# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory changes, site.yml runs, a client asks all the time: what the order of actions promises it gets."""

from __future__ import annotations

import os

import pytest
from lab.common import poll
from lab.load import load

VIP = "172.17.60.201"
FORWARD = os.environ["MOLECULE_SCENARIO_NAME"]  # nat or dr
NODES = ("director", "rs1", "rs2")
RS1 = {"host": "rs1", "weight": 3}
RS2 = {"host": "rs2", "weight": 1}
WEB = {"name": "web", "vip": VIP, "port": 80, "scheduler": "wrr", "forward": FORWARD, "real_servers": [RS1, RS2]}
OTHER = {"name": "other", "vip": "172.17.60.202", "port": 80, "scheduler": "rr", "forward": FORWARD}


@pytest.fixture(scope="module")
def change(cluster):
    """change(services, ...) deploys the cluster with these services, and other cluster-wide variables."""

    def deploy(*services, **variables):
        return cluster.deploy({name: {"lvs_services": list(services), **variables} for name in NODES})

    # A connection that is held over a whole run is idle for longer than a web server puts up with by default.
    for name in ("rs1", "rs2"):
        cluster.run(name, "echo 'keepalive_timeout 900;' >/etc/nginx/conf.d/patient.conf && nginx -s reload")
    yield deploy
    for name in ("rs1", "rs2"):
        cluster.run(name, "rm /etc/nginx/conf.d/patient.conf && nginx -s reload")
    cluster.deploy()


def changed(said: str) -> dict[str, int]:
    """How many changes each host of a run counted."""
    recap = [line.split() for line in said.split("PLAY RECAP")[1].splitlines() if "changed=" in line]
    return {words[0]: int(next(w for w in words if w.startswith("changed=")).split("=")[1]) for words in recap}


def test_adding_a_service_and_changing_weights_fails_no_request(cluster, client, change):
    with load(client, VIP) as asked:
        change({**WEB, "real_servers": [{**RS1, "weight": 1}, RS2]}, OTHER)
        assert asked.more().answered.keys() == {"rs1", "rs2"}
        rows = [row for row in cluster.table("director") if row.startswith(f"-a -t {VIP}:80 ")]
        assert [row.split()[-1] for row in rows] == ["1", "1"]
        assert client.ask("172.17.60.202", count=4).by == {"rs1": 2, "rs2": 2}
    assert not asked.failed


def test_removing_a_service_takes_its_vip_away_and_fails_no_request_of_the_others(cluster, client, change):
    with load(client, VIP) as asked:
        change(WEB)
    assert not asked.failed
    assert not any("172.17.60.202" in line for line in cluster.table("director"))
    for name in NODES:
        assert "172.17.60.202" not in cluster.run(name, "ip -o address; cat /etc/lvs/*.record")


def test_quiescing_a_leaving_server_keeps_its_connections(cluster, client, change):
    with client.connection(VIP) as held, load(client, VIP) as asked:
        server = held.ask()
        leaving, staying = (RS1, RS2) if server == "rs1" else (RS2, RS1)
        change({**WEB, "real_servers": [staying]}, lvs_removed="quiesce")
        # With DR the VIP stays on the real server that leaves for as long as its connections do.
        assert held.ask() == server
        assert asked.more().answered.keys() == {staying["host"]}
        assert any(line.endswith({"dr": "-g -w 0", "nat": "-m -w 0"}[FORWARD]) for line in cluster.table("director"))
    assert not asked.failed


def test_adding_a_server_fails_no_request(client, change):
    with load(client, VIP) as asked:
        change(WEB)
        assert asked.more().answered.keys() == {"rs1", "rs2"}
    assert not asked.failed


def test_deleting_a_server_drops_its_open_connections_and_nothing_else(cluster, client, change):
    with client.connection(VIP, timeout=10) as held, load(client, VIP) as asked:
        server = held.ask()
        leaving, staying = (RS1, RS2) if server == "rs1" else (RS2, RS1)
        change({**WEB, "real_servers": [staying]}, lvs_removed="delete")
        assert held.ask() == "nothing"
        # net.ipv4.vs.expire_nodest_conn; it would be known for a quarter of an hour.
        poll("it is forgotten", 20, lambda: not cluster.connections("director", held.port))
        asked.more(100)
    # The one that was on its way to the leaving server at that moment. Those that take the source port of an earlier
    # connection to it again are not lost.
    assert asked.failed.keys() <= {"!TimeoutError", "!ConnectionResetError"}
    assert sum(asked.failed.values()) <= 1
    assert client.ask(VIP, count=4).by == {staying["host"]: 4}


def test_a_run_without_a_change_changes_nothing_and_fails_no_request(client, change):
    change(WEB)
    with load(client, VIP) as asked:
        said = change(WEB)
    assert not asked.failed
    assert set(changed(said).values()) == {0}


def test_changing_the_scheduler_refuses_new_connections_for_a_moment_at_most(cluster, client, change):
    # The kernel unbinds the old scheduler, waits for its users, and binds the new one (ip_vs_edit_service).
    with client.connection(VIP) as held, load(client, VIP) as asked:
        server = held.ask()
        change({**WEB, "scheduler": "rr"})
        assert held.ask() == server
        assert not asked.more().failed
    assert f"-A -t {VIP}:80 -s rr" in cluster.table("director")
    assert asked.failed.keys() <= {"!ConnectionRefusedError"}
    assert sum(asked.failed.values()) <= 3
