# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived's reload never looks at: changes that others made to its services in the kernel."""

from __future__ import annotations

import pytest
from lab.pair import Pair

VIP = "172.17.60.201"
STRANGER = "192.168.6.9:80"
INHIBITED = "-a -t [2001:db8:60::201]:80 -r [2001:db8:6::4]:80 -m -w"


@pytest.fixture(scope="module")
def active(cluster):
    """The active director, which has only rs2: the daemon of rs1 is dead."""
    pair = Pair(cluster, VIP, ("lb1", "lb2"))
    active = pair.settle()
    cluster.run("rs1", "systemctl stop nginx")
    pair.poll("rs1 is out", lambda: rows(cluster, active).keys() == {"192.168.6.5:80"})
    # A checker of its own watches each service.
    pair.poll("rs1 is out over IPv6", lambda: f"{INHIBITED} 1" not in cluster.table(active))
    yield active
    cluster.run("rs1", "systemctl start nginx")
    pair.poll("rs1 is back", lambda: "192.168.6.4:80" in rows(cluster, active))


def rows(cluster, director) -> dict[str, str]:
    """The real servers of the service and their weights."""
    words = [line.split() for line in cluster.table(director) if line.startswith(f"-a -t {VIP}:80 ")]
    return {row[4]: row[-1] for row in words}


def test_a_dead_server_that_is_inhibited_stays_in_the_table_with_weight_0(cluster, active):
    assert f"{INHIBITED} 0" in cluster.table(active)
    assert cluster.client("client").ask("2001:db8:60::201", count=4).by == {"rs2": 4}


@pytest.fixture(scope="module")
def meddled(cluster, active):
    """Somebody changes a weight, the scheduler, and adds a row of his own."""
    cluster.run(
        active,
        f"ipvsadm -e -t {VIP}:80 -r 192.168.6.5:80 -m -w 9; ipvsadm -E -t {VIP}:80 -s wlc; "
        f"ipvsadm -a -t {VIP}:80 -r {STRANGER} -m -w 1",
    )
    return active


def test_a_run_says_what_others_changed_and_leaves_it(cluster, meddled):
    done = cluster.attempt()
    assert done.returncode == 0
    warned = " ".join(done.stderr.split())  # folded to the terminal's width
    assert STRANGER in warned
    assert "weight 9 in place of 1" in warned
    assert "has other attributes" in warned
    assert rows(cluster, meddled) == {"192.168.6.5:80": "9", STRANGER: "1"}
    assert f"-A -t {VIP}:80 -s wlc" in cluster.table(meddled)


def test_a_run_that_repairs_changes_it_back_and_leaves_the_dead_server_out(cluster, meddled, client):
    cluster.deploy({name: {"keepalived_repair_drift": True} for name in ("lb1", "lb2")})
    assert rows(cluster, meddled) == {"192.168.6.5:80": "1"}
    assert f"-A -t {VIP}:80 -s rr" in cluster.table(meddled)
    assert f"{INHIBITED} 0" in cluster.table(meddled)
    assert client.ask(VIP, count=4).by == {"rs2": 4}
