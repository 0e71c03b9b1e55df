# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes a director on its way out: masquerading, the ftp helper, replies of DR through the director."""

from __future__ import annotations

import json

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    REALSERVER_OPTIONS,
    inventory,
    pair,
    problems,
    service,
)

RS1 = [{"host": "rs1"}]
BOTH = ["192.0.2.10", "2001:db8::10"]
WEB = "lvs_services[0] (web)"
OPTIONS = REALSERVER_OPTIONS


def seen(inventory_, host="director1"):
    return view(json.loads(json.dumps(pack(build(*inventory_)))), host)


def director(*services, gateway=False, side="eth1", **shared):
    hostvars, groups = inventory(*services, **shared)
    hostvars["director1"]["lvs_gateway_interface"] = side
    return objects.director_objects(seen((hostvars, groups)), {}, 0, gateway)


def rules(*services, **shared):
    return director(*services, **shared)["packets"]["masquerade"]


def sysctls(config):
    return {row["name"]: row["value"] for row in config["sysctls"]}


def content(config, path):
    return {row["path"]: row["content"] for row in config["files"]}.get(path, "")


class TestMasquerade:
    def test_real_servers_seem_to_be_the_first_vip_of_their_family(self):
        found = rules(service(vip=BOTH), service(name="b", vip="192.0.2.9", port=81), lvs_masquerade={})
        assert found == [
            "ip saddr { 10.0.0.11, 10.0.0.12/31 } ip daddr != { 10.0.0.1, 10.0.0.11, 10.0.0.12/31, 192.0.2.9,"
            ' 192.0.2.10 } oifname != "eth1" snat ip to 192.0.2.10 comment "lvs_masquerade"',
            "ip6 saddr { 2001:db8:1::11, 2001:db8:1::12/127 } ip6 daddr != { 2001:db8::10, 2001:db8:1::1,"
            ' 2001:db8:1::11, 2001:db8:1::12/127 } oifname != "eth1" snat ip6 to 2001:db8::10 comment "lvs_masquerade"',
        ]

    def test_none_is_masqueraded_unless_asked(self):
        assert rules() == []

    def test_one_interface_for_both_sides_is_no_reason_to_leave_anything_out(self):
        (rule,) = rules(side="eth0", lvs_masquerade={})
        assert "oifname" not in rule

    def test_a_vip_may_be_chosen(self):
        second = service(name="b", vip="192.0.2.11", port=81)
        (rule,) = rules(service(), second, lvs_masquerade={"vip": "192.0.2.11"})
        assert "snat ip to 192.0.2.11 " in rule

    def test_sources_and_destinations_may_be_said(self):
        wanted = {"sources": "10.0.7.0/24", "exclude": ["10.0.0.0/8", "203.0.113.5"]}
        (rule,) = rules(service(vip=BOTH), lvs_masquerade=wanted)
        assert rule.startswith("ip saddr 10.0.7.0/24 ip daddr != { 10.0.0.0/8, 192.0.2.10, 203.0.113.5 } ")

    def test_what_directors_send_and_replies_of_vips_keep_their_source(self):
        wanted = {"sources": ["10.0.0.0/24", "192.0.2.0/24"]}
        (rule,) = rules(lvs_masquerade=wanted)
        assert rule.startswith("ip saddr { 10.0.0.0/24, 192.0.2.0/24 } ip saddr != { 10.0.0.1, 192.0.2.10 } ip daddr ")

    def test_no_address_of_the_directors_or_of_their_gateway_is_touched(self):
        hostvars, groups = pair(service(), lvs_masquerade={}, lvs_gateway_vip="10.0.0.254")
        for number, host in enumerate(("director1", "director2"), 2):
            hostvars[host] |= {"lvs_gateway_interface": "eth1", "lvs_vrrp_address": f"192.0.2.{number}/24"}
        found = [
            objects.director_objects(seen((hostvars, groups), host), {})["packets"]["masquerade"]
            for host in ("director1", "director2")
        ]
        assert found[0] == found[1]  # whichever is active
        assert all(f" {own}" in found[0][0] for own in ("10.0.0.1", "10.0.0.254", "192.0.2.2/31", "192.0.2.10"))

    def test_masked_packets_need_forwarding_whatever_the_method(self):
        names = sysctls(director(service(vip=BOTH, forward="dr"), lvs_masquerade={}))
        assert names["net.ipv4.ip_forward"] == names["net.ipv6.conf.all.forwarding"] == "1"
        assert names["net.ipv4.conf.eth1.send_redirects"] == names["net.ipv4.conf.all.send_redirects"] == "0"
        assert "net.ipv4.conf.eth1.accept_local" not in names

    @pytest.mark.parametrize(
        ("wanted", "problem"),
        [
            ({"vip": "192.0.2.99"}, "lvs_masquerade.vip: 192.0.2.99 is no VIP of lvs_services"),
            ({"vip": ["192.0.2.10", "192.0.2.99"]}, "lvs_masquerade.vip: has two IPv4 addresses"),
            ({"sources": "10.0.0.1/24"}, "10.0.0.1/24 is an address within a network; write 10.0.0.0/24"),
            ({"sources": "0.0.0.0/0"}, "lvs_masquerade.sources: 0.0.0.0/0 is every address there is"),
            ({"exclude": "everywhere"}, "'everywhere' is no IP address and no network"),
            ({"exclude": ["2001:db8:7::/48"]}, "2001:db8:7::/48 is IPv6, and directors hold no IPv6 VIP"),
            ({"source": "10.0.0.0/24"}, "did you mean sources?"),
        ],
    )
    def test_what_cannot_work_is_refused(self, wanted, problem):
        found = problems(*inventory(service(), lvs_masquerade=wanted))
        assert any(problem in line for line in found), found

    def test_where_both_directors_are_active_answers_would_miss_one(self):
        second = service(name="b", vip="192.0.2.11")
        instances = [{"name": "one", "vips": "192.0.2.10"}, {"name": "two", "vips": "192.0.2.11"}]
        hostvars, groups = pair(service(), second, lvs_masquerade={}, lvs_vrrp={"instances": instances})
        assert [line.split(":")[0] for line in problems(hostvars, groups)] == ["lvs_masquerade"]

    def test_a_cluster_without_vips_has_none_to_show(self):
        marked = service(vip=OMIT, port=OMIT, fwmark=7)
        (found,) = problems(*inventory(marked, lvs_masquerade={}))
        assert found == (
            "lvs_masquerade: directors hold no VIP that connections could come from; give a service a vip, or leave it"
            " out"
        )

    def test_what_directors_only_take_in_is_their_own_as_well(self):
        """Replies of a VIP that no director holds, and of a network, keep their source too."""
        farm = service(name="farm", vip=OMIT, network=["192.168.0.0/24", "2001:db8:9::/64"], port=0, forward="dr")
        everything = service(name="all", vip=OMIT, network="0.0.0.0/0", group=True, port=81, forward="dr")
        grouped = service(name="b", vip="192.0.2.20", group=True, forward="dr")
        wanted = {"sources": ["10.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16"]}
        (rule,) = rules(service(), farm, everything, grouped, lvs_vipless=True, lvs_masquerade=wanted)
        assert " ip saddr != { 10.0.0.1, 192.0.2.10, 192.0.2.20, 192.168.0.0/24 } " in rule
        assert " ip daddr != { 10.0.0.1, 10.0.0.11, 10.0.0.12/31, 192.0.2.10, 192.0.2.20, 192.168.0.0/24 } " in rule
        assert " snat ip to 192.0.2.10 " in rule

    @pytest.mark.parametrize(
        ("wanted", "problem"),
        [
            (
                {"vip": "192.0.2.20"},
                "lvs_masquerade.vip: directors do not hold 192.0.2.20: with lvs_vipless they hold no VIP of a service"
                " by mark; name a VIP of a service without group or fwmark",
            ),
            (
                {},
                "lvs_masquerade: directors hold no VIP that connections could come from: with lvs_vipless none of a"
                " service by mark; give a service without group or fwmark a vip, or leave it out",
            ),
            (
                {"sources": "10.0.0.0/24"},
                "lvs_masquerade.sources: 10.0.0.0/24 is IPv4, and directors hold no IPv4 VIP; leave it out, or give a"
                " service without group or fwmark such a VIP",
            ),
        ],
    )
    def test_a_vip_that_no_director_holds_gets_no_answers(self, wanted, problem):
        grouped = service(vip="192.0.2.20", group=True, forward="dr")
        assert problem in problems(*inventory(grouped, lvs_vipless=True, lvs_masquerade=wanted))

    @pytest.mark.parametrize("wanted", [{}, {"vip": "192.168.0.7"}])
    def test_answers_that_would_get_a_mark_and_stay_at_the_director(self, wanted):
        farm = service(name="farm", vip=OMIT, network="192.168.0.0/24", port=80, forward="dr")
        plain = service(name="plain", vip="192.168.0.7", port=443)
        other = service(name="other", vip="192.0.2.11")
        (line,) = problems(*inventory(farm, plain, other, lvs_masquerade=wanted))
        assert line == (
            "lvs_masquerade.vip: 192.168.0.7 is among the addresses of lvs_services[0] (farm), whose packets directors"
            " mark and take in: answers would get no further; name a VIP of another service, outside its addresses"
        )
        assert problems(*inventory(farm, plain, other, lvs_masquerade={"vip": "192.0.2.11"})) == []
        assert problems(*inventory(farm, plain, other, lvs_masquerade={"sources": "2001:db8:1::/64"})) != [line]
        grouped = service(name="farm", vip="192.168.0.7", group=True, port=80, forward="dr")
        (line,) = problems(*inventory(grouped, plain, other, lvs_vipless=True, lvs_masquerade=wanted))
        assert line.startswith("lvs_masquerade.vip: 192.168.0.7 is among the addresses of lvs_services[0] (farm), ")

    def test_of_everything_what_directors_hold_is_left_alone(self):
        everything = service(name="all", vip=OMIT, network="0.0.0.0/0", port=81, forward="dr")
        assert problems(*inventory(service(), everything, lvs_masquerade={})) == []


