# SPDX-License-Identifier: GPL-3.0-or-later
"""The ARP test can fail: a real server that is allowed to answer for the VIP does, and is seen."""

from __future__ import annotations

VIP = "172.17.60.201"


def test_a_talkative_real_server_is_seen(cluster, client):
    with cluster.sysctl("rs1", "net.ipv4.conf.all.arp_ignore", "0"), cluster.sysctl(
        "rs1", "net.ipv4.conf.eth0.arp_ignore", "0"
    ):
        assert client.arp(VIP) == {cluster.mac("director"), cluster.mac("rs1")}
    assert client.arp(VIP) == {cluster.mac("director")}
