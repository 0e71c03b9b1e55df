# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients see of services by mark, on a director that holds no address of theirs."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from lab import ftp
from lab.answers import ANSWER, TRY
from lab.common import run

OFFICE = "203.0.113.10"
FARM, FARM6 = "192.168.0.{}", "2001:db8:a0::{}"
WEB, FTP_VIP, TALK, ALONE = "172.17.60.201", "172.17.60.202", "172.17.60.203", "172.17.60.204"
SERVERS = {"rs1", "rs2"}
DELIVERY = "fwmark 1 lookup 5020 priority 5020"
OWN = "fwmark 1 iif lo lookup 254 priority 5019"


@pytest.fixture(scope="module", autouse=True)
def answering(cluster):
    """Real servers that answer on more than the web's port."""
    for name in sorted(SERVERS):
        cluster.daemon(name, "answer", ANSWER, ":(5300|8080) ", 2)
        cluster.daemon(name, "ftp", ftp.SERVER, ":21 ", 2)


@pytest.fixture
def ask(cluster):
    """ask([source, kind, address, port], ...) is who answered each."""

    def asking(*cases, program=TRY, node="client"):
        words = json.dumps(cases, separators=(",", ":"))
        command = cluster.ssh(node, f"python3 - '{words}'")
        return run(command, stdin=program, timeout=60 + 30 * len(cases)).stdout.splitlines()

    return asking


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


def test_one_row_for_each_family(cluster):
    rows = [row for row in cluster.table("director") if row.startswith("-A -f 1 ")]
    assert sorted(rows) == ["-A -f 1 -6 -s rr -p 900", "-A -f 1 -s rr -p 900"]


def test_real_servers_see_the_client(client):
    assert set(client.ask(FARM.format(9)).seen) == {"198.51.100.10"}


def test_no_interface_holds_an_address(cluster):
    shown = cluster.run("director", "ip -o address show")
    assert "192.0.2.1/24" in shown
    assert "192.168.0." not in shown
    assert "172.17.60." not in shown


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


def test_ftp_in_both_modes(ask):
    modes = ([FTP_VIP, 21, passive] for passive in (False, True, False))
    active, passive, again = ask(*modes, program=ftp.CLIENT)
    assert active == passive == again
    welcome, sender, *_ends = active.split()
    assert welcome == sender
    assert welcome in SERVERS


def test_a_datagram_of_several_packets(ask):
    assert set(ask(*[["", "big", TALK, 5300]] * 2)) == SERVERS


def test_everything_on_one_port(ask):
    places = [f"10.1.2.{last}" for last in range(1, 9)]
    answers = ask(*(["", "tcp", place, 8000] for place in places * 2))
    assert answers[: len(places)] == answers[len(places) :], "a destination has one server"
    assert set(answers) == SERVERS


def test_what_caches_and_directors_have_to_say_themselves_is_no_part_of_everything(ask):
    assert ask(["", "tcp", "198.51.100.10", 8000], node="rs1") == ["!ConnectionRefusedError"]
    assert ask(["", "tcp", "198.51.100.1", 8000], ["", "tcp", "192.0.2.1", 8000]) == ["!ConnectionRefusedError"] * 2


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
    everywhere = [web(FARM.format(5)), web(FARM6.format(5)), web(WEB), ["", "tcp", "10.1.2.1", 8000]]
    assert not SERVERS.intersection(ask(*everywhere))
    cluster.run("director", "systemctl start nftables && systemctl reload nftables")
    until = time.monotonic() + 60
    while not SERVERS.issuperset(answers := ask(*everywhere)):
        assert time.monotonic() < until, answers
        time.sleep(0.5)
