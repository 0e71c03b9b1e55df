# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is: a lookup in the model's result, and nothing more. It is asked for many times a run.

Between the model and its views lies Ansible, which copies, converts and inspects every value of a registered result
again and again, for each task and host. So what grows with the services travels as JSON text, one value however long it
is: with 1,000 services x 10 real servers and 200 hosts that halves a run of two tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FAMILIES = ("ipv4", "ipv6")
LONG = ("services", "table", "vips")


def pack(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model with the long parts of its clusters as JSON text."""
    return {**model, "clusters": {name: _pack_cluster(cluster) for name, cluster in model["clusters"].items()}}


def _pack_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **cluster,
        **{key: _text(cluster[key]) for key in LONG},
        "realservers": {
            name: {**record, "duties": _text(record["duties"])} for name, record in cluster["realservers"].items()
        },
    }


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def view(model: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the host is in its cluster; a host outside any cluster is nothing, and says so."""
    key = model["hosts"].get(host)
    if key is None:
        return {"host": host, "cluster": None, "director": False, "realserver": False}
    cluster = model["clusters"][key]
    director, realserver = cluster["directors"].get(host), cluster["realservers"].get(host)
    own = director or realserver
    duties = json.loads(realserver["duties"]) if realserver else {"hidden_vips": [], "nat_flows": []}
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
        "table": json.loads(cluster["table"]) if director else [],
        "vips": json.loads(cluster["vips"]) if director else [],
        "hidden_vips": duties["hidden_vips"],
        "nat_flows": duties["nat_flows"],
        "gateways": _gateways(cluster["directors"]),
        "forwards": cluster["forwards"] if director else duties["forwards"],
        "schedulers": cluster["schedulers"] if director else [],
    }


def _gateways(directors: Mapping[str, Any]) -> dict[str, Any]:
    """The way back through the director. With several there is none yet that moves with the VIPs."""
    if len(directors) != 1:
        return dict.fromkeys(FAMILIES)
    (only,) = directors.values()
    return {family: only[family] for family in FAMILIES}
