# SPDX-License-Identifier: GPL-3.0-or-later
"""Small inventories for tests: a good one, to be bent in one place."""

from __future__ import annotations

from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import InventoryError

HostVars = dict[str, dict[str, Any]]
Groups = dict[str, list[str]]
OMIT = object()

REALSERVER_OPTIONS = {
    "device": "lo",
    "gateway": "none",
    "gateway_addresses": {"ipv4": "", "ipv6": ""},
    "replace_default_route": False,
    "table": 5010,
    "director_table": 5020,
    "gateways": [],
    "redirect": [],
    "tuning": "none",
    "sysctls": {},
}
"""The real server role's own variables, as the role hands them on: its defaults, but without a gateway."""


def service(**changes: Any) -> dict[str, Any]:
    """One good service; a changed key with the value OMIT is left out."""
    keys = {"name": "web", "vip": "192.0.2.10", "port": 80, "forward": "nat", **changes}
    return {key: value for key, value in keys.items() if value is not OMIT}


def inventory(*services: dict[str, Any], **shared: Any) -> tuple[HostVars, Groups]:
    """One director, three real servers with both families, a client; shared are variables of the whole cluster."""
    everywhere = {"lvs_services": list(services) or [service()], **shared}
    hosts: HostVars = {
        "director1": {"lvs_address": ["10.0.0.1", "2001:db8:1::1"], "lvs_interface": "eth0"},
        **{f"rs{n}": {"lvs_address": [f"10.0.0.1{n}", f"2001:db8:1::1{n}"]} for n in (1, 2, 3)},
    }
    hostvars = {name: {**everywhere, **own} for name, own in hosts.items()}
    groups = {
        "all": [*hosts, "client1"],
        "ungrouped": [],
        "clients": ["client1"],
        "directors": ["director1"],
        "realservers": ["rs1", "rs2", "rs3"],
    }
    return {**hostvars, "client1": {}}, groups


def problems(hostvars: HostVars, groups: Groups) -> list[str]:
    """All that is wrong with an inventory."""
    try:
        build(hostvars, groups)
    except InventoryError as error:
        return error.problems
    return []


def cluster(hostvars: HostVars, groups: Groups) -> dict[str, Any]:
    """The only cluster of a good inventory."""
    (only,) = build(hostvars, groups)["clusters"].values()
    return only


def pair(*services: dict[str, Any], **shared: Any) -> tuple[HostVars, Groups]:
    """The same with two directors, whose VIPs keepalived moves."""
    hostvars, groups = inventory(*services, **{"lvs_failover": "keepalived", **shared})
    hostvars["director2"] = {**hostvars["director1"], "lvs_address": ["10.0.0.2", "2001:db8:1::2"]}
    groups["directors"].append("director2")
    return hostvars, groups
