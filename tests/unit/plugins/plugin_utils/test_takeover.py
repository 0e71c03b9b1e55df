# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model refuses of heartbeat, and what it makes of the rest."""

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

KEY = "correct-horse"
SHARED = {"lvs_failover": "heartbeat", "lvs_heartbeat_key": KEY}


def two(*services, **shared):
    return pair(*services, **{**SHARED, **shared})


def seen(hostvars, groups, host="director1"):
    return view(json.loads(json.dumps(pack(build(hostvars, groups)))), host)


def heartbeat(**keys):
    return {"lvs_heartbeat": keys}


REFUSED = {
    "no key": ({"lvs_heartbeat_key": None}, "lvs_heartbeat_key", "is missing", "from a vault"),
    "a dead time of two heartbeats": (
        heartbeat(keepalive=2, deadtime=4),
        "lvs_heartbeat.deadtime",
        "4 is not more than two keepalive (4)",
        "choose timers that fit together",
    ),
    "the default's dead time of two heartbeats": (
        heartbeat(keepalive=5),
        "lvs_heartbeat.deadtime",
        "10 is not more than two keepalive (10)",
        "choose timers",
    ),
    "a dead time at start that is shorter": (
        heartbeat(deadtime=30, initdead=20),
        "lvs_heartbeat.initdead",
        "20 is less than deadtime (30)",
        "choose timers",
    ),
    "a warning after the end": (
        heartbeat(warntime=11),
        "lvs_heartbeat.warntime",
        "11 is more than deadtime (10)",
        "choose timers",
    ),
    "a warning at every heartbeat": (
        heartbeat(warntime=1),
        "lvs_heartbeat.warntime",
        "1 is not more than keepalive (1)",
        "choose timers",
    ),
    "ping nodes that die of one heartbeat": (
        heartbeat(deadping=2),
        "lvs_heartbeat.deadping",
        "2 is not more than two keepalive (2)",
        "choose timers",
    ),
    "a speed that is none": (heartbeat(baud=12345), "lvs_heartbeat.baud", "12345 is no speed", "use one of 9600"),
    "a cable without its end": (
        heartbeat(media="serial"),
        "lvs_heartbeat.media[0].device",
        "is missing",
        "add device: /dev/ttyS0",
    ),
    "a multicast group that is none": (
        heartbeat(media=[{"type": "mcast", "group": "192.0.2.3"}]),
        "lvs_heartbeat.media[0].group",
        "192.0.2.3 is no multicast address",
        "239.192.0.81",
    ),
    "a key of another medium": (
        heartbeat(media=[{"type": "bcast", "ttl": 1}]),
        "lvs_heartbeat.media[0].ttl",
        "means nothing to bcast",
        "use mcast",
    ),
    "an interface whose addresses nobody knows": (
        heartbeat(media=["ucast", {"type": "ucast", "interface": "eth7"}]),
        "lvs_heartbeat.media[1]",
        "both directors' addresses there are not known",
        "add addresses",
    ),
    "one address of two": (
        heartbeat(media=[{"type": "ucast", "interface": "eth7", "addresses": ["192.0.2.1"]}]),
        "lvs_heartbeat.media[0].addresses",
        "are not two",
        "write one of each director",
    ),
    "addresses of two families": (
        heartbeat(media=[{"type": "ucast", "interface": "eth7", "addresses": ["192.0.2.1", "2001:db8::1"]}]),
        "lvs_heartbeat.media[0].addresses",
        "are of two families",
        "a medium for each",
    ),
    "a director as a ping node": (
        heartbeat(ping="10.0.0.2"),
        "lvs_heartbeat.ping[0]",
        "10.0.0.2 is director2, a director",
        "a router",
    ),
    "two groups of one name": (
        heartbeat(ping_groups=[{"name": "a", "addresses": "192.0.2.1"}, {"name": "a", "addresses": "192.0.2.2"}]),
        "lvs_heartbeat.ping_groups[1] (a).name",
        "a is there twice",
        "give it a name",
    ),
    "IPv6 in a group": (
        heartbeat(ping_groups=[{"name": "a", "addresses": "2001:db8::1"}]),
        "lvs_heartbeat.ping_groups[0] (a).addresses",
        "holds an IPv6 address",
        "name it in ping",
    ),
    "a directive of ours": (
        heartbeat(text="# mine\nnode director3\n"),
        "lvs_heartbeat.text (line 2)",
        "node is the collection's",
        "a key of lvs_heartbeat",
    ),
    "an obsolete directive that does the opposite": (
        heartbeat(text="nice_failback on"),
        "lvs_heartbeat.text (line 1)",
        "nice_failback is the collection's",
        "lvs_failback",
    ),
    "an unknown directive": (
        heartbeat(text="watchdogg /dev/watchdog"),
        "lvs_heartbeat.text (line 1)",
        "heartbeat knows no directive watchdogg",
        "did you mean watchdog?",
    ),
    "a bare address as a resource": (
        heartbeat(before="192.0.2.99"),
        "lvs_heartbeat.before",
        "'192.0.2.99' is not a script",
        "write a script",
    ),
    "a resource that ends the line": (
        heartbeat(after="Delay::1 \\"),
        "lvs_heartbeat.after",
        "'Delay::1 \\\\' is not a script",
        "write a script",
    ),
    "VRRP beside it": (
        {"lvs_vrrp": {"router_id": 3}},
        "lvs_vrrp",
        "nobody would act on it, because lvs_failover is heartbeat",
        "lvs_failover: keepalived",
    ),
    "a gateway that is a director": (
        {"lvs_gateway_vip": "10.0.0.1"},
        "lvs_gateway_vip",
        "10.0.0.1 is the lvs_address of director1",
        "it moves",
    ),
}


