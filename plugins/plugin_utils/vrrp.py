# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moves the VIPs: lvs_vrrp and its relatives are judged, and become VRRP instances in groups that move together.

A group is what one director holds as a whole: an instance for each family of VIPs on the interface that faces the
clients, and one for each family of the real servers' gateway where that is on another interface.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import (
    FAMILIES,
    FAMILY_WORDS,
    FULL_PREFIX,
    Host,
    Members,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Address, Vip

NAME = "lvs"
"""The group's, where the inventory names none."""

ADVERTISED = 1
"""Addresses in an advert; the others move along without being named.

A director refuses adverts that name other addresses than its own file does. Directors learn of a new VIP one after the
other, so the one that knows it already would hear nobody and take all VIPs too, until the other one knows it as well.
"""

FIRST_PRIORITY = 200
MOVERS = ("keepalived", "heartbeat")
"""Those of lvs_failover that move VIPs as the collection tells them."""

ONLY_MOVED = {
    "lvs_vrrp": ("keepalived",),
    "lvs_vrrp_password": ("keepalived",),
    "lvs_heartbeat": ("heartbeat",),
    "lvs_heartbeat_key": ("heartbeat",),
    "lvs_gateway_vip": MOVERS,
}
"""What needs somebody who acts on it."""


def check_vrrp(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    vips: Sequence[Mapping[str, Any]],
    problems: Problems,
) -> None:
    """Report what keeps the VIPs from moving as described. vips are those that services name."""
    if settings["lvs_failover"] != "keepalived":
        return
    check_movers(member, [*vips, *gateway_of(settings)], problems)
    directors = [hosts[name] for name in member.directors]
    vrrp = _settings(settings)
    gateway = gateway_of(settings)
    _check_preemption(vrrp, settings["lvs_failback"], problems)
    _check_version(vrrp, settings, vips, problems)
    check_priorities(priorities(member, hosts), problems)
    _check_tracks(vrrp, problems)
    _check_instances(vrrp, member, vips, problems)
    check_gateway(gateway, directors, vips, problems)
    _check_gateway_instance(gateway, vrrp, directors, problems)
    if vrrp["unicast"]:
        _check_sources(directors, vips, gateway, problems)
    check_networks(directors, vips, problems)


def check_movers(member: Members, moving: Sequence[Any], problems: Problems) -> None:
    """Report where there is nothing to move, or nobody to move it to."""
    if len(member.directors) < 2:
        problems.add(
            "lvs_failover",
            f"the group {member.pair[0]} has {len(member.directors) or 'no'} director"
            f"{'' if len(member.directors) == 1 else 's'}: failover needs two",
            f"put another one into {member.pair[0]}, or use lvs_failover: none",
        )
    if not moving and not problems:
        problems.add(
            "lvs_failover",
            "there is no VIP to move: directors hold the address of no service",
            "add vip to a service with a fwmark alone, or a service whose VIP the router sends networks to, or"
            " lvs_gateway_vip, or use lvs_failover: external",
        )


def _settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return settings["lvs_vrrp"] or schema.VRRP.defaults()


def gateway_of(settings: Mapping[str, Any]) -> list[Vip]:
    return [vip for vip in settings["lvs_gateway_vip"] or () if vip is not UNREADABLE]


def check_unused(settings: Mapping[str, Any], problems: Problems) -> None:
    """Report what belongs to another lvs_failover than the one that was chosen."""
    failover = settings["lvs_failover"]
    if not failover:
        return
    unused = {name: movers for name, movers in ONLY_MOVED.items() if settings[name] and failover not in movers}
    if settings["lvs_failback"] is False and failover not in MOVERS:
        unused["lvs_failback"] = MOVERS
    for name, movers in unused.items():
        problems.add(
            name,
            f"nobody would act on it, because lvs_failover is {failover}",
            f"leave it out, or use lvs_failover: {' or '.join(movers)}",
        )


