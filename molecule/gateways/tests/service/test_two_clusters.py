# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server of two clusters answers each through its own director; a director that is a real server answers too."""

from __future__ import annotations

import pytest

CASES = {"203.0.113.30": "203.0.113.4", "2001:db8:f::30": "2001:db8:f::4"}
VIPS = pytest.mark.parametrize("vip", CASES)


@VIPS
def test_the_director_and_a_real_server_of_another_cluster_answer_in_turn(client, vip):
    answers = client.ask(vip, port=8080, count=4)
    assert answers.by == {"box": 2, "rs2": 2}
    assert answers.seen == {CASES[vip]: 4}


@VIPS
def test_replies_pass_the_director_that_sent(cluster, client, vip):
    before = cluster.traffic("box", vip, 8080)
    client.ask(vip, port=8080, count=4)
    after = cluster.traffic_once_counted("box", vip, 8080, more_than=before.packets_in)
    assert after.packets_out > before.packets_out


def test_without_its_rule_the_shared_server_answers_nobody_there(cluster, client):
    rule = "from 198.51.100.112 lookup 5011"
    cluster.run("rs2", f"ip rule del {rule}")
    try:
        answers = client.ask("203.0.113.30", port=8080, count=4, timeout=3)
        assert answers.by == {"box": 2, "TimeoutError": 2}
        assert cluster.client("rs1").ask("198.51.100.10").by == {"rs2": 1}
    finally:
        cluster.run("rs2", "systemctl restart lvs-cluster")
    assert client.ask("203.0.113.30", port=8080, count=2).by == {"box": 1, "rs2": 1}
