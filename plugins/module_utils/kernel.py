# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's IPVS family: read the table, change it, and what else the family knows."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from socket import htons, ntohs
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils import genetlink as g
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.module_utils.plan import Action, Current

PROC_TABLE = "/proc/net/ip_vs"
FAMILY = "IPVS"

# Commands and attributes as in linux/ip_vs.h, in its order; numbering starts at 1.
COMMANDS = [
    "NEW_SERVICE",
    "SET_SERVICE",
    "DEL_SERVICE",
    "GET_SERVICE",
    "NEW_DEST",
    "SET_DEST",
    "DEL_DEST",
    "GET_DEST",
    "NEW_DAEMON",
    "DEL_DAEMON",
    "GET_DAEMON",
    "SET_CONFIG",
    "GET_CONFIG",
    "SET_INFO",
    "GET_INFO",
    "ZERO",
    "FLUSH",
]
TOP_ATTRIBUTES = ("SERVICE", "DEST", "DAEMON", "TIMEOUT_TCP", "TIMEOUT_TCP_FIN", "TIMEOUT_UDP")
SERVICE_ATTRIBUTES = (
    ("AF", "u16"),
    ("PROTOCOL", "u16"),
    ("ADDR", "bytes"),
    ("PORT", "be16"),
    ("FWMARK", "u32"),
    ("SCHED_NAME", "string"),
    ("FLAGS", "flags"),
    ("TIMEOUT", "u32"),
    ("NETMASK", "u32"),
    ("STATS", "nest"),
    ("PE_NAME", "string"),
    ("STATS64", "nest"),
)
DEST_ATTRIBUTES = (
    ("ADDR", "bytes"),
    ("PORT", "be16"),
    ("FWD_METHOD", "u32"),
    ("WEIGHT", "u32"),
    ("U_THRESH", "u32"),
    ("L_THRESH", "u32"),
    ("ACTIVE_CONNS", "u32"),
    ("INACT_CONNS", "u32"),
    ("PERSIST_CONNS", "u32"),
    ("STATS", "nest"),
    ("ADDR_FAMILY", "u16"),
    ("STATS64", "nest"),
    ("TUN_TYPE", "u8"),
    ("TUN_PORT", "be16"),
    ("TUN_FLAGS", "u16"),
)

COMMAND = {name: number for number, name in enumerate(COMMANDS, 1)}
TOP = {name: number for number, name in enumerate(TOP_ATTRIBUTES, 1)}
SERVICE = {name: number for number, (name, _kind) in enumerate(SERVICE_ATTRIBUTES, 1)}
DEST = {name: number for number, (name, _kind) in enumerate(DEST_ATTRIBUTES, 1)}

FLAG_PERSISTENT = 0x1
FLAG_ONE_PACKET = 0x4
FLAGS_SCHEDULER = 0x38
# HASHED (0x2) is the kernel's own bit, and bits we do not know are left as they are.
FLAGS_OURS = FLAG_PERSISTENT | FLAG_ONE_PACKET | FLAGS_SCHEDULER

_FLAGS = struct.Struct("=II")


class KernelError(Exception):
    """The kernel's IPVS cannot be used, or answered nonsense."""


class Refused(Exception):
    """The kernel refused an action. applied: the actions that took effect."""

    def __init__(self, action: Action, code: int, applied: List[Action]) -> None:
        super().__init__("%s: %s" % (action.command(), reason(action, code)))
        self.action = action
        self.code = code
        self.applied = applied


def _wanted(attributes: Sequence[Tuple[str, str]], names: str) -> List[Tuple[int, str]]:
    kinds = {name: (number, kind) for number, (name, kind) in enumerate(attributes, 1)}
    return [kinds[name] for name in names.split()]


# --- availability ----------------------------------------------------------------------------------------------------


def available(path: str = PROC_TABLE) -> bool:
    """Tell whether the running kernel has IPVS loaded. Loads nothing and needs no privilege."""
    return os.path.exists(path)


def connect(path: str = PROC_TABLE) -> Optional[Ipvs]:
    """Return the kernel's IPVS, or None where it is not loaded. Loads nothing."""
    return _open() if available(path) else None


def table_now() -> t.Table:
    """Return the kernel's table; an empty one where IPVS is not loaded. Loads nothing."""
    ipvs = connect()
    return ipvs.read().table if ipvs else {}


