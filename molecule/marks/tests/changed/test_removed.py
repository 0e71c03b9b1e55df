# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/remove.yml takes marks, rules, routes and rows away: every host is as it was before the first run."""

from __future__ import annotations

import json

import pytest
from lab.common import state

HOSTS = ["director", "rs1", "rs2"]
WEB, NAT = ["", "tcp", "172.17.60.201", 80], ["", "tcp", "192.168.1.5", 80]
SERVERS = {"rs1", "rs2"}


@pytest.fixture(scope="module")
def removed(cluster, ask):
    assert SERVERS.issuperset(ask(WEB, NAT))
    cluster.deploy({}, "--limit", "lvs", playbook="remove.yml")


def test_nobody_answers(ask, removed):
    assert not SERVERS.intersection(ask(WEB, NAT))


@pytest.mark.parametrize("name", HOSTS)
def test_as_before_the_first_run(cluster, traces, removed, name):
    assert traces(name) == json.loads((state() / cluster.scenario / f"before-{name}.json").read_text())
