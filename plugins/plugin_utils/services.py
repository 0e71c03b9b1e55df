# SPDX-License-Identifier: GPL-3.0-or-later
"""What is served: each item of lvs_services is judged, and becomes one service for every VIP and port.

An item with a firewall mark becomes one for every family instead, and its VIPs, networks and ports are what belongs to
it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema, watching
from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import Network
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import (
    FAMILIES,
    FAMILY_WORDS,
    FULL_PREFIX,
    Host,
    Members,
    known,
    miss_address,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Address, Vip
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_services import ANY_PROTOCOL, GUE_PORT

WIDEST = {4: 8, 6: 16}
"""The shortest prefix of a network that real servers can take in whole; everything is no network."""

PROTOCOL = "tcp"
"""The one that an entry has which says none."""

Ports = tuple[int, int]
"""The first and the last of a range, most often the same. (0, 0) is every port."""

EVERY_PORT: Ports = (0, 0)


@dataclass(frozen=True)
class RealServer:
    """Who serves, and how much."""

    host: str | None
    address: Address
    port: int
    weight: int
    upper_threshold: int
    lower_threshold: int
    lines: str | None = None
    """What the operator adds to it in the health engine's own file."""


@dataclass(frozen=True)
class Service:
    """One VIP and port, or one firewall mark: a row of the kernel's table."""

    name: str
    entry: str
    path: str
    family: str
    vips: Sequence[Vip]
    """What clients use: without a mark exactly one."""
    networks: Sequence[Network]
    """What clients use in place of VIPs."""
    clients: Sequence[Network]
    """Whose packets these are; empty for everybody's."""
    ports: Sequence[Ports]
    """What clients use: without a mark exactly one port, none where only a mark set elsewhere says it."""
    protocol: str | None
    """None for every one, and where only a mark set elsewhere says it."""
    vipless: bool
    """Directors hold none of its addresses, and take in what has its mark."""
    by_mark: bool
    group: bool
    """The mark is ours to set."""
    fwmark: int | None
    """None for a group that has none yet."""
    forward: str
    tunnel: Mapping[str, Any] | None
    helper: str | None
    scheduler: str
    scheduler_flags: Sequence[str]
    one_packet: bool
    persistence: Mapping[str, Any] | None
    real_servers: Sequence[RealServer]
    watched: Mapping[str, Any]
    """What a health engine has to know of it."""

    def replies_from(self, port: int) -> Sequence[Ports]:
        """Return the ports from which a NAT real server answers that listens on this one."""
        if self.by_mark:
            # The server answers from the ports that clients name.
            return self.ports or [EVERY_PORT]
        return [EVERY_PORT if self.helper else (port, port)]


def read_services(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    inventory: Iterable[str],
    problems: Problems,
) -> list[Service]:
    """Read, judge and expand every item of lvs_services."""
    services: list[Service] = []
    names: dict[str, str] = {}
    homeless: dict[tuple[str, str], str] = {}
    owners = {address: host.name for host in hosts.values() for address in host.addresses.values()}
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
        entry = Entry(path, read, hosts, member, inventory, problems, homeless, owners)
        _check_entry(entry, settings["lvs_health"])
        services.extend(_expand(entry, bool(settings["lvs_vipless"])))
    for (host, family), path in homeless.items():
        miss_address(hosts[host], family, f"is a real server of {path}", problems)
    return services


def check_services(services: Sequence[Service], owners: Mapping[str, str], problems: Problems) -> None:
    """Check which names and marks two services of a cluster cannot share.

    :param owners: whose of the cluster's real servers an address is.
    """
    marks: dict[tuple[Any, ...], Service] = {}
    names: dict[str, Service] = {}
    _check_gre(services, owners, problems)
    for service in services:
        other = marks.setdefault((service.fwmark, service.family), service)
        if service.fwmark and other.path != service.path:
            problems.add(
                f"{service.path}.fwmark",
                f"{service.fwmark} is the {FAMILY_WORDS[service.family]} mark of {other.path} too",
                "give each a mark of its own",
            )
        twin = names.setdefault(service.name, service)
        # The entries' own names were compared before; this is about names made from VIP and port.
        if twin.path != service.path and twin.entry != service.entry:
            problems.add(
                service.path,
                f"the name {service.name} is made for a service of {twin.path} too",
                "give it another name",
            )


