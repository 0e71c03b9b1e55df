# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server is lost: at first the inventory gives it weight 0, then its rows are deleted. Which clients notice?"""

from __future__ import annotations

import pytest
from lab.farm import CLIENTS, REAL_SERVERS
from lab.formulas import moved

LOST = "rs4"
HASHED = ("sh", "mh", "mh-fallback", "network")
REFUSED = "!ConnectionRefusedError"


@pytest.fixture(scope="module")
def before(cluster, farm):
    """Who served each client before."""
    return {service: farm.of_each(service, CLIENTS) for service in HASHED}


@pytest.fixture(scope="module")
def emptied(cluster, farm, before):
    """Who serves each client while the lost server has weight 0."""
    cluster.deploy({LOST: {"lvs_weight": 0}})
    with cluster.sysctl("director", "net.ipv4.vs.expire_quiescent_template", "0"):
        stays = farm.of_each("network", CLIENTS)
    return {**{service: farm.of_each(service, CLIENTS) for service in HASHED}, "as the kernel would": stays}


@pytest.fixture(scope="module")
def deleted(cluster, farm, emptied):
    """Who serves each client after its rows were deleted."""
    address = REAL_SERVERS[LOST]
    ports = {service: farm.services[service]["port"] for service in ("sh", "mh")}
    rows = [f"ipvsadm -d -t 192.0.2.10:{port} -r {address}:{port}" for port in ports.values()]
    cluster.run("director", " && ".join(rows))
    return {service: farm.of_each(service, CLIENTS) for service in ports}


def clients_of(servers: dict[str, str]) -> set[str]:
    return {client for client, name in servers.items() if name == LOST}


@pytest.mark.parametrize("service", ["sh", "mh"])
def test_hashing_without_fallback_refuses_the_clients_of_a_server_of_weight_0(before, emptied, service):
    lost = clients_of(before[service])
    assert lost
    assert moved(before[service], emptied[service]) == lost
    assert {emptied[service][client] for client in lost} == {REFUSED}


def test_with_fallback_they_and_they_alone_go_elsewhere(farm, before, emptied):
    lost = clients_of(before["mh-fallback"])
    assert lost
    assert moved(before["mh-fallback"], emptied["mh-fallback"]) == lost
    assert set(emptied["mh-fallback"].values()) == set(REAL_SERVERS) - {LOST}
    assert set(farm.ask("sh-port", count=40)) == set(REAL_SERVERS) - {LOST}


def test_a_persistent_client_leaves_a_server_of_weight_0(before, emptied):
    lost = clients_of(before["network"])
    assert lost
    assert moved(before["network"], emptied["network"]) == lost
    assert set(emptied["network"].values()) == set(REAL_SERVERS) - {LOST}


def test_without_the_sysctl_that_the_role_sets_it_would_stay(before, emptied):
    assert moved(before["network"], emptied["as the kernel would"]) == set()


def test_the_other_schedulers_pass_it_over(farm, emptied):
    assert set(farm.ask("rr", count=12)) == set(REAL_SERVERS) - {LOST}
    assert set(farm.ask("wrr", count=12)) == set(REAL_SERVERS) - {LOST}


def test_mh_moves_hardly_more_clients_than_the_lost_servers(farm, before, deleted):
    lost, gone = clients_of(before["mh"]), moved(before["mh"], deleted["mh"])
    farm.note("mh", f"{len(gone)} of {len(CLIENTS)} clients moved when {LOST} went", deleted["mh"].values())
    assert lost <= gone
    assert len(gone) / len(CLIENTS) < 1 / len(REAL_SERVERS) + 0.05
    assert len(gone - lost) / len(CLIENTS) < 0.05
    assert set(deleted["mh"].values()) == set(REAL_SERVERS) - {LOST}


def test_sh_moves_most(farm, before, deleted):
    gone = moved(before["sh"], deleted["sh"])
    farm.note("sh", f"{len(gone)} of {len(CLIENTS)} clients moved when {LOST} went", deleted["sh"].values())
    assert len(gone) / len(CLIENTS) > 0.5
    assert set(deleted["sh"].values()) == set(REAL_SERVERS) - {LOST}


def test_the_next_run_brings_it_back_and_with_it_mhs_clients(cluster, farm, before, deleted):
    cluster.deploy()
    now = farm.of_each("mh", CLIENTS)
    assert len(moved(before["mh"], now)) / len(CLIENTS) < 0.05
    assert farm.of_each("mh-fallback", CLIENTS) == before["mh-fallback"]
    assert set(farm.ask("rr", count=4)) == set(REAL_SERVERS)
