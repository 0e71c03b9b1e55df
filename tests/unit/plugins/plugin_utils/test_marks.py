# SPDX-License-Identifier: GPL-3.0-or-later
"""Services by firewall mark: their rows, their marks, and the rules that put marks on packets."""

from __future__ import annotations

import json

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import marks, objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    REALSERVER_OPTIONS,
    cluster,
    inventory,
    pair,
    problems,
    service,
)

RS1 = [{"host": "rs1"}]
SHOP = "lvs_services[0] (shop)"
CACHE = "lvs_services[0] (cache)"


def shop(**changes):
    """Two ports and two families, tied together."""
    keys = {"name": "shop", "vip": ["192.0.2.10", "2001:db8::10"], "port": OMIT, "ports": [80, 443], "group": True}
    return service(**{**keys, "forward": "dr", **changes})


def cache(**changes):
    """What somebody else marks."""
    keys = {"name": "cache", "vip": OMIT, "port": OMIT, "fwmark": 7, "forward": "dr"}
    return service(**{**keys, **changes})


def found(*services, **shared):
    return cluster(*inventory(*services, **shared))


def rules(*services, **shared):
    return marks.rules(found(*services, **shared)["marks"])


def mark_of(name, *services, family="ipv4", **shared):
    own = found(*services, **shared)["services"]
    return next(one["fwmark"] for one in own if one["path"].endswith(f"({name})") and one["family"] == family)


class TestRows:
    def test_a_group_is_one_row_for_each_family(self):
        made = found(shop(real_servers=RS1, persistence=300))
        assert [one["name"] for one in made["services"]] == ["shop-ipv4", "shop-ipv6"]
        assert made["table"][0] == {
            "fwmark": made["services"][0]["fwmark"],
            "family": "ipv4",
            "scheduler": "wlc",
            "scheduler_flags": [],
            "one_packet": False,
            "persistence": {"timeout": 300, "netmask": 32, "engine": ""},
            "real_servers": [
                {
                    "address": "10.0.0.11",
                    "port": 0,
                    "forward": "dr",
                    "weight": 1,
                    "upper_threshold": 0,
                    "lower_threshold": 0,
                }
            ],
        }
        six = made["table"][1]
        assert (six["family"], six["persistence"]["netmask"]) == ("ipv6", 128)
        assert six["real_servers"][0]["address"] == "2001:db8:1::11"

    def test_all_vips_of_a_family_are_in_it(self):
        made = found(shop(vip=["192.0.2.10/24", "192.0.2.11"]))
        assert [one["name"] for one in made["services"]] == ["shop"]
        assert [(vip["address"], vip["prefix"]) for vip in made["vips"]] == [("192.0.2.10", 24), ("192.0.2.11", 32)]
        hidden = made["realservers"]["rs1"]["duties"]["hidden_vips"]
        assert [vip["address"] for vip in hidden] == ["192.0.2.10", "192.0.2.11"]

    def test_a_mark_set_elsewhere_needs_no_vip(self):
        made = found(cache())
        (row,) = made["table"]
        assert (row["fwmark"], row["family"]) == (7, "ipv4")
        assert (made["vips"], made["marks"]) == ([], [])
        assert made["realservers"]["rs1"]["duties"]["hidden_vips"] == []

    def test_a_mark_set_elsewhere_with_a_vip_of_its_family(self):
        made = found(cache(family="ipv6", vip="2001:db8::20"))
        assert made["table"][0]["family"] == "ipv6"
        assert [vip["address"] for vip in made["vips"]] == ["2001:db8::20"]
        assert made["realservers"]["rs1"]["duties"]["hidden_vips"][0]["address"] == "2001:db8::20"
        assert made["marks"] == []

    def test_both_families_of_one_mark(self):
        made = found(cache(), cache(name="cache6", family="ipv6"))
        assert [(row["fwmark"], row["family"]) for row in made["table"]] == [(7, "ipv4"), (7, "ipv6")]

    def test_one_packet_is_the_kernels_to_judge(self):
        assert found(cache(one_packet=True))["table"][0]["one_packet"]

    def test_replies_of_nat_come_from_the_ports_that_clients_name(self):
        def flows(*services):
            own = found(*services)["realservers"]["rs1"]["duties"]["nat_flows"]
            return [(flow["family"], flow["protocol"], flow["port"]) for flow in own]

        assert flows(shop(forward="nat", vip="192.0.2.10")) == [("ipv4", "tcp", 80), ("ipv4", "tcp", 443)]
        assert flows(cache(forward="nat")) == [("ipv4", None, 0)]

    def test_a_way_back_for_whatever_protocol(self):
        own = view(pack(build(*inventory(cache(forward="nat")))), "rs1")
        (rule,) = objects.realserver_objects(own, {**REALSERVER_OPTIONS, "gateway": "policy"})["rules"]
        assert "protocol" not in rule
        assert "source_port" not in rule


