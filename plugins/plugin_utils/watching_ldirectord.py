# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the one vocabulary of checks ldirectord can't say, and what of it only ldirectord can: both are refused.

Judged against ldirectord of resource-agents 4.7 (Debian 11) to 4.18, which differ in nothing of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema, schema_ldirectord
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES, FAMILY_WORDS
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Address

if TYPE_CHECKING:
    from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Entry, Service

OWN_TYPES = tuple(choice.name for choice in schema_ldirectord.CHECKS)
OWN_KEYS = tuple(field.name for field in schema_ldirectord.CHECK_FIELDS)
SECRETS = ("password", "secret")

SUCCESS = "200-299"
"""What ldirectord takes for success, whatever one says."""

NEEDED = {
    "http_proxy": ("request",),
    "ftp": ("request", "regex"),
    "dns": ("name", "regex"),
    "simpletcp": ("regex",),
    "radius": ("login", "password", "secret"),
    **dict.fromkeys(schema_ldirectord.SQL, ("login", "database", "request")),
}
MEANINGS = {
    "request": "what to ask for",
    "regex": "what the answer looks like",
    "name": "a name that has an address",
    "login": "who logs in",
    "password": "the password of login",
    "secret": "what the director shares with the server",
    "database": "the database",
}

ANY_FAMILY = ("none", "off", "tcp", "script", "http", "https", "dns", "nntp", "sip", "simpletcp")
"""Checks that ldirectord can make over IPv6."""

INSTEAD = {
    "udp": "ping, dns, sip, radius or script",
    "file": "script, or files in lvs_ldirectord.maintenance_directory",
}

_CHECK = schema.CHECK.defaults()
_SERVICE = schema.SERVICE.defaults()


def check_for_keepalived(entry: Entry) -> None:
    """Report what only ldirectord knows."""
    check = entry.read["check"]
    mend = "leave it out, or use lvs_health: ldirectord"
    if check and check["type"] in OWN_TYPES:
        entry.wrong(
            ".check.type", f"{check['type']} is ldirectord's", "use tcp or script, or use lvs_health: ldirectord"
        )
    elif check:
        for key in OWN_KEYS:
            if _said(check, key, _CHECK):
                entry.wrong(f".check.{key}", "keepalived does not know it", mend)
        if check["regex"] and check["type"] == "dns":
            entry.wrong(".check.regex", "keepalived does not look at what a name server answers", mend)
    _refuse(entry, ("ldirectord",), "keepalived has no use for it", "use the key keepalived, or lvs_health: ldirectord")
    _refuse_of_servers(entry, "ldirectord", "keepalived has no use for it", "use the key keepalived")


def check_for_ldirectord(entry: Entry, kind: str | None) -> None:
    """Report what ldirectord does not know.

    :param kind: the type of check, or None where it can't be read.
    """
    _refuse(
        entry,
        ("quorum", "hysteresis", "alpha", "omega"),
        "ldirectord does not know it",
        "leave it out, or use lvs_health: keepalived",
    )
    wrong, mend = "ldirectord has no use for it", "use the key ldirectord, or lvs_health: keepalived"
    _refuse(entry, ("keepalived",), wrong, mend)
    _refuse_of_servers(entry, "keepalived", wrong, mend)
    _check_service(entry)
    if kind:
        _check_kind(entry, kind)
    check = entry.read["check"]
    if check and kind:
        _check_keys(entry, check, kind)
        _check_values(entry, check, kind)


def _said(values: Mapping[str, Any], key: str, defaults: Mapping[str, Any]) -> bool:
    return values[key] is not UNREADABLE and values[key] not in (None, [], ()) and values[key] != defaults[key]


def _refuse(entry: Entry, keys: Iterable[str], wrong: str, mend: str) -> None:
    for key in keys:
        if _said(entry.read, key, _SERVICE):
            entry.wrong(f".{key}", wrong, mend)


def _refuse_of_servers(entry: Entry, key: str, wrong: str, mend: str) -> None:
    for index, server in enumerate(entry.read["real_servers"] or ()):
        if server and server[key]:
            entry.wrong(f".real_servers[{index}].{key}", wrong, mend)


def _check_service(entry: Entry) -> None:
    if entry.protocol == "sctp" and not entry.by_mark:
        entry.wrong(
            ".protocol", "ldirectord knows tcp and udp only", "add group: true (a mark), or use lvs_health: keepalived"
        )
    if entry.read["one_packet"] and entry.by_mark:
        entry.wrong(
            ".one_packet",
            "ldirectord knows it for udp services by VIP and port only",
            "leave it out, make services by VIP and port, or use lvs_health: keepalived",
        )
    tunnel = entry.read["tunnel"]
    if tunnel and tunnel["type"] in ("gue", "gre"):
        entry.wrong(
            ".tunnel.type",
            "ldirectord knows ipip only",
            "use type: ipip, or lvs_health: keepalived",
        )
    persistence = entry.read["persistence"]
    if persistence and persistence["engine"]:
        entry.wrong(
            ".persistence.engine",
            "ldirectord does not know it",
            "leave it out, or use lvs_health: keepalived",
        )


def _check_kind(entry: Entry, kind: str) -> None:
    known = tuple(name for name in ANY_FAMILY if name != "off")
    if kind in INSTEAD:
        entry.wrong(
            ".check.type",
            f"ldirectord has no check of type {kind}",
            f"use {INSTEAD[kind]}, or use lvs_health: keepalived",
        )
    elif kind not in ANY_FAMILY and "ipv6" in entry.families:
        entry.wrong(
            ".check.type",
            f"ldirectord cannot make a check of type {kind} over IPv6",
            f"use one of {', '.join(known)}; a service of its own for IPv4 may keep it",
        )
    check = entry.read["check"]
    if kind in ("tcp", "simpletcp") and entry.protocol == "udp" and check and check["port"]:
        entry.wrong(
            ".check.type",
            f"ldirectord makes a check of type {kind} in the service's own protocol, and that is udp",
            "use ping, dns, sip, radius or script",
        )


