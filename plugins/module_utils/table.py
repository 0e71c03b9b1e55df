# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IPVS table as plain values: parse, normalise, compare, print. Touches no kernel and no file."""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Tuple

AF_INET = int(socket.AF_INET)
AF_INET6 = int(socket.AF_INET6)
FAMILIES = {"ipv4": AF_INET, "ipv6": AF_INET6}
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
FORWARDS = {"nat": 0, "local": 1, "tun": 2, "dr": 3}
NAT, LOCAL, TUN, DR = 0, 1, 2, 3
TUNNELS = {"ipip": 0, "gue": 1, "gre": 2}
IPIP, GUE, GRE = 0, 1, 2
CHECKSUMS = {"none": 0, "nocsum": 0, "csum": 1, "remcsum": 2}
SCHEDULER_FLAGS = {
    "flag-1": (None, 0x08),
    "flag-2": (None, 0x10),
    "flag-3": (None, 0x20),
    "sh-fallback": ("sh", 0x08),
    "sh-port": ("sh", 0x10),
    "mh-fallback": ("mh", 0x08),
    "mh-port": ("mh", 0x10),
}

DEFAULT_SCHEDULER = "wlc"
# What the kernel's header and ipvsadm's code use; ipvsadm(8) says 300, so the number is always written out.
DEFAULT_TIMEOUT = 360
# The kernel multiplies by HZ (up to 1000) in 32 bits: a longer timeout would silently become another one.
MAX_TIMEOUT = (2**32 - 1) // 1000
MAX_INT = 2**31 - 1
FULL_MASK4 = 0xFFFFFFFF

_FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_FORWARD_NAMES = {number: name for name, number in FORWARDS.items()}
_TUNNEL_NAMES = {number: name for name, number in TUNNELS.items()}
_CHECKSUM_NAMES = ("none", "csum", "remcsum")

ServiceKey = Tuple[int, int, bytes, int, int]
RealServerKey = Tuple[bytes, int]


class TableError(ValueError):
    """A value that cannot be used; the text names the item by its path and says what to write instead."""


class Service(NamedTuple):
    """A virtual service. The first five fields are its identity; a firewall mark has no address, protocol or port."""

    family: int
    protocol: int
    address: bytes
    port: int
    fwmark: int
    scheduler: Any = DEFAULT_SCHEDULER
    scheduler_flags: Any = 0
    one_packet: Any = False
    persistent: Any = False
    timeout: Any = 0
    netmask: Any = FULL_MASK4
    engine: Any = ""

    @property
    def key(self) -> ServiceKey:
        """What tells this service from every other."""
        return self[:5]


class RealServer(NamedTuple):
    """A real server of a service. Address and port are its identity."""

    address: bytes
    port: int
    forward: Any = DR
    weight: Any = 1
    upper: Any = 0
    lower: Any = 0
    tunnel: Any = 0
    tunnel_port: Any = 0
    tunnel_checksum: Any = 0

    @property
    def key(self) -> RealServerKey:
        """What tells this real server from every other of its service."""
        return self[:2]


class Entry(NamedTuple):
    """A service with its real servers."""

    service: Service
    real_servers: Dict[RealServerKey, RealServer]


class Wish(NamedTuple):
    """One item of config as written: None stands for what was not named."""

    path: str
    service: Service
    real_servers: Optional[List[RealServer]]


Table = Dict[ServiceKey, Entry]


# --- addresses -------------------------------------------------------------------------------------------------------


def parse_address(text: Any) -> bytes:
    """Return the 4 or 16 bytes of an IP address; brackets around IPv6 are allowed. TableError otherwise."""
    if isinstance(text, str):
        bare = text.strip()
        if bare.startswith("[") and bare.endswith("]"):
            bare = bare[1:-1]
        try:
            return socket.inet_pton(AF_INET6 if ":" in bare else AF_INET, bare)
        except (OSError, ValueError):
            pass
    raise TableError("%r is not an IP address; write one like 192.0.2.10 or 2001:db8::10" % (text,))


def format_address(address: bytes) -> str:
    """Return an address in its usual short form."""
    return socket.inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def family_of(address: bytes) -> int:
    """Return AF_INET or AF_INET6 for a packed address."""
    return AF_INET if len(address) == 4 else AF_INET6


def family_name(family: int) -> str:
    """Return ipv4 or ipv6."""
    return _FAMILY_NAMES[family]


def full_mask(family: int) -> int:
    """Return the netmask that tells every client apart: a bit mask for IPv4, a prefix length for IPv6."""
    return FULL_MASK4 if family == AF_INET else 128


def _endpoint(address: bytes, port: int) -> str:
    text = format_address(address)
    return "%s:%d" % (text, port) if len(address) == 4 else "[%s]:%d" % (text, port)


# --- parsing of single values ----------------------------------------------------------------------------------------


