# SPDX-License-Identifier: GPL-3.0-or-later
"""From heartbeat and ldirectord to keepalived: two variables and one run, while clients are served."""

from __future__ import annotations

import re

import pytest
from lab.faults import watching
from lab.pair import HEARTBEAT, Pair

VIP = "192.168.6.240"
DIRECTORS = ("lb1", "lb2")
NODES = (*DIRECTORS, "rs1", "rs2", "sorry")
# An orderly stop of heartbeat waits for no deadtime, only for resources to stop and start: slow under emulation.
FAILOVER = 90
NOW = {"lvs_health": "keepalived", "lvs_failover": "keepalived", "lvs_heartbeat": None, "lvs_heartbeat_key": None}


@pytest.fixture(scope="module")
def left(cluster, client):
    """What the client saw while the cluster changed its engines, and what Ansible said of a second run."""
    old = Pair(cluster, VIP, DIRECTORS, HEARTBEAT)
    old.settle()
    with watching(client, VIP) as watch:
        cluster.deploy(dict.fromkeys(NODES, NOW))
        Pair(cluster, VIP, DIRECTORS).settle()
        watch.answers(30)
    return watch, cluster.deploy(dict.fromkeys(NODES, NOW))


def test_the_client_saw_one_failover_at_most(left, capsys):
    watch, _said = left
    with capsys.disabled():
        failed = sum(watch.failed().values())
        print(f"\nway out: {failed} of {len(watch.requests)} requests failed, silence {watch.silence():.2f} s")
    assert watch.silence() < FAILOVER


def test_keepalived_alone_is_left(left, cluster):
    for name in DIRECTORS:
        said = cluster.run(
            name,
            "systemctl is-active keepalived heartbeat ldirectord; systemctl is-enabled keepalived heartbeat ldirectord;"
            "ls /etc/ha.d/ha.cf /etc/ha.d/haresources /etc/ha.d/authkeys /etc/lvs/heartbeat* /etc/lvs/ldirectord*"
            " 2>/dev/null; true",
        )
        assert said.split() == ["active", "inactive", "inactive", "enabled", "disabled", "disabled"]
        assert not cluster.run(name, "systemctl --failed --no-legend").strip()


def test_one_director_holds_the_vip_and_both_hold_the_table(left, cluster, client):
    pair = Pair(cluster, VIP, DIRECTORS)
    assert client.arp(VIP) == {cluster.mac(pair.settle())}
    for name in DIRECTORS:
        assert f"-A -t {VIP}:80 -s rr" in cluster.table(name)
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})


def test_a_second_run_changes_nothing(left):
    assert set(re.findall(r"changed=(\d+)", left[1])) == {"0"}