@pytest.mark.parametrize(("shared", "path", "wrong", "mend"), REFUSED.values(), ids=REFUSED)
def test_refused(shared, path, wrong, mend):
    (line,) = problems(*two(**shared))
    assert line.startswith(f"{path}: {wrong}")
    assert mend in line


@pytest.mark.parametrize("key", ["s3cr3t two", 7, ["s3cr3t"], ""])
def test_a_refused_key_is_not_shown(key):
    (line,) = problems(*two(lvs_heartbeat_key=key))
    assert line.startswith("lvs_heartbeat_key: it")
    assert "s3cr3t" not in line


def test_a_key_that_differs_between_hosts_is_not_shown():
    hostvars, groups = two()
    hostvars["director2"]["lvs_heartbeat_key"] = "s3cr3t"
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_heartbeat_key (director2): differs from what director1 sees")
    assert KEY not in line


def test_the_key_is_in_no_view():
    assert KEY not in json.dumps(pack(build(*two())))


def test_heartbeat_works_between_two():
    (line,) = problems(*inventory(**SHARED))
    assert line.startswith("lvs_failover: the group directors has 1 director: failover needs two")
    hostvars, groups = two()
    hostvars["director3"] = {**hostvars["director1"], "lvs_address": "10.0.0.3"}
    groups["directors"].append("director3")
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_failover: the group directors has 3 directors, and heartbeat works between two; leave")


def test_two_directors_of_one_name():
    hostvars, groups = two()
    hostvars["director2"]["lvs_node_name"] = "Director1"
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_node_name (director2): director1 is the name of director1 too")


@pytest.mark.parametrize(("name", "value"), [("lvs_heartbeat", {"deadtime": 5}), ("lvs_heartbeat_key", KEY)])
def test_what_nobody_would_act_on(name, value):
    (line,) = problems(*pair(**{name: value}))
    assert line.startswith(f"{name}: nobody would act on it, because lvs_failover is keepalived")


def test_no_address_for_heartbeats_on_the_gateways_side():
    hostvars, groups = two(lvs_gateway_interface="eth1")
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_heartbeat.media: one of the directors has no address there that heartbeats could go to")
    for name, address in (("director1", "192.0.2.2"), ("director2", "192.0.2.3")):
        hostvars[name]["lvs_vrrp_address"] = address
    assert problems(hostvars, groups) == []
    found = seen(hostvars, groups, "director2")
    assert [(medium["side"], medium["own"]) for medium in found["heartbeat"]["media"]] == [
        ("clients", {"director1": "192.0.2.2", "director2": "192.0.2.3"}),
        ("gateway", {"director1": "10.0.0.1", "director2": "10.0.0.2"}),
    ]
    assert found["sources"] == [
        {"address": "192.0.2.3", "interface": "eth0"},
        {"address": "10.0.0.2", "interface": "eth1"},
    ]


def test_names_as_the_hosts_say_them_the_preferred_one_first():
    hostvars, groups = two()
    hostvars["director2"].update(lvs_node_name="LB2.example.net", lvs_priority=250)
    found = seen(hostvars, groups, "director2")
    assert found["heartbeat"]["nodes"] == ["lb2.example.net", "director1"]
    assert found["directors"] == ["director2", "director1"]
    assert found["node"] == "lb2.example.net"


def test_timers_that_nobody_says():
    found = seen(*two(lvs_heartbeat={"keepalive": 2, "deadtime": 30}))["heartbeat"]
    assert (found["warntime"], found["initdead"], found["deadping"]) == (15, 60, 30)
    found = seen(*two(lvs_heartbeat={"keepalive": 1.4, "deadtime": 3}))["heartbeat"]
    assert (found["warntime"], found["initdead"]) == (1.5, 10)


def test_vips_and_the_gateway_move_as_with_keepalived():
    found = seen(*two(service(vip="192.0.2.10/24"), lvs_gateway_vip="10.0.0.9/24"))
    assert found["vips"] == []
    assert [vip["address"] for vip in found["moving"]] == ["192.0.2.10", "10.0.0.9"]
    assert found["vrrp"] is None
    assert found["gateways"]["ipv4"] == "10.0.0.9"
    assert seen(*two(), "rs1")["heartbeat"] is None


def test_other_engines_have_no_names_for_heartbeat():
    assert seen(*pair())["node"] is None