class TestRedirects:
    """IPv4 has sysctls for them, IPv6 has none."""

    SILENT = ['oifname "eth1" icmpv6 type nd-redirect drop comment "no way past the director"']

    @pytest.mark.parametrize(
        ("changes", "gateway", "shared"),
        [
            ({"forward": "nat"}, False, {}),
            ({"forward": "dr"}, True, {}),
            ({"forward": "dr"}, False, {"lvs_masquerade": {}}),
        ],
    )
    def test_a_director_that_forwards_sends_none(self, changes, gateway, shared):
        config = director(service(vip=BOTH, **changes), gateway=gateway, **shared)
        assert config["packets"]["clamp"] == self.SILENT
        assert sysctls(config)["net.ipv4.conf.eth1.send_redirects"] == "0"

    def test_one_that_does_not_forward_is_left_alone(self):
        config = director(service(vip=BOTH, forward="dr"))
        assert config["packets"]["clamp"] == []
        assert not any("redirects" in name for name in sysctls(config))

    def test_ipv4_needs_no_rule(self):
        assert director(service())["packets"]["clamp"] == []


class TestGatewayOfDirectRouting:
    def test_replies_from_a_vip_are_let_through(self):
        config = director(service(vip=BOTH, forward="dr"), gateway=True, side="eth1.7")
        names = sysctls(config)
        assert names["net.ipv4.conf.eth1/7.accept_local"] == "1"
        assert names["net.ipv4.conf.eth1/7.rp_filter"] == "2"
        assert names["net.ipv4.conf.eth1/7.send_redirects"] == "0"
        assert names["net.ipv4.ip_forward"] == names["net.ipv6.conf.all.forwarding"] == "1"

    def test_ipv6_alone_knows_no_martians(self):
        names = sysctls(director(service(vip="2001:db8::10", forward="dr"), gateway=True))
        assert names["net.ipv6.conf.all.forwarding"] == "1"
        assert not any(name.startswith("net.ipv4.conf") or name == "net.ipv4.ip_forward" for name in names)

    def test_a_director_that_is_no_gateway_accepts_no_martians(self):
        names = sysctls(director(service(vip=BOTH, forward="dr")))
        assert names == {"net.ipv4.vs.expire_nodest_conn": "1"}

    @pytest.mark.parametrize(("mode", "forward"), [("policy", "dr"), ("default", "tun")])
    def test_no_other_real_server_gets_a_route(self, mode, forward):
        options = OPTIONS | {"gateway": mode, "replace_default_route": True}
        config = objects.realserver_objects(seen(inventory(service(forward=forward)), "rs1"), options)
        assert (config["rules"], config["routes"]) == ([], [])

    def test_a_director_that_serves_is_not_its_own_gateway(self):
        hostvars, groups = inventory(service(forward="dr", real_servers=[{"host": "director1"}]))
        groups["realservers"].append("director1")
        options = OPTIONS | {"gateway": "default", "replace_default_route": True}
        assert objects.realserver_objects(seen((hostvars, groups)), options)["routes"] == []

    def test_beside_nats_replies_its_families_alone_take_the_director(self):
        services = (service(name="a"), service(name="b", vip="2001:db8::10", forward="dr"))
        options = OPTIONS | {"gateway": "default", "replace_default_route": True}
        config = objects.realserver_objects(seen(inventory(*services), "rs1"), options)
        assert config["routes"] == [{"family": "ipv4", "via": "10.0.0.1"}]

    def test_a_real_server_takes_the_director_for_its_gateway_when_asked(self):
        own = seen(inventory(service(vip=BOTH, forward="dr")), "rs1")
        with pytest.raises(objects.ObjectsError, match="realserver_replace_default_route: true"):
            objects.realserver_objects(own, OPTIONS | {"gateway": "default"})
        config = objects.realserver_objects(own, OPTIONS | {"gateway": "default", "replace_default_route": True})
        assert config["routes"] == [
            {"family": "ipv4", "via": "10.0.0.1"},
            {"family": "ipv6", "via": "2001:db8:1::1"},
        ]


