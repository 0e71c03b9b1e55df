# SPDX-License-Identifier: GPL-3.0-or-later
"""heartbeat moves VIP and V-gate, keepalived checks real servers and moves nothing."""

from __future__ import annotations

import pytest
from lab.pair import HEARTBEAT, Pair

VIP = "192.168.2.11"
VGATE = "10.10.10.9"
DIRECTORS = ("master", "slave")
SERVERS = {"web1", "web2", "web3"}


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, VIP, DIRECTORS, HEARTBEAT)
    pair.poll("all servers", lambda: set(cluster.client("client").ask(VIP, count=6, timeout=3).by) == SERVERS, 180)
    return pair


def test_vip_and_gateway_are_on_one_director(pair, cluster):
    active = pair.rest()
    held = {name: f" {VGATE}/24 " in cluster.run(name, "ip -o -4 address") for name in DIRECTORS}
    assert held == {name: name == active for name in DIRECTORS}


def test_all_servers_answer_in_turn_and_see_the_client(pair, client):
    answers = client.ask(VIP, count=30)
    assert answers.by == dict.fromkeys(SERVERS, 10)
    assert answers.seen == {"192.168.2.21": 30}


def test_the_gateway_is_the_servers_default_route(cluster):
    for name in SERVERS:
        assert f"default via {VGATE} dev eth0" in cluster.run(name, "ip route")


def test_keepalived_runs_on_both_and_has_no_vrrp(cluster):
    for name in DIRECTORS:
        assert cluster.host(name).service("keepalived").is_running
        said = cluster.run(name, "cat /etc/keepalived/keepalived.conf")
        assert "PING_CHECK" in said
        assert "vrrp_instance" not in said


def test_the_recipe_is_in_the_file(cluster):
    """heartbeat makes all names small."""
    lines = cluster.run("slave", "cat /etc/ha.d/ha.cf").splitlines()
    expected = {"keepalive 2", "deadtime 10", "udpport 1001", "bcast eth0", "hopfudge 1", "node master", "node slave"}
    assert expected <= set(lines)


def test_what_was_installed_left_no_failed_unit_and_no_pacemaker(cluster):
    said = cluster.run(
        "slave", "systemctl --failed --no-legend; dpkg -l pacemaker corosync 2>/dev/null | grep ^ii || true"
    )
    assert not said.strip()
