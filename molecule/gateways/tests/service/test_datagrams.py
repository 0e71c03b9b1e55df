# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies by UDP leave through the director, whether the server is bound to its address or to none; what is no reply
takes the default route that was there."""

from __future__ import annotations

import json

import pytest
from lab.common import run

# rs2's server: on port 5300 bound to no address, on 5301 to each of its own. Bound to none, it leaves it to the kernel
# which address its answers come from.
SERVER = r"""
import selectors, socket

OWN = ("198.51.100.12", "2001:db8:b::12", "198.51.100.112", "2001:db8:b::112")
ready = selectors.DefaultSelector()
for place in (("0.0.0.0", 5300), ("::", 5300), *((address, 5301) for address in OWN)):
    one = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_DGRAM)
    if place[0] == "::":
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(place)
    ready.register(one, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        client = key.fileobj.recvfrom(4096)[1]
        key.fileobj.sendto(("%s %s" % (socket.gethostname(), client[0])).encode(), client)
"""

# Asks all places at once, prints who answered each from the address that was asked, and as whom it saw the client.
ASK = r"""
import json, selectors, socket, sys, time

places = [tuple(place) for place in json.loads(sys.argv[1])]
heard = dict.fromkeys(places, "nobody")
ready = selectors.DefaultSelector()
for address, port in places:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.connect((address, port))
    ready.register(one, selectors.EVENT_READ, (address, port))
# Whoever does not answer is asked again: a datagram that waits for a neighbour's address may be lost.
for _ in range(6):
    for key in list(ready.get_map().values()):
        if heard[key.data] == "nobody":
            key.fileobj.send(b"who")
    until = time.monotonic() + 1
    while "nobody" in heard.values() and time.monotonic() < until:
        for key, _ in ready.select(max(0, until - time.monotonic())):
            heard[key.data] = key.fileobj.recv(4096).decode()
print(json.dumps([heard[place] for place in places]))
"""
VIPS = ("203.0.113.13", "2001:db8:f::13")
UNBOUND, BOUND = [(vip, 5300) for vip in VIPS], [(vip, 5301) for vip in VIPS]
OF_THE_BOX = [("203.0.113.30", 5301), ("2001:db8:f::30", 5301)]
BY_RS2 = ["rs2 203.0.113.4", "rs2 2001:db8:f::4"]
LOST = ["nobody", "nobody"]
# For datagrams without a source yet, and for those of the second address.
RULES = (
    "ip rule {} from 0.0.0.0 ipproto udp sport 5300 lookup 5010 priority 5010",
    "ip -6 rule {} iif lo ipproto udp sport 5300 lookup 5010 priority 32765",
    "ip rule {} from 198.51.100.112 lookup 5011 priority 5011",
    "ip -6 rule {} from 2001:db8:b::112 lookup 5011 priority 5011",
)
OF_RS1 = ("192.0.2.7", "2001:db8:7::7")
DIRECTOR = ("198.51.100.1", "2001:db8:b::1")


@pytest.fixture(scope="module")
def heard(cluster):
    """heard(places, ...): for each pair of places what the client hears by UDP."""
    cluster.daemon("rs2", "names", SERVER, "^udp .*:530[01] ", 6)

    def heard(*pairs: list[tuple[str, int]]) -> list[list[str]]:
        request = json.dumps([place for pair in pairs for place in pair], separators=(",", ":"))
        said = json.loads(run(cluster.ssh("client", f"python3 - '{request}'"), stdin=ASK, timeout=60).stdout)
        return [said[number : number + 2] for number in range(0, len(said), 2)]

    return heard


def test_servers_are_heard_bound_to_no_address_or_to_their_own(heard):
    assert heard(UNBOUND, BOUND, OF_THE_BOX) == [BY_RS2, BY_RS2, BY_RS2]


def test_without_their_rules_only_the_one_bound_to_the_rip_is(cluster, heard):
    cluster.run("rs2", " && ".join(rule.format("del") for rule in RULES))
    try:
        assert heard(UNBOUND, BOUND, OF_THE_BOX) == [LOST, BY_RS2, LOST]
    finally:
        cluster.run("rs2", " && ".join(rule.format("add") for rule in RULES))
    assert heard(UNBOUND, OF_THE_BOX) == [BY_RS2, BY_RS2]


def test_the_default_route_is_still_the_one_that_was_there(cluster):
    routes = cluster.run("rs2", "ip -4 route show default; ip -6 route show default").splitlines()
    assert [line.split()[:3] for line in routes] == [
        ["default", "via", "198.51.100.11"],
        ["default", "via", "2001:db8:b::11"],
    ]


@pytest.fixture
def only_rs1(cluster):
    """Addresses that rs1 alone has. only_rs1() tells which of them rs2 reaches."""

    def change(node, words):
        cluster.run(node, " && ".join(words))

    change("rs1", [f"ip address add {address} dev lo" for address in OF_RS1])
    ask = "; ".join(f"ping -q -c 2 -W 2 {address} >/dev/null && echo {address}" for address in OF_RS1)
    yield lambda: tuple(cluster.run("rs2", f"{ask}; true").split())
    change("rs1", [f"ip address del {address} dev lo" for address in OF_RS1])


def test_what_is_no_reply_takes_it_and_not_the_way_through_the_director(cluster, only_rs1):
    assert only_rs1() == OF_RS1
    ways = [f"{address} via {director}" for address, director in zip(OF_RS1, DIRECTOR, strict=True)]
    cluster.run("rs2", " && ".join(f"ip route add {way}" for way in ways))
    try:
        assert only_rs1() == ()
    finally:
        cluster.run("rs2", " && ".join(f"ip route del {way}" for way in ways))
