# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model refuses of health checks, VRRP and synchronisation, and what it makes of the rest."""

from __future__ import annotations

import json

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    inventory,
    pair,
    problems,
    service,
)

WEB = "lvs_services[0] (web)"
TWO = [service(vip=["192.0.2.10", "192.0.2.11"])]


def instance(name, vips, **keys):
    return {"name": name, "vips": vips, **keys}


def says(lines, path, wrong, mend):
    return any(line.startswith(f"{path}: {wrong}") and mend in line for line in lines)


VRRP = {
    "one virtual router id twice on an interface": (
        TWO,
        {
            "lvs_vrrp": {
                "instances": [
                    instance("a", "192.0.2.10", router_id=7),
                    instance("b", "192.0.2.11", router_id=7),
                ]
            }
        },
        "lvs_vrrp.instances[1] (b).router_id",
        "7 is the virtual router id of lvs_vrrp.instances[0] (a) too, on the same interface for IPv4",
        "give each instance one of its own",
    ),
    "a password with version 3": (
        [],
        {"lvs_vrrp_password": "secret"},
        "lvs_vrrp_password",
        "VRRP version 3 knows no authentication",
        "lvs_vrrp.version: 2",
    ),
    "a password for IPv6": (
        [service(vip=["192.0.2.10", "2001:db8::10"])],
        {"lvs_vrrp_password": "secret", "lvs_vrrp": {"version": 2}},
        "lvs_vrrp_password",
        "IPv6 VIPs move by VRRP version 3, which knows no authentication",
        "leave it out",
    ),
    "a long password": (
        [],
        {"lvs_vrrp_password": "123456789", "lvs_vrrp": {"version": 2}},
        "lvs_vrrp_password",
        "its 9 characters are not a word of 1 to 8 characters",
        "in quotes",
    ),
    "a fraction of a second in version 2": (
        [],
        {"lvs_vrrp": {"version": 2, "advert_interval": 0.5}},
        "lvs_vrrp.advert_interval",
        "0.5 is not whole",
        "use version: 3",
    ),
    "no failback with state master": (
        [],
        {"lvs_failback": False, "lvs_vrrp": {"state": "master"}},
        "lvs_failback",
        "false works with lvs_vrrp.state: backup only",
        "leave lvs_vrrp.state out",
    ),
    "no failback with a delay": (
        [],
        {"lvs_failback": False, "lvs_vrrp": {"preempt_delay": 5}},
        "lvs_vrrp.preempt_delay",
        "means nothing with lvs_failback: false",
        "keep one",
    ),
    "a delay with state master": (
        [],
        {"lvs_vrrp": {"preempt_delay": 5, "state": "master"}},
        "lvs_vrrp.preempt_delay",
        "works with state: backup only",
        "leave state out",
    ),
    "a VIP in no instance": (
        TWO,
        {"lvs_vrrp": {"instances": [instance("a", "192.0.2.10")]}},
        "lvs_vrrp.instances",
        "none of them has the VIP 192.0.2.11",
        "add it",
    ),
    "a VIP in two instances": (
        [],
        {"lvs_vrrp": {"instances": [instance("a", "192.0.2.10"), instance("b", "192.0.2.10")]}},
        "lvs_vrrp.instances[1] (b).vips",
        "192.0.2.10 is in lvs_vrrp.instances[0] (a) too",
        "keep it in one",
    ),
    "a stranger's VIP in an instance": (
        [],
        {"lvs_vrrp": {"instances": [instance("a", ["192.0.2.10", "192.0.2.99"])]}},
        "lvs_vrrp.instances[0] (a).vips",
        "192.0.2.99 is the VIP of no service",
        "name VIPs",
    ),
    "an instance without one of the directors": (
        [],
        {"lvs_vrrp": {"instances": [instance("a", "192.0.2.10", directors=["director2"])]}},
        "lvs_vrrp.instances[0] (a).directors",
        "names director2, and the directors are director1, director2",
        "name each of them once",
    ),
    "two instances of one name": (
        TWO,
        {"lvs_vrrp": {"instances": [instance("a", "192.0.2.10"), instance("a", "192.0.2.11")]}},
        "lvs_vrrp.instances[1] (a).name",
        "a is there twice",
        "give it a name",
    ),
    "a router id beyond the last": (
        TWO,
        {"lvs_vrrp": {"router_id": 255, "instances": [instance("a", "192.0.2.10"), instance("b", "192.0.2.11")]}},
        "lvs_vrrp.instances[1] (b).router_id",
        "would be 256",
        "from 1 to 255",
    ),
    "a script twice": (
        [],
        {"lvs_vrrp": {"track_scripts": [{"name": "x", "script": "/bin/x"}, {"name": "x", "script": "/bin/y"}]}},
        "lvs_vrrp.track_scripts[1].name",
        "x is there twice",
        "give it a name",
    ),
    "a gateway that is a VIP": (
        [],
        {"lvs_gateway_vip": "192.0.2.10"},
        "lvs_gateway_vip",
        f"192.0.2.10 is the VIP of {WEB}",
        "a gateway of their own",
    ),
    "a gateway that is a director": (
        [],
        {"lvs_gateway_vip": "10.0.0.1"},
        "lvs_gateway_vip",
        "10.0.0.1 is the lvs_address of director1",
        "it moves",
    ),
    "two gateways of one family": (
        [],
        {"lvs_gateway_vip": ["10.0.0.8", "10.0.0.9"]},
        "lvs_gateway_vip",
        "has two addresses of one family",
        "keep one",
    ),
    "a gateway and several instances": (
        TWO,
        {
            "lvs_gateway_vip": "10.0.0.9",
            "lvs_vrrp": {"instances": [instance("a", "192.0.2.10"), instance("b", "192.0.2.11")]},
        },
        "lvs_gateway_vip",
        "moves with one instance",
        "use one instance",
    ),
    "a sync group that is no multicast address": (
        [],
        {"lvs_sync": {"group": "192.0.2.1"}},
        "lvs_sync.group",
        "192.0.2.1 is no multicast address",
        "224.0.0.81",
    ),
    "three sync threads": ([], {"lvs_sync": {"ports": 3}}, "lvs_sync.ports", "3 is no power of two", "use 1, 2, 4"),
    "a sync threshold beyond its period": (
        [],
        {"lvs_sync": {"threshold": 60}},
        "lvs_sync.threshold",
        "60 is not less than the period 50",
        "make it smaller",
    ),
    "persistence alone, without sloppy_tcp": (
        [],
        {"lvs_sync": {"persist_mode": True}},
        "lvs_sync.persist_mode",
        "leaves the other director without the connections themselves",
        "sloppy_tcp: true",
    ),
    "a real server of the other family while connections are told of": (
        [service(forward="tun", real_servers=[{"address": "2001:db8::77"}])],
        {"lvs_sync": {}},
        WEB,
        "the real server 2001:db8::77 is of another family than the VIP",
        "leave lvs_sync out",
    ),
    "keepalived's own text without keepalived": (
        [],
        {"lvs_failover": "external", "lvs_keepalived": {"global": "x"}},
        "lvs_keepalived",
        "nobody would act on it",
        "choose keepalived",
    ),
    "failback that nobody decides about": (
        [],
        {"lvs_failover": "external", "lvs_failback": False},
        "lvs_failback",
        "nobody would act on it, because lvs_failover is external",
        "lvs_failover: keepalived or heartbeat",
    ),
    "VRRP without keepalived": (
        [],
        {"lvs_failover": "external", "lvs_vrrp": {"router_id": 3}},
        "lvs_vrrp",
        "nobody would act on it, because lvs_failover is external",
        "lvs_failover: keepalived",
    ),
}


