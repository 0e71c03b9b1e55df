# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the model refuses: each with the place it names and the mend it offers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    inventory,
    pair,
    problems,
    service,
)
from hypothesis import given, settings
from hypothesis import strategies as st

WEB = "lvs_services[0] (web)"
FIRST = f"{WEB}.real_servers[0]"


def one(host="rs1", **keys):
    return {"real_servers": [{"host": host, **keys}]}


def outside(address="198.51.100.7", **keys):
    return {"real_servers": [{"address": address, **keys}]}


def says(lines: list[str], path: str, wrong: str, mend: str) -> bool:
    return any(line.startswith(f"{path}: {wrong}; {mend}") for line in lines)


SERVICES = {
    # what a service is
    "no name": ({"name": OMIT}, "lvs_services[0].name", "is missing", "add name"),
    "bad name": (
        {"name": "a b"},
        "lvs_services[0] (a b).name",
        "'a b' is not a name of letters, digits and _ . : - (at most 64)",
        "write",
    ),
    "number as name": (
        {"name": 80},
        "lvs_services[0].name",
        "80 is not a name of letters, digits and _ . : - (at most 64)",
        "write a name of letters, digits and _ . : - (at most 64) in quotes",
    ),
    "misspelt key": ({"schduler": "rr"}, f"{WEB}.schduler", "no such key", "did you mean scheduler?"),
    "unknown key": (
        {"zzz": 1},
        f"{WEB}.zzz",
        "no such key",
        "valid: name, vip, network, clients, port, ports, group, fwmark, family, protocol",
    ),
    "unknown protocol": (
        {"protocol": "tpc"},
        f"{WEB}.protocol",
        "'tpc' is not one of tcp, udp, sctp, any",
        "did you mean tcp?",
    ),
    "unknown scheduler": (
        {"scheduler": "wcl"},
        f"{WEB}.scheduler",
        "'wcl' is not one of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos",
        "did you mean wlc?",
    ),
    "unknown forwarding": (
        {"forward": "masq"},
        f"{WEB}.forward",
        "'masq' is not one of nat, dr, tun",
        "use nat, dr, tun",
    ),
    "no forwarding": ({"forward": OMIT}, f"{WEB}.forward", "is missing", "add forward: one of nat, dr, tun"),
    "not true or false": (
        {"one_packet": "maybe"},
        f"{WEB}.one_packet",
        "'maybe' is neither true nor false",
        "write true",
    ),
    # its VIPs
    "no VIP": ({"vip": OMIT}, f"{WEB}.vip", "is missing", "add vip"),
    "VIP is no address": (
        {"vip": "192.0.2.300"},
        f"{WEB}.vip",
        "'192.0.2.300' is not an IP address",
        "write an address such as",
    ),
    "VIP is a name": (
        {"vip": ["www.example.org"]},
        f"{WEB}.vip[0]",
        "'www.example.org' is not an IP address",
        "write an address",
    ),
    "VIP is a number": (
        {"vip": 3221225994},
        f"{WEB}.vip",
        "3221225994 is not an IP address",
        "write an address such as",
    ),
    "VIP is a network": (
        {"vip": "192.0.2.0/24"},
        f"{WEB}.vip",
        "192.0.2.0/24 is the network's own address",
        "write a host address in 192.0.2.0/24",
    ),
    "VIP is a broadcast address": (
        {"vip": "192.0.2.255/24"},
        f"{WEB}.vip",
        "192.0.2.255/24 is the broadcast address of 192.0.2.0/24",
        "write a host address in",
    ),
    "VIP is the broadcast address": (
        {"vip": "255.255.255.255"},
        f"{WEB}.vip",
        "255.255.255.255 is the broadcast address",
        "write a unicast",
    ),
    "VIP is multicast": ({"vip": "224.0.0.18"}, f"{WEB}.vip", "224.0.0.18 is a multicast address", "write a unicast"),
    "VIP is IPv6 multicast": ({"vip": "ff02::1"}, f"{WEB}.vip", "ff02::1 is a multicast address", "write a unicast"),
    "VIP is loopback": ({"vip": "127.0.0.1"}, f"{WEB}.vip", "127.0.0.1 is a loopback address", "write a unicast"),
    "VIP is unspecified": ({"vip": "0.0.0.0"}, f"{WEB}.vip", "0.0.0.0 is the unspecified address", "write a unicast"),
    "VIP is reserved": ({"vip": "240.0.0.1"}, f"{WEB}.vip", "240.0.0.1 is a reserved address", "write a unicast"),
    "VIP is link-local": ({"vip": "fe80::1"}, f"{WEB}.vip", "fe80::1 is a link-local address", "write a unicast"),
    "VIP has a scope": ({"vip": "fe80::1%eth0"}, f"{WEB}.vip", "fe80::1%eth0 is a scoped address", "write a unicast"),
    "VIP is mapped": (
        {"vip": "::ffff:192.0.2.10"},
        f"{WEB}.vip",
        "::ffff:192.0.2.10 is an IPv4 address in IPv6 clothes",
        "write",
    ),
    "VIP with bad prefix": (
        {"vip": "192.0.2.10/33"},
        f"{WEB}.vip",
        "'33' is no prefix length 1..32",
        "write 192.0.2.10/32",
    ),
    "VIP with mask": (
        {"vip": "192.0.2.10/255.255.255.0"},
        f"{WEB}.vip",
        "'255.255.255.0' is no prefix length 1..32",
        "write",
    ),
    "VIP twice": ({"vip": ["192.0.2.10", "192.0.2.10/24"]}, f"{WEB}.vip", "192.0.2.10 is there twice", "keep one"),
    "no VIPs": ({"vip": []}, f"{WEB}.vip", "is an empty list", "name at least one address"),
    "mapping as VIP": (
        {"vip": {"address": "192.0.2.10"}},
        f"{WEB}.vip",
        "{'address': '192.0.2.10'} is not a list",
        "write a list",
    ),
    # its ports
    "port too large": ({"port": 70000}, f"{WEB}.port", "70000 is not a whole number 0..65535", "write a whole number"),
    "negative port": ({"port": -1}, f"{WEB}.port", "-1 is not a whole number 0..65535", "write"),
    "port is a word": ({"port": "http"}, f"{WEB}.port", "'http' is not a whole number 0..65535", "write"),
    "port is a truth": ({"port": True}, f"{WEB}.port", "True is not a whole number 0..65535", "write"),
    "port 0": (
        {"port": 0},
        f"{WEB}.port",
        "0 (every port) works with persistence only",
        "add persistence: 300, or name the ports",
    ),
    "port 0 among ports": (
        {"port": OMIT, "ports": [0, 80]},
        f"{WEB}.ports[0]",
        "0 is not a whole number 1..65535, or a range such as 100-199",
        "write",
    ),
    "port and ports": ({"ports": [443]}, WEB, "has both port and ports", "keep one of them"),
    "no port": ({"port": OMIT}, WEB, "has neither port nor ports", "add port: 80"),
    "no ports": ({"port": OMIT, "ports": []}, f"{WEB}.ports", "is an empty list", "name at least one port"),
    "port twice": ({"port": OMIT, "ports": [80, 443, 80]}, f"{WEB}.ports", "80 is there twice", "keep one"),
    # how it schedules
    "flag of another scheduler": (
        {"scheduler": "sh", "scheduler_flags": ["mh-port"]},
        f"{WEB}.scheduler_flags[0]",
        "mh-port means nothing to the scheduler sh",
        "use sh-fallback or sh-port",
    ),
    "flag without flags": (
        {"scheduler_flags": "sh-port"},
        f"{WEB}.scheduler_flags[0]",
        "sh-port means nothing to the scheduler wlc",
        "leave it out, or use scheduler: sh",
    ),
    "unknown flag": (
        {"scheduler": "sh", "scheduler_flags": ["sh-prot"]},
        f"{WEB}.scheduler_flags[0]",
        "'sh-prot' is not one of sh-fallback, sh-port, mh-fallback, mh-port",
        "did you mean sh-port?",
    ),
    "one packet of tcp": (
        {"one_packet": True},
        f"{WEB}.one_packet",
        "has no effect with tcp",
        "leave it out, or use protocol: udp",
    ),
    "persistence of 0": (
        {"persistence": 0},
        f"{WEB}.persistence.timeout",
        "0 is not a whole number 1..2678400 (seconds)",
        "write",
    ),
    "unknown persistence key": (
        {"persistence": {"timout": 60}},
        f"{WEB}.persistence.timout",
        "no such key",
        "did you mean timeout?",
    ),
    "netmask as mask": (
        {"persistence": {"netmask": "255.255.255.0"}},
        f"{WEB}.persistence.netmask",
        "'255.255.255.0' is not a whole number 1..128 (prefix length)",
        "write the prefix length, for example 24 for 255.255.255.0",
    ),
    "netmask of the other family": (
        {"persistence": {"netmask": 64}},
        f"{WEB}.persistence.netmask",
        "64 is more than an IPv4 address has",
        "use 1..32",
    ),
    "one netmask for two families": (
        {"vip": ["192.0.2.10", "2001:db8::10"], "persistence": {"netmask": 24}},
        f"{WEB}.persistence.netmask",
        "one prefix length cannot suit IPv4 and IPv6 clients",
        "make one entry for each family",
    ),
    "sip over tcp": (
        {"persistence": {"engine": "sip"}},
        f"{WEB}.persistence.engine",
        "sip works with udp only",
        "leave it out, or use protocol: udp",
    ),
    "thresholds upside down": (
        {"upper_threshold": 10, "lower_threshold": 20},
        f"{WEB}.lower_threshold",
        "20 is more than the upper_threshold 10, and the kernel refuses that",
        "make it smaller",
    ),
    "lower threshold alone": (
        {"lower_threshold": 20},
        f"{WEB}.lower_threshold",
        "20 is more than the upper_threshold 0, and the kernel refuses that",
        "make it smaller",
    ),
    # who serves it
    "real servers are no list": (
        {"real_servers": {"host": "rs1"}},
        f"{WEB}.real_servers",
        "{'host': 'rs1'} is not a list",
        "write a list",
    ),
    "real server is no mapping": (
        {"real_servers": ["rs1"]},
        FIRST,
        "'rs1' is not a mapping",
        "write keys and values: host, address, port",
    ),
    "no real servers": (
        {"real_servers": []},
        f"{WEB}.real_servers",
        "is an empty list",
        "leave it out to use the whole real server group",
    ),
    "neither host nor address": (
        {"real_servers": [{"weight": 1}]},
        FIRST,
        "has neither host nor address",
        "add host: an inventory host, or address: an IP address",
    ),
    "both host and address": (
        one(address="10.0.0.11"),
        FIRST,
        "has both host and address",
        "keep host for an inventory host",
    ),
    "misspelt real server key": (one(wieght=2), f"{FIRST}.wieght", "no such key", "did you mean weight?"),
    "misspelt host": (one("rs11"), f"{FIRST}.host", "rs11 is no host of the inventory", "did you mean rs1?"),
    "unknown host": (
        one("elsewhere"),
        f"{FIRST}.host",
        "elsewhere is no host of the inventory",
        "add it to the inventory, or name it by address",
    ),
    "host outside the group": (
        one("client1"),
        f"{FIRST}.host",
        "client1 is not in the group realservers",
        "put it into realservers, or name it by address",
    ),
    "real server is no address": (
        outside("10.0.0.999"),
        f"{FIRST}.address",
        "'10.0.0.999' is not an IP address",
        "write an address such as",
    ),
    "host name as address": (
        outside("rs1"),
        f"{FIRST}.address",
        "'rs1' is not an IP address",
        "write an address such as",
    ),
    "real server is multicast": (
        outside("224.0.0.5"),
        f"{FIRST}.address",
        "224.0.0.5 is a multicast address",
        "write a unicast",
    ),
    "real server is the VIP": (
        outside("192.0.2.10"),
        f"{FIRST}.address",
        "192.0.2.10 is the VIP itself",
        "name the server behind it",
    ),
    "inventory host by address": (
        outside("10.0.0.12"),
        f"{FIRST}.address",
        "10.0.0.12 is the lvs_address of rs2",
        "write host: rs2",
    ),
    "director by address": (
        outside("10.0.0.1"),
        f"{FIRST}.address",
        "10.0.0.1 is the lvs_address of director1",
        "put it into the group realservers too, and write host: director1",
    ),
    "weight too large": (one(weight=65536), f"{FIRST}.weight", "65536 is not a whole number 0..65535", "write"),
    "negative weight": (one(weight=-1), f"{FIRST}.weight", "-1 is not a whole number 0..65535", "write"),
    "dr with another port": (
        {"forward": "dr", **one(port=8080)},
        f"{FIRST}.port",
        "8080 differs from the service's port 80, and dr cannot change the port",
        "use forward: nat, or leave it out and set realserver_redirect on the server",
    ),
    "tun with another port": (
        {"forward": "tun", **outside(port=8080)},
        f"{FIRST}.port",
        "8080 differs from the service's port 80, and tun cannot change the port",
        "use forward: nat",
    ),
    "dr with one port for two": (
        {"forward": "dr", "port": OMIT, "ports": [80, 443], **one(port=80)},
        f"{FIRST}.port",
        "80 differs from the service's port 443, and dr cannot change the port",
        "use forward: nat",
    ),
    "real server port 0": (
        one(port=0),
        f"{FIRST}.port",
        "0 needs a service with port 0",
        "leave it out, or name the port",
    ),
    "IPv6 real server": (
        outside("2001:db8::7"),
        f"{FIRST}.address",
        "2001:db8::7 is IPv6 and the VIP 192.0.2.10 is IPv4, which nat cannot join",
        "make one entry for each family, or use forward: tun",
    ),
    "IPv4 real server of an IPv6 VIP": (
        {"vip": "2001:db8::10", "forward": "dr", **outside()},
        f"{FIRST}.address",
        "198.51.100.7 is IPv4 and the VIP 2001:db8::10 is IPv6, which dr cannot join",
        "make one entry",
    ),
    "thresholds of a real server": (
        one(upper_threshold=1, lower_threshold=2),
        f"{FIRST}.lower_threshold",
        "2 is more than the upper_threshold 1, and the kernel refuses that",
        "make it smaller",
    ),
    "host twice": (
        {"real_servers": [{"host": "rs1"}, {"host": "rs1", "port": 80}]},
        f"{WEB}.real_servers[1]",
        "rs1 port 80 is in this service twice",
        "keep one of them",
    ),
    "address twice": (
        {"real_servers": [{"address": "198.51.100.7"}, {"address": "198.51.100.7"}]},
        f"{WEB}.real_servers[1]",
        "198.51.100.7 port 80 is in this service twice",
        "keep one of them",
    ),
    # who watches it
    "check without an engine": (
        {"check": "tcp"},
        f"{WEB}.check",
        "nobody would act on it, because lvs_health is none",
        "leave it out, or choose a health engine with lvs_health",
    ),
    "fallback without an engine": (
        {"fallback": {"address": "192.0.2.250"}},
        f"{WEB}.fallback",
        "nobody would act on it, because lvs_health is none",
        "leave it out, or choose",
    ),
    "fallback on loopback": (
        {"fallback": {"address": "127.0.0.1", "port": 8080}},
        f"{WEB}.fallback.address",
        "127.0.0.1 cannot answer: its replies never get back to the client",
        "use the director's own address and another port, with forward: nat",
    ),
    "fallback with another port": (
        {"forward": "dr", "fallback": {"address": "192.0.2.250", "port": 8080}},
        f"{WEB}.fallback.port",
        "8080 differs from the service's port 80, and dr cannot change the port",
        "use forward: nat, or leave it out and set realserver_redirect on the server",
    ),
    "fallback of the other family": (
        {"fallback": {"address": "2001:db8::9"}},
        f"{WEB}.fallback.address",
        "2001:db8::9 is IPv6 and the VIP 192.0.2.10 is IPv4, which nat cannot join",
        "make one entry",
    ),
    "fallback is the VIP": (
        {"fallback": {"address": "192.0.2.10"}},
        f"{WEB}.fallback.address",
        "192.0.2.10 is the VIP itself",
        "name the server behind it",
    ),
    "fallback without address": (
        {"fallback": {"port": 8080}},
        f"{WEB}.fallback.address",
        "is missing",
        "add address: IPv4 or IPv6 address",
    ),
    # what it travels in
    "tunnel of another method": (
        {"tunnel": {"type": "ipip"}},
        f"{WEB}.tunnel",
        "forward: nat has no tunnel",
        "leave it out, or use forward: tun",
    ),
    "unknown tunnel": (
        {"forward": "tun", "tunnel": {"type": "vxlan"}},
        f"{WEB}.tunnel.type",
        "'vxlan' is not one of ipip, gue, gre",
        "use ipip, gue, gre",
    ),
    "port of gre": (
        {"forward": "tun", "tunnel": {"type": "gre", "port": 6080}},
        f"{WEB}.tunnel.port",
        "gre has no port",
        "leave it out, or use type: gue",
    ),
    "checksum of ipip": (
        {"forward": "tun", "tunnel": {"checksum": True}},
        f"{WEB}.tunnel.checksum",
        "ipip has no checksum",
        "leave it out, or use type: gue or gre",
    ),
    "no segments": (
        {"forward": "tun", "tunnel": {"mss": 100}},
        f"{WEB}.tunnel.mss",
        "100 is neither auto nor a whole number 536..65495 (bytes)",
        "use one of them",
    ),
    "segments of udp": (
        {"forward": "tun", "protocol": "udp", "tunnel": {"mss": "auto"}},
        f"{WEB}.tunnel.mss",
        "has no effect with udp: it is TCP's",
        "leave it out",
    ),
}