def ftp(**changes):
    return service(**{"port": 21, "helper": "ftp", "real_servers": RS1, **changes})


class TestFtpHelper:
    def test_its_module_is_loaded_now_and_at_boot(self):
        config = director(ftp(vip=BOTH))
        assert config["modules"] == ["ip_vs", "ip_vs_ftp"]
        assert "ip_vs_ftp\n" in content(config, "/etc/modules-load.d/lvs-director.conf")

    def test_its_usual_port_is_told_too(self):
        """One that was loaded for another port before has to be told of."""
        config = director(ftp())
        assert "options ip_vs_ftp ports=21\n" in content(config, "/etc/modprobe.d/lvs-director.conf")
        assert config["packets"]["masquerade"] == []
        assert "net.ipv4.vs.conntrack" not in sysctls(config)

    def test_other_ports_are_told_and_their_connections_tracked(self):
        config = director(ftp(), ftp(name="more", port=2121, vip=BOTH))
        assert "options ip_vs_ftp ports=21,2121\n" in content(config, "/etc/modprobe.d/lvs-director.conf")
        assert config["packets"]["masquerade"] == [
            'ip daddr 192.0.2.10 tcp dport 2121 ct state new counter comment "more-ipv4: connections are tracked"',
            'ip6 daddr 2001:db8::10 tcp dport 2121 ct state new counter comment "more-ipv6: connections are tracked"',
        ]

    def test_nobody_else_gets_it(self):
        config = director(ftp(helper=OMIT))
        assert config["modules"] == ["ip_vs"]
        assert content(config, "/etc/modprobe.d/lvs-director.conf") == ""

    def test_all_that_the_server_sends_by_tcp_comes_back_through_the_director(self):
        own = seen(inventory(ftp(real_servers=[{"host": "rs1", "port": 2021}])), "rs1")
        config = objects.realserver_objects(own, OPTIONS | {"gateway": "policy"})
        assert config["rules"] == [
            {
                "family": "ipv4",
                "source": "10.0.0.11",
                "protocol": "tcp",
                "table": 5010,
                "priority": 5010,
            }
        ]

    def test_rules_for_single_ports_give_way_to_it(self):
        services = (service(name="b", port=80), ftp(), service(name="c", port=53, protocol="udp"))
        flows = seen(inventory(*services), "rs1")["nat_flows"]
        assert [(flow["protocol"], flow["port"]) for flow in flows] == [("tcp", 0), ("udp", 53)]
        marked = service(name="d", vip=OMIT, port=OMIT, fwmark=7)
        flows = seen(inventory(*services, marked), "rs1")["nat_flows"]
        assert [(flow["protocol"], flow["port"]) for flow in flows] == [(None, 0)]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"forward": "dr"}, "with forward: dr the director sees one side only"),
            ({"forward": "tun"}, "with forward: tun the director sees one side only"),
            ({"protocol": "udp"}, "FTP's sessions are tcp, and the service is udp"),
            ({"port": 0, "persistence": 60}, "it is for a service of one port"),
            ({"port": OMIT, "ports": [21, 2121]}, "it is for a service of one port"),
            ({"group": True}, "a service by firewall mark has none"),
        ],
    )
    def test_where_the_kernel_has_none_it_is_refused(self, changes, problem):
        (found,) = problems(*inventory(ftp(**changes)))
        assert found.startswith(f"{WEB}.helper: ")
        assert problem in found
        assert "group: true" in found

    def test_another_helper_is_refused_by_name(self):
        assert "'sip' is not one of ftp" in problems(*inventory(ftp(helper="sip")))[0]

    def test_the_kernel_takes_eight_ports(self):
        many = [ftp(name=f"ftp{port}", port=port) for port in range(2001, 2010)]
        assert problems(*inventory(*many[:8])) == []
        assert "on 9 different ports" in problems(*inventory(*many))[0]
