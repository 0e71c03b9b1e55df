# SPDX-License-Identifier: GPL-3.0-or-later
"""From the view of one director to keepalived.conf.

Pure, and the only place that knows keepalived's words. Every keyword here has been judged by `keepalived -t` of 2.1.5,
2.2.7 and 2.3.3 (Debian 11, 12, 13); what only newer ones know is printed only when asked for. Passwords
are none of its business: the file that holds them is included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

from ansible_collections.lvs.cluster.plugins.plugin_utils.rendering import (
    HEADER,
    by_mark,
    persistence_mask,
    raw_lines,
)

CONF = "/etc/keepalived/keepalived.conf"
SECRETS = "/etc/keepalived/lvs-secrets.conf"

View = Mapping[str, Any]
Entry = Union[str, tuple[str, "list[Any]"]]
"""A line, or a block: its head and its entries."""

METHODS = {"nat": "NAT", "dr": "DR", "tun": "TUN"}
CHECKERS = {
    "tcp": "TCP_CHECK",
    "http": "HTTP_GET",
    "https": "SSL_GET",
    "ping": "PING_CHECK",
    "udp": "UDP_CHECK",
    "dns": "DNS_CHECK",
    "smtp": "SMTP_CHECK",
    "script": "MISC_CHECK",
    "file": "FILE_CHECK",
}


def configuration(view: View) -> str:
    """Return keepalived.conf."""
    blocks: list[Entry] = [_global(view)]
    if view["vrrp"]:
        blocks += _vrrp(view)
    # Another engine may watch while keepalived moves the VIPs.
    watched = view["watched"] if view["health"] == "keepalived" else ()
    files = dict.fromkeys(one["check"]["file"] for one in watched if one["check"]["type"] == "file")
    names = {path: f"lvs-file-{number}" for number, path in enumerate(files, 1)}
    # Deciding is the real server's check: in the definition a weight of 0 would mean that nothing is added.
    blocks += [(f"track_file {name}", [f"file {plain(path)}"]) for path, name in names.items()]
    for one in watched:
        blocks += [f"# {one['name']}", _virtual_server(one, names)]
    blocks += raw_lines(view["keepalived"]["text"])
    return HEADER + "".join(printed(block) for block in blocks)


def secrets(view: View, password: str) -> str:
    """Return the file that holds the password, to be included by every instance; empty when there is none."""
    if not (view["vrrp"] and view["vrrp"]["password"]):
        return ""
    kind = view["vrrp"]["auth"].upper()
    return HEADER + printed(("authentication", [f"auth_type {kind}", f"auth_pass {plain(password)}"]))


def printed(entry: Entry, depth: int = 0) -> str:
    """Return an entry as text."""
    indent = "    " * depth
    if isinstance(entry, str):
        return f"{indent}{entry}\n"
    head, entries = entry
    return f"{indent}{head} {{\n" + "".join(printed(one, depth + 1) for one in entries) + f"{indent}}}\n"


def quoted(text: str) -> str:
    r"""Return a quoted command or expression: here keepalived undoes \\ and \" inside."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def plain(text: str) -> str:
    """Return a string in quotes. Here keepalived knows no escapes; quotes inside are in no value but a host's name."""
    return '"{}"'.format(text.replace('"', "").replace("\\", ""))


def number(value: float) -> str:
    return f"{value:g}"


def _global(view: View) -> Entry:
    lines: list[Entry] = [
        f"router_id {plain(view['host'])}",
        "enable_script_security",
        f"script_user {view['keepalived']['script_user']}",
    ]
    if view["vrrp"]:
        # The state of each instance, for who looks after the cluster, comes with the data: kill -USR1.
        lines.append(f"vrrp_version {view['vrrp']['version']}")
        if view["sync"]:
            lines.append(_sync_daemon(view))
    return "global_defs", [*lines, *raw_lines(view["keepalived"]["global"])]


def _sync_daemon(view: View) -> str:
    """One instance decides who sends and who receives; several leave each director doing both."""
    sync, groups = view["sync"], view["vrrp"]["groups"]
    words = ["lvs_sync_daemon", sync["interface"]]
    if len(groups) == 1:
        words += ["inst", groups[0]["members"][0]["name"]]
    words += ["id", str(sync["id"])]
    for key, word in (("max_length", "maxlen"), ("port", "port"), ("ttl", "ttl"), ("group", "group")):
        if sync[key] is not None:
            words += [word, str(sync[key])]
    return " ".join(words)