def test_of_two_directors_none_is_advised_as_a_fallback():
    (line,) = problems(*pair(service(fallback={"address": "127.0.0.1"}), lvs_health="keepalived"))
    assert line.endswith("; name a server that is no director")


@pytest.mark.parametrize(("changes", "path", "wrong", "mend"), SERVICES.values(), ids=SERVICES)
def test_a_service_that_cannot_work(changes: dict[str, Any], path: str, wrong: str, mend: str) -> None:
    found = problems(*inventory(service(**changes)))
    assert says(found, path, wrong, mend), found


ALONE = {
    name: SERVICES[name]
    for name in SERVICES
    if not name.startswith("fallback") and name not in ("misspelt host", "unknown host")
}


@pytest.mark.parametrize(("changes", "path", "wrong", "mend"), ALONE.values(), ids=ALONE)
def test_one_mistake_is_one_line(changes: dict[str, Any], path: str, wrong: str, mend: str) -> None:
    assert len(problems(*inventory(service(**changes)))) == 1


VARIABLES = {
    "unknown health": (
        {"lvs_health": "keepalive"},
        "lvs_health",
        "'keepalive' is not one of none, keepalived, ldirectord",
        "did you mean keepalived?",
    ),
    "vipless": (
        {"lvs_vipless": True},
        "lvs_vipless",
        "no service has a firewall mark, and without one a director must hold the VIP",
        "give services group: true, network or fwmark, or leave it out",
    ),
    "unknown removal": (
        {"lvs_removed": "drain"},
        "lvs_removed",
        "'drain' is not one of delete, quiesce",
        "use delete, quiesce",
    ),
    "no services": ({"lvs_services": []}, "lvs_services", "is an empty list", "describe at least one service"),
    "services not set": ({"lvs_services": None}, "lvs_services", "is missing", "add lvs_services: list of mappings"),
    "services are a mapping": (
        {"lvs_services": {"web": {}}},
        "lvs_services",
        "{'web': {}} is not a list",
        "write a list",
    ),
    "misspelt variable": (
        {"lvs_service": []},
        "lvs_service (director1, rs1, rs2, rs3)",
        "there is no such variable, and lvs_ names are reserved",
        "did you mean lvs_services?",
    ),
    "unknown variable": (
        {"lvs_zzz": 1},
        "lvs_zzz (director1, rs1, rs2, rs3)",
        "there is no such variable, and lvs_ names are reserved",
        "valid: lvs_address",
    ),
}


