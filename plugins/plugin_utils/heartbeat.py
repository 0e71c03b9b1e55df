# SPDX-License-Identifier: GPL-3.0-or-later
"""From the view of one director to heartbeat's three files: ha.cf, haresources, authkeys.

Pure, and the only place that knows heartbeat's words. heartbeat 3.0.6 has read them (`heartbeat -r`). The key comes
beside the view, which has no secrets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.rendering import HEADER, raw_lines
from ansible_collections.lvs.cluster.plugins.plugin_utils.takeover import directives

FOLDER = "/etc/ha.d"
CONF = FOLDER + "/ha.cf"
RESOURCES = FOLDER + "/haresources"
KEY = FOLDER + "/authkeys"
IPFAIL = "/etc/lvs/ipfail"
VIPS = {"ipv4": "lvs-vip4", "ipv6": "lvs-vip6"}
ROWS = "lvs-rows"
TURN = "lvs-turn"
LOGGING = ("logfacility", "use_logd")

View = Mapping[str, Any]


def configuration(view: View) -> str:
    """Return ha.cf. Media come after the ports and speeds that they use."""
    heartbeat = view["heartbeat"]
    own = {directive for _number, directive in directives(heartbeat["text"] or "")}
    lines = [] if own.intersection(LOGGING) else ["logfacility daemon"]
    lines += [f"{key} {_time(heartbeat[key])}" for key in ("keepalive", "deadtime", "warntime", "initdead", "deadping")]
    lines.append(f"udpport {heartbeat['port']}")
    if any(medium["type"] == "serial" for medium in heartbeat["media"]):
        lines.append(f"baud {heartbeat['baud']}")
    for medium in heartbeat["media"]:
        lines += _medium(view, medium)
    lines.append(f"auto_failback {'on' if heartbeat['failback'] else 'off'}")
    lines += [f"node {name}" for name in heartbeat["nodes"]]
    lines += [f"{_word('ping', address)} {address}" for address in heartbeat["ping"]]
    lines += [f"ping_group {' '.join([group['name'], *group['addresses']])}" for group in heartbeat["ping_groups"]]
    if heartbeat["ipfail"]:
        lines += [f"respawn hacluster {IPFAIL}", "apiauth ipfail gid=haclient uid=hacluster"]
    lines += raw_lines(heartbeat["text"])
    return HEADER + "".join(f"{line}\n" for line in lines)


def resources(view: View) -> str:
    """Return haresources: one group, which the first director holds when it can.

    heartbeat reads lines of bounded length, so each resource has its own. The table stands before the addresses.
    """
    heartbeat = view["heartbeat"]
    words = [*heartbeat["before"]]
    if view["directors_serve"]:
        words.append(ROWS)
    if view["health"] == "ldirectord":
        words.append("ldirectord::ldirectord.cf")
    gateways = set(view["gateways"].values())
    moving = sorted(view["moving"], key=lambda vip: vip["address"] not in gateways)
    words += [_address(vip, view["directors_serve"]) for vip in moving]
    words += [*heartbeat["after"], TURN]
    return HEADER + " \\\n    ".join([heartbeat["nodes"][0], *words]) + "\n"


def authkeys(key: str) -> str:
    """Return authkeys.

    It could hold several keys, but heartbeat 3.0.6 checks what another one signed with the key that itself signs with
    (hb_compute_authentication), whatever number the message names.
    """
    return HEADER + f"auth 1\n1 sha1 {key}\n"


def _time(seconds: float) -> str:
    return f"{seconds:g}" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


def _medium(view: View, medium: Mapping[str, Any]) -> Iterator[str]:
    kind = medium["type"]
    if kind == "serial":
        yield f"serial {medium['device']}"
        return
    own = view["peers"][view["host"]]
    sides = {"clients": own["interface"], "gateway": own["gateway_interface"]}
    interface = medium["interface"] or sides[medium["side"]]
    if kind == "bcast":
        yield f"bcast {interface}"
    elif kind == "mcast":
        words = (_word("mcast", medium["group"]), interface, medium["group"], view["heartbeat"]["port"], medium["ttl"])
        yield " ".join(map(str, (*words, 0)))
    else:
        # The line with the director's own address does nothing, so both directors have the same file.
        for address in medium["addresses"] or [medium["own"][node] for node in view["heartbeat"]["nodes"]]:
            yield f"{_word('ucast', address)} {interface} {address}"


def _word(word: str, address: str) -> str:
    return word if ipaddress.ip_address(address).version == 4 else f"{word}6"


def own_scripts(view: View) -> list[str]:
    """Return the resource scripts of ours for VIPs that the director needs.

    IPaddr2 takes the VIP of a real server from lo, and does not put it back there when heartbeat was killed.
    """
    families = {vip["family"] for vip in view["moving"]}
    return [
        name for family, name in VIPS.items() if family in families and (family == "ipv6" or view["directors_serve"])
    ]


def _address(vip: Mapping[str, Any], directors_serve: bool) -> str:
    """Print a VIP as a resource. "::" separates arguments, so an IPv6 address is written without it."""
    address = ipaddress.ip_address(vip["address"])
    place = f"{vip['prefix']}/{vip['interface']}"
    if address.version == 4:
        return f"{VIPS['ipv4'] if directors_serve else 'IPaddr2'}::{address}/{place}"
    groups: Sequence[int] = [int(group, 16) for group in address.exploded.split(":")]
    return f"{VIPS['ipv6']}::{':'.join(f'{group:x}' for group in groups)}/{place}"
