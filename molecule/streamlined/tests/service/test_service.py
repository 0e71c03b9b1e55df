# SPDX-License-Identifier: GPL-3.0-or-later
"""Two boxes serve, one of them directs, and the other one knows that it does not."""

from __future__ import annotations

import pytest
from lab.pair import Pair

DEVICES = {"192.168.6.240": "lo", "192.168.6.241": "tunl0"}
"""Where a box has each VIP as a real server."""
VIP = "192.168.6.240"
BOXES = ("director1", "director2")
CLIENT = "192.168.6.10"


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, BOXES)
    pair.settle()
    return pair


@pytest.mark.parametrize("vip", DEVICES)
def test_both_boxes_answer_in_turn(pair, client, vip):
    pair.poll("both boxes", lambda: client.ask(vip, count=4).by == dict.fromkeys(BOXES, 2))
    answers = client.ask(vip, count=20)
    assert answers.by == dict.fromkeys(BOXES, 10)
    assert answers.seen == {CLIENT: 20}


@pytest.mark.parametrize("vip", DEVICES)
def test_the_active_box_alone_answers_arp(cluster, client, pair, vip):
    assert client.arp(vip) == {cluster.mac(pair.active())}


def test_the_vip_is_hidden_on_both_and_seen_on_one(cluster, pair):
    active = pair.active()
    for name in BOXES:
        rows = [line.split() for line in cluster.run(name, "ip -o -4 address").splitlines()]
        for vip, device in DEVICES.items():
            found = {row[1] for row in rows if row[3] == f"{vip}/32"}
            assert found == {device, "eth0"} if name == active else found == {device}, f"{vip} on {name}"


def test_the_kernel_knows_who_stands_by(cluster, pair):
    pair.one_sends()
    for name in BOXES:
        assert cluster.run(name, "sysctl -n net.ipv4.vs.backup_only").strip() == "1"
    # The one that stands by would direct if it were not told so: it has every row.
    pair.have_rows(4)
