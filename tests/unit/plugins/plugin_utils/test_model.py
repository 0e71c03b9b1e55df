# SPDX-License-Identifier: GPL-3.0-or-later
"""What good inventories mean. What bad ones are told is in test_refusals."""

from __future__ import annotations

import json

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import table
from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import effective_weight
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    cluster,
    inventory,
    problems,
    service,
)


def rows(*services, **shared):
    return cluster(*inventory(*services, **shared))["table"]


def names(*services):
    return [one["name"] for one in cluster(*inventory(*services))["services"]]


class TestTable:
    def test_a_row_says_every_field(self):
        (row,) = rows(service(real_servers=[{"host": "rs1"}]))
        assert row == {
            "address": "192.0.2.10",
            "port": 80,
            "protocol": "tcp",
            "scheduler": "wlc",
            "scheduler_flags": [],
            "one_packet": False,
            "persistence": None,
            "real_servers": [
                {
                    "address": "10.0.0.11",
                    "port": 80,
                    "forward": "nat",
                    "weight": 1,
                    "upper_threshold": 0,
                    "lower_threshold": 0,
                }
            ],
        }

    def test_everything_said(self):
        (row,) = rows(
            service(
                vip="2001:db8::10/64",
                port=53,
                protocol="udp",
                scheduler="mh",
                scheduler_flags=["mh-port", "mh-fallback"],
                one_packet=True,
                persistence={"timeout": 60, "netmask": 64, "engine": "sip"},
                upper_threshold=100,
                lower_threshold=50,
                real_servers=[
                    {"host": "rs1", "port": 5353, "weight": 7, "upper_threshold": 10, "lower_threshold": 0},
                    {"address": "2001:DB8:0::7"},
                ],
            )
        )
        assert row == {
            "address": "2001:db8::10",
            "port": 53,
            "protocol": "udp",
            "scheduler": "mh",
            "scheduler_flags": ["mh-fallback", "mh-port"],
            "one_packet": True,
            "persistence": {"timeout": 60, "netmask": 64, "engine": "sip"},
            "real_servers": [
                {
                    "address": "2001:db8:1::11",
                    "port": 5353,
                    "forward": "nat",
                    "weight": 7,
                    "upper_threshold": 10,
                    "lower_threshold": 0,
                },
                {
                    "address": "2001:db8::7",
                    "port": 53,
                    "forward": "nat",
                    "weight": 1,
                    "upper_threshold": 100,
                    "lower_threshold": 50,
                },
            ],
        }

    def test_values_from_templates_are_strings(self):
        (row,) = rows(
            service(port="80", one_packet="no", persistence="300", real_servers=[{"host": "rs1", "weight": "0"}])
        )
        assert (row["port"], row["one_packet"], row["persistence"]["timeout"]) == (80, False, 300)
        assert row["real_servers"][0]["weight"] == 0

    def test_null_is_the_same_as_absent(self):
        nothing = dict.fromkeys(("ports", "protocol", "scheduler", "persistence", "real_servers", "check", "fwmark"))
        assert rows(service(**nothing)) == rows(service())

    def test_default_is_the_whole_group_in_its_order(self):
        (row,) = rows()
        assert [server["address"] for server in row["real_servers"]] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]

    def test_port_0_with_persistence(self):
        (row,) = rows(service(port=0, persistence=300))
        assert row["port"] == 0
        assert {server["port"] for server in row["real_servers"]} == {0}

    @pytest.mark.parametrize(("vip", "netmask"), [("192.0.2.10", 32), ("2001:db8::10", 128)])
    def test_persistence_alone_is_its_timeout(self, vip, netmask):
        (row,) = rows(service(vip=vip, persistence=600))
        assert row["persistence"] == {"timeout": 600, "netmask": netmask, "engine": ""}

    def test_one_host_may_serve_on_two_ports(self):
        (row,) = rows(service(real_servers=[{"host": "rs1", "port": 8080}, {"host": "rs1", "port": 8081}]))
        assert [server["port"] for server in row["real_servers"]] == [8080, 8081]

    def test_no_check_is_no_check(self):
        assert rows(service(check="none")) == rows(service())


