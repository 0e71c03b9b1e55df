# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra Monkey's two boxes that direct and serve, as `streamlined` and `two-boxes` both have them."""

from __future__ import annotations

from lab.pair import Pair

DEVICES: dict[str, set[str]] = {
    "192.168.6.240": {"lo"},
    "2001:db8:6::240": {"lo"},
    "192.168.6.241": {"tunl0"},
    "192.168.6.242": set(),
    "2001:db8:6::242": set(),
}
"""Where a box has each VIP as a real server."""
BY_NAT = tuple(vip for vip, devices in DEVICES.items() if not devices)


def as_seen(vip: str) -> str:
    """As whom the boxes see the client that asks the VIP."""
    return "2001:db8:6::10" if ":" in vip else "192.168.6.10"


def places(pair: Pair) -> dict[str, dict[str, set[str]]]:
    """The interfaces on which each box has each VIP."""
    return {name: {vip: pair.places(name, vip) for vip in DEVICES} for name in pair.names}


def meant(pair: Pair, active: str) -> dict[str, dict[str, set[str]]]:
    """The interfaces on which each box should have each VIP."""
    seen = {vip: devices | {"eth0"} for vip, devices in DEVICES.items()}
    return {name: seen if name == active else DEVICES for name in pair.names}
