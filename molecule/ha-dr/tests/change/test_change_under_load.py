# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory changes under load: keepalived reloads, no request fails, the VIP stays where it is."""

from __future__ import annotations

import re

import pytest
from lab.pair import Pair
from lab.trials import undisturbed

VIP = "172.17.60.201"
DIRECTORS = ("lb1", "lb2")
NODES = (*DIRECTORS, "rs1", "rs2", "sorry")
BOTH = [{"host": "rs1"}, {"host": "rs2"}]
# The VIP is to stay here, while Ansible and keepalived, which reads its file, share two emulated processors. What
# happens after 0.6 s without adverts is for the faults.
CALM = {"lvs_vrrp": {"advert_interval": 1}}
OTHER = {"name": "other", "vip": "172.17.60.202", "port": 80, "scheduler": "rr", "forward": "dr", "real_servers": BOTH}


@pytest.fixture(scope="module")
def pair(cluster):
    # Nobody asks yet: while the interval changes both directors may hold the VIP.
    cluster.deploy(everywhere())
    pair = Pair(cluster, VIP, DIRECTORS)
    pair.poll("both servers", lambda: cluster.client("client").ask(VIP, count=8).by.keys() == {"rs1", "rs2"})
    return pair


@pytest.fixture(scope="module")
def web(cluster):
    """The scenario's own service, as a director reads it."""
    return cluster.variables("lb1")["lvs_services"][0]


def everywhere(*services, **variables):
    own = {"lvs_services": list(services)} if services else {}
    return {name: {**CALM, **own, **variables} for name in NODES}


def test_a_run_without_a_change_changes_nothing(pair, client):
    said = undisturbed(pair, client, everywhere())
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}


@pytest.fixture(scope="module")
def maintained(pair, cluster, client):
    """A server is in maintenance: it finished what it had, and gets nothing new."""
    with client.connection(VIP) as held:
        server = held.ask()
        changed = everywhere()
        changed[server]["lvs_weight"] = 0
        undisturbed(pair, client, changed)
        assert held.ask() == server
    return server


def test_a_server_in_maintenance_keeps_its_connections_and_gets_no_new_ones(client, maintained):
    other = "rs2" if maintained == "rs1" else "rs1"
    assert client.ask(VIP, count=6).by == {other: 6}


def test_that_server_leaves_and_a_service_comes(pair, cluster, client, web, maintained):
    staying = [server for server in BOTH if server["host"] != maintained]
    undisturbed(pair, client, everywhere({**web, "real_servers": staying}, OTHER))
    pair.poll("both services", lambda: client.ask(OTHER["vip"], count=4).by == {"rs1": 2, "rs2": 2})
    assert client.ask(VIP, count=4).by == {staying[0]["host"]: 4}
    row = f"-a -t {VIP}:80 -r {cluster.address(maintained)}:80 "
    for name in DIRECTORS:
        # The one that stands by reads its file in its own time.
        pair.poll(f"gone from {name}", lambda name=name: not any(one.startswith(row) for one in cluster.table(name)))


def test_it_comes_back_with_another_weight_and_the_service_goes(pair, cluster, client, web, maintained):
    servers = [{**server, "weight": 3 if server["host"] == maintained else 1} for server in BOTH]
    undisturbed(pair, client, everywhere({**web, "real_servers": servers}))
    other = "rs2" if maintained == "rs1" else "rs1"
    pair.poll("weights", lambda: client.ask(VIP, count=8).by == {maintained: 6, other: 2})
    for name in NODES:
        assert OTHER["vip"] not in cluster.run(name, "ip -o address; ipvsadm -Sn; cat /etc/lvs/*.record")


def test_a_real_server_without_the_vip_is_mended_by_the_next_run(pair, cluster, client):
    """Its check asks the real server's own address, so keepalived cannot know."""
    cluster.run("rs1", f"ip address del {VIP}/32 dev lo")
    asked = client.ask(VIP, count=4, timeout=3).by
    assert "rs1" not in asked
    assert asked["rs2"] < 4
    said = cluster.deploy(everywhere())
    assert re.search(r"rs1 .*changed=[1-9]", said)
    pair.poll("both servers", lambda: client.ask(VIP, count=4).by == {"rs1": 2, "rs2": 2})


def test_a_file_that_keepalived_refuses_stops_at_the_standby(pair, cluster):
    active = pair.active()
    standby = next(name for name in DIRECTORS if name != active)
    look = "systemctl show -p MainPID -p InvocationID keepalived; sha256sum /etc/keepalived/keepalived.conf"
    before = {name: cluster.run(name, look) for name in DIRECTORS}
    done = cluster.attempt(everywhere(lvs_keepalived={"text": "no_such_keyword here"}))
    assert done.returncode != 0
    assert "no_such_keyword" in done.stdout + done.stderr
    assert re.search(rf"{standby}\b.*failed=1", done.stdout)
    assert {name: cluster.run(name, look) for name in DIRECTORS} == before
    assert pair.settle() == active


@pytest.fixture(scope="module")
def each_its_own(pair, cluster, web):
    """Active/active, with the older VRRP and a password."""
    vrrp = {
        "version": 2,
        "auth": "pass",
        "instances": [
            {"name": "blue", "vips": VIP},
            {"name": "green", "vips": OTHER["vip"], "directors": ["lb2", "lb1"]},
        ],
    }
    cluster.deploy(everywhere(web, OTHER, lvs_failback=True, lvs_vrrp=vrrp, lvs_vrrp_password="red,1234"))
    return {VIP: pair, OTHER["vip"]: Pair(cluster, OTHER["vip"], DIRECTORS)}


def test_each_director_is_active_for_its_own_vip(cluster, client, each_its_own):
    for vip, owner in zip(each_its_own, DIRECTORS):
        each_its_own[vip].poll(
            f"{owner} holds {vip}", lambda vip=vip, owner=owner: each_its_own[vip].owners() == {owner}
        )
        each_its_own[vip].poll("both", lambda vip=vip: client.ask(vip, count=4).by == {"rs1": 2, "rs2": 2})
    for name in DIRECTORS:
        each_its_own[VIP].poll(f"both daemons on {name}", lambda name=name: each_its_own[VIP].syncs(name), 30)
        assert "red,1234" not in cluster.run(name, "cat /etc/keepalived/keepalived.conf; journalctl")
    heard = cluster.run("lb1", "timeout 30 tcpdump -i eth0 -nnvc 4 'ip proto 112' 2>/dev/null")
    assert heard.count('auth "red,1234"') == 4, heard


def test_one_holds_both_while_the_other_is_down(cluster, client, each_its_own):
    cluster.run("lb1", "systemctl stop keepalived")
    try:
        for vip, each in each_its_own.items():
            each.poll(f"lb2 holds {vip}", lambda each=each: each.owners() == {"lb2"})
            each.poll("both", lambda vip=vip: client.ask(vip, count=4).by == {"rs1": 2, "rs2": 2})
    finally:
        cluster.run("lb1", "systemctl start keepalived")
