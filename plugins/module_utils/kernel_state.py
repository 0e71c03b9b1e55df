# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel's IPVS knows beside the table: statistics, timeouts, sync daemons, schedulers, connections."""

from __future__ import annotations

import errno
import os
import struct
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils import genetlink as g
from ansible_collections.lvs.cluster.plugins.module_utils import kernel as k
from ansible_collections.lvs.cluster.plugins.module_utils import kernel_modules
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

DAEMON_ATTRIBUTES = (
    ("STATE", "u32"),
    ("MCAST_IFN", "string"),
    ("SYNC_ID", "u32"),
    ("SYNC_MAXLEN", "u16"),
    ("MCAST_GROUP", "bytes"),
    ("MCAST_GROUP6", "bytes"),
    ("MCAST_PORT", "u16"),
    ("MCAST_TTL", "u8"),
)
INFO_ATTRIBUTES = (("VERSION", "u32"), ("CONN_TAB_SIZE", "u32"))
STATS = (
    "connections",
    "in_packets",
    "out_packets",
    "in_bytes",
    "out_bytes",
    "connections_per_second",
    "in_packets_per_second",
    "out_packets_per_second",
    "in_bytes_per_second",
    "out_bytes_per_second",
)
TIMEOUTS = ("tcp", "tcp_fin", "udp")
# What a kernel starts with; used to foretell a change where it is not loaded yet.
DEFAULT_TIMEOUTS = {"tcp": 900, "tcp_fin": 120, "udp": 300}
# The kernel counts in ticks, up to 1000 a second, in 31 bits.
MAX_TIMEOUT = (2**31 - 1) // 1000
ROLES = {"master": 1, "backup": 2}

_DAEMON = {name: number for number, (name, _kind) in enumerate(DAEMON_ATTRIBUTES, 1)}


class DaemonError(Exception):
    """The kernel refused to start or stop a sync daemon."""


# --- statistics ------------------------------------------------------------------------------------------------------


def decode_statistics(data: Optional[bytes]) -> Dict[str, int]:
    """Return the counters and rates of one statistics nest, 32 or 64 bits wide."""
    values = dict.fromkeys(STATS, 0)
    for number, start, end in g.walk(data or b"", 0, len(data or b"")):
        if 1 <= number <= len(STATS) and end - start in (4, 8):
            values[STATS[number - 1]] = struct.unpack_from("=I" if end - start == 4 else "=Q", data or b"", start)[0]
    return values


def read_statistics(ipvs: k.Ipvs) -> List[Dict[str, Any]]:
    """Return the statistics of every service and its real servers."""
    return _plainly(lambda: g.retry_dump(lambda: list(_read_statistics(ipvs))))


def _read_statistics(ipvs: k.Ipvs) -> Iterator[Dict[str, Any]]:
    codec = k.Codec()
    for service, stats, stats64 in [(codec.service(v), v[10], v[11]) for v in ipvs.dump_services(codec)]:
        if t.service_problem(service):
            continue
        row = t.identity(service)
        row.update(decode_statistics(stats64 or stats))
        row["real_servers"] = []
        for values in ipvs.dump_real_servers(codec, service):
            real_server = codec.real_server(values, service.family)
            active, inactive, persistent, stats, stats64 = values[10:]
            row["real_servers"].append(
                {
                    "address": t.format_address(real_server.address),
                    "port": real_server.port,
                    "active": active or 0,
                    "inactive": inactive or 0,
                    "persistent": persistent or 0,
                    **decode_statistics(stats64 or stats),
                }
            )
        row["real_servers"].sort(key=lambda item: (item["address"], item["port"]))
        yield row


# --- version, timeouts -----------------------------------------------------------------------------------------------


def read_info(ipvs: k.Ipvs) -> Dict[str, Any]:
    """Return IPVS's version and the size of its connection table."""
    values = _plainly(lambda: _answer(ipvs, "GET_INFO", 2))
    version = values.get(1, 0)
    return {
        "version": "%d.%d.%d" % (version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF),
        "connection_table_size": values.get(2, 0),
    }


def read_timeouts(ipvs: k.Ipvs) -> Dict[str, int]:
    """Return the timeouts in seconds."""
    first = k.TOP["TIMEOUT_TCP"]
    values = _plainly(lambda: _answer(ipvs, "GET_CONFIG", first + 2))
    return {name: values.get(first + place, 0) for place, name in enumerate(TIMEOUTS)}