def _check_gre(services: Sequence[Service], owners: Mapping[str, str], problems: Problems) -> None:
    """Report hosts that would need gre devices with and without checksums: the kernel tells them by address alone."""
    first: dict[tuple[str, int], Service] = {}
    for service in services:
        tunnel = service.tunnel
        if not tunnel or tunnel["type"] != "gre":
            continue
        takers = [(server.host, server.address.version) for server in service.real_servers if server.host]
        fallback = service.watched["fallback"]
        if fallback and fallback["forward"] == "tun" and fallback["address"] in owners:
            takers.append((owners[fallback["address"]], ipaddress.ip_address(fallback["address"]).version))
        for taker in takers:
            other = first.setdefault(taker, service)
            if other.tunnel and other.tunnel["checksum"] != tunnel["checksum"]:
                problems.add_for(
                    taker[0],
                    f"{service.path}.tunnel.checksum",
                    f"is not what {other.path} says, and a real server takes gre packets of one sort only",
                    "say the same in both, or use type: gue",
                )


def prefixes(services: Sequence[Service], problems: Problems) -> dict[Address, int]:
    """Return one prefix length for each VIP that has one: services must agree."""
    said: dict[Address, tuple[int, str]] = {}
    for service in services:
        for vip in service.vips:
            if vip.prefix is None:
                continue
            length, path = said.setdefault(vip.address, (vip.prefix, service.path))
            if length != vip.prefix:
                problems.add(
                    f"{service.path}.vip",
                    f"{vip.address} has the prefix length {vip.prefix} here and {length} in {path}",
                    "say the same, or say it once",
                )
    return {address: length for address, (length, _) in said.items()}


# One entry


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
    owners: Mapping[Address, str]
    """Whose address is whose, among the cluster's hosts."""
    vips: list[Vip] = field(init=False)
    networks: list[Network] = field(init=False)
    clients: list[Network] = field(init=False)
    ports: list[Ports] = field(init=False)

    def __post_init__(self) -> None:
        self.vips, self.networks, self.clients = (
            [one for one in self.read[key] or () if one is not UNREADABLE] for key in ("vip", "network", "clients")
        )
        port = self.read["port"]
        listed = self.read["ports"] or (() if port in (None, UNREADABLE) else ((port, port),))
        self.ports = list(dict.fromkeys(span for span in listed if span is not UNREADABLE))
        if self.marked_elsewhere:
            self.ports = [EVERY_PORT]

    def wrong(self, key: str, wrong: str, mend: str) -> None:
        self.problems.add(self.path + key, wrong, mend)

    @property
    def forward(self) -> str:
        return self.read["forward"] or ""

    @property
    def group(self) -> bool:
        """Tell whether the mark is ours to set."""
        return bool(self.read["group"]) or self.read["network"] is not None

    @property
    def by_mark(self) -> bool:
        return self.group or self.read["fwmark"] is not None

    @property
    def marked_elsewhere(self) -> bool:
        return self.by_mark and not self.group

    @property
    def port(self) -> int:
        """The first port, 0 where there is none to name."""
        return self.ports[0][0] if self.ports else 0

    @property
    def protocol(self) -> Any:
        """None for every one, and where only a mark says it."""
        return None if self.marked_elsewhere or self.read["protocol"] == ANY_PROTOCOL else self.read["protocol"]

    @property
    def families(self) -> list[str]:
        if self.marked_elsewhere:
            return [self.read["family"] or "ipv4"]
        versions = [network.version for network in self.networks] or [vip.address.version for vip in self.vips]
        return list(dict.fromkeys(FAMILIES[version] for version in versions))


