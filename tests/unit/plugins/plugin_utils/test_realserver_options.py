# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists and words among the real server role's own variables."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import objects
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.test_objects import (
    FLOW,
    content,
    hidden,
    realserver,
    sysctls,
)

BOTH = {"hidden_vips": [hidden(), hidden("2001:db8::10", "ipv6")], "ipv4": "198.51.100.11", "ipv6": None}
OTHER = {"address": "203.0.113.11", "gateway": "203.0.113.1", "table": 5011}


def redirects(*rows, view=BOTH):
    return realserver(view, redirect=list(rows))["packets"]["redirect"]


def refusal(view=BOTH, **options):
    with pytest.raises(objects.ObjectsError) as caught:
        realserver(view, **options)
    return str(caught.value)


class TestRedirect:
    def test_every_hidden_vip_keeps_its_address(self):
        assert redirects({"port": 8080, "to": 80}) == [
            "ip daddr 192.0.2.10 tcp dport 8080 dnat ip to 192.0.2.10:80",
            "ip6 daddr 2001:db8::10 tcp dport 8080 dnat ip6 to [2001:db8::10]:80",
        ]

    def test_one_vip_and_another_protocol(self):
        row = {"port": "53", "to": "5353", "protocol": "udp", "vip": "2001:DB8::10"}
        assert redirects(row) == ["ip6 daddr 2001:db8::10 udp dport 53 dnat ip6 to [2001:db8::10]:5353"]

    def test_any_address_comes_last_and_needs_no_vip(self):
        everything = {"port": 80, "to": 3128, "vip": "any"}
        assert redirects(everything, view={}) == ["tcp dport 80 redirect to :3128"]
        one = {"port": 80, "to": 8080, "vip": "192.0.2.10"}
        assert redirects(everything, one) == [
            "ip daddr 192.0.2.10 tcp dport 80 dnat ip to 192.0.2.10:8080",
            "tcp dport 80 redirect to :3128",
        ]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            (
                [{"port": 80, "to": 8080, "vip": "192.0.2.99"}],
                "rs1: realserver_redirect[0].vip: 192.0.2.99 is no VIP that this host hides; name one (it hides"
                " 192.0.2.10, 2001:db8::10), or use any",
            ),
            (
                [{"port": 80, "to": 8080}, {"port": 80, "to": 81, "vip": "192.0.2.10"}],
                "realserver_redirect[1]: 192.0.2.10 port 80 tcp is in realserver_redirect[0] too; keep one",
            ),
            ([{"port": 80, "to": 80}], "realserver_redirect[0].to: 80 is the port itself"),
            ([{"port": 0, "to": 80}], "realserver_redirect[0].port: 0 is not a whole number 1..65535"),
            ([{"port": 80}], "realserver_redirect[0].to: is missing; add to"),
            (
                [{"port": 80, "to": 81, "protocol": "any"}],
                "realserver_redirect[0].protocol: 'any' is not one of tcp, udp, sctp; ",
            ),
            ([{"port": 80, "to": 81, "vips": []}], "realserver_redirect[0].vips: no such key; did you mean vip?"),
            ({"port": 80, "to": 81}, "realserver_redirect: "),
        ],
    )
    def test_what_cannot_work(self, rows, words):
        assert words in refusal(redirect=rows)

    def test_a_host_without_vips_must_say_so(self):
        view = {"hidden_vips": []}
        assert "hides no VIP whose packets it could redirect; add vip: any" in refusal(
            view, redirect=[{"port": 80, "to": 81}]
        )

    def test_a_director_would_come_before_ipvs(self):
        view = {**BOTH, "director": True}
        assert "before IPVS sees them" in refusal(view, redirect=[{"port": 80, "to": 81}])


