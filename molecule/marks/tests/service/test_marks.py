# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients see of services by mark, on a director that holds no address of theirs."""

from __future__ import annotations

import contextlib
import time

import pytest
from lab import ftp

HOME, NEXT, OFFICE = "198.51.100.10", "198.51.100.11", "203.0.113.10"
HOME6, OFFICE6 = "2001:db8:f::10", "2001:db8:e::10"
FARM, FARM6 = "192.168.0.{}", "2001:db8:a0::{}"
NAT, NAT6 = "192.168.1.{}", "2001:db8:a1::{}"
WEB, FTP_VIP, TALK, ALONE, SHOP = (f"172.17.60.{last}" for last in range(201, 206))
WEB6, FTP_VIP6, TALK6, SHOP6 = (f"2001:db8:c::{last}" for last in (201, 202, 203, 205))
APART, APART6 = "203.0.113.80", "2001:db8:f::80"
SERVERS = {"rs1", "rs2"}
DELIVERY = "fwmark 1 lookup 5020 priority 5020"
OWN = "fwmark 1 iif lo lookup 254 priority 5019"


def served(ask, clients, vip, port):
    """Who answers each client, which ask in this order."""
    return dict(zip(clients, ask(*([client, "tcp", vip, port] for client in clients))))


def web(address, source=""):
    return [source, "tcp", address, 80]


@contextlib.contextmanager
def put_back(cluster, condition, seconds=60):
    """Something that the unit brings back when the block has ended; the condition tells that it has."""
    try:
        yield
    finally:
        cluster.run("director", "systemctl restart lvs-cluster")
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "lvs-cluster.service did not bring it back"
            time.sleep(0.5)


def test_any_address_any_port_any_protocol_and_one_server_for_each_client(ask):
    cases = [
        [kind, address.format(last), port]
        for kind, address, last, port in (
            ("tcp", FARM, 0, 80),
            ("tcp", FARM, 77, 8080),
            ("udp", FARM, 5, 5300),
            ("tcp", FARM, 255, 80),
        )
    ]
    mine = ask(*(["", *case] for case in cases))
    theirs = ask(*([OFFICE, *case] for case in cases))
    assert len(set(mine)) == len(set(theirs)) == 1, (mine, theirs)
    assert {*mine, *theirs} == SERVERS


def test_the_same_over_ipv6(ask):
    answers = ask(
        ["", "tcp", FARM6.format(1), 80], ["", "tcp", FARM6.format("beef"), 8080], ["", "udp", FARM6.format(2), 5300]
    )
    assert len(set(answers)) == 1
    assert set(answers) <= SERVERS


def test_a_network_by_nat_needs_nothing_of_real_servers(cluster, ask):
    cases = [
        ["tcp", NAT.format(0), 80],
        ["tcp", NAT.format(77), 8080],
        ["udp", NAT.format(5), 5300],
        ["tcp", NAT6.format("beef"), 80],
        ["tcp", NAT6.format(1), 8443],
        ["udp", NAT6.format(2), 5300],
    ]
    answers = ask(*(["", *case] for case in cases for _ in range(2)))
    # In turn, for each family.
    assert answers[0] != answers[1]
    assert answers[6] != answers[7]
    assert answers == answers[:2] * 3 + answers[6:8] * 3
    assert set(answers) == SERVERS
    for server in sorted(SERVERS):
        local = cluster.run(server, "ip route show table local; ip -6 route show table local")
        assert "192.168.0.0/24" in local
        assert "192.168.1." not in local
        assert "2001:db8:a1:" not in local


def test_one_row_for_each_family(cluster):
    rows = [row for row in cluster.table("director") if row.startswith("-A -f 1 ")]
    assert sorted(rows) == ["-A -f 1 -6 -s rr -p 900", "-A -f 1 -s rr -p 900"]


def test_real_servers_see_the_client(client):
    assert set(client.ask(FARM.format(9)).seen) == {"198.51.100.10"}


