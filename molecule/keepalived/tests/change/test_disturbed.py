# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables is started again: the VIPs that keepalived holds stay where they are."""

from __future__ import annotations

import pytest
from lab.faults import watching
from lab.pair import Pair

VIP = "172.17.60.201"
VIP6 = "2001:db8:60::201"


@pytest.mark.parametrize("disturbance", ["systemctl restart nftables", "systemctl reload nftables"])
def test_nobody_notices(cluster, client, disturbance):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    assert pair.settle() == "lb1"
    pair.poll("both servers over IPv6", lambda: client.ask(VIP6, count=2).by == {"rs1": 1, "rs2": 1})
    before = pair.takeovers("lb2")
    with watching(client, VIP, timeout=10) as watch:
        began = len(watch.requests)
        cluster.run("lb1", f"systemctl start nftables && {disturbance}")
        watch.answers(40)
    assert not watch.failed(began)
    assert pair.settle() == "lb1"
    assert pair.takeovers("lb2") == before
    assert client.ask(VIP6, count=2).by == {"rs1": 1, "rs2": 1}
