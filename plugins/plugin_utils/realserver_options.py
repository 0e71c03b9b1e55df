# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""The lists among the real server role's own variables: ports that it redirects, further ways back.

They are judged here and not by the role's argument_specs alone, because what is wrong with them depends on the host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    REQUIRED,
    UNREADABLE,
    Field,
    HostAddress,
    Integer,
    ListOf,
    Section,
    Text,
    Word,
    read_value,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.marks import WORDS, matching
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES, FAMILY_WORDS
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import ObjectsError, Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.routing_tables import MAIN_TABLE, NUMBER, OWN_TABLES
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_services import ANY_PROTOCOL, MAX_PORT, PROTOCOLS

View = Mapping[str, Any]
Rows = list[dict[str, Any]]

ANY = "any"
"""In place of a VIP: whatever address a packet was sent to."""

UNBOUND_PRIORITY = 32765
"""That of the IPv6 rules for what has no source yet: after all others, and before the kernel's own for main, 32766."""

TOO_LATE = f"{UNBOUND_PRIORITY - 1} and {UNBOUND_PRIORITY} are priorities of the rules for NAT services by IPv6 and UDP"

# A rule names one before its port.
ONE_PROTOCOL = tuple(one for one in PROTOCOLS if one.name != ANY_PROTOCOL)

REDIRECT = Section(
    "redirect",
    (
        Field("port", Integer(1, MAX_PORT), "The service's port.", default=REQUIRED),
        Field("to", Integer(1, MAX_PORT), "The port that the server listens on.", default=REQUIRED),
        Field("protocol", Word(ONE_PROTOCOL), "The protocol.", default="tcp"),
        Field("vip", Text(), "A VIP, or any.", default_words="every VIP and network that this host hides"),
    ),
)

GATEWAY = Section(
    "gateway",
    (
        Field("address", HostAddress(), "The host's further RIP.", default=REQUIRED),
        Field("gateway", HostAddress(), "The director or gateway VIP of the cluster that uses it.", default=REQUIRED),
        Field("table", NUMBER, "The routing table, and the priority of its rule.", default=REQUIRED),
        Field("directors", ListOf(HostAddress(), single=True), "That cluster's directors.", default=()),
    ),
)


def _read(name: str, section: Section, value: Any, problems: Problems) -> list[tuple[str, dict[str, Any]]]:
    """Read a list; items that can't be read are reported and left out."""
    items = read_value(ListOf(section), value, name, problems.add)
    pairs = [(f"{name}[{index}]", item) for index, item in enumerate(items or ()) if item]
    return [(path, item) for path, item in pairs if all(one is not UNREADABLE for one in item.values())]


def _refuse(view: View, problems: Problems) -> None:
    if problems:
        raise ObjectsError("\n".join(f"{view['host']}: {line}" for line in problems.lines()))


def redirects(view: View, value: Any) -> list[str]:
    """Return the rules that lead packets for a service's port to the port that the server listens on.

    The packet stays one for the VIP, so that who listens on the VIP alone gets it as well. One for a network goes to
    the host's own address. Where any address will do, it goes to that of the device which it came in by; one that
    unpacks a tunnel may have none, and then the kernel drops the packet (nf_nat_redirect.c).
    """
    problems = Problems()
    rows = _read("realserver_redirect", REDIRECT, value, problems)
    hidden = {vip["address"]: vip["family"] for vip in view["hidden_vips"]}
    hidden |= {one["network"]: one["family"] for one in view.get("hidden_networks", ())}
    if rows and view["director"]:
        problems.add(
            "realserver_redirect",
            "a director would redirect the packets before IPVS sees them",
            "leave it out on directors, and let the server listen on the service's port",
        )
    named: list[str] = []
    networks: list[tuple[str, int, str]] = []
    everything: list[str] = []
    seen: dict[tuple[str, str, int], str] = {}
    for path, row in rows:
        if row["port"] == row["to"]:
            problems.add(f"{path}.to", f"{row['to']} is the port itself", "leave the entry out, or name another port")
        for address in _vips(row["vip"], hidden, path, problems):
            other = seen.setdefault((address, row["protocol"], row["port"]), path)
            if other != path:
                problems.add(path, f"{address} port {row['port']} {row['protocol']} is in {other} too", "keep one")
            ports = f"{row['protocol']} dport {row['port']}"
            if address == ANY:
                everything.append(f"{ports} redirect to :{row['to']}")
                continue
            family = hidden[address]
            to = view.get(family) if "/" in address else address
            if not to:
                problems.add(
                    path,
                    f"what is for {address} goes to the host's own {FAMILY_WORDS[family]} address, and it has none",
                    "add one to its lvs_address, or name a vip",
                )
                continue
            target = to if family == "ipv4" else f"[{to}]"
            rule = f"{matching(family, 'daddr', address)} {ports} dnat {WORDS[family]} to {target}:{row['to']}"
            if "/" in address:
                networks.append((family, -int(address.partition("/")[2]), rule))
            else:
                named.append(rule)
    _refuse(view, problems)
    # The first rule that matches decides, so a smaller network comes before one that has it in it.
    return [*named, *(rule for *_, rule in sorted(networks)), *everything]


