# SPDX-License-Identifier: GPL-3.0-or-later
"""From every host's ``lvs_*`` variables to clusters: what each service is, who serves it, what each host has to be.

Pure: plain Python values in, plain Python values out, nothing known of Ansible. Either the whole inventory makes sense,
or InventoryError carries every problem found, so that one run of a playbook is enough to learn them all.

What each host needs to know of itself is worked out here, once, not in the view: a view is asked for once a host, and
an inventory of a thousand services must not be walked for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import NOT_YET, UNREADABLE, Address, Vip

FAMILIES = {4: "ipv4", 6: "ipv6"}
FAMILY_WORDS = {"ipv4": "IPv4", "ipv6": "IPv6"}
FULL_PREFIX = {"ipv4": 32, "ipv6": 128}
DIRECTOR_GROUP = "lvs_director_group"
REALSERVER_GROUP = "lvs_realserver_group"
GROUP_NAMES = (DIRECTOR_GROUP, REALSERVER_GROUP)

HostVars = Mapping[str, Mapping[str, Any]]
Groups = Mapping[str, Sequence[str]]
Pair = tuple[str, str]


class InventoryError(Exception):
    """The inventory does not describe clusters that can work. Carries one line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Problems:
    """Collects what is wrong. The same complaint about several hosts becomes one line."""

    def __init__(self) -> None:
        self._lines: set[tuple[str, str]] = set()
        self._by_hosts: dict[tuple[str, str, str], list[str]] = {}

    def add(self, path: str, wrong: str, mend: str) -> None:
        self._lines.add((path, f"{wrong}; {mend}"))

    def add_for(self, host: str, path: str, wrong: str, mend: str) -> None:
        hosts = self._by_hosts.setdefault((path, wrong, mend), [])
        if host not in hosts:
            hosts.append(host)

    def lines(self) -> list[str]:
        """Return all problems in the inventory's order: variables by name, items by number."""
        return [f"{path}: {text}" for path, text in sorted(self._all(), key=_natural)]

    def _all(self) -> set[tuple[str, str]]:
        by_hosts = (
            (f"{path} ({_some(hosts)})", f"{text}; {mend}") for (path, text, mend), hosts in self._by_hosts.items()
        )
        return self._lines.union(by_hosts)

    def absorb(self, other: Problems, prefix: str) -> None:
        """Take over another collection's problems, each path behind the prefix."""
        self._lines.update((prefix + path, text) for path, text in other._all())

    def __bool__(self) -> bool:
        return bool(self._lines or self._by_hosts)


def _natural(line: tuple[str, str]) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", ": ".join(line))
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _some(names: Sequence[str]) -> str:
    if len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


# Who belongs together


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


def _check_groups(hostvars: HostVars, groups: Groups, members: Sequence[Members], problems: Problems) -> None:
    for host, variables in hostvars.items():
        for name in GROUP_NAMES:
            group = variables.get(name)
            if group is not None and group not in groups:
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
    return sorted(group for group in groups if group not in ("all", "ungrouped"))


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


def _check_pairs(member: Members, hostvars: HostVars, problems: Problems) -> bool:
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


# One host


@dataclass(frozen=True)
class Host:
    """A member of the cluster as its own variables describe it."""

    name: str
    addresses: Mapping[str, Address]
    interface: str | None
    weight: int | None
    readable: bool = True
    """False when lvs_address was refused: then its absence is no news."""

    def address(self, family: str, forward: str) -> Address | None:
        """Return the address that serves a VIP of the family. Only a tunnel crosses families; "" was refused."""
        own = self.addresses.get(family)
        if own is None and forward in ("tun", ""):
            return next(iter(self.addresses.values()), None)
        return own

    def record(self) -> dict[str, Any]:
        return {
            **{
                family: str(self.addresses[family]) if family in self.addresses else None
                for family in FAMILIES.values()
            },
            "interface": self.interface,
        }


def _read_host(name: str, variables: Mapping[str, Any], problems: Problems) -> Host:
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
    readable = listed is not UNREADABLE and UNREADABLE not in listed
    return Host(name, addresses, read["lvs_interface"] or None, _known(read["lvs_weight"]), readable)


def _known(value: Any) -> Any:
    return None if value is UNREADABLE else value