@pytest.mark.parametrize(("changes", "path", "wrong", "mend"), VARIABLES.values(), ids=VARIABLES)
def test_a_cluster_variable_that_cannot_be(changes: dict[str, Any], path: str, wrong: str, mend: str) -> None:
    (line,) = problems(*inventory(**changes))
    assert says([line], path, wrong, mend), line


HOSTS = {
    "director without interface": (
        "director1",
        {"lvs_interface": None},
        "lvs_interface (director1)",
        "is missing on a director",
        "name the interface that faces the clients",
    ),
    "interface name too long": (
        "director1",
        {"lvs_interface": "interface0123456"},
        "lvs_interface (director1)",
        "'interface0123456' is not an interface name (at most 15 characters)",
        "write",
    ),
    "director without address": (
        "director1",
        {"lvs_address": None},
        "lvs_address (director1)",
        "there is no IPv4 address, but the host directs lvs_services[0] (web)",
        "add the host's own IPv4 address",
    ),
    "real server without address": (
        "rs2",
        {"lvs_address": None},
        "lvs_address (rs2)",
        "there is no IPv4 address, but the host is a real server of lvs_services[0] (web)",
        "add the host's own IPv4 address",
    ),
    "address is a name": (
        "rs2",
        {"lvs_address": "rs2.example.org"},
        "lvs_address (rs2)",
        "'rs2.example.org' is not an IP address",
        "write an address such as",
    ),
    "two of a family": (
        "rs2",
        {"lvs_address": ["10.0.0.12", "10.0.1.12"]},
        "lvs_address (rs2)",
        "has two IPv4 addresses",
        "keep the one the other hosts reach it by",
    ),
    "address is the VIP": (
        "rs2",
        {"lvs_address": "192.0.2.10"},
        "lvs_address (rs2)",
        "192.0.2.10 is the VIP of lvs_services[0] (web)",
        "write the host's own address",
    ),
    "director's address is the VIP": (
        "director1",
        {"lvs_address": "192.0.2.10"},
        "lvs_address (director1)",
        "192.0.2.10 is the VIP of lvs_services[0] (web)",
        "write the host's own address",
    ),
    "address of another host": (
        "rs2",
        {"lvs_address": "10.0.0.11"},
        "lvs_address (rs2)",
        "10.0.0.11 is the address of rs1 too",
        "each host has its own",
    ),
    "weight too large": (
        "rs2",
        {"lvs_weight": 70000},
        "lvs_weight (rs2)",
        "70000 is not a whole number 0..65535",
        "write",
    ),
    "weight is a word": (
        "rs2",
        {"lvs_weight": "heavy"},
        "lvs_weight (rs2)",
        "'heavy' is not a whole number 0..65535",
        "write",
    ),
    "other services": (
        "rs3",
        {"lvs_services": [service(port=81)]},
        "lvs_services (rs3)",
        "differs from what director1 sees",
        "set it once, in group_vars of a group that holds all hosts of the cluster",
    ),
    "services unseen": (
        "rs3",
        {"lvs_services": None},
        "lvs_services (rs3)",
        "is not set here, but on director1",
        "set it once",
    ),
    "other settings": (
        "rs3",
        {"lvs_removed": "quiesce"},
        "lvs_removed (rs3)",
        "differs from what director1 sees",
        "set it once",
    ),
    "another group, misspelt": (
        "rs3",
        {"lvs_realserver_group": "realserver"},
        "lvs_realserver_group (rs3)",
        "the inventory has no group realserver",
        "did you mean realservers?",
    ),
    "misspelt group outside the cluster": (
        "client1",
        {"lvs_director_group": "director"},
        "lvs_director_group (client1)",
        "the inventory has no group director",
        "did you mean directors?",
    ),
    "another group": (
        "rs3",
        {"lvs_realserver_group": "clients"},
        "lvs_realserver_group (rs3)",
        "the host is in group realservers of the cluster directors/realservers but sees clients here, not realservers",
        "set it in group_vars of a group that holds the directors and the real servers",
    ),
}


