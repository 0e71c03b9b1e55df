# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""What unpacks a tunnel on a real server, and how much of a packet it takes.

Every combination of families was tried on Linux 6.1, with and without checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.lvs.cluster.plugins.plugin_utils.marks import matching

View = Mapping[str, Any]

MTU = 1500
"""Of the path from director to real server, where nobody says how large the client's segments may be."""

DUMMY = "192.0.0.8/32"
"""What a device has that has no VIP: the dummy address of IPv4 (RFC 7600), which is nobody's and no destination."""

OUTER = {"ipv4": 20, "ipv6": 40}
INNER = {"ipv4": 40, "ipv6": 60}
"""What a segment is in: the IP header and TCP's."""


class Unpacker(NamedTuple):
    """What a VIP's packets come out of."""

    modules: tuple[str, ...]
    link: dict[str, str]
    gue_port: dict[str, Any] | None = None


def unpacker(vip: View, view: View) -> Unpacker:
    """Return the device that unpacks a VIP's tunnel, by its type and the families of the outer and the inner packet.

    IPv4 has devices that come with the module and take packets from anywhere. The one of IPv6 takes none, so there is
    one of our own. So there is for gre: those that come with the module take no packets with checksums. What is in a
    gue packet goes on as if it had come without, so the device is that of ipip.
    """
    outer = vip["outer"]
    kind = vip["tunnel"]["type"] if vip["tunnel"] else "ipip"
    if kind == "gre":
        checked = " icsum" if vip["tunnel"]["checksum"] else ""
        if outer == "ipv6":
            return Unpacker(
                ("ip6_gre",), {"name": "lvsgre6", "type": f"ip6gre local {view['ipv6']} remote ::{checked}"}
            )
        return Unpacker(("ip_gre",), {"name": "lvsgre", "type": f"gre local {view['ipv4']} remote any{checked}"})
    port = {"family": outer, "port": vip["tunnel"]["port"]} if kind == "gue" else None
    over_udp = ("fou",) if port else ()
    if outer == "ipv6":
        link = {"name": "lvs6", "type": f"ip6tnl mode any local {view['ipv6']} remote ::"}
        return Unpacker((*over_udp, "ip6_tunnel"), link, port)
    if vip["family"] == "ipv4":
        return Unpacker((*over_udp, "ipip"), {"name": "tunl0"}, port)
    return Unpacker((*over_udp, "sit"), {"name": "sit0"}, port)


def overhead(tunnel: View, outer: str) -> int:
    """Return the bytes that a tunnel puts in front of a packet (net/netfilter/ipvs/ip_vs_xmit.c).

    gue: 8 of UDP and 4 of its own. gre: 4, and 4 of a checksum.
    """
    own = {"ipip": 0, "gue": 12, "gre": 8 if tunnel["checksum"] else 4}
    return OUTER[outer] + own[tunnel["type"]]


def clamps(hidden: Iterable[View]) -> list[str]:
    """Return the rules that tell clients how much of a segment fits into the tunnel, one for each VIP or network.

    Requests alone travel in the tunnel, and the client learns how large they may be from the real server's answer to
    its first packet. nft never makes the number larger.
    """
    sizes: dict[tuple[str, str], int] = {}
    for one in hidden:
        tunnel = one["tunnel"]
        if tunnel and tunnel["mss"]:
            size = tunnel["mss"]
            if size == "auto":
                size = MTU - overhead(tunnel, one["outer"]) - INNER[one["family"]]
            key = one["family"], one["address"] if "address" in one else one["network"]
            sizes[key] = min(size, sizes.get(key, size))
    return [
        f"{matching(family, 'saddr', address)} tcp flags & (syn | rst) == syn tcp option maxseg size set {size}"
        for (family, address), size in sizes.items()
    ]
