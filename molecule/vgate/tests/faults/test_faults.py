# SPDX-License-Identifier: GPL-3.0-or-later
"""As in the how-to: a server is unplugged and plugged in again, the master stops, both addresses move."""

from __future__ import annotations

import pytest
from lab.faults import offer_long_transfer
from lab.pair import HEARTBEAT, Pair
from lab.trials import Case, Trials

VIP = "192.168.2.11"
VGATE = "10.10.10.9"
DIRECTORS = ("master", "slave")
SERVERS = ("web1", "web2", "web3")
# The how-to promises ten seconds, heartbeat its deadtime, after which it starts resources: slow under emulation.
# Ping checks: interval, and two tries of a second each.
CASE = Case(10, detection=2 + 2 + 1, seconds=240, limit=90)


@pytest.fixture(scope="module")
def pair(cluster):
    offer_long_transfer(cluster, list(SERVERS), rate="60k", megabytes=1)
    return Pair(cluster, VIP, DIRECTORS, HEARTBEAT)


@pytest.fixture(scope="module")
def trials(pair, cluster):
    return Trials(pair, cluster.client("client"), CASE)


def has_both(cluster, name):
    held = cluster.run(name, "ip -o -4 address")
    return f" {VIP}/32 " in held and f" {VGATE}/24 " in held


def test_a_server_is_unplugged_and_plugged_in_again(pair, client, trials):
    """Nothing reaches it, as if its cable were out; ssh has a network of its own."""
    cable = "table netdev cable { chain out { type filter hook ingress device eth0 priority 0; policy drop; }; }"
    trials.server("real server unplugged", lambda: pair.cluster.run("web3", f"nft '{cable}'"))
    pair.poll("web3 is out", lambda: client.ask(VIP, count=6, timeout=3).by == {"web1": 3, "web2": 3})
    pair.cluster.run("web3", "nft delete table netdev cable")
    pair.poll("web3 is back", lambda: client.ask(VIP, count=6).by == dict.fromkeys(SERVERS, 2))


def test_the_master_stops_and_both_addresses_move(pair, cluster, trials):
    first = pair.rest()
    trials.director("active director stopped in order", lambda who: cluster.run(who, "systemctl stop heartbeat"))
    other = trials.other(first)
    assert has_both(cluster, other)
    trials.mended("it comes back", lambda: cluster.run(first, "systemctl start heartbeat"), 0, other)
    assert has_both(cluster, other)


def test_the_one_that_took_over_loses_its_power(pair, cluster, trials):
    first = pair.rest()
    other = trials.other(first)
    try:
        trials.director("active director without power", lambda who: pair.power(who, on=False))
        assert has_both(cluster, other)
    finally:
        pair.power(first, on=True)
    assert pair.rest() == other


def test_both_lose_their_power_and_one_has_both_addresses(pair, cluster, client):
    for name in DIRECTORS:
        pair.power(name, on=False)
    for name in DIRECTORS:
        pair.power(name, on=True)
    assert has_both(cluster, pair.rest())
    pair.poll("all servers", lambda: client.ask(VIP, count=6, timeout=3).by == dict.fromkeys(SERVERS, 2), 180)


def test_table_of_faults(trials, capsys):
    with capsys.disabled():
        print(trials.table())
    assert len(trials.rows) == 4