@pytest.mark.parametrize(("host", "changes", "path", "wrong", "mend"), HOSTS.values(), ids=HOSTS)
def test_a_host_that_cannot_take_part(host: str, changes: dict[str, Any], path: str, wrong: str, mend: str) -> None:
    hostvars, groups = inventory()
    hostvars[host].update(changes)
    found = problems(hostvars, groups)
    assert says(found, path, wrong, mend), found


def test_a_host_without_the_second_family_is_named():
    hostvars, groups = inventory(service(vip=["192.0.2.10", "2001:db8::10"]))
    hostvars["rs1"]["lvs_address"] = hostvars["rs3"]["lvs_address"] = "10.0.0.99"
    hostvars["rs3"]["lvs_address"] = "10.0.0.98"
    assert problems(hostvars, groups) == [
        "lvs_address (rs1, rs3): there is no IPv6 address, but the host is a real server of lvs_services[0] (web);"
        " add the host's own IPv6 address"
    ]


def test_a_thousand_services_complain_once_about_a_host():
    services = [service(name=f"s{port}", port=port) for port in range(1, 1001)]
    hostvars, groups = inventory(*services)
    hostvars["rs2"]["lvs_address"] = []
    (line,) = problems(hostvars, groups)
    assert line.startswith(
        "lvs_address (rs2): there is no IPv4 address, but the host is a real server of lvs_services[0]"
    )


