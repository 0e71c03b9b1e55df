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
SHORT = ("name", "health", "failover", "removed", "directors_serve", "forwards")
LONG = (
    "services",
    "marks",
    "deliveries",
    "masquerade",
    "helpers",
    "table",
    "vips",
    "watched",
    "vrrp",
    "heartbeat",
    "gateway_vips",
    "keepalived",
    "ldirectord",
    "sync",
    "timeouts",
)


def pack(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model as it travels: few values, however large the clusters."""
    return {"clusters": {name: _pack_cluster(cluster) for name, cluster in model["clusters"].items()}}


def _pack_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: cluster[key] for key in SHORT},
        **{key: _text(cluster[key]) for key in LONG},
        "directors": _lines(cluster["directors"]),
        "realservers": _lines(cluster["realservers"]),
        "gateways": _gateways(cluster),
        "director_addresses": {
            family: [one[family] for one in cluster["directors"].values() if one[family]] for family in FAMILIES
        },
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


def _all(text: str) -> dict[str, Any]:
    """Return all records of such a text. Directors are few."""
    pairs = (line.split("\t", 1) for line in text.splitlines() if line)
    return {json.loads(name): json.loads(record) for name, record in pairs}


def view(model: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the host is in its cluster; a host outside any cluster is nothing, and says so."""
    for cluster in model["clusters"].values():
        director, realserver = _line(cluster["directors"], host), _line(cluster["realservers"], host)
        if director or realserver:
            return _view(host, cluster, director, realserver)
    return {"host": host, "cluster": None, "director": False, "realserver": False}


def _view(host: str, cluster: Mapping[str, Any], director: Any, realserver: Any) -> dict[str, Any]:
    own = director or realserver
    duties = realserver["duties"] if realserver else {"hidden_vips": [], "hidden_networks": [], "nat_flows": []}
    return {
        "host": host,
        "cluster": cluster["name"],
        "health": cluster["health"],
        "failover": cluster["failover"],
        "removed": cluster["removed"],
        "directors_serve": cluster["directors_serve"],
        "director": director is not None,
        "realserver": realserver is not None,
        "interface": own["interface"],
        "ipv4": own["ipv4"],
        "ipv6": own["ipv6"],
        **(_as_director(cluster, director) if director else NO_DIRECTOR),
        "hidden_vips": duties["hidden_vips"],
        "hidden_networks": duties["hidden_networks"],
        "nat_flows": duties["nat_flows"],
        "gateways": dict(cluster["gateways"]),
        "way_back": _other(cluster, director) if director and duties["nat_flows"] else dict(cluster["gateways"]),
        "directors": _names(cluster["directors"]),
        "director_addresses": dict(cluster["director_addresses"]),
        "realservers": _names(cluster["realservers"]) if director else [],
    }


NO_DIRECTOR: Mapping[str, Any] = {
    "forwards": {"ipv4": [], "ipv6": []},
    "table": [],
    "marks": [],
    "deliveries": [],
    "masquerade": [],
    "helpers": [],
    "gateway_interface": None,
    "watched": [],
    "vips": [],
    "moving": [],
    "vrrp": None,
    "heartbeat": None,
    "node": None,
    "sources": [],
    "peers": {},
    "keepalived": None,
    "ldirectord": None,
    "sync": None,
    "timeouts": None,
}


def _as_director(cluster: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the director itself has, and what is for the engines that watch and move."""
    rows, watched, vips = (json.loads(cluster[key]) for key in ("table", "watched", "vips"))
    sync, vrrp, heartbeat = (json.loads(cluster[key]) for key in ("sync", "vrrp", "heartbeat"))
    moved = cluster["failover"] != "none"
    gateways = json.loads(cluster["gateway_vips"])
    moving = [(vip, own["interface"]) for vip in vips] + [(vip, own["gateway_interface"]) for vip in gateways]
    return {
        "forwards": {family: list(cluster["forwards"][family]) for family in FAMILIES},
        "table": [] if watched else rows,
        "marks": json.loads(cluster["marks"]),
        "deliveries": json.loads(cluster["deliveries"]),
        "masquerade": json.loads(cluster["masquerade"]),
        "helpers": json.loads(cluster["helpers"]),
        "gateway_interface": own["gateway_interface"],
        "watched": [{"row": row, **how} for row, how in zip(rows, watched)],
        "vips": [] if moved else [_vip(vip) for vip in vips],
        "moving": [{**_vip(vip), "stated": vip["stated"], "interface": name} for vip, name in moving if moved],
        "vrrp": vrrp,
        "heartbeat": heartbeat,
        "node": own["node"] if cluster["failover"] == "heartbeat" else None,
        "sources": _sources(own, vrrp) or _ends(own, heartbeat),
        "peers": _all(cluster["directors"]) if moved else {},
        "keepalived": json.loads(cluster["keepalived"]),
        "ldirectord": json.loads(cluster["ldirectord"]),
        "sync": {**sync, "interface": sync["interface"] or own["interface"]} if sync else None,
        "timeouts": json.loads(cluster["timeouts"]),
    }


def _sources(own: Mapping[str, Any], vrrp: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Where unicast adverts come from: addresses that the host must have already."""
    if not (vrrp and vrrp["unicast"]):
        return []
    sides = {"clients": (own["sources"], own["interface"]), "gateway": (own, own["gateway_interface"])}
    return [
        {"address": sides[member["side"]][0][member["family"]], "interface": sides[member["side"]][1]}
        for member in vrrp["groups"][0]["members"]
    ]


def _ends(own: Mapping[str, Any], heartbeat: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Where unicast heartbeats come from and arrive."""
    interfaces = {"clients": own["interface"], "gateway": own["gateway_interface"]}
    return [
        {"address": medium["own"][own["node"]], "interface": interfaces[medium["side"]]}
        for medium in (heartbeat["media"] if heartbeat else ())
        if medium["side"] in interfaces and medium["own"]
    ]


def _vip(vip: Mapping[str, Any]) -> dict[str, Any]:
    return {key: vip[key] for key in ("address", "prefix", "family")}


def _other(cluster: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The way back of a director that serves by NAT: while it stands by, the other one of the two is active.

    While it is active itself, the kernel gives its replies the VIP on their way out, and routes them anew.
    """
    return {
        family: next((one for one in cluster["director_addresses"][family] if one != own[family]), None)
        for family in FAMILIES
    }


def _gateways(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The way back through the director: the address that moves with the VIPs, else that of the only one."""
    directors = cluster["directors"]
    own = next(iter(directors.values())) if len(directors) == 1 else dict.fromkeys(FAMILIES)
    moving = {vip["family"]: vip["address"] for vip in cluster["gateway_vips"]}
    return {family: moving.get(family) or own[family] for family in FAMILIES}
