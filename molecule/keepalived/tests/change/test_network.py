# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of VIPs is wherever the VIP is that routers send it to."""

from __future__ import annotations

import pytest
from lab.pair import Pair

VIP = "172.17.60.201"


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8:9::7"])
def test_it_moves_with_the_vip_and_comes_back(cluster, client, address):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))

    def served() -> bool:
        return client.ask(address, count=4, timeout=3).by == {"rs1": 2, "rs2": 2}

    assert pair.settle() == "lb1"
    pair.poll("lb1 serves it", served)
    cluster.run("lb1", "systemctl stop keepalived")
    try:
        pair.poll("lb2 has the VIP", lambda: pair.owners() == {"lb2"})
        pair.poll("lb2 serves it", served)
    finally:
        cluster.run("lb1", "systemctl start keepalived")
    pair.poll("lb1 has the VIP", lambda: pair.owners() == {"lb1"})
    pair.poll("lb1 serves it again", served)