class TestGateways:
    def test_what_comes_from_the_address_leaves_through_its_gateway(self):
        six = {"address": "2001:db8:2::11", "gateway": "2001:db8:2::1", "table": 5011}
        config = realserver(BOTH, gateways=[OTHER, six])
        assert config["rules"] == [
            {"family": "ipv4", "source": "203.0.113.11", "table": 5011, "priority": 5011},
            {"family": "ipv6", "source": "2001:db8:2::11", "table": 5011, "priority": 5011},
        ]
        assert config["routes"] == [
            {"family": "ipv4", "via": "203.0.113.1", "table": 5011},
            {"family": "ipv6", "via": "2001:db8:2::1", "table": 5011},
        ]

    def test_beside_the_clusters_own(self):
        config = realserver({**BOTH, "nat_flows": [FLOW]}, gateway="policy", gateways=[OTHER])
        assert [(rule["source"], rule["table"]) for rule in config["rules"]] == [
            ("198.51.100.11", 5010),
            ("203.0.113.11", 5011),
        ]
        assert [route["table"] for route in config["routes"]] == [5010, 5011]

    def test_replies_to_directors_go_straight_where_the_gateway_moves(self):
        directors = ["203.0.113.2", "203.0.113.3", "203.0.113.1"]
        rules = realserver(BOTH, gateways=[{**OTHER, "directors": directors}])["rules"]
        common = {"family": "ipv4", "source": "203.0.113.11", "table": 254, "priority": 5010}
        assert rules[:-1] == [{**common, "destination": address} for address in directors[:2]]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([{**OTHER, "gateway": "2001:db8::1"}], "[0].gateway: 2001:db8::1 is not of the family of 203.0.113.11"),
            ([{**OTHER, "directors": "2001:db8::1"}], "[0].directors: 2001:db8::1 is not of the family"),
            ([{**OTHER, "gateway": "203.0.113.11"}], "[0].gateway: 203.0.113.11 is the host's own address"),
            ([{**OTHER, "address": "198.51.100.11"}], "[0].address: 198.51.100.11 is this host's lvs_address"),
            ([{**OTHER, "address": "192.0.2.10"}], "[0].address: 192.0.2.10 is a VIP"),
            ([{**OTHER, "table": 254}], "[0].table: 254 is one of the kernel's own tables"),
            ([{**OTHER, "table": 1}], "[0].table: 1 is not a whole number 2..32765"),
            ([{**OTHER, "table": 5010}], "[0].table: 5010 is realserver_table"),
            ([OTHER, {**OTHER, "address": "203.0.113.12"}], "[1].table: 5011 is in realserver_gateways[0] too"),
            ([OTHER, {**OTHER, "table": 5012}], "[1].address: 203.0.113.11 is in realserver_gateways[0] too"),
            ([{"address": "203.0.113.11", "table": 5011}], "[0].gateway: is missing"),
            ([{**OTHER, "address": "fe80::1"}], "[0].address: fe80::1 is a link-local address"),
        ],
    )
    def test_what_cannot_work(self, rows, words):
        said = refusal({**BOTH, "nat_flows": [FLOW]}, gateway="policy", gateways=rows)
        assert f"rs1: realserver_gateways{words}" in said

    def test_one_that_comes_too_late(self):
        six = {"address": "2001:db8:2::11", "gateway": "2001:db8:2::1", "table": 32764}
        flow = {**FLOW, "family": "ipv6", "address": "2001:db8:1::11", "protocol": "udp"}
        view = {**BOTH, "nat_flows": [flow], "way_back": {"ipv4": None, "ipv6": "2001:db8:1::1"}}
        said = refusal(view, gateway="policy", gateways=[six])
        assert "rs1: realserver_gateways[0].table: 32764 and 32765 are priorities of the rules for NAT" in said
        assert realserver(view, gateways=[six])["routes"][0]["table"] == 32764
        assert realserver(view, gateway="policy", gateways=[{**OTHER, "table": 32765}])["routes"][1]["table"] == 32765


class TestTablesOfADirector:
    """Packets that leave by the table for what a director takes in would go nowhere."""

    VIEW = {**BOTH, "nat_flows": [FLOW], "deliveries": [{"family": "ipv4", "fwmark": 7}]}

    def test_the_way_back_has_another(self):
        said = refusal(self.VIEW, gateway="policy", table=5020)
        assert said == (
            "rs1: realserver_table: 5020 is director_table, by which this host takes in packets as a director; use"
            " another number for one of them"
        )
        assert "realserver_gateways[0].table: 77 is director_table" in refusal(
            self.VIEW, gateways=[{**OTHER, "table": 77}], director_table=77
        )

    def test_others_may_have_any(self):
        assert realserver({**BOTH, "nat_flows": [FLOW]}, gateway="policy", table=5020)["routes"][0]["table"] == 5020
        assert realserver(self.VIEW, table=5020)["routes"] == []


class TestTuning:
    def test_a_container_may_lack_what_is_the_machines(self):
        config = realserver(tuning="classic")
        assert sysctls(config)["net.ipv4.tcp_fin_timeout"] == "30"
        assert {row["optional"] for row in config["sysctls"]} == {"true"}
        assert "-net.ipv4.tcp_wmem = 4096 65536 16777216\n" in content(config, "/etc/sysctl.d/90-lvs-realserver.conf")

    def test_the_operators_own_word_wins_and_must_be_true(self):
        config = realserver(tuning="classic", sysctls={"net.ipv4.tcp_fin_timeout": 20})
        (row,) = [row for row in config["sysctls"] if row["name"] == "net.ipv4.tcp_fin_timeout"]
        assert row == {"name": "net.ipv4.tcp_fin_timeout", "value": "20"}

    def test_what_is_gone_or_misspelt_is_not_set(self):
        names = " ".join(sysctls(realserver(tuning="classic")))
        assert "recy" not in names
        assert "net.core.netdev_max_backlog" in names


class TestNames:
    def test_a_name_that_no_kernel_has(self):
        said = refusal(sysctls={"net.ipv4.vs.drop_entri": 1})
        assert said == (
            "realserver_sysctls: net.ipv4.vs.drop_entri: no kernel has it; did you mean net.ipv4.vs.drop_entry?"
        )
        with pytest.raises(objects.ObjectsError, match=r"^director_sysctls: .* valid below net\.ipv4\.vs: am_droprate"):
            objects.director_objects({"host": "lb1", "director": True, "forwards": {"ipv4": [], "ipv6": []},
                                      "vips": [], "interface": "eth0"}, {"net.ipv4.vs.qqq": 1})  # fmt: skip

    def test_one_that_only_newer_kernels_have_is_for_the_host_to_judge(self):
        assert sysctls(realserver(sysctls={"net.ipv4.vs.est_nice": 5})) == {"net.ipv4.vs.est_nice": "5"}
