# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/remove.yml leaves every host as it was before the first run; what an administrator added stays."""

from __future__ import annotations

import json
import re

import pytest
from lab.common import state

CLUSTER = ["director", "rs1", "rs2"]


ADDED = "192.0.2.98"


def test_without_a_limit_nothing_is_removed(cluster):
    done = cluster.attempt(playbook="remove.yml")
    assert done.returncode != 0
    assert "for example --limit rs3" in done.stdout + done.stderr
    assert "-A -t 172.17.60.201:80 -s wrr" in cluster.table("director")


@pytest.fixture(scope="module")
def removed(cluster):
    # The restart took what an administrator had left.
    cluster.run("director", f"ipvsadm -A -t {ADDED}:99 -s rr")
    for name in CLUSTER:
        cluster.run(name, f"ip address add {ADDED}/32 dev lo")
    cluster.deploy({}, "--limit", "lvs", playbook="remove.yml")
    return cluster.deploy({}, "--limit", "lvs", playbook="remove.yml")


@pytest.mark.parametrize("name", CLUSTER)
def test_as_before_the_first_run(cluster, removed, name):
    before = json.loads((state() / cluster.scenario / f"before-{name}.json").read_text())
    after = cluster.snapshot(name)
    assert {what: ours(after[what]) for what in after} == {what: ours(before[what]) for what in before}


# All nodes share one kernel: once some scenario needs a tunnel's module, every new namespace has its device, and a
# scheduler's module may bring a sysctl to all that exist. sync_qlen_max is a share of the memory at a node's start.
OTHERS = re.compile(
    r"192[.]0[.]2[.]9"
    r"|\b(tunl0|sit0|ip6tnl0|gre0|gretap0|erspan0|ip6gre0)\b"
    r"|[.]vs[.](lblcr?_expiration|sync_qlen_max)\b"
)


def ours(text: str) -> list[str]:
    """Lines without an administrator's traces, then and now, and without other scenarios'."""
    return [line for line in text.splitlines() if not OTHERS.search(line)]


@pytest.mark.parametrize("name", CLUSTER)
def test_what_an_administrator_added_stays(cluster, removed, name):
    assert f"{ADDED}/32" in cluster.run(name, "ip -o address show dev lo")
    assert cluster.table(name) == ([f"-A -t {ADDED}:99 -s rr"] if name == "director" else [])


def test_a_second_removal_changes_nothing(removed):
    assert removed.count("changed=0") == len(CLUSTER)