def nearest(word: Any, known: Iterable[str]) -> str:
    """Return a hint with the valid name nearest to word, or an empty string."""
    import difflib  # noqa: PLC0415 - only needed for a mistake

    near = difflib.get_close_matches(str(word), sorted(known), n=1, cutoff=0.5)
    return " Did you mean %r?" % near[0] if near else ""


def _fail(path: str, text: str) -> None:
    raise TableError("%s: %s" % (path, text))


def _whole(value: Any, low: int, high: int, path: str) -> int:
    """Return value as an integer in low..high; text is taken as templates of older Ansible versions return it."""
    number = value
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        number = int(value)
    if type(number) is not int or not low <= number <= high:
        _fail(path, "%r is not a whole number from %d to %d" % (value, low, high))
    return number


def _truth(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in ("yes", "true", "on", "1"):
        return True
    if word in ("no", "false", "off", "0"):
        return False
    _fail(path, "%r is neither true nor false" % (value,))
    return False


def _choice(value: Any, choices: Dict[str, Any], path: str) -> Any:
    found = choices.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        hint = nearest(value, choices)
        _fail(path, "%r is not known; one of %s.%s" % (value, ", ".join(choices), hint))
    return found


def _known(item: Any, known: FrozenSet[str], path: str) -> Dict[str, Any]:
    if not isinstance(item, dict):
        _fail(path, "%r is not a dictionary of options" % (item,))
    if not item.keys() <= known:
        key = sorted(str(key) for key in item.keys() - known)[0]
        _fail("%s.%s" % (path, key), "there is no such option.%s" % (nearest(key, known) or _listing(known)))
    return item


def _listing(known: Iterable[str]) -> str:
    return " Known are %s." % ", ".join(sorted(known))


def _address(value: Any, path: str) -> bytes:
    try:
        return parse_address(value)
    except TableError as error:
        raise TableError("%s: %s" % (path, error)) from error


# --- config ----------------------------------------------------------------------------------------------------------

_SERVICE_KEYS = frozenset(
    [
        "address",
        "port",
        "protocol",
        "fwmark",
        "family",
        "scheduler",
        "scheduler_flags",
        "one_packet",
        "persistence",
        "real_servers",
    ]
)
_REAL_SERVER_KEYS = frozenset(["address", "port", "forward", "weight", "upper_threshold", "lower_threshold", "tunnel"])
_PERSISTENCE_KEYS = frozenset(["timeout", "netmask", "engine"])
_TUNNEL_KEYS = frozenset(["type", "port", "checksum"])


def parse_config(config: Any, path: str = "config") -> List[Wish]:
    """Parse the rows of config. Options that are missing or null become None: not named."""
    if not isinstance(config, list):
        _fail(path, "%r is not a list of services" % (config,))
    wishes: List[Wish] = []
    seen: Dict[ServiceKey, str] = {}
    addresses: Dict[str, bytes] = {}
    for index, item in enumerate(config):
        wish = _parse_row(item, "%s[%d]" % (path, index), addresses)
        twin = seen.setdefault(wish.service.key, wish.path)
        if twin is not wish.path:
            _fail(wish.path, "%s is in %s already; write it once" % (service_name(wish.service), twin))
        wishes.append(wish)
    return wishes


def _parse_row(item: Any, path: str, addresses: Dict[str, bytes]) -> Wish:
    row = _known(item, _SERVICE_KEYS, path)
    service = _parse_service(row, path)
    if "real_servers" not in row:
        return Wish(path, service, None)
    listed = row["real_servers"]
    where = path + ".real_servers"
    if not isinstance(listed, list):
        # Null is refused too: it is what an expression that went wrong returns, and it must not empty a service.
        _fail(where, "%r is not a list; write [] for none, or leave real_servers out" % (listed,))
    real_servers = [_parse_real_server(entry, service, where, i, addresses) for i, entry in enumerate(listed)]
    if len({real_server[:2] for real_server in real_servers}) != len(real_servers):
        _fail_twins(real_servers, where)
    return Wish(path, service, real_servers)


def _fail_twins(real_servers: List[RealServer], path: str) -> None:
    seen: Dict[RealServerKey, int] = {}
    for index, real_server in enumerate(real_servers):
        first = seen.setdefault(real_server.key, index)
        if first != index:
            name = _endpoint(real_server.address, real_server.port)
            _fail("%s[%d]" % (path, index), "%s is in %s[%d] already; write it once" % (name, path, first))


def _parse_identity(row: Dict[str, Any], path: str) -> ServiceKey:
    family = row.get("family")
    wanted = None if family is None else _choice(family, FAMILIES, path + ".family")
    if row.get("fwmark") is not None:
        for name in ("address", "port", "protocol"):
            if row.get(name) is not None:
                _fail("%s.%s" % (path, name), "a service by fwmark has none; leave it out")
        return (wanted or AF_INET, 0, b"", 0, _whole(row["fwmark"], 1, 2**32 - 1, path + ".fwmark"))
    if row.get("address") is None:
        _fail(path, "a service needs address, protocol and port, or fwmark")
    address = _address(row["address"], path + ".address")
    if wanted is not None and wanted != family_of(address):
        _fail(path + ".family", "%s is not an %s address; leave family out" % (row["address"], family))
    if row.get("port") is None:
        _fail(path + ".port", "is missing; 0 stands for every port and needs persistence")
    port = _whole(row["port"], 0, 65535, path + ".port")
    protocol = row.get("protocol")
    number = PROTOCOLS["tcp"] if protocol is None else _choice(protocol, PROTOCOLS, path + ".protocol")
    return (family_of(address), number, address, port, 0)


def _parse_service(row: Dict[str, Any], path: str) -> Service:
    key = _parse_identity(row, path)
    scheduler = row.get("scheduler")
    if scheduler is not None:
        scheduler = _scheduler(scheduler, path + ".scheduler")
    flags = row.get("scheduler_flags")
    if flags is not None:
        flags = _scheduler_flags(flags, scheduler, path + ".scheduler_flags")
    one_packet = row.get("one_packet")
    if one_packet is not None:
        one_packet = _truth(one_packet, path + ".one_packet")
    persistence: Tuple[Any, Any, Any, Any] = (None, None, None, None)
    if "persistence" in row:
        persistence = _persistence(row["persistence"], key[0], path + ".persistence")
    return Service(*key, scheduler, flags, one_packet, *persistence)


def _scheduler(value: Any, path: str) -> str:
    # Whether the kernel has a scheduler of this name is the kernel's to say; only what no name can be is refused here.
    if not isinstance(value, str) or not 0 < len(value) < 16 or not value.replace("-", "").replace("_", "").isalnum():
        _fail(path, "%r is no scheduler's name; one like rr, wrr, lc, wlc, sh, mh, at most 15 characters" % (value,))
    return value


def _scheduler_flags(value: Any, scheduler: Optional[str], path: str) -> int:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if not isinstance(value, list):
        _fail(path, "%r is not a list of flags like [sh-port, sh-fallback] or [flag-1]" % (value,))
    bits = 0
    for index, word in enumerate(value):
        where = "%s[%d]" % (path, index)
        name = "flag-%s" % word if word in (1, 2, 3, "1", "2", "3") else word
        owner, bit = _choice(name, SCHEDULER_FLAGS, where)
        if owner is not None and owner != scheduler:
            _fail(
                where,
                "%s belongs to scheduler %s; name `scheduler: %s` beside it, or use flag-1 to flag-3"
                % (name, owner, owner),
            )
        bits |= bit
    return bits


def _persistence(value: Any, family: int, path: str) -> Tuple[Any, Any, Any, Any]:
    """Return (persistent, timeout, netmask, engine); null and false switch persistence off."""
    if value is None or value is False or (isinstance(value, str) and value.lower() in ("false", "no", "off")):
        return (False, 0, full_mask(family), "")
    if value is True:
        return (True, None, None, None)
    if not isinstance(value, dict):
        if value in (0, "0"):
            _fail(path, "to switch persistence off write false")
        return (True, _whole(value, 1, MAX_TIMEOUT, path), None, None)
    _known(value, _PERSISTENCE_KEYS, path)
    timeout, netmask, engine = value.get("timeout"), value.get("netmask"), value.get("engine")
    if timeout is not None:
        timeout = _whole(timeout, 0, MAX_TIMEOUT, path + ".timeout")
    if netmask is not None:
        netmask = _netmask(netmask, family, path + ".netmask")
    if engine is not None and (not isinstance(engine, str) or len(engine) > 16):
        _fail(path + ".engine", "%r is no persistence engine's name; the kernel has sip, or '' for none" % (engine,))
    return (True, timeout, netmask, engine)


def _netmask(value: Any, family: int, path: str) -> int:
    if family == AF_INET6:
        return _whole(value, 1, 128, path)
    if isinstance(value, str) and "." in value:
        return int.from_bytes(_address(value, path), "big")
    bits = _whole(value, 0, 32, path)
    return FULL_MASK4 << (32 - bits) & FULL_MASK4


def _parse_real_server(item: Any, service: Service, path: str, index: int, addresses: Dict[str, bytes]) -> RealServer:
    if type(item) is not dict or not item.keys() <= _REAL_SERVER_KEYS:
        _known(item, _REAL_SERVER_KEYS, "%s[%d]" % (path, index))
    get = item.get
    text = get("address")
    try:
        address = addresses.get(text)
    except TypeError:
        address = None
    if address is None:
        if text is None:
            _fail("%s[%d].address" % (path, index), "is missing")
        address = addresses[text] = _address(text, "%s[%d].address" % (path, index))
    port, weight, forward = get("port"), get("weight"), get("forward")
    # The plain case is checked in place: a table may have tens of thousands of these.
    if port is None:
        port = service.port
    elif type(port) is not int or not 0 <= port <= 65535:
        port = _whole(port, 0, 65535, "%s[%d].port" % (path, index))
    if weight is not None and (type(weight) is not int or not 0 <= weight <= MAX_INT):
        weight = _whole(weight, 0, MAX_INT, "%s[%d].weight" % (path, index))
    if forward is not None:
        forward = _choice(forward, FORWARDS, "%s[%d].forward" % (path, index))
    upper, lower, tunnel = get("upper_threshold"), get("lower_threshold"), get("tunnel")
    if upper is not None:
        upper = _whole(upper, 0, MAX_INT, "%s[%d].upper_threshold" % (path, index))
    if lower is not None:
        lower = _whole(lower, 0, MAX_INT, "%s[%d].lower_threshold" % (path, index))
    if tunnel is None:
        return RealServer(address, port, forward, weight, upper, lower, None, None, None)
    kind = _tunnel(tunnel, forward, "%s[%d].tunnel" % (path, index))
    return RealServer(address, port, forward, weight, upper, lower, *kind)


def _tunnel(value: Any, forward: Optional[int], path: str) -> Tuple[int, int, int]:
    """A tunnel is set as a whole: what is not named in it has its default."""
    if isinstance(value, str):
        value = {"type": value}
    _known(value, _TUNNEL_KEYS, path)
    if forward not in (None, TUN):
        _fail(path, "only a real server with `forward: tun` has a tunnel")
    kind, port, checksum = value.get("type"), value.get("port"), value.get("checksum")
    number = IPIP if kind is None else _choice(kind, TUNNELS, path + ".type")
    if checksum is None or isinstance(checksum, bool):
        sums = int(bool(checksum))
    else:
        sums = _choice(checksum, CHECKSUMS, path + ".checksum")
    return (number, 0 if port is None else _whole(port, 0, 65535, path + ".port"), sums)


# --- completing and judging whole rows -------------------------------------------------------------------------------


def default_service(key: ServiceKey) -> Service:
    """Return the service a row that names nothing but its identity stands for."""
    return Service(*key, DEFAULT_SCHEDULER, 0, False, False, 0, full_mask(key[0]), "")


def complete_service(wish: Service, base: Optional[Service]) -> Service:
    """Fill what wish does not name from base, or from the defaults when there is no base."""
    if base is None:
        base = default_service(wish.key)
    service = Service(*[old if new is None else new for new, old in zip(wish, base)])
    if wish.persistent and wish.timeout is None and not base.persistent:
        service = service._replace(timeout=DEFAULT_TIMEOUT)
    return service


def complete_real_server(wish: RealServer, base: Optional[RealServer]) -> RealServer:
    """Fill what wish does not name from base, or from the defaults when there is no base."""
    if base is not None:
        wish = RealServer(*[old if new is None else new for new, old in zip(wish, base)])
    # Written out, since this is done for every row of a large table.
    address, port, forward, weight, upper, lower, tunnel, tunnel_port, checksum = wish
    if forward is None:
        forward = DR
    if forward != TUN or tunnel is None:
        tunnel = tunnel_port = checksum = 0
    return RealServer(
        address,
        port,
        forward,
        1 if weight is None else weight,
        0 if upper is None else upper,
        0 if lower is None else lower,
        tunnel,
        tunnel_port,
        checksum,
    )


def service_problem(service: Service) -> Optional[Tuple[str, str]]:
    """Return (option, reason) when a complete service makes no sense to the kernel, else None."""
    if service.fwmark == 0:
        if service.protocol not in _PROTOCOL_NAMES:
            return ("protocol", "%d is none of tcp, udp, sctp" % service.protocol)
        if service.port == 0 and not service.persistent:
            return ("port", "0 (every port) works for persistent services only; add persistence or name a port")
    if service.engine and not service.persistent:
        return ("persistence", "an engine without persistence has no effect; add a timeout")
    if service.persistent and service.timeout > MAX_TIMEOUT:
        return ("persistence.timeout", "%d is longer than the kernel can count" % service.timeout)
    return None


def real_server_problem(service: Service, real_server: RealServer) -> Optional[Tuple[str, str]]:
    """Return (option, reason) when a complete real server makes no sense in its service, else None."""
    forward = real_server[2]
    if forward in (DR, TUN):
        if real_server[1] != service[3] and service[4] == 0:
            return (
                "port",
                "%s cannot change the port: %d is not the service's %d; use nat, or leave port out"
                % (_FORWARD_NAMES[forward], real_server.port, service.port),
            )
    elif forward not in _FORWARD_NAMES:
        return ("forward", "method %d is none of nat, dr, tun, local" % forward)
    if real_server[5] > real_server[4]:
        return (
            "lower_threshold",
            "%d is above upper_threshold %d; the kernel refuses that" % (real_server.lower, real_server.upper),
        )
    if real_server[3] < 0 or real_server[4] > MAX_INT:
        return ("weight", "weights and thresholds go from 0 to %d" % MAX_INT)
    if forward == TUN:
        return _tunnel_problem(real_server)
    if (len(real_server[0]) == 4) != (service[0] == AF_INET):
        return ("address", "is of another family than its service; only `forward: tun` can cross families")
    return None


def _tunnel_problem(real_server: RealServer) -> Optional[Tuple[str, str]]:
    kind, port, checksum = real_server[6:]
    if kind not in _TUNNEL_NAMES or checksum not in (0, 1, 2):
        return ("tunnel", "type %d with flags %d is not known" % (kind, checksum))
    if kind == GUE and port == 0:
        return ("tunnel.port", "a gue tunnel needs the port it goes to")
    if kind != GUE and port:
        return ("tunnel.port", "only a gue tunnel has a port")
    if kind == IPIP and checksum:
        return ("tunnel.checksum", "an ipip tunnel has none")
    if kind == GRE and checksum == 2:
        return ("tunnel.checksum", "a gre tunnel knows none and csum only")
    return None


def check_service(service: Service, path: str) -> Service:
    """Return service, or raise TableError with the option's path when it makes no sense."""
    problem = service_problem(service)
    if problem:
        _fail("%s.%s" % (path, problem[0]), problem[1])
    return service


def check_real_server(service: Service, real_server: RealServer, path: str, index: int) -> RealServer:
    """Return real_server, or raise TableError with the option's path when it makes no sense in its service."""
    problem = real_server_problem(service, real_server)
    if problem:
        _fail("%s.real_servers[%d].%s" % (path, index, problem[0]), problem[1])
    return real_server


def complete_table(wishes: Iterable[Wish]) -> Table:
    """Return the table that wishes alone describe, everything unnamed at its default."""
    table: Table = {}
    for wish in wishes:
        service = check_service(complete_service(wish.service, None), wish.path)
        real_servers = {}
        for index, entry in enumerate(wish.real_servers or ()):
            real_server = check_real_server(service, complete_real_server(entry, None), wish.path, index)
            real_servers[real_server.key] = real_server
        table[service.key] = Entry(service, real_servers)
    return table


# --- scope -----------------------------------------------------------------------------------------------------------

_SCOPE_KEYS = frozenset(("networks", "marks", "protocols"))


class Scope(NamedTuple):
    """Which services may be removed. None for networks or marks means that the scope does not speak of them."""

    networks: List[Tuple[int, int, int]]
    marks: List[Tuple[int, int]]
    protocols: FrozenSet[int]
    everything: bool = False

    def covers(self, key: ServiceKey) -> bool:
        """Tell whether the service with this key may be removed."""
        if self.everything:
            return True
        family, protocol, address, _port, mark = key
        if mark:
            return any(low <= mark <= high for low, high in self.marks)
        if self.protocols and protocol not in self.protocols:
            return False
        if not self.networks:
            return bool(self.protocols)
        number = int.from_bytes(address, "big")
        return any(family == kind and number & mask == start for kind, start, mask in self.networks)


def parse_scope(value: Any, path: str = "scope") -> Optional[Scope]:
    """Parse scope: 'all', or a dictionary of networks, marks and protocols. None stays None."""
    if value is None:
        return None
    if value == "all":
        return Scope([], [], frozenset(), True)
    if not isinstance(value, dict):
        _fail(path, "%r is neither `all` nor a dictionary of networks, marks, protocols" % (value,))
    _known(value, _SCOPE_KEYS, path)
    parts = {}
    for name in sorted(_SCOPE_KEYS):
        part = value.get(name)
        parts[name] = [] if part is None else part if isinstance(part, list) else [part]
    if not any(parts.values()):
        _fail(path, "covers nothing; name networks, marks or protocols, or write `all`")
    networks = [_network(text, "%s.networks[%d]" % (path, i)) for i, text in enumerate(parts["networks"])]
    marks = [_mark_range(text, "%s.marks[%d]" % (path, i)) for i, text in enumerate(parts["marks"])]
    protocols = [_choice(text, PROTOCOLS, "%s.protocols[%d]" % (path, i)) for i, text in enumerate(parts["protocols"])]
    return Scope(networks, marks, frozenset(protocols))


def _network(value: Any, path: str) -> Tuple[int, int, int]:
    text, _slash, length = str(value).partition("/")
    address = _address(text, path)
    width = len(address) * 8
    bits = _whole(length, 0, width, path) if length else width
    mask = (1 << width) - (1 << (width - bits))
    return (family_of(address), int.from_bytes(address, "big") & mask, mask)


def _mark_range(value: Any, path: str) -> Tuple[int, int]:
    low, dash, high = str(value).partition("-")
    first = _whole(low, 1, 2**32 - 1, path)
    return (first, _whole(high, first, 2**32 - 1, path) if dash else first)


# --- back to config --------------------------------------------------------------------------------------------------


def to_config(entry: Entry) -> Dict[str, Any]:
    """Return a service as a row of config that names everything."""
    service = entry.service
    row = identity(service)
    row["scheduler"] = service.scheduler
    row["scheduler_flags"] = flag_names(service)
    row["one_packet"] = service.one_packet
    row["persistence"] = _persistence_config(service)
    row["real_servers"] = [_real_server_config(entry.real_servers[key]) for key in sorted(entry.real_servers)]
    return row


def identity(service: Service) -> Dict[str, Any]:
    """Return the options of a row of config that tell which service it is."""
    if service.fwmark:
        return {"fwmark": service.fwmark, "family": family_name(service.family)}
    return {
        "address": format_address(service.address),
        "port": service.port,
        "protocol": _PROTOCOL_NAMES[service.protocol],
    }


def flag_names(service: Service) -> List[str]:
    """Return the names of a service's scheduler flags, the scheduler's own where it has any."""
    names = []
    for bit, generic in ((0x08, "flag-1"), (0x10, "flag-2"), (0x20, "flag-3")):
        if service.scheduler_flags & bit:
            own = [
                name for name, (owner, value) in SCHEDULER_FLAGS.items() if value == bit and owner == service.scheduler
            ]
            names.append(own[0] if own else generic)
    return names


def _persistence_config(service: Service) -> Any:
    if not service.persistent:
        return False
    return {"timeout": service.timeout, "netmask": _netmask_config(service), "engine": service.engine}


def _netmask_config(service: Service) -> Any:
    if service.family == AF_INET6:
        return service.netmask
    bits = bin(service.netmask).count("1")
    if FULL_MASK4 << (32 - bits) & FULL_MASK4 == service.netmask:
        return bits
    return format_address(service.netmask.to_bytes(4, "big"))


def _real_server_config(real_server: RealServer) -> Dict[str, Any]:
    row: Dict[str, Any] = {
        "address": format_address(real_server.address),
        "port": real_server.port,
        "forward": _FORWARD_NAMES[real_server.forward],
        "weight": real_server.weight,
        "upper_threshold": real_server.upper,
        "lower_threshold": real_server.lower,
    }
    if real_server.forward == TUN:
        tunnel: Dict[str, Any] = {"type": _TUNNEL_NAMES[real_server.tunnel]}
        if real_server.tunnel == GUE:
            tunnel["port"] = real_server.tunnel_port
        if real_server.tunnel != IPIP:
            tunnel["checksum"] = _CHECKSUM_NAMES[real_server.tunnel_checksum]
        row["tunnel"] = tunnel
    return row


def service_name(service: Service) -> str:
    """Return a service's name for messages, like tcp 192.0.2.10:80 or fwmark 1 (ipv4)."""
    if service.fwmark:
        return "fwmark %d (%s)" % (service.fwmark, family_name(service.family))
    protocol = _PROTOCOL_NAMES.get(service.protocol, "protocol %d" % service.protocol)
    return "%s %s" % (protocol, _endpoint(service.address, service.port))


def real_server_name(real_server: RealServer) -> str:
    """Return a real server's name for messages, like 198.51.100.7:80."""
    return _endpoint(real_server.address, real_server.port)


# --- ipvsadm's own words ---------------------------------------------------------------------------------------------

_SERVICE_LETTERS = {6: "-t ", 17: "-u ", 132: "--sctp-service "}
_FORWARD_LETTERS = {NAT: "-m", LOCAL: "-l", TUN: "-i", DR: "-g"}
_CHECKSUM_WORDS = ("--tun-nocsum", "--tun-csum", "--tun-remcsum")


def service_words(service: Service) -> str:
    """Return the words by which ipvsadm names a service."""
    if service.fwmark:
        return "-f %d%s" % (service.fwmark, " -6" if service.family == AF_INET6 else "")
    return _SERVICE_LETTERS[service.protocol] + _endpoint(service.address, service.port)


def service_line(service: Service, verb: str = "-A") -> str:
    """Return the line ipvsadm -S would write for a service; verb -D leaves all but the name out."""
    words = [verb, service_words(service)]
    if verb != "-D":
        words.append("-s " + service.scheduler)
        if service.persistent:
            words.append("-p %d" % service.timeout)
            if service.netmask != full_mask(service.family):
                words.append("-M " + _netmask_words(service))
        if service.engine:
            words.append("--pe " + service.engine)
        if service.one_packet:
            words.append("-o")
        if service.scheduler_flags:
            words.append("-b " + ",".join(flag_names(service)))
    return " ".join(words)


def _netmask_words(service: Service) -> str:
    if service.family == AF_INET6:
        return str(service.netmask)
    return format_address(service.netmask.to_bytes(4, "big"))


def real_server_line(words: str, real_server: RealServer, verb: str = "-a") -> str:
    """Return the line ipvsadm -S would write for a real server of the service named words, with its thresholds."""
    line = "%s %s -r %s" % (verb, words, _endpoint(real_server[0], real_server[1]))
    if verb == "-d":
        return line
    line = "%s %s -w %d" % (line, _FORWARD_LETTERS[real_server[2]], real_server[3])
    if real_server[4]:
        line += " -x %d" % real_server[4]
    if real_server[5]:
        line += " -y %d" % real_server[5]
    return line + _tunnel_words(real_server) if real_server[2] == TUN else line


def _tunnel_words(real_server: RealServer) -> str:
    words = " --tun-type " + _TUNNEL_NAMES[real_server.tunnel]
    if real_server.tunnel == GUE:
        words += " --tun-port %d" % real_server.tunnel_port
    if real_server.tunnel != IPIP:
        words += " " + _CHECKSUM_WORDS[real_server.tunnel_checksum]
    return words


def entry_lines(entry: Entry) -> Iterator[str]:
    """Yield the ipvsadm-restore lines of one service and its real servers, in their order."""
    yield service_line(entry.service)
    words = service_words(entry.service)
    for real_server in entry.real_servers.values():
        yield real_server_line(words, real_server)


def render(table: Table) -> str:
    """Return a table as text that ipvsadm-restore reads."""
    lines = [line for entry in table.values() for line in entry_lines(entry)]
    return "\n".join(lines) + "\n" if lines else ""


def restore_problems(table: Table) -> List[str]:
    """Say which rows of a table ipvsadm-restore (1.31) refuses or changes, so that nobody finds out at boot."""
    problems = []
    for entry in table.values():
        service = entry.service
        if service.one_packet and not service.fwmark and service.protocol != PROTOCOLS["udp"]:
            problems.append("%s: ipvsadm takes one-packet for UDP and marks only" % service_name(service))
        if service.persistent and not 0 < service.timeout <= 2678400:
            problems.append("%s: ipvsadm takes a persistence timeout of 1 s to 31 days only" % service_name(service))
        for real_server in entry.real_servers.values():
            if real_server[2] == LOCAL:
                problems.append(
                    "%s of %s: ipvsadm cannot ask for local forwarding"
                    % (real_server_name(real_server), service_name(service))
                )
    return problems


# --- reading ipvsadm's text ------------------------------------------------------------------------------------------

Resolver = Callable[[str, int], bytes]

_LONG_OPTIONS = {
    "--add-service": "-A",
    "--edit-service": "-E",
    "--add-server": "-a",
    "--edit-server": "-e",
    "--clear": "-C",
    "--tcp-service": "-t",
    "--udp-service": "-u",
    "--fwmark-service": "-f",
    "--scheduler": "-s",
    "--persistent": "-p",
    "--netmask": "-M",
    "--real-server": "-r",
    "--gatewaying": "-g",
    "--ipip": "-i",
    "--masquerading": "-m",
    "--weight": "-w",
    "--u-threshold": "-x",
    "--l-threshold": "-y",
    "--ipv6": "-6",
    "--ops": "-o",
    "--sched-flags": "-b",
}
_WITH_VALUE = frozenset(
    ["-t", "-u", "-f", "-s", "-M", "-r", "-w", "-x", "-y", "-b", "--sctp-service", "--pe", "--tun-type", "--tun-port"]
)
_PLAIN = frozenset(
    ["-A", "-E", "-a", "-e", "-C", "-g", "-i", "-m", "-l", "-6", "-o", "--tun-nocsum", "--tun-csum", "--tun-remcsum"]
)


def parse_saved(text: str, resolve: Optional[Resolver] = None, path: str = "line") -> Table:
    """Parse what `ipvsadm -S` (with or without -n) wrote, or a script of ipvsadm commands that build a table."""
    table: Table = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            _read_line(words, table, resolve)
        except TableError as error:
            raise TableError("%s %d: %s" % (path, number, error)) from error
    return table


def _read_line(words: List[str], table: Table, resolve: Optional[Resolver]) -> None:
    options = _read_words(words)
    if "-C" in options:
        table.clear()
        return
    verbs = [verb for verb in ("-A", "-E", "-a", "-e") if verb in options]
    if len(verbs) != 1:
        raise TableError("%r does not add to a table" % " ".join(words))
    verb = verbs[0]
    key = _read_service_key(options, resolve)
    if verb in ("-A", "-E"):
        service = _read_service(key, options)
        old = table.get(service.key)
        table[service.key] = Entry(service, old.real_servers if old else {})
        return
    entry = table.get(key)
    if entry is None:
        raise TableError("%r: its service is in no line above" % " ".join(words))
    real_server = _read_real_server(entry.service, options, resolve)
    entry.real_servers[real_server.key] = real_server


def _read_words(words: List[str]) -> Dict[str, str]:
    """Split a line into its options, the way popt does: -w 1, -w1, --weight 1 and --weight=1 are the same."""
    options: Dict[str, str] = {}
    rest = iter(words[1:] if words[0].endswith("ipvsadm") else words)
    pending: Optional[str] = None
    for word in rest:
        if pending is not None:
            options[pending] = word
            pending = None
            continue
        if word in _PLAIN:
            options[word] = ""
        elif word in _WITH_VALUE:
            pending = word
        elif word[0] != "-":
            if "-p" in options and options["-p"] == "" and list(options)[-1] == "-p":
                options["-p"] = word
            else:
                raise TableError("%r is out of place" % word)
        else:
            pending = _read_odd_word(word, options)
    if pending is not None:
        raise TableError("%s needs a value" % pending)
    return options


def _read_odd_word(word: str, options: Dict[str, str]) -> Optional[str]:
    """Read long forms and glued values; return the option that still waits for its value."""
    name, equals, value = word.partition("=")
    if word[:2] != "--" and len(word) > 2:
        name, equals, value = word[:2], "=", word[2:].lstrip("=")
    name = _LONG_OPTIONS.get(name, name)
    if name == "-p":
        options["-p"] = value
    elif name in _PLAIN and not equals:
        options[name] = ""
    elif name in _WITH_VALUE:
        if not equals:
            return name
        options[name] = value
    else:
        raise TableError("%r is no option of a service or real server" % word)
    return None


def _read_service_key(options: Dict[str, str], resolve: Optional[Resolver]) -> ServiceKey:
    if "-f" in options:
        # ipvsadm 1.31 prints marks above 2^31 as negative numbers.
        mark = _number(options["-f"], "-f") & 0xFFFFFFFF
        return (AF_INET6 if "-6" in options else AF_INET, 0, b"", 0, mark)
    for letter, name in (("-t", "tcp"), ("-u", "udp"), ("--sctp-service", "sctp")):
        if letter in options:
            address, port = _read_endpoint(options[letter], name, None, resolve)
            if port is None:
                port = 0
            return (family_of(address), PROTOCOLS[name], address, port, 0)
    raise TableError("names no service")


def _read_endpoint(
    text: str, protocol: str, family: Optional[int], resolve: Optional[Resolver]
) -> Tuple[bytes, Optional[int]]:
    host, port = text, ""
    if text.startswith("["):
        host, _bracket, rest = text[1:].partition("]")
        port = rest[1:]
        family = AF_INET6
    elif text.count(":") <= 1:
        host, _colon, port = text.partition(":")
    try:
        address = socket.inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except (OSError, ValueError):
        if resolve is None:
            raise TableError("%r is not an IP address" % host) from None
        address = resolve(host, family or AF_INET)
    if not port:
        return address, None
    return address, int(port) if port.isdigit() else _service_port(port, protocol)


def _service_port(name: str, protocol: str) -> int:
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        raise TableError("port %r is not in /etc/services" % name) from None


def _number(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TableError("%s %r is not a number" % (option, text)) from None


def _read_service(key: ServiceKey, options: Dict[str, str]) -> Service:
    netmask = full_mask(key[0])
    if options.get("-M"):
        netmask = _netmask(options["-M"], key[0], "-M")
    scheduler = options.get("-s", DEFAULT_SCHEDULER)
    flags = _scheduler_flags(options.get("-b", ""), scheduler, "-b")
    persistent = "-p" in options
    timeout = _number(options["-p"] or str(DEFAULT_TIMEOUT), "-p") if persistent else 0
    if not persistent:
        netmask = full_mask(key[0])
    return Service(*key, scheduler, flags, "-o" in options, persistent, timeout, netmask, options.get("--pe", ""))


def _read_real_server(service: Service, options: Dict[str, str], resolve: Optional[Resolver]) -> RealServer:
    protocol = _PROTOCOL_NAMES.get(service.protocol, "tcp")
    address, port = _read_endpoint(options.get("-r", ""), protocol, service.family, resolve)
    forward = NAT if "-m" in options else TUN if "-i" in options else LOCAL if "-l" in options else DR
    if port is None or (forward in (DR, TUN) and not service.fwmark):
        # ipvsadm does the same: direct routing and tunnels keep the service's port.
        port = service.port
    tunnel = (0, 0, 0)
    if forward == TUN:
        checksum = 1 if "--tun-csum" in options else 2 if "--tun-remcsum" in options else 0
        kind = _choice(options.get("--tun-type", "ipip"), TUNNELS, "--tun-type")
        tunnel = (kind, _number(options.get("--tun-port", "0"), "--tun-port"), checksum)
    return RealServer(
        address,
        port,
        forward,
        _number(options.get("-w", "1"), "-w"),
        _number(options.get("-x", "0"), "-x"),
        _number(options.get("-y", "0"), "-y"),
        *tunnel,
    )


def resolve_host(name: str, family: int) -> bytes:
    """Look a host's name up, as `ipvsadm -S` without -n wrote it."""
    try:
        found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except OSError as error:
        raise TableError("host %r cannot be resolved: %s" % (name, error)) from error
    return socket.inet_pton(family, str(found[0][4][0]).partition("%")[0])
