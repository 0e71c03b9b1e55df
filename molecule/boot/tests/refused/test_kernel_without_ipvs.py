# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel whose ip_vs cannot be loaded: the error says so and how to mend it, and nothing is left half done."""

from __future__ import annotations

import json

import pytest
from lab.cluster import quick
from lab.common import run

FORBIDDEN = "/etc/modprobe.d/forbidden.conf"


@pytest.fixture(scope="module")
def refused(cluster):
    assert "ip_vs" not in cluster.run("director", "lsmod")
    # `blacklist` alone stops aliases only; this is how a module is forbidden in earnest (modprobe.d(5)).
    cluster.run("director", f"echo 'install ip_vs /bin/false' >{FORBIDDEN}")
    yield cluster.attempt()
    cluster.run("director", f"rm {FORBIDDEN}")


def test_the_run_fails_and_names_module_and_mend(refused):
    said = refused.stdout + refused.stderr  # where failures are told depends on Ansible's settings
    assert refused.returncode != 0
    assert "modprobe ip_vs" in said
    assert "cannot load the module" in said
    assert "/etc/modprobe.d" in said


def test_no_vip_and_no_table_on_the_director(cluster, refused):
    assert "172.17.60.201" not in cluster.run("director", "ip -o address")
    assert not cluster.host("director").file("/etc/lvs/table.ipvs").exists


def test_the_module_ipvs_says_the_same(cluster, refused):
    _, folder = cluster.deployment()
    config = json.dumps({"config": [{"address": "192.0.2.10", "port": 80}]})
    command = ["ansible", "-i", str(folder / "inventory"), "director", "-m", "lvs.cluster.ipvs", "-a", config]
    done = run(command, cwd=folder, env=quick(), check=False)
    assert done.returncode != 0
    assert "has no IPVS: the kernel module ip_vs is neither loaded nor could it be loaded" in done.stdout + done.stderr
