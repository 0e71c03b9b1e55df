# SPDX-License-Identifier: GPL-3.0-or-later
"""One director holds the VIP, the gateway and ldirectord; the other one waits, and knows its connections."""

from __future__ import annotations

import pytest
from lab.pair import HEARTBEAT, Pair

VIP = "192.168.6.240"
GATEWAY = "192.168.7.1"
CLIENT = "192.168.6.10"
DIRECTORS = ("lb1", "lb2")


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, DIRECTORS, HEARTBEAT)
    pair.poll(
        "both servers", lambda: cluster.client("client").ask(VIP, count=8, timeout=3).by == {"rs1": 4, "rs2": 4}, 180
    )
    return pair


def test_vip_gateway_and_ldirectord_are_on_one_director(pair, cluster):
    active, standby = pair.active(), pair.standby()
    held = {name: cluster.run(name, "ip -o -4 address") for name in DIRECTORS}
    assert f" {VIP}/32 " in held[active]
    assert f" {GATEWAY}/24 " in held[active]
    assert VIP not in held[standby]
    assert GATEWAY not in held[standby]
    runs = {name: "ldirectord" in cluster.run(name, "pgrep -fl ldirectord || true") for name in DIRECTORS}
    assert runs == {active: True, standby: False}
    assert f"-A -t {VIP}:80 -s rr" in cluster.table(active)


def test_both_servers_answer_in_turn_and_see_the_client(pair, client):
    answers = client.ask(VIP, count=20)
    assert answers.by == {"rs1": 10, "rs2": 10}
    assert answers.seen == {CLIENT: 20}


def test_the_active_director_alone_answers_for_vip_and_gateway(pair, cluster, client):
    active = pair.active()
    assert client.arp(VIP) == {cluster.mac(active, "eth0")}
    assert cluster.client("rs1").arp(GATEWAY) == {cluster.mac(active, "eth1")}


def test_connections_are_known_to_the_director_that_waits(pair, cluster, client):
    for name in DIRECTORS:
        assert pair.syncs(name)
    with client.connection(VIP) as held:
        server = held.ask()
        for _ in range(4):
            assert held.ask() == server
        pair.poll(
            "the held connection at the director that waits",
            lambda: pair.knows_connection(pair.standby(), held.port),
        )


@pytest.mark.parametrize("name", DIRECTORS)
def test_files_units_and_the_key(cluster, name):
    said = cluster.run(name, "stat -c '%a %U' /etc/ha.d/authkeys; systemctl is-enabled ldirectord || true")
    assert said.splitlines() == ["600 root", "disabled"]
    assert "heartbeat" not in cluster.run(name, "systemctl --failed --no-legend")
    assert "monkeys-secret" not in cluster.run(name, "journalctl -b; cat /etc/lvs/*")