def test_many_hosts_with_one_mistake_are_one_line():
    hostvars, groups = inventory()
    for n in range(10, 20):
        hostvars[f"rs{n}"] = {**hostvars["rs1"], "lvs_address": f"10.0.0.{n + 20}", "lvs_weight": -1}
        groups["realservers"].append(f"rs{n}")
    (line,) = problems(hostvars, groups)
    assert line.startswith("lvs_weight (rs10, rs11, rs12 and 7 more): -1 is not a whole number")


class TestTwoServices:
    def test_the_same_name(self):
        found = problems(*inventory(service(), service(port=81)))
        assert found == [
            "lvs_services[1] (web).name: web is the name of lvs_services[0] (web) too; give it a name of its own"
        ]

    def test_the_same_vip_port_and_protocol(self):
        found = problems(*inventory(service(), service(name="other", port=OMIT, ports=[443, 80])))
        assert found == [
            "lvs_services[1] (other): 192.0.2.10 port 80 tcp is served by lvs_services[0] (web) already;"
            " keep one of them, or change vip or port"
        ]

    def test_another_protocol_is_another_service(self):
        assert problems(*inventory(service(), service(name="other", protocol="udp"))) == []

    def test_a_made_name(self):
        found = problems(*inventory(service(port=OMIT, ports=[80, 81]), service(name="web-80", port=82)))
        assert found == [
            "lvs_services[1] (web-80): the name web-80 is made for a service of lvs_services[0] (web) too;"
            " give it another name"
        ]

    def test_two_prefixes_of_a_vip(self):
        found = problems(*inventory(service(vip="192.0.2.10/24"), service(name="b", port=81, vip="192.0.2.10/25")))
        assert found == [
            "lvs_services[1] (b).vip: 192.0.2.10 has the prefix length 25 here and 24 in lvs_services[0] (web);"
            " say the same, or say it once"
        ]

    def test_a_real_server_is_the_other_vip(self):
        other = service(name="b", vip="192.0.2.11", **outside("192.0.2.10"))
        found = problems(*inventory(service(), other))
        assert found == [
            "lvs_services[1] (b): the real server 192.0.2.10 is the VIP of lvs_services[0] (web);"
            " name the servers behind it"
        ]


