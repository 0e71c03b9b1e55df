# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistence, one-packet UDP, SCTP and thresholds, as a client meets them."""

from __future__ import annotations

import time
from collections import Counter

from lab.common import poll
from lab.farm import CLIENTS, REAL_SERVERS

VIP, DR_VIP = "192.0.2.10", "192.0.2.20"
EACH_TEN = dict.fromkeys(REAL_SERVERS, 10)
REFUSED = "!ConnectionRefusedError"


def test_a_client_comes_back_until_its_time_is_over(cluster, farm):
    first, other = CLIENTS[:2]
    began = time.monotonic()
    (server,) = set(farm.ask("persistent", [first], count=6, reset=True))
    (another,) = set(farm.ask("persistent", [other], count=6, reset=True))
    assert server != another
    template = f"ipvsadm -Lnc | grep -qE ' {first}:0 +{VIP}:8020 '"
    cluster.run("director", f"{template} && for i in $(seq 120); do {template} || exit 0; sleep 0.5; done; exit 1")
    seconds = time.monotonic() - began
    farm.table.append(f"persistent   for 15 s: forgotten {seconds:.0f} s after the first connection")
    assert seconds > 14
    # In turn: somebody else's turn now.
    assert farm.ask("persistent", [first], reset=True) != [server]


def test_all_clients_of_a_network_go_to_one_server_and_each_network_to_another(farm):
    servers = farm.of_each("network", CLIENTS)
    networks = {}
    for client, name in servers.items():
        networks.setdefault(int(client.rsplit(".", 1)[1]) // 64, set()).add(name)
    assert all(len(names) == 1 for names in networks.values())
    assert set.union(*networks.values()) == set(REAL_SERVERS)
    farm.note("network", "254 clients in four networks /26", servers.values())


def test_sip_goes_by_call_id(farm):
    def call(number: int, *clients: str) -> set[str]:
        text = (
            f"OPTIONS sip:{VIP} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK{number}\r\n"
            f"From: <sip:a@example.org>;tag={number}\r\nTo: <sip:b@example.org>\r\n"
            f"Call-ID: {number}a84b4c76e66710@192.0.2.4\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        said = farm.datagrams("sip", clients, text=text)
        assert {address for _, address in said} == {VIP}
        return {name for name, _ in said}

    mine, neighbour = CLIENTS[:2]
    calls = [call(number, mine, mine, neighbour) for number in range(4)]
    # Three sockets of two clients make one call; four calls of one client are with four servers.
    assert all(len(names) == 1 for names in calls)
    assert set.union(*calls) == set(REAL_SERVERS)
    assert [call(number, mine) for number in range(4)] == calls


def test_a_full_server_gets_no_new_connections_and_then_again(farm):
    names = farm.ask("limited", count=13, hold="limited")
    assert names == ["rs1"] * 3 + ["rs2"] * 3 + ["rs3"] * 3 + ["rs4"] * 3 + [REFUSED]

    def forgotten(left: int) -> None:
        def few() -> bool:
            server = farm.servers("limited")["rs1"]
            return server.active + server.inactive == left

        poll(f"rs1 has {left} connections", 60, few, 1)

    farm.drop(["limited0"], reset=True)
    forgotten(2)
    assert farm.ask("limited") == [REFUSED]  # lower_threshold is 2: fewer than that
    farm.drop(["limited1"], reset=True)
    forgotten(1)
    assert farm.ask("limited", reset=True) == ["rs1"]
    farm.drop((f"limited{index}" for index in range(2, 12)), reset=True)


def test_one_packet_spreads_the_datagrams_of_one_socket(farm):
    said = farm.datagrams("dns", ["203.0.113.5"], count=40)
    assert farm.note("dns", "40 datagrams of one socket", (name for name, _ in said)) == EACH_TEN
    assert {address for _, address in said} == {DR_VIP}


def test_without_it_a_socket_stays_with_its_server(farm):
    said = farm.datagrams("udp", CLIENTS[:8], count=10)
    assert {address for _, address in said} == {VIP}
    assert all(len(set(said[at : at + 10])) == 1 for at in range(0, 80, 10))
    assert farm.note("udp", "8 sockets, 10 datagrams each", (name for name, _ in said)) == dict.fromkeys(
        REAL_SERVERS, 20
    )


def test_a_socket_that_is_silent_is_forgotten_when_its_time_is_over(cluster, farm):
    """lvs_timeouts says 15 s in place of the kernel's 300."""
    client = CLIENTS[8]  # the test before this one had the first eight
    entry = f"ipvsadm -Lnc | grep -E '^UDP .* {client}:[0-9]+ +{VIP}:8053 '"
    farm.datagrams("udp", [client])
    _, left, *_ = poll("it is known", 10, lambda: cluster.run("director", f"{entry} || true").split())
    assert "00:00" < left <= "00:15"
    poll("it is forgotten", 60, lambda: not cluster.run("director", f"{entry} || true"), 1)


def test_one_packet_and_nat_suits_what_is_not_answered(farm):
    said = farm.datagrams("syslog", count=40)
    assert Counter(name for name, _ in said) == EACH_TEN
    # Nothing on the director remembers whose answer this is.
    assert set(said) == set(REAL_SERVERS.items())


def test_sctp_is_balanced(farm):
    names = farm.ask("sctp", [CLIENTS[-1]], count=8)
    assert farm.note("sctp", "8 associations", names) == dict.fromkeys(REAL_SERVERS, 2)