class TestMarks:
    def test_a_mark_is_made_from_the_name_and_the_family(self):
        # These numbers are a promise: others would send every client of every group there is to another real server.
        assert mark_of("shop", shop()) == 0x7EBCEC
        assert mark_of("shop", shop(), family="ipv6") == 0xA5A67A

    def test_neither_the_place_nor_other_services_move_it(self):
        alone = mark_of("shop", shop())
        others = [shop(name=f"s{n}", vip=f"192.0.2.{n}") for n in range(20, 60)]
        assert mark_of("shop", *others, cache(), shop()) == alone
        assert mark_of("shop", shop(vip="192.0.2.10", ports=[25])) == alone

    def test_marks_differ(self):
        many = found(*(shop(name=f"s{n}", vip=[f"192.0.2.{n}", f"2001:db8::{n}"]) for n in range(1, 100)))
        own = [one["fwmark"] for one in many["services"]]
        assert len(set(own)) == len(own) == 198
        assert all(0 < mark < 2**24 for mark in own)

    def test_a_reserved_one_is_not_taken(self):
        first = mark_of("shop", shop())
        second = mark_of("shop", shop(), lvs_fwmark_reserved=first)
        assert second != first
        third = mark_of("shop", shop(), lvs_fwmark_reserved=[f"{first}-{first}", str(second)])
        assert third not in (first, second)

    def test_one_that_another_service_says_is_not_taken(self):
        first = mark_of("shop", shop())
        assert mark_of("shop", shop(), cache(fwmark=first)) != first

    def test_names_with_one_number_agree_in_any_order(self, monkeypatch):
        monkeypatch.setattr(marks, "_number", lambda entry, family, salt: salt)  # 0 is no mark
        a, b = shop(name="a", vip="192.0.2.11"), shop(name="b", vip="192.0.2.12")
        for services in ([a, b], [b, a]):
            assert (mark_of("a", *services), mark_of("b", *services)) == (1, 2)

    def test_a_pinned_one_holds_for_both_families(self):
        assert [row["fwmark"] for row in found(shop(fwmark=99))["table"]] == [99, 99]

    def test_when_all_are_reserved(self):
        (line, _) = problems(*inventory(shop(vip="192.0.2.10"), lvs_fwmark_reserved="1-4294967295")) + [""]
        assert line.startswith("lvs_fwmark_reserved: leaves no mark for the group shop")
        assert line.endswith("reserve fewer, or give the service a fwmark")


class TestRules:
    def test_ports_and_addresses_of_a_group(self):
        assert rules(shop(fwmark=99, vip=["192.0.2.10", "2001:db8::10", "192.0.2.11"])) == [
            'ip daddr { 192.0.2.10, 192.0.2.11 } tcp dport { 80, 443 } meta mark set 0x00000063 comment "shop-ipv4"',
            'ip6 daddr 2001:db8::10 tcp dport { 80, 443 } meta mark set 0x00000063 comment "shop-ipv6"',
        ]

    def test_every_port_comes_first_so_that_others_win(self):
        every = shop(vip="192.0.2.10", ports=OMIT, port=0, protocol="udp", fwmark=8)
        dns = shop(name="dns", vip="192.0.2.10", ports=[53], protocol="udp", fwmark=9)
        assert rules(dns, every) == [
            'ip daddr 192.0.2.10 meta l4proto udp meta mark set 0x00000008 comment "shop"',
            'ip daddr 192.0.2.10 udp dport 53 meta mark set 0x00000009 comment "dns"',
        ]

    def test_nobody_else_is_marked(self):
        assert rules(service(), cache(), cache(name="other", fwmark=8, vip="192.0.2.20")) == []

    def test_only_directors_mark(self):
        model = json.loads(json.dumps(pack(build(*pair(shop(fwmark=99, vip="192.0.2.10"))))))
        for director in ("director1", "director2"):
            own = objects.director_objects(view(model, director), {})["packets"]["mark"]
            assert own == ['ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x00000063 comment "shop"']
        assert view(model, "rs1")["marks"] == []