# One service


@dataclass(frozen=True)
class RealServer:
    """Who serves, and how much."""

    host: str | None
    address: Address
    port: int
    weight: int
    upper_threshold: int
    lower_threshold: int


@dataclass(frozen=True)
class Service:
    """One VIP and port: a row of the kernel's table."""

    name: str
    entry: str
    path: str
    vip: Address
    prefix: int | None
    port: int
    protocol: str
    forward: str
    tunnel: Mapping[str, Any] | None
    scheduler: str
    scheduler_flags: Sequence[str]
    one_packet: bool
    persistence: Mapping[str, Any] | None
    real_servers: Sequence[RealServer]

    @property
    def family(self) -> str:
        return FAMILIES[self.vip.version]


@dataclass
class Entry:
    """One item of lvs_services while it is judged."""

    path: str
    read: Mapping[str, Any]
    hosts: Mapping[str, Host]
    members: Members
    inventory: Iterable[str]
    problems: Problems
    homeless: dict[tuple[str, str], str]
    """(host, family) without an address -> the first service that needs it: one complaint is enough for a thousand."""
    vips: list[Vip] = field(init=False)
    ports: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.vips = [vip for vip in self.read["vip"] or () if vip is not UNREADABLE]
        listed = self.read["ports"] or (() if self.read["port"] in (None, UNREADABLE) else (self.read["port"],))
        self.ports = list(dict.fromkeys(port for port in listed if port is not UNREADABLE))

    def wrong(self, key: str, wrong: str, mend: str) -> None:
        self.problems.add(self.path + key, wrong, mend)

    @property
    def forward(self) -> str:
        return self.read["forward"] or ""


def _check_entry(entry: Entry, health: Any) -> None:
    _check_ports(entry)
    _check_vips(entry)
    _check_scheduling(entry)
    _check_persistence(entry)
    _check_thresholds(entry, entry.path, entry.read["upper_threshold"], entry.read["lower_threshold"])
    _check_watching(entry, health)
    _check_fallback(entry)
    if entry.read["tunnel"] and entry.forward not in ("tun", ""):
        entry.wrong(".tunnel", f"forward: {entry.forward} has no tunnel", "leave it out, or use forward: tun")


def _check_ports(entry: Entry) -> None:
    port, ports = entry.read["port"], entry.read["ports"]
    if port is not None and ports is not None:
        entry.wrong("", "has both port and ports", "keep one of them")
    elif port is None and ports is None:
        entry.wrong("", "has neither port nor ports", "add port: 80, or ports: [80, 443]")
    elif ports == []:
        entry.wrong(".ports", "is an empty list", "name at least one port")
    if port == 0 and port is not UNREADABLE and entry.read["persistence"] is None:
        entry.wrong(".port", "0 (every port) works with persistence only", "add persistence: 300, or name the ports")
    for again in _repeated(port for port in ports or () if port is not UNREADABLE):
        entry.wrong(".ports", f"{again} is there twice", "keep one")


def _check_vips(entry: Entry) -> None:
    if entry.read["vip"] == []:
        entry.wrong(".vip", "is an empty list", "name at least one address")
    for again in _repeated(vip.address for vip in entry.vips):
        entry.wrong(".vip", f"{again} is there twice", "keep one")


def _check_scheduling(entry: Entry) -> None:
    scheduler = entry.read["scheduler"]
    for index, flag in enumerate(entry.read["scheduler_flags"] or ()):
        if flag and scheduler and flag not in schema.SCHEDULER_FLAGS.get(scheduler, ()):
            own = schema.SCHEDULER_FLAGS.get(scheduler)
            mend = f"use {' or '.join(own)}" if own else f"leave it out, or use scheduler: {flag.partition('-')[0]}"
            entry.wrong(f".scheduler_flags[{index}]", f"{flag} means nothing to the scheduler {scheduler}", mend)
    protocol = entry.read["protocol"]
    if entry.read["one_packet"] and protocol and protocol != "udp":
        entry.wrong(".one_packet", f"has no effect with {protocol}", "leave it out, or use protocol: udp")


