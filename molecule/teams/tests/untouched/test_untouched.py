# SPDX-License-Identifier: GPL-3.0-or-later
"""After the check run, before the first real one: much was announced, by the bare host too, and nothing was done."""

from __future__ import annotations

import pytest
from lab.cluster import recaps

CLUSTERS = ["shop-director", "shop-rs", "mail-director", "mail-rs"]
# Where sudo's log is, and what apt notes for itself when somebody asks it for a version.
NOTES = ("/var/log", "/var/cache/apt")


def test_check_mode_announced_changes_on_every_host():
    recap = recaps()[-1]
    assert {name: recap[name]["changed"] > 0 for name in recap} == dict.fromkeys(CLUSTERS, True)
    assert not any(recap[name]["failed"] or recap[name]["unreachable"] for name in recap)


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_file_changed(cluster, name):
    skipped = " -o ".join(f"-path {path}" for path in NOTES)
    changed = "-cnewer /handed-over ! -type d -print"
    found = cluster.run(name, f"find /etc /root /usr/local /var -xdev \\( {skipped} \\) -prune -o {changed}")
    assert found.splitlines() == []


def test_the_bare_host_got_no_package(cluster):
    packages = cluster.run("shop-director", "dpkg-query -W -f '${Package}\\n'").split()
    assert "sudo" in packages
    assert not {"ipvsadm", "kmod", "python3-apt"} & set(packages)


@pytest.mark.parametrize("name", ["shop-director", "mail-director"])
def test_table_is_empty(cluster, name):
    rows = cluster.run(name, "cat /proc/net/ip_vs").splitlines()[3:]
    assert rows == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_nobody_has_a_vip(cluster, name):
    addresses = cluster.run(name, "ip -o address")
    assert "192.0.2.10/" not in addresses
    assert "192.0.2.20/" not in addresses
