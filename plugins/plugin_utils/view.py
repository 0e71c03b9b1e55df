# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is: a lookup in the model's result, and nothing more. It is asked for many times a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAMILIES = ("ipv4", "ipv6")


def view(model: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the host is in its cluster; a host outside any cluster is nothing, and says so."""
    key = model["hosts"].get(host)
    if key is None:
        return {"host": host, "cluster": None, "director": False, "realserver": False}
    cluster = model["clusters"][key]
    director, realserver = cluster["directors"].get(host), cluster["realservers"].get(host)
    own = director or realserver
    return {
        "host": host,
        "cluster": cluster["name"],
        "health": cluster["health"],
        "failover": cluster["failover"],
        "removed": cluster["removed"],
        "director": director is not None,
        "realserver": realserver is not None,
        "interface": own["interface"],
        "ipv4": own["ipv4"],
        "ipv6": own["ipv6"],
        "table": cluster["table"] if director else [],
        "vips": cluster["vips"] if director else [],
        "hidden_vips": realserver["hidden_vips"] if realserver else [],
        "nat_flows": realserver["nat_flows"] if realserver else [],
        "gateways": _gateways(cluster["directors"]),
        "forwards": (cluster if director else realserver)["forwards"],
        "schedulers": cluster["schedulers"] if director else [],
    }


def _gateways(directors: Mapping[str, Any]) -> dict[str, Any]:
    """The way back through the director. With several there is none yet that moves with the VIPs."""
    if len(directors) != 1:
        return dict.fromkeys(FAMILIES)
    (only,) = directors.values()
    return {family: only[family] for family in FAMILIES}
