# SPDX-License-Identifier: GPL-3.0-or-later
"""How heartbeat moves the VIPs between two directors: lvs_heartbeat and its relatives, judged and completed.

heartbeat is told what is wrong with its files when it starts; here the operator is told before any host is touched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema, vrrp
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES, Host, Members
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, suggest

GROUP = "239.192.0.81"
BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800)
LEAST_INITDEAD = 10
"""Seconds. heartbeat itself warns below them."""

OWN = frozenset(
    (
        "auto_failback",
        "autojoin",
        "baud",
        "crm",
        "deadping",
        "deadtime",
        "initdead",
        "keepalive",
        "nice_failback",
        "node",
        "pacemaker",
        "udpport",
        "warntime",
    )
)
"""Directives of ha.cf that are not the operator's: written from the inventory, or at odds with haresources."""

DIRECTIVES = frozenset(
    (
        "apiauth",
        "bcast",
        "cluster",
        "compression",
        "compression_threshold",
        "conn_logd_time",
        "coredumps",
        "coreroot",
        "debug",
        "debugfile",
        "env",
        "failfast",
        "hbgenmethod",
        "hopfudge",
        "log_badpack",
        "logfacility",
        "logfile",
        "max_rexmit_delay",
        "mcast",
        "mcast6",
        "memreserve",
        "msgfmt",
        "ping",
        "ping6",
        "ping_group",
        "qserver",
        "realtime",
        "respawn",
        "rtprio",
        "serial",
        "stonith",
        "stonith_host",
        "syslogmsgfmt",
        "traditional_compression",
        "ucast",
        "ucast6",
        "udp",
        "use_apphbd",
        "use_logd",
        "uuidfrom",
        "watchdog",
    )
)
"""The others that heartbeat 3.0.6 knows."""

MEANT_FOR = {
    "interface": ("ucast", "mcast", "bcast"),
    "addresses": ("ucast",),
    "group": ("mcast",),
    "ttl": ("mcast",),
    "device": ("serial",),
}
"""Keys of a medium, and the types that they mean something to."""


def check_heartbeat(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    vips: Sequence[Mapping[str, Any]],
    problems: Problems,
) -> None:
    """Report what keeps heartbeat from moving the VIPs as described."""
    if settings["lvs_failover"] != "heartbeat":
        return
    vrrp.check_movers(member, [*vips, *vrrp.gateway_of(settings)], problems)
    if len(member.directors) > 2:
        problems.add(
            "lvs_failover",
            f"the group {member.pair[0]} has {len(member.directors)} directors, and heartbeat works between two",
            "leave two in it, or use lvs_failover: keepalived",
        )
    directors = [hosts[name] for name in member.directors]
    gateway = vrrp.gateway_of(settings)
    vrrp.check_priorities(vrrp.priorities(member, hosts), problems)
    vrrp.check_gateway(gateway, directors, vips, problems)
    vrrp.check_networks(directors, vips, problems)
    _check_nodes(directors, problems)
    _check_key(settings["lvs_heartbeat_key"], problems)
    heartbeat = _settings(settings)
    _check_timers(heartbeat, problems)
    _check_media(heartbeat, directors, problems)
    _check_pings(heartbeat, directors, problems)
    _check_text(heartbeat["text"], problems)


def _settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return settings["lvs_heartbeat"] or schema.HEARTBEAT.defaults()


def _check_nodes(directors: Sequence[Host], problems: Problems) -> None:
    owners: dict[str, str] = {}
    for host in directors:
        if owners.setdefault(host.node, host.name) != host.name:
            problems.add_for(
                host.name,
                "lvs_node_name",
                f"{host.node} is the name of {owners[host.node]} too, and heartbeat tells directors apart by it",
                "name each as `uname -n` does there",
            )


def _check_key(key: Any, problems: Problems) -> None:
    if key is None:
        problems.add(
            "lvs_heartbeat_key",
            "is missing: anybody could tell the directors to give the VIPs away",
            "add a key in quotes, from a vault",
        )