REFUSED = {
    "port beside a mark": (
        cache(port=80),
        f"{CACHE}.port: the fwmark says all: whatever carries it is balanced, and goes to the port that the client"
        " named; leave it out, or add group: true to have the packets of these ports marked",
    ),
    "ports beside a mark": (cache(ports=[80]), f"{CACHE}.ports: the fwmark says all"),
    "protocol beside a mark": (
        cache(protocol="udp"),
        f"{CACHE}.protocol: the fwmark says all, whatever the protocol; leave it out, or add group: true",
    ),
    "VIP of another family": (
        cache(vip="2001:db8::20"),
        f"{CACHE}.vip: 2001:db8::20 is IPv6, and the fwmark counts for IPv4; use family: ipv6, or make one entry for"
        " each family",
    ),
    "family of a group": (
        shop(family="ipv4"),
        f"{SHOP}.family: goes with a fwmark that stands alone; elsewhere the VIPs say it; leave it out",
    ),
    "family of a VIP": (service(family="ipv4"), "lvs_services[0] (web).family: goes with a fwmark that stands alone"),
    "group without VIP": (shop(vip=OMIT), f"{SHOP}.vip: is missing; add vip: the address that clients use"),
    "group without port": (shop(ports=OMIT), f"{SHOP}: has neither port nor ports; add port: 80"),
    "a real server's own port": (
        shop(real_servers=[{"host": "rs1", "port": 8080}]),
        f"{SHOP}.real_servers[0].port: a service by firewall mark reaches every server on the port that the client"
        " named; leave it out; where a server needs another port, make services by vip and port",
    ),
    "an outsider's own port": (
        cache(forward="nat", real_servers=[{"address": "198.51.100.7", "port": 8080}]),
        f"{CACHE}.real_servers[0].port: a service by firewall mark reaches every server",
    ),
    "real server of another family": (
        cache(real_servers=[{"address": "2001:db8::7"}]),
        f"{CACHE}.real_servers[0].address: 2001:db8::7 is IPv6 and the fwmark's family is IPv4, which dr cannot join",
    ),
    "one packet of a tcp group": (
        shop(one_packet=True),
        f"{SHOP}.one_packet: has no effect with tcp; leave it out, or use protocol: udp",
    ),
    "netmask of two families": (
        shop(persistence={"netmask": 24}),
        f"{SHOP}.persistence.netmask: one prefix length cannot suit IPv4 and IPv6 clients",
    ),
    "netmask of an IPv4 mark": (
        cache(persistence={"netmask": 64}),
        f"{CACHE}.persistence.netmask: 64 is more than an IPv4 address has; use 1..32",
    ),
    "mark 0": (cache(fwmark=0), f"{CACHE}.fwmark: 0 is not a whole number 1..4294967295"),
    "unknown family": (cache(family="inet6"), f"{CACHE}.family: 'inet6' is not one of ipv4, ipv6; use ipv4, ipv6"),
}