def _check_persistence(entry: Entry) -> None:
    persistence = entry.read["persistence"]
    if not persistence:
        return
    netmask, engine, protocol = persistence["netmask"], persistence["engine"], entry.read["protocol"]
    families = {FAMILIES[vip.address.version] for vip in entry.vips}
    if netmask and len(families) > 1:
        entry.wrong(
            ".persistence.netmask",
            "one prefix length cannot suit IPv4 and IPv6 clients",
            "make one entry for each family",
        )
    elif netmask and families == {"ipv4"} and netmask > 32:
        entry.wrong(".persistence.netmask", f"{netmask} is more than an IPv4 address has", "use 1..32")
    if engine and protocol and protocol != "udp":
        entry.wrong(".persistence.engine", f"{engine} works with udp only", "leave it out, or use protocol: udp")


def _check_thresholds(entry: Entry, path: str, upper: Any, lower: Any) -> None:
    if UNREADABLE not in (upper, lower) and lower > upper:
        entry.problems.add(
            f"{path}.lower_threshold",
            f"{lower} is more than the upper_threshold {upper}, and the kernel refuses that",
            "make it smaller, or the upper one larger",
        )


def _check_watching(entry: Entry, health: Any) -> None:
    if health != "none":
        return
    mend = "leave it out, or choose a health engine with lvs_health"
    check = entry.read["check"]
    if check and check["type"] != "none":
        entry.wrong(".check", "nobody would act on it, because lvs_health is none", mend)
    if entry.read["fallback"]:
        entry.wrong(".fallback", "nobody would act on it, because lvs_health is none", mend)


def _check_fallback(entry: Entry) -> None:
    fallback = entry.read["fallback"]
    if not fallback or not fallback["address"]:
        return
    address, port = fallback["address"], fallback["port"]
    forward = fallback["forward"] or entry.forward
    if address.is_loopback:
        entry.wrong(
            ".fallback.address",
            f"{address} cannot answer: its replies never get back to the client",
            "use the director's own address and another port, with forward: nat",
        )
        return
    _check_target(entry, f"{entry.path}.fallback", address, port, forward)


def _check_target(entry: Entry, path: str, address: Address, port: Any, forward: str) -> None:
    """Check what a packet can be forwarded to at all: family and port."""
    problems = entry.problems
    if any(address == vip.address for vip in entry.vips):
        problems.add(f"{path}.address", f"{address} is the VIP itself", "name the server behind it")
        return
    for vip in entry.vips:
        if vip.address.version != address.version and forward and forward != "tun":
            ours, theirs = (FAMILY_WORDS[FAMILIES[one.version]] for one in (vip.address, address))
            problems.add(
                f"{path}.address",
                f"{address} is {theirs} and the VIP {vip.address} is {ours}, which {forward} cannot join",
                "make one entry for each family, or use forward: tun",
            )
    _check_target_port(entry, path, port, forward)


def _check_target_port(entry: Entry, path: str, port: Any, forward: str) -> None:
    if port in (None, UNREADABLE):
        return
    others = [own for own in entry.ports if own != port]
    if forward in ("dr", "tun") and others:
        entry.problems.add(
            f"{path}.port",
            f"{port} differs from the service's port {others[0]}, and {forward} cannot change the port",
            "leave it out and let the server listen on the service's port, or use forward: nat",
        )
    elif port == 0 and others:
        entry.problems.add(f"{path}.port", "0 needs a service with port 0", "leave it out, or name the port")


def _repeated(items: Iterable[Any]) -> list[Any]:
    seen: set[Any] = set()
    return list(dict.fromkeys(item for item in items if item in seen or seen.add(item)))  # type: ignore[func-returns-value]


# Its real servers


@dataclass(frozen=True)
class Wanted:
    """A real server of an entry before its address for one VIP is chosen."""

    path: str
    host: str | None
    address: Address | None
    port: int | None
    weight: int
    upper_threshold: int
    lower_threshold: int


def effective_weight(entry_weight: int | None, host_weight: int | None) -> int:
    """Return the weight of a real server in a service.

    A host in maintenance (lvs_weight 0) gets nothing anywhere. Otherwise the service's own word wins over the host's.
    """
    if host_weight == 0:
        return 0
    if entry_weight is not None:
        return entry_weight
    return 1 if host_weight is None else host_weight