def _check_entry(entry: Entry, health: Any) -> None:
    if entry.marked_elsewhere:
        _check_marked_elsewhere(entry)
    else:
        _check_ports(entry)
    if entry.read["network"] is None:
        _check_vips(entry)
    else:
        _check_networks(entry)
    _check_clients(entry)
    _check_scheduling(entry)
    _check_persistence(entry)
    _check_thresholds(entry, entry.path, entry.read["upper_threshold"], entry.read["lower_threshold"])
    watching.check_watching(entry, health)
    _check_fallback(entry)
    _check_tunnel(entry)
    _check_helper(entry)


def _check_tunnel(entry: Entry) -> None:
    tunnel = entry.read["tunnel"]
    if not tunnel:
        return
    if entry.forward not in ("tun", ""):
        entry.wrong(".tunnel", f"forward: {entry.forward} has no tunnel", "leave it out, or use forward: tun")
        return
    kind = tunnel["type"]
    if kind and kind != "gue" and known(tunnel["port"]) is not None:
        entry.wrong(".tunnel.port", f"{kind} has no port", "leave it out, or use type: gue")
    if kind == "ipip" and tunnel["checksum"]:
        entry.wrong(".tunnel.checksum", "ipip has no checksum", "leave it out, or use type: gue or gre")
    if tunnel["mss"] and entry.protocol in ("udp", "sctp"):
        entry.wrong(".tunnel.mss", f"has no effect with {entry.protocol}: it is TCP's", "leave it out")


def _check_helper(entry: Entry) -> None:
    """The kernel binds its helper to NAT connections of a TCP port, and to no other."""
    if not entry.read["helper"]:
        return
    otherwise = (
        "leave it out; with group: true, port: 0 and persistence a client's data connections go to its real server too"
    )
    wrong = []
    if entry.forward not in ("nat", ""):
        wrong.append(f"it rewrites what is said, and with forward: {entry.forward} the director sees one side only")
    if entry.by_mark:
        wrong.append("the kernel finds it by the service's port, and a service by firewall mark has none")
    elif entry.ports and (len(entry.ports) > 1 or EVERY_PORT in entry.ports):
        wrong.append("it is for a service of one port")
    if not entry.by_mark and entry.protocol not in (PROTOCOL, UNREADABLE):
        wrong.append(f"FTP's sessions are tcp, and the service is {entry.protocol}")
    for one in wrong:
        entry.wrong(".helper", one, otherwise)


def _check_marked_elsewhere(entry: Entry) -> None:
    for key in ("port", "ports"):
        if entry.read[key] is not None:
            entry.wrong(
                f".{key}",
                "the fwmark says all: whatever carries it is balanced, and goes to the port that the client named",
                "leave it out, or add group: true to have the packets of these ports marked",
            )
    if entry.read["protocol"] not in (PROTOCOL, UNREADABLE):
        entry.wrong(".protocol", "the fwmark says all, whatever the protocol", "leave it out, or add group: true")
    (family,) = entry.families
    for vip in entry.vips:
        own = FAMILIES[vip.address.version]
        if own != family and entry.read["family"] is not UNREADABLE:
            entry.wrong(
                ".vip",
                f"{vip.address} is {FAMILY_WORDS[own]}, and the fwmark counts for {FAMILY_WORDS[family]}",
                f"use family: {own}, or make one entry for each family",
            )


def _check_ports(entry: Entry) -> None:
    if entry.read["family"]:
        entry.wrong(".family", "goes with a fwmark that stands alone; elsewhere the VIPs say it", "leave it out")
    if entry.read["protocol"] == ANY_PROTOCOL and not entry.by_mark:
        entry.wrong(
            ".protocol",
            f"{ANY_PROTOCOL} goes with group or network: a row by VIP and port has one protocol",
            "make an entry for each protocol, or use group: true",
        )
    port, ports = entry.read["port"], entry.read["ports"]
    if port is not None and ports is not None:
        entry.wrong("", "has both port and ports", "keep one of them")
    elif port is None and ports is None:
        entry.wrong("", "has neither port nor ports", "add port: 80, or ports: [80, 443]")
    elif ports == []:
        entry.wrong(".ports", "is an empty list", "name at least one port")
    if port == 0 and port is not UNREADABLE and entry.read["persistence"] is None and not entry.by_mark:
        entry.wrong(".port", "0 (every port) works with persistence only", "add persistence: 300, or name the ports")
    _check_spans(entry, [span for span in ports or () if span is not UNREADABLE])


