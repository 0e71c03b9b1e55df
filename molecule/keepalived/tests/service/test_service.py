# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind two directors there is one LVS-NAT; VIPs and the real servers' gateways are always on the same one."""

from __future__ import annotations

import pytest
from lab.pair import Pair

CASES = {"172.17.60.201": "172.17.0.4", "2001:db8:60::201": "2001:db8:60::4"}
NETWORK = ("192.0.2.7", "192.0.2.250", "2001:db8:9::7", "2001:db8:9:0:ffff::1")
MOVING = {"172.17.60.201/32", "2001:db8:60::201/128", "192.168.6.1/24", "2001:db8:6::1/64"}
VIPS = pytest.mark.parametrize("vip", CASES)


@pytest.fixture(scope="module")
def pair(cluster):
    pair = Pair(cluster, "172.17.60.201", ("lb1", "lb2"))
    client = cluster.client("client")
    pair.poll("lb1 is active", lambda: pair.owners() == {"lb1"})
    # Each director has checkers of its own, and each service.
    for vip in CASES:
        pair.poll(f"both of {vip}", lambda vip=vip: client.ask(vip, count=8, timeout=3).by == {"rs1": 4, "rs2": 4})
    return pair


def test_vips_and_gateways_are_on_the_director_of_the_highest_priority(pair, cluster):
    held = {name: set(cluster.run(name, "ip -o address | awk '{print $4}'").split()) for name in pair.names}
    assert held["lb1"] >= MOVING
    assert not MOVING & held["lb2"]


@VIPS
def test_both_servers_answer_in_turn_and_see_the_client(pair, client, vip):
    answers = client.ask(vip, count=20)
    assert answers.by == {"rs1": 10, "rs2": 10}
    assert answers.seen == {CASES[vip]: 20}


@pytest.mark.parametrize("vip", NETWORK)
def test_every_address_of_a_network_is_served_though_nobody_holds_it(pair, cluster, client, vip):
    pair.poll(f"both of {vip}", lambda: client.ask(vip, count=4, timeout=3).by == {"rs1": 2, "rs2": 2})
    assert not pair.places("lb1", vip)


@VIPS
def test_replies_pass_through_the_active_director(pair, cluster, client, vip):
    before = cluster.traffic("lb1", vip, 80)
    client.ask(vip, count=4)
    after = cluster.traffic_once_counted("lb1", vip, 80, more_than=before.packets_in)
    assert after.packets_out > before.packets_out


def test_the_active_director_alone_answers_for_vip_and_gateway(pair, cluster, client):
    assert client.arp("172.17.60.201") == {cluster.mac("lb1", "eth0")}
    assert client.neighbours("2001:db8:60::201") == {cluster.mac("lb1", "eth0")}
    assert cluster.client("rs1").arp("192.168.6.1") == {cluster.mac("lb1", "eth1")}


def test_a_script_decides_on_weights(pair, cluster, client):
    """The successor of feedbackd: what the script says is the weight, without a run."""

    def weights():
        rows = (line.split() for line in cluster.table("lb1") if line.startswith(f"-a -t {pair.vip}:8080 "))
        return [row[-1] for row in rows]

    pair.poll("the first weight", lambda: weights() == ["10", "10"])
    cluster.run("lb1", "echo 5 >/etc/weight")
    pair.poll("the next weight", lambda: weights() == ["3", "3"])
    assert client.ask(pair.vip, port=8080, count=4).by.keys() == {"rs1", "rs2"}
    cluster.run("lb1", "echo 12 >/etc/weight")