def test_no_interface_holds_an_address(cluster):
    shown = cluster.run("director", "ip -o address show")
    assert "192.0.2.1/24" in shown
    assert f"{APART}/32" in shown, "the VIP of a service without a mark is held"
    for network in ("192.168.", "172.17.60.", "2001:db8:a0:", "2001:db8:a1:", "2001:db8:c:"):
        assert network not in shown


def test_nobody_answers_arp_for_the_network(cluster, client):
    inside = cluster.client("director")
    assert client.arp("198.51.100.1") == {cluster.mac("director")}
    assert client.arp(FARM.format(5)) == set()
    assert inside.arp(FARM.format(5), "eth1") == set()
    # The test can fail: a real server that answers for what it takes in is seen.
    with cluster.sysctl("rs1", "net.ipv4.conf.all.arp_ignore", "0"), cluster.sysctl(
        "rs1", "net.ipv4.conf.eth0.arp_ignore", "0"
    ):
        assert inside.arp(FARM.format(5), "eth1") == {cluster.mac("rs1")}


def test_clients_of_one_network_have_a_server_of_their_own(ask):
    answers = ask(*[web(WEB)] * 4, *[web(WEB, OFFICE)] * 4)
    assert answers == ["rs1"] * 4 + ["rs2"] * 4
    assert ask(*[web(WEB6, HOME6)] * 3, *[web(WEB6, OFFICE6)] * 3) == ["rs1"] * 3 + ["rs2"] * 3


def test_two_ports_of_one_group_have_one_server_for_each_client(ask):
    for vip, clients in ((SHOP, [HOME, NEXT, OFFICE]), (SHOP6, [HOME6, OFFICE6])):
        # In another order: services that take turns by themselves would give others.
        turned = clients[1:] + clients[:1]
        plain, secure = served(ask, clients, vip, 80), served(ask, turned, vip, 443)
        assert plain == secure
        assert set(plain.values()) == SERVERS


def test_two_ports_without_a_mark_do_not(ask):
    # In turn: of these three the first and the last one meet on the first port, and not on the second one.
    first, second = served(ask, [HOME, NEXT, OFFICE], APART, 8080), served(ask, [HOME, OFFICE, NEXT], APART, 8443)
    assert set(first.values()) == set(second.values()) == SERVERS
    assert first != second


def test_clients_are_one_as_far_as_the_netmask_says(ask):
    # Servers in turn would not be the same from behind.
    clients = (HOME6, OFFICE6, OFFICE6, HOME6)
    together, each = (ask(*([client, "tcp", APART6, port] for client in clients)) for port in (8080, 8443))
    assert len(set(together)) == 1
    assert each == each[::-1]
    assert set(each) == SERVERS
    assert set(together) <= SERVERS


@pytest.mark.parametrize("vip", [FTP_VIP, FTP_VIP6])
def test_ftp_in_both_modes(ask, vip):
    modes = ([vip, 21, passive] for passive in (False, True, False))
    active, passive, again = ask(*modes, program=ftp.CLIENT)
    assert active == passive == again
    welcome, sender, *_ends = active.split()
    assert welcome == sender
    assert welcome in SERVERS


def test_a_datagram_of_several_packets(ask):
    assert set(ask(*[["", "big", TALK, 5300]] * 2)) == SERVERS
    assert set(ask(*[["", "big", TALK6, 5300]] * 2)) == SERVERS


def test_everything_on_one_port(ask):
    places = [f"10.1.2.{last}" for last in range(1, 9)]
    # In turn they would not be the same from behind.
    answers = ask(*(["", "tcp", place, 81] for place in places + places[::-1]))
    assert answers == answers[::-1], "a destination has one server"
    assert set(answers) == SERVERS


