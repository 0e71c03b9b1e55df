# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import objects
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import REALSERVER_OPTIONS

DIRECTOR = {
    "host": "lb1",
    "director": True,
    "realserver": False,
    "interface": "eth0",
    "gateway_interface": "eth1",
    "vips": [{"address": "192.0.2.10", "prefix": 32, "family": "ipv4"}],
    "forwards": {"ipv4": ["nat"], "ipv6": []},
}
REALSERVER = {
    "host": "rs1",
    "director": False,
    "realserver": True,
    "interface": None,
    "hidden_vips": [],
    "nat_flows": [],
    "way_back": {"ipv4": "198.51.100.1", "ipv6": None},
    "director_addresses": {"ipv4": ["198.51.100.1"], "ipv6": []},
    "forwards": {"ipv4": [], "ipv6": []},
}
OPTIONS = REALSERVER_OPTIONS
FLOW = {"family": "ipv4", "address": "198.51.100.11", "protocol": "tcp", "port": 8080}


def hidden(address="192.0.2.10", family="ipv4", forward="dr"):
    return {"address": address, "family": family, "forward": forward, "outer": "ipv4", "tunnel": None}


def realserver(view=None, **options):
    return objects.realserver_objects(REALSERVER | (view or {}), OPTIONS | options)


EXPIRE = {"net.ipv4.vs.expire_nodest_conn": "1"}
SILENT = {"net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.eth1.send_redirects": "0"}


def sysctls(config):
    return {row["name"]: row["value"] for row in config["sysctls"]}


def content(config, path):
    return next(row["content"] for row in config["files"] if row["path"] == path)


def test_a_nat_director_forwards_and_carries_the_vips():
    config = objects.director_objects(DIRECTOR, {})
    assert sysctls(config) == EXPIRE | SILENT | {"net.ipv4.ip_forward": "1"}
    assert config["addresses"] == [{"address": "192.0.2.10/32", "interface": "eth0"}]
    assert config["masked_units"] == ["ipvsadm.service"]
    assert "\nip_vs\n" in content(config, "/etc/modules-load.d/lvs-director.conf")


def test_a_director_names_the_modules_that_its_rows_make_the_kernel_load():
    rows = [
        {"scheduler": "wlc", "persistence": None},
        {"scheduler": "rr", "persistence": {"timeout": 300, "netmask": 32, "engine": "sip"}},
        {"scheduler": "rr", "persistence": {"timeout": 300, "netmask": 32, "engine": ""}},
    ]
    needed = ["ip_vs_pe_sip", "ip_vs_rr", "ip_vs_wlc"]
    assert objects.director_objects(DIRECTOR | {"table": rows}, {})["needed_modules"] == needed
    # A health engine's rows are the kernel's as well.
    watched = [{"row": row} for row in rows]
    assert objects.director_objects(DIRECTOR | {"watched": watched}, {})["needed_modules"] == needed


def test_a_dr_director_needs_no_forwarding():
    view = DIRECTOR | {"forwards": {"ipv4": ["dr"], "ipv6": ["dr"]}}
    assert sysctls(objects.director_objects(view, {})) == EXPIRE


def test_an_ipv6_nat_director_keeps_its_router():
    view = DIRECTOR | {"interface": "eth0.5", "forwards": {"ipv4": [], "ipv6": ["nat"]}}
    config = objects.director_objects(view, {})
    accept_ra = {"name": "net.ipv6.conf.eth0/5.accept_ra", "value": "2", "unless": "0"}
    assert config["sysctls"][1:] == [accept_ra, {"name": "net.ipv6.conf.all.forwarding", "value": "1"}]
    assert "accept_ra" not in content(config, "/etc/sysctl.d/90-lvs-director.conf")


def test_the_operators_sysctls_come_last_and_win():
    config = objects.director_objects(DIRECTOR, {"net.ipv4.ip_forward": 2, "net.ipv4.vs.sync_threshold": "3  50"})
    assert sysctls(config) == EXPIRE | SILENT | {"net.ipv4.ip_forward": "2", "net.ipv4.vs.sync_threshold": "3 50"}
    assert "-net.ipv4.vs.sync_threshold = 3 50\n" in content(config, "/etc/sysctl.d/90-lvs-director.conf")


