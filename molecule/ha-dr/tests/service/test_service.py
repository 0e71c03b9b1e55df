# SPDX-License-Identifier: GPL-3.0-or-later
"""One director holds the VIP, the other one waits with the same table; the client sees one service."""

from __future__ import annotations

from lab.common import poll
from lab.pair import Pair

VIP = "172.17.60.201"
CLIENT = "172.17.0.4"


def test_one_director_holds_the_vip_and_both_hold_the_table(cluster):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    pair.settle()
    # Each director has checkers of its own.
    pair.poll("the same table on both", lambda: sorted(cluster.table("lb1")) == sorted(cluster.table("lb2")))
    assert f"-A -t {VIP}:80 -s wrr" in cluster.table("lb1")


def test_both_servers_answer_in_turn(client):
    poll("both servers", 60, lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})
    answers = client.ask(VIP, count=20)
    assert answers.by == {"rs1": 10, "rs2": 10}
    assert answers.seen == {CLIENT: 20}


def test_the_active_director_alone_answers_arp(cluster, client):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    assert client.arp(VIP) == {cluster.mac(pair.active())}


def test_connections_are_known_to_the_director_that_waits(cluster, client):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    with client.connection(VIP) as held:
        server = held.ask()
        for _ in range(4):
            assert held.ask() == server
        pair.poll(
            "the held connection at the director that waits",
            lambda: pair.knows_connection(pair.standby(), held.port),
        )
