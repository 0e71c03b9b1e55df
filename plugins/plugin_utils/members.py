# SPDX-License-Identifier: GPL-3.0-or-later
"""Who belongs together: the clusters of an inventory by their groups, and each member host as its variables say."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Address, Vip

FAMILIES = {4: "ipv4", 6: "ipv6"}
FAMILY_WORDS = {"ipv4": "IPv4", "ipv6": "IPv6"}
FULL_PREFIX = {"ipv4": 32, "ipv6": 128}
DIRECTOR_GROUP = "lvs_director_group"
REALSERVER_GROUP = "lvs_realserver_group"
GROUP_NAMES = (DIRECTOR_GROUP, REALSERVER_GROUP)

HostVars = Mapping[str, Mapping[str, Any]]
Groups = Mapping[str, Sequence[str]]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Members:
    """The hosts of one cluster, each list in the order of its inventory group."""

    pair: Pair
    directors: tuple[str, ...]
    realservers: tuple[str, ...]

    @property
    def name(self) -> str:
        return "/".join(self.pair)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.directors + self.realservers))


def pair_of(variables: Mapping[str, Any]) -> Pair:
    """Return the director and real server group as one host sees them."""
    director, realserver = (variables.get(name) or _default(name) for name in GROUP_NAMES)
    return str(director), str(realserver)


def _default(name: str) -> Any:
    return next(field.default for field in schema.VARIABLES if field.name == name)


def find_members(hostvars: HostVars, groups: Groups) -> list[Members]:
    """Return the clusters: one for each pair of groups that a host sees and is in."""
    pairs = dict.fromkeys(
        pair
        for host, variables in hostvars.items()
        for pair in (pair_of(variables),)
        if any(host in groups.get(group, ()) for group in pair)
    )
    return [Members(pair, tuple(groups.get(pair[0], ())), tuple(groups.get(pair[1], ()))) for pair in pairs]


def check_groups(hostvars: HostVars, groups: Groups, members: Sequence[Members], problems: Problems) -> None:
    for host, variables in hostvars.items():
        for name in GROUP_NAMES:
            group = variables.get(name)
            if group is not None and str(group) not in groups:
                advice = f"make the group, or name one of: {', '.join(_own_groups(groups))}"
                problems.add_for(
                    host,
                    name,
                    f"the inventory has no group {group}",
                    schema.suggest(group, _own_groups(groups), advice),
                )
    if not members and not problems:
        problems.add("inventory", *_no_cluster(hostvars, groups))


def _own_groups(groups: Groups) -> list[str]:
    # A leading __ marks groups that a play made for itself.
    return sorted(group for group in groups if group not in ("all", "ungrouped") and not group.startswith("__"))


def _no_cluster(hostvars: HostVars, groups: Groups) -> tuple[str, str]:
    director, realserver = next(
        (pair_of(v) for v in hostvars.values()), (_default(DIRECTOR_GROUP), _default(REALSERVER_GROUP))
    )
    close = [near for group in (director, realserver) if (near := schema.nearest(group, _own_groups(groups)))]
    also = f" (it has: {', '.join(close)})" if close else ""
    return (
        f"no host is in the group {director} or {realserver}{also}",
        f"put the directors into a group {director} and the real servers into a group {realserver}, or name your own"
        f" groups with {DIRECTOR_GROUP} and {REALSERVER_GROUP} in group_vars of a group that holds them all",
    )


def check_pairs(member: Members, hostvars: HostVars, problems: Problems) -> bool:
    """Report hosts of the cluster's groups that see other groups. Return whether all see the same."""
    strangers = [host for host in member.hosts if pair_of(hostvars[host]) != member.pair]
    for host in strangers:
        seen = pair_of(hostvars[host])
        for name, own, theirs in zip(GROUP_NAMES, member.pair, seen):
            if own != theirs:
                group = member.pair[0] if host in member.directors else member.pair[1]
                problems.add_for(
                    host,
                    name,
                    f"the host is in group {group} of the cluster {member.name} but sees {theirs} here, not {own}",
                    "set it in group_vars of a group that holds the directors and the real servers",
                )
    return not strangers


def check_membership(member: Members, hostvars: HostVars, groups: Groups, problems: Problems) -> None:
    director = member.pair[0]
    misspelt = director not in groups and any(DIRECTOR_GROUP in hostvars[host] for host in member.hosts)
    if not member.directors and not misspelt:
        near = schema.nearest(director, [group for group in _own_groups(groups) if group not in member.pair])
        also = (
            f", or name yours with {DIRECTOR_GROUP} (is it {near}?)"
            if near
            else f", or name yours with {DIRECTOR_GROUP}"
        )
        problems.add(
            "inventory", f"the group {director} has no hosts: nobody would direct", f"put the directors into it{also}"
        )


def check_failover(member: Members, failover: Any, problems: Problems) -> None:
    """Two hosts that hold the same VIPs answer the same ARP requests: several directors need somebody who decides."""
    if failover == "none" and len(member.directors) > 1:
        problems.add(
            "lvs_failover",
            f"the group {member.pair[0]} has {len(member.directors)} directors and nobody to move the VIPs: every"
            " director would hold them",
            "name one director, or say who moves them: lvs_failover: keepalived, heartbeat, or external where something"
            " else does",
        )