# VRRP


def _vrrp(view: View) -> Iterator[Entry]:
    vrrp = view["vrrp"]
    for track in vrrp["track_scripts"]:
        yield _track_script(track)
    for track in vrrp["track_processes"]:
        lines: list[Entry] = [f"process {plain(track['process'])}", f"quorum {track['quorum']}"]
        if track["delay"]:
            lines.append(f"delay {number(track['delay'])}")
        yield f"vrrp_track_process {_track_name(track)}", [*lines, f"weight {track['weight']}"]
    for track in vrrp["track_files"]:
        yield f"track_file {track['name']}", [f"file {plain(track['file'])}", f"weight {track['weight']}"]
    for group in vrrp["groups"]:
        together = len(group["members"]) > 1
        if together:
            names: list[Entry] = [member["name"] for member in group["members"]]
            yield f"vrrp_sync_group {group['name']}", [("group", names), *_following(view, group)]
        for index, member in enumerate(group["members"]):
            yield _instance(view, group, member, index == 0, [] if together else list(_following(view, group)))


def _track_script(track: Mapping[str, Any]) -> Entry:
    timeout = track["timeout"] or track["interval"]
    words = [f"{key} {track[key]}" for key in ("rise", "fall", "weight")]
    lines: list[Entry] = [f"script {quoted(track['script'])}", f"interval {track['interval']}", f"timeout {timeout}"]
    return f"vrrp_script {track['name']}", [*lines, *words]


def _track_name(track: Mapping[str, Any]) -> str:
    return str(track["name"] or track["process"])


def _following(view: View, group: Mapping[str, Any]) -> Iterator[Entry]:
    """What a group's state follows, and who is told of it. In a sync group this belongs to the group as a whole."""
    vrrp, own = view["vrrp"], {_interface(view, member) for member in group["members"]}
    interfaces = [track for track in vrrp["track_interfaces"] if track["name"] not in own]
    tracks = (
        ("track_interface", [(track["name"], track["weight"]) for track in interfaces]),
        ("track_script", [(track["name"], track["weight"]) for track in vrrp["track_scripts"]]),
        ("track_process", [(_track_name(track), track["weight"]) for track in vrrp["track_processes"]]),
        ("track_file", [(track["name"], track["weight"]) for track in vrrp["track_files"]]),
    )
    for head, rows in tracks:
        if rows:
            yield head, [f"{name} weight {weight}" if weight else name for name, weight in rows]
    for when, command in (vrrp["notify"] or {}).items():
        if command:
            yield f"notify{'' if when == 'any' else '_' + when} {quoted(command)}"


def _interface(view: View, member: Mapping[str, Any]) -> str:
    own = view["peers"][view["host"]]
    return str(own["interface"] if member["side"] == "clients" else own["gateway_interface"])


def _source(record: Mapping[str, Any], member: Mapping[str, Any]) -> str:
    addresses = record["sources"] if member["side"] == "clients" else record
    return str(addresses[member["family"]])


def _instance(
    view: View, group: Mapping[str, Any], member: Mapping[str, Any], first: bool, following: list[Entry]
) -> Entry:
    vrrp = view["vrrp"]
    priorities = group["priorities"]
    master = vrrp["state"] == "master" and priorities[view["host"]] == max(priorities.values())
    lines: list[Entry] = [
        f"state {'MASTER' if master else 'BACKUP'}",
        f"interface {_interface(view, member)}",
        f"virtual_router_id {member['router_id']}",
        f"priority {priorities[view['host']]}",
        f"advert_int {number(vrrp['advert_interval'])}",
    ]
    if vrrp["nopreempt"]:
        lines.append("nopreempt")
    elif vrrp["preempt_delay"] and not master:
        lines.append(f"preempt_delay {number(vrrp['preempt_delay'])}")
    if vrrp["unicast"]:
        peers: list[Entry] = [_source(one, member) for name, one in view["peers"].items() if name != view["host"]]
        lines += [
            f"unicast_src_ip {_source(view['peers'][view['host']], member)}",
            ("unicast_peer", peers),
            "check_unicast_src",
        ]
    lines += _garp(vrrp["garp"])
    if vrrp["password"] and member["family"] == "ipv4":
        lines.append(f"include {SECRETS}")
    # An IPv6 VIP is never the source of what the director itself sends. keepalived does so for /128 alone.
    deprecated = " preferred_lft 0" if member["family"] == "ipv6" else ""
    for key, word in (("addresses", "virtual_ipaddress"), ("excluded", "virtual_ipaddress_excluded")):
        if member[key]:
            lines.append((word, [address + deprecated for address in member[key]]))
    if first:
        for key in ("virtual_routes", "virtual_rules"):
            if group[key]:
                lines.append((key, list(group[key])))
    return f"vrrp_instance {member['name']}", [
        *lines,
        *following,
        *raw_lines(vrrp["keepalived"]),
        *raw_lines(group["keepalived"]),
    ]


