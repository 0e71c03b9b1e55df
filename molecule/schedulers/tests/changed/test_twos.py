# SPDX-License-Identifier: GPL-3.0-or-later
"""A scheduler that not every kernel has: `twos` is used where it is, and refused before anything changes where not."""

from __future__ import annotations

from lab.farm import REAL_SERVERS

LOOK = "ipvsadm -Sn; ip -o address show dev eth0; cat /etc/lvs/*; find /etc/lvs /etc/sysctl.d -printf '%p %T@\\n'"


def test_twos_is_used_or_refused_before_anything_changes(cluster, farm):
    has = cluster.run("director", "cd /lib/modules/$(uname -r) && grep ip_vs_twos modules.dep modules.builtin || true")
    services = [{**row, "scheduler": "twos"} if row["name"] == "rr" else row for row in farm.services.values()]
    services.append({"name": "new", "vip": "192.0.2.40", "port": 80, "forward": "nat", "scheduler": "twos"})
    before = cluster.run("director", LOOK)
    variables = {name: {"lvs_services": services} for name in ("director", *REAL_SERVERS)}
    done = cluster.attempt(variables, "--limit", "director")
    if not has.strip():
        assert done.returncode != 0
        assert "has no module ip_vs_twos" in done.stdout + done.stderr
        assert cluster.run("director", LOOK) == before
        return
    assert done.returncode == 0, done.stdout
    assert "192.0.2.10:8001 -s twos" in cluster.run("director", "ipvsadm -Sn")
    # The busier of two servers is never taken, so forty connections stay close together; chance alone would not.
    counted = farm.note("twos", "40 connections that stay open", farm.ask("rr", count=40, hold="twos"))
    farm.drop(f"twos{index}" for index in range(40))
    assert set(counted) == set(REAL_SERVERS)
    assert max(counted.values()) - min(counted.values()) <= 6
    cluster.deploy()