@pytest.mark.parametrize(("described", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_one_line(described, text):
    (line,) = problems(*inventory(described))
    assert line.startswith(text)


@pytest.mark.parametrize("value", [0, "0-9", "9-x", "9-1", [-1], {"a": 1}, "1-2-3", 2**32])
def test_no_range_of_marks(value):
    (line,) = problems(*inventory(lvs_fwmark_reserved=value))
    assert line.startswith("lvs_fwmark_reserved")


class TestChecks:
    def check(self, described):
        (first, *_) = found(described, lvs_health="keepalived")["watched"]
        return first["check"]["type"], first["check"]["port"]

    @pytest.mark.parametrize(
        ("described", "expected"),
        [
            (shop(ports=[443, 80]), ("tcp", 443)),
            (shop(check={"type": "http", "port": 8080}), ("http", 8080)),
            (shop(check="https"), ("https", 80)),
            (shop(check="ping"), ("ping", None)),
            (shop(check="none"), ("none", None)),
            (shop(protocol="udp"), ("ping", None)),
            (shop(protocol="udp", check="dns"), ("dns", 80)),
            (shop(ports=OMIT, port=0), ("ping", None)),
            (cache(), ("ping", None)),
            (cache(check={"port": 80}), ("tcp", 80)),
            (cache(check={"type": "dns", "port": 53}), ("dns", 53)),
            (cache(check={"type": "script", "command": "/bin/true"}), ("script", None)),
        ],
    )
    def test_whom_a_check_asks(self, described, expected):
        assert self.check(described) == expected

    @pytest.mark.parametrize("kind", ["tcp", "http", "smtp", "udp", "dns"])
    def test_a_check_that_asks_a_port_needs_one(self, kind):
        (line,) = problems(*inventory(cache(check=kind), lvs_health="keepalived"))
        assert (
            line == f"{CACHE}.check.port: is missing: a fwmark has no port, and {kind} asks one; name the port to ask"
        )

    def test_a_group_of_every_port_has_none_to_ask(self):
        (line,) = problems(*inventory(shop(ports=OMIT, port=0, check="http"), lvs_health="keepalived"))
        assert line.startswith(f"{SHOP}.check.port: is missing: the service has every port, and http asks one")

    def test_a_fallback_keeps_the_port_too(self):
        made = found(shop(fallback={"address": "192.0.2.50"}, vip="192.0.2.10"), lvs_health="keepalived")
        assert made["watched"][0]["fallback"] == {"address": "192.0.2.50", "port": 0, "forward": "dr"}
        with_port = cache(fallback={"address": "192.0.2.50", "port": 80})
        (line,) = problems(*inventory(with_port, lvs_health="keepalived"))
        assert line.startswith(f"{CACHE}.fallback.port: a service by firewall mark reaches every server on the port")


class TestTwoServices:
    def test_one_mark_twice(self):
        assert problems(*inventory(cache(), cache(name="other"))) == [
            f"lvs_services[1] (other).fwmark: 7 is the IPv4 mark of {CACHE} too; give each a mark of its own"
        ]
        (line,) = problems(*inventory(cache(), shop(fwmark=7, vip="192.0.2.10")))
        assert line.startswith(f"lvs_services[1] (shop).fwmark: 7 is the IPv4 mark of {CACHE} too")

    def test_a_port_of_a_group_is_taken(self):
        (line,) = problems(*inventory(shop(), service(port=443)))
        assert line.startswith(f"lvs_services[1] (web): 192.0.2.10 port 443 tcp is served by {SHOP} already")
        (line,) = problems(*inventory(shop(vip="192.0.2.10"), shop(name="b", vip="192.0.2.10", ports=[443, 8443])))
        assert line.startswith(f"lvs_services[1] (b): 192.0.2.10 port 443 tcp is served by {SHOP} already")
        assert problems(*inventory(shop(), service(port=25))) == []

    def test_a_mark_on_every_port_hides_other_services_of_the_vip(self):
        every = shop(ports=OMIT, port=0)
        (line,) = problems(*inventory(every, service()))
        assert line == (
            f"lvs_services[1] (web): {SHOP} marks every tcp port of 192.0.2.10, so that no packet would find this one;"
            " name the ports there, or use group: true here too"
        )
        assert problems(*inventory(every, service(protocol="udp"), shop(name="b", ports=[25]))) == []

    def test_two_prefixes_of_a_vip(self):
        (line,) = problems(*inventory(shop(vip="192.0.2.10/24"), service(port=25, vip="192.0.2.10/25")))
        assert "has the prefix length 25 here and 24 in" in line


def test_nothing_to_move():
    (line,) = problems(*pair(cache()))
    assert line.startswith("lvs_failover: there is no VIP to move: directors hold the address of no service; add vip")
    assert problems(*pair(cache(vip="192.0.2.20"))) == []
    assert problems(*pair(cache(), lvs_failover="external")) == []
