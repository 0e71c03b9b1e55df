# SPDX-License-Identifier: GPL-3.0-or-later
"""Services by marks of ours beyond a group: networks, clients of their own, port ranges; directors without VIPs."""

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

FARM = "lvs_services[0] (farm)"
WEB = "lvs_services[0] (web)"
OPTIONS = REALSERVER_OPTIONS


def farm(**changes):
    """A network of addresses, every port of every protocol."""
    keys = {"name": "farm", "vip": OMIT, "network": "192.168.0.0/24", "port": 0, "protocol": "any", "fwmark": 1}
    return service(**{**keys, "forward": "dr", **changes})


def cache(**changes):
    """Everything that passes, on one port."""
    return farm(**{"name": "cache", "network": "0.0.0.0/0", "port": 80, "protocol": "tcp", **changes})


def group(**changes):
    return service(**{"group": True, "forward": "dr", **changes})


def lines(*services, **shared):
    """The rules that mark, without what all of them end with."""
    own = marks.rules(cluster(*inventory(*services, **shared))["marks"])
    return [rule.partition(" meta mark set 0x")[0] for rule in own]


def order(*services, **shared):
    """The comment of each rule for packets that show a port."""
    own = marks.rules(cluster(*inventory(*services, **shared))["marks"])
    return [rule.split('"')[1] for rule in own if "icmp" not in rule and "frag-off" not in rule]


def own_view(host, *services, **shared):
    return view(json.loads(json.dumps(pack(build(*inventory(*services, **shared))))), host)


def director(*services, **shared):
    return objects.director_objects(own_view("director1", *services, **shared), {})


def realserver(*services, **shared):
    return objects.realserver_objects(own_view("rs1", *services), {**OPTIONS, **shared})


