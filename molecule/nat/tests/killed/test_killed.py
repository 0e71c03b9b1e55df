# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml is killed, and the run that was to mend it too, on the way to another inventory: the next one mends both.

Ten moments in all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import pytest
from lab.cluster import quick

NODES = ("director", "rs1", "rs2")
VIP = "172.17.60.201"
WEB = {"name": "web", "vip": [VIP, "2001:db8:60::201"], "port": 80, "scheduler": "rr", "forward": "nat"}
MAIL = {"name": "mail", "vip": "172.17.60.202", "port": 25, "scheduler": "wlc", "forward": "nat"}
HIDE, LOAD, TABLE, AWAY = "Hide the VIPs", "Load modules", "Make the kernel's table", "Take away what left"
# Runs of odd numbers take a service away.
PAIRS = [
    ((HIDE, 0), (HIDE, 0.7)),
    ((HIDE, 1.4), (LOAD, 0)),
    ((HIDE, 2.1), (TABLE, 0)),
    ((TABLE, 0.7), (AWAY, 0.3)),
    ((LOAD, 0.7), (LOAD, 1.4)),
]
LASTS = 15  # seconds of a whole run where these moments lie well within it
KILLED: list[bool] = []
STRANGERS = ["-A -t 192.0.2.98:99 -s rr", "-a -t 192.0.2.98:99 -r 192.0.2.96:99 -m -w 7"]


def deploy(cluster, services):
    return cluster.deploy({name: {"lvs_services": services} for name in NODES})


def kill(cluster, services, heading: str, seconds: float) -> None:
    """Start a run and kill Ansible, with all it has started, so many seconds after it has printed a task's heading."""
    command, folder = cluster.deployment({name: {"lvs_services": services} for name in NODES})
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=quick(),
    )
    for line in process.stdout:
        if line.startswith("TASK [") and heading in line:
            time.sleep(seconds)  # not a guess at readiness: the moment itself is what differs from case to case
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    KILLED.append(process.returncode == -signal.SIGKILL)


def owned(cluster) -> dict[str, str]:
    """Everything of ours and of others that a run could have touched, on every node."""
    look = (
        "ip -o address show | grep -o 'inet6\\? [^ ]*' | sort; cat /etc/lvs/*.record; "
        "ip rule; ip -6 rule; ip route show table 5010; ip -6 route show table 5010; true"
    )
    seen = {name: cluster.run(name, look) for name in NODES}
    seen["table"] = "\n".join(sorted(cluster.table("director")))
    return seen


@pytest.fixture(scope="module")
def settled(cluster):
    """How the nodes look after whole runs, for each of the two inventories."""
    both = [WEB, MAIL]
    deploy(cluster, both)
    with_mail = owned(cluster)
    began = time.monotonic()
    deploy(cluster, [WEB])
    pace = min(1, (time.monotonic() - began) / LASTS)
    return {"with": (both, with_mail), "without": ([WEB], owned(cluster)), "pace": pace}


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_the_next_run_mends_it(cluster, client, settled, number):
    services, whole = settled["without" if number % 2 else "with"]
    for heading, seconds in PAIRS[number]:
        kill(cluster, services, heading, seconds * settled["pace"])
    deploy(cluster, services)
    assert owned(cluster) == whole
    assert set(STRANGERS) <= set(cluster.table("director"))
    assert client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2}


def test_most_runs_were_killed_before_they_ended():
    assert len(KILLED) == 2 * len(PAIRS)
    assert sum(KILLED) >= 8


def test_at_the_end_nothing_is_left_over(cluster, settled):
    cluster.deploy()
    assert owned(cluster) == settled["without"][1]