def _garp(garp: Mapping[str, Any]) -> list[Entry]:
    words = (
        ("delay", "garp_master_delay"),
        ("repeat", "garp_master_repeat"),
        ("refresh", "garp_master_refresh"),
        ("refresh_repeat", "garp_master_refresh_repeat"),
        ("lower_prio_repeat", "garp_lower_prio_repeat"),
    )
    return [f"{word} {garp[key]}" for key, word in words]


# Virtual servers


def _virtual_server(one: Mapping[str, Any], files: Mapping[str, str]) -> Entry:
    row, check = one["row"], one["check"]
    # Else keepalived takes the family of the first real server, which need not be that of a tunnel's inner packets.
    lines: list[Entry] = [f"ip_family {'inet6' if row['family'] == 'ipv6' else 'inet'}"] if by_mark(row) else []
    lines += [f"lvs_sched {row['scheduler']}", *row["scheduler_flags"]]
    if row["one_packet"]:
        lines.append("ops")
    method = _method(row["real_servers"])
    lines.append(f"lvs_method {method}")
    if not by_mark(row):
        lines.append(f"protocol {row['protocol'].upper()}")
    lines += _persistence(row)
    if check["type"] != "none":
        lines.append(f"delay_loop {number(check['interval'])}")
    lines += _quorum(one)
    lines += [word for word in ("inhibit_on_failure", "alpha", "omega") if one[word]]
    if one["fallback"] and not _standing_in(one):
        fallback = one["fallback"]
        lines.append(f"sorry_server {_target(row, fallback)}")
        own = _fallback_method(row, fallback)
        if own != method:
            lines.append(f"sorry_server_lvs_method {own}")
    lines += raw_lines(one["keepalived"])
    for server, raw in zip(row["real_servers"], one["servers"]):
        lines.append(_real_server(row, server, check, files, raw))
    standing_in = _standing_in(one)
    if standing_in:
        lines.append(standing_in)
    identity = f"fwmark {row['fwmark']}" if by_mark(row) else f"{row['address']} {row['port']}"
    return f"virtual_server {identity}", lines