def test_what_caches_and_directors_have_to_say_themselves_is_no_part_of_everything(ask):
    assert ask(["", "tcp", "198.51.100.10", 81], node="rs1") == ["!ConnectionRefusedError"]
    assert ask(["", "tcp", "198.51.100.1", 81], ["", "tcp", "192.0.2.1", 81]) == ["!ConnectionRefusedError"] * 2


def test_every_port_of_everywhere_for_clients_of_one_network(ask):
    anywhere = ["udp", "10.1.2.3", 53]
    answers = ask(*[[OFFICE, *anywhere]] * 2, ["", *anywhere])
    assert set(answers[:2]) == SERVERS
    assert answers[2] not in SERVERS


def test_what_somebody_else_marks_is_taken_in(cluster, ask):
    assert not SERVERS.intersection(ask(web(ALONE)))
    cluster.run(
        "director",
        "nft 'table inet mine { chain pre { type filter hook prerouting priority mangle; "
        f"ip daddr {ALONE} tcp dport 80 meta mark set 7; }}; }}'",
    )
    try:
        mine = cluster.run("director", "nft list table inet mine")
        assert set(ask(*[web(ALONE)] * 2)) == SERVERS
        # Whatever our unit does, it does to our table alone.
        cluster.run("director", "systemctl restart lvs-cluster")
        assert cluster.run("director", "nft list table inet mine") == mine
        assert set(ask(*[web(ALONE)] * 2)) == SERVERS
    finally:
        cluster.run("director", "nft delete table inet mine")


def test_replies_pass_the_director_while_it_does_not_hold_the_address(cluster, ask):
    cluster.run(
        "director",
        "nft 'table inet lookout { chain passing { type filter hook forward priority filter; "
        "ip saddr 192.168.0.0/24 counter; }; }'",
    )
    held = FARM.format(66)
    try:
        assert SERVERS.issuperset(ask(web(held)))
        counted = cluster.run("director", "nft list table inet lookout")
        assert "counter packets 0 " not in counted
    finally:
        cluster.run("director", "nft delete table inet lookout")
    # What it holds itself comes from nobody else, says the kernel.
    cluster.run("director", f"ip address add {held}/32 dev lo")
    try:
        without, beside = ask(web(held), web(FARM.format(67)))
    finally:
        cluster.run("director", f"ip address del {held}/32 dev lo")
    assert without not in SERVERS
    assert beside in SERVERS


def test_without_the_rule_nobody_answers(cluster, ask):
    with put_back(cluster, lambda: SERVERS.issuperset(ask(web(FARM.format(5))))):
        cluster.run("director", f"ip rule del {DELIVERY}")
        first, other = ask(web(FARM.format(5)), web(WEB))
        assert first not in SERVERS
        assert other == "rs1"


def test_a_filter_that_looks_at_marks_lets_them_pass(cluster, ask):
    with cluster.sysctl("director", "net.ipv4.conf.all.src_valid_mark", "1"):
        assert SERVERS.issuperset(ask(web(FARM.format(5))))
        # Because of one rule.
        with put_back(cluster, lambda: SERVERS.issuperset(ask(web(FARM.format(5))))):
            cluster.run("director", f"ip rule del {OWN}")
            assert not SERVERS.intersection(ask(web(FARM.format(5))))


def test_a_reload_of_nftables_brings_all_back(cluster, ask):
    cluster.run("director", "nft delete table inet lvs_director")
    everywhere = [web(FARM.format(5)), web(FARM6.format(5)), web(WEB), ["", "tcp", "10.1.2.1", 81]]
    assert not SERVERS.intersection(ask(*everywhere))
    cluster.run("director", "systemctl start nftables && systemctl reload nftables")
    until = time.monotonic() + 60
    while not SERVERS.issuperset(answers := ask(*everywhere)):
        assert time.monotonic() < until, answers
        time.sleep(0.5)
    # What the distribution's own file has is nobody's here.
    cluster.run("director", "nft delete table inet filter")
