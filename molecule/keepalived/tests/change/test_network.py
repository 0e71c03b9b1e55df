# SPDX-License-Identifier: GPL-3.0-or-later
"""What no director holds, a network of VIPs and a VIP by mark, is wherever the VIP is that routers send it to."""

from __future__ import annotations

import functools

from lab.pair import Pair

VIP = "172.17.60.201"
UNHELD = ("192.0.2.7", "2001:db8:9::7", "198.51.100.9", "2001:db8:a::9")


def test_it_moves_with_the_vip_and_comes_back(cluster, client):
    pair = Pair(cluster, VIP, ("lb1", "lb2"))

    def served(address: str) -> bool:
        return client.ask(address, count=4, timeout=3).by == {"rs1": 2, "rs2": 2}

    def served_by(name: str) -> None:
        pair.poll(f"{name} has the VIP", lambda: pair.owners() == {name})
        for address in UNHELD:
            pair.poll(f"{name} serves {address}", functools.partial(served, address))
            assert not any(pair.places(director, address) for director in pair.names)

    assert pair.settle() == "lb1"
    served_by("lb1")
    cluster.run("lb1", "systemctl stop keepalived")
    try:
        served_by("lb2")
    finally:
        cluster.run("lb1", "systemctl start keepalived")
    served_by("lb1")
