# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client and the real servers see of LVS-TUN, one of them behind a router."""

from __future__ import annotations

import pytest

CASES = {"172.17.60.201": "172.17.0.4", "2001:db8:60::201": "2001:db8:60::4"}
VIPS = pytest.mark.parametrize("vip", CASES)


@VIPS
def test_both_servers_answer_in_turn(client, vip):
    answers = client.ask(vip, count=40)
    assert answers.by == {"rs1": 20, "rs2": 20}
    assert answers.seen == {CASES[vip]: 40}


@VIPS
def test_director_sees_no_replies(cluster, client, vip):
    before = cluster.traffic("director", vip, 80)
    client.ask(vip, count=4)
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_packets_come_through_the_tunnel(cluster, client):
    def unpacked(device):
        return int(cluster.run("rs2", f"cat /sys/class/net/{device}/statistics/rx_packets"))

    before = {device: unpacked(device) for device in ("tunl0", "lvs6")}
    for vip in CASES:
        client.ask(vip, count=2)
    assert all(unpacked(device) > count for device, count in before.items())


def test_strict_reverse_path_filtering_would_drop_them(cluster, client):
    with cluster.sysctl("rs2", "net.ipv4.conf.all.rp_filter", "1"), cluster.sysctl(
        "rs2", "net.ipv4.conf.tunl0.rp_filter", "0"
    ):
        answered = client.ask("172.17.60.201", count=4, timeout=3).by
    assert answered["rs1"] == 2
    assert answered["rs2"] == 0
    # The role's own value holds even where the distribution's is strict: the larger one counts.
    with cluster.sysctl("rs2", "net.ipv4.conf.all.rp_filter", "1"):
        assert client.ask("172.17.60.201", count=4).by == {"rs1": 2, "rs2": 2}


def test_director_alone_answers_arp(cluster, client):
    assert client.arp("172.17.60.201") == {cluster.mac("director")}


def test_no_vip_is_a_source_of_its_own(cluster):
    for name in ("director", "rs1", "rs2"):
        route = cluster.run(name, "ip -6 route get 2001:db8:60::4")
        assert "2001:db8:60::201" not in route, name
