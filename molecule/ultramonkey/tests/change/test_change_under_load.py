# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory changes, and VIPs move there and back, under load."""

from __future__ import annotations

import re

import pytest
from lab.faults import watching
from lab.pair import HEARTBEAT, Pair
from lab.trials import undisturbed

VIP = "192.168.6.240"
DIRECTORS = ("lb1", "lb2")
NODES = (*DIRECTORS, "rs1", "rs2", "sorry")
OTHER = "192.168.6.241"


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, DIRECTORS, HEARTBEAT)
    pair.poll("both servers", lambda: cluster.client("client").ask(VIP, count=8).by == {"rs1": 4, "rs2": 4})
    return pair


def everywhere(**variables):
    return dict.fromkeys(NODES, variables)


def test_a_run_without_a_change_changes_nothing(pair, client):
    assert set(re.findall(r"changed=(\d+)", undisturbed(pair, client))) == {"0"}


def test_a_vip_comes_and_goes(pair, cluster, client):
    services = cluster.variables("lb1")["lvs_services"]
    other = {**services[0], "name": "other", "vip": OTHER}
    undisturbed(pair, client, everywhere(lvs_services=[*services, other]))
    pair.poll("the other service", lambda: client.ask(OTHER, count=4, timeout=3).by == {"rs1": 2, "rs2": 2})
    undisturbed(pair, client)
    for name in NODES:
        assert OTHER not in cluster.run(name, "ip -o address; ipvsadm -Sn; cat /etc/ha.d/haresources || true")


def test_weights_change(pair, cluster, client):
    undisturbed(pair, client, {"rs1": {"lvs_weight": 0}})
    pair.poll("rs2 alone", lambda: client.ask(VIP, count=4).by == {"rs2": 4})
    undisturbed(pair, client)
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})


def test_a_server_whose_page_changed_gets_nobody_and_its_persistent_clients_leave(pair, cluster, client):
    stuck = next(iter(client.ask(VIP, port=8080, count=3).by))
    other = "rs2" if stuck == "rs1" else "rs1"
    assert client.ask(VIP, port=8080, count=3).by == {stuck: 3}
    edit = "sed -i 's/\\$hostname/{}/' /etc/nginx/conf.d/lab.conf && nginx -s reload"
    cluster.run(stuck, edit.format("closed"))
    try:
        pair.poll("its clients leave", lambda: client.ask(VIP, port=8080, count=3).by == {other: 3})
        pair.poll("nobody new", lambda: client.ask(VIP, count=4).by == {other: 4})
        address = cluster.address(stuck)
        assert f"-a -t {VIP}:80 -r {address}:80 -m -w 0" in cluster.table(pair.active())
    finally:
        cluster.run(stuck, "sed -i 's/return 200 \"closed/return 200 \"$hostname/' /etc/nginx/conf.d/lab.conf")
        cluster.run(stuck, "nginx -s reload")
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})


def test_a_connection_survives_moving_there_and_back(pair, cluster, client):
    with client.connection(VIP) as held:
        server = held.ask()
        for _ in range(2):
            active = pair.active()
            other = next(name for name in DIRECTORS if name != active)
            for _ in range(4):
                assert held.ask() == server
            pair.poll(
                f"the connection at {other}",
                lambda other=other: pair.knows_connection(other, held.port),
            )
            cluster.run(active, "/usr/share/heartbeat/hb_standby all")
            pair.poll(f"{other} has the VIP", lambda other=other: pair.owners() == {other}, 300)
            assert held.ask() == server
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})


def test_a_file_that_heartbeat_refuses_stops_at_the_standby(pair, cluster):
    active, standby = pair.active(), pair.standby()
    look = "systemctl show -p MainPID -p InvocationID heartbeat; sha256sum /etc/ha.d/ha.cf"
    before = {name: cluster.run(name, look) for name in DIRECTORS}
    heartbeat = cluster.variables("lb1")["lvs_heartbeat"]
    done = cluster.attempt(everywhere(lvs_heartbeat={**heartbeat, "text": "stonith_host * nosuchtype x"}))
    assert done.returncode != 0
    assert re.search(rf"{standby}\b.*failed=1", done.stdout)
    assert {name: cluster.run(name, look) for name in DIRECTORS} == before
    assert pair.settle() == active


def test_the_key_changes_and_nobody_notices(pair, cluster, client):
    heartbeat = cluster.variables("lb1")["lvs_heartbeat"]
    slow = {**heartbeat, "deadtime": 120, "initdead": 240}
    before = pair.settle()
    done = cluster.attempt(everywhere(lvs_heartbeat_key="another"))
    assert done.returncode != 0
    assert "lvs_heartbeat.deadtime to 120" in " ".join((done.stdout + done.stderr).split())
    undisturbed(pair, client, everywhere(lvs_heartbeat=slow))
    undisturbed(pair, client, everywhere(lvs_heartbeat=slow, lvs_heartbeat_key="another"))
    undisturbed(pair, client, everywhere(lvs_heartbeat_key="another"))
    for name in DIRECTORS:
        assert "another" in cluster.run(name, "cat /etc/ha.d/authkeys")
        other = next(other for other in DIRECTORS if other != name)
        pair.poll(f"{name} hears {other}", lambda name=name, other=other: hears(cluster, name, other))
    assert pair.settle() == before


def hears(cluster, name, other):
    return cluster.run(name, f"cl_status nodestatus {other} || true").strip() == "active"


def test_both_directors_start_again_and_one_holds_the_vip(pair, cluster, client):
    for name in DIRECTORS:
        cluster.run(name, "pkill -KILL heartbeat")
    pair.poll("both run", lambda: all(pair.runs(name) for name in DIRECTORS))
    pair.settle(240)
    with watching(client, VIP) as watch:
        watch.answers(20)