def load() -> Ipvs:
    """Return the kernel's IPVS, loaded if need be. KernelError when there is none to be had."""
    ipvs = _open()
    if ipvs is None:
        # Looking the family up asks the kernel to load its module; a blacklist forbids that, but not modprobe.
        _modprobe()
        ipvs = _open()
    if ipvs is None:
        raise KernelError(missing_message())
    return ipvs


def _open() -> Optional[Ipvs]:
    try:
        sock = g.Socket()
        return Ipvs(sock, sock.family(FAMILY))
    except g.NetlinkError as error:
        if error.code == errno.ENOENT:
            return None
        raise KernelError(plain(error)) from error


def _modprobe() -> None:
    import subprocess  # noqa: PLC0415 - rarely needed

    # Whether it worked the family look-up that follows tells.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["modprobe", "ip_vs"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )


def missing_message() -> str:
    """Say what to do about a kernel without IPVS."""
    release = os.uname().release
    return (
        "This kernel (%s) has no IPVS: the kernel module ip_vs is neither loaded nor could it be loaded. "
        "Debian has it in linux-image-%s (the cloud kernels too), Ubuntu in linux-modules-%s, "
        "Enterprise Linux in kernel-modules-core-%s or kernel-modules-%s. In a container it is the host's kernel that "
        "needs it: run `modprobe ip_vs` there. A `blacklist ip_vs` in /etc/modprobe.d forbids it as well."
        % ((release,) * 5)
    )


def plain(error: g.NetlinkError) -> str:
    """Return what a netlink error means here."""
    if error.code == errno.EPERM:
        return PERMISSION
    return "The kernel's IPVS cannot be read or changed: %s" % error


PERMISSION = (
    "The kernel does not let this process read or change the IPVS table: that needs CAP_NET_ADMIN in the initial user "
    "namespace. Run as root (become: true); a rootless container or an unprivileged LXC cannot do it at all, "
    "a privileged container can."
)


# --- encoding --------------------------------------------------------------------------------------------------------


def _service_identity(service: t.Service) -> List[bytes]:
    parts = [g.attribute(SERVICE["AF"], struct.pack("=H", service.family))]
    if service.fwmark:
        return parts + [g.attribute(SERVICE["FWMARK"], struct.pack("=I", service.fwmark))]
    return parts + [
        g.attribute(SERVICE["PROTOCOL"], struct.pack("=H", service.protocol)),
        g.attribute(SERVICE["ADDR"], service.address),
        g.attribute(SERVICE["PORT"], struct.pack("!H", service.port)),
    ]


def encode_service_name(service: t.Service) -> bytes:
    """Pack what tells the kernel which service is meant."""
    return g.attribute(TOP["SERVICE"], b"".join(_service_identity(service)))


def encode_service(service: t.Service) -> bytes:
    """Pack a whole service: the kernel takes no parts, and drops an engine that is not named again."""
    flags = service.scheduler_flags
    flags |= FLAG_PERSISTENT if service.persistent else 0
    flags |= FLAG_ONE_PACKET if service.one_packet else 0
    netmask = service.netmask
    # IPv4's mask is four bytes in network order, IPv6's a prefix length in the machine's own.
    mask = struct.pack("!I" if service.family == t.AF_INET else "=I", netmask)
    parts = _service_identity(service) + [
        g.attribute(SERVICE["SCHED_NAME"], service.scheduler.encode() + b"\0"),
        g.attribute(SERVICE["FLAGS"], _FLAGS.pack(flags, FLAGS_OURS)),
        g.attribute(SERVICE["TIMEOUT"], struct.pack("=I", service.timeout)),
        g.attribute(SERVICE["NETMASK"], mask),
    ]
    if service.engine:
        parts.append(g.attribute(SERVICE["PE_NAME"], service.engine.encode() + b"\0"))
    return g.attribute(TOP["SERVICE"], b"".join(parts))


_DEST_PLAIN = "PORT FWD_METHOD WEIGHT U_THRESH L_THRESH ADDR_FAMILY"
_DEST_TUNNEL = _DEST_PLAIN + " TUN_TYPE TUN_PORT TUN_FLAGS"


def _dest_encoders(names: str) -> Dict[int, g.Encoder]:
    fields = _wanted(DEST_ATTRIBUTES, names)
    return {size: g.Encoder([(DEST["ADDR"], str(size))] + fields) for size in (4, 16)}