def _vips(said: str | None, hidden: Mapping[str, str], path: str, problems: Problems) -> list[str]:
    if said == ANY:
        return [ANY]
    if said is None:
        if not hidden:
            problems.add(
                path,
                "this host hides no VIP whose packets it could redirect",
                "add vip: any for every packet that comes in for the port, or leave the entry out",
            )
        return list(hidden)
    try:
        address = str(ipaddress.ip_address(said))
    except ValueError:
        address = said
    if address not in hidden:
        known = f"it hides {', '.join(hidden)}" if hidden else "it hides none"
        problems.add(f"{path}.vip", f"{said} is no VIP that this host hides", f"name one ({known}), or use any")
        return []
    return [address]


def unbound(view: View) -> list[tuple[str, int | str]]:
    """Return the families and ports of NAT services whose servers may send datagrams from a socket without an address.

    A service of every port has none that could tell its datagrams from all others.
    """
    flows = [flow for flow in view["nat_flows"] if flow["protocol"] in (None, "udp") and flow["port"]]
    return list(dict.fromkeys((flow["family"], flow["port"]) for flow in flows))


def latest_table(view: View) -> int:
    """Return the last table whose rules come before those that every IPv6 datagram of these services' ports meets."""
    return UNBOUND_PRIORITY - 2 if any(family == "ipv6" for family, _ in unbound(view)) else UNBOUND_PRIORITY


def gateways(view: View, options: View) -> tuple[Rows, Rows]:
    """Return the rules and routes by which what comes from a further RIP leaves through the gateway it belongs to."""
    problems = Problems()
    rows = _read("realserver_gateways", GATEWAY, options["gateways"], problems)
    _check_gateways(view, options, rows, problems)
    _refuse(view, problems)
    return [rule for _, row in rows for rule in _rules(row)], [_route(row) for _, row in rows]


def _rules(row: View) -> Iterator[dict[str, Any]]:
    common = {"family": FAMILIES[row["address"].version], "source": str(row["address"])}
    for director in row["directors"]:
        # Replies to a director's own checks go straight there, see docs/forwarding-nat.md.
        if director != row["gateway"]:
            yield {**common, "destination": str(director), "table": MAIN_TABLE, "priority": row["table"] - 1}
    yield {**common, "table": row["table"], "priority": row["table"]}


def _route(row: View) -> dict[str, Any]:
    return {"family": FAMILIES[row["address"].version], "via": str(row["gateway"]), "table": row["table"]}


def _check_gateways(view: View, options: View, rows: list[tuple[str, dict[str, Any]]], problems: Problems) -> None:
    vips = {vip["address"] for vip in view["hidden_vips"]}
    addresses: dict[Any, str] = {}
    for path, row in rows:
        address = row["address"]
        for key, others in (("gateway", [row["gateway"]]), ("directors", row["directors"])):
            for other in others:
                if other is not UNREADABLE and other.version != address.version:
                    wrong = f"{other} is not of the family of {address}"
                    problems.add(f"{path}.{key}", wrong, "make an entry for each family")
        if row["gateway"] == address:
            problems.add(f"{path}.gateway", f"{address} is the host's own address", "name the director, or its VIP")
        if str(address) in (view.get("ipv4"), view.get("ipv6")):
            problems.add(
                f"{path}.address",
                f"{address} is this host's lvs_address",
                "give the host one more address for the other cluster, or use realserver_gateway for its own",
            )
        if str(address) in vips:
            problems.add(f"{path}.address", f"{address} is a VIP", "name an address of the host's own")
        if addresses.setdefault(address, path) != path:
            problems.add(f"{path}.address", f"{address} is in {addresses[address]} too", "keep one")
    _check_tables(view, options, rows, problems)


def _check_tables(view: View, options: View, rows: list[tuple[str, dict[str, Any]]], problems: Problems) -> None:
    policy = options["gateway"] == "policy" and view["nat_flows"]
    # There everything is local, and what is sent by it goes nowhere.
    delivery = options["director_table"] if view.get("deliveries") else None
    if policy and options["table"] == delivery:
        wrong = f"{delivery} is director_table, by which this host takes in packets as a director"
        problems.add("realserver_table", wrong, "use another number for one of them")
    latest = latest_table(view) if policy else UNBOUND_PRIORITY
    tables: dict[tuple[int, int], str] = {}
    for path, row in rows:
        address, table = row["address"], row["table"]
        if table in OWN_TABLES:
            problems.add(f"{path}.table", f"{table} is one of the kernel's own tables", "use another number")
        elif address.version == 6 and table > latest:
            problems.add(f"{path}.table", TOO_LATE, f"use a number up to {latest}")
        elif policy and table == options["table"]:
            problems.add(f"{path}.table", f"{table} is realserver_table", "use another number")
        elif table == delivery:
            problems.add(f"{path}.table", f"{table} is director_table", "use another number")
        elif tables.setdefault((address.version, table), path) != path:
            problems.add(f"{path}.table", f"{table} is in {tables[address.version, table]} too", "use another number")
