# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of who answers for the VIP can fail: a real server that does so is seen."""

from __future__ import annotations

VIP = "172.17.60.201"


def test_a_real_server_that_answers_arp_is_seen(cluster, client):
    with cluster.sysctl("rs1", "net.ipv4.conf.all.arp_ignore", "0"), cluster.sysctl(
        "rs1", "net.ipv4.conf.eth0.arp_ignore", "0"
    ):
        assert client.arp(VIP) == {cluster.mac("director"), cluster.mac("rs1")}
    assert client.arp(VIP) == {cluster.mac("director")}


def test_a_real_server_with_the_ipv6_vip_on_its_card_is_seen(cluster, client):
    cluster.run("rs1", "ip address add 2001:db8:60::201/128 dev eth0 nodad")
    try:
        assert cluster.mac("rs1") in client.neighbours("2001:db8:60::201")
    finally:
        cluster.run("rs1", "ip address del 2001:db8:60::201/128 dev eth0")
    assert client.neighbours("2001:db8:60::201") == {cluster.mac("director")}