_PLAIN_ENCODERS = _dest_encoders(_DEST_PLAIN)
_TUNNEL_ENCODERS = _dest_encoders(_DEST_TUNNEL)


def encode_real_server(real_server: t.RealServer) -> bytes:
    """Pack a whole real server."""
    address, port, forward, weight, upper, lower, tunnel, tunnel_port, checksum = real_server
    size = len(address)
    family = t.AF_INET if size == 4 else t.AF_INET6
    if forward != t.TUN:
        payload = _PLAIN_ENCODERS[size].encode(address, htons(port), forward, weight, upper, lower, family)
    else:
        payload = _TUNNEL_ENCODERS[size].encode(
            address, htons(port), forward, weight, upper, lower, family, tunnel, htons(tunnel_port), checksum
        )
    return g.attribute(TOP["DEST"], payload)


_VERBS = {
    "-A": COMMAND["NEW_SERVICE"],
    "-E": COMMAND["SET_SERVICE"],
    "-D": COMMAND["DEL_SERVICE"],
    "-a": COMMAND["NEW_DEST"],
    "-e": COMMAND["SET_DEST"],
    "-d": COMMAND["DEL_DEST"],
}


def encode_action(action: Action, names: Dict[t.ServiceKey, bytes]) -> g.Request:
    """Pack an action. names keeps the packed names of services between calls."""
    verb, service, real_server = action
    if real_server is None:
        payload = encode_service_name(service) if verb == "-D" else encode_service(service)
        return g.Request(_VERBS[verb], payload)
    key = service[:5]
    name = names.get(key)
    if name is None:
        name = names[key] = encode_service_name(service)
    return g.Request(_VERBS[verb], name + encode_real_server(real_server))


# --- decoding --------------------------------------------------------------------------------------------------------

_SERVICE_FIELDS = _wanted(
    SERVICE_ATTRIBUTES, "AF PROTOCOL ADDR PORT FWMARK SCHED_NAME FLAGS TIMEOUT NETMASK PE_NAME STATS STATS64"
)
_DEST_FIELDS = _wanted(
    DEST_ATTRIBUTES,
    "ADDR PORT FWD_METHOD WEIGHT U_THRESH L_THRESH TUN_TYPE TUN_PORT TUN_FLAGS ADDR_FAMILY "
    "ACTIVE_CONNS INACT_CONNS PERSIST_CONNS STATS STATS64",
)


def nest(message: g.Message, name: str) -> Tuple[int, int]:
    """Return where the nest of a message lies. NetlinkError when there is none."""
    for number, start, end in g.walk(message.data, message.start, message.end):
        if number == TOP[name]:
            return start, end
    raise g.NetlinkError("the kernel's answer has no %s attribute" % name)


def _missing(what: str) -> g.NetlinkError:
    return g.NetlinkError("the kernel's answer leaves out an attribute of a %s" % what)


def text(value: Optional[bytes]) -> str:
    """Return the text of a string attribute, which ends with a zero byte."""
    return value.split(b"\0", 1)[0].decode("ascii", "replace") if value else ""


Values = Tuple[Any, ...]


class Codec:
    """Makes services and real servers of attributes; its decoders keep the layouts they have learned."""

    def __init__(self) -> None:
        self.services = g.Decoder(_SERVICE_FIELDS)
        self.dests = g.Decoder(_DEST_FIELDS)

    @staticmethod
    def service(values: Values) -> t.Service:
        """Return the service that the values of an answer to GET_SERVICE make."""
        family, protocol, address, port, mark, scheduler, flags, timeout, netmask, engine = values[:10]
        if family is None or scheduler is None or flags is None or timeout is None or netmask is None:
            raise _missing("service")
        if family not in (t.AF_INET, t.AF_INET6):
            raise g.NetlinkError("the kernel names a service of address family %d" % family)
        if mark:
            key: t.ServiceKey = (family, 0, b"", 0, mark)
        elif protocol is None or address is None or port is None:
            raise _missing("service")
        else:
            key = (family, protocol, _cut(address, family), ntohs(port), 0)
        bits = _FLAGS.unpack(flags)[0]
        persistent = bool(bits & FLAG_PERSISTENT)
        if not persistent:
            # Kept by the kernel, used by nobody: it must not count as a difference.
            timeout, mask = 0, t.full_mask(family)
        elif family == t.AF_INET:
            mask = struct.unpack("!I", struct.pack("=I", netmask))[0]
        else:
            mask = netmask
        return t.Service(
            *key,
            text(scheduler),
            bits & FLAGS_SCHEDULER,
            bool(bits & FLAG_ONE_PACKET),
            persistent,
            timeout,
            mask,
            text(engine),
        )

    @staticmethod
    def real_server(values: Values, family: int) -> t.RealServer:
        """Return the real server that the values of an answer to GET_DEST make; family is its service's."""
        address, port, forward, weight, upper, lower, tunnel, tunnel_port, checksum, own_family = values[:10]
        if None in values[:6]:
            raise _missing("real server")
        address = _cut(address, own_family or family)
        if weight & 0x80000000:
            weight -= 2**32
        if forward != t.TUN:
            return t.RealServer(address, ntohs(port), forward, weight, upper, lower, 0, 0, 0)
        tail = (tunnel or 0, ntohs(tunnel_port or 0), checksum or 0)
        return t.RealServer(address, ntohs(port), forward, weight, upper, lower, *tail)