@pytest.mark.parametrize(("services", "shared", "path", "wrong", "mend"), VRRP.values(), ids=VRRP)
def test_refused(services, shared, path, wrong, mend):
    lines = problems(*pair(*services, **shared))
    assert says(lines, path, wrong, mend), lines
    assert len(lines) == 1


HEALTH = {
    "a stream asked of a datagram service": (
        {"protocol": "udp", "check": "http"},
        ".check.type",
        "http asks a tcp port, and the service is udp",
        "name a tcp port to ask with check.port",
    ),
    "a datagram asked of a stream service": (
        {"check": "udp"},
        ".check.type",
        "udp asks a udp port, and the service is tcp",
        "use another type, for example tcp",
    ),
    "a stream asked of an SCTP service": (
        {"protocol": "sctp", "check": "tcp"},
        ".check.type",
        "tcp asks a tcp port, and the service is sctp",
        "for example ping",
    ),
    "every port, and which one to ask": (
        {"port": 0, "persistence": 300, "check": "tcp"},
        ".check.port",
        "is missing: the service has every port",
        "name the port",
    ),
    "a path for a mere connection": (
        {"check": {"type": "tcp", "path": "/x"}},
        ".check.path",
        "means nothing to a check of type tcp",
        "use type: http or https",
    ),
    "a status for the check that is taken when none is named": (
        {"check": {"status": 200}},
        ".check.status",
        "means nothing to a check of type tcp",
        "use type: http or https",
    ),
    "a script without a program": (
        {"check": "script"},
        ".check.command",
        "is missing, and a check of type script needs it",
        "add command: a full path",
    ),
    "a file without a path": ({"check": "file"}, ".check.file", "is missing", "add file: a full path"),
    "the absence of nothing": (
        {"check": {"type": "http", "regex_absent": True}},
        ".check.regex_absent",
        "there is no regex",
        "add regex",
    ),
    "hysteresis that reaches quorum": (
        {"quorum": 2, "hysteresis": 2},
        ".hysteresis",
        "2 is not less than the quorum 2",
        "make it smaller",
    ),
    "no such type": ({"check": "xxxx"}, ".check", "'xxxx' is not one of none, tcp", "use none"),
    "no such status": ({"check": {"type": "http", "status": 900}}, ".check.status", "'900' is not an HTTP", "write"),
}


