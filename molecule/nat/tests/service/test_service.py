# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client and the real servers see of LVS-NAT, over IPv4 and IPv6."""

from __future__ import annotations

import pytest

CASES = {"172.17.60.201": "10.2.3.4", "2001:db8:60::201": "2001:db8:3::4"}
VIPS = pytest.mark.parametrize("vip", CASES)


@VIPS
def test_both_servers_answer_in_turn(client, vip):
    answers = client.ask(vip, count=40)
    assert answers.by == {"rs1": 20, "rs2": 20}
    assert answers.seen == {CASES[vip]: 40}


@VIPS
def test_access_logs_name_the_client(cluster, client, vip):
    path = client.fresh_path()
    client.ask(vip, count=4, path=path)
    assert cluster.sources_logged("rs1", path) == [CASES[vip]] * 2
    assert cluster.sources_logged("rs2", path) == [CASES[vip]] * 2


@VIPS
def test_replies_pass_through_the_director(cluster, client, vip):
    before = cluster.traffic("director", vip, 80)
    client.ask(vip, count=4)
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out > before.packets_out


@VIPS
def test_vip_on_the_outside_only(cluster, vip):
    outside = cluster.run("director", "ip -o address show dev eth0")
    inside = cluster.run("director", "ip -o address show dev eth1")
    assert f" {vip}/" in outside
    assert vip not in inside
