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


@pytest.fixture
def passing(cluster):
    """How many packets of rs2's second address the box has forwarded. Its own replies pass no chain of this kind."""
    own = {"ip saddr 198.51.100.112": "203.0.113.30", "ip6 saddr 2001:db8:b::112": "2001:db8:f::30"}
    hook = "type filter hook forward priority 0;"
    rules = "".join(f"add rule inet seen forward {words} tcp sport 80 counter\n" for words in own)
    cluster.run("box", f"nft 'add table inet seen; add chain inet seen forward {{ {hook} }}; {rules}'")

    def passing(vip: str) -> int:
        words = next(words for words in own if own[words] == vip)
        (line,) = [line for line in cluster.run("box", "nft list table inet seen").splitlines() if words in line]
        return int(line.split("packets ")[1].split()[0])

    yield passing
    cluster.run("box", "nft delete table inet seen")


@VIPS
def test_replies_pass_the_director_that_sent(client, passing, vip):
    assert client.ask(vip, port=8080, count=4).by == {"box": 2, "rs2": 2}
    assert passing(vip) > 0


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