def check_agreement(member: Members, hostvars: HostVars, problems: Problems) -> None:
    """All hosts of a cluster must see the same cluster-wide variables."""
    first = member.hosts[0]
    for item in schema.CLUSTER_VARIABLES:
        if item.name in GROUP_NAMES:
            continue
        default = None if item.default is schema.REQUIRED else item.default
        seen = {host: hostvars[host].get(item.name, default) for host in member.hosts}
        for host, value in seen.items():
            if value is seen[first] or value == seen[first]:
                continue
            wrong = f"is not set here, but on {first}" if value is None else f"differs from what {first} sees"
            problems.add_for(
                host, item.name, wrong, "set it once, in group_vars of a group that holds all hosts of the cluster"
            )


@dataclass(frozen=True)
class Host:
    """A member of the cluster as its own variables describe it."""

    name: str
    addresses: Mapping[str, Address]
    interface: str | None
    weight: int | None
    readable: bool = True
    """False when lvs_address or lvs_vrrp_address was refused: then its absence is no news."""
    vrrp: Mapping[str, Vip] = field(default_factory=dict)
    gateway_interface: str | None = None
    priority: int | None = None
    node_name: str | None = None

    @property
    def node(self) -> str:
        """Return the name that heartbeat knows the director by, which counts without its case."""
        return (self.node_name or self.name).lower()

    def address(self, family: str, forward: str) -> Address | None:
        """Return the address that serves a VIP of the family. Only a tunnel crosses families; "" was refused."""
        own = self.addresses.get(family)
        if own is None and forward in ("tun", ""):
            return next(iter(self.addresses.values()), None)
        return own

    def source(self, family: str) -> str | None:
        """Return where a director's unicast adverts on lvs_interface come from."""
        if family in self.vrrp:
            return str(self.vrrp[family].address)
        if self.gateway_interface not in (None, self.interface):
            return None
        return str(self.addresses[family]) if family in self.addresses else None

    @property
    def networks(self) -> dict[str, Any]:
        """Return the networks of lvs_interface, as far as lvs_vrrp_address says them."""
        return {
            family: ipaddress.ip_network((vip.address, vip.prefix), strict=False)
            for family, vip in self.vrrp.items()
            if vip.prefix is not None
        }

    def as_director(self) -> dict[str, Any]:
        return {
            **self.record(),
            "gateway_interface": self.gateway_interface or self.interface,
            "sources": {family: self.source(family) for family in FAMILIES.values()},
            "node": self.node,
        }

    def record(self) -> dict[str, Any]:
        return {
            **{
                family: str(self.addresses[family]) if family in self.addresses else None
                for family in FAMILIES.values()
            },
            "interface": self.interface,
        }


def read_host(name: str, variables: Mapping[str, Any], problems: Problems) -> Host:
    def report(path: str, wrong: str, mend: str) -> None:
        problems.add_for(name, path, wrong, mend)

    for unknown in (key for key in variables if key not in schema.NAMES):
        advice = f"valid: {', '.join(sorted(schema.NAMES))}"
        report(
            unknown,
            "there is no such variable, and lvs_ names are reserved",
            schema.suggest(unknown, schema.NAMES, advice),
        )
    read = {
        item.name: schema.read_field(item, variables.get(item.name), item.name, report)
        for item in schema.HOST_VARIABLES
    }
    addresses: dict[str, Address] = {}
    listed = read["lvs_address"]
    for address in listed or ():
        if address is UNREADABLE:
            continue
        family = FAMILIES[address.version]
        if family in addresses:
            report(
                "lvs_address", f"has two {FAMILY_WORDS[family]} addresses", "keep the one the other hosts reach it by"
            )
        addresses[family] = address
    readable = all(read[key] is not UNREADABLE and UNREADABLE not in read[key] for key in ADDRESSES)
    vrrp: dict[str, Vip] = {}
    for vip in read["lvs_vrrp_address"] or ():
        if vip:
            family = FAMILIES[vip.address.version]
            if family in vrrp:
                report("lvs_vrrp_address", f"has two {FAMILY_WORDS[family]} addresses", "keep one")
            vrrp[family] = vip
    return Host(
        name,
        addresses,
        read["lvs_interface"] or None,
        known(read["lvs_weight"]),
        readable,
        vrrp,
        read["lvs_gateway_interface"] or None,
        known(read["lvs_priority"]),
        read["lvs_node_name"] or None,
    )


ADDRESSES = ("lvs_address", "lvs_vrrp_address")


def known(value: Any) -> Any:
    return None if value is UNREADABLE else value


def miss_address(host: Host, family: str, duty: str, problems: Problems) -> None:
    if host.readable:
        word = FAMILY_WORDS[family]
        problems.add_for(
            host.name,
            "lvs_address",
            f"there is no {word} address, but the host {duty}",
            f"add the host's own {word} address",
        )
