# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight 0 in the inventory takes a real server out of service gently."""

from __future__ import annotations

import pytest

VIP = "172.17.60.201"


@pytest.fixture
def without_rs1(cluster, client):
    """rs1 in maintenance, with a connection to it that was open before."""
    with client.connection(VIP) as first, client.connection(VIP) as second:
        held = next(each for each in (first, second) if each.ask() == "rs1")
        cluster.deploy({"rs1": {"lvs_weight": 0}})
        yield held
    cluster.deploy()


def test_weight_0_takes_out_and_lets_finish(cluster, client, without_rs1):
    assert client.ask(VIP, count=40).by == {"rs2": 40}
    assert without_rs1.ask() == "rs1"
    assert f"-a -t {VIP}:80 -r 192.168.6.4:80 -m -w 0" in cluster.table("director")


def test_and_back(client):
    assert client.ask(VIP, count=40).by == {"rs1": 20, "rs2": 20}