def test_a_host_that_is_no_name_is_refused_once():
    (line,) = problems(*inventory(service(real_servers=[{"host": False}])))
    assert line.startswith(f"{FIRST}.host: ")


class TestGroups:
    def test_no_cluster_at_all(self):
        (line,) = problems({"host1": {}}, {"all": ["host1"], "ungrouped": ["host1"]})
        assert line.startswith("inventory: no host is in the group directors or realservers; put the directors into")

    def test_an_empty_inventory(self):
        (line,) = problems({}, {"all": [], "ungrouped": []})
        assert line.startswith("inventory: no host is in the group directors or realservers;")

    def test_no_cluster_but_similar_groups(self):
        (line,) = problems({"host1": {}}, {"director": ["host1"], "real_servers": []})
        assert line.startswith("inventory: no host is in the group directors or realservers (it has: director, real_s")

    def test_no_directors(self):
        hostvars, groups = inventory()
        groups["__directors"] = []
        groups["director"] = groups.pop("directors")
        assert problems(hostvars, groups) == [
            "inventory: the group directors has no hosts: nobody would direct; put the directors into it,"
            " or name yours with lvs_director_group (is it director?)"
        ]

    def test_several_directors_without_failover(self):
        hostvars, groups = inventory()
        hostvars["director2"] = {**hostvars["director1"], "lvs_address": "10.0.0.2"}
        groups["directors"].append("director2")
        assert problems(hostvars, groups) == [
            "lvs_failover: the group directors has 2 directors and nobody to move the VIPs: every director would hold"
            " them; name one director, or say who moves them: lvs_failover: keepalived, heartbeat, or external where"
            " something else does"
        ]

    def test_no_real_servers(self):
        hostvars, groups = inventory()
        groups["realservers"] = []
        assert problems(hostvars, groups) == [
            "lvs_services[0] (web): names no real_servers, and the group realservers has no hosts;"
            " put hosts into realservers, or name real_servers by address"
        ]

    def test_real_servers_may_all_be_outside(self):
        hostvars, groups = inventory(service(**outside()))
        del groups["realservers"]
        assert problems(hostvars, groups) == []

    @pytest.mark.parametrize(
        ("name", "wrong", "right"),
        [
            ("lvs_director_group", "directrs", "directors"),
            ("lvs_realserver_group", "realserver", "realservers"),
        ],
    )
    def test_a_misspelt_group(self, name, wrong, right):
        hostvars, groups = inventory(**{name: wrong})
        first, *more = problems(hostvars, groups)
        assert first.startswith(f"{name} (director1, rs1, rs2, rs3): the inventory has no group {wrong};")
        assert first.endswith(f"did you mean {right}?")
        assert all("names no real_servers" in line for line in more)

    def test_a_list_is_no_group(self):
        first, *_ = problems(*inventory(lvs_director_group=["directors"]))
        place = "lvs_director_group (director1, rs1, rs2, rs3)"
        assert first.startswith(f"{place}: the inventory has no group ['directors'];")


