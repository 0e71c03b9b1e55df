# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault, one after the other, under a client that asks all the time and holds one long transfer.

Seconds are printed beside what the protocol promises; a test fails only far past that, when the transfer breaks that
should not, or when not exactly one director holds the VIP at the end.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

import pytest
from lab.common import state
from lab.faults import offer_long_transfer, transferring, watching
from lab.pair import Pair

VIP = "172.17.60.201"
SERVERS = ("rs1", "rs2")
FALLBACK = "sorry"
INTERFACE = "eth0"  # of the VIP, on the directors


@dataclass(frozen=True)
class Case:
    """What differs between the scenarios that are broken here."""

    advert: float
    synced: bool  # connections survive a change of director
    failback: bool
    detection: float  # the longest a health check may take: interval, tries and their timeouts


DIRECTORS = ("lb1", "lb2")
CASES = {
    "ha-dr": Case(advert=0.2, synced=True, failback=False, detection=2 + 2 * 2 + 0.5),
    "keepalived": Case(advert=1, synced=False, failback=True, detection=2 + 2 * 3 + 1),
}
CASE = CASES[os.environ["MOLECULE_SCENARIO_NAME"]]
# RFC 5798: three adverts and the skew of the lowest priority in use.
TAKEOVER = CASE.advert * 3 + CASE.advert * (256 - 190) / 256


@dataclass
class Row:
    fault: str
    failed: int
    asked: int
    silence: float
    bound: float
    transfer: str
    owner: str


ROWS: list[Row] = []


@pytest.fixture(scope="module")
def pair(cluster):
    offer_long_transfer(cluster, list(SERVERS), rate="60k", megabytes=2)
    return Pair(cluster, VIP, DIRECTORS)


def fault(pair, client, name, break_it, bound, moves=True):
    """Break something under load, wait until the client is served again, note what it cost."""
    before = pair.settle()
    other = next(name for name in DIRECTORS if name != before)
    takeovers = pair.takeovers(other)
    with watching(client, VIP) as watch, transferring(client, VIP) as transfer:
        if moves and CASE.synced:
            # The kernel tells of a connection after its third packet, and sends what it has to tell every two seconds.
            looked = f"ipvsadm -Lnc | grep ':{transfer.port} ' || true"
            pair.poll(
                "the transfer at the other director", lambda: "ESTABLISHED" in pair.cluster.run(other, looked), 30
            )
        began = len(watch.requests)
        break_it(before)
        if moves:
            pair.poll(f"{other} takes over", lambda: pair.takeovers(other) > takeovers)
        watch.more(lambda new: sum(not one.failed for one in new[-20:]) == 20 and len(new) > 40)
        after = pair.settle()
        survived = transfer.ends_well(120) if moves and CASE.synced else transfer.goes_on(10)
        requests = watch.requests[began:]
    transferred = ("whole" if survived else "broken") if moves else ""
    row = note(name, requests, watch.silence(), bound, f"{before}>{after}", transferred)
    if moves:
        # One that is meant to be active and works again has the VIP back by now.
        assert after == other or (CASE.failback and after == DIRECTORS[0])
        assert client.arp(VIP) == {pair.cluster.mac(after, INTERFACE)}
        assert survived or not CASE.synced, transfer.said[-3:]
    assert row.silence < 5 * bound + 1, row
    return row


def note(fault, requests, silence, bound, owner, transfer=""):
    row = Row(fault, sum(one.failed for one in requests), len(requests), silence, bound, transfer, owner)
    ROWS.append(row)
    return row


def home(pair):
    """Where the VIP has to be once everything works again."""
    if CASE.failback:
        pair.poll(f"{DIRECTORS[0]} is active again", lambda: pair.owners() == {DIRECTORS[0]}, 60)
    return pair.settle()


def test_keepalived_is_killed(pair, client):
    """It leaves the VIP on the interface: the unit takes it away and brings keepalived back."""
    fault(
        pair, client, "master keepalived killed", lambda who: pair.cluster.run(who, "pkill -KILL keepalived"), TAKEOVER
    )
    for name in DIRECTORS:
        pair.poll(
            f"keepalived on {name}", lambda name=name: pair.cluster.host(name).service("keepalived").is_running, 60
        )