def span_words(span: Ports) -> str:
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _check_spans(entry: Entry, spans: Sequence[Ports]) -> None:
    for again in _repeated(spans):
        entry.wrong(".ports", f"{span_words(again)} is there twice", "keep one")
    widest: Ports | None = None
    for span in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if span[0] != span[1] and not entry.by_mark:
            entry.wrong(
                ".ports",
                f"{span_words(span)} is a range, and a row by VIP and port has one port",
                "name single ports, or use group: true",
            )
        if widest and span[0] <= widest[1]:
            entry.wrong(".ports", f"{span_words(span)} and {span_words(widest)} have ports in common", "name each once")
        if widest is None or span[1] > widest[1]:
            widest = span
    if not entry.by_mark:
        entry.ports = [span for span in entry.ports if span[0] == span[1]]


def _check_vips(entry: Entry) -> None:
    if entry.read["vip"] is None and not entry.marked_elsewhere:
        entry.wrong(".vip", "is missing", "add vip: the address that clients use, or a list of them")
    if entry.read["vip"] == []:
        entry.wrong(".vip", "is an empty list", "name at least one address")
    for again in _repeated(vip.address for vip in entry.vips):
        entry.wrong(".vip", f"{again} is there twice", "keep one")


def _check_networks(entry: Entry) -> None:
    if entry.read["vip"] is not None:
        entry.wrong(".network", "stands in place of vip, and both are there", "keep one, or make an entry for each")
    _check_nested(entry, "network", entry.networks)
    for network in entry.networks:
        if 0 < network.prefixlen < WIDEST[network.version]:
            entry.wrong(
                ".network",
                f"{network} is more than a network, and real servers would take all of it for their own",
                f"name networks of /{WIDEST[network.version]} and longer, or {network.supernet(new_prefix=0)}",
            )


def _check_nested(entry: Entry, key: str, networks: Sequence[Network]) -> None:
    if entry.read[key] == []:
        entry.wrong(f".{key}", "is an empty list", "name at least one network")
    for again in _repeated(networks):
        entry.wrong(f".{key}", f"{again} is there twice", "keep one")
    for one in dict.fromkeys(networks):
        for other in dict.fromkeys(networks):
            if one != other and one.version == other.version and one.subnet_of(other):  # type: ignore[arg-type]
                entry.wrong(f".{key}", f"{one} is in {other} already", "keep one of them")


def _check_clients(entry: Entry) -> None:
    if entry.read["clients"] is None:
        return
    if not entry.group:
        why = "somebody else sets it" if entry.marked_elsewhere else "a row by VIP and port is for everybody"
        entry.wrong(
            ".clients", f"are told apart by a mark that directors set, and {why}", "leave it out, or use group: true"
        )
        return
    _check_nested(entry, "clients", entry.clients)
    theirs = [FAMILIES[network.version] for network in entry.clients]
    for family in entry.families if theirs else ():
        if family not in theirs and len(entry.clients) == len(entry.read["clients"]):
            everybody = "0.0.0.0/0" if family == "ipv4" else "::/0"
            entry.wrong(
                ".clients",
                f"has no {FAMILY_WORDS[family]} network, and the service is {FAMILY_WORDS[family]} too",
                f"add one ({everybody} is everybody), or make an entry for each family",
            )
    for network, family in zip(entry.clients, theirs):
        if entry.families and family not in entry.families:
            entry.wrong(".clients", f"{network} is {FAMILY_WORDS[family]}, and the service is not", "leave it out")