def _cut(address: bytes, family: int) -> bytes:
    """The kernel sends 16 bytes for either family."""
    if family == t.AF_INET and len(address) >= 4:
        return address[:4]
    if family == t.AF_INET6 and len(address) == 16:
        return address
    raise g.NetlinkError("an address of %d bytes is none of family %d" % (len(address), family))


# --- the table -------------------------------------------------------------------------------------------------------


class Ipvs:
    """The IPVS of one network namespace: the one this object was made in."""

    def __init__(self, sock: g.Socket, family: int) -> None:
        self.sock = sock
        self.family = family

    def close(self) -> None:
        """Close the connection to the kernel."""
        self.sock.close()

    def read(self) -> Current:
        """Return the whole table. What cannot be said in a config is listed apart."""
        try:
            return g.retry_dump(self._read)
        except g.NetlinkError as error:
            raise KernelError(plain(error)) from error

    def _read(self) -> Current:
        codec = Codec()
        table: t.Table = {}
        busy: Set[Tuple[t.ServiceKey, t.RealServerKey]] = set()
        opaque: Set[t.ServiceKey] = set()
        unsupported: List[Dict[str, str]] = []
        services = [codec.service(values) for values in self.dump_services(codec)]
        for service in services:
            problem = t.service_problem(service)
            if problem:
                unsupported.append({"row": t.service_name(service), "reason": "%s: %s" % problem})
                continue
            key = service.key
            rows: Dict[t.RealServerKey, t.RealServer] = {}
            for values in self.dump_real_servers(codec, service):
                real_server = codec.real_server(values, service.family)
                problem = t.real_server_problem(service, real_server)
                if problem:
                    opaque.add(key)
                    name = "%s of %s" % (t.real_server_name(real_server), t.service_name(service))
                    unsupported.append({"row": name, "reason": "%s: %s" % problem})
                    continue
                rows[real_server[:2]] = real_server
                if values[10] or values[11] or values[12]:
                    busy.add((key, real_server.key))
            # A dump starts with the newest; turned round it reads as it was written.
            table[key] = t.Entry(service, dict(reversed(list(rows.items()))))
        return Current(table, frozenset(busy), frozenset(opaque), tuple(unsupported))

    def dump_services(self, codec: Codec) -> List[Values]:
        """Return the values of every service."""
        return self.sock.dump_nests(self.family, g.Request(COMMAND["GET_SERVICE"], b""), TOP["SERVICE"], codec.services)

    def dump_real_servers(self, codec: Codec, service: t.Service) -> List[Values]:
        """Return the values of every real server of a service."""
        request = g.Request(COMMAND["GET_DEST"], encode_service_name(service))
        return self.sock.dump_nests(self.family, request, TOP["DEST"], codec.dests)

    def dump(self, command: str, payload: bytes) -> Iterator[g.Message]:
        """Yield the answers to a dump."""
        return self.sock.dump(self.family, g.Request(COMMAND[command], payload))

    def ask(self, command: str, payload: bytes) -> Iterator[g.Message]:
        """Yield the answers to a single question."""
        return self.sock.ask(self.family, g.Request(COMMAND[command], payload))

    def command(self, command: str, payload: bytes) -> int:
        """Do one command; return the errno of its refusal, or 0."""
        refused = self.sock.batch(self.family, [g.Request(COMMAND[command], payload)])
        return refused[0].code if refused else 0

    def apply(self, build: Sequence[Action], remove: Sequence[Action]) -> None:
        """Do the actions in order; nothing is removed before all that is built stands. Refused on the first error."""
        done: List[Action] = []
        names: Dict[t.ServiceKey, bytes] = {}
        for actions in (build, remove):
            for start in range(0, len(actions), g.BATCH):
                self._apply_batch(actions[start : start + g.BATCH], names, done)
        self._verify(build)

    def _apply_batch(self, batch: Sequence[Action], names: Dict[t.ServiceKey, bytes], done: List[Action]) -> None:
        """Do one batch and add what took effect to done."""
        refused: Dict[int, int] = {}
        try:
            for refusal in self.sock.batch(self.family, [encode_action(action, names) for action in batch]):
                code = self._settle(batch[refusal.place], refusal.code, names)
                if code:
                    refused[refusal.place] = code
        except g.NetlinkError as error:
            raise KernelError("%s (%d commands were done before)" % (plain(error), len(done))) from error
        done += [action for index, action in enumerate(batch) if index not in refused]
        if refused:
            first = min(refused)
            raise Refused(batch[first], refused[first], done)

    def _settle(self, action: Action, code: int, names: Dict[t.ServiceKey, bytes]) -> int:
        """Another writer was faster: make of the action what the table needs now. Return the errno that remains."""
        verb = action.verb
        if verb in ("-d", "-D") and code in (errno.ENOENT, errno.ESRCH):
            return 0
        other = None
        if code == errno.EEXIST:
            other = {"-A": "-E", "-a": "-e"}.get(verb)
        elif (verb, code) in (("-e", errno.ENOENT), ("-E", errno.ESRCH)):
            other = {"-e": "-a", "-E": "-A"}[verb]
        if other is None:
            return code
        again = self.sock.batch(self.family, [encode_action(action._replace(verb=other), names)])
        return again[0].code if again else 0

    def _verify(self, actions: Sequence[Action]) -> None:
        """Read back what an old kernel may have ignored without a word: tunnel types and mixed families."""
        doubtful: Dict[t.ServiceKey, Dict[t.RealServerKey, Action]] = {}
        for action in actions:
            row = action.real_server
            if row is not None and row[2] == t.TUN and (row[6] or t.family_of(row[0]) != action.service.family):
                doubtful.setdefault(action.service.key, {})[row.key] = action
        codec = Codec()
        for wanted in doubtful.values():
            service = next(iter(wanted.values())).service
            try:
                rows = [codec.real_server(values, service.family) for values in self.dump_real_servers(codec, service)]
            except g.NetlinkError as error:
                raise KernelError(plain(error)) from error
            found = {row.key: row for row in rows}
            for key, action in wanted.items():
                if found.get(key) != action.real_server:
                    raise KernelError(
                        "%s: the kernel accepted this but does not hold it: it is too old for this kind of tunnel, "
                        "or another program changed it" % action.command()
                    )