def _wanted(entry: Entry) -> list[Wanted]:
    listed = entry.read["real_servers"]
    if listed is UNREADABLE:
        return []
    if listed is None:
        return _whole_group(entry)
    if not listed:
        entry.wrong(
            ".real_servers", "is an empty list", "leave it out to use the whole real server group, or name some"
        )
    found = (
        _one_wanted(entry, f"{entry.path}.real_servers[{index}]", item) for index, item in enumerate(listed) if item
    )
    return [wanted for wanted in found if wanted]


def _whole_group(entry: Entry) -> list[Wanted]:
    if not entry.members.realservers:
        group = entry.members.pair[1]
        entry.wrong(
            "",
            f"names no real_servers, and the group {group} has no hosts",
            f"put hosts into {group}, or name real_servers by address",
        )
    return [
        Wanted(
            entry.path,
            name,
            None,
            None,
            effective_weight(None, entry.hosts[name].weight),
            entry.read["upper_threshold"] or 0,
            entry.read["lower_threshold"] or 0,
        )
        for name in entry.members.realservers
    ]


def _one_wanted(entry: Entry, path: str, item: Mapping[str, Any]) -> Wanted | None:
    upper, lower = (
        entry.read[key] if item[key] is None else item[key] for key in ("upper_threshold", "lower_threshold")
    )
    if item["upper_threshold"] is not None or item["lower_threshold"] is not None:
        _check_thresholds(entry, path, upper, lower)
    host, address = item["host"], item["address"]
    if host is None and address is None:
        entry.problems.add(
            path, "has neither host nor address", "add host: an inventory host, or address: an IP address"
        )
        return None
    if host is not None and address is not None:
        entry.problems.add(path, "has both host and address", "keep host for an inventory host, address for any other")
        return None
    known = _check_real_host(entry, path, host) if host else _check_real_address(entry, path, address, item["port"])
    if not known:
        return None
    if host:
        _check_target_port(entry, path, item["port"], entry.forward)
    host_weight = entry.hosts[host].weight if host else None
    return Wanted(
        path,
        host,
        address,
        _known(item["port"]),
        effective_weight(_known(item["weight"]), host_weight),
        upper or 0,
        lower or 0,
    )


def _check_real_host(entry: Entry, path: str, host: str) -> bool:
    group = entry.members.pair[1]
    if host in entry.members.realservers:
        return True
    if host in entry.inventory:
        entry.problems.add(
            f"{path}.host",
            f"{host} is not in the group {group}",
            f"put it into {group}, or name it by address to leave it alone",
        )
        return False
    near = schema.nearest(host, entry.inventory)
    other = f"did you mean {near}?" if near else "add it to the inventory, or name it by address"
    entry.problems.add(f"{path}.host", f"{host} is no host of the inventory", other)
    return False


def _check_real_address(entry: Entry, path: str, address: Any, port: Any) -> bool:
    if address is UNREADABLE:
        return False
    for host in entry.hosts.values():
        if host.name in entry.members.realservers and address in host.addresses.values():
            entry.problems.add(
                f"{path}.address", f"{address} is the lvs_address of {host.name}", f"write host: {host.name}"
            )
            return False
    _check_target(entry, path, address, port, entry.forward)
    return True


def _real_servers(entry: Entry, wanted: Sequence[Wanted], vip: Vip, port: int) -> list[RealServer]:
    family = FAMILIES[vip.address.version]
    chosen: dict[tuple[Address, int], RealServer] = {}
    for one in wanted:
        address = one.address or (entry.hosts[one.host].address(family, entry.forward) if one.host else None)
        if address is None:
            entry.homeless.setdefault((one.host or "", family), entry.path)
            continue
        own_port = port if one.port is None else one.port
        twin = chosen.get((address, own_port))
        # Two hosts with one address are the hosts' problem, and reported there.
        if twin and twin.host == one.host:
            name = f"{one.host or address} port {own_port}"
            entry.problems.add(one.path, f"{name} is in this service twice", "keep one of them")
        chosen[address, own_port] = RealServer(
            one.host, address, own_port, one.weight, one.upper_threshold, one.lower_threshold
        )
    return list(chosen.values())


