# SPDX-License-Identifier: GPL-3.0-or-later
"""Other services, in another order, with other numbers, and fewer: whose mark, whose clients and what else moves?"""

from __future__ import annotations

import pytest

HOSTS = ("director", "rs1", "rs2")
SHOP, SHOP6 = "172.17.60.205", "2001:db8:c::205"
NEW, WEB = "172.17.60.206", "172.17.60.201"
HOME, NEXT, OFFICE = "198.51.100.10", "198.51.100.11", "203.0.113.10"
CASES = [
    *((client, "tcp", SHOP, port) for client in (HOME, NEXT, OFFICE) for port in (80, 443)),
    *((client, "tcp", SHOP6, port) for client in ("2001:db8:f::10", "2001:db8:e::10") for port in (443, 80)),
]
FARM = [["", "tcp", "192.168.0.5", 80], ["", "tcp", "2001:db8:a0::5", 80]]
BESIDE = [["", "tcp", "192.168.1.5", 80], ["", "tcp", "2001:db8:a1::5", 80], ["", "tcp", WEB, 80]]
SERVERS = {"rs1", "rs2"}


@pytest.fixture(scope="module")
def services(cluster):
    return cluster.variables("director")["lvs_services"]


def served(ask, cases):
    return dict(zip(cases, ask(*cases)))


@pytest.fixture(scope="module")
def before(ask, numbers):
    """The marks, and who serves each persistent client."""
    return numbers(), served(ask, CASES)


@pytest.fixture(scope="module")
def reordered(cluster, services, before):
    # By NAT, which asks nothing of real servers.
    new = {"name": "a-new-one", "vip": NEW, "port": 80, "group": True, "scheduler": "rr", "forward": "nat"}
    changed = [new, *reversed(services)]
    cluster.deploy({host: {"lvs_services": changed} for host in HOSTS}, "--limit", "director")
    return changed


@pytest.fixture(scope="module")
def reserved(cluster, before, reordered):
    """The number of the shop is reserved, and the farm is no service any more."""
    fewer = [one for one in reordered if one["name"] != "farm"]
    number = before[0]["shop-ipv4"]
    cluster.deploy({host: {"lvs_services": fewer, "lvs_fwmark_reserved": [number]} for host in HOSTS})
    return number


def test_neither_a_new_service_in_front_nor_the_order_moves_a_mark(ask, numbers, before, reordered):
    assert set(ask(*[["", "tcp", NEW, 80]] * 2)) == SERVERS
    now = numbers()
    assert now.pop("a-new-one") not in before[0].values()
    assert now == before[0]


def test_persistent_clients_keep_their_servers(ask, before, reordered):
    assert set(before[1].values()) == SERVERS
    # In another order: clients that nobody knew any more would get other servers.
    assert served(ask, CASES[8:] + CASES[2:8] + CASES[:2]) == before[1]


def test_a_reserved_number_is_nobodys(cluster, ask, numbers, before, reserved):
    now = numbers()
    assert now["shop-ipv4"] not in before[0].values()
    others = {name: mark for name, mark in before[0].items() if name not in ("shop-ipv4", "farm-ipv4", "farm-ipv6")}
    assert {name: mark for name, mark in now.items() if name in before[0]} == {**others, "shop-ipv4": now["shop-ipv4"]}
    shown = cluster.run("director", "nft list table inet lvs_director; ip rule; ipvsadm -Sn")
    assert f"{now['shop-ipv4']:#010x}" in shown
    assert f"-f {now['shop-ipv4']} " in shown
    assert f"{reserved:#x}" not in shown
    assert f"{reserved:#010x}" not in shown
    assert f"-f {reserved} " not in shown
    # The director knows no client by the new number, and servers take turns: the first and the last one shared theirs.
    again = served(ask, [(client, "tcp", SHOP, 80) for client in (HOME, OFFICE, NEXT)])
    assert set(again.values()) == SERVERS
    assert any(before[1][case] != server for case, server in again.items())


def test_a_network_that_is_no_service_any_more_is_answered_by_nobody_and_others_are(cluster, ask, reserved):
    assert not SERVERS.intersection(ask(*FARM))
    assert SERVERS.issuperset(ask(*BESIDE))
    for rules in ("ip rule", "ip -6 rule"):
        shown = cluster.run("director", rules)
        assert " lookup 5020" in shown
        assert "fwmark 0x1 " not in shown
    for server in sorted(SERVERS):
        assert "192.168.0.0/24" not in cluster.run(server, "ip route show table local")