class TestNetworks:
    def test_one_row_for_each_family(self):
        made = cluster(*inventory(farm(network=["192.168.0.0/24", "2001:db8:9::/64"], fwmark=OMIT)))
        assert [one["name"] for one in made["services"]] == ["farm-ipv4", "farm-ipv6"]
        assert [row["family"] for row in made["table"]] == ["ipv4", "ipv6"]
        assert all(row["fwmark"] for row in made["table"])
        assert made["vips"] == []

    def test_its_mark_is_made_as_a_groups_is(self):
        (network,) = cluster(*inventory(farm(name="shop", fwmark=OMIT)))["table"]
        (grouped,) = cluster(*inventory(group(name="shop")))["table"]
        assert network["fwmark"] == grouped["fwmark"]

    def test_any_address_any_port_any_protocol(self):
        assert lines(farm()) == [
            "ip daddr 192.168.0.0/24 meta l4proto icmp",
            "ip daddr 192.168.0.0/24 meta l4proto { tcp, udp, sctp }",
        ]

    def test_ports_of_a_network(self):
        assert lines(farm(port=OMIT, ports=[80, "1000-2000"], protocol="udp")) == [
            "ip daddr 192.168.0.0/24 meta l4proto icmp",
            "ip daddr 192.168.0.0/24 ip frag-off & 0x1fff != 0",
            "ip daddr 192.168.0.0/24 udp dport { 80, 1000-2000 }",
        ]
        assert lines(farm(port=53))[-1] == "ip daddr 192.168.0.0/24 meta l4proto { tcp, udp, sctp } th dport 53"

    def test_ipv6_comes_together_before_any_rule(self):
        assert lines(farm(network="2001:db8:9::/64", port=53)) == [
            "ip6 daddr 2001:db8:9::/64 meta l4proto icmpv6",
            "ip6 daddr 2001:db8:9::/64 meta l4proto { tcp, udp, sctp } th dport 53",
        ]

    def test_networks_of_one_length_share_a_rule(self):
        assert lines(farm(network=["192.168.0.0/24", "192.168.9.0/24", "172.16.0.0/16"]))[-2:] == [
            "ip daddr 172.16.0.0/16 meta l4proto { tcp, udp, sctp }",
            "ip daddr { 192.168.0.0/24, 192.168.9.0/24 } meta l4proto { tcp, udp, sctp }",
        ]

    def test_the_smaller_network_decides_and_a_vip_is_the_smallest(self):
        one = group(vip="192.168.0.7", port=0, fwmark=2)
        small = farm(name="small", network="192.168.0.0/28", fwmark=3)
        assert order(one, small, farm()) == order(farm(), one, small) == ["farm", "small", "web"]

    def test_a_protocol_by_name_before_all_of_them(self):
        assert order(farm(name="dns", port=53, protocol="udp", fwmark=2), farm(port=53)) == ["farm", "dns"]

    def test_directors_take_in_what_has_the_mark(self):
        config = director(farm(network=["192.168.0.0/24", "2001:db8:9::/64"], fwmark=99))
        assert config["addresses"] == []
        assert config["routes"] == [
            {"family": family, "type": "local", "interface": "lo", "table": 5020} for family in ("ipv4", "ipv6")
        ]
        assert config["rules"][:2] == [
            {"family": "ipv4", "fwmark": 99, "interface": "lo", "table": 254, "priority": 5019},
            {"family": "ipv4", "fwmark": 99, "table": 5020, "priority": 5020},
        ]
        assert [(rule["family"], rule["priority"]) for rule in config["rules"][2:]] == [("ipv6", 5019), ("ipv6", 5020)]

    def test_the_directors_table_can_be_another(self):
        config = objects.director_objects(own_view("director1", farm()), {}, 0, False, 77)
        assert {row["table"] for row in config["routes"]} == {77}
        assert [rule["priority"] for rule in config["rules"]] == [76, 77]

    def test_real_servers_take_in_the_network_unseen(self):
        config = realserver(farm(network=["192.168.0.0/24", "2001:db8:9::/64"]))
        assert config["addresses"] == []
        assert [(row["type"], row["to"], row["interface"], row["table"]) for row in config["routes"]] == [
            ("local", "192.168.0.0/24", "lo", 255),
            ("local", "2001:db8:9::/64", "lo", 255),
        ]
        assert {"name": "net.ipv4.conf.all.arp_ignore", "value": "1"} in config["sysctls"]

    def test_tunnels_are_unpacked(self):
        config = realserver(farm(forward="tun"))
        assert config["links"] == [{"name": "tunl0"}]
        assert {"name": "net.ipv4.conf.tunl0.rp_filter", "value": "2"} in config["sysctls"]
        assert {"name": "net.ipv4.conf.all.arp_ignore", "value": "1"} in config["sysctls"]
        assert [row["to"] for row in config["routes"]] == ["192.168.0.0/24"]

    def test_a_device_that_unpacks_ipv4_has_an_address_of_it(self):
        dummy = {"address": "192.0.0.8/32", "interface": "tunl0"}
        networks = ["192.168.0.0/24", "172.16.0.0/16", "2001:db8:9::/64"]
        assert realserver(farm(forward="tun", network=networks))["addresses"] == [dummy]
        assert realserver(cache(forward="tun"))["addresses"] == [dummy]
        assert realserver(farm(forward="tun", network="2001:db8:9::/64"))["addresses"] == []
        # VIPs come and go, and it stays.
        vip = {"address": "192.0.2.10/32", "interface": "tunl0"}
        assert realserver(farm(forward="tun"), service(forward="tun"))["addresses"] == [vip, dummy]

    def test_nat_needs_nothing_there(self):
        config = realserver(farm(forward="nat"))
        assert (config["routes"], config["sysctls"]) == ([], [])

    def test_a_check_asks_the_first_port(self):
        (one, two) = (
            cluster(*inventory(farm(port=OMIT, ports=["8000-8100", 80]), lvs_health="keepalived"))["watched"]
            + cluster(*inventory(farm(), lvs_health="ldirectord"))["watched"]
        )
        assert (one["check"]["type"], one["check"]["port"]) == ("tcp", 8000)
        assert (two["check"]["type"], two["check"]["port"]) == ("ping", None)

    def test_something_must_move_that_the_router_sends_to(self):
        (line,) = problems(*pair(farm()))
        assert line.startswith("lvs_failover: there is no VIP to move: directors hold the address of no service")
        assert problems(*pair(farm(), service())) == []
        assert problems(*pair(farm(), lvs_gateway_vip="10.0.0.254")) == []