def _target(row: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    """Print a server's address and port. Behind a mark keepalived wants to hear of none."""
    return str(server["address"]) if by_mark(row) else f"{server['address']} {server['port']}"


def _method(servers: Sequence[Mapping[str, Any]]) -> str:
    return METHODS[servers[0]["forward"]] + _tunnel(servers[0].get("tunnel"))


def _fallback_method(row: Mapping[str, Any], fallback: Mapping[str, Any]) -> str:
    """Print how the fallback is reached: by the service's own tunnel, where it has one."""
    own = row["real_servers"][0].get("tunnel") if fallback["forward"] == "tun" else None
    return METHODS[fallback["forward"]] + _tunnel(own)


def _tunnel(tunnel: Mapping[str, Any] | None) -> str:
    if not tunnel or tunnel["type"] == "ipip":
        return ""
    port = f" port {tunnel['port']}" if tunnel["type"] == "gue" else ""
    return f" type {tunnel['type']}{port}{' csum' if tunnel['checksum'] else ''}"


def _persistence(row: Mapping[str, Any]) -> list[Entry]:
    persistence = row["persistence"]
    if not persistence:
        return []
    lines: list[Entry] = [f"persistence_timeout {persistence['timeout']}"]
    mask = persistence_mask(row)
    if mask:
        lines.append(f"persistence_granularity {mask}")
    if persistence["engine"]:
        lines.append(f"persistence_engine {persistence['engine']}")
    return lines


def _standing_in(one: Mapping[str, Any]) -> Entry | None:
    """While all real servers are in maintenance, keepalived would not call the fallback: it is one of them then."""
    row, fallback = one["row"], one["fallback"]
    if not fallback or any(server["weight"] for server in row["real_servers"]):
        return None
    method = _fallback_method(row, fallback)
    lines: list[Entry] = ["weight 1"]
    if method != _method(row["real_servers"]):
        lines.append(f"lvs_method {method}")
    return f"real_server {_target(row, fallback)}", lines


def _quorum(one: Mapping[str, Any]) -> list[Entry]:
    """keepalived refuses a quorum above what all real servers have together; maintenance may leave less."""
    total = sum(server["weight"] for server in one["row"]["real_servers"])
    quorum = max(1, min(one["quorum"], total))
    hysteresis = min(one["hysteresis"], quorum - 1)
    lines: list[Entry] = [f"quorum {quorum}"] if quorum > 1 else []
    return [*lines, f"hysteresis {hysteresis}"] if hysteresis else lines


def _real_server(
    row: Mapping[str, Any],
    server: Mapping[str, Any],
    check: Mapping[str, Any],
    files: Mapping[str, str],
    raw: str | None,
) -> Entry:
    lines: list[Entry] = [f"weight {server['weight']}"]
    for key, word in (("upper_threshold", "uthreshold"), ("lower_threshold", "lthreshold")):
        if server[key]:
            lines.append(f"{word} {server[key]}")
    if check["type"] == "file":
        lines.append(("FILE_CHECK", [f"track_file {files[check['file']]}", f"weight {check['weight']}"]))
    elif check["type"] != "none":
        lines.append(
            (CHECKERS[check["type"]], [*_checker(check, server), *_timing(check), *raw_lines(check["keepalived"])])
        )
    return f"real_server {_target(row, server)}", [*lines, *raw_lines(raw)]


def _checker(check: Mapping[str, Any], server: Mapping[str, Any]) -> Iterable[Entry]:
    kind = check["type"]
    if check["port"]:
        yield f"connect_port {check['port']}"
    if kind in ("http", "https"):
        if kind == "https" and check["host"]:
            yield "enable_sni"
        yield "url", list(_url(check))
    elif kind == "dns":
        yield f"type {check['record'] or 'SOA'}"
        if check["name"]:
            yield f"name {check['name']}"
    elif kind == "smtp" and check["name"]:
        yield f"helo_name {check['name']}"
    elif kind == "udp":
        if check["payload"]:
            yield f"payload {plain(check['payload'])}"
        if check["reply"]:
            yield "require_reply" if check["reply"] == "any" else f"require_reply {plain(check['reply'])}"
    elif kind == "script":
        # keepalived tells the program nothing of the real server it is run for.
        command = check["command"].replace("{address}", server["address"]).replace("{port}", str(server["port"]))
        yield f"misc_path {quoted(command)}"
        if check["dynamic"]:
            yield "misc_dynamic"


def _url(check: Mapping[str, Any]) -> Iterable[Entry]:
    yield f"path {plain(check['path'])}"
    if check["host"]:
        yield f"virtualhost {check['host']}"
    if check["status"]:
        yield f"status_code {' '.join(check['status'])}"
    if check["digest"]:
        yield f"digest {check['digest']}"
    if check["regex"]:
        yield f"regex {quoted(check['regex'])}"
        if check["regex_absent"]:
            yield "regex_no_match"


def _timing(check: Mapping[str, Any]) -> Iterable[Entry]:
    if check["type"] == "script":
        # Whole seconds there.
        yield f"misc_timeout {math.ceil(check['timeout'])}"
    else:
        yield f"connect_timeout {number(check['timeout'])}"
    yield f"retry {check['retries']}"
    yield f"delay_before_retry {number(check['retry_interval'])}"
    if check["warmup"] is not None:
        yield f"warmup {number(check['warmup'])}"