def _check_scheduling(entry: Entry) -> None:
    scheduler = entry.read["scheduler"]
    for index, flag in enumerate(entry.read["scheduler_flags"] or ()):
        if flag and scheduler and flag not in schema.SCHEDULER_FLAGS.get(scheduler, ()):
            own = schema.SCHEDULER_FLAGS.get(scheduler)
            mend = f"use {' or '.join(own)}" if own else f"leave it out, or use scheduler: {flag.partition('-')[0]}"
            entry.wrong(f".scheduler_flags[{index}]", f"{flag} means nothing to the scheduler {scheduler}", mend)
    protocol = entry.protocol
    if entry.read["one_packet"] and protocol and protocol != "udp":
        entry.wrong(".one_packet", f"has no effect with {protocol}", "leave it out, or use protocol: udp")


def _check_persistence(entry: Entry) -> None:
    persistence = entry.read["persistence"]
    if not persistence:
        return
    netmask, engine, protocol = persistence["netmask"], persistence["engine"], entry.protocol
    families = entry.families
    if netmask and len(families) > 1:
        entry.wrong(
            ".persistence.netmask",
            "one prefix length cannot suit IPv4 and IPv6 clients",
            "make one entry for each family",
        )
    elif netmask and families == ["ipv4"] and netmask > 32:
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
            # One that stands by gets no answer back to the client either.
            "name a server that is no director"
            if len(entry.members.directors) > 1
            else "use the director's own address and another port, with forward: nat",
        )
        return
    _check_target(entry, f"{entry.path}.fallback", address, port, forward)


def _check_target(entry: Entry, path: str, address: Address, port: Any, forward: str) -> None:
    """Check what a packet can be forwarded to at all: family and port."""
    problems = entry.problems
    if any(address == vip.address for vip in entry.vips):
        problems.add(f"{path}.address", f"{address} is the VIP itself", "name the server behind it")
        return
    theirs = FAMILIES[address.version]
    sides = [(f"the VIP {vip.address}", FAMILIES[vip.address.version]) for vip in entry.vips]
    sides += [(f"the network {network}", FAMILIES[network.version]) for network in entry.networks]
    for side, ours in sides or [("the fwmark's family", family) for family in entry.families]:
        if ours != theirs and forward and forward != "tun":
            problems.add(
                f"{path}.address",
                f"{address} is {FAMILY_WORDS[theirs]} and {side} is {FAMILY_WORDS[ours]}, which {forward} cannot join",
                "make one entry for each family, or use forward: tun",
            )
    _check_target_port(entry, path, port, forward)