@pytest.mark.parametrize(("changes", "key", "wrong", "mend"), HEALTH.values(), ids=HEALTH)
def test_refused_of_health(changes, key, wrong, mend):
    lines = problems(*inventory(service(**changes), lvs_health="keepalived"))
    assert len(lines) == 1, lines
    assert lines[0].startswith(WEB + key)
    assert wrong in lines[0]
    assert mend in lines[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("quorum", 2),
        ("hysteresis", 1),
        ("inhibit_on_failure", True),
        ("alpha", True),
        ("omega", True),
        ("keepalived", "x"),
        ("check", "tcp"),
        ("check", {"interval": 2}),
        ("fallback", {"address": "10.0.0.50"}),
    ],
)
def test_what_only_a_health_engine_acts_on_is_refused_without_one(key, value):
    (line,) = problems(*inventory(service(**{key: value})))
    assert line.startswith(f"{WEB}.{key}: nobody would act on it, because lvs_health is none;")


def test_a_real_servers_own_lines_are_refused_without_a_health_engine():
    (line,) = problems(*inventory(service(real_servers=[{"host": "rs1", "keepalived": "notify_up /bin/x"}])))
    assert line.startswith(f"{WEB}.real_servers[0].keepalived: nobody would act on it")


def test_keepalived_cannot_quiesce_what_leaves():
    (line,) = problems(*inventory(lvs_health="keepalived", lvs_removed="quiesce"))
    assert line.startswith("lvs_removed: keepalived deletes at once what leaves its file")


def test_failover_needs_two_directors():
    (line,) = problems(*inventory(lvs_failover="keepalived"))
    assert line.startswith("lvs_failover: the group directors has 1 director: failover needs two; put another one")


@pytest.mark.parametrize("priority", [200, "200"])
def test_equal_priorities(priority):
    hostvars, groups = pair()
    hostvars["director2"]["lvs_priority"] = priority
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_priority (director2): 200 is the priority of director1 too")


def test_a_vip_outside_the_interfaces_network_needs_a_stated_prefix():
    hostvars, groups = pair(service(vip="198.51.100.10"))
    for name, address in (("director1", "192.0.2.2/24"), ("director2", "192.0.2.3/24")):
        hostvars[name]["lvs_vrrp_address"] = address
    (line,) = problems(hostvars, groups)
    assert line == (
        f"{WEB}.vip (director1, director2): 198.51.100.10 is outside 192.0.2.0/24, the network of lvs_interface as"
        " lvs_vrrp_address says it; correct it, or state a prefix length: 198.51.100.10/32"
    )
    stated = {"lvs_services": [service(vip="198.51.100.10/32")]}
    assert problems({name: {**own, **stated} for name, own in hostvars.items()}, groups) == []


def test_a_gateway_on_an_interface_of_its_own_asks_for_the_addresses_of_the_other_one():
    hostvars, groups = pair(lvs_gateway_vip="10.0.0.9", lvs_gateway_interface="eth1")
    (line,) = problems(hostvars, groups)
    assert line.startswith(
        "lvs_vrrp_address (director1, director2): there is no IPv4 address on lvs_interface for adverts to come from:"
    )
    hostvars, groups = pair(lvs_gateway_vip="10.0.0.9", lvs_gateway_interface="eth1", lvs_vrrp={"unicast": False})
    assert problems(hostvars, groups) == []


def test_two_directors_with_one_source_of_adverts():
    hostvars, groups = pair(lvs_vrrp_address="192.0.2.2")
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_vrrp_address (director2): 192.0.2.2 is the address of director1 too")


def test_directors_wired_differently():
    hostvars, groups = pair(lvs_gateway_vip="10.0.0.9", lvs_vrrp={"unicast": False})
    hostvars["director2"]["lvs_gateway_interface"] = "eth1"
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_gateway_interface: is lvs_interface on some directors and another interface on others")


def test_a_sync_daemon_that_nobody_hears():
    (line,) = problems(*inventory(lvs_sync={}))
    assert line.startswith("lvs_sync: nobody would hear it: lvs_failover is none")


