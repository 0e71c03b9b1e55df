# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client and the real servers see of LVS-NAT."""

from __future__ import annotations

from lab.cluster import Traffic

VIP = "172.17.60.201"
CLIENT = "10.2.3.4"


def test_both_servers_answer_in_turn(client):
    answers = client.ask(VIP, count=40)
    assert answers.by == {"rs1": 20, "rs2": 20}
    assert answers.seen == {CLIENT: 40}


def test_access_logs_name_the_client(cluster, client):
    path = client.fresh_path()
    client.ask(VIP, count=4, path=path)
    assert cluster.sources_logged("rs1", path) == [CLIENT] * 2
    assert cluster.sources_logged("rs2", path) == [CLIENT] * 2


def test_replies_pass_through_the_director(cluster, client):
    before = cluster.traffic("director", VIP, 80)
    client.ask(VIP, count=4)
    after: Traffic = cluster.traffic_once_counted("director", VIP, 80, more_than=before.packets_in)
    assert after.packets_out > before.packets_out


def test_vip_on_the_outside_only(cluster):
    outside = cluster.run("director", "ip -o -4 address show dev eth0")
    inside = cluster.run("director", "ip -o -4 address show dev eth1")
    assert f" {VIP}/" in outside
    assert VIP not in inside