def write_timeouts(ipvs: k.Ipvs, timeouts: Dict[str, int]) -> None:
    """Set the timeouts that are named; the kernel leaves the others, and those of 0."""
    first = k.TOP["TIMEOUT_TCP"]
    payload = b"".join(
        g.attribute(first + place, struct.pack("=I", timeouts[name]))
        for place, name in enumerate(TIMEOUTS)
        if name in timeouts
    )
    refused = _plainly(lambda: ipvs.command("SET_CONFIG", payload))
    if refused:
        raise k.KernelError("The kernel does not take these timeouts: %s" % os.strerror(refused))


def _answer(ipvs: k.Ipvs, command: str, last: int) -> Dict[int, int]:
    """Return the numbers in the answer to a command without parameters."""
    values = {}
    for message in ipvs.ask(command, b""):
        for number, start, end in g.walk(message.data, message.start, message.end):
            if number <= last and end - start == 4:
                values[number] = struct.unpack_from("=I", message.data, start)[0]
    return values


def _plainly(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except g.NetlinkError as error:
        raise k.KernelError(k.plain(error)) from error


# --- sync daemons ----------------------------------------------------------------------------------------------------


class Daemon(NamedTuple):
    """A sync daemon. None stands for what was not named, or what the kernel chooses."""

    role: str
    interface: Optional[str] = None
    sync_id: Optional[int] = None
    max_length: Optional[int] = None
    group: Optional[bytes] = None
    port: Optional[int] = None
    ttl: Optional[int] = None

    def config(self) -> Dict[str, Any]:
        """Return the daemon as plain values."""
        row = self._asdict()
        row["group"] = None if self.group is None else t.format_address(self.group)
        return row

    def start_command(self) -> str:
        """Return the ipvsadm command that starts it."""
        words = [
            "ipvsadm --start-daemon %s --mcast-interface %s --syncid %d"
            % (self.role, self.interface, self.sync_id or 0)
        ]
        if self.max_length is not None:
            words.append("--sync-maxlen %d" % self.max_length)
        if self.group is not None:
            words.append("--mcast-group %s" % t.format_address(self.group))
        if self.port is not None:
            words.append("--mcast-port %d" % self.port)
        if self.ttl is not None:
            words.append("--mcast-ttl %d" % self.ttl)
        return " ".join(words)


def stop_command(role: str) -> str:
    """Return the ipvsadm command that stops a daemon."""
    return "ipvsadm --stop-daemon %s" % role


def read_daemons(ipvs: k.Ipvs) -> Dict[str, Daemon]:
    """Return the daemons that run, by role."""
    return _plainly(lambda: g.retry_dump(lambda: {d.role: d for d in _read_daemons(ipvs)}))


def _read_daemons(ipvs: k.Ipvs) -> Iterator[Daemon]:
    decoder = g.Decoder([(_DAEMON[name], kind) for name, kind in DAEMON_ATTRIBUTES])
    names = {number: role for role, number in ROLES.items()}
    for message in ipvs.dump("GET_DAEMON", b""):
        start, end = k.nest(message, "DAEMON")
        state, interface, sync_id, length, group, group6, port, ttl = decoder.decode(message.data, start, end)
        if state not in names or interface is None or sync_id is None:
            raise g.NetlinkError("the kernel's answer leaves out an attribute of a sync daemon")
        yield Daemon(names[state], k.text(interface), sync_id, length, group or group6, port, ttl)


def start_daemon(ipvs: k.Ipvs, daemon: Daemon) -> None:
    """Start a sync daemon."""
    parts = [
        g.attribute(_DAEMON["STATE"], struct.pack("=I", ROLES[daemon.role])),
        g.attribute(_DAEMON["MCAST_IFN"], (daemon.interface or "").encode() + b"\0"),
        g.attribute(_DAEMON["SYNC_ID"], struct.pack("=I", daemon.sync_id or 0)),
    ]
    if daemon.max_length is not None:
        parts.append(g.attribute(_DAEMON["SYNC_MAXLEN"], struct.pack("=H", daemon.max_length)))
    if daemon.group is not None:
        kind = "MCAST_GROUP" if len(daemon.group) == 4 else "MCAST_GROUP6"
        parts.append(g.attribute(_DAEMON[kind], daemon.group))
    if daemon.port is not None:
        # In the machine's byte order, unlike every other port of the family.
        parts.append(g.attribute(_DAEMON["MCAST_PORT"], struct.pack("=H", daemon.port)))
    if daemon.ttl is not None:
        parts.append(g.attribute(_DAEMON["MCAST_TTL"], struct.pack("=B", daemon.ttl)))
    payload = g.attribute(k.TOP["DAEMON"], b"".join(parts))
    code = _plainly(lambda: ipvs.command("NEW_DAEMON", payload))
    if code:
        raise DaemonError("%s: %s: %s" % (daemon.start_command(), os.strerror(code), _daemon_cause(daemon, code)))


def stop_daemon(ipvs: k.Ipvs, role: str) -> None:
    """Stop a sync daemon; one that does not run is no error."""
    payload = g.attribute(k.TOP["DAEMON"], g.attribute(_DAEMON["STATE"], struct.pack("=I", ROLES[role])))
    # A daemon that is stopped as soon as it was started: the kernel does it and acknowledges nothing.
    ipvs.sock.wait_at_most(5)
    try:
        code = ipvs.command("DEL_DAEMON", payload)
    except g.NetlinkError as error:
        if error.code != errno.ETIMEDOUT:
            raise k.KernelError(k.plain(error)) from error
        code = errno.ETIMEDOUT if role in read_daemons(ipvs) else 0
    finally:
        ipvs.sock.wait_at_most(g.TIMEOUT)
    if code not in (0, errno.ESRCH):
        raise DaemonError("%s: %s" % (stop_command(role), os.strerror(code)))


def _daemon_cause(daemon: Daemon, code: int) -> str:
    if code == errno.EPERM:
        return k.PERMISSION
    if code == errno.ENODEV:
        return "there is no interface %s" % daemon.interface
    if code in (errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return "the interface %s is down or has no address" % daemon.interface
    if code == errno.EEXIST:
        return "another program started one at the same time"
    if code == errno.EINVAL:
        return "the group is no multicast address, or a service holds real servers of both address families"
    return "the kernel does not take these values"


# --- schedulers ------------------------------------------------------------------------------------------------------

_NO_SCHEDULERS = ("ftp", "pe_sip")


def read_schedulers(root: str = "/") -> Dict[str, List[str]]:
    """Return the schedulers that are loaded, and those that can be; what is built in is both."""
    builtin = kernel_modules.builtin(root)
    return {
        "loaded": _schedulers(kernel_modules.loaded(root) | builtin),
        "loadable": _schedulers(kernel_modules.loadable(root) | builtin),
    }


def _schedulers(modules: Iterable[str]) -> List[str]:
    names = [name[len("ip_vs_") :] for name in modules if name.startswith("ip_vs_")]
    return sorted(name for name in names if name not in _NO_SCHEDULERS)


# --- connections -----------------------------------------------------------------------------------------------------

CONNECTIONS = "/proc/net/ip_vs_conn"


def read_connections(
    path: str = CONNECTIONS, wanted: Optional[Dict[str, Any]] = None, limit: int = 100
) -> Tuple[List[Dict[str, Any]], int]:
    """Return up to limit connections that match wanted, and how many match."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return select_connections(file, wanted or {}, limit)
    except FileNotFoundError:
        return [], 0


def select_connections(lines: Iterable[str], wanted: Dict[str, Any], limit: int) -> Tuple[List[Dict[str, Any]], int]:
    """Parse the kernel's listing line by line, so that a long one costs no memory."""
    found: List[Dict[str, Any]] = []
    count = 0
    for line in lines:
        words = line.split()
        if len(words) < 9 or words[0] not in ("TCP", "UDP", "SCTP"):
            continue
        row = {
            "protocol": words[0].lower(),
            "client": _proc_address(words[1]),
            "client_port": int(words[2], 16),
            "address": _proc_address(words[3]),
            "port": int(words[4], 16),
            "real_server": _proc_address(words[5]),
            "real_server_port": int(words[6], 16),
            "state": words[7],
            "expires": int(words[8]),
        }
        if all(row[name] == value for name, value in wanted.items()):
            count += 1
            if count <= limit:
                found.append(row)
    return found, count


def _proc_address(text: str) -> str:
    """IPv4 is printed as eight hex digits, IPv6 in full colon form, bracketed or not."""
    if ":" not in text and len(text) == 8:
        return t.format_address(bytes.fromhex(text))
    return t.format_address(t.parse_address(text))
