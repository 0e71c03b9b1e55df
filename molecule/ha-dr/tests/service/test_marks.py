# SPDX-License-Identifier: GPL-3.0-or-later
"""Services by firewall mark: a group of VIPs that share their clients, and packets that somebody else marks."""

from __future__ import annotations

import re

import pytest
from lab.pair import Pair

GROUP = ("172.17.60.203", "172.17.60.204")
CACHE = "172.17.60.205"


@pytest.fixture(scope="module")
def active(cluster):
    pair = Pair(cluster, GROUP[0], ("lb1", "lb2"))
    pair.have_rows(6)
    return pair.settle()


def test_a_client_stays_with_one_server_on_all_vips_of_a_group(cluster, client, active):
    first, second = (client.ask(vip, count=4).by for vip in GROUP)
    assert len(first) == 1
    assert first == second
    (server,) = first
    assert server in ("rs1", "rs2")
    assert any(re.fullmatch(r"-A -f \d+ -s rr -p 300", row) for row in cluster.table(active))


def test_both_directors_mark_alike(cluster):
    tables = {cluster.run(name, "nft list table inet lvs_director") for name in ("lb1", "lb2")}
    assert len(tables) == 1
    assert GROUP[0] in tables.pop()


def test_without_the_rules_nobody_answers_and_nftables_brings_them_back_whatever_it_does(cluster, client, active):
    for verb in ("start", "reload", "restart", "stop"):
        cluster.run(active, "nft flush ruleset")
        assert client.ask(GROUP[0], timeout=3).by.keys().isdisjoint({"rs1", "rs2"})
        cluster.run(active, f"systemctl {verb} nftables")
        assert client.ask(GROUP[0]).by.keys() <= {"rs1", "rs2"}, verb


def test_what_somebody_else_marks_is_balanced_and_nothing_else(cluster, client, active):
    assert client.ask(CACHE, timeout=3).by.keys().isdisjoint({"rs1", "rs2"})
    cluster.run(
        active,
        "nft 'table inet mine { chain pre { type filter hook prerouting priority mangle; "
        f"ip daddr {CACHE} tcp dport 80 meta mark set 7; }}; }}'",
    )
    try:
        assert client.ask(CACHE, count=4).by == {"rs1": 2, "rs2": 2}
    finally:
        cluster.run(active, "nft delete table inet mine")