class TestEverything:
    def test_what_is_for_or_from_the_clusters_hosts_is_left_alone(self):
        hosts = "{ 10.0.0.1, 10.0.0.11, 10.0.0.12, 10.0.0.13, 198.51.100.7 }"
        assert lines(cache(real_servers=[{"host": "rs1"}, {"address": "198.51.100.7"}])) == [
            f"meta nfproto ipv4 ip saddr != {hosts} ip daddr != {hosts}"
            " fib daddr type != { local, broadcast, anycast, multicast } tcp dport 80"
        ]

    def test_ipv6(self):
        (rule,) = lines(cache(network="::/0", port=0, clients="2001:db8:77::/64"))
        assert rule.startswith("ip6 saddr 2001:db8:77::/64 meta nfproto ipv6 ip6 saddr != { 2001:db8:1::1, ")
        assert rule.endswith(" meta l4proto tcp")

    def test_no_real_server_is_everybody(self):
        assert realserver(cache())["routes"] == []
        assert own_view("rs1", cache())["hidden_networks"][0]["network"] == "0.0.0.0/0"

    def test_networks_and_vips_beside_it(self):
        assert order(cache(), farm(fwmark=2), group(fwmark=3)) == ["cache", "farm", "web"]
        assert problems(*inventory(cache(), service())) == []


class TestClients:
    def test_smaller_networks_of_clients_decide_and_everybody_comes_last(self):
        some = group(name="some", clients=["198.51.100.0/24", "203.0.113.0/25"])
        few = group(name="few", clients="198.51.100.64/26")
        assert order(few, some, group()) == ["web", "some", "some", "few"]
        assert [line for line in lines(few, some, group()) if "saddr" in line] == [
            "ip saddr 198.51.100.0/24 ip daddr 192.0.2.10 tcp dport 80",
            "ip saddr 203.0.113.0/25 ip daddr 192.0.2.10 tcp dport 80",
            "ip saddr 198.51.100.64/26 ip daddr 192.0.2.10 tcp dport 80",
        ]

    def test_the_destination_counts_before_the_clients_and_they_before_the_port(self):
        one = group(name="one", vip="192.168.0.7", port=0)
        some = farm(name="some", clients="198.51.100.0/24")
        named = farm(name="named", port=80, protocol="tcp", fwmark=2)
        assert order(one, some, named) == ["named", "some", "one"]

    def test_each_family_has_its_own(self):
        both = group(vip=["192.0.2.10", "2001:db8::10"], clients=["198.51.100.0/24", "2001:db8:77::/64"])
        assert lines(both) == [
            "ip saddr 198.51.100.0/24 ip daddr 192.0.2.10 tcp dport 80",
            "ip6 saddr 2001:db8:77::/64 ip6 daddr 2001:db8::10 tcp dport 80",
        ]

    def test_a_plain_service_for_everybody_else(self):
        assert problems(*inventory(group(name="some", clients="198.51.100.0/24"), service())) == []

    def test_one_network_twice_names_both(self):
        again = group(name="b", clients=["203.0.113.0/24", "198.51.100.0/24"])
        assert problems(*inventory(group(clients="198.51.100.0/24"), again)) == [
            f"lvs_services[1] (b): 192.0.2.10 port 80 tcp for clients 198.51.100.0/24 is served by {WEB} already; keep"
            " one of them, or change vip or port, or clients"
        ]
        (line,) = problems(*inventory(group(), group(name="b", clients="0.0.0.0/0")))
        assert line.startswith(f"lvs_services[1] (b): 192.0.2.10 port 80 tcp is served by {WEB} already")


