# SPDX-License-Identifier: GPL-3.0-or-later
"""How real servers are watched: the keys of a service that only a health engine acts on, judged and completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils import watching_ldirectord as by_ldirectord
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import known

if TYPE_CHECKING:
    from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Entry

DATAGRAMS = ("udp", "radius")
"""Checks that send a datagram to the port that serves."""

EITHER = ("dns", "sip")
"""Checks that do what suits the service."""

STREAMS = (
    "tcp",
    "http",
    "https",
    "smtp",
    *(name for name in by_ldirectord.OWN_TYPES if name not in (*DATAGRAMS, *EITHER, "off")),
)
"""Checks that open a TCP connection to the port that serves."""

ASKING = (*STREAMS, *DATAGRAMS, *EITHER)
"""Checks that ask a port."""

_DEFAULTS = {field.name: field.default for field in schema.SERVICE.fields}
_CHECK_DEFAULTS = {field.name: field.default for field in schema.CHECK.fields}


def check_watching(entry: Entry, health: Any) -> None:
    """Report what the health engine could not do, or would not."""
    if health == "none":
        _check_unwatched(entry)
    elif health:
        kind = _kind(entry)
        _check_check(entry, kind)
        _check_quorum(entry)
        if health == "ldirectord":
            by_ldirectord.check_for_ldirectord(entry, kind)
        else:
            by_ldirectord.check_for_keepalived(entry)


def _check_unwatched(entry: Entry) -> None:
    mend = "leave it out, or choose a health engine with lvs_health"
    wrong = "nobody would act on it, because lvs_health is none"
    check = entry.read["check"]
    if check and check["type"] != "none":
        entry.wrong(".check", wrong, mend)
    for key in ("fallback", *schema.ENGINE_KEYS):
        if entry.read[key] and entry.read[key] != _DEFAULTS[key]:
            entry.wrong(f".{key}", wrong, mend)
    for index, server in enumerate(entry.read["real_servers"] or ()):
        for key in ("keepalived", "ldirectord"):
            if server and server[key]:
                entry.wrong(f".real_servers[{index}].{key}", wrong, mend)


def _kind(entry: Entry) -> str | None:
    """Return the type of check, said or not; None where it can't be read."""
    check, protocol = entry.read["check"], entry.protocol
    if check is schema.UNREADABLE or (check and check["type"] is schema.UNREADABLE):
        return None
    if check and check["type"]:
        return str(check["type"])
    if protocol is schema.UNREADABLE:
        return None
    return default_type(protocol, (check and check["port"]) or entry.port)


def _check_check(entry: Entry, kind: str | None) -> None:
    check, protocol = entry.read["check"], entry.protocol
    if not check or not kind:
        return
    for key, kinds in schema.CHECK_KEYS.items():
        if check[key] and check[key] != _CHECK_DEFAULTS[key] and kind not in kinds:
            entry.wrong(
                f".check.{key}",
                f"means nothing to a check of type {kind}",
                f"leave it out, or use type: {' or '.join(kinds)}",
            )
    _check_protocol(entry, kind, protocol, check["port"])
    for key in ("command", "file"):
        if kind == {"command": "script", "file": "file"}[key] and check[key] is None:
            entry.wrong(f".check.{key}", f"is missing, and a check of type {kind} needs it", f"add {key}: a full path")
    if check["regex_absent"] and check["regex"] is None:
        entry.wrong(".check.regex_absent", "there is no regex", "add regex, or leave it out")


def _check_protocol(entry: Entry, kind: str, protocol: Any, port: Any) -> None:
    """Refuse a check that would ask the port that serves in a protocol it does not speak."""
    if port:
        return
    needed = "tcp" if kind in STREAMS else "udp" if kind in DATAGRAMS else protocol
    if protocol and needed != protocol:
        entry.wrong(
            ".check.type",
            f"{kind} asks a {needed} port, and the service is {protocol}",
            f"name a {needed} port to ask with check.port, or use another type, for example"
            f" {default_type(protocol, 1)}",
        )
    elif entry.ports and not entry.port and kind in ASKING:
        ports = "a fwmark has no port" if entry.marked_elsewhere else "the service has every port"
        entry.wrong(".check.port", f"is missing: {ports}, and {kind} asks one", "name the port to ask")


def _check_quorum(entry: Entry) -> None:
    quorum, hysteresis = entry.read["quorum"], entry.read["hysteresis"]
    if hysteresis and quorum and hysteresis >= quorum:
        entry.wrong(
            ".hysteresis",
            f"{hysteresis} is not less than the quorum {quorum}, and keepalived would ignore it",
            "make it smaller, or the quorum larger",
        )


def default_type(protocol: str | None, port: int) -> str:
    """Return how a service is watched that does not say: a connection where there can be one, else an echo."""
    return "tcp" if protocol in ("tcp", None) and port else "ping"


def watched(entry: Entry, port: int) -> dict[str, Any]:
    """Return all that the health engine has to know of one service beside its row."""
    read = entry.read
    check = _complete(read["check"] or _CHECK_DEFAULTS, entry.protocol, port or entry.port)
    if entry.by_mark and check["type"] in ASKING:
        # Its real servers have no port of their own that a check could ask.
        check["port"] = check["port"] or entry.port
    # What is secret stays in the inventory: the role takes it from there.
    secrets = [key for key in by_ldirectord.SECRETS if check[key]]
    return {
        "check": {**check, **dict.fromkeys(by_ldirectord.SECRETS), "secrets": secrets},
        "fallback": _fallback(entry, port),
        **{key: known(read[key]) for key in schema.ENGINE_KEYS},
    }


def _complete(check: Mapping[str, Any], protocol: str | None, port: int) -> dict[str, Any]:
    kind = check["type"] or default_type(protocol, check["port"] or port)
    complete = {**check, "type": kind}
    if kind in schema.WEB:
        complete["path"] = check["path"] or "/"
        if not check["status"]:
            complete["status"] = [] if check["digest"] or check["regex"] else ["200"]
    return complete


def _fallback(entry: Entry, port: int) -> dict[str, Any] | None:
    fallback = entry.read["fallback"]
    if not fallback or not fallback["address"]:
        return None
    return {
        "address": str(fallback["address"]),
        "port": fallback["port"] or port,
        "forward": fallback["forward"] or entry.forward,
    }
