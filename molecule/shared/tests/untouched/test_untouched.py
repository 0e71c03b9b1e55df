# SPDX-License-Identifier: GPL-3.0-or-later
"""After the check run, before the first real one: much was announced, nothing was done."""

from __future__ import annotations

import os

import pytest
from lab.cluster import directors, recaps

VIP = {"ultramonkey": "192.168.6.240"}.get(os.environ["MOLECULE_SCENARIO_NAME"], "172.17.60.201")
DIRECTORS = directors()
CLUSTER = [*DIRECTORS, "rs1", "rs2"]
SET = (
    "sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.vs.expire_nodest_conn; "
    "sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce net.ipv4.conf.all.send_redirects; "
    "ip rule; ip -6 rule; nft list tables; systemctl is-enabled ipvsadm keepalived lvs-cluster; true"
)


def test_check_mode_announced_changes():
    recap = recaps()[-1]
    for name in CLUSTER:
        assert recap[name]["changed"] > 0, name


@pytest.mark.parametrize("name", CLUSTER)
def test_no_file_was_written(node, name):
    host = node(name)
    assert not host.file("/etc/lvs").exists
    ours = "-path '*lvs*' -o -path '/etc/keepalived/*' -o -path '/etc/ha.d/*'"
    assert host.run(f"find /etc -newer /root/.ssh/authorized_keys -type f \\( {ours} \\)").stdout == ""


@pytest.mark.parametrize("name", CLUSTER)
def test_nothing_was_set(cluster, name):
    """Everything is as on a node that no role knows."""
    assert cluster.run(name, SET) == cluster.run("client", SET)


@pytest.mark.parametrize("name", DIRECTORS)
def test_table_holds_the_administrators_row_alone(cluster, name):
    assert cluster.table(name) == ["-A -t 192.0.2.98:99 -s rr", "-a -t 192.0.2.98:99 -r 192.0.2.96:99 -m -w 7"]


@pytest.mark.parametrize("name", CLUSTER)
def test_nobody_has_the_vip(cluster, name):
    assert VIP not in cluster.run(name, "ip -o address")


def test_nobody_answers(client):
    assert client.ask(VIP, timeout=3).by.keys().isdisjoint({"rs1", "rs2"})