def _miss_address(host: Host, family: str, duty: str, problems: Problems) -> None:
    if host.readable:
        word = FAMILY_WORDS[family]
        problems.add_for(
            host.name,
            "lvs_address",
            f"there is no {word} address, but the host {duty}",
            f"add the host's own {word} address",
        )


def _expand(entry: Entry) -> Iterator[Service]:
    """Make one service of each VIP and port."""
    read = entry.read
    wanted = _wanted(entry)
    tunnel = _tunnel(read["tunnel"]) if entry.forward == "tun" else None
    for vip in entry.vips:
        for port in entry.ports:
            yield Service(
                name=_service_name(read["name"], vip, entry.vips, port, entry.ports),
                entry=str(read["name"]),
                path=entry.path,
                vip=vip.address,
                prefix=vip.prefix,
                port=port,
                protocol=read["protocol"],
                forward=entry.forward,
                tunnel=tunnel,
                scheduler=read["scheduler"],
                scheduler_flags=sorted(flag for flag in read["scheduler_flags"] or () if flag),
                one_packet=bool(read["one_packet"]),
                persistence=_persistence(read["persistence"], FAMILIES[vip.address.version]),
                real_servers=_real_servers(entry, wanted, vip, port),
            )


def _tunnel(read: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"type": (read or {}).get("type") or "ipip", "port": None, "checksum": False}


def _persistence(read: Any, family: str) -> dict[str, Any] | None:
    if not read:
        return None
    netmask = _known(read["netmask"])
    return {
        "timeout": read["timeout"] or 0,
        "netmask": FULL_PREFIX[family] if netmask is None else netmask,
        "engine": _known(read["engine"]),
    }


def _service_name(name: Any, vip: Vip, vips: Sequence[Vip], port: int, ports: Sequence[int]) -> str:
    """Make a name that says only what tells the services of one entry apart."""
    parts = [str(name)]
    if len(vips) > 1:
        alone = sum(1 for other in vips if other.address.version == vip.address.version) == 1
        parts.append(FAMILIES[vip.address.version] if alone else str(vip.address))
    if len(ports) > 1:
        parts.append(str(port))
    return "-".join(parts)


# One cluster


def build(hostvars: HostVars, groups: Groups) -> dict[str, Any]:
    """Return {clusters: {name: Cluster}, hosts: {host: name}}, or raise InventoryError with every problem found.

    hostvars holds each host's ``lvs_*`` variables, already templated; groups the hosts of each group, in order.
    """
    problems = Problems()
    members = find_members(hostvars, groups)
    _check_groups(hostvars, groups, members, problems)
    clusters: dict[str, dict[str, Any]] = {}
    hosts: dict[str, str] = {}
    for member in members:
        own = Problems()
        if _check_pairs(member, hostvars, own):
            clusters[member.name] = _build_cluster(member, hostvars, groups, own)
            hosts.update(dict.fromkeys(member.hosts, member.name))
        problems.absorb(own, f"[{member.name}] " if len(members) > 1 else "")
    lines = problems.lines()
    if lines:
        raise InventoryError(lines)
    return {"clusters": clusters, "hosts": hosts}


def _build_cluster(member: Members, hostvars: HostVars, groups: Groups, problems: Problems) -> dict[str, Any]:
    _check_membership(member, hostvars, groups, problems)
    _check_agreement(member, hostvars, problems)
    hosts = {name: _read_host(name, hostvars[name], problems) for name in member.hosts}
    shared = hostvars[member.hosts[0]]
    settings = {
        item.name: schema.read_field(item, shared.get(item.name), item.name, problems.add)
        for item in schema.CLUSTER_VARIABLES
    }
    if settings["lvs_services"] == []:
        problems.add("lvs_services", "is an empty list", "describe at least one service")
    services = _services(settings, member, hosts, hostvars, problems)
    _check_services(services, problems)
    _check_hosts(member, hosts, services, problems)
    complete = _with_prefixes(services, problems)
    return {} if problems else _as_cluster(member, hosts, settings, complete)


def _check_membership(member: Members, hostvars: HostVars, groups: Groups, problems: Problems) -> None:
    director, realserver = member.pair
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
    for host in member.directors:
        if host in member.realservers:
            problems.add(
                "inventory",
                f"{host} is in {director} and in {realserver}: a director that is a real server too is {NOT_YET}",
                "take it out of one of them",
            )