class TestRanges:
    def test_active_and_passive_ftp(self):
        assert lines(group(port=OMIT, ports=[20, 21, "1024-65535"])) == [
            "ip daddr 192.0.2.10 tcp dport { 20, 21, 1024-65535 }"
        ]

    def test_the_way_back(self):
        def sports(*ports, **changes):
            config = realserver(group(forward="nat", port=OMIT, ports=list(ports), **changes), gateway="policy")
            return [(rule.get("protocol"), rule.get("source_port")) for rule in config["rules"]]

        assert sports(21, "40000-40100") == [("tcp", 21), ("tcp", "40000-40100")]
        # The kernel takes no 65535 in a rule.
        assert sports(21, "1024-65535") == [("tcp", None)]
        assert sports(53, 65535, protocol="any") == [(None, None)]

    @pytest.mark.parametrize(
        ("first", "second", "common"),
        [
            (["1-100"], ["100-200"], "100"),
            (["1-65535"], [80, 443], "80"),
            ([80], ["1-1023"], "80"),
            (["10-20", "30-40"], ["15-18", "35-50"], "15-18"),
        ],
    )
    def test_ports_in_common(self, first, second, common):
        found = problems(
            *inventory(group(port=OMIT, ports=first), group(name="b", port=OMIT, ports=second)),
        )
        assert found[0].startswith(f"lvs_services[1] (b): 192.0.2.10 port {common} tcp is served by {WEB} already")

    def test_a_long_range_hides_a_later_one_from_none(self):
        three = [group(name=name, port=OMIT, ports=[span]) for name, span in zip("abc", ("1-1000", "5-6", "900"))]
        assert [line.partition(":")[0] for line in problems(*inventory(*three))] == [
            "lvs_services[1] (b)",
            "lvs_services[2] (c)",
        ]

    def test_ranges_side_by_side(self):
        assert problems(*inventory(group(port=OMIT, ports=["1-99"]), service(name="b", port=100))) == []

    def test_a_plain_service_within_a_range(self):
        (line,) = problems(*inventory(group(port=OMIT, ports=["1-99"]), service(name="b", port=25)))
        assert line.startswith(f"lvs_services[1] (b): 192.0.2.10 port 25 tcp is served by {WEB} already")


class TestWithoutVips:
    def test_directors_hold_no_vip_of_a_mark(self):
        own = own_view("director1", group(fwmark=5), service(name="plain", vip="192.0.2.11"), lvs_vipless=True)
        assert [vip["address"] for vip in own["vips"]] == ["192.0.2.11"]
        assert own["deliveries"] == [{"family": "ipv4", "fwmark": 5}]

    def test_real_servers_hide_them_as_ever(self):
        own = own_view("rs1", group(), lvs_vipless=True)
        assert [vip["address"] for vip in own["hidden_vips"]] == ["192.0.2.10"]

    def test_what_shows_no_port_comes_in_too(self):
        assert lines(group(), lvs_vipless=True) == [
            "ip daddr 192.0.2.10 meta l4proto icmp",
            "ip daddr 192.0.2.10 ip frag-off & 0x1fff != 0",
            "ip daddr 192.0.2.10 tcp dport 80",
        ]
        assert lines(group()) == ["ip daddr 192.0.2.10 tcp dport 80"]

    def test_once_for_all_services_of_an_address(self):
        both = lines(group(), group(name="b", port=81), lvs_vipless=True)
        assert [line for line in both if "dport" not in line] == [
            "ip daddr 192.0.2.10 meta l4proto icmp",
            "ip daddr 192.0.2.10 ip frag-off & 0x1fff != 0",
        ]

    def test_a_vip_that_a_plain_service_names_too_is_held(self):
        own = own_view("director1", group(), service(name="plain", port=81), lvs_vipless=True)
        assert [vip["address"] for vip in own["vips"]] == ["192.0.2.10"]

    def test_what_somebody_else_marks(self):
        alone = service(name="alone", vip="192.0.2.20", port=OMIT, fwmark=7, forward="dr")
        assert own_view("director1", alone)["deliveries"] == []
        own = own_view("director1", alone, lvs_vipless=True)
        assert (own["vips"], own["marks"]) == ([], [])
        assert own["deliveries"] == [{"family": "ipv4", "fwmark": 7}]

    def test_real_servers_deliver_nothing_by_mark(self):
        assert own_view("rs1", farm())["deliveries"] == []


