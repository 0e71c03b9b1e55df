# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared keys of what passes a director on its way out: connections that real servers open."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    Field,
    HostAddress,
    ListOf,
    Network,
    Refused,
    Report,
    Section,
    show,
)


@dataclass(frozen=True)
class AddressOrNetwork:
    """One address, or a network in the notation with a slash."""

    def words(self) -> str:
        return "address, or network/prefix"

    def read(self, value: Any, path: str, report: Report) -> Network:
        try:
            loose = ipaddress.ip_network(value, strict=False) if isinstance(value, str) else None
        except ValueError:
            loose = None
        if loose is None:
            raise Refused(
                f"{show(value)} is no IP address and no network", "write one such as 192.0.2.7 or 2001:db8:1::/64"
            )
        if loose.prefixlen == 0:
            raise Refused(f"{value} is every address there is", "name networks")
        try:
            return ipaddress.ip_network(value)
        except ValueError:
            raise Refused(f"{value} is an address within a network", f"write {loose}, or the address alone") from None


MASQUERADE = Section(
    "masquerade",
    (
        Field(
            "vip",
            ListOf(HostAddress(), single=True),
            "The VIP that such connections seem to come from, at most one of each family. It is where the answers go,"
            " so it is one that directors hold for lvs_services: it moves to the director that is active. One within a"
            " service's network is refused.",
            default=(),
            default_words="for each family the first VIP in lvs_services that directors hold",
        ),
        Field(
            "sources",
            ListOf(AddressOrNetwork(), single=True),
            "Whose connections: addresses or networks. The directors' own addresses, VIPs and"
            " services' networks are never among them.",
            default=(),
            default_words="the real servers of lvs_services",
        ),
        Field(
            "exclude",
            ListOf(AddressOrNetwork(), single=True),
            "Destinations, addresses or networks, that shall see the real servers' own addresses. The cluster's own"
            " addresses, VIPs and networks are always among them, and so is all that would leave by"
            " lvs_gateway_interface, where that is not lvs_interface.",
            default=(),
            default_words="none",
        ),
    ),
)
