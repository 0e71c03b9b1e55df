# SPDX-License-Identifier: GPL-3.0-or-later
"""Directors that are real servers too (LocalNode): one alone just works, several have to tell who stands by.

A director that stands by gets a VIP's packets as a real server, and with DR or TUN they look like a client's. If it
directed them again, they would go back and forth between the two until their time to live ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.members import Host, Members
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Service

BACKUP_ONLY = "net.ipv4.vs.backup_only"
"""The kernel directs nothing while its sync daemon receives (ipvs-sysctl.rst)."""

ELSE = "or name real_servers that are no directors"


def answering(
    settings: Mapping[str, Any], member: Members, hosts: Mapping[str, Host], services: Sequence[Service]
) -> Service | None:
    """Return the first service, if there is one, whose VIP a director that stands by answers for as a real server."""
    if settings["lvs_failover"] in ("none", UNREADABLE):
        return None
    own = ((service, forward) for service in services for _, forward in _directors(service, member, hosts))
    return next((service for service, forward in own if forward in ("dr", "tun")), None)


def _directors(service: Service, member: Members, hosts: Mapping[str, Host]) -> Iterator[tuple[str, str]]:
    """Yield each director that serves, as a real server or as the fallback, and the method that reaches it."""
    both = [name for name in member.realservers if name in member.directors]
    servers = {server.host for server in service.real_servers}
    fallback = service.watched["fallback"]
    for name in both:
        if name in servers:
            yield name, service.forward
        if fallback and fallback["address"] in map(str, hosts[name].addresses.values()):
            yield name, fallback["forward"]


def check_localnode(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    services: Sequence[Service],
    problems: Problems,
) -> None:
    """Report directors of a pair that cannot be real servers, and what is missing so that they can."""
    if settings["lvs_failover"] in ("none", UNREADABLE):
        return
    for service in services:
        for name, forward in _directors(service, member, hosts):
            if forward == "nat":
                _check_nat(service, name, member, problems)
        _check_fallback(service, member, hosts, problems)
    service_ = answering(settings, member, hosts, services)
    if service_:
        why = f"directors are real servers of {service_.path}, and one that stands by would direct again what it gets"
        _check_standby(settings, why, problems)


def _check_nat(service: Service, name: str, member: Members, problems: Problems) -> None:
    """Report a director whose replies, while it stands by, nothing would lead through the active one."""
    if len(member.directors) > 2:
        problems.add_for(
            name,
            service.path,
            f"is one of {len(member.directors)} directors, and with nat the replies of one that stands by have to go"
            " through the active one, which is known only where there are two",
            f"use forward: dr, {ELSE}",
        )
    named = service.ports[0][0] if service.ports else 0
    if any(first != last or not first for first, last in service.replies_from(named)):
        problems.add_for(
            name,
            service.path,
            "is a director, and with nat its replies while it stands by have to go through the other one: with a"
            " helper or a range of ports so would everything that it sends",
            f"use forward: dr, {ELSE}",
        )


def _check_fallback(service: Service, member: Members, hosts: Mapping[str, Host], problems: Problems) -> None:
    """Report a director that is to answer in an emergency and can do so only while it is the active one."""
    fallback = service.watched["fallback"]
    if not fallback:
        return
    for name in member.directors:
        own = {str(vip.address) for vip in hosts[name].vrrp.values()}
        if name not in member.realservers:
            own.update(str(address) for address in hosts[name].addresses.values())
        if fallback["address"] in own:
            missing = (
                "its replies do not come through that one"
                if fallback["forward"] == "nat"
                else "it has the VIP no more, and nobody answers"
            )
            problems.add(
                f"{service.path}.fallback.address",
                f"{fallback['address']} is {name}, a director: while another one is active, {missing}",
                "name a server that is no director",
            )


def _check_standby(settings: Mapping[str, Any], why: str, problems: Problems) -> None:
    failover, vrrp, own = settings["lvs_failover"], settings["lvs_vrrp"], settings["lvs_ldirectord"]
    if failover == "external":
        problems.add(
            "lvs_failover",
            f"is external, and the collection cannot know who stands by: {why}",
            f"use lvs_failover: keepalived, {ELSE}",
        )
    if failover == "keepalived" and settings["lvs_sync"] is None:
        problems.add("lvs_sync", f"is missing: {why}", "add lvs_sync: {}; its daemon tells the kernel who stands by")
    if failover == "keepalived" and vrrp and len(vrrp["instances"] or ()) > 1:
        problems.add(
            "lvs_vrrp.instances",
            f"are several, and each director stands by for some VIPs alone: {why}",
            f"leave them out, {ELSE}",
        )
    # heartbeat's directors both send and receive connections all the time, so nothing but the rows tells who stands by.
    if failover == "heartbeat" and settings["lvs_health"] not in ("ldirectord", UNREADABLE):
        problems.add(
            "lvs_health",
            f"is {settings['lvs_health']}, with which both directors have the rows: {why}",
            "use lvs_health: ldirectord, which heartbeat runs on the active one alone, or lvs_failover: keepalived"
            " with lvs_sync: {}",
        )
    elif failover == "heartbeat" and own and own["cleanstop"] is False:
        problems.add(
            "lvs_ldirectord.cleanstop",
            f"is false, with which the rows stay where ldirectord has stopped: {why}",
            "leave it out",
        )