REFUSED = {
    "host bits": (
        farm(network="192.168.0.5/24"),
        f"{FARM}.network: 192.168.0.5/24 is an address within a network; write 192.168.0.0/24, or 192.168.0.5/32",
    ),
    "no length": (
        farm(network="192.168.0.5"),
        f"{FARM}.network: 192.168.0.5 lacks its prefix length; write 192.168.0.5/32 for this address alone",
    ),
    "no network": (farm(network="farm/24"), f"{FARM}.network: 'farm/24' is not a network; write one such as"),
    "a number": (farm(network=24), f"{FARM}.network: 24 is not a network"),
    "multicast": (farm(network="224.0.0.0/24"), f"{FARM}.network: 224.0.0.0/24 is a network of multicast addresses"),
    "loopback": (farm(network="::1/128"), f"{FARM}.network: ::1/128 is a network of loopback addresses"),
    "no networks": (farm(network=[]), f"{FARM}.network: is an empty list; name at least one network"),
    "twice": (farm(network=["192.168.0.0/24"] * 2), f"{FARM}.network: 192.168.0.0/24 is there twice; keep one"),
    "nested": (
        farm(network=["192.168.0.0/24", "192.168.0.0/25"]),
        f"{FARM}.network: 192.168.0.0/25 is in 192.168.0.0/24 already; keep one of them",
    ),
    "beside a VIP": (
        farm(vip="192.0.2.10"),
        f"{FARM}.network: stands in place of vip, and both are there; keep one, or make an entry for each",
    ),
    "without a port": (farm(port=OMIT), f"{FARM}: has neither port nor ports"),
    "a real server in it": (
        farm(network="198.51.100.0/24", real_servers=[{"address": "198.51.100.7"}]),
        f"{FARM}.network: 198.51.100.0/24 has 198.51.100.7 in it, a real server of {FARM}: packets for the host itself"
        " would be balanced; name a network of virtual addresses alone",
    ),
    "a director in it": (
        farm(network="10.0.0.0/29"),
        f"{FARM}.network: 10.0.0.0/29 has 10.0.0.1 in it, the lvs_address of director1",
    ),
    "another family of real servers": (
        farm(real_servers=[{"address": "2001:db8:7::7"}]),
        f"{FARM}.real_servers[0].address: 2001:db8:7::7 is IPv6 and the network 192.168.0.0/24 is IPv4",
    ),
    "a port of a real server": (
        farm(real_servers=[{"host": "rs1", "port": 8080}]),
        f"{FARM}.real_servers[0].port: a service by firewall mark reaches every server on the port",
    ),
    "any protocol of a VIP": (
        service(protocol="any"),
        f"{WEB}.protocol: any goes with group or network: a row by VIP and port has one protocol; make an entry for"
        " each protocol, or use group: true",
    ),
    "a range of a VIP": (
        service(port=OMIT, ports=[80, "90-99"]),
        f"{WEB}.ports: 90-99 is a range, and a row by VIP and port has one port; name single ports, or use group: true",
    ),
    "a port twice": (group(port=OMIT, ports=["1-9", "1-9"]), f"{WEB}.ports: 1-9 is there twice; keep one"),
    "a port in a range": (
        group(port=OMIT, ports=["1-9", 5]),
        f"{WEB}.ports: 5 and 1-9 have ports in common; name each once",
    ),
    "a range backwards": (group(port=OMIT, ports=["9-1"]), f"{WEB}.ports[0]: '9-1' ends before it begins"),
    "clients of a VIP": (
        service(clients="198.51.100.0/24"),
        f"{WEB}.clients: are told apart by a mark that directors set, and a row by VIP and port is for everybody; leave"
        " it out, or use group: true",
    ),
    "clients of what somebody else marks": (
        service(vip=OMIT, port=OMIT, fwmark=7, forward="dr", clients="198.51.100.0/24"),
        f"{WEB}.clients: are told apart by a mark that directors set, and somebody else sets it",
    ),
    "no clients": (group(clients=[]), f"{WEB}.clients: is an empty list; name at least one network"),
    "clients of one family": (
        group(vip=["192.0.2.10", "2001:db8::10"], clients="198.51.100.0/24"),
        f"{WEB}.clients: has no IPv6 network, and the service is IPv6 too; add one (::/0 is everybody), or make an"
        " entry for each family",
    ),
    "clients of another family": (
        group(clients=["198.51.100.0/24", "2001:db8:77::/64"]),
        f"{WEB}.clients: 2001:db8:77::/64 is IPv6, and the service is not; leave it out",
    ),
    "an unreadable client": (
        group(clients=["198.51.100.7"]),
        f"{WEB}.clients[0]: 198.51.100.7 lacks its prefix length",
    ),
}


