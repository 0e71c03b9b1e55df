# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is: a lookup in the model's result, and nothing more. It is asked for many times a run.

Between the model and its views lies Ansible, which copies, converts and inspects every value of a registered result
again and again, for each task and host. So what grows with services or hosts travels as text, one value however long it
is: JSON, or lines of JSON where only one is ever wanted. Nested lists made a run over 200 hosts twice as long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FAMILIES = ("ipv4", "ipv6")
SHORT = ("name", "health", "failover", "removed", "forwards", "schedulers")
LONG = ("services", "table", "vips")


def pack(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model as it travels: few values, however large the clusters."""
    return {"clusters": {name: _pack_cluster(cluster) for name, cluster in model["clusters"].items()}}


def _pack_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: cluster[key] for key in SHORT},
        **{key: _text(cluster[key]) for key in LONG},
        "directors": _lines(cluster["directors"]),
        "realservers": _lines(cluster["realservers"]),
        "gateways": _gateways(cluster["directors"]),
    }


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _lines(records: Mapping[str, Any]) -> str:
    """Print one line for each host: its name, a tab, its record."""
    return "".join(f"\n{json.dumps(name)}\t{_text(record)}" for name, record in records.items())


def _line(text: str, name: str) -> Any:
    """Return one host's record, or None. Reads no other: there may be a thousand."""
    mark = f"\n{json.dumps(name)}\t"
    start = text.find(mark)
    if start < 0:
        return None
    start += len(mark)
    end = text.find("\n", start)
    return json.loads(text[start:] if end < 0 else text[start:end])


def _names(text: str) -> list[str]:
    """Return the names of all hosts in such a text, in its order."""
    return [json.loads(line.split("\t", 1)[0]) for line in text.splitlines() if line]


def view(model: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the host is in its cluster; a host outside any cluster is nothing, and says so."""
    for cluster in model["clusters"].values():
        director, realserver = _line(cluster["directors"], host), _line(cluster["realservers"], host)
        if director or realserver:
            return _view(host, cluster, director, realserver)
    return {"host": host, "cluster": None, "director": False, "realserver": False}


def _view(host: str, cluster: Mapping[str, Any], director: Any, realserver: Any) -> dict[str, Any]:
    own = director or realserver
    duties = realserver["duties"] if realserver else {"hidden_vips": [], "nat_flows": []}
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
        "gateways": dict(cluster["gateways"]),
        "directors": _names(cluster["directors"]),
        "realservers": _names(cluster["realservers"]) if director else [],
        "forwards": {family: list(cluster["forwards"][family]) for family in FAMILIES}
        if director
        else duties["forwards"],
        "schedulers": list(cluster["schedulers"]) if director else [],
    }


def _gateways(directors: Mapping[str, Any]) -> dict[str, Any]:
    """The way back through the director. With several there is none yet that moves with the VIPs."""
    if len(directors) != 1:
        return dict.fromkeys(FAMILIES)
    (only,) = directors.values()
    return {family: only[family] for family in FAMILIES}