def _check_agreement(member: Members, hostvars: HostVars, problems: Problems) -> None:
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


def _services(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    inventory: Iterable[str],
    problems: Problems,
) -> list[Service]:
    services: list[Service] = []
    names: dict[str, str] = {}
    homeless: dict[tuple[str, str], str] = {}
    for index, read in enumerate(settings["lvs_services"] or ()):
        if not read:
            continue
        path = f"lvs_services[{index}]" + (f" ({read['name']})" if read["name"] else "")
        if read["name"] in names:
            problems.add(
                f"{path}.name", f"{read['name']} is the name of {names[read['name']]} too", "give it a name of its own"
            )
        elif read["name"]:
            names[read["name"]] = path
        entry = Entry(path, read, hosts, member, inventory, problems, homeless)
        _check_entry(entry, settings["lvs_health"])
        services.extend(_expand(entry))
    for (host, family), path in homeless.items():
        _miss_address(hosts[host], family, f"is a real server of {path}", problems)
    return services


def _check_services(services: Sequence[Service], problems: Problems) -> None:
    """Check what two services of a cluster cannot share."""
    keys: dict[tuple[Any, ...], Service] = {}
    names: dict[str, Service] = {}
    for service in services:
        key = (service.vip, service.port, service.protocol)
        other = keys.setdefault(key, service)
        if service.protocol and other.path != service.path:
            what = f"{service.vip} port {service.port} {service.protocol}"
            problems.add(
                service.path, f"{what} is served by {other.path} already", "keep one of them, or change vip or port"
            )
        twin = names.setdefault(service.name, service)
        # The entries' own names were compared before; this is about names made from VIP and port.
        if twin.path != service.path and twin.entry != service.entry:
            problems.add(
                service.path,
                f"the name {service.name} is made for a service of {twin.path} too",
                "give it another name",
            )


def _with_prefixes(services: Sequence[Service], problems: Problems) -> list[tuple[Service, int]]:
    """Give each VIP one prefix length: the one a service says, else the full one."""
    said: dict[Address, Service] = {}
    for service in services:
        if service.prefix is None:
            continue
        other = said.setdefault(service.vip, service)
        if other.prefix != service.prefix:
            problems.add(
                f"{service.path}.vip",
                f"{service.vip} has the prefix length {service.prefix} here and {other.prefix} in {other.path}",
                "say the same, or say it once",
            )
    return [
        (service, said[service.vip].prefix or 0 if service.vip in said else FULL_PREFIX[service.family])
        for service in services
    ]


def _check_hosts(member: Members, hosts: Mapping[str, Host], services: Sequence[Service], problems: Problems) -> None:
    vips: dict[Address, str] = {}
    families: dict[str, str] = {}
    for service in services:
        vips.setdefault(service.vip, service.path)
        families.setdefault(service.family, service.path)
    for name in member.directors:
        _check_director(hosts[name], families, problems)
    owners: dict[Address, str] = {}
    for host in hosts.values():
        for address in host.addresses.values():
            if address in vips:
                problems.add_for(
                    host.name,
                    "lvs_address",
                    f"{address} is the VIP of {vips[address]}",
                    "write the host's own address: the VIP is one more",
                )
            owner = owners.setdefault(address, host.name)
            if owner != host.name:
                problems.add_for(
                    host.name, "lvs_address", f"{address} is the address of {owner} too", "each host has its own"
                )
    _check_outsiders(services, vips, problems)


def _check_director(host: Host, families: Mapping[str, str], problems: Problems) -> None:
    if host.interface is None:
        problems.add_for(
            host.name,
            "lvs_interface",
            "is missing on a director",
            "name the interface that faces the clients, for example eth0",
        )
    for family, path in families.items():
        if family not in host.addresses and host.readable:
            _miss_address(host, family, f"directs {path}", problems)


def _check_outsiders(services: Sequence[Service], vips: Mapping[Address, str], problems: Problems) -> None:
    """A real server named by address must not be a VIP of another service: that lives on the director."""
    for service in services:
        for server in service.real_servers:
            if server.host is None and server.address in vips and server.address != service.vip:
                path = vips[server.address]
                if path != service.path:
                    problems.add(
                        service.path,
                        f"the real server {server.address} is the VIP of {path}",
                        "name the servers behind it",
                    )


