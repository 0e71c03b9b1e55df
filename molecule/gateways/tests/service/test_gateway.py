# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes the director on its way out: replies of LVS-DR, and connections that real servers open themselves."""

from __future__ import annotations

import pytest

WEB = {"203.0.113.10": "203.0.113.4", "2001:db8:f::10": "2001:db8:f::4"}
RS1 = {"198.51.100.10": "198.51.100.11", "2001:db8:f::20": "2001:db8:b::11"}


@pytest.mark.parametrize("vip", WEB)
def test_replies_of_direct_routing_reach_the_client(client, vip):
    answers = client.ask(vip, count=4)
    assert answers.by == {"rs1": 4}
    assert answers.seen == {WEB[vip]: 4}


def test_they_pass_through_the_director_as_through_any_router(cluster, client):
    """They are packets that its kernel forwards, and that IPVS counts as those of a service, as it does NAT's."""

    def forwarded() -> int:
        return int(cluster.run("director", "nstat -asz IpForwDatagrams | awk '/IpForw/ {print $2}'"))

    before, counted = forwarded(), cluster.traffic("director", "203.0.113.10", 80)
    client.ask("203.0.113.10", count=4)
    after = cluster.traffic_once_counted("director", "203.0.113.10", 80, more_than=counted.packets_in)
    assert forwarded() >= before + 3 * 4  # to each request at least an acknowledgement, an answer, an end
    assert after.packets_out > counted.packets_out


@pytest.mark.parametrize("vip", WEB)
def test_what_a_real_server_opens_seems_to_come_from_the_vip(cluster, vip):
    answers = cluster.client("rs1").ask(WEB[vip], count=2)
    assert answers.by == {"client": 2}
    assert answers.seen == {vip: 2}


def test_what_the_director_opens_does_not(cluster):
    for there, own in (("203.0.113.4", "203.0.113.2"), ("2001:db8:f::4", "2001:db8:f::2")):
        assert cluster.client("director").ask(there).seen == {own: 1}


@pytest.mark.parametrize("vip", RS1)
def test_a_neighbour_is_a_client_of_nat_and_keeps_its_address(cluster, vip):
    """rs1 shares a network with rs2, which has to answer by way of the director."""
    before = cluster.traffic("director", vip, 80)
    answers = cluster.client("rs1").ask(vip, count=8)
    assert answers.by == {"rs2": 8}
    assert answers.seen == {RS1[vip]: 8}
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out > before.packets_out


@pytest.mark.parametrize("vip", RS1)
def test_the_director_teaches_nobody_a_shorter_way(cluster, vip):
    look = "nstat -asz | awk '/^Icmp6?InRedirects/ {print $2}'"
    before = cluster.run("rs2", look)
    assert cluster.client("rs1").ask(vip, count=4).by == {"rs2": 4}
    assert cluster.run("rs2", look) == before


def test_a_real_server_is_a_client_of_direct_routing_where_it_does_not_hide_the_vip(cluster):
    answers = cluster.client("rs1").ask("203.0.113.12", count=4)
    assert answers.by == {"rs2": 4}
    assert answers.seen == {"198.51.100.11": 4}


def test_for_a_vip_that_it_hides_it_asks_itself(cluster):
    answers = cluster.client("rs1").ask("203.0.113.10", count=2)
    assert answers.by == {"rs1": 2}
    assert answers.seen == {"203.0.113.10": 2}