def _check_preemption(vrrp: Mapping[str, Any], failback: Any, problems: Problems) -> None:
    delay = vrrp["preempt_delay"]
    if failback is False and vrrp["state"] == "master":
        problems.add(
            "lvs_failback",
            "false works with lvs_vrrp.state: backup only: a director that starts as master has taken the VIPs already",
            "leave lvs_vrrp.state out",
        )
    if failback is False and delay:
        problems.add(
            "lvs_vrrp.preempt_delay",
            "means nothing with lvs_failback: false: nobody takes the VIPs back",
            "keep one of the two",
        )
    elif delay and vrrp["state"] == "master":
        problems.add("lvs_vrrp.preempt_delay", "works with state: backup only", "leave state out")


def _check_version(
    vrrp: Mapping[str, Any], settings: Mapping[str, Any], vips: Sequence[Mapping[str, Any]], problems: Problems
) -> None:
    interval = vrrp["advert_interval"]
    if vrrp["version"] == 2 and interval and interval != int(interval):
        problems.add(
            "lvs_vrrp.advert_interval",
            f"{interval:g} is not whole, and VRRP version 2 counts whole seconds",
            "write whole seconds, or use version: 3",
        )
    if not settings["lvs_vrrp_password"]:
        return
    if vrrp["version"] == 3:
        problems.add(
            "lvs_vrrp_password",
            "VRRP version 3 knows no authentication",
            "leave it out (unicast adverts are taken from the other directors' addresses alone), or use"
            " lvs_vrrp.version: 2",
        )
    elif any(vip["family"] == "ipv6" for vip in vips):
        problems.add(
            "lvs_vrrp_password",
            "IPv6 VIPs move by VRRP version 3, which knows no authentication",
            "leave it out",
        )


def priorities(member: Members, hosts: Mapping[str, Host]) -> dict[str, int]:
    """Return each director's priority: its own word, else by its place in the group."""
    step = 10 if len(member.directors) <= 19 else 1
    derived = {name: max(FIRST_PRIORITY - step * place, 1) for place, name in enumerate(member.directors)}
    return {name: hosts[name].priority or derived[name] for name in member.directors}


def check_priorities(found: Mapping[str, int], problems: Problems) -> None:
    owners: dict[int, str] = {}
    for name, priority in found.items():
        owner = owners.setdefault(priority, name)
        if owner != name:
            problems.add_for(
                name,
                "lvs_priority",
                f"{priority} is the priority of {owner} too, and nothing would decide between them",
                "give each director a priority of its own",
            )


def _check_tracks(vrrp: Mapping[str, Any], problems: Problems) -> None:
    for key in ("track_scripts", "track_processes", "track_files"):
        names: set[str] = set()
        for index, track in enumerate(vrrp[key] or ()):
            if not track:
                continue
            name = track["name"] or track.get("process")
            if name in names:
                problems.add(f"lvs_vrrp.{key}[{index}].name", f"{name} is there twice", "give it a name of its own")
            names.add(name)


def _check_instances(
    vrrp: Mapping[str, Any], member: Members, vips: Sequence[Mapping[str, Any]], problems: Problems
) -> None:
    wanted = {ipaddress.ip_address(vip["address"]) for vip in vips}
    homes: dict[Address, str] = {}
    names: set[str] = set()
    ids: dict[tuple[int, int], str] = {}
    for index, one in enumerate(vrrp["instances"] or ()):
        if not one:
            continue
        path = f"lvs_vrrp.instances[{index}]" + (f" ({one['name']})" if one["name"] else "")
        if one["name"] in names:
            problems.add(f"{path}.name", f"{one['name']} is there twice", "give it a name of its own")
        names.add(one["name"])
        own = [address for address in one["vips"] or () if address is not UNREADABLE]
        _check_homes(path, own, wanted, homes, problems)
        _check_order(path, one["directors"], member, problems)
        number = one["router_id"] or ((vrrp["router_id"] or 0) + index)
        if number > 255:
            problems.add(f"{path}.router_id", f"would be {number}", "say one from 1 to 255")
        for version in sorted({address.version for address in own}):
            twin = ids.setdefault((number, version), path)
            if twin != path:
                problems.add(
                    f"{path}.router_id",
                    f"{number} is the virtual router id of {twin} too, on the same interface for"
                    f" {FAMILY_WORDS[FAMILIES[version]]}",
                    "give each instance one of its own",
                )
    if vrrp["instances"] and not problems:
        for address in sorted(wanted - homes.keys(), key=lambda one: (one.version, int(one))):
            problems.add("lvs_vrrp.instances", f"none of them has the VIP {address}", "add it to the vips of one")