# The values that leave


def _as_cluster(
    member: Members, hosts: Mapping[str, Host], settings: Mapping[str, Any], services: Sequence[tuple[Service, int]]
) -> dict[str, Any]:
    plain = [service for service, _ in services]
    return {
        "name": member.name,
        "health": settings["lvs_health"],
        "failover": settings["lvs_failover"],
        "removed": settings["lvs_removed"],
        "directors": {name: hosts[name].record() for name in member.directors},
        "realservers": _realserver_records(member, hosts, plain),
        "vips": _vips(services),
        "forwards": _forwards((service.family, service.forward) for service in plain),
        "schedulers": sorted({str(service.scheduler) for service in plain}),
        "services": [_as_service(service, prefix) for service, prefix in services],
        "table": [_as_row(service) for service in plain],
    }


def _vips(services: Sequence[tuple[Service, int]]) -> list[dict[str, Any]]:
    unique = {
        service.vip: {"address": str(service.vip), "prefix": prefix, "family": service.family}
        for service, prefix in services
    }
    return list(unique.values())


def _forwards(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    unique = set(pairs)
    return {family: sorted(forward for own, forward in unique if own == family) for family in FAMILIES.values()}


def _realserver_records(
    member: Members, hosts: Mapping[str, Host], services: Sequence[Service]
) -> dict[str, dict[str, Any]]:
    duties = {name: Duties() for name in member.realservers}
    for service in services:
        for server in service.real_servers:
            if server.host is not None:
                duties[server.host].add(service, server)
    return {
        name: {**hosts[name].record(), "weight": hosts[name].weight, **duties[name].record()}
        for name in member.realservers
    }


class Duties:
    """What serving asks of one real server: VIPs to hold unseen, replies to send through the director."""

    def __init__(self) -> None:
        self._hidden: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._flows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._forwards: set[tuple[str, str]] = set()

    def add(self, service: Service, server: RealServer) -> None:
        self._forwards.add((service.family, service.forward))
        if service.forward == "nat":
            flow = {
                "family": service.family,
                "address": str(server.address),
                "protocol": service.protocol,
                "port": server.port,
            }
            self._flows.setdefault(tuple(flow.values()), flow)
            return
        kind = service.tunnel["type"] if service.tunnel else None
        outer = FAMILIES[server.address.version]
        self._hidden.setdefault(
            (service.vip, service.forward, kind, outer),
            {
                "address": str(service.vip),
                "family": service.family,
                "forward": service.forward,
                "tunnel": dict(service.tunnel) if service.tunnel else None,
                "outer": outer,
            },
        )

    def record(self) -> dict[str, Any]:
        return {
            "hidden_vips": list(self._hidden.values()),
            "nat_flows": list(self._flows.values()),
            "forwards": _forwards(self._forwards),
        }


def _as_service(service: Service, prefix: int) -> dict[str, Any]:
    return {
        "name": service.name,
        "path": service.path,
        "family": service.family,
        "vip": str(service.vip),
        "prefix": prefix,
        "protocol": service.protocol,
        "port": service.port,
        "forward": service.forward,
        "tunnel": dict(service.tunnel) if service.tunnel else None,
        "real_servers": [
            {"host": server.host, "address": str(server.address), "port": server.port, "weight": server.weight}
            for server in service.real_servers
        ],
    }


def _as_row(service: Service) -> dict[str, Any]:
    """Return the row as the ipvs module takes it: complete, so that what nobody says returns to its default."""
    tunnel = {"tunnel": {"type": service.tunnel["type"]}} if service.tunnel else {}
    return {
        "address": str(service.vip),
        "port": service.port,
        "protocol": service.protocol,
        "scheduler": service.scheduler,
        "scheduler_flags": list(service.scheduler_flags),
        "one_packet": service.one_packet,
        "persistence": dict(service.persistence) if service.persistence else None,
        "real_servers": [
            {
                "address": str(server.address),
                "port": server.port,
                "forward": service.forward,
                "weight": server.weight,
                "upper_threshold": server.upper_threshold,
                "lower_threshold": server.lower_threshold,
                **tunnel,
            }
            for server in service.real_servers
        ],
    }
