# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client, the real servers and the network see of LVS-DR."""

from __future__ import annotations

import pytest

CASES = {"172.17.60.201": "172.17.0.4", "2001:db8:60::201": "2001:db8:60::4"}
VIPS = pytest.mark.parametrize("vip", CASES)


@VIPS
def test_servers_answer_by_their_weights(client, vip):
    answers = client.ask(vip, count=40)
    assert answers.by == {"rs1": 30, "rs2": 10}
    assert answers.seen == {CASES[vip]: 40}


@VIPS
def test_access_logs_name_the_client(cluster, client, vip):
    path = client.fresh_path()
    client.ask(vip, count=4, path=path)
    assert cluster.sources_logged("rs1", path) == [CASES[vip]] * 3
    assert cluster.sources_logged("rs2", path) == [CASES[vip]]


@VIPS
def test_director_sees_no_replies(cluster, client, vip):
    before = cluster.traffic("director", vip, 80)
    client.ask(vip, count=8)
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_director_alone_answers_arp(cluster, client):
    assert client.arp("172.17.60.201") == {cluster.mac("director")}


def test_director_alone_answers_neighbour_solicitations(cluster, client):
    assert client.neighbours("2001:db8:60::201") == {cluster.mac("director")}


def test_no_ipv6_vip_is_a_source_of_its_own(cluster):
    for name in ("director", "rs1", "rs2"):
        assert "2001:db8:60::201" not in cluster.run(name, "ip -6 route get 2001:db8:60::4"), name
