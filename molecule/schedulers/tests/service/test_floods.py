# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director remembers of clients that never finish a handshake, without and with the kernel's defences."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import flooding
from lab.common import poll, run
from lab.farm import CLIENTS, REAL_SERVERS

VIP, PORT = "192.0.2.10", 8001
FLOOD = 2 * len(CLIENTS)
SYN, RST, ACK = 2, 4, 16
DEFENCES = 4
"""So many seconds after a sysctl of theirs has changed the kernel's defences have too: it looks once a second."""


@pytest.fixture(scope="module", autouse=True)
def nobody_answers_the_flood(cluster):
    """The real servers are as silent to it as ones that have given up."""
    chain = "chain input { type filter hook input priority 0; tcp sport 20001-20009 drop; }"
    for name in REAL_SERVERS:
        cluster.run(name, f"nft 'table inet lab_flood {{ {chain}; }}'")
    yield
    for name in REAL_SERVERS:
        cluster.run(name, "nft delete table inet lab_flood")


@pytest.fixture
def flood(cluster, request):
    """Send a segment with each of these flags from two ports of every client; forget the connections at the end."""
    source = Path(flooding.__file__).read_text()
    ports = request.param

    def send(*flags: int) -> None:
        said = json.dumps([VIP, PORT, CLIENTS, ports, flags], separators=(",", ":"))
        run(cluster.ssh("client", f"python3 - '{said}'"), stdin=source)

    yield send
    # An open connection that is cut off is remembered for ten seconds more, a half-open one for a minute.
    send(ACK, RST)


def ports(first: int) -> pytest.MarkDecorator:
    """The two ports of a test of its own."""
    return pytest.mark.parametrize("flood", [[first, first + 1]], indirect=True)


def remembered(cluster, first: int) -> Counter[str]:
    """How many connections of a test's flood the director remembers, by their state."""
    rows = (line.split() for line in cluster.connections("director"))
    mine = {str(first), str(first + 1)}
    return Counter(row[2] for row in rows if len(row) == 6 and row[3].rpartition(":")[2] in mine)


def remembers(cluster, first: int, state: str) -> None:
    """Wait for all of a test's flood to be seen in one state.

    Whoever reads the kernel's list while others' connections run out misses a row for each that goes meanwhile.
    """
    until = time.monotonic() + 20
    while (seen := remembered(cluster, first)) != {state: FLOOD} and time.monotonic() < until:
        time.sleep(0.5)
    assert seen == {state: FLOOD}


@contextlib.contextmanager
def defended(cluster, **values: int) -> Iterator[None]:
    """The kernel's defences as these sysctls say, for as long as the block runs."""
    with contextlib.ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(cluster.sysctl("director", f"net.ipv4.vs.{name}", str(value)))
        time.sleep(DEFENCES)
        yield
    time.sleep(DEFENCES)


@ports(20001)
def test_half_open_connections_stay_unless_they_are_dropped_at_random(cluster, farm, flood):
    flood(SYN)
    sent = time.monotonic()
    poll("a while", 60, lambda: time.monotonic() - sent > 10, 1)
    remembers(cluster, 20001, "SYN_RECV")
    with defended(cluster, drop_entry=3):
        poll("a quarter has gone", 40, lambda: remembered(cluster, 20001)["SYN_RECV"] < 0.75 * FLOOD, 1)
        took = time.monotonic() - sent
        # Who finishes the handshake is not disturbed.
        assert set(farm.ask("rr", count=8)) == set(REAL_SERVERS)
    assert took < 60, "by itself the kernel forgets them after a minute"
    farm.table.append(f"drop_entry   {FLOOD} half-open: a quarter gone {took:.0f} s after they came")


@ports(20003)
def test_an_acknowledgement_alone_makes_no_connection_where_tcp_is_secured(cluster, flood):
    with defended(cluster, secure_tcp=3):
        flood(SYN, ACK)
        remembers(cluster, 20003, "SYN_RECV")


@ports(20005)
def test_and_does_where_it_is_not(cluster, flood):
    flood(SYN, ACK)
    # Each would be remembered for lvs_timeouts.tcp, a quarter of an hour.
    remembers(cluster, 20005, "ESTABLISHED")


@contextlib.contextmanager
def counting_syns(cluster) -> Iterator[None]:
    rule = f"ip daddr {VIP} tcp dport {PORT} tcp flags & (syn | ack) == syn counter name syns"
    chain = f"chain seen {{ type filter hook prerouting priority -400; {rule}; }}"
    cluster.run("director", f"nft 'table inet lab_syns {{ counter syns {{ packets 0 bytes 0; }}; {chain}; }}'")
    try:
        yield
    finally:
        cluster.run("director", "nft delete table inet lab_syns")


def syns(cluster) -> int:
    """How many SYNs have come to the director, those that are sent again too."""
    found = json.loads(cluster.run("director", "nft -j list counter inet lab_syns syns"))["nftables"]
    return int(found[-1]["counter"]["packets"])


def test_packets_that_would_begin_a_connection_are_dropped_and_sent_again(cluster, farm):
    """One in two, here; what belongs to a connection is not touched, so each request is answered once it is one."""

    def dropped(connections: int) -> int:
        before = syns(cluster)
        assert set(farm.ask("rr", count=connections)) <= set(REAL_SERVERS)
        return syns(cluster) - before - connections

    with counting_syns(cluster):
        # A SYN whose answer is late is sent again too.
        poll("none is sent again", 60, lambda: dropped(5) == 0)
        with defended(cluster, am_droprate=2, drop_packet=3):
            poll("each is sent twice", 60, lambda: dropped(5) in (4, 5, 6))
        poll("none is sent again", 60, lambda: dropped(3) == 0)