def test_node_loses_its_power_and_comes_back(pair, client):
    gone = []

    def cut(who):
        gone.append(who)
        pair.power(who, on=False)

    try:
        fault(pair, client, "master node without power", cut, TAKEOVER)
        with watching(client, VIP) as watch:
            before = pair.settle()
            pair.power(gone.pop(), on=True)
            pair.poll("keepalived on both", lambda: all(runs(pair, name) for name in DIRECTORS), 120)
            after = home(pair)
            watch.answers(30)
        row = note("that node comes back", watch.requests, watch.silence(), TAKEOVER, f"{before}>{after}")
        assert CASE.failback or after == before
        assert row.silence < 5 * TAKEOVER + 1, row
    finally:
        for name in gone:
            pair.power(name, on=True)


def runs(pair, name):
    return "active" in pair.cluster.run(name, "systemctl is-active keepalived || true").split()


def test_interface_goes_down(pair, client):
    gone = []

    def down(who):
        gone.append(who)
        # The kernel drops a card's IPv6 addresses with it. Whoever manages the card brings them back; here nobody does.
        pair.cluster.run(
            who, f"sysctl -qw net.ipv6.conf.{INTERFACE}.keep_addr_on_down=1 && ip link set {INTERFACE} down"
        )

    try:
        fault(pair, client, "master's VIP interface down", down, TAKEOVER)
    finally:
        for name in gone:
            pair.cluster.run(name, f"ip link set {INTERFACE} up")
    home(pair)


def test_directors_do_not_hear_each_other(pair, client):
    before = home(pair)
    rules = (
        "table inet cut { chain input { type filter hook input priority -10; ip protocol vrrp drop; "
        "ip6 nexthdr vrrp drop; }; }"
    )
    for name in DIRECTORS:
        pair.cluster.run(name, f"nft '{rules}'")
    try:
        pair.poll("two masters", lambda: pair.owners() == set(DIRECTORS), 60)
    finally:
        for name in DIRECTORS:
            pair.cluster.run(name, "nft delete table inet cut")
    with watching(client, VIP) as watch:
        after = home(pair)
        watch.answers(30)
    note("directors cut from each other, healed", watch.requests, watch.silence(), 0, f"{before}>both>{after}")


def test_server_stops(pair, client):
    run = pair.cluster.run
    fault(
        pair,
        client,
        "real server's daemon stopped",
        lambda _: run("rs1", "systemctl stop nginx"),
        CASE.detection,
        False,
    )
    run("rs1", "systemctl start nginx")
    both_answer(pair, client)


def test_server_hangs(pair, client):
    run = pair.cluster.run
    fault(pair, client, "real server hangs", lambda _: run("rs1", "pkill -STOP nginx"), CASE.detection, False)
    run("rs1", "pkill -CONT nginx")
    both_answer(pair, client)


def test_all_servers_stop(pair, client):
    """The fallback answers, and gives way as soon as one of them is back."""
    run = pair.cluster.run

    def stop(_):
        for name in SERVERS:
            run(name, "systemctl stop nginx")

    fault(pair, client, "all real servers' daemons stopped", stop, CASE.detection, False)
    assert client.ask(VIP, count=4).by == {FALLBACK: 4}
    for name in SERVERS:
        run(name, "systemctl start nginx")
    both_answer(pair, client)


def both_answer(pair, client):
    pair.poll("both servers", lambda: client.ask(VIP, count=8).by == {"rs1": 4, "rs2": 4}, 60)


def test_table_of_faults(cluster, capsys):
    """Printed for the reader, kept for docs/benchmarks.md."""
    lines = [f"{'fault':40} {'failed':>12} {'silence':>9} {'bound':>7}  {'transfer':9} owner"]
    for row in ROWS:
        failed = f"{row.failed} of {row.asked}"
        bound = f"{row.bound:5.2f} s" if row.bound else ""
        lines.append(f"{row.fault:40} {failed:>12} {row.silence:7.2f} s {bound:>7}  {row.transfer:9} {row.owner}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    (state() / cluster.scenario / "faults.json").write_text(json.dumps([asdict(row) for row in ROWS]))
    assert len(ROWS) >= 8
