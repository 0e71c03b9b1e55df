# SPDX-License-Identifier: GPL-3.0-or-later
"""ldirectord stops, dies, is upgraded, and others own the table after it, while a client asks all the time."""

from __future__ import annotations

import re

import pytest
from lab.common import poll
from lab.load import load

VIP, EACH_CHECK = "172.17.60.201", "172.17.60.202"
NODES = ("director", "rs1", "rs2")
BOTH = {"rs1": 2, "rs2": 2}


@pytest.fixture(scope="module")
def few(cluster):
    """The services without one of each check: two dozen processes that ask keep an emulated processor busy."""
    services = [one for one in cluster.variables("director")["lvs_services"] if one["vip"] != EACH_CHECK]
    cluster.deploy(everywhere(lvs_services=services))
    return services


@pytest.fixture(autouse=True)
def serving(client, few):
    both_serve(client)


@pytest.fixture(scope="module")
def plain(few):
    """The services that every owner of a table can watch."""
    return [{**one, "check": {"type": "tcp", "interval": 1, "timeout": 5}} for one in few[:2]]


def both_serve(client):
    """Wait until both answer in turn: where the rows were written anew, a round begins again."""
    poll("both servers", 90, lambda: client.ask(VIP, count=4, timeout=3).by == BOTH)


def everywhere(**variables):
    return dict.fromkeys(NODES, variables)


def rows(cluster):
    return {row for row in cluster.table("director") if f" {VIP}:80 " in row}


def runs(cluster):
    return cluster.run("director", "systemctl is-active ldirectord || true").strip() == "active"


@pytest.mark.parametrize(
    "how",
    [
        "systemctl stop ldirectord",
        "systemctl kill -s KILL ldirectord",
        # What its package does around new files.
        "/var/lib/dpkg/info/ldirectord.prerm upgrade 9; /var/lib/dpkg/info/ldirectord.postinst configure 1",
    ],
    ids=["stop", "kill", "upgrade"],
)
def test_without_it_the_table_stays(cluster, client, how):
    before = rows(cluster)
    with load(client, VIP) as asked:
        cluster.run("director", how)
        assert rows(cluster) == before
        asked.more(50)
        cluster.run("director", "systemctl start ldirectord")
        poll("ldirectord runs", 30, lambda: runs(cluster))
        asked.more(50)
    assert rows(cluster) == before
    assert not asked.failed


def test_a_file_that_it_refuses_does_not_land(cluster, client, few):
    look = "sha256sum /etc/ha.d/ldirectord.cf; systemctl show -p MainPID ldirectord"
    before = cluster.run("director", look)
    own = cluster.variables("director")["lvs_ldirectord"]
    with load(client, VIP) as asked:
        wrong = {**own, "global": "checktimeot = 3"}
        done = cluster.attempt(everywhere(lvs_ldirectord=wrong, lvs_services=few))
        asked.more()
    assert done.returncode != 0
    assert "checktimeot" in done.stdout
    assert "nothing was changed" in " ".join(done.stdout.split())
    assert cluster.run("director", look) == before
    assert not asked.failed


def test_a_file_in_the_maintenance_folder_takes_a_server_out(cluster, client):
    cluster.run("director", f"touch /etc/lvs/maintenance/{cluster.address('rs1')}:80")
    poll("rs2 alone", 60, lambda: client.ask(VIP, count=4).by == {"rs2": 4})
    cluster.run("director", "rm /etc/lvs/maintenance/*:80")


def test_what_others_changed_is_said_and_mended_when_asked(cluster, client, few):
    stranger = "172.17.60.250:80"
    cluster.run(
        "director",
        f"ipvsadm -e -t {VIP}:80 -r {cluster.address('rs2')}:80 -g -w 9; ipvsadm -a -t {VIP}:80 -r {stranger} -g -w 0",
    )
    before = rows(cluster)
    done = cluster.attempt(everywhere(lvs_services=few))
    assert done.returncode == 0
    warned = " ".join(done.stderr.split())
    assert stranger in warned
    assert "weight 9 in place of 1" in warned
    assert rows(cluster) == before
    repairing = {"director": {"ldirectord_repair_drift": True, "lvs_services": few}}
    cluster.deploy({**everywhere(lvs_services=few), **repairing})
    poll("the table is mended", 90, lambda: not any(stranger in row or "-w 9" in row for row in rows(cluster)))
    both_serve(client)


@pytest.mark.parametrize(
    ("health", "gap"),
    [
        ("none", 0),
        ("ldirectord", 0),
        ("keepalived", 0),
        # keepalived takes its rows along (facts in docs/ldirectord.md), and ldirectord makes them anew.
        ("ldirectord", 400),
    ],
    ids=["to static", "from static", "to keepalived", "from keepalived"],
)
def test_another_owns_the_rows(cluster, client, plain, health, gap):
    extra = {"lvs_ldirectord": None} if health != "ldirectord" else {}
    services = [{**one, "check": None, "inhibit_on_failure": False} for one in plain] if health == "none" else plain
    with load(client, VIP) as asked:
        said = cluster.deploy(everywhere(lvs_health=health, lvs_services=services, **extra))
        both_serve(client)
        assert not asked.more(50).failed
    assert sum(asked.failed.values()) <= gap, asked.failed
    assert "failed=0" in said
    states = cluster.run("director", "systemctl is-active ldirectord keepalived || true").split()
    assert [state == "active" for state in states] == [health == "ldirectord", health == "keepalived"]
    # The package brings a file of its own, which comes back when ours goes.
    own = "grep -ls lvs.cluster /etc/ha.d/ldirectord.cf /etc/keepalived/keepalived.conf; ls /etc/lvs/table.ipvs"
    there = cluster.run("director", f"{{ {own}; }} 2>/dev/null || true").split()
    keeps = {
        "none": ["/etc/lvs/table.ipvs"],
        "ldirectord": ["/etc/ha.d/ldirectord.cf"],
        "keepalived": ["/etc/keepalived/keepalived.conf"],
    }
    assert there == keeps[health]


def test_ldirectord_is_back_as_it_was(cluster, client, few):
    cluster.deploy(everywhere(lvs_services=few))
    assert set(re.findall(r"changed=(\d+)", cluster.deploy(everywhere(lvs_services=few)))) == {"0"}
    both_serve(client)
