# SPDX-License-Identifier: GPL-3.0-or-later
"""Two boxes serve, one of them directs, and the other one has nothing to direct by."""

from __future__ import annotations

import pytest
from lab.boxes import DEVICES, as_seen, meant, places
from lab.pair import HEARTBEAT, Pair

VIP = "192.168.6.240"
VIP6 = "2001:db8:6::240"
BOXES = ("lb1", "lb2")


@pytest.fixture(scope="module")
def pair(cluster, client):
    pair = Pair(cluster, VIP, BOXES, HEARTBEAT)
    for vip in DEVICES:
        pair.served_by_all(client, vip, 240)
    pair.rest()
    return pair


@pytest.mark.parametrize("vip", DEVICES)
def test_both_boxes_answer_in_turn(pair, client, vip):
    answers = client.ask(vip, count=20)
    assert answers.by == dict.fromkeys(BOXES, 10)
    assert answers.seen == {as_seen(vip): 20}


def test_the_active_box_alone_answers_arp(cluster, client, pair):
    assert client.arp(VIP) == {cluster.mac(pair.active())}


def test_the_active_box_alone_answers_neighbour_solicitations(cluster, client, pair):
    assert client.neighbours(VIP6) == {cluster.mac(pair.active())}


def test_the_vips_are_hidden_on_both_and_seen_on_one(pair):
    assert places(pair) == meant(pair, pair.active())


def test_the_box_that_stands_by_has_no_rows_and_no_ldirectord(cluster, pair):
    active, standby = pair.active(), pair.standby()
    assert pair.rows(active) == 10
    assert cluster.table(standby) == []
    runs = {name: "ldirectord" in cluster.run(name, "pgrep -l ldirectord || true") for name in BOXES}
    assert runs == {active: True, standby: False}


def test_nothing_but_the_rows_tells_who_stands_by(cluster, pair):
    for name in BOXES:
        assert pair.syncs(name), name
        assert cluster.run(name, "sysctl -n net.ipv4.vs.backup_only").strip() == "0"
