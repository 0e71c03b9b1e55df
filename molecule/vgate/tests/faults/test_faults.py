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
# The how-to promises ten seconds, heartbeat its deadtime; ping checks: interval, and two tries of a second each.
CASE = Case(10, detection=2 + 2 + 1, seconds=240)


@pytest.fixture(scope="module")
def pair(cluster):
    offer_long_transfer(cluster, list(SERVERS), rate="60k", megabytes=2)
    return Pair(cluster, VIP, DIRECTORS, HEARTBEAT)


@pytest.fixture(scope="module")
def trials(pair, cluster):
    return Trials(pair, cluster.client("client"), CASE)


def test_a_server_is_unplugged_and_plugged_in_again(pair, client, trials):
    """Nothing reaches it, as if its cable were out; ssh has a network of its own."""
    cable = "table netdev cable { chain out { type filter hook ingress device eth0 priority 0; policy drop; }; }"
    trials.server("real server unplugged", lambda: pair.cluster.run("web3", f"nft '{cable}'"))
    assert client.ask(VIP, count=6).by == {"web1": 3, "web2": 3}
    pair.cluster.run("web3", "nft delete table netdev cable")
    pair.poll("web3 is back", lambda: client.ask(VIP, count=6).by == dict.fromkeys(SERVERS, 2))


def test_the_master_stops_and_both_addresses_move(pair, cluster, trials):
    trials.director("master stopped in order", lambda who: cluster.run(who, "systemctl stop heartbeat"))
    held = cluster.run("slave", "ip -o -4 address")
    assert f" {VIP}/32 " in held
    assert f" {VGATE}/24 " in held
    cluster.run("master", "systemctl start heartbeat")
    trials.mended("the master is back", lambda: pair.poll("it runs", lambda: pair.runs("master")), 0, "slave")
    assert pair.owners() == {"slave"}


def test_the_one_that_took_over_loses_its_power(pair, cluster, trials):
    pair.poll("they hear each other", lambda: heard(cluster, "master", "Slave"), 120)
    try:
        trials.director("active director without power", lambda who: pair.power(who, on=False))
        assert f" {VGATE}/24 " in cluster.run("master", "ip -o -4 address")
    finally:
        pair.power("slave", on=True)
    pair.poll("both run", lambda: all(pair.runs(name) for name in DIRECTORS), 120)
    assert pair.settle(240) == "master"


def heard(cluster, name, other):
    return cluster.run(name, f"cl_status nodestatus {other} || true").strip() == "active"


def test_table_of_faults(trials, capsys):
    with capsys.disabled():
        print(trials.table())
    assert len(trials.rows) == 4