def _check_homes(
    path: str, own: Iterable[Address], wanted: set[Address], homes: dict[Address, str], problems: Problems
) -> None:
    for address in own:
        if address not in wanted:
            problems.add(f"{path}.vips", f"{address} is the VIP of no service", "name VIPs of lvs_services")
        home = homes.setdefault(address, path)
        if home != path:
            problems.add(f"{path}.vips", f"{address} is in {home} too", "keep it in one of them")


def _check_order(path: str, order: Sequence[Any] | None, member: Members, problems: Problems) -> None:
    if order is not None and UNREADABLE not in order and sorted(order) != sorted(member.directors):
        problems.add(
            f"{path}.directors",
            f"names {', '.join(map(str, order)) or 'nobody'}, and the directors are {', '.join(member.directors)}",
            "name each of them once, the preferred one first",
        )


def check_gateway(
    gateway: Sequence[Vip], directors: Sequence[Host], vips: Sequence[Mapping[str, Any]], problems: Problems
) -> None:
    """Report what keeps the real servers' gateway from moving with the VIPs."""
    services = {vip["address"]: vip["path"] for vip in vips}
    families = [FAMILIES[vip.address.version] for vip in gateway]
    if len(set(families)) < len(families):
        problems.add("lvs_gateway_vip", "has two addresses of one family", "keep one of each")
    for vip in gateway:
        if str(vip.address) in services:
            problems.add(
                "lvs_gateway_vip",
                f"{vip.address} is the VIP of {services[str(vip.address)]}",
                "give the real servers a gateway of their own",
            )
        for host in directors:
            if vip.address in host.addresses.values():
                problems.add(
                    "lvs_gateway_vip",
                    f"{vip.address} is the lvs_address of {host.name}",
                    "name an address that no host has: it moves",
                )
    if gateway and len({own_gateway(host) for host in directors}) > 1:
        problems.add(
            "lvs_gateway_interface",
            "is lvs_interface on some directors and another interface on others",
            "wire all directors alike",
        )


def _check_gateway_instance(
    gateway: Sequence[Vip], vrrp: Mapping[str, Any], directors: Sequence[Host], problems: Problems
) -> None:
    if gateway and len(vrrp["instances"] or ()) > 1:
        problems.add(
            "lvs_gateway_vip",
            "moves with one instance, and lvs_vrrp.instances has several: replies would miss the others' directors",
            "use one instance, or forward: dr or tun",
        )
    if own_gateway_used(gateway, directors) and vrrp["gateway_router_id"] is None and vrrp["router_id"] == 255:
        problems.add("lvs_vrrp.gateway_router_id", "would be 256", "say one from 1 to 255")


def own_gateway(host: Host) -> bool:
    """Tell whether the director's gateway for real servers is on an interface of its own."""
    return host.gateway_interface not in (None, host.interface)


def own_gateway_used(gateway: Sequence[Any], directors: Sequence[Host]) -> bool:
    return bool(gateway) and any(own_gateway(host) for host in directors)


def _check_sources(
    directors: Sequence[Host], vips: Sequence[Mapping[str, Any]], gateway: Sequence[Vip], problems: Problems
) -> None:
    """Unicast adverts need an address at both ends."""
    families = dict.fromkeys(vip["family"] for vip in vips)
    owners: dict[str, str] = {}
    for host in directors:
        for family in families:
            source = host.source(family)
            if source is None and host.readable:
                separate = own_gateway(host)
                problems.add_for(
                    host.name,
                    "lvs_vrrp_address",
                    f"there is no {FAMILY_WORDS[family]} address on lvs_interface for adverts to come from"
                    + (": lvs_address is the one on lvs_gateway_interface" if separate else ""),
                    "add the director's own address there, or use lvs_vrrp.unicast: false",
                )
            elif source is not None and owners.setdefault(source, host.name) != host.name:
                problems.add_for(
                    host.name,
                    "lvs_vrrp_address",
                    f"{source} is the address of {owners[source]} too",
                    "each director has its own",
                )
        for vip in gateway:
            family = FAMILIES[vip.address.version]
            if family not in host.addresses and host.readable:
                problems.add_for(
                    host.name,
                    "lvs_address",
                    f"there is no {FAMILY_WORDS[family]} address for the adverts of lvs_gateway_vip to come from",
                    "add the director's own address on lvs_gateway_interface, or use lvs_vrrp.unicast: false",
                )