def test_a_password_is_in_no_message_and_no_view():
    hostvars, groups = pair(lvs_vrrp_password="s3cr3ts3cr3t", lvs_vrrp={"version": 2})
    assert "s3cr3t" not in "".join(problems(hostvars, groups))
    hostvars, groups = pair(lvs_vrrp_password="s3cr3t", lvs_vrrp={"version": 2})
    assert "s3cr3t" not in json.dumps(pack(build(hostvars, groups)))


# What it becomes


def seen(hostvars, groups, host="director1"):
    return view(json.loads(json.dumps(pack(build(hostvars, groups)))), host)


def test_what_keepalived_watches_is_not_in_the_directors_table():
    found = seen(*inventory(lvs_health="keepalived"))
    assert found["table"] == []
    (one,) = found["watched"]
    assert one["row"]["address"] == "192.0.2.10"
    assert one["check"]["type"] == "tcp"
    assert [vip["address"] for vip in found["vips"]] == ["192.0.2.10"]


@pytest.mark.parametrize("failover", ["keepalived", "external"])
def test_what_moves_is_on_no_director_of_ours(failover):
    found = seen(*pair(service(vip="192.0.2.10/24"), lvs_failover=failover))
    assert found["vips"] == []
    assert found["moving"] == [
        {"address": "192.0.2.10", "prefix": 24, "family": "ipv4", "stated": True, "interface": "eth0"}
    ]
    assert len(found["table"]) == 1
    assert (found["vrrp"] is None) == (failover == "external")


def test_the_gateway_moves_along_and_is_the_real_servers_way_back():
    hostvars, groups = pair(lvs_gateway_vip="10.0.0.9/24", lvs_gateway_interface="eth1")
    for name, address in (("director1", "192.0.2.2"), ("director2", "192.0.2.3")):
        hostvars[name]["lvs_vrrp_address"] = address
    found = seen(hostvars, groups, "director2")
    assert [(vip["address"], vip["interface"]) for vip in found["moving"]] == [
        ("192.0.2.10", "eth0"),
        ("10.0.0.9", "eth1"),
    ]
    assert found["sources"] == [
        {"address": "192.0.2.3", "interface": "eth0"},
        {"address": "10.0.0.2", "interface": "eth1"},
    ]
    assert seen(hostvars, groups, "rs1")["gateways"] == {"ipv4": "10.0.0.9", "ipv6": None}


def test_directors_come_in_the_order_of_their_priorities():
    hostvars, groups = pair()
    hostvars["director2"]["lvs_priority"] = 220
    found = seen(hostvars, groups)
    assert found["directors"] == ["director2", "director1"]
    assert found["vrrp"]["groups"][0]["priorities"] == {"director1": 200, "director2": 220}


def test_a_new_vip_does_not_change_what_adverts_say():
    one, many = (
        seen(*pair(service(vip=[f"192.0.2.{n}" for n in range(10, end)])))["vrrp"]["groups"][0]["members"][0]
        for end in (11, 60)
    )
    assert one["addresses"] == many["addresses"] == ["192.0.2.10/32"]
    assert len(many["excluded"]) == 49


def test_a_sync_daemon_brings_timeouts_that_all_agree_on():
    found = seen(*pair(lvs_sync={"threshold": 2, "retries": 1, "ports": 4, "sloppy_tcp": True}))
    assert found["timeouts"] == {"tcp": 900, "tcp_fin": 120, "udp": 300}
    assert found["sync"]["interface"] == "eth0"
    assert found["sync"]["sysctls"] == {
        "net.ipv4.vs.sync_retries": 1,
        "net.ipv4.vs.sync_ports": 4,
        "net.ipv4.vs.sloppy_tcp": 1,
        "net.ipv4.vs.sync_threshold": "2 50",
    }


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "tcp"),
        ({"protocol": "udp"}, "ping"),
        ({"port": 0, "persistence": 300}, "ping"),
        ({"port": 0, "persistence": 300, "check": {"port": 80}}, "tcp"),
        ({"check": {"interval": 1}}, "tcp"),
        ({"check": "none"}, "none"),
        ({"protocol": "udp", "check": {"type": "http", "port": 80}}, "http"),
    ],
)
def test_how_a_service_is_watched_that_does_not_say(changes, kind):
    (one,) = seen(*inventory(service(**changes), lvs_health="keepalived"))["watched"]
    assert one["check"]["type"] == kind


def test_a_fallback_among_our_hosts_answers_for_the_vip_as_a_real_server_does():
    fallback = {"address": "10.0.0.12"}
    read = pair(service(forward="dr", real_servers=[{"host": "rs1"}], fallback=fallback), lvs_health="keepalived")
    model = pack(build(*read))
    for name in ("rs1", "rs2"):
        assert [vip["address"] for vip in view(model, name)["hidden_vips"]] == ["192.0.2.10"], name
