# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet crosses between the boxes once at most. The director takes one from its time to live, so that tells."""

from __future__ import annotations

import json

import pytest
from lab.pair import Pair

VIPS = ("192.168.6.240", "192.168.6.241")
BOXES = ("director1", "director2")
COUNTERS = {"fresh": "ip ttl 64", "crossed": "ip ttl 63", "again": "ip ttl < 63"}
"""SYNs as the client sent them, those that a director has sent on, and those that came back from there."""


@pytest.fixture(scope="module")
def pair(cluster):
    return Pair(cluster, VIPS[0], BOXES)


@pytest.fixture
def crossings(cluster):
    """What has come to each box since the test began: crossings()["director1"]["fresh"]."""
    named = "; ".join(f"counter {name} {{ packets 0 bytes 0; }}" for name in COUNTERS)
    syn = f"ip daddr {{ {', '.join(VIPS)} }} tcp flags & (fin | syn | rst | ack) == syn"
    rules = "; ".join(f"{syn} {ttl} counter name {name}" for name, ttl in COUNTERS.items())
    chain = f"chain seen {{ type filter hook prerouting priority -400; {rules}; }}"
    for name in BOXES:
        cluster.run(name, f"nft 'table inet lab_crossings {{ {named}; {chain}; }}'")

    def counted(name):
        rows = json.loads(cluster.run(name, "nft -j list table inet lab_crossings"))["nftables"]
        return {row["counter"]["name"]: row["counter"]["packets"] for row in rows if "counter" in row}

    yield lambda: {name: counted(name) for name in BOXES}
    for name in BOXES:
        cluster.run(name, "nft delete table inet lab_crossings")


@pytest.mark.parametrize("vip", VIPS)
def test_a_packet_crosses_once_at_most(client, pair, crossings, vip):
    active, standby = pair.active(), pair.standby()
    answers = client.ask(vip, count=20)
    assert answers.by == dict.fromkeys(BOXES, 10)
    found = crossings()
    assert found[active]["fresh"] >= 20
    assert found[standby]["fresh"] == 0, "the client sends to the active box alone"
    assert 10 <= found[standby]["crossed"] <= found[active]["fresh"]
    assert found[active]["crossed"] == 0, "nothing comes back"
    assert [found[name]["again"] for name in BOXES] == [0, 0]


@pytest.mark.parametrize("vip", VIPS)
def test_without_backup_only_packets_go_back_and_forth(cluster, client, pair, crossings, vip):
    standby = pair.standby()
    with cluster.sysctl(standby, "net.ipv4.vs.backup_only", "0"):
        answers = client.ask(vip, count=8, timeout=3)
        found = crossings()
    assert sum(answers.by[name] for name in BOXES) < 8
    # One SYN alone comes to each box some thirty times before its time to live has ended.
    assert min(found[name]["again"] for name in BOXES) >= 20
    pair.poll("both boxes again", lambda: client.ask(vip, count=8).by == dict.fromkeys(BOXES, 4))
    before = crossings()
    assert client.ask(vip, count=8).by == dict.fromkeys(BOXES, 4)
    after = crossings()
    assert [after[name]["again"] for name in BOXES] == [before[name]["again"] for name in BOXES]