def check_networks(directors: Sequence[Host], vips: Sequence[Mapping[str, Any]], problems: Problems) -> None:
    """A VIP that no network of its interface has is a mistake, unless its prefix length says it is meant."""
    for host in directors:
        for vip in vips:
            network = host.networks.get(vip["family"])
            if network is not None and not vip["stated"] and ipaddress.ip_address(vip["address"]) not in network:
                problems.add_for(
                    host.name,
                    f"{vip['path']}.vip",
                    f"{vip['address']} is outside {network}, the network of lvs_interface as lvs_vrrp_address says it",
                    f"correct it, or state a prefix length: {vip['address']}/{FULL_PREFIX[vip['family']]}",
                )


# What it becomes


def plan_vrrp(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    vips: Sequence[Mapping[str, Any]],
    gateway: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Return the groups of instances, and the settings that all of them share."""
    if settings["lvs_failover"] != "keepalived":
        return None
    vrrp = _settings(settings)
    separate = own_gateway_used(gateway, [hosts[name] for name in member.directors])
    shared = {key: vrrp[key] for key in vrrp if key not in ("instances", "virtual_routes", "virtual_rules")}
    groups = list(_groups(vrrp, priorities(member, hosts), vips, [] if separate else gateway))
    if separate:
        number = vrrp["gateway_router_id"] or vrrp["router_id"] + 1
        groups[0]["members"] += list(_members(f"{groups[0]['name']}-gateway", "gateway", number, gateway))
    if vrrp["virtual_routes"] or vrrp["virtual_rules"]:
        for key in ("virtual_routes", "virtual_rules"):
            groups[0][key] = [*groups[0][key], *vrrp[key]]
    shared["nopreempt"] = not settings["lvs_failback"]
    return {**shared, "password": bool(settings["lvs_vrrp_password"]), "groups": groups}


def _groups(
    vrrp: Mapping[str, Any],
    ranks: Mapping[str, int],
    vips: Sequence[Mapping[str, Any]],
    more: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    # The first one is advertised: of them all the gateway changes least.
    every = [*more, *vips]
    if not vrrp["instances"]:
        yield _group(NAME, ranks, vrrp["router_id"], every, {})
    for index, one in enumerate(vrrp["instances"]):
        own = {str(address) for address in one["vips"]} | ({vip["address"] for vip in more} if index == 0 else set())
        order = one["directors"]
        mine = dict(zip(order, sorted(ranks.values(), reverse=True))) if order else ranks
        number = one["router_id"] or vrrp["router_id"] + index
        yield _group(one["name"], mine, number, [vip for vip in every if vip["address"] in own], one)


def _group(
    name: str, ranks: Mapping[str, int], number: int, vips: Sequence[Mapping[str, Any]], said: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "priorities": dict(ranks),
        "members": list(_members(name, "clients", number, vips)),
        "virtual_routes": list(said.get("virtual_routes") or ()),
        "virtual_rules": list(said.get("virtual_rules") or ()),
        "keepalived": said.get("keepalived"),
    }


def _members(name: str, side: str, number: int, vips: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for family in FAMILIES.values():
        own = [f"{vip['address']}/{vip['prefix']}" for vip in vips if vip["family"] == family]
        if own:
            yield {
                "name": name if family == "ipv4" else f"{name}-ipv6",
                "family": family,
                "side": side,
                "router_id": number,
                "addresses": own[:ADVERTISED],
                "excluded": own[ADVERTISED:],
            }
