# SPDX-License-Identifier: GPL-3.0-or-later
"""What a true boot has put in place, in the right order."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["director", "rs1"])
def test_the_machine_has_booted_anew_and_our_unit_succeeded(cluster, name):
    booted = int(cluster.run(name, "awk '/^btime/ {print $2}' /proc/stat"))
    written = int(cluster.run(name, "stat -c %Y /etc/lvs/*.record | sort -n | tail -n 1"))
    assert booted > written, "no boot since a run of ours wrote"
    assert cluster.run(name, "systemctl is-active lvs-cluster").strip() == "active"
    assert cluster.run(name, "systemctl --failed --no-legend --plain") == ""
    assert "lvs-cluster" not in cluster.run(name, "journalctl -b -p err -u lvs-cluster -o cat")


def test_our_rules_are_there_although_nftables_begins_with_none(cluster):
    assert cluster.host("rs1").service("nftables").is_enabled
    assert "inet lvs_realserver" in cluster.run("rs1", "nft list tables")


def test_the_connection_table_has_the_size_that_was_asked_for(cluster):
    assert cluster.run("director", "cat /sys/module/ip_vs/parameters/conn_tab_bits").strip() == "14"
    assert "size=16384" in cluster.run("director", "ipvsadm -Ln")


def test_timeouts_are_those_that_were_asked_for(cluster):
    assert cluster.run("director", "ipvsadm -L --timeout").split()[-3:] == ["600", "120", "300"]


def test_sysctls_of_modules_are_set_although_sysctl_d_came_too_early_for_them(cluster):
    assert cluster.run("director", "sysctl -n net.ipv4.vs.nat_icmp_send").strip() == "1"
    assert cluster.run("rs1", "sysctl -n net.ipv4.conf.tunl0.rp_filter").strip() == "2"


def test_no_ipv6_vip_is_tentative_or_a_source(cluster):
    for name in ("director", "rs1"):
        mine = [line for line in cluster.run(name, "ip -6 -o address").splitlines() if "2001:db8:60::201" in line]
        assert mine
        assert not any("tentative" in line or "dadfailed" in line for line in mine)
        assert "2001:db8:60::201" not in cluster.run(name, "ip -6 route get 2001:db8:60::4")
