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
PORTS = range(20001, 20003)
FLOOD = len(CLIENTS) * len(PORTS)
SYN, RST, ACK = 2, 4, 16


@pytest.fixture(scope="module", autouse=True)
def nobody_answers_the_flood(cluster):
    """The real servers are as silent to it as ones that have given up."""
    rule = f"tcp sport {{ {', '.join(map(str, PORTS))} }} drop"
    for name in REAL_SERVERS:
        cluster.run(
            name, f"nft 'table inet lab_flood {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}'"
        )
    yield
    for name in REAL_SERVERS:
        cluster.run(name, "nft delete table inet lab_flood")


@pytest.fixture
def flood(cluster):
    """Send segments with these flags from every port of every client, and forget the connections at the end."""
    source = Path(flooding.__file__).read_text()

    def send(*flags: int) -> None:
        said = json.dumps([VIP, PORT, CLIENTS, [*PORTS], flags], separators=(",", ":"))
        run(cluster.ssh("client", f"python3 - '{said}'"), stdin=source)

    yield send
    send(RST)
    # CLOSE is remembered for ten seconds; a half-open one stays a minute, whatever is sent.
    poll("the flood is forgotten", 90, lambda: not remembered(cluster), 1)


def remembered(cluster) -> Counter[str]:
    """How many connections of the flood the director remembers, by their state."""
    rows = (line.split() for line in cluster.run("director", "ipvsadm -Lnc").splitlines())
    ports = {str(port) for port in PORTS}
    return Counter(row[2] for row in rows if len(row) == 6 and row[3].rpartition(":")[2] in ports)


def test_half_open_connections_stay_unless_they_are_dropped_at_random(cluster, farm, flood):
    flood(SYN)
    sent = time.monotonic()
    assert remembered(cluster) == {"SYN_RECV": FLOOD}
    poll("a while", 60, lambda: time.monotonic() - sent > 10, 1)
    assert remembered(cluster) == {"SYN_RECV": FLOOD}
    with cluster.sysctl("director", "net.ipv4.vs.drop_entry", "3"):
        poll("a quarter has gone", 40, lambda: remembered(cluster)["SYN_RECV"] < 0.75 * FLOOD, 1)
        took = time.monotonic() - sent
        assert took < 60, "by itself the kernel forgets them after a minute"
        # Who finishes the handshake is not disturbed.
        assert set(farm.ask("rr", count=8)) == set(REAL_SERVERS)
    farm.table.append(f"drop_entry   {FLOOD} half-open: a quarter gone {took:.0f} s after they came")


def test_an_acknowledgement_alone_makes_no_connection_where_tcp_is_secured(cluster, flood):
    with cluster.sysctl("director", "net.ipv4.vs.secure_tcp", "3"):
        flood(SYN, ACK)
        assert remembered(cluster) == {"SYN_RECV": FLOOD}


def test_and_does_where_it_is_not(cluster, flood):
    flood(SYN, ACK)
    # Each would be remembered for lvs_timeouts.tcp, a quarter of an hour.
    assert remembered(cluster) == {"ESTABLISHED": FLOOD}


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
        assert dropped(5) == 0
        with contextlib.ExitStack() as stack:
            for name, value in (("am_droprate", "2"), ("drop_packet", "3")):
                stack.enter_context(cluster.sysctl("director", f"net.ipv4.vs.{name}", value))
            # The kernel looks at its defences every second.
            poll("drops have begun", 20, lambda: dropped(1), 0.1)
            assert dropped(5) in (4, 5, 6)
        poll("drops have ended", 20, lambda: dropped(3) == 0, 0.1)