class TestModule:
    """The rows as lvs.cluster.ipvs takes them."""

    ROWS = (
        service(persistence=300),
        service(name="b", vip="2001:db8::10", forward="tun", protocol="udp", scheduler="sh", scheduler_flags="sh-port"),
        service(name="c", port=81, forward="dr", real_servers=[{"address": "198.51.100.7"}]),
    )

    def test_it_accepts_them(self):
        assert len(table.complete_table(table.parse_config(rows(*self.ROWS)))) == 3

    def test_nothing_is_left_to_what_the_kernel_has(self):
        for wish in table.parse_config(rows(*self.ROWS)):
            assert None not in wish.service
            for server in wish.real_servers or []:
                assert None not in (server if server.forward == table.TUN else server[:6])

    def test_it_knows_every_word_of_the_schema(self):
        assert {choice.name for choice in schema.PROTOCOLS} == {*table.PROTOCOLS, "any"}
        assert {choice.name for choice in schema.FORWARDS} == set(table.FORWARDS) - {"local"}
        assert {name for names in schema.SCHEDULER_FLAGS.values() for name in names} == {
            name for name, (scheduler, _) in table.SCHEDULER_FLAGS.items() if scheduler
        }


class TestTunnel:
    @pytest.mark.parametrize(
        ("said", "row"),
        [
            ({"type": "gue"}, {"type": "gue", "port": 6080, "checksum": False}),
            ({"type": "gue", "port": 5555, "checksum": True}, {"type": "gue", "port": 5555, "checksum": True}),
            ({"type": "gre", "checksum": True, "mss": "auto"}, {"type": "gre", "checksum": True}),
            ({"mss": 1400}, {"type": "ipip"}),
        ],
    )
    def test_the_director_learns_what_it_has_to_know(self, said, row):
        (made,) = rows(service(forward="tun", tunnel=said))
        assert [server["tunnel"] for server in made["real_servers"]] == [row] * 3
        assert table.complete_table(table.parse_config([made]))

    def test_gre_comes_with_checksums_or_without(self):
        with_sums = service(forward="tun", tunnel={"type": "gre", "checksum": True})
        without = service(name="b", vip="192.0.2.11", forward="tun", tunnel={"type": "gre"})
        assert problems(*inventory(with_sums, without)) == [
            "lvs_services[1] (b).tunnel.checksum (rs1, rs2, rs3): is not what lvs_services[0] (web) says, and a real"
            " server takes gre packets of one sort only; say the same in both, or use type: gue"
        ]
        other_family = {**without, "vip": "2001:db8::11"}
        assert problems(*inventory(with_sums, other_family)) == []
        elsewhere = {**without, "real_servers": [{"address": "198.51.100.7"}]}
        assert problems(*inventory(with_sums, elsewhere)) == []

    def test_only_tun_has_one(self):
        (row,) = rows(service(forward="tun"))
        assert [server["tunnel"] for server in row["real_servers"]] == [{"type": "ipip"}] * 3

    def test_it_prefers_the_family_of_the_vip(self):
        (row,) = rows(service(forward="tun", vip="2001:db8::10", real_servers=[{"host": "rs1"}]))
        assert row["real_servers"][0]["address"] == "2001:db8:1::11"

    def test_it_may_cross_families(self):
        hostvars, groups = inventory(service(forward="tun", vip="2001:db8::10", real_servers=[{"host": "rs1"}]))
        hostvars["rs1"]["lvs_address"] = "10.0.0.11"
        found = cluster(hostvars, groups)
        assert found["table"][0]["real_servers"][0]["address"] == "10.0.0.11"
        (hidden,) = found["realservers"]["rs1"]["duties"]["hidden_vips"]
        assert (hidden["family"], hidden["outer"]) == ("ipv6", "ipv4")


class TestWeight:
    @pytest.mark.parametrize(
        ("entry", "host", "expected"),
        [
            (None, None, 1),
            (None, 5, 5),
            (3, None, 3),
            (3, 5, 3),
            (0, 5, 0),
            (3, 0, 0),
            (None, 0, 0),
        ],
    )
    def test_the_service_wins_unless_the_host_is_in_maintenance(self, entry, host, expected):
        assert effective_weight(entry, host) == expected

    def test_in_an_inventory(self):
        hostvars, groups = inventory(service(real_servers=[{"host": f"rs{n}", "weight": 4} for n in (1, 2)]))
        hostvars["rs2"]["lvs_weight"] = 0
        found = cluster(hostvars, groups)
        assert [server["weight"] for server in found["table"][0]["real_servers"]] == [4, 0]
        assert found["realservers"]["rs2"]["weight"] == 0
        assert found["realservers"]["rs1"]["weight"] is None


