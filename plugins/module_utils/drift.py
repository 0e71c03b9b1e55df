# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the kernel's table is not what keepalived believes it to be.

keepalived compares its new file with its old one, never with the kernel, so what others change in its services stays.
What its health checks did is no drift: they decide who is in the table, and with which weight. Everything else is
judged by the description. Pure.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.module_utils.plan import Action

PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}


class Opinion(NamedTuple):
    """What keepalived holds of one real server: whether it has it in the table, and with which weight."""

    held: bool
    weight: int


Opinions = Dict[t.ServiceKey, Dict[t.RealServerKey, Opinion]]


class Watched(NamedTuple):
    """A service as described, and what its health checks may do to it."""

    entry: t.Entry
    fallback: Optional[t.RealServerKey]
    dynamic: bool  # its checks set weights


class Drift(NamedTuple):
    """One difference, and what mends it."""

    text: str
    action: Action
    forgotten: bool = False  # by keepalived itself, which nobody asks whether to mend


def parse_watched(watched: Union[str, List[Dict[str, Any]]]) -> List[Watched]:
    """The services as the view gives them to an engine, or the same as JSON text."""
    rows = json.loads(watched) if isinstance(watched, str) else watched
    table = t.complete_table(t.parse_config([row["row"] for row in rows], "watched"))
    found = []
    for row, entry in zip(rows, table.values()):
        fallback = row.get("fallback")
        check = row["check"]
        key = (t.parse_address(fallback["address"]), fallback["port"]) if fallback else None
        dynamic = bool(check.get("dynamic")) or (check["type"] == "file" and bool(check.get("weight")))
        found.append(Watched(entry, key, dynamic))
    return found


def parse_data(text: str) -> Opinions:
    """keepalived's opinions from what it writes at SIGUSR1 (keepalived_check.data)."""
    opinions: Opinions = {}
    service: Dict[str, str] = {}
    server: Dict[str, str] = {}

    def keep() -> None:
        key = _service_key(service)
        if key and server:
            held = server.get("alive") == "1" and server.get("RS set") == "1"
            inhibited = server.get("alive") != "1" and server.get("RS set") == "1"
            weight = int(server.get("EFF WEIGHT", "0")) if held else 0
            where = (t.parse_address(server["RIP"]), int(server["RPORT"]))
            own = opinions.setdefault(key, {})
            own[where] = Opinion(held or inhibited, weight)
            fallback = _fallback(service)
            if fallback:
                own.setdefault(*fallback)

    current = service
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("------<"):
            if current is server:
                keep()
            if "Virtual server >" in words:
                service, server = {}, {}
                current = service
            elif "Real server >" in words:
                server = {}
                current = server
            elif "Health checkers" in words:
                break
            continue
        current.update(_pairs(words))
    else:
        keep()
    return opinions


def _fallback(service: Dict[str, str]) -> Optional[Tuple[t.RealServerKey, Opinion]]:
    """The fallback is held while the real servers are too few. `sorry server = [192.0.2.14]:tcp:80`"""
    text, up = service.get("sorry server"), service.get("quorum_state_up")
    if not text or up is None:
        return None
    address, _bracket, port = text.lstrip("[").partition("]")
    where = (t.parse_address(address), int(port.rpartition(":")[2]))
    return where, Opinion(up != "1", 1)


def _pairs(words: str) -> Iterable[Tuple[str, str]]:
    """`RIP = 192.0.2.11, RPORT = 80, WEIGHT = 1 EFF WEIGHT = 1` and the like."""
    for part in words.replace(" EFF WEIGHT", ", EFF WEIGHT").split(", "):
        name, equals, value = part.partition(" = ")
        if equals:
            yield name.strip(), value.strip()


def _service_key(service: Dict[str, str]) -> Optional[t.ServiceKey]:
    if "VS FWMARK" in service:
        # It is one of IPv4 where keepalived says none, as in the kernel.
        family = t.AF_INET6 if service.get("Address family") == "inet6" else t.AF_INET
        return (family, 0, b"", 0, int(service["VS FWMARK"]))
    if "VS VIP" not in service or service.get("protocol") not in PROTOCOLS:
        return None
    address = t.parse_address(service["VS VIP"])
    return (t.family_of(address), PROTOCOLS[service["protocol"]], address, int(service["VPORT"]), 0)


def find(watched: Iterable[Watched], current: t.Table, opinions: Opinions) -> List[Drift]:
    """All differences that keepalived's health checks do not explain."""
    found: List[Drift] = []
    for one in watched:
        found += _in_service(one, current.get(one.entry.service.key), opinions.get(one.entry.service.key, {}))
    return found


def _in_service(one: Watched, entry: Optional[t.Entry], held: Dict[t.RealServerKey, Opinion]) -> List[Drift]:
    service, wanted = one.entry
    name = t.service_name(service)
    found: List[Drift] = []
    there: Dict[t.RealServerKey, t.RealServer] = {}
    if entry is None:
        found.append(Drift("%s is missing" % name, Action("-A", service)))
    else:
        there = entry.real_servers
        if entry.service != service:
            found.append(Drift("%s has other attributes" % name, Action("-E", service)))
    for key, real_server in wanted.items():
        found += _real_server(one, real_server, there.get(key), held.get(key))
    for key, real_server in there.items():
        if key in wanted:
            continue
        away = Action("-d", service, real_server)
        if key != one.fallback:
            found.append(Drift("%s of %s is in no description" % (t.real_server_name(real_server), name), away))
        elif key in held and not held[key].held:
            # A reload while the fallback answers makes keepalived forget that it does.
            text = "the fallback %s of %s answers beside the real servers" % (t.real_server_name(real_server), name)
            found.append(Drift(text, away, forgotten=True))
    return found


def _real_server(
    one: Watched, wanted: t.RealServer, there: Optional[t.RealServer], opinion: Optional[Opinion]
) -> List[Drift]:
    """One real server. Without an opinion of keepalived's, its presence and its weight 0 are taken for a check's."""
    service = one.entry.service
    name = "%s of %s" % (t.real_server_name(wanted), t.service_name(service))
    right = wanted._replace(weight=_weight(one, wanted, there, opinion))
    if there is None:
        if opinion is None or not opinion.held:
            return []
        return [Drift("%s is missing, and keepalived holds it" % name, Action("-a", service, right))]
    if opinion is not None and not opinion.held:
        return [Drift("%s is there, and keepalived has taken it out" % name, Action("-d", service, there))]
    if there == right:
        return []
    if there._replace(weight=right.weight) == right:
        what = "weight %d in place of %d" % (there.weight, right.weight)
    else:
        what = "other attributes"
    return [Drift("%s has %s" % (name, what), Action("-e", service, right))]


def _weight(one: Watched, wanted: t.RealServer, there: Optional[t.RealServer], opinion: Optional[Opinion]) -> int:
    """The weight that is right: keepalived's own, where it has one."""
    if opinion is not None and opinion.held:
        return opinion.weight if one.dynamic or opinion.weight == 0 else int(wanted.weight)
    if there is not None and (there.weight == 0 or one.dynamic):
        return int(there.weight)
    return int(wanted.weight)


def both(first: List[Drift], second: List[Drift]) -> List[Drift]:
    """What is in both: what health checks or a reload were about to change is gone when one looks again."""
    seen = {drift.text for drift in first}
    return [drift for drift in second if drift.text in seen]
