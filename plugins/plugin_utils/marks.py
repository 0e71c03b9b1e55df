# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall marks: which one a group of ports and addresses gets, and which packets of the network carry it.

The only place that knows nftables' words for packets; what stands around them is the host module's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.claims import Claim, claims_of
from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import Address, Network, network_words
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import EVERY_PORT, Service, span_words

BITS = 24
"""What a mark of ours is made of: small enough for every program that prints marks as signed numbers."""

TRIES = 1000
WORDS = {"ipv4": "ip", "ipv6": "ip6"}
PROTOCOLS = ("tcp", "udp", "sctp")
"""Those that IPVS balances."""


def with_marks(services: Sequence[Service], settings: Mapping[str, Any], problems: Problems) -> list[Service]:
    """Give a mark to every group that says none of its own."""
    ranges = [one for one in settings["lvs_fwmark_reserved"] or () if one is not UNREADABLE]
    marks = _assign(services, lambda mark: any(first <= mark <= last for first, last in ranges))
    for (entry, _), mark in marks.items():
        if mark is None:
            problems.add(
                "lvs_fwmark_reserved",
                f"leaves no mark for the group {entry} in {TRIES} tries",
                "reserve fewer, or give the service a fwmark",
            )
    return [
        replace(service, fwmark=marks[service.entry, service.family])
        if service.group and not service.fwmark
        else service
        for service in services
    ]


def _assign(services: Iterable[Service], reserved: Callable[[int], bool]) -> dict[tuple[str, str], int | None]:
    """Return a mark for each (entry, family) that needs one, or None where there was none to be had.

    It depends on the name alone, not on the place in the list or on other services, so that a new service moves
    nobody's mark: with another one, clients would lose their persistence. There is one exception, for which a hundred
    groups have one chance in three thousand: two names with the same number. The one later in the alphabet takes its
    next number then, whoever was there first.
    """
    taken = {service.fwmark for service in services if service.fwmark}
    wanting = sorted({(service.entry, service.family) for service in services if service.group and not service.fwmark})
    found: dict[tuple[str, str], int | None] = {}
    for entry, family in wanting:
        tries = (_number(entry, family, salt) for salt in range(TRIES))
        mark = next((mark for mark in tries if mark and mark not in taken and not reserved(mark)), None)
        found[entry, family] = mark
        taken.add(mark or 0)
    return found


def _number(entry: str, family: str, salt: int) -> int:
    digest = hashlib.sha256(f"{entry}/{family}/{salt}".encode()).digest()
    return int.from_bytes(digest, "big") >> (8 * len(digest) - BITS)


@dataclass(frozen=True)
class Rule:
    """Whose packets we mark, and how they look: a match expression of nftables."""

    rank: tuple[int, int, bool, bool]
    service: Service
    match: str


def plan_marks(services: Sequence[Service], hosts: Sequence[Address]) -> list[dict[str, Any]]:
    """Return the rules that mark, in their order. The last one that a packet matches decides.

    :param hosts: the addresses of the cluster's own hosts.
    """
    groups = [service for service in services if service.group]
    ordered = sorted((rule for one in groups for rule in _rules_of(one, hosts)), key=lambda rule: rule.rank)
    return [
        {"name": rule.service.name, "fwmark": rule.service.fwmark, "match": rule.match}
        for rule in [*_companions(groups), *ordered]
    ]


def _rules_of(service: Service, hosts: Sequence[Address]) -> Iterator[Rule]:
    """Yield a rule for all claims of one rank."""
    ranks: dict[tuple[int, int, bool, bool], list[Claim]] = {}
    for claim in claims_of(service):
        ranks.setdefault(claim.rank, []).append(claim)
    for rank, claims in ranks.items():
        to, clients = (list(dict.fromkeys(getattr(claim, end) for claim in claims)) for end in ("to", "clients"))
        words = [_end(service.family, "saddr", clients), _end(service.family, "daddr", to)]
        if not rank[0]:
            words.append(_passing(service, hosts))
        words.append(_ports(service))
        yield Rule(rank, service, " ".join(word for word in words if word))


def _companions(groups: Iterable[Service]) -> list[Rule]:
    """Rules for what belongs to a network's connections and shows no port, lest the director send it on.

    ICMP tells of a smaller MTU on the way, and IPVS passes that to the real server. The fragments of a datagram come
    together only when they have arrived, and then the first one's mark counts. IPv6's do so before any rule.
    """
    seen: set[tuple[str, Network]] = set()
    found = []
    for service in groups:
        claims = list(claims_of(service)) if service.vipless else []
        to = list(dict.fromkeys(claim.to for claim in claims if claim.to.prefixlen))
        parts = [("icmp", "meta l4proto " + ("icmp" if service.family == "ipv4" else "icmpv6"))]
        if service.family == "ipv4" and EVERY_PORT not in service.ports:
            parts.append(("fragments", "ip frag-off & 0x1fff != 0"))
        for what, words in parts:
            fresh = [network for network in to if (what, network) not in seen]
            seen.update((what, network) for network in fresh)
            if fresh:
                found.append(Rule((0, 0, False, False), service, f"{_end(service.family, 'daddr', fresh)} {words}"))
    return found


def _end(family: str, word: str, networks: Sequence[Network]) -> str:
    if not networks[0].prefixlen:
        return f"meta nfproto {family}" if word == "daddr" else ""
    return f"{WORDS[family]} {word} {one_of(map(network_words, networks))}"


def matching(family: str, word: str, end: str) -> str:
    """Return what matches one address or network of packets' sources or destinations, all of a family among them."""
    return f"meta nfproto {family}" if end.endswith("/0") else f"{WORDS[family]} {word} {end}"


def _passing(service: Service, hosts: Sequence[Address]) -> str:
    """Leave alone what is for or from the cluster's own hosts: real servers ask the world for what they serve."""
    own = dict.fromkeys([*hosts, *(server.address for server in service.real_servers)])
    listed = ", ".join(str(address) for address in own if FAMILIES[address.version] == service.family)
    word = WORDS[service.family]
    return (
        f"{word} saddr != {{ {listed} }} {word} daddr != {{ {listed} }}"
        " fib daddr type != { local, broadcast, anycast, multicast }"
    )


def _ports(service: Service) -> str:
    spans = one_of(span_words(span) for span in service.ports)
    if service.protocol is None:
        every = f"meta l4proto {one_of(PROTOCOLS)}"
        return every if EVERY_PORT in service.ports else f"{every} th dport {spans}"
    if EVERY_PORT in service.ports:
        return f"meta l4proto {service.protocol}"
    return f"{service.protocol} dport {spans}"


def one_of(values: Iterable[Any]) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"


def plan_deliveries(services: Iterable[Service]) -> list[dict[str, Any]]:
    """Return the marks whose packets a director takes in though it holds no address of theirs."""
    unique = dict.fromkeys((one.family, one.fwmark) for one in services if one.vipless)
    return [{"family": family, "fwmark": mark} for family, mark in unique]


def rules(marks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the rules of a director's table."""
    return [f'{one["match"]} meta mark set 0x{one["fwmark"]:08x} comment "{one["name"]}"' for one in marks]
