# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import inventory, service


def packed(*services, **shared):
    # As it arrives: through JSON and back, as between Ansible's processes.
    return json.loads(json.dumps(pack(build(*inventory(*services, **shared)))))


SERVICES = (
    service(real_servers=[{"host": "rs1", "port": 8080}]),
    service(name="dns", vip=["192.0.2.11/24", "2001:db8::11"], port=53, protocol="udp", forward="dr", scheduler="rr"),
)


def test_a_director():
    model = build(*inventory(*SERVICES))
    (cluster,) = model["clusters"].values()
    assert view(packed(*SERVICES), "director1") == {
        "host": "director1",
        "cluster": "directors/realservers",
        "health": "none",
        "failover": "none",
        "removed": "delete",
        "directors_serve": False,
        "director": True,
        "realserver": False,
        "interface": "eth0",
        "ipv4": "10.0.0.1",
        "ipv6": "2001:db8:1::1",
        "table": cluster["table"],
        "marks": [],
        "masquerade": [],
        "helpers": [],
        "gateway_interface": "eth0",
        "deliveries": [],
        "watched": [],
        "moving": [],
        "vrrp": None,
        "heartbeat": None,
        "node": None,
        "sources": [],
        "peers": {},
        "keepalived": {"script_user": "nobody", "global": None, "text": None},
        "ldirectord": {
            "fork": True,
            "cleanstop": None,
            "maintenance_directory": None,
            "log": "/var/log/ldirectord.log",
            "mail": None,
            "global": None,
            "text": None,
            "perl": [],
            "secrets": False,
        },
        "sync": None,
        "timeouts": None,
        "vips": [
            {"address": "192.0.2.10", "prefix": 32, "family": "ipv4"},
            {"address": "192.0.2.11", "prefix": 24, "family": "ipv4"},
            {"address": "2001:db8::11", "prefix": 128, "family": "ipv6"},
        ],
        "hidden_vips": [],
        "hidden_networks": [],
        "nat_flows": [],
        "gateways": {"ipv4": "10.0.0.1", "ipv6": "2001:db8:1::1"},
        "way_back": {"ipv4": "10.0.0.1", "ipv6": "2001:db8:1::1"},
        "director_addresses": {"ipv4": ["10.0.0.1"], "ipv6": ["2001:db8:1::1"]},
        "directors": ["director1"],
        "realservers": ["rs1", "rs2", "rs3"],
        "forwards": {"ipv4": ["dr", "nat"], "ipv6": ["dr"]},
    }


def test_a_real_server():
    assert view(packed(*SERVICES), "rs1") == {
        "host": "rs1",
        "cluster": "directors/realservers",
        "health": "none",
        "failover": "none",
        "removed": "delete",
        "directors_serve": False,
        "director": False,
        "realserver": True,
        "interface": None,
        "ipv4": "10.0.0.11",
        "ipv6": "2001:db8:1::11",
        "table": [],
        "marks": [],
        "masquerade": [],
        "helpers": [],
        "gateway_interface": None,
        "deliveries": [],
        "watched": [],
        "vips": [],
        "moving": [],
        "vrrp": None,
        "heartbeat": None,
        "node": None,
        "sources": [],
        "peers": {},
        "keepalived": None,
        "ldirectord": None,
        "sync": None,
        "timeouts": None,
        "hidden_vips": [
            {"address": "192.0.2.11", "family": "ipv4", "forward": "dr", "tunnel": None, "outer": "ipv4"},
            {"address": "2001:db8::11", "family": "ipv6", "forward": "dr", "tunnel": None, "outer": "ipv6"},
        ],
        "hidden_networks": [],
        "nat_flows": [{"family": "ipv4", "address": "10.0.0.11", "protocol": "tcp", "port": 8080}],
        "gateways": {"ipv4": "10.0.0.1", "ipv6": "2001:db8:1::1"},
        "way_back": {"ipv4": "10.0.0.1", "ipv6": "2001:db8:1::1"},
        "director_addresses": {"ipv4": ["10.0.0.1"], "ipv6": ["2001:db8:1::1"]},
        "directors": ["director1"],
        "realservers": [],
        "forwards": {"ipv4": [], "ipv6": []},
    }


def test_a_tunnel():
    (hidden,) = view(packed(service(forward="tun")), "rs2")["hidden_vips"]
    assert hidden == {
        "address": "192.0.2.10",
        "family": "ipv4",
        "forward": "tun",
        "tunnel": {"type": "ipip", "port": None, "checksum": False, "mss": None},
        "outer": "ipv4",
    }


@pytest.mark.parametrize("host", ["client1", "nowhere"])
def test_a_host_in_no_cluster(host):
    assert view(packed(), host) == {"host": host, "cluster": None, "director": False, "realserver": False}


def test_several_directors_are_no_gateway():
    model = build(*inventory())
    (cluster,) = model["clusters"].values()
    cluster["directors"]["director2"] = {**cluster["directors"]["director1"], "ipv4": "10.0.0.2"}
    assert view(pack(model), "rs1")["gateways"] == {"ipv4": None, "ipv6": None}


def values(item):
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return 1 + sum(values(one) for one in inner)


def test_the_model_is_few_values_however_many_services_and_hosts():
    many = [service(name=f"s{port}", port=port, forward="dr") for port in range(1, 101)]
    hostvars, groups = inventory(*many)
    for n in range(20, 120):
        hostvars[f"rs{n}"] = {**hostvars["rs1"], "lvs_address": f"10.0.1.{n}"}
        groups["realservers"].append(f"rs{n}")
    model = pack(build(hostvars, groups))
    assert values(model) == values(packed(many[0]))
    assert view(model, "rs119")["ipv4"] == "10.0.1.119"
    assert view(model, "s11")["cluster"] is None


@pytest.mark.parametrize("name", ['quote"d', "täb\there", "back\\slash", "rs1"])
def test_any_host_name_is_found(name):
    hostvars, groups = inventory()
    hostvars[name] = {**hostvars["rs1"], "lvs_address": "10.0.0.99"}
    groups["realservers"] = ["rs2", name, "rs3"]
    assert view(pack(build(hostvars, groups)), name)["ipv4"] == "10.0.0.99"
