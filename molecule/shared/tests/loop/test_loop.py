# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet crosses between the boxes once at most. The director takes one from its time to live, so that tells."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
from lab.boxes import BY_NAT, DEVICES, as_seen
from lab.cluster import directors
from lab.pair import HEARTBEAT, KEEPALIVED, Pair

MOVER = {"streamlined": KEEPALIVED, "two-boxes": HEARTBEAT}[os.environ["MOLECULE_SCENARIO_NAME"]]
VIPS = [vip for vip in DEVICES if vip not in BY_NAT]
BOXES = directors()
OWN = ("192.168.6.4", "192.168.6.5", "2001:db8:6::4", "2001:db8:6::5")
"""The boxes' own addresses, which a director by NAT sends to."""
COUNTERS = {"fresh": "64", "crossed": "63", "again": "< 63"}
"""SYNs as the client sent them, those that a director has sent on, and those that came back from there."""


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIPS[0], BOXES, MOVER)
    for vip in DEVICES:
        pair.served_by_all(cluster.client("client"), vip, 240)
    return pair


@pytest.fixture
def crossings(cluster):
    """What has come to each box since the test began: crossings()["director1"]["fresh"]."""
    named = "; ".join(f"counter {name} {{ packets 0 bytes 0; }}" for name in COUNTERS)
    syns = [*map(_syn, (*DEVICES, *OWN))]
    rules = "; ".join(f"{syn} {left} counter name {name}" for syn in syns for name, left in COUNTERS.items())
    chain = f"chain seen {{ type filter hook prerouting priority -400; {rules}; }}"
    for name in BOXES:
        cluster.run(name, f"nft 'table inet lab_crossings {{ {named}; {chain}; }}'")

    def counted(name):
        rows = json.loads(cluster.run(name, "nft -j list table inet lab_crossings"))["nftables"]
        return {row["counter"]["name"]: row["counter"]["packets"] for row in rows if "counter" in row}

    yield lambda: {name: counted(name) for name in BOXES}
    for name in BOXES:
        cluster.run(name, "nft delete table inet lab_crossings")


def _syn(address):
    """A SYN of the client's in nftables' words, up to how long it may live."""
    family, left = ("ip6", "hoplimit") if ":" in address else ("ip", "ttl")
    return f"{family} saddr {as_seen(address)} {family} daddr {address} tcp flags & (syn | ack) == syn {family} {left}"


@contextlib.contextmanager
def directing(cluster, pair, name):
    """The box that stands by directs as well for as long as the block runs."""
    if MOVER is KEEPALIVED:
        with cluster.sysctl(name, "net.ipv4.vs.backup_only", "0"):
            yield
        return
    rows = "\n".join(cluster.table(pair.active()))
    cluster.run(name, f"echo '{rows}' | ipvsadm -R")
    try:
        yield
    finally:
        cluster.run(name, "/etc/ha.d/resource.d/lvs-rows stop")


@pytest.mark.parametrize("vip", DEVICES)
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
def test_where_both_direct_packets_go_back_and_forth(cluster, client, pair, crossings, vip):
    with directing(cluster, pair, pair.standby()):
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