class TestNames:
    def test_a_single_service_keeps_its_name(self):
        assert names(service()) == ["web"]
        assert names(service(port=OMIT, ports=443)) == ["web"]

    def test_ports_tell_services_apart(self):
        assert names(service(port=OMIT, ports=[443, 80])) == ["web-443", "web-80"]

    def test_families_tell_services_apart(self):
        assert names(service(vip=["192.0.2.10", "2001:db8::10"])) == ["web-ipv4", "web-ipv6"]

    def test_addresses_tell_services_apart(self):
        vips = ["192.0.2.10", "192.0.2.11", "2001:db8::10"]
        assert names(service(vip=vips)) == ["web-192.0.2.10", "web-192.0.2.11", "web-ipv6"]

    def test_both(self):
        both = service(vip=["192.0.2.10", "2001:db8::10"], port=OMIT, ports=[80, 443])
        assert names(both) == ["web-ipv4-80", "web-ipv4-443", "web-ipv6-80", "web-ipv6-443"]


class TestServices:
    def test_what_a_service_says_of_itself(self):
        found = cluster(*inventory(service(vip="192.0.2.10/24", real_servers=[{"host": "rs1"}])))
        assert found["services"] == [
            {
                "name": "web",
                "path": "lvs_services[0] (web)",
                "family": "ipv4",
                "vips": ["192.0.2.10"],
                "networks": [],
                "clients": [],
                "ports": [80],
                "protocol": "tcp",
                "fwmark": None,
                "forward": "nat",
                "tunnel": None,
                "real_servers": [{"host": "rs1", "address": "10.0.0.11", "port": 80, "weight": 1}],
            }
        ]

    def test_a_prefix_said_once_holds_for_the_vip(self):
        found = cluster(*inventory(service(), service(name="b", vip="192.0.2.10/24", port=81)))
        assert [(vip["address"], vip["prefix"], vip["stated"]) for vip in found["vips"]] == [("192.0.2.10", 24, True)]

    @pytest.mark.parametrize(("vip", "prefix"), [("192.0.2.0/31", 31), ("192.0.2.0/32", 32), ("192.0.2.0", 32)])
    def test_small_networks_have_no_network_address(self, vip, prefix):
        assert cluster(*inventory(service(vip=vip)))["vips"][0]["prefix"] == prefix

    def test_dual_stack_from_one_entry(self):
        found = cluster(*inventory(service(vip=["192.0.2.10/24", "2001:db8::10"], forward="dr")))
        assert [(vip["address"], vip["prefix"], vip["family"]) for vip in found["vips"]] == [
            ("192.0.2.10", 24, "ipv4"),
            ("2001:db8::10", 128, "ipv6"),
        ]
        assert [row["real_servers"][0]["address"] for row in found["table"]] == ["10.0.0.11", "2001:db8:1::11"]
        assert found["forwards"] == {"ipv4": ["dr"], "ipv6": ["dr"]}


class TestRealServers:
    def test_what_each_has_to_do(self):
        found = cluster(
            *inventory(
                service(real_servers=[{"host": "rs1", "port": 8080}, {"address": "198.51.100.7"}]),
                service(name="web2", vip="192.0.2.11", real_servers=[{"host": "rs1", "port": 8080}]),
                service(name="dns", vip="192.0.2.12", port=OMIT, ports=[53, 54], forward="dr", protocol="udp"),
            )
        )
        hidden = {"address": "192.0.2.12", "family": "ipv4", "forward": "dr", "tunnel": None, "outer": "ipv4"}
        assert found["realservers"]["rs1"]["duties"] == {
            "hidden_vips": [hidden],
            "hidden_networks": [],
            "nat_flows": [{"family": "ipv4", "address": "10.0.0.11", "protocol": "tcp", "port": 8080}],
        }
        assert found["realservers"]["rs2"]["duties"]["nat_flows"] == []

    def test_one_vip_by_two_methods_is_hidden_twice(self):
        found = cluster(*inventory(service(forward="dr"), service(name="b", port=81, forward="tun")))
        assert [one["forward"] for one in found["realservers"]["rs1"]["duties"]["hidden_vips"]] == ["dr", "tun"]

    def test_an_unused_one_needs_no_address(self):
        hostvars, groups = inventory(service(real_servers=[{"host": "rs1"}]))
        del hostvars["rs2"]["lvs_address"]
        found = cluster(hostvars, groups)["realservers"]["rs2"]
        assert (found["ipv4"], found["ipv6"], found["duties"]["hidden_vips"]) == (None, None, [])