def _check_keys(entry: Entry, check: Mapping[str, Any], kind: str) -> None:
    instead = {"digest": "use regex", "dynamic": "let the program's exit status say up (0) or down"}
    for key in ("digest", "dynamic", "warmup", "retry_interval"):
        if _said(check, key, _CHECK):
            mend = instead.get(key, "leave it out")
            entry.wrong(f".check.{key}", "ldirectord does not know it", f"{mend}, or use lvs_health: keepalived")
    if check["keepalived"]:
        entry.wrong(".check.keepalived", "ldirectord has no use for it", "use the service's key ldirectord")
    if kind == "smtp" and check["name"]:
        entry.wrong(
            ".check.name",
            "ldirectord greets with the director's own name",
            "leave it out, or use lvs_health: keepalived",
        )
    if check["record"] not in (None, UNREADABLE, "A"):
        entry.wrong(
            ".check.record",
            "ldirectord asks for the address of a name, or the name of an address",
            "leave it out, or use type: script or lvs_health: keepalived",
        )
    for key in NEEDED.get(kind, ()):
        if check[key] is None:
            entry.wrong(
                f".check.{key}", f"is missing, and with ldirectord {kind} needs it", f"add {key}: {MEANINGS[key]}"
            )


def _check_values(entry: Entry, check: Mapping[str, Any], kind: str) -> None:
    for key in ("interval", "timeout"):
        value = check[key]
        if value is not UNREADABLE and value != int(value):
            entry.wrong(
                f".check.{key}", f"{value:g} is a fraction, and ldirectord counts whole seconds", "write 1 or more"
            )
    if [status for status in check["status"] or () if status] not in ([], [SUCCESS]):
        entry.wrong(
            ".check.status",
            f"ldirectord takes {SUCCESS} for success, and follows redirects",
            f"leave it out, write {SUCCESS}, or use type: script or lvs_health: keepalived",
        )
    if check["method"] == "HEAD" and check["regex"]:
        entry.wrong(".check.regex", "HEAD asks for no page that it could match", "leave one of both out")
    if kind == "script" and check["command"] and len(check["command"].split()) > 1:
        entry.wrong(
            ".check.command",
            "ldirectord gives the program arguments of its own and none of yours",
            "write the path of a program alone, perhaps of a small script",
        )
    if check["regex"] and "\n" in check["regex"]:
        entry.wrong(".check.regex", "ldirectord reads one line", "write \\n in single quotes for a line's end")
    for key in ("path", "command"):
        if check[key] and "#" in check[key]:
            entry.wrong(f".check.{key}", "ldirectord takes # for the beginning of a comment", "leave it out")


def check_services(settings: Mapping[str, Any], services: Sequence[Service], problems: Problems) -> None:
    """Report what ldirectord can't do with the services together, or with whole rows."""
    if settings["lvs_health"] != "ldirectord":
        return
    for service in services:
        fallback = service.watched["fallback"]
        servers: list[tuple[str, Address]] = [("real server", server.address) for server in service.real_servers]
        if fallback:
            servers.append(("fallback", ipaddress.ip_address(fallback["address"])))
        for what, address in servers:
            if FAMILIES[address.version] != service.family:
                problems.add(
                    service.path,
                    f"the {what} {address} is {FAMILY_WORDS[FAMILIES[address.version]]}, and ldirectord sends to"
                    f" servers of the service's own family ({FAMILY_WORDS[service.family]}) only",
                    "give it an address of that family, or use lvs_health: keepalived",
                )
        _check_imap_port(service, problems)
    _check_interval(settings["lvs_ldirectord"], services, problems)


IMAP_PORTS = {"imap": 143, "imaps": 993}


def _check_imap_port(service: Service, problems: Problems) -> None:
    """Net::IMAP::Simple, by which ldirectord asks, passes over the port where it gets an address."""
    check = service.watched["check"]
    only = IMAP_PORTS.get(check["type"])
    asked = {check["port"] or server.port for server in service.real_servers}
    if only and asked - {only}:
        problems.add(
            f"{service.path}.check.port",
            f"ldirectord's check of type {check['type']} asks port {only}, whatever port it is told",
            f"add port: {only} where the servers listen there too, or use type: tcp or script",
        )


def plan(settings: Mapping[str, Any], services: Sequence[Service]) -> dict[str, Any]:
    """Return ldirectord's settings, which Perl modules its checks need beyond its own, and whether one has a secret."""
    own = settings["lvs_ldirectord"] or schema.LDIRECTORD.defaults()
    perl = {service.watched["check"]["type"] for service in services}.intersection(("mysql", "pgsql"))
    six = any(s.family == "ipv6" and s.watched["check"]["type"] in schema.WEB for s in services)
    secrets = any(service.watched["check"]["secrets"] for service in services)
    return {**own, "perl": sorted(perl) + (["inet6"] if six else []), "secrets": secrets}


def _check_interval(own: Any, services: Sequence[Service], problems: Problems) -> None:
    if not own or own["fork"] is not False:
        return
    first: dict[Any, str] = {}
    for service in services:
        first.setdefault(service.watched["check"]["interval"], service.path)
    if len(first) > 1:
        said = ", ".join(f"{interval} in {path}" for interval, path in first.items())
        problems.add(
            "lvs_ldirectord.fork",
            f"one process asks all real servers at one interval, and the services have several ({said})",
            "say the same everywhere, or leave fork out",
        )
