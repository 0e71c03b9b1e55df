# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived moves the VIPs of a static table: they survive what networkd and nftables do, and a reboot.

The second director is one that the inventory knows and that is down.
"""

from __future__ import annotations

import json
import sys

import pytest
from lab.common import CHECKOUT, poll, run, state
from lab.load import load
from lab.pair import Pair

VIPS = ("172.17.60.201", "2001:db8:60::201")
FAILOVER = {"lvs_failover": "keepalived", "lvs_interface": "eth0"}


@pytest.fixture(scope="module", autouse=True)
def moving(cluster, client):
    second = {**FAILOVER, "lvs_address": ["172.17.60.208", "2001:db8:60::208"]}
    path = state() / cluster.scenario / "second.json"
    path.write_text(json.dumps({"directors": {"hosts": {"director2": second}}}))
    cluster.deploy({"director": FAILOVER, "rs1": FAILOVER}, "-i", str(path), "--limit", "!director2")
    answered(client)


def answered(client):
    for vip in VIPS:
        poll(f"answers from {vip}", 90, lambda vip=vip: client.ask(vip, timeout=3).by == {"rs1": 1})


def test_keepalived_holds_the_vips_and_the_table_is_still_ours(cluster):
    record = cluster.run("director", "cat /etc/lvs/director.record /etc/lvs/table.ipvs")
    assert f"address {VIPS[0]}" not in record
    assert f"-A -t {VIPS[0]}:80 -s wlc" in record
    assert "virtual_server" not in cluster.run("director", "cat /etc/keepalived/keepalived.conf")
    held = cluster.run("director", "ip -o address show dev eth0")
    assert all(f" {vip}/" in held for vip in VIPS)


@pytest.mark.parametrize(
    "disturbance",
    ["systemctl restart systemd-networkd", "systemctl reload nftables", "systemctl restart nftables"],
)
def test_nobody_notices(cluster, client, disturbance):
    pair = Pair(cluster, VIPS[0], ["director"])
    before = pair.takeovers("director")
    with load(client, VIPS[0]) as asked:
        cluster.run("director", disturbance)
        asked.more(30)
    assert not asked.failed
    assert pair.takeovers("director") == before
    answered(client)


def test_after_a_boot_keepalived_starts_when_all_is_there(cluster, client):
    run([sys.executable, str(CHECKOUT / "tests" / "lab"), "restart", cluster.scenario, "director"], timeout=1800)
    answered(client)
    look = "systemctl show -p ActiveEnterTimestampMonotonic --value"
    ours, theirs = (int(cluster.run("director", f"{look} {unit}")) for unit in ("lvs-cluster", "keepalived"))
    assert 0 < ours <= theirs
    assert cluster.run("director", "systemctl --failed --no-legend --plain") == ""
