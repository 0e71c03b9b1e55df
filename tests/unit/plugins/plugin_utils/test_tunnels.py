# SPDX-License-Identifier: GPL-3.0-or-later
"""From an inventory with tunnels to what their real servers have."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    inventory,
    problems,
    service,
)
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.test_objects import OPTIONS, content, sysctls

SIX = "2001:db8::10"
TUNL0, SIT0 = {"name": "tunl0"}, {"name": "sit0"}
LVS6 = {"name": "lvs6", "type": "ip6tnl mode any local 2001:db8:1::11 remote ::"}
GRE = "gre local 10.0.0.11 remote any"
GRE6 = "ip6gre local 2001:db8:1::11 remote ::"


def tun(name="web", vip="192.0.2.10", **tunnel):
    return service(name=name, vip=vip, forward="tun", real_servers=[{"host": "rs1"}], tunnel=tunnel)


def found(*services, address=None):
    """What rs1 has; address is the only one it has."""
    hostvars, groups = inventory(*services)
    if address:
        hostvars["rs1"]["lvs_address"] = address
    return objects.realserver_objects(view(pack(build(hostvars, groups)), "rs1"), OPTIONS)


class TestUnpacking:
    @pytest.mark.parametrize(
        ("vip", "address", "tunnel", "modules", "link"),
        [
            ("192.0.2.10", None, {"type": "gue"}, ["fou", "ipip"], TUNL0),
            (SIX, "10.0.0.11", {"type": "gue"}, ["fou", "sit"], SIT0),
            (SIX, None, {"type": "gue", "checksum": True}, ["fou", "ip6_tunnel"], LVS6),
            ("192.0.2.10", "2001:db8:1::11", {"type": "gue"}, ["fou", "ip6_tunnel"], LVS6),
            ("192.0.2.10", None, {"type": "gre"}, ["ip_gre"], {"name": "lvsgre", "type": GRE}),
            (
                SIX,
                "10.0.0.11",
                {"type": "gre", "checksum": True},
                ["ip_gre"],
                {"name": "lvsgre", "type": f"{GRE} icsum"},
            ),
            (SIX, None, {"type": "gre"}, ["ip6_gre"], {"name": "lvsgre6", "type": GRE6}),
            (SIX, None, {"type": "gre", "checksum": True}, ["ip6_gre"], {"name": "lvsgre6", "type": f"{GRE6} icsum"}),
        ],
    )
    def test_the_device_follows_type_and_families(self, vip, address, tunnel, modules, link):
        config = found(tun(vip=vip, **tunnel), address=address)
        assert (config["modules"], config["links"]) == (modules, [link])
        assert [row["interface"] for row in config["addresses"]] == [link["name"]]
        loose = f"net.ipv4.conf.{link['name']}.rp_filter"
        assert sysctls(config).get(loose) == ("2" if vip != SIX else None)

    def test_gue_comes_by_a_port_of_the_outer_packets_family(self):
        config = found(tun(type="gue", port=5555), tun("b", SIX, type="gue"), tun("c", "192.0.2.11", type="gue"))
        assert config["gue_ports"] == [
            {"family": "ipv4", "port": 5555},
            {"family": "ipv6", "port": 6080},
            {"family": "ipv4", "port": 6080},
        ]
        assert config["modules"] == ["fou", "ipip", "ip6_tunnel"]
        assert "\nfou\nipip\n" in content(config, "/etc/modules-load.d/lvs-realserver.conf")

    def test_one_vip_by_two_ports_is_put_on_its_device_once(self):
        config = found(tun(type="gue"), tun("b", type="gue", port=5555) | {"port": 81})
        assert config["addresses"] == [{"address": "192.0.2.10/32", "interface": "tunl0"}]
        assert [row["port"] for row in config["gue_ports"]] == [6080, 5555]


class TestSegments:
    RULE = "{} saddr {} tcp flags & (syn | rst) == syn tcp option maxseg size set {}"

    @pytest.mark.parametrize(
        ("vip", "address", "tunnel", "size"),
        [
            ("192.0.2.10", None, {}, 1440),
            ("192.0.2.10", None, {"type": "gre"}, 1436),
            ("192.0.2.10", None, {"type": "gre", "checksum": True}, 1432),
            ("192.0.2.10", None, {"type": "gue", "checksum": True}, 1428),
            ("192.0.2.10", "2001:db8:1::11", {}, 1420),
            (SIX, None, {"type": "gue"}, 1388),
            (SIX, "10.0.0.11", {}, 1420),
        ],
    )
    def test_auto_is_what_fits_into_1500_bytes(self, vip, address, tunnel, size):
        config = found(tun(vip=vip, mss="auto", **tunnel), address=address)
        assert config["packets"]["clamp"] == [self.RULE.format("ip6" if vip == SIX else "ip", vip, size)]

    def test_of_two_sizes_the_smaller(self):
        config = found(tun(mss=1300), tun("b", mss="auto") | {"port": 81})
        assert config["packets"]["clamp"] == [self.RULE.format("ip", "192.0.2.10", 1300)]

    def test_a_networks_clients_are_told_too(self):
        def network(name, *networks, **tunnel):
            return {**tun(name, **tunnel), "vip": None, "network": list(networks)}

        config = found(network("web", "192.168.0.0/24", "2001:db8:9::/64", mss=1300), network("b", "10.9.0.0/16"))
        assert config["packets"]["clamp"] == [
            self.RULE.format("ip", "192.168.0.0/24", 1300),
            self.RULE.format("ip6", "2001:db8:9::/64", 1300),
        ]
        (rule,) = found(network("web", "0.0.0.0/0", mss=1300))["packets"]["clamp"]
        assert rule.startswith("meta nfproto ipv4 tcp flags & (syn | rst) == syn ")

    def test_nobody_is_told_unless_asked(self):
        assert found(tun())["packets"] == {"redirect": [], "clamp": []}


class TestFallback:
    """A fallback of the cluster takes packets by the service's tunnel too."""

    def test_one_sort_of_gre_on_a_host(self):
        plain = {**tun(type="gre"), "fallback": {"address": "10.0.0.12"}}
        checked = {**tun("b", type="gre", checksum=True), "port": 81, "real_servers": [{"host": "rs2"}]}
        (line,) = problems(*inventory(plain, checked, lvs_health="keepalived"))
        assert line.startswith("lvs_services[1] (b).tunnel.checksum (rs2): is not what lvs_services[0] (web) says")

    @pytest.mark.parametrize("fallback", [{"address": "10.0.0.12", "forward": "dr"}, {"address": "10.0.0.99"}])
    def test_by_another_method_or_elsewhere_it_may_be_another(self, fallback):
        checked = {**tun("b", type="gre", checksum=True), "port": 81, "real_servers": [{"host": "rs2"}]}
        assert problems(*inventory({**tun(type="gre"), "fallback": fallback}, checked, lvs_health="keepalived")) == []