def test_a_dr_real_server_hides_its_vips():
    config = realserver({"hidden_vips": [hidden(), hidden("2001:db8::10", "ipv6")]})
    assert sysctls(config) == {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
    assert config["addresses"] == [
        {"address": "192.0.2.10/32", "interface": "lo"},
        {"address": "2001:db8::10/128", "interface": "lo"},
    ]
    assert config["links"] == []


def test_neighbour_discovery_needs_no_sysctl():
    assert realserver({"hidden_vips": [hidden("2001:db8::10", "ipv6")]})["sysctls"] == []


def test_a_dummy_device_is_made_once():
    config = realserver({"hidden_vips": [hidden(), hidden("192.0.2.11")]}, device="lvs0")
    assert config["links"] == [{"name": "lvs0", "type": "dummy"}]
    assert {row["interface"] for row in config["addresses"]} == {"lvs0"}


def test_a_tunnels_vip_is_on_the_device_that_unpacks_it():
    config = realserver({"hidden_vips": [hidden(forward="tun"), hidden("192.0.2.11", forward="tun")]})
    assert config["modules"] == ["ipip"]
    assert config["links"] == [{"name": "tunl0"}]
    assert sysctls(config)["net.ipv4.conf.tunl0.rp_filter"] == "2"
    assert {row["interface"] for row in config["addresses"]} == {"tunl0"}


def test_the_unpacking_device_follows_the_outer_packets_family():
    config = realserver({"hidden_vips": [hidden("2001:db8::10", "ipv6", "tun")]})
    assert (config["modules"], config["links"]) == (["sit"], [{"name": "sit0"}])
    tunnels = [hidden("2001:db8::10", "ipv6", "tun") | {"outer": "ipv6"}, hidden(forward="tun") | {"outer": "ipv6"}]
    config = realserver({"hidden_vips": tunnels, "ipv6": "2001:db8::11"})
    device = {"name": "lvs6", "type": "ip6tnl mode any local 2001:db8::11 remote ::"}
    assert (config["modules"], config["links"]) == (["ip6_tunnel"], [device])
    assert {row["interface"] for row in config["addresses"]} == {"lvs6"}


@pytest.mark.parametrize("row", [{"persistence": {"timeout": 9}}, {"persistence": None}])
def test_persistent_clients_leave_a_server_of_weight_0(row):
    expires = {"net.ipv4.vs.expire_quiescent_template": "1"} if row["persistence"] else {}
    row = {"scheduler": "rr", **row}
    for part in ({"table": [row]}, {"watched": [{"row": row}]}):
        assert sysctls(objects.director_objects(DIRECTOR | part, {})) == {
            **sysctls(objects.director_objects(DIRECTOR, {})),
            **expires,
        }


def test_replies_to_the_directors_own_checks_do_not_take_a_gateway_that_moves():
    addresses = {"ipv4": ["198.51.100.2", "198.51.100.3"], "ipv6": ["2001:db8::2"]}
    config = realserver({"nat_flows": [FLOW], "director_addresses": addresses}, gateway="policy")
    common = {"family": "ipv4", "source": "198.51.100.11", "table": 254, "priority": 5009}
    assert config["rules"][:-1] == [{**common, "destination": address} for address in addresses["ipv4"]]


def test_a_director_that_is_the_gateway_needs_no_rule_for_itself():
    addresses = {"ipv4": ["198.51.100.1"], "ipv6": []}
    config = realserver({"nat_flows": [FLOW], "director_addresses": addresses}, gateway="policy")
    assert [rule["table"] for rule in config["rules"]] == [5010]


def test_nat_leaves_routing_alone_unless_asked():
    config = realserver({"nat_flows": [FLOW]})
    assert (config["rules"], config["routes"]) == ([], [])


def test_policy_routing_leads_only_the_services_replies_through_the_director():
    config = realserver({"nat_flows": [FLOW]}, gateway="policy")
    assert config["routes"] == [{"family": "ipv4", "via": "198.51.100.1", "table": 5010}]
    assert config["rules"] == [
        {"family": "ipv4", "source": "198.51.100.11", "protocol": "tcp", "source_port": 8080, "table": 5010,
         "priority": 5010}
    ]  # fmt: skip


DATAGRAMS = {"protocol": "udp", "source_port": 53}
LAST = {"family": "ipv6", "interface": "lo"}


def flow6(**changes):
    return {**FLOW, "family": "ipv6", "address": "2001:db8:1::11", "protocol": "udp", "port": 53, **changes}


def ways(*flows, directors=(), directors6=(), **options):
    view = {"nat_flows": list(flows), "director_addresses": {"ipv4": list(directors), "ipv6": list(directors6)}}
    view["way_back"] = {"ipv4": "198.51.100.1", "ipv6": "2001:db8:1::1"}
    return realserver(view, gateway="policy", **options)["rules"]


def test_a_datagram_without_a_source_yet_takes_the_way_of_its_port():
    flow = {**FLOW, "protocol": "udp", "port": 53}
    own, unbound = ways(flow)
    assert own["source"] == "198.51.100.11"
    assert unbound == {"family": "ipv4", "source": "0.0.0.0", **DATAGRAMS, "table": 5010, "priority": 5010}


def test_over_ipv6_its_rule_is_the_last_and_leaves_what_has_a_source_alone():
    own, *unbound = ways(flow6())
    assert own["source"] == "2001:db8:1::11"
    assert unbound == [
        {**LAST, "source": "::/1", **DATAGRAMS, "table": 254, "priority": 32764},
        {**LAST, "source": "8000::/1", **DATAGRAMS, "table": 254, "priority": 32764},
        {**LAST, **DATAGRAMS, "table": 5010, "priority": 32765},
    ]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_datagrams_of_every_port_cannot_be_told_from_others(family):
    for protocol, port in (("udp", 0), (None, 0), ("tcp", 53), ("sctp", 53)):
        assert len(ways(flow6(family=family, protocol=protocol, port=port))) == 1


def test_any_protocol_has_datagrams_too_and_a_range_is_a_port():
    found = ways({**FLOW, "protocol": None, "port": "5000-5010"}, {**FLOW, "protocol": "udp", "port": 53})
    assert [(rule.get("protocol"), rule["source_port"]) for rule in found if rule["source"] == "0.0.0.0"] == [
        ("udp", "5000-5010"),
        ("udp", 53),
    ]


def test_datagrams_without_a_source_go_straight_to_directors_too_where_the_gateway_moves():
    flow = {**FLOW, "protocol": "udp", "port": 53}
    found = ways(flow, flow6(), directors=["198.51.100.2"], directors6=["2001:db8:1::2"])
    straight = [rule for rule in found if "destination" in rule]
    common = {"family": "ipv4", "destination": "198.51.100.2", "table": 254, "priority": 5009}
    common6 = {"family": "ipv6", "destination": "2001:db8:1::2", "table": 254}
    assert straight == [
        {**common, "source": "198.51.100.11"},
        {**common6, "source": "2001:db8:1::11", "priority": 5009},
        {**common, "source": "0.0.0.0"},
        {**common6, "interface": "lo", "priority": 32764},
    ]
    assert len([rule for rule in ways(FLOW, directors=["198.51.100.2"]) if "destination" in rule]) == 1


@pytest.mark.parametrize("table", [32764, 32765])
def test_no_table_comes_after_the_last_rules(table):
    with pytest.raises(objects.ObjectsError, match=r"^realserver_table: .*; use a number up to 32763$"):
        ways(flow6(), table=table)
    assert ways(flow6(protocol="tcp"), table=table)[0]["priority"] == table
    assert ways(flow6(), table=32763)[0]["priority"] == 32763


def test_the_default_route_is_replaced_only_with_consent():
    with pytest.raises(objects.ObjectsError, match="realserver_replace_default_route: true"):
        realserver({"nat_flows": [FLOW]}, gateway="default")
    config = realserver({"nat_flows": [FLOW]}, gateway="default", replace_default_route=True)
    assert config["routes"] == [{"family": "ipv4", "via": "198.51.100.1"}]
    assert config["rules"] == []


def test_several_directors_need_a_named_gateway():
    view = {"nat_flows": [FLOW], "way_back": {"ipv4": None, "ipv6": None}}
    with pytest.raises(objects.ObjectsError, match="set realserver_gateway_ipv4"):
        realserver(view, gateway="policy")
    named = {"ipv4": "198.51.100.9", "ipv6": ""}
    assert realserver(view, gateway="policy", gateway_addresses=named)["routes"][0]["via"] == "198.51.100.9"


def test_size_of_the_connection_table_is_a_module_option():
    files = {row["path"]: row["content"] for row in objects.director_objects(DIRECTOR, {}, 20)["files"]}
    assert "options ip_vs conn_tab_bits=20\n" in files["/etc/modprobe.d/lvs-director.conf"]
    assert "/etc/modprobe.d/lvs-director.conf" not in str(objects.director_objects(DIRECTOR, {}, 0)["files"])


@pytest.mark.parametrize("function", [objects.director_objects, objects.realserver_objects])
def test_a_host_without_the_role_is_refused_by_name(function):
    view = {"host": "web7", "cluster": None, "director": False, "realserver": False}
    with pytest.raises(objects.ObjectsError, match="^web7 is no "):
        function(view, OPTIONS)


def test_the_view_is_not_changed():
    view = copy.deepcopy(REALSERVER) | {"nat_flows": [FLOW], "hidden_vips": [hidden()]}
    before = copy.deepcopy(view)
    objects.realserver_objects(view, OPTIONS | {"gateway": "policy"})
    assert view == before


def test_nftables_is_told_of_rules_where_there_are_some():
    assert objects.boot.NFTABLES_DROP_IN not in {row["path"] for row in realserver()["files"]}
    view = {"hidden_vips": [hidden()]}
    config = realserver(view, redirect=[{"port": 80, "to": 8080}])
    assert content(config, objects.boot.NFTABLES_DROP_IN) == objects.boot.NFTABLES_DROP_IN_CONTENT