def test_all_problems_come_at_once_and_in_order():
    services = [service(name=f"s{n}", port=1000 + n) for n in range(12)]
    services[2]["wieght"] = 1
    services[10]["port"] = 0
    services[10]["forward"] = "drr"
    hostvars, groups = inventory(*services, lvs_health="ldirectors", lvs_unknown=1)
    hostvars["rs1"]["lvs_weight"] = -1
    found = [line.partition(":")[0] for line in problems(hostvars, groups)]
    assert found == [
        "lvs_health",
        "lvs_services[2] (s2).wieght",
        "lvs_services[10] (s10).forward",
        "lvs_services[10] (s10).port",
        "lvs_unknown (director1, rs1, rs2, rs3)",
        "lvs_weight (rs1)",
    ]


def test_every_line_is_one_line_and_says_how_to_mend_it():
    for changes, *_ in SERVICES.values():
        for line in problems(*inventory(service(**changes))):
            assert "\n" not in line
            assert ": " in line
            assert "; " in line or line.endswith("?")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | st.sampled_from(["", "rs1", "192.0.2.10", "::1", "nat", "80"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["host", "port", "type"]), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from([field.name for field in schema.SERVICE.fields]), JUNK), JUNK)
def test_no_junk_is_too_much(keys, value):
    """Whatever stands in the inventory is accepted or refused in lines, never an exception of Python's own."""
    others = service(name="other", vip="192.0.2.11"), service(name="mark", vip="192.0.2.12", group=True)
    hostvars, groups = inventory({**service(), **keys}, *others)
    for host in groups["directors"] + groups["realservers"]:
        hostvars[host]["lvs_health"] = "keepalived"
    hostvars["rs1"].update(lvs_address=value, lvs_weight=value, lvs_interface=value)
    assert all("\n" not in line and ": " in line for line in problems(hostvars, groups))
