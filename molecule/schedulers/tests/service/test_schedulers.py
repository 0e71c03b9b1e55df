# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scheduler that the kernel ships sends connections where its definition says."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from lab import formulas
from lab.farm import CLIENTS, REAL_SERVERS

ALL = set(REAL_SERVERS)
# A formula that the other one's connections do not satisfy: else following one would prove nothing.
OTHERS = {"lc": "wlc", "wlc": "lc", "sed": "nq", "nq": "sed", "fo": "ovf", "ovf": "fo"}


def test_every_scheduler_of_the_kernel_is_in_use_and_loaded(cluster, farm):
    said = cluster.run("director", "find /lib/modules/$(uname -r) -name 'ip_vs_*.ko*' -printf '%f\\n'; echo; lsmod")
    files, _, modules = said.partition("\n\n")
    shipped = set(re.findall(r"^ip_vs_(\w+)\.ko", files, re.MULTILINE)) - {"ftp", "pe_sip"}
    loaded = set(re.findall(r"^ip_vs_(\w+) ", modules, re.MULTILINE))
    used = {row["scheduler"] for row in farm.services.values()}
    assert used == shipped - {"twos"}
    assert used | {"pe_sip"} <= loaded


def test_rr_takes_each_in_turn(farm):
    names = farm.ask("rr", count=40)
    assert farm.note("rr", "40 connections", names) == dict.fromkeys(ALL, 10)
    assert names[4:] == names[:-4]


def test_wrr_goes_by_the_weights_exactly(farm):
    names = farm.ask("wrr", count=40)
    assert farm.note("wrr", "40 connections, weights 4 3 2 1", names) == {"rs1": 16, "rs2": 12, "rs3": 8, "rs4": 4}


@pytest.mark.parametrize("scheduler", formulas.CONNECTION_COUNTING)
def test_connections_that_stay_open_go_where_the_formula_says(farm, scheduler):
    choices = formulas.CONNECTION_COUNTING[scheduler]
    before = farm.servers(scheduler)
    names = farm.ask(scheduler, count=12, hold="first")
    counted = farm.note(scheduler, "12 connections that stay open", names)
    wrong, now = formulas.follow(choices, before, names)
    assert wrong == []
    assert farm.servers(scheduler) == now
    assert formulas.follow(formulas.CONNECTION_COUNTING[OTHERS[scheduler]], before, names)[0]

    # The busiest server loses its connections, and what comes next knows it.
    busiest = counted.most_common(1)[0][0]
    ended = [f"first{index}" for index, name in enumerate(names) if name == busiest]
    farm.drop(ended)
    now = formulas.closed(now, [busiest] * len(ended))
    assert farm.servers(scheduler) == now
    more = farm.ask(scheduler, count=6, hold="second")
    wrong, now = formulas.follow(choices, now, more)
    assert wrong == []
    assert farm.servers(scheduler) == now
    assert busiest in more
    held = {f"first{index}" for index in range(12)} - set(ended) | {f"second{index}" for index in range(6)}
    farm.drop(sorted(held))


def test_ovf_fills_one_server_after_the_other_and_fo_only_the_first(farm):
    for scheduler, expected in (("ovf", {"rs1": 5, "rs2": 4, "rs3": 3}), ("fo", {"rs1": 12})):
        names = farm.ask(scheduler, count=12, hold="filled")
        farm.drop(f"filled{index}" for index in range(12))
        assert Counter(names) == expected, scheduler


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hashing_by_client_keeps_a_client_and_spreads_the_clients(farm, scheduler):
    servers = farm.of_each(scheduler, CLIENTS)
    assert farm.of_each(scheduler, CLIENTS) == servers
    counted = farm.note(scheduler, f"{len(CLIENTS)} clients", servers.values())
    assert set(counted) == ALL
    assert min(counted.values()) > len(CLIENTS) / 4 / 2


def test_with_sh_port_one_client_has_many_servers(farm):
    assert len(set(farm.ask("sh", count=40))) == 1
    counted = farm.note("sh-port", "40 connections of one client", farm.ask("sh-port", count=40))
    assert set(counted) == ALL


def test_dh_gives_a_destination_one_server_whoever_asks(farm):
    servers = [set(farm.ask("dh", sources=CLIENTS[:20], vip=vip)) for vip in range(8)]
    assert all(len(names) == 1 for names in servers)
    counted = farm.note("dh", "8 VIPs, a server each", (name for names in servers for name in names))
    assert len(counted) > 1
    assert set(counted) <= ALL


@pytest.mark.parametrize(("scheduler", "ends"), [("lblc", [2, 2, 2, 6]), ("lblcr", [3, 3, 3, 3])])
def test_locality_by_destination_until_a_server_is_overloaded(cluster, farm, scheduler, ends):
    # What it remembers of its destinations goes with the scheduler: begin without.
    found = cluster.run("director", f"ipvsadm -Ln | grep -E '^FWM +[0-9]+ {scheduler}( |$)'").split()
    mark = found[1]
    cluster.run("director", f"ipvsadm -E -f {mark} -s rr && ipvsadm -E -f {mark} -s {scheduler}")

    local = formulas.Local(keeps_set=scheduler == "lblcr")
    now = farm.servers(scheduler)
    seen = {}
    for vip in range(8):
        for name in farm.ask(scheduler, count=2, vip=vip):
            assert name in local.choices(str(vip), now)
            local.took(str(vip), name)
            now = formulas.closed(formulas.opened(now, name), [name])
            assert seen.setdefault(vip, name) == name
    farm.note(scheduler, "8 VIPs, a server each", seen.values())
    assert set(seen.values()) == ALL

    names = farm.ask(scheduler, count=12, hold="local")
    for name in names:
        assert name in local.choices("0", now)
        local.took("0", name)
        now = formulas.opened(now, name)
    assert farm.servers(scheduler) == now
    farm.drop(f"local{index}" for index in range(12))
    counted = farm.note(scheduler, "one VIP, 12 connections that stay open", names)
    assert sorted(counted.values()) == ends