@pytest.mark.parametrize(("described", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_one_line(described, text):
    (line,) = problems(*inventory(described))
    assert line.startswith(text)


def test_two_services_of_one_network():
    (line,) = problems(*inventory(farm(), farm(name="b", fwmark=2)))
    assert line == (
        f"lvs_services[1] (b): 192.168.0.0/24 port 0 any is served by {FARM} already; keep one of them, or change"
        " network or ports"
    )
    assert problems(*inventory(farm(), farm(name="b", fwmark=2, port=80))) == []


class TestReplies:
    """What clients are answered passes the director as well, from the sites' addresses to the clients' own ports."""

    def test_everything_from_everybody_takes_no_port_that_they_go_to(self):
        assert problems(*inventory(cache(port=0))) == [
            "lvs_services[0] (cache): every port of 0.0.0.0/0 from everybody has the replies to clients in it, which"
            " ask from ports 1024 and higher: directors would take them in, and clients get no answer; name the"
            " clients' networks with clients, or lower ports"
        ]
        (line,) = problems(*inventory(cache(network="::/0", port=OMIT, ports=[80, "1000-1024", 8080])))
        assert line.startswith("lvs_services[0] (cache): port 1000-1024 of ::/0 from everybody has the replies")

    def test_nor_from_everybody_by_name(self):
        described = cache(network=["0.0.0.0/0", "::/0"], port=3128, clients=["198.51.100.0/24", "::/0"])
        (line,) = problems(*inventory(described))
        assert line.startswith("lvs_services[0] (cache): port 3128 of ::/0 from everybody")

    def test_neither_low_ports_nor_clients_of_their_own_nor_a_network_have_them(self):
        for described in (
            cache(port=OMIT, ports=["1-1023"]),
            cache(port=0, clients="198.51.100.0/24"),
            farm(),
            group(port=OMIT, ports=["1024-65535"]),
        ):
            assert problems(*inventory(described)) == []


def test_a_plain_service_within_a_network_would_see_no_packet():
    plain = service(vip="192.168.0.7")
    (line,) = problems(*inventory(farm(), plain))
    assert line == (
        f"lvs_services[1] (web): {FARM} marks every tcp port of 192.168.0.7, so that no packet would find this one;"
        " name the ports there, or use group: true here too"
    )
    (line,) = problems(*inventory(farm(port=OMIT, ports=["1-99"]), plain))
    assert line == (
        f"lvs_services[1] (web): {FARM} marks the packets for 192.168.0.7 port 80 tcp, so that no packet would find"
        " this one; use group: true here too"
    )
    for beside in (farm(port=81), farm(protocol="udp"), farm(clients="203.0.113.0/24"), farm(network="10.9.0.0/16")):
        assert problems(*inventory(beside, plain)) == []


def test_a_network_around_the_gateway_that_moves():
    (line,) = problems(*pair(farm(network="10.9.0.0/24"), service(), lvs_gateway_vip="10.9.0.254"))
    assert "10.9.0.0/24 has 10.9.0.254 in it, lvs_gateway_vip" in line


class TestRedirects:
    """A device that unpacks a tunnel may have no address that `redirect` could choose."""

    @pytest.mark.parametrize("forward", ["dr", "tun"])
    def test_a_networks_packets_go_to_the_hosts_own_address(self, forward):
        both = farm(network=["192.168.0.0/24", "2001:db8:9::/64"], fwmark=OMIT, forward=forward)
        config = realserver(both, redirect=[{"port": 8000, "to": 80}])
        assert config["packets"]["redirect"] == [
            "ip daddr 192.168.0.0/24 tcp dport 8000 dnat ip to 10.0.0.11:80",
            "ip6 daddr 2001:db8:9::/64 tcp dport 8000 dnat ip6 to [2001:db8:1::11]:80",
        ]

    def test_with_everything_whatever_comes_in_for_the_port_does(self):
        config = realserver(cache(forward="tun"), redirect=[{"port": 80, "to": 3128}])
        assert config["packets"]["redirect"] == ["meta nfproto ipv4 tcp dport 80 dnat ip to 10.0.0.11:3128"]

    def test_smaller_networks_come_first(self):
        rows = [{"port": 80, "to": 3128, "vip": "0.0.0.0/0"}, {"port": 80, "to": 81, "vip": "192.168.0.0/24"}]
        first, second = realserver(cache(), farm(fwmark=2), redirect=rows)["packets"]["redirect"]
        assert first.startswith("ip daddr 192.168.0.0/24 ")
        assert second.startswith("meta nfproto ipv4 ")

    def test_a_host_without_an_address_of_the_family(self):
        hostvars, groups = inventory(farm(forward="tun"))
        hostvars["rs1"]["lvs_address"] = "2001:db8:1::11"
        own = view(pack(build(hostvars, groups)), "rs1")
        with pytest.raises(objects.ObjectsError) as caught:
            objects.realserver_objects(own, {**OPTIONS, "redirect": [{"port": 80, "to": 81}]})
        assert str(caught.value) == (
            "rs1: realserver_redirect[0]: what is for 192.168.0.0/24 goes to the host's own IPv4 address, and it has"
            " none; add one to its lvs_address, or name a vip"
        )


class TestRoutingTables:
    @pytest.mark.parametrize(("number", "wrong"), [(254, "kernel's own"), (0, "2..32765"), ("x", "2..32765")])
    def test_one_that_would_break_the_host_is_refused(self, number, wrong):
        with pytest.raises(objects.ObjectsError, match=f"^director_table: .*{wrong}"):
            objects.director_objects(own_view("director1", farm()), {}, 0, False, number)
        served = own_view("rs1", service())
        with pytest.raises(objects.ObjectsError, match=f"^realserver_table: .*{wrong}"):
            objects.realserver_objects(served, {**OPTIONS, "gateway": "policy", "table": number})

    def test_digits_of_a_template_will_do(self):
        config = objects.director_objects(own_view("director1", farm()), {}, 0, False, "5030")
        assert {route["table"] for route in config["routes"]} == {5030}


@pytest.mark.parametrize(("network", "most"), [("128.0.0.0/1", 8), ("2000::/3", 16)])
def test_half_the_world_is_no_network(network, most):
    (line,) = (line for line in problems(*inventory(farm(network=network))) if "is more than a network" in line)
    assert f"/{most} and longer" in line


def test_rules_that_another_one_covers_are_left_out():
    everything = group(name="all", ports=["1024-65535"], port=OMIT, forward="nat")
    any_protocol = farm(name="any", network="192.0.2.64/28", port=80, forward="nat", fwmark=OMIT)
    for wider, left in ((everything, [("tcp", 0)]), (any_protocol, [(None, 80)])):
        flows = own_view("rs1", service(port=80), wider)["nat_flows"]
        assert [(flow["protocol"], flow["port"]) for flow in flows] == left


def test_a_fallbacks_replies_are_forwarded_too():
    service_ = service(forward="dr", fallback={"address": "10.0.0.13", "port": 81, "forward": "nat"})
    config = director(service_, lvs_health="keepalived")
    assert {"name": "net.ipv4.ip_forward", "value": "1"} in config["sysctls"]