def _check_target_port(entry: Entry, path: str, port: Any, forward: str) -> None:
    if port is None or port is UNREADABLE:
        return
    if entry.by_mark:
        entry.problems.add(
            f"{path}.port",
            "a service by firewall mark reaches every server on the port that the client named",
            "leave it out; where a server needs another port, make services by vip and port",
        )
        return
    others = [own for own, _ in entry.ports if own != port]
    if forward in ("dr", "tun") and others:
        entry.problems.add(
            f"{path}.port",
            f"{port} differs from the service's port {others[0]}, and {forward} cannot change the port",
            "use forward: nat, or leave it out and set realserver_redirect on the server",
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
    lines: str | None = None


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
    if host is UNREADABLE:
        return None
    usable = _check_real_host(entry, path, host) if host else _check_real_address(entry, path, address, item["port"])
    if not usable:
        return None
    if host:
        _check_target_port(entry, path, item["port"], entry.forward)
    host_weight = entry.hosts[host].weight if host else None
    return Wanted(
        path,
        host,
        address,
        known(item["port"]),
        effective_weight(known(item["weight"]), host_weight),
        upper or 0,
        lower or 0,
        known(item["keepalived"]) or known(item["ldirectord"]),
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
    owner = entry.owners.get(address)
    if owner is None:
        _check_target(entry, path, address, port, entry.forward)
        return True
    mend = f"write host: {owner}"
    if owner not in entry.members.realservers:
        mend = f"put it into the group {entry.members.pair[1]} too, and {mend}"
    entry.problems.add(f"{path}.address", f"{address} is the lvs_address of {owner}", mend)
    return False


def _real_servers(entry: Entry, wanted: Sequence[Wanted], family: str, port: int) -> list[RealServer]:
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
            name = f"{one.host or address}" + ("" if entry.by_mark else f" port {own_port}")
            entry.problems.add(one.path, f"{name} is in this service twice", "keep one of them")
        chosen[address, own_port] = RealServer(
            one.host, address, own_port, one.weight, one.upper_threshold, one.lower_threshold, one.lines
        )
    return list(chosen.values())


# What it becomes


def _expand(entry: Entry, vipless: bool) -> Iterator[Service]:
    """Make one service of each VIP and port, or of each family with a mark."""
    read = entry.read
    wanted = _wanted(entry)
    tunnel = _tunnel(read["tunnel"]) if entry.forward == "tun" else None

    def own(networks: Sequence[Network], family: str) -> list[Network]:
        return [network for network in networks if FAMILIES[network.version] == family]

    for name, family, vips, ports in _parts(entry):
        port = 0 if entry.by_mark else ports[0][0]
        yield Service(
            name=name,
            entry=str(read["name"]),
            path=entry.path,
            family=family,
            vips=vips,
            networks=own(entry.networks, family),
            clients=own(entry.clients, family),
            ports=ports,
            protocol=entry.protocol,
            vipless=bool(entry.networks) or (vipless and entry.by_mark),
            by_mark=entry.by_mark,
            group=entry.group,
            fwmark=known(read["fwmark"]),
            forward=entry.forward,
            tunnel=tunnel,
            helper=known(read["helper"]),
            scheduler=read["scheduler"],
            scheduler_flags=sorted(flag for flag in read["scheduler_flags"] or () if flag),
            one_packet=bool(read["one_packet"]),
            persistence=_persistence(read["persistence"], family),
            real_servers=_real_servers(entry, wanted, family, port),
            watched=watching.watched(entry, port),
        )


def _parts(entry: Entry) -> Iterator[tuple[str, str, list[Vip], list[Ports]]]:
    """Yield name, family, VIPs and ports of each service of an entry."""
    name = entry.read["name"]
    if not entry.by_mark:
        for vip in entry.vips:
            for span in entry.ports:
                family = FAMILIES[vip.address.version]
                yield _service_name(name, vip, entry.vips, span[0], entry.ports), family, [vip], [span]
    elif entry.ports:
        for family in entry.families:
            own = [vip for vip in entry.vips if FAMILIES[vip.address.version] == family]
            ports = [] if entry.marked_elsewhere else entry.ports
            yield f"{name}-{family}" if len(entry.families) > 1 else str(name), family, own, ports


def _tunnel(read: Mapping[str, Any] | None) -> dict[str, Any]:
    read = read or schema.TUNNEL.defaults()
    kind = read["type"] or "ipip"
    port = (known(read["port"]) or GUE_PORT) if kind == "gue" else None
    return {"type": kind, "port": port, "checksum": bool(read["checksum"]), "mss": known(read["mss"])}


def _persistence(read: Any, family: str) -> dict[str, Any] | None:
    if not read:
        return None
    netmask = known(read["netmask"])
    return {
        "timeout": read["timeout"] or 0,
        "netmask": FULL_PREFIX[family] if netmask is None else netmask,
        # The module reads null as "not named" and would keep an engine that the kernel still has.
        "engine": known(read["engine"]) or "",
    }


def _service_name(name: Any, vip: Vip, vips: Sequence[Vip], port: int, ports: Sequence[Ports]) -> str:
    """Make a name that says only what tells the services of one entry apart."""
    parts = [str(name)]
    if len(vips) > 1:
        alone = sum(1 for other in vips if other.address.version == vip.address.version) == 1
        parts.append(FAMILIES[vip.address.version] if alone else str(vip.address))
    if len(ports) > 1:
        parts.append(str(port))
    return "-".join(parts)
