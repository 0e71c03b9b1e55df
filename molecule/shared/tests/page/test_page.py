# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server whose page no longer says what its check looks for gets nobody, and its persistent clients leave it."""

from __future__ import annotations

import os

import pytest
from lab.cluster import directors
from lab.pair import HEARTBEAT, Pair

CASES = {
    "high-capacity": ("192.168.6.240", {"rs1", "rs2"}),
    "vgate": ("192.168.2.11", {"web1", "web2", "web3"}),
}
VIP, SERVERS = CASES[os.environ["MOLECULE_SCENARIO_NAME"]]
CONFIG = "/etc/nginx/conf.d/lab.conf"
PAGE = {"type": "http", "path": "/", "regex": "(rs|web)[123] ", "interval": 2, "timeout": 3, "retries": 1}
PERSISTENT = {"persistence": 300, "inhibit_on_failure": True, "check": PAGE}


@pytest.fixture(scope="module")
def active(cluster):
    """The active director, whose service is persistent and looks at the page for as long as these tests run."""
    pair = Pair(cluster, VIP, directors(), HEARTBEAT)
    active = pair.rest()
    service, *others = cluster.variables(active)["lvs_services"]
    cluster.deploy(dict.fromkeys(cluster.nodes, {"lvs_services": [{**service, **PERSISTENT}, *others]}))
    pair.poll("persistence", lambda: f"-A -t {VIP}:80 -s rr -p 300" in cluster.table(active))
    pair.poll("all servers", lambda: set(weights(cluster, active).values()) == {"1"})
    yield active
    cluster.deploy()
    client = cluster.client("client")
    wanted = dict.fromkeys(SERVERS, 2)
    pair.poll("all in turn", lambda: client.ask(VIP, count=2 * len(SERVERS), timeout=3).by == wanted)
    assert pair.settle() == active


@pytest.fixture
def changed(cluster, client, active):
    """The real server that has the client: its page says something else."""
    (stuck,) = client.ask(VIP, count=3).by
    cluster.run(stuck, f"sed -i 's/return 200 \"$hostname/return 200 \"closed/' {CONFIG} && nginx -s reload")
    yield stuck
    cluster.run(stuck, f"sed -i 's/return 200 \"closed/return 200 \"$hostname/' {CONFIG} && nginx -s reload")
    Pair(cluster, VIP, directors(), HEARTBEAT).poll(
        f"{stuck} is back", lambda: weights(cluster, active)[cluster.address(stuck)] == "1"
    )


def weights(cluster, director) -> dict[str, str]:
    """The service's real servers and their weights."""
    rows = [row.split() for row in cluster.table(director) if row.startswith(f"-a -t {VIP}:80 ")]
    return {row[4].rpartition(":")[0]: row[-1] for row in rows}


def test_its_clients_leave_and_nobody_new_comes(cluster, client, active, changed):
    pair = Pair(cluster, VIP, directors(), HEARTBEAT)
    pair.poll("weight 0", lambda: weights(cluster, active)[cluster.address(changed)] == "0")
    pair.poll("its clients leave", lambda: client.ask(VIP, count=3, timeout=3).by.keys() <= SERVERS - {changed})
    answers = client.ask(VIP, count=6).by
    assert len(answers) == 1, "the client is another server's now, for as long as before"
    assert answers.keys() <= SERVERS - {changed}
