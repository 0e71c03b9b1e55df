# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client, the real servers and the network see of LVS-DR."""

from __future__ import annotations

VIP = "172.17.60.201"
CLIENT = "172.17.0.4"


def test_servers_answer_by_their_weights(client):
    answers = client.ask(VIP, count=40)
    assert answers.by == {"rs1": 30, "rs2": 10}
    assert answers.seen == {CLIENT: 40}


def test_access_logs_name_the_client(cluster, client):
    path = client.fresh_path()
    client.ask(VIP, count=4, path=path)
    assert cluster.sources_logged("rs1", path) == [CLIENT] * 3
    assert cluster.sources_logged("rs2", path) == [CLIENT]


def test_director_sees_no_replies(cluster, client):
    before = cluster.traffic("director", VIP, 80)
    client.ask(VIP, count=8)
    after = cluster.traffic_once_counted("director", VIP, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_director_alone_answers_arp(cluster, client):
    assert client.arp(VIP) == {cluster.mac("director")}
