# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault, one after the other, with keepalived and with heartbeat."""

from __future__ import annotations

import os

import pytest
from lab.faults import offer_long_transfer
from lab.pair import HEARTBEAT, KEEPALIVED, Pair
from lab.trials import Case, Trials

SERVERS = ("rs1", "rs2")
FALLBACK = "sorry"
INTERFACE = "eth0"  # of the VIP, on the directors
DIRECTORS = ("lb1", "lb2")


def vrrp(advert: float) -> float:
    """RFC 5798: three adverts and the skew of the lowest priority in use."""
    return advert * 3 + advert * (256 - 190) / 256


CASES = {
    "ha-dr": ("172.17.60.201", KEEPALIVED, Case(vrrp(0.2), detection=2 + 2 * 2 + 0.5, synced=True)),
    "keepalived": ("172.17.60.201", KEEPALIVED, Case(vrrp(1), detection=2 + 2 * 3 + 1, failback=True)),
    # heartbeat promises its deadtime. Then it starts resources, each a shell script or a program in Perl that runs
    # others: seconds on a real host, a minute and more under emulation, twice of that where VIPs move back.
    "ultramonkey": ("192.168.6.240", HEARTBEAT, Case(6, detection=2 * (2 + 3), synced=True, seconds=240, limit=150)),
    "high-capacity": (
        "192.168.6.240",
        HEARTBEAT,
        Case(6, detection=2 * (2 + 3), failback=True, seconds=240, limit=150),
    ),
}
VIP, MOVER, CASE = CASES[os.environ["MOLECULE_SCENARIO_NAME"]]


@pytest.fixture(scope="module")
def pair(cluster):
    offer_long_transfer(cluster, list(SERVERS), rate="60k", megabytes=1)
    return Pair(cluster, VIP, DIRECTORS, MOVER)


@pytest.fixture(scope="module")
def trials(pair, cluster):
    return Trials(pair, cluster.client("client"), CASE)


def test_the_mover_is_killed(pair, trials):
    """It leaves the VIP on the interface: the unit takes it away and brings the daemon back.

    heartbeat may be back before the other director has missed it, and then takes the VIP itself.
    """
    trials.director(f"active director's {MOVER.name} killed", pair.kill, stays=MOVER is HEARTBEAT)
    for name in DIRECTORS:
        pair.poll(f"{MOVER.name} on {name}", lambda name=name: pair.runs(name), 60)
    trials.home()


def test_node_loses_its_power_and_comes_back(pair, trials):
    gone = []

    def cut(who):
        gone.append(who)
        pair.power(who, on=False)

    def back():
        pair.power(gone.pop(), on=True)
        pair.poll("the mover on both", lambda: all(pair.runs(name) for name in DIRECTORS), 120)

    try:
        trials.director("active director without power", cut)
        before, by_hand = pair.settle(), trials.by_hand
        row = trials.judged(trials.mended("that director comes back", back, CASE.takeover, before))
        assert CASE.failback or row.owner == f"{before}>{before}"
        assert trials.by_hand == by_hand
    finally:
        for name in gone:
            pair.power(name, on=True)


def test_interface_goes_down(pair, trials):
    gone = []

    def down(who):
        gone.append(who)
        # The kernel drops a card's IPv6 addresses with it. Whoever manages the card brings them back; here nobody does.
        pair.cluster.run(
            who, f"sysctl -qw net.ipv6.conf.{INTERFACE}.keep_addr_on_down=1 && ip link set {INTERFACE} down"
        )

    try:
        trials.director("active director's VIP interface down", down)
    finally:
        for name in gone:
            pair.cluster.run(name, f"ip link set {INTERFACE} up")
    trials.home()


def test_directors_do_not_hear_each_other(pair, trials):
    before = trials.home()
    pair.deafen(True)
    try:
        pair.poll("two owners", lambda: pair.owners() == set(DIRECTORS), CASE.seconds)
    finally:
        pair.deafen(False)
    trials.mended("directors cut from each other, healed", lambda: None, 0, f"{before}>both")


def test_server_stops(pair, client, trials):
    trials.server("real server's daemon stopped", lambda: pair.cluster.run("rs1", "systemctl stop nginx"))
    pair.cluster.run("rs1", "systemctl start nginx")
    both_answer(pair, client)


def test_server_hangs(pair, client, trials):
    trials.server("real server hangs", lambda: pair.cluster.run("rs1", "pkill -STOP nginx"))
    pair.cluster.run("rs1", "pkill -CONT nginx")
    both_answer(pair, client)


def test_all_servers_stop(pair, client, trials):
    """The fallback answers, and gives way as soon as one of them is back."""

    def stop():
        for name in SERVERS:
            pair.cluster.run(name, "systemctl stop nginx")

    trials.server("all real servers' daemons stopped", stop)
    assert client.ask(VIP, count=4).by == {FALLBACK: 4}
    for name in SERVERS:
        pair.cluster.run(name, "systemctl start nginx")
    both_answer(pair, client)


def both_answer(pair, client):
    pair.poll("both servers", lambda: client.ask(VIP, count=8).by == {"rs1": 4, "rs2": 4}, 60)


def test_table_of_faults(trials, capsys):
    with capsys.disabled():
        print(trials.table())
    assert len(trials.rows) == 8