def _check_timers(heartbeat: Mapping[str, Any], problems: Problems) -> None:
    keepalive, deadtime = heartbeat["keepalive"], heartbeat["deadtime"]
    if not keepalive or not deadtime:
        return
    rules = (
        ("deadtime", deadtime > 2 * keepalive, f"is not more than two keepalive ({2 * keepalive:g})"),
        ("deadping", _at(heartbeat, "deadping") > 2 * keepalive, f"is not more than two keepalive ({2 * keepalive:g})"),
        ("initdead", _at(heartbeat, "initdead") >= deadtime, f"is less than deadtime ({deadtime:g})"),
        ("warntime", _at(heartbeat, "warntime") > keepalive, f"is not more than keepalive ({keepalive:g})"),
        ("warntime", _at(heartbeat, "warntime") <= deadtime, f"is more than deadtime ({deadtime:g})"),
    )
    for key, well, wrong in rules:
        if not well and (key == "deadtime" or heartbeat[key]):
            problems.add(f"lvs_heartbeat.{key}", f"{heartbeat[key]:g} {wrong}", "choose timers that fit together")


def _at(heartbeat: Mapping[str, Any], key: str) -> float:
    """Return a timer's value, or what it is where nobody says."""
    keepalive, deadtime = heartbeat["keepalive"], heartbeat["deadtime"]
    derived = {
        "warntime": deadtime / 2 if deadtime / 2 > keepalive else deadtime,
        "initdead": max(2 * deadtime, LEAST_INITDEAD),
        "deadping": deadtime,
    }
    return heartbeat[key] or derived.get(key, 0)


def _check_media(heartbeat: Mapping[str, Any], directors: Sequence[Host], problems: Problems) -> None:
    if heartbeat["baud"] and heartbeat["baud"] not in BAUDS:
        problems.add(
            "lvs_heartbeat.baud", f"{heartbeat['baud']} is no speed", f"use one of {', '.join(map(str, BAUDS))}"
        )
    if heartbeat["media"] is UNREADABLE or any(medium is UNREADABLE for medium in heartbeat["media"]):
        return
    for index, medium in enumerate(heartbeat["media"]):
        path = f"lvs_heartbeat.media[{index}]"
        for key, types in MEANT_FOR.items():
            if medium[key] is not None and medium["type"] and medium["type"] not in types:
                problems.add(
                    f"{path}.{key}", f"means nothing to {medium['type']}", f"leave it out, or use {' or '.join(types)}"
                )
        if medium["type"] == "serial" and medium["device"] is None:
            problems.add(f"{path}.device", "is missing", "add device: /dev/ttyS0, or what it is")
        if medium["group"] and not _is_multicast(medium["group"]):
            problems.add(
                f"{path}.group",
                f"{medium['group']} is no multicast address",
                f"write one such as {GROUP} or ff12::81",
            )
    if not problems:
        for index, medium in enumerate(_media(heartbeat, directors)):
            place = f"[{index}]" if heartbeat["media"] else ""
            _check_ends(f"lvs_heartbeat.media{place}", medium, directors, problems)


