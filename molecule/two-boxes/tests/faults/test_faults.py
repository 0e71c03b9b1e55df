# SPDX-License-Identifier: GPL-3.0-or-later
"""heartbeat or ldirectord fails on the box that directs. It goes on as a real server, and nothing of it is left."""

from __future__ import annotations

import re

import pytest
from lab.boxes import DEVICES, meant, places
from lab.pair import HEARTBEAT, Pair
from lab.trials import undisturbed

VIPS = ("192.168.6.240", "2001:db8:6::240")
BOXES = ("lb1", "lb2")
# A takeover starts a script for each resource: half a minute to a minute and a half under emulation.
PATIENCE = 240


@pytest.fixture(scope="module")
def pair(cluster):
    return Pair(cluster, VIPS[0], BOXES, HEARTBEAT)


def both_serve(cluster, pair, client):
    """Both answer in turn for each VIP, one directs, and the other one has the VIPs on lo and nothing else."""
    for vip in DEVICES:
        pair.served_by_all(client, vip, PATIENCE)
    active = pair.rest(PATIENCE)
    assert places(pair) == meant(pair, active)
    assert cluster.table(pair.standby()) == []
    assert client.arp(VIPS[0]) == client.neighbours(VIPS[1]) == {cluster.mac(active)}


def test_heartbeat_is_killed(cluster, pair, client):
    """It may be back before the other box has missed it, and then takes the VIPs itself."""
    killed = pair.rest(PATIENCE)
    takeovers = {name: pair.takeovers(name) for name in BOXES}
    pair.kill(killed)
    pair.poll(
        "one of the boxes takes over",
        lambda: any(pair.takeovers(name) > takeovers[name] for name in BOXES),
        PATIENCE,
    )
    assert all("lo" in pair.places(name, vip) for name in BOXES for vip in VIPS)
    pair.poll("heartbeat on both", lambda: all(map(pair.runs, BOXES)), 60)
    both_serve(cluster, pair, client)


def test_a_box_whose_ldirectord_was_killed_gives_up_and_goes_on_as_a_real_server(cluster, pair, client):
    gave, other = pair.active(), pair.standby()
    pair.poll("every row", lambda: pair.rows(gave) == 10)
    rows = sorted(cluster.table(gave))
    cluster.run(gave, "pkill -KILL ldirectord")
    assert sorted(cluster.table(gave)) == rows, "it takes nothing along, so somebody else has to"
    cluster.run(gave, "/usr/share/heartbeat/hb_standby all")
    pair.poll(f"{other} has the VIP", lambda: pair.owners() == {other}, PATIENCE)
    assert cluster.table(gave) == []
    assert "ldirectord" not in cluster.run(gave, "pgrep -l ldirectord || true")
    both_serve(cluster, pair, client)
    assert pair.active() == other


def test_a_run_afterwards_changes_nothing(pair, client):
    assert set(re.findall(r"changed=(\d+)", undisturbed(pair, client))) == {"0"}