class TestClusters:
    def test_settings_and_hosts(self):
        model = build(*inventory(lvs_removed="quiesce"))
        (found,) = model["clusters"].values()
        assert {key: found[key] for key in ("name", "health", "failover", "removed")} == {
            "name": "directors/realservers",
            "health": "none",
            "failover": "none",
            "removed": "quiesce",
        }
        own = {"ipv4": "10.0.0.1", "ipv6": "2001:db8:1::1"}
        assert found["directors"] == {
            "director1": {
                **own,
                "interface": "eth0",
                "gateway_interface": "eth0",
                "sources": own,
                "node": "director1",
            }
        }
        assert model["hosts"] == dict.fromkeys(("director1", "rs1", "rs2", "rs3"), "directors/realservers")

    def test_own_group_names(self):
        hostvars, groups = inventory(lvs_director_group="front", lvs_realserver_group="back")
        groups["front"], groups["back"] = groups.pop("directors"), groups.pop("realservers")
        assert cluster(hostvars, groups)["name"] == "front/back"

    def test_two_clusters_in_one_inventory(self):
        hostvars, groups = two_clusters()
        model = build(hostvars, groups)
        assert {name: found["table"][0]["address"] for name, found in model["clusters"].items()} == {
            "directors/realservers": "192.0.2.10",
            "directors_b/realservers_b": "192.0.2.20",
        }
        assert list(model["clusters"]["directors_b/realservers_b"]["realservers"]) == ["rs1_b", "rs2_b", "rs3_b"]
        assert model["hosts"]["rs1"] == "directors/realservers"
        assert model["hosts"]["rs1_b"] == "directors_b/realservers_b"
        assert "client1" not in model["hosts"]

    def test_problems_of_two_clusters_are_told_apart(self):
        hostvars, groups = two_clusters()
        hostvars["rs2_b"]["lvs_weight"] = -1
        hostvars["rs1"]["lvs_address"] = []
        first, second = problems(hostvars, groups)
        assert first.startswith("[directors/realservers] lvs_address (rs1): there is no IPv4 address")
        assert second.startswith("[directors_b/realservers_b] lvs_weight (rs2_b): -1 is not a whole number")

    def test_variables_of_hosts_in_no_cluster_are_their_own_business(self):
        hostvars, groups = inventory()
        hostvars["client1"] = {"lvs_anything": 1, "lvs_weight": -1}
        assert problems(hostvars, groups) == []


def two_clusters():
    hostvars, groups = inventory()
    other, other_groups = inventory(
        service(vip="192.0.2.20"), lvs_director_group="directors_b", lvs_realserver_group="realservers_b"
    )
    hostvars.update({f"{host}_b": variables for host, variables in other.items() if host != "client1"})
    for group in ("directors", "realservers"):
        groups[f"{group}_b"] = [f"{host}_b" for host in other_groups[group]]
    return hostvars, groups


def test_a_large_inventory_is_complete():
    names = [f"rs{n}" for n in range(200)]
    services = [
        service(
            name=f"s{n}",
            vip=f"192.0.{n // 250}.{n % 250 + 1}",
            forward="dr",
            real_servers=[{"host": names[(7 * n + k) % 200], "weight": k} for k in range(10)],
        )
        for n in range(1000)
    ]
    shared = {"lvs_services": services}
    hostvars = {name: {**shared, "lvs_address": f"10.0.{n // 100}.{n % 100 + 1}"} for n, name in enumerate(names)}
    hostvars["director1"] = {**shared, "lvs_address": "10.1.0.1", "lvs_interface": "eth0"}
    found = cluster(hostvars, {"directors": ["director1"], "realservers": names})
    assert len(found["table"]) == len(found["vips"]) == 1000
    assert sum(len(row["real_servers"]) for row in found["table"]) == 10_000
    assert sum(len(record["duties"]["hidden_vips"]) for record in found["realservers"].values()) == 10_000


def test_everything_that_leaves_is_plain():
    model = build(*inventory(service(vip=["192.0.2.10", "2001:db8::10"], forward="tun", persistence=300)))
    assert json.loads(json.dumps(model)) == model