# --- why the kernel said no ------------------------------------------------------------------------------------------


def reason(action: Action, code: int) -> str:
    """Return the errno with its likely cause for this action."""
    name = errno.errorcode.get(code, str(code))
    return "%s (%s): %s" % (os.strerror(code), name, _cause(action, code))


def _cause(action: Action, code: int) -> str:
    service, real_server = action.service, action.real_server
    if code == errno.EPERM:
        return PERMISSION
    if code == errno.ENOENT and real_server is None:
        engine = " or the persistence engine ip_vs_pe_%s" % service.engine if service.engine else ""
        return "the kernel has no scheduler ip_vs_%s%s; check the name, and that its module is installed" % (
            service.scheduler,
            engine,
        )
    if code == errno.ESRCH:
        return "the service is gone; another program changes the table at the same time"
    if code in (errno.ENOENT, errno.EEXIST):
        return "another program changes the table at the same time"
    if code == errno.ERANGE:
        return "a weight below 0 or a lower threshold above the upper one"
    if code == errno.EAFNOSUPPORT:
        return "this kernel runs without %s" % t.family_name(service.family)
    if code == errno.ENOMEM:
        return "the kernel has no memory left"
    if code == errno.EINVAL and real_server is not None:
        if t.family_of(real_server.address) != service.family:
            return "mixed address families need a tunnel, and no sync daemon may run beside them"
        return "the kernel takes no such address for a real server: a broadcast, multicast or link-local one"
    return "the kernel does not take these values"
