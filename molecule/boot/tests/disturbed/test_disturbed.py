# SPDX-License-Identifier: GPL-3.0-or-later
"""Other daemons of the host start again: traffic goes on."""

from __future__ import annotations

import pytest
from lab.common import poll
from lab.load import load

VIP = "172.17.60.201"
VIPS = (VIP, "2001:db8:60::201")
DROP_IN = "/etc/systemd/network/20-eth0.network.d/90-lvs-cluster.conf"
NODES = ("director", "rs1")


@pytest.mark.parametrize("name", NODES)
def test_nftables_stops_starts_reloads_and_starts_again(cluster, client, name):
    """Each flushes every rule of the host; ours are there again when it is done, on the host that has some."""
    with load(client, VIP) as asked:
        for verb in ("stop", "start", "reload", "restart"):
            cluster.run(name, f"systemctl {verb} nftables")
            assert ("inet lvs_realserver" in cluster.run(name, "nft list tables")) == (name == "rs1"), verb
        asked.more()
    assert not asked.failed
    assert cluster.host(name).service("lvs-cluster").is_running


@pytest.mark.parametrize("name", NODES)
def test_networkd_restart(cluster, client, name):
    with load(client, VIP) as asked:
        cluster.run(name, "systemctl restart systemd-networkd")
        asked.more()
    assert not asked.failed
    for vip in VIPS:
        assert client.ask(vip, count=4).by == {"rs1": 4}


def test_without_our_drop_in_networkd_takes_the_vip_away(cluster, client):
    cluster.run("director", f"mv {DROP_IN} /root/ && systemctl restart systemd-networkd")
    try:
        # It says that it runs, and then looks at the addresses.
        poll("the VIP is gone", 60, lambda: VIP not in cluster.run("director", "ip -o address"))
    finally:
        cluster.run(
            "director", f"mv /root/90-lvs-cluster.conf {DROP_IN} && systemctl restart systemd-networkd lvs-cluster"
        )
    for vip in VIPS:
        poll(f"{vip} is back", 60, lambda vip=vip: client.ask(vip, count=4, timeout=3).by == {"rs1": 4})
