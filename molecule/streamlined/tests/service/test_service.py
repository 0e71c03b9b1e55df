# SPDX-License-Identifier: GPL-3.0-or-later
"""Two boxes serve, one of them directs, and the other one knows that it does not."""

from __future__ import annotations

import pytest
from lab.boxes import BY_NAT, DEVICES, as_seen, meant, places
from lab.pair import Pair

VIP = "192.168.6.240"
BOXES = ("director1", "director2")


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, BOXES)
    pair.settle()
    for vip in DEVICES:
        pair.served_by_all(cluster.client("client"), vip)
    return pair


@pytest.mark.parametrize("vip", DEVICES)
def test_both_boxes_answer_in_turn(pair, client, vip):
    answers = client.ask(vip, count=20)
    assert answers.by == dict.fromkeys(BOXES, 10)
    assert answers.seen == {as_seen(vip): 20}


@pytest.mark.parametrize("vip", DEVICES)
def test_the_active_box_alone_answers_for_it(cluster, client, pair, vip):
    heard = client.neighbours(vip) if ":" in vip else client.arp(vip)
    assert heard == {cluster.mac(pair.active())}


def test_the_vip_is_hidden_on_both_and_seen_on_one(pair):
    assert places(pair) == meant(pair, pair.active())


@pytest.mark.parametrize("vip", BY_NAT)
def test_by_nat_the_box_that_stands_by_answers_through_the_active_one(cluster, client, pair, vip):
    active, standby = pair.active(), pair.standby()
    ip = "ip -6" if ":" in vip else "ip"
    rule = cluster.run(standby, f"{ip} rule show priority 5010").strip().removeprefix("5010:").strip()
    cluster.run(standby, f"{ip} rule del priority 5010")
    try:
        assert client.ask(vip, count=4, timeout=5).by == {active: 2, "TimeoutError": 2}
    finally:
        cluster.run(standby, f"{ip} rule add priority 5010 {rule}")
    pair.served_by_all(client, vip)


def test_the_kernel_knows_who_stands_by(cluster, pair):
    pair.one_sends()
    for name in BOXES:
        assert cluster.run(name, "sysctl -n net.ipv4.vs.backup_only").strip() == "1"
    # The one that stands by would direct if it were not told so: it has every row.
    pair.have_rows(10)
