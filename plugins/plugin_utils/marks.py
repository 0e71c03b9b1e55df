# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall marks: which one a group of ports and addresses gets, and which packets of the network carry it.

The only place that knows nftables' words for packets; what stands around them is the host module's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Service

BITS = 24
"""What a mark of ours is made of: small enough for every program that prints marks as signed numbers."""

TRIES = 1000
WORDS = {"ipv4": "ip", "ipv6": "ip6"}


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


def plan_marks(services: Iterable[Service]) -> list[dict[str, Any]]:
    """Return whose packets we mark, and how they look: match expressions of nftables, each of them enough."""
    groups = [service for service in services if service.group]
    # The last rule that matches decides: a group of every port leaves those of other groups to them.
    ordered = [one for one in groups if 0 in one.ports] + [one for one in groups if 0 not in one.ports]
    return [{"name": one.name, "fwmark": one.fwmark, "matches": [_match(one)]} for one in ordered]


def _match(service: Service) -> str:
    where = f"{WORDS[service.family]} daddr {_one_of(vip.address for vip in service.vips)}"
    if 0 in service.ports:
        return f"{where} meta l4proto {service.protocol}"
    return f"{where} {service.protocol} dport {_one_of(service.ports)}"


def _one_of(values: Iterable[Any]) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"


def rules(marks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the rules of a director's table, one for each match."""
    return [
        f'{match} meta mark set 0x{one["fwmark"]:08x} comment "{one["name"]}"'
        for one in marks
        for match in one["matches"]
    ]
