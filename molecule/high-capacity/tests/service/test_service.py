# SPDX-License-Identifier: GPL-3.0-or-later
"""The preferred director holds VIP and table; replies do not pass through it."""

from __future__ import annotations

import pytest
from lab.pair import HEARTBEAT, Pair

VIP = "192.168.6.240"
DIRECTORS = ("lb1", "lb2")


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, DIRECTORS, HEARTBEAT)
    pair.poll("lb1 is active", lambda: pair.owners() == {"lb1"}, 240)
    pair.poll("both servers", lambda: cluster.client("client").ask(VIP, count=8, timeout=3).by == {"rs1": 4, "rs2": 4})
    return pair


def test_the_standby_holds_neither_vip_nor_table(pair, cluster):
    assert VIP not in cluster.run("lb2", "ip -o address; ipvsadm -Sn")
    assert f"-A -t {VIP}:80 -s rr" in cluster.table("lb1")


def test_both_servers_answer_in_turn_and_see_the_client(pair, client):
    answers = client.ask(VIP, count=20)
    assert answers.by == {"rs1": 10, "rs2": 10}
    assert answers.seen == {"192.168.6.10": 20}


def test_no_reply_passes_the_director(pair, cluster, client):
    before = cluster.traffic("lb1", VIP, 80)
    client.ask(VIP, count=4)
    after = cluster.traffic_once_counted("lb1", VIP, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_the_active_director_alone_answers_arp(pair, cluster, client):
    assert client.arp(VIP) == {cluster.mac("lb1")}
