# SPDX-License-Identifier: GPL-3.0-or-later
"""How directors tell each other of their connections: lvs_sync and lvs_timeouts, judged and completed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import localnode, schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Service

DAEMON = ("interface", "id", "group", "port", "ttl", "max_length")
FLAGS = {"refresh_period": "sync_refresh_period", "retries": "sync_retries", "ports": "sync_ports"}
SWITCHES = {"persist_mode": "sync_persist_mode", "sloppy_tcp": "sloppy_tcp"}
KERNEL_THRESHOLD, KERNEL_PERIOD = 3, 50


def check_sync(settings: Mapping[str, Any], services: Sequence[Service], problems: Problems) -> None:
    """Report what keeps directors from telling each other of their connections."""
    sync = settings["lvs_sync"]
    if not sync:
        return
    if settings["lvs_failover"] == "none":
        problems.add(
            "lvs_sync",
            "nobody would hear it: lvs_failover is none, so there is one director",
            "leave it out, or say who moves the VIPs between several directors with lvs_failover",
        )
    _check_values(sync, problems)
    for service in services:
        for server in service.real_servers:
            if FAMILIES[server.address.version] != service.family:
                problems.add(
                    service.path,
                    f"the real server {server.address} is of another family than the VIP, and the kernel refuses that"
                    " while a sync daemon runs",
                    "give it an address of the VIP's family, or leave lvs_sync out",
                )


def _check_values(sync: Mapping[str, Any], problems: Problems) -> None:
    if sync["group"]:
        try:
            multicast = ipaddress.ip_address(sync["group"]).is_multicast
        except ValueError:
            multicast = False
        if not multicast:
            problems.add(
                "lvs_sync.group", f"{sync['group']} is no multicast address", "write one such as 224.0.0.81 or ff02::81"
            )
    ports = sync["ports"]
    if ports and ports & (ports - 1):
        problems.add("lvs_sync.ports", f"{ports} is no power of two", "use 1, 2, 4, 8, 16, 32 or 64")
    threshold, period = _thresholds(sync)
    if UNREADABLE not in (threshold, period) and period and threshold >= period:
        problems.add(
            "lvs_sync.threshold",
            f"{threshold} is not less than the period {period}, and the kernel refuses that",
            "make it smaller, or the period larger",
        )
    if sync["persist_mode"] and not sync["sloppy_tcp"]:
        problems.add(
            "lvs_sync.persist_mode",
            "leaves the other director without the connections themselves, and it refuses packets in their midst",
            "add sloppy_tcp: true",
        )


def _thresholds(sync: Mapping[str, Any]) -> tuple[Any, Any]:
    threshold, period = sync["threshold"], sync["period"]
    return KERNEL_THRESHOLD if threshold is None else threshold, KERNEL_PERIOD if period is None else period


def plan_sync(settings: Mapping[str, Any], directors_serve: bool) -> dict[str, Any] | None:
    """Return the daemon's settings, and the sysctls that go with them.

    :param directors_serve: whether a director that stands by is a real server meanwhile.
    """
    sync = settings["lvs_sync"]
    if not sync:
        return None
    sysctls = {f"net.ipv4.vs.{name}": sync[key] for key, name in FLAGS.items() if sync[key] is not None}
    sysctls |= {f"net.ipv4.vs.{name}": int(sync[key]) for key, name in SWITCHES.items() if sync[key] is not None}
    if sync["threshold"] is not None or sync["period"] is not None:
        sysctls["net.ipv4.vs.sync_threshold"] = "{} {}".format(*_thresholds(sync))
    # With heartbeat the active director receives too, and would direct nothing.
    if directors_serve and settings["lvs_failover"] == "keepalived":
        sysctls[localnode.BACKUP_ONLY] = 1
    return {**{key: sync[key] for key in DAEMON}, "sysctls": sysctls}


def plan_timeouts(settings: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the timeouts. Directors that share connections must agree on them, so lvs_sync brings defaults."""
    if settings["lvs_timeouts"]:
        return dict(settings["lvs_timeouts"])
    return {field.name: field.default for field in schema.TIMEOUTS.fields} if settings["lvs_sync"] else None
