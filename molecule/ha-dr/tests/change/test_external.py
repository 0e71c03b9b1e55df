# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else moves the VIP: both directors send and receive, so a connection survives every move, back as well."""

from __future__ import annotations

import contextlib

import pytest
from lab.pair import Pair

VIP = "172.17.60.201"
DIRECTORS = ("lb1", "lb2")
NODES = (*DIRECTORS, "rs1", "rs2", "sorry")


@pytest.fixture(scope="module")
def pair(cluster):
    """keepalived watches the real servers and moves nothing; the tests move the VIP."""
    # With the last keepalived that may hold it gone, nobody does: a short time in which the client is not served.
    mover = {"lvs_failover": "external", "lvs_failback": None, "lvs_vrrp": None}
    pair = Pair(cluster, VIP, DIRECTORS)
    cluster.deploy(dict.fromkeys(NODES, mover))
    # keepalived was told to read its file again, and lets go when it has.
    pair.poll("nobody holds the VIP", lambda: pair.owners() == set())
    yield pair
    for name in DIRECTORS:
        with contextlib.suppress(Exception):
            cluster.run(name, f"ip address del {VIP}/32 dev eth0")
    cluster.deploy()


def move(pair, here: str) -> None:
    for name in DIRECTORS:
        if name != here:
            pair.cluster.run(name, f"ip address del {VIP}/32 dev eth0 2>/dev/null || true")
    pair.cluster.run(here, f"ip address replace {VIP}/32 dev eth0 && arping -q -U -c 2 -w 3 -I eth0 {VIP}")


def test_nobody_of_ours_holds_the_vip(pair):
    assert pair.owners() == set()


def test_both_daemons_run_on_both_directors(pair):
    for name in DIRECTORS:
        assert pair.syncs(name)


def test_a_connection_survives_moving_there_and_back(pair, client):
    move(pair, "lb1")
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})
    with client.connection(VIP) as held:
        server = held.ask()
        for here, other in (("lb1", "lb2"), ("lb2", "lb1"), ("lb1", "lb2")):
            move(pair, here)
            for _ in range(4):
                assert held.ask() == server
            pair.poll(
                f"the connection at {other}",
                lambda other=other: pair.knows_connection(other, held.port),
            )
