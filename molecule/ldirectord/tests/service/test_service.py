# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sees of services that ldirectord watches."""

from __future__ import annotations

import pytest
from lab.common import poll

VIP, VIP6 = "172.17.60.201", "2001:db8:60::201"
GROUP = ("172.17.60.203", "172.17.60.204")


@pytest.mark.parametrize(("vip", "port"), [(VIP, 80), (VIP6, 80), (VIP, 8080)])
def test_both_servers_answer_in_turn(client, vip, port):
    # After a boot the table is empty until ldirectord has asked everybody once.
    poll("both servers", 90, lambda: client.ask(vip, port=port, count=4, timeout=3).by == {"rs1": 2, "rs2": 2})


def test_a_group_is_one_row_by_mark(cluster, client):
    rows = [row for row in cluster.table("director") if row.startswith("-A -f ")]
    assert len(rows) == 1
    assert rows[0].endswith("-s rr -p 300")
    poll("a server", 90, lambda: client.ask(GROUP[0], timeout=3).by.keys() <= {"rs1", "rs2"})
    first, second = (client.ask(vip, count=3).by for vip in GROUP)
    assert first == second
    assert len(first) == 1


def test_its_file_is_for_root_alone(cluster):
    assert cluster.run("director", "stat -c '%a %U' /etc/ha.d/ldirectord.cf").split() == ["600", "root"]


def test_it_runs_by_its_own_unit(cluster):
    assert cluster.run("director", "systemctl is-active ldirectord; systemctl is-enabled ldirectord").split() == [
        "active",
        "enabled",
    ]
