# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles set is needed: without it there is no answer."""

from __future__ import annotations

import pytest
from lab.common import poll

LOST = {"TimeoutError": 1}


def test_the_director_takes_its_own_address_for_a_martian(cluster, client):
    with cluster.sysctl("director", "net.ipv4.conf.eth1.accept_local", "0"):
        assert client.ask("203.0.113.10", timeout=3).by == LOST
    assert client.ask("203.0.113.10").by == {"rs1": 1}


def test_a_strict_filter_expects_it_on_the_other_interface(cluster, client):
    with cluster.sysctl("director", "net.ipv4.conf.all.rp_filter", "1"):
        # The role's own value holds even where the distribution's is strict: the larger one counts.
        assert client.ask("203.0.113.10").by == {"rs1": 1}
        with cluster.sysctl("director", "net.ipv4.conf.eth1.rp_filter", "1"):
            assert client.ask("203.0.113.10", timeout=3).by == LOST
    assert client.ask("203.0.113.10").by == {"rs1": 1}


@pytest.fixture
def way_back(cluster):
    """The table of rs2's way back, new at the end: what the kernel has learned about the old route goes with it."""
    yield
    for family, gateway, vip in (("-4", "198.51.100.1", "198.51.100.10"), ("-6", "2001:db8:b::1", "2001:db8:f::20")):
        route = f"ip {family} route"
        cluster.run("rs2", f"{route} flush table 5010; {route} add default via {gateway} table 5010")
        assert cluster.client("rs1").ask(vip, count=2).by == {"rs2": 2}


def gets_redirects(cluster, counter: str, vip: str) -> None:
    """rs2 gets redirects when rs1 asks. The kernel sends few to one host in a second, and has just held some back."""

    def seen() -> int:
        return int(cluster.run("rs2", f"nstat -asz {counter} | awk '/Redirects/ {{print $2}}'"))

    def asked() -> bool:
        cluster.client("rs1").ask(vip, count=2, timeout=3)
        return seen() > before

    before = seen()
    poll("a redirect", 60, asked)


def test_a_director_that_sends_redirects_would_send_them_to_neighbours(cluster, way_back):
    with cluster.sysctl("director", "net.ipv4.conf.all.send_redirects", "1"):
        gets_redirects(cluster, "IcmpInRedirects", "198.51.100.10")


def test_over_ipv6_the_rule_alone_stops_them(cluster, way_back):
    cluster.run("director", "nft flush table inet lvs_director")
    try:
        gets_redirects(cluster, "Icmp6InRedirects", "2001:db8:f::20")
    finally:
        cluster.run("director", "nft -f /etc/lvs/director.nft")


def test_a_neighbour_that_is_answered_directly_hears_nothing(cluster, way_back):
    cluster.run("rs2", "ip route flush table 5010")
    assert cluster.client("rs1").ask("198.51.100.10", timeout=3).by == LOST
