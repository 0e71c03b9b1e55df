# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the two boxes fails as a director, as a real server, or as both."""

from __future__ import annotations

import pytest
from lab.boxes import BY_NAT, meant, places
from lab.pair import Pair

VIP = "192.168.6.240"
VIPS = (VIP, "2001:db8:6::240", *BY_NAT)
BOXES = ("director1", "director2")


@pytest.fixture(scope="module")
def pair(cluster):
    return Pair(cluster, VIP, BOXES)


def both_serve(pair, client):
    """Both answer in turn, one directs, and the kernel of the other one knows that it does not."""
    for vip in VIPS:
        pair.served_by_all(client, vip)
    pair.one_sends()


def test_keepalived_is_killed(pair, client):
    pair.kill(pair.active())
    pair.poll("keepalived on both", lambda: all(map(pair.runs, BOXES)), 60)
    both_serve(pair, client)
    # What it left on its interface went when it was back.
    assert places(pair) == meant(pair, pair.active())


def test_a_box_without_keepalived_goes_on_as_a_real_server(cluster, pair, client):
    stopped, other = pair.active(), pair.standby()
    cluster.run(stopped, "systemctl stop keepalived")
    try:
        pair.poll(f"the VIP on {other}", lambda: pair.owners() == {other})
        assert client.arp(VIP) == {cluster.mac(other)}
        both_serve(pair, client)
    finally:
        cluster.run(stopped, "systemctl start keepalived")
    both_serve(pair, client)


@pytest.mark.parametrize("vip", BY_NAT)
def test_by_nat_connections_to_either_box_go_on_when_the_vip_moves(cluster, pair, client, vip):
    active, other = pair.active(), pair.standby()
    with client.connection(vip) as one, client.connection(vip) as two:
        served = [one.ask(), two.ask()]
        assert sorted(served) == sorted(BOXES)
        # The director tells of a connection with its third packet, and sends what there is every two seconds.
        known = lambda: all(held.ask() and pair.knows_connection(other, held.port) for held in (one, two))  # noqa: E731
        pair.poll(f"{other} knows both connections", known, 30)
        cluster.run(active, "systemctl stop keepalived")
        try:
            # It directs once it no longer hears of connections; until then it would reset what comes for the VIP.
            directs = lambda: pair.owners() == {other} and pair.sync_daemons(other) == {"master"}  # noqa: E731
            pair.poll(f"{other} directs", directs)
            assert [one.ask(), two.ask()] == served
        finally:
            cluster.run(active, "systemctl start keepalived")
        assert [one.ask(), two.ask()] == served
    both_serve(pair, client)


def test_a_box_loses_its_power_and_comes_back(pair, client):
    gone, other = pair.active(), pair.standby()
    pair.power(gone, on=False)
    try:
        pair.poll(f"the VIP on {other}", lambda: pair.owners() == {other})
        pair.poll(f"{other} alone answers", lambda: client.ask(VIP, count=4, timeout=3).by == {other: 4})
    finally:
        pair.power(gone, on=True)
    both_serve(pair, client)


def test_a_box_stops_serving_and_goes_on_directing(cluster, pair, client):
    active, other = pair.active(), pair.standby()
    cluster.run(active, "systemctl stop nginx")
    try:
        pair.poll(f"{other} alone answers", lambda: client.ask(VIP, count=4, timeout=3).by == {other: 4})
        assert pair.active() == active
    finally:
        cluster.run(active, "systemctl start nginx")
    both_serve(pair, client)
