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


@dataclass(frozen=True)
class Case:
    """What differs between the scenarios that are broken here."""

    directors: tuple[str, str]
    interface: str  # of the VIP, on the directors
    advert: float
    synced: bool  # connections survive a change of director
    failback: bool
    detection: float  # the longest a health check may take: interval, tries and their timeouts


CASES = {
    "ha-dr": Case(("lb1", "lb2"), "eth0", 0.2, synced=True, failback=False, detection=2 + 2 * (2 + 0.5)),
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
    return Pair(cluster, VIP, CASE.directors)


def fault(pair, client, name, break_it, bound, moves=True):
    """Break something under load, wait until the client is served again, note what it cost."""
    before = pair.settle()
    with watching(client, VIP) as watch, transferring(client, VIP) as transfer:
        if moves and CASE.synced:
            # The kernel tells of a connection after its third packet, and sends what it has to tell every two seconds.
            other = next(name for name in CASE.directors if name != before)
            looked = f"ipvsadm -Lnc | grep ':{transfer.port} ' || true"
            pair.poll(
                "the transfer at the other director", lambda: "ESTABLISHED" in pair.cluster.run(other, looked), 30
            )
        began = len(watch.requests)
        break_it(before)
        watch.more(lambda new: sum(not one.failed for one in new[-20:]) == 20 and len(new) > 40)
        after = pair.settle()
        survived = transfer.ends_well(120) if moves and CASE.synced else transfer.goes_on()
        requests = watch.requests[began:]
    failed = sum(one.failed for one in requests)
    transferred = ("whole" if survived else "broken") if moves else ""
    row = Row(name, failed, len(requests), watch.silence(), bound, transferred, f"{before}>{after}")
    ROWS.append(row)
    if moves:
        assert after != before
        assert client.arp(VIP) == {pair.cluster.mac(after, CASE.interface)} or CASE.interface != "eth0"
        assert survived or not CASE.synced, transfer.said[-3:]
    assert row.silence < 5 * bound + 1, row
    return row


def test_keepalived_is_killed(pair, client):
    """It leaves the VIP on the interface: the unit takes it away and brings keepalived back."""
    fault(
        pair, client, "master keepalived killed", lambda who: pair.cluster.run(who, "pkill -KILL keepalived"), TAKEOVER
    )
    for name in CASE.directors:
        pair.poll(
            f"keepalived on {name}", lambda name=name: pair.cluster.host(name).service("keepalived").is_running, 60
        )


def test_node_loses_its_power(pair, client):
    gone = []

    def cut(who):
        gone.append(who)
        pair.power(who, on=False)

    try:
        fault(pair, client, "master node without power", cut, TAKEOVER)
    finally:
        for name in gone:
            pair.power(name, on=True)
    owner = pair.settle()
    assert (owner == CASE.directors[0] or owner == gone[0]) if CASE.failback else owner != gone[0]


def test_interface_goes_down(pair, client):
    gone = []

    def down(who):
        gone.append(who)
        pair.cluster.run(who, f"ip link set {CASE.interface} down")

    try:
        fault(pair, client, "master's VIP interface down", down, TAKEOVER)
    finally:
        for name in gone:
            pair.cluster.run(name, f"ip link set {CASE.interface} up")
    pair.settle()


def test_directors_do_not_hear_each_other(pair, client):
    before = pair.settle()
    rules = "table inet cut { chain input { type filter hook input priority -10; ip protocol vrrp drop; }; }"
    for name in CASE.directors:
        pair.cluster.run(name, f"nft '{rules}'")
    try:
        pair.poll("two masters", lambda: pair.owners() == set(CASE.directors), 60)
    finally:
        for name in CASE.directors:
            pair.cluster.run(name, "nft delete table inet cut")
    after = pair.settle()
    ROWS.append(Row("directors cut from each other, healed", 0, 0, 0, 0, "", f"{before}>both>{after}"))
    pair.poll("answers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2}, 60)


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


def both_answer(pair, client):
    pair.poll("both servers", lambda: client.ask(VIP, count=8).by.keys() == {"rs1", "rs2"}, 60)


def test_table_of_faults(cluster, capsys):
    """Printed for the reader, kept for docs/benchmarks.md."""
    lines = [f"{'fault':40} {'failed':>12} {'silence':>9} {'bound':>7}  {'transfer':9} owner"]
    for row in ROWS:
        failed = f"{row.failed} of {row.asked}"
        lines.append(
            f"{row.fault:40} {failed:>12} {row.silence:7.2f} s {row.bound:5.2f} s  {row.transfer:9} {row.owner}"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    (state() / cluster.scenario / "faults.json").write_text(json.dumps([asdict(row) for row in ROWS]))
    assert len(ROWS) >= 6