def _is_multicast(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_multicast
    except ValueError:
        return False


def _check_ends(path: str, medium: Mapping[str, Any], directors: Sequence[Host], problems: Problems) -> None:
    if medium["type"] != "ucast":
        return
    if medium["own"]:
        owners: dict[str, str] = {}
        for host in directors:
            address = medium["own"][host.node]
            if owners.setdefault(address, host.name) != host.name:
                problems.add_for(
                    host.name,
                    "lvs_vrrp_address",
                    f"{address} is the address of {owners[address]} too",
                    "each director has its own",
                )
    elif not medium["addresses"]:
        problems.add(
            path,
            "both directors' addresses there are not known"
            if medium["interface"]
            else "one of the directors has no address there that heartbeats could go to",
            "add addresses: both of them, or for lvs_interface the directors' own lvs_vrrp_address",
        )
    elif len({FAMILIES[ipaddress.ip_address(one).version] for one in medium["addresses"]}) > 1:
        problems.add(f"{path}.addresses", "are of two families", "write a medium for each")
    elif len(set(medium["addresses"])) != 2:
        problems.add(f"{path}.addresses", "are not two", "write one of each director; either takes the other's")


def _check_pings(heartbeat: Mapping[str, Any], directors: Sequence[Host], problems: Problems) -> None:
    own = {str(address): host.name for host in directors for address in host.addresses.values()}
    names: set[str] = set()
    pings = [(f"lvs_heartbeat.ping[{index}]", one) for index, one in enumerate(heartbeat["ping"] or ())]
    for index, group in enumerate(heartbeat["ping_groups"] or ()):
        if not group:
            continue
        path = f"lvs_heartbeat.ping_groups[{index}] ({group['name']})"
        if group["name"] in names or group["name"] in {host.node for host in directors}:
            problems.add(f"{path}.name", f"{group['name']} is there twice", "give it a name of its own")
        names.add(group["name"])
        members = [one for one in group["addresses"] or () if one]
        pings += [(f"{path}.addresses", one) for one in members]
        if any(one.version == 6 for one in members):
            problems.add(f"{path}.addresses", "holds an IPv6 address, and a group has none", "name it in ping")
    for path, one in pings:
        if one and str(one) in own:
            problems.add(
                path, f"{one} is {own[str(one)]}, a director", "name somebody whom a working director reaches: a router"
            )


def _check_text(text: Any, problems: Problems) -> None:
    for number, directive in directives(text or ""):
        if directive in OWN:
            problems.add(
                f"lvs_heartbeat.text (line {number})",
                f"{directive} is the collection's",
                "say it with a key of lvs_heartbeat or with lvs_failback, or leave it out",
            )
        elif directive not in DIRECTIVES:
            problems.add(
                f"lvs_heartbeat.text (line {number})",
                f"heartbeat knows no directive {directive}",
                suggest(directive, DIRECTIVES | OWN, "see ha.cf(5)"),
            )


def directives(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the first word of each line that says something."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if words:
            yield number, words[0]


# What it becomes


def plan_heartbeat(
    settings: Mapping[str, Any],
    member: Members,
    hosts: Mapping[str, Host],
    gateway: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Return what ha.cf and haresources say, complete; the key is in neither."""
    if settings["lvs_failover"] != "heartbeat":
        return None
    heartbeat = _settings(settings)
    ranks = vrrp.priorities(member, hosts)
    names = sorted(member.directors, key=lambda name: -ranks[name])
    pinged = bool(heartbeat["ping"] or heartbeat["ping_groups"])
    return {
        "nodes": [hosts[name].node for name in names],
        "failback": settings["lvs_failback"],
        **{key: heartbeat[key] for key in ("keepalive", "deadtime", "port", "baud", "text")},
        **{key: _at(heartbeat, key) for key in ("warntime", "initdead", "deadping")},
        "media": list(_media(heartbeat, [hosts[name] for name in names], gateway)),
        "ping": [str(one) for one in heartbeat["ping"]],
        "ping_groups": [
            {"name": group["name"], "addresses": [str(one) for one in group["addresses"]]}
            for group in heartbeat["ping_groups"]
        ],
        "ipfail": heartbeat["ipfail"] and pinged,
        "before": list(heartbeat["before"]),
        "after": list(heartbeat["after"]),
    }


def _media(
    heartbeat: Mapping[str, Any], directors: Sequence[Host], gateway: Sequence[Any] = ()
) -> Iterator[dict[str, Any]]:
    """Yield each medium whole. `own` are the directors' addresses where the inventory knows them, by node name."""
    said = heartbeat["media"] or [_plain("ucast")]
    if not heartbeat["media"] and any(vrrp.own_gateway(host) for host in directors):
        said = [*said, {**_plain("ucast"), "side": "gateway"}]
    for medium in said:
        side = medium.get("side") or _side(medium, directors)
        addresses = [str(one) for one in medium["addresses"] or ()]
        yield {
            "type": medium["type"],
            "side": side,
            "interface": medium["interface"],
            "addresses": addresses,
            "own": {} if addresses or medium["type"] != "ucast" else _ends(side, directors),
            "group": medium["group"] or GROUP,
            "ttl": medium["ttl"] or 1,
            "device": medium["device"],
        }


def _plain(kind: str) -> dict[str, Any]:
    return {**{field.name: None for field in schema.MEDIUM.fields}, "type": kind}


def _side(medium: Mapping[str, Any], directors: Sequence[Host]) -> str | None:
    """Tell which of the directors' known interfaces it is, if it is one."""
    name = medium["interface"]
    if name is None or all(host.interface == name for host in directors):
        return None if medium["type"] == "serial" else "clients"
    return "gateway" if all(host.gateway_interface == name for host in directors) else None


def _ends(side: str | None, directors: Sequence[Host]) -> dict[str, str]:
    """Return each director's address there, all of one family; nothing where one of them has none."""
    for family in FAMILIES.values():
        found = {host.node: _end(side, family, host) for host in directors}
        if all(found.values()):
            return {node: str(address) for node, address in found.items()}
    return {}


def _end(side: str | None, family: str, host: Host) -> Any:
    if side == "clients":
        return host.source(family)
    return host.addresses.get(family) if side == "gateway" else None
