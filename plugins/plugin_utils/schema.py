# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared schema of every ``lvs_*`` variable: what validates them, and the source of their documentation.

Two halves. First the kinds of value: each reads a plain Python value (as YAML or a template made it), checked.
Then the declaration itself, which uses them. What needs more than one value to judge (a port against a forwarding
method, a name against another name) is the model's business, not the schema's.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

NOT_YET = "not yet in this version"


class Unreadable:
    """Stands where a value was refused, so that later checks stay silent about it instead of blaming its absence."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE = Unreadable()
REQUIRED = object()


class Refused(Exception):
    """One value is wrong: what is wrong, and how to mend it."""

    def __init__(self, wrong: str, mend: str) -> None:
        super().__init__(f"{wrong}; {mend}")
        self.wrong = wrong
        self.mend = mend


Report = Callable[[str, str, str], None]
"""Takes path, what is wrong, how to mend it."""


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that looks most like the given one, if any does."""
    matches = difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggest(name: object, valid: Iterable[str], otherwise: str) -> str:
    """Return the mend for an unknown name: the nearest valid one, or the given advice."""
    match = nearest(name, valid)
    return f"did you mean {match}?" if match else otherwise


def show(value: object) -> str:
    """Print a value for a message: short, and on one line."""
    text = " ".join(repr(value).split()) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# The kinds of value


@dataclass(frozen=True)
class Choice:
    """One valid word, what it means, and whether it waits for a later version."""

    name: str
    meaning: str
    later: bool = False


@dataclass(frozen=True)
class Integer:
    """A whole number in a range. Digits in a string count: templates yield strings."""

    minimum: int
    maximum: int
    unit: str = ""
    hint: str = ""

    def words(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"whole number {self.minimum}..{self.maximum}{unit}"

    def read(self, value: Any, path: str, report: Report) -> int:
        if isinstance(value, str) and re.fullmatch(r" *-?[0-9]{1,18} *", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            raise Refused(f"{show(value)} is not a {self.words()}", self.hint or f"write a {self.words()}")
        return value


@dataclass(frozen=True)
class Boolean:
    """True or false, in any of YAML's and Ansible's spellings."""

    def words(self) -> str:
        return "true or false"

    def read(self, value: Any, path: str, report: Report) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise Refused(f"{show(value)} is neither true nor false", "write true or false")


@dataclass(frozen=True)
class Text:
    """A word of a given form."""

    form: str = r"[^\s]+"
    of: str = "text without spaces"

    def words(self) -> str:
        return self.of

    def read(self, value: Any, path: str, report: Report) -> str:
        if isinstance(value, str) and re.fullmatch(self.form, value):
            return value
        quote = "" if isinstance(value, str) else " in quotes"
        raise Refused(f"{show(value)} is not {self.of}", f"write {self.of}{quote}")


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    choices: tuple[Choice, ...]

    def words(self) -> str:
        return "one of " + ", ".join(choice.name for choice in self.choices)

    def read(self, value: Any, path: str, report: Report) -> str:
        usable = [choice.name for choice in self.choices if not choice.later]
        for choice in self.choices:
            if value == choice.name:
                if choice.later:
                    raise Refused(f"{value} is {NOT_YET}", f"use {' or '.join(usable)}")
                return choice.name
        raise Refused(
            f"{show(value)} is not {self.words()}",
            suggest(value, (choice.name for choice in self.choices), f"use {', '.join(usable)}"),
        )


Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def read_address(value: Any) -> Address:
    """Read one unicast IP address that a host can own and another can reach."""
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None:
        raise Refused(f"{show(value)} is not an IP address", "write an address such as 192.0.2.10 or 2001:db8::10")
    sort = _sort_of_unusable(address)
    if sort:
        raise Refused(f"{value} is {sort}", "write a unicast address that is reachable in the network")
    return address


def _sort_of_unusable(address: Address) -> str | None:
    if address.version == 6 and getattr(address, "scope_id", None):
        return "a scoped address"
    if address.version == 6 and address.ipv4_mapped is not None:
        return "an IPv4 address in IPv6 clothes"
    sorts = (
        (address == ipaddress.IPv4Address("255.255.255.255"), "the broadcast address"),
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_multicast, "a multicast address"),
        (address.version == 6 and address.is_link_local, "a link-local address"),
        (address.version == 4 and address.is_reserved, "a reserved address"),
    )
    return next((sort for is_it, sort in sorts if is_it), None)


@dataclass(frozen=True)
class HostAddress:
    """One unicast address. Loopback may be allowed where the model has more to say about it."""

    loopback: bool = False

    def words(self) -> str:
        return "IPv4 or IPv6 address"

    def read(self, value: Any, path: str, report: Report) -> Address:
        if self.loopback:
            try:
                address = ipaddress.ip_address(str(value))
            except ValueError:
                return read_address(value)
            if address.is_loopback:
                return address
        return read_address(value)


@dataclass(frozen=True)
class Vip:
    """A virtual IP address as written: the address, and the prefix length when one was said."""

    address: Address
    prefix: int | None


@dataclass(frozen=True)
class VipAddress:
    """A VIP, with or without a prefix length."""

    def words(self) -> str:
        return "address, or address/prefix"

    def read(self, value: Any, path: str, report: Report) -> Vip:
        text, slash, length = value.partition("/") if isinstance(value, str) else (value, "", "")
        address = read_address(text)
        if not slash:
            return Vip(address, None)
        if not re.fullmatch(r"[0-9]{1,3}", length) or not 1 <= int(length) <= address.max_prefixlen:
            raise Refused(
                f"{length!r} is no prefix length 1..{address.max_prefixlen}",
                f"write {address}/{address.max_prefixlen}, or the length of the VIP's network",
            )
        network = ipaddress.ip_network((address, int(length)), strict=False)
        if network.num_addresses > 2:
            if address == network.network_address:
                raise Refused(f"{value} is the network's own address", f"write a host address in {network}")
            if address.version == 4 and address == network.broadcast_address:
                raise Refused(f"{value} is the broadcast address of {network}", f"write a host address in {network}")
        return Vip(address, int(length))


@dataclass(frozen=True)
class ListOf:
    """A list of values of one kind; where said, a single value stands for a list of one."""

    of: Any
    single: bool = False
    label: str = ""
    """The key of an item that is printed behind its index, because people think in names."""

    def words(self) -> str:
        if self.single:
            return f"{self.of.words()}, or a list of them"
        return "list of mappings" if isinstance(self.of, Section) else f"list of ({self.of.words()})"

    def read(self, value: Any, path: str, report: Report) -> list[Any]:
        if not _is_list(value):
            if not self.single or isinstance(value, Mapping):
                raise Refused(f"{show(value)} is not a list", "write a list")
            return [read_value(self.of, value, path, report)]
        return [read_value(self.of, item, self._at(path, index, item), report) for index, item in enumerate(value)]

    def _at(self, path: str, index: int, item: Any) -> str:
        name = item.get(self.label) if self.label and isinstance(item, Mapping) else None
        return f"{path}[{index}] ({name})" if isinstance(name, str) else f"{path}[{index}]"


@dataclass(frozen=True)
class Field:
    """One key: of the inventory, of a service, of a real server."""

    name: str
    kind: Any
    description: str
    default: Any = None
    default_words: str = ""
    """What happens without it, where the default is no plain value."""
    since: str = "0.1.0"
    later: bool = False
    source: str = ""


class Section:
    """A mapping with declared keys. Where said, a bare value stands for one of them."""

    def __init__(self, name: str, fields: Sequence[Field], bare: str = "") -> None:
        self.name = name
        self.fields = tuple(fields)
        self.bare = bare
        self._names = {field.name for field in self.fields}

    def words(self) -> str:
        if not self.bare:
            return "mapping"
        return f"mapping, or its {self.bare} alone"

    def read(self, value: Any, path: str, report: Report) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            if not self.bare or _is_list(value):
                raise Refused(f"{show(value)} is not a mapping", f"write keys and values: {', '.join(self._known())}")
            value = {self.bare: value}
        for key in value:
            if key not in self._names:
                report(f"{path}.{key}", "no such key", suggest(key, self._names, f"valid: {', '.join(self._known())}"))
        return {
            field.name: read_field(field, value.get(field.name), f"{path}.{field.name}", report)
            for field in self.fields
        }

    def _known(self) -> list[str]:
        return [field.name for field in self.fields if not field.later]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def read_value(kind: Any, value: Any, path: str, report: Report) -> Any:
    """Read one value, or report why not and return UNREADABLE."""
    try:
        return kind.read(value, path, report)
    except Refused as refused:
        report(path, refused.wrong, refused.mend)
        return UNREADABLE


def read_field(field: Field, value: Any, path: str, report: Report) -> Any:
    """Read a key's value; null is the same as leaving the key out."""
    if value is None:
        if field.default is REQUIRED:
            report(path, "is missing", f"add {field.name}: {field.kind.words()}")
            return UNREADABLE
        return field.default
    if field.later and value != field.default:
        report(path, f"is {NOT_YET}", "leave it out")
        return UNREADABLE
    return read_value(field.kind, value, path, report)


# The declaration

MAX_WEIGHT = 65535
MAX_PORT = 65535
MAX_THRESHOLD = 2**31 - 1
MAX_PERSISTENCE = 31 * 24 * 60 * 60

FORWARDS = (
    Choice("nat", "the director rewrites addresses both ways; replies must come back through it"),
    Choice("dr", "direct routing: same network segment, the real server answers the client itself"),
    Choice("tun", "the packet travels in a tunnel to a real server anywhere, which answers the client itself"),
)

SCHEDULERS = (
    Choice("rr", "round robin: each in turn, weights ignored except 0"),
    Choice("wrr", "weighted round robin: in turn, in proportion to the weights"),
    Choice("lc", "least connections"),
    Choice("wlc", "weighted least connections: fewest connections for its weight"),
    Choice("lblc", "locality-based least connections: one server per destination address, for caches"),
    Choice("lblcr", "the same with a set of servers per destination address"),
    Choice("dh", "destination hashing: a fixed table by destination address"),
    Choice("sh", "source hashing: a fixed table by client address"),
    Choice("sed", "shortest expected delay: counts the new connection as well"),
    Choice("nq", "never queue: an idle server first, else shortest expected delay"),
    Choice("fo", "weighted failover: all to the available server of highest weight"),
    Choice(
        "ovf", "weighted overflow: fill the server of highest weight up to its weight in connections, then the next"
    ),
    Choice("mh", "Maglev hashing by client address: losing a server moves few other clients"),
    Choice("twos", "power of two choices: the less loaded of two picked at random (newer kernels only)"),
)

SCHEDULER_FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}

PROTOCOLS = (Choice("tcp", "TCP"), Choice("udp", "UDP"), Choice("sctp", "SCTP"))

_THRESHOLD = Integer(0, MAX_THRESHOLD, "connections")

REAL_SERVER = Section(
    "real server",
    (
        Field(
            "host",
            Text(),
            "The real server by its inventory name. It must be in the real server group; its address is its"
            " lvs_address of the VIP's family. Either this or address.",
        ),
        Field(
            "address",
            HostAddress(),
            "The real server by its address, for one outside the inventory: the collection directs traffic to"
            " it and does not touch it. Either this or host.",
        ),
        Field(
            "port",
            Integer(0, MAX_PORT),
            "The port it listens on. Only nat can use another port than the service's.",
            default_words="the service's port",
        ),
        Field(
            "weight",
            Integer(0, MAX_WEIGHT),
            "Its share of the traffic in this service; 0 gives it no new connections. It wins over the host's"
            " lvs_weight, except that an lvs_weight of 0 (maintenance) makes it 0 everywhere.",
            default_words="the host's lvs_weight, else 1",
            source="ipvsadm(8) --weight",
        ),
        Field(
            "upper_threshold",
            _THRESHOLD,
            "No new connections once it has this many; 0 is no limit.",
            default_words="the service's upper_threshold",
            source="ipvsadm(8) --u-threshold",
        ),
        Field(
            "lower_threshold",
            _THRESHOLD,
            "After it was full, new connections again below this many; 0 means below three quarters of the upper one.",
            default_words="the service's lower_threshold",
            source="ipvsadm(8) --l-threshold",
        ),
    ),
)

PERSISTENCE = Section(
    "persistence",
    (
        Field(
            "timeout",
            Integer(1, MAX_PERSISTENCE, "seconds"),
            "How long after a client's last connection ended it still comes back to the same real server.",
            default=300,
            source="ipvsadm(8) --persistent",
        ),
        Field(
            "netmask",
            Integer(1, 128, "prefix length", hint="write the prefix length, for example 24 for 255.255.255.0"),
            "Clients whose addresses agree in this many leading bits count as one client: 1..32 for IPv4,"
            " 1..128 for IPv6.",
            default_words="each address is a client of its own: 32 for IPv4, 128 for IPv6",
            source="ipvsadm(8) --netmask",
        ),
        Field(
            "engine",
            Word((Choice("sip", "by SIP Call-ID, UDP only"),)),
            "What recognises a client, where it is not its address.",
            default_words="by client address",
            source="ipvsadm(8) --pe",
        ),
    ),
    bare="timeout",
)

TUNNEL = Section(
    "tunnel",
    (
        Field(
            "type",
            Word(
                (
                    Choice("ipip", "IP in IP"),
                    Choice("gue", "generic UDP encapsulation", later=True),
                    Choice("gre", "generic routing encapsulation", later=True),
                )
            ),
            "How the packet is wrapped on its way to the real server.",
            default="ipip",
            source="ipvsadm(8) --tun-type",
        ),
        Field("port", Integer(1, MAX_PORT), "The UDP port of gue.", later=True, source="ipvsadm(8) --tun-port"),
        Field("checksum", Boolean(), "Checksums in the tunnel header of gue and gre.", default=False, later=True),
    ),
)

CHECK = Section(
    "check",
    (
        Field(
            "type",
            Word((Choice("none", "not watched"), Choice("tcp", "a TCP connection"), Choice("http", "an HTTP request"))),
            "How the health engine asks a real server whether it works.",
            default="none",
        ),
        Field(
            "path", Text(r"/[^\s]*", "a path that starts with /"), "The path to request, for http.", default_words="/"
        ),
        Field("status", Integer(100, 599), "The HTTP status that means healthy.", default_words="200"),
    ),
    bare="type",
)

FALLBACK = Section(
    "fallback",
    (
        Field(
            "address",
            HostAddress(loopback=True),
            "The server that answers while no real server does. No loopback address: it works with no"
            " forwarding method.",
            default=REQUIRED,
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "Its port. Only nat can use another port than the service's.",
            default_words="the service's port",
        ),
        Field("forward", Word(FORWARDS), "How it is reached.", default_words="the service's forward"),
    ),
)

SERVICE = Section(
    "service",
    (
        Field(
            "name",
            Text(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", "a name of letters, digits and _ . : - (at most 64)"),
            "The service's name, unique in the cluster. Messages and generated files use it. An entry that"
            " stands for several services makes their names from it: web with ports 80 and 443 becomes web-80"
            " and web-443; with one IPv4 and one IPv6 VIP web-ipv4 and web-ipv6; with several VIPs of a family"
            " web-192.0.2.10 and so on; with both web-ipv4-80 and so on.",
            default=REQUIRED,
        ),
        Field(
            "vip",
            ListOf(VipAddress(), single=True),
            "The virtual IP address that clients use, or a list of them: one service each, IPv4 and IPv6 may"
            " mix. A prefix length says how the address is put on the director's interface. Where each family"
            " is used, every host that takes part needs an lvs_address of it.",
            default=REQUIRED,
            default_words="prefix length 32 or 128, or the one another service says for the same VIP",
        ),
        Field("network", Text(), "A whole network of VIPs, by firewall mark, in place of vip.", later=True),
        Field("fwmark", Integer(1, 2**32 - 1), "A firewall mark set elsewhere, in place of vip.", later=True),
        Field(
            "port",
            Integer(0, MAX_PORT),
            "The port. 0 means every port no other service of the VIP has, and needs persistence. Either this"
            " or ports.",
        ),
        Field(
            "ports",
            ListOf(Integer(1, MAX_PORT), single=True),
            "Several ports: separate services that are otherwise alike. Either this or port.",
        ),
        Field("group", Boolean(), "Ties the ports together by one firewall mark.", default=False, later=True),
        Field("protocol", Word(PROTOCOLS), "The transport protocol.", default="tcp"),
        Field(
            "forward",
            Word(FORWARDS),
            "How packets reach the real servers. Nothing is assumed: it decides what is changed on every host.",
            default=REQUIRED,
            source="ipvsadm(8) --masquerading, --gatewaying, --ipip",
        ),
        Field(
            "tunnel", TUNNEL, "Details of the tunnel, with forward: tun.", default_words="type ipip, with forward: tun"
        ),
        Field(
            "scheduler",
            Word(SCHEDULERS),
            "Who gets the next connection. Every name the kernel has; a kernel may be built without some.",
            default="wlc",
            source="ipvsadm(8) --scheduler",
        ),
        Field(
            "scheduler_flags",
            ListOf(
                Word(
                    (
                        Choice("sh-fallback", "sh: another server when the chosen one is unavailable"),
                        Choice("sh-port", "sh: the client's port counts too"),
                        Choice("mh-fallback", "mh: another server when the chosen one is unavailable"),
                        Choice("mh-port", "mh: the client's port counts too"),
                    )
                ),
                single=True,
            ),
            "Variants of the scheduler; each belongs to the scheduler it is named after.",
            default=(),
            default_words="none",
            source="ipvsadm(8) --sched-flags",
        ),
        Field(
            "one_packet",
            Boolean(),
            "Each packet is scheduled for itself, as suits DNS. UDP only.",
            default=False,
            source="ipvsadm(8) --ops",
        ),
        Field("persistence", PERSISTENCE, "Clients stay with their real server.", default_words="none"),
        Field(
            "upper_threshold",
            _THRESHOLD,
            "For each real server that says none of its own: no new connections once it has this many; 0 is no limit.",
            default=0,
            source="ipvsadm(8) --u-threshold",
        ),
        Field(
            "lower_threshold",
            _THRESHOLD,
            "For each real server that says none of its own: after it was full, new connections again below"
            " this many; 0 means below three quarters of the upper one.",
            default=0,
            source="ipvsadm(8) --l-threshold",
        ),
        Field(
            "real_servers",
            ListOf(REAL_SERVER),
            "Who serves it.",
            default_words="every host of the real server group",
        ),
        Field(
            "check",
            CHECK,
            "How real servers are watched. Needs a health engine (lvs_health): without one nobody would act,"
            " and anything but none is refused.",
            default_words="the health engine's own default; none without a health engine",
        ),
        Field(
            "fallback",
            FALLBACK,
            "The server that answers while no real server does. Needs a health engine (lvs_health): without"
            " one nobody would act, and it is refused.",
            default_words="none",
        ),
    ),
)

CLUSTER_VARIABLES = (
    Field(
        "lvs_services",
        ListOf(SERVICE, label="name"),
        "What the cluster serves.",
        default=REQUIRED,
    ),
    Field(
        "lvs_director_group",
        Text(),
        "The inventory group whose hosts are this cluster's directors.",
        default="directors",
    ),
    Field(
        "lvs_realserver_group",
        Text(),
        "The inventory group whose hosts are this cluster's real servers. Hosts that see the same pair of"
        " groups are one cluster, so two clusters fit in one inventory.",
        default="realservers",
    ),
    Field(
        "lvs_health",
        Word(
            (
                Choice("none", "nobody watches: the table is what the inventory says"),
                Choice("keepalived", "keepalived watches and owns the table", later=True),
                Choice("ldirectord", "ldirectord watches and owns the table", later=True),
            )
        ),
        "Who watches the real servers.",
        default="none",
    ),
    Field(
        "lvs_failover",
        Word(
            (
                Choice("none", "the VIPs stay where the collection puts them: on the one director"),
                Choice("keepalived", "keepalived moves them by VRRP", later=True),
                Choice("heartbeat", "heartbeat moves them", later=True),
            )
        ),
        "Who moves the virtual IPs when a director fails.",
        default="none",
    ),
    Field(
        "lvs_removed",
        Word(
            (
                Choice("delete", "its row goes at once; its open connections die"),
                Choice("quiesce", "weight 0 while it has connections; the first run without them deletes it"),
            )
        ),
        "What happens to a real server that leaves the inventory's list.",
        default="delete",
    ),
    Field(
        "lvs_vipless",
        Boolean(),
        "Accept traffic for addresses that no interface has (transparent proxy).",
        default=False,
        later=True,
    ),
)

HOST_VARIABLES = (
    Field(
        "lvs_address",
        ListOf(HostAddress(), single=True),
        "The host's own address in the cluster: a director's DIP, a real server's RIP. At most one of each"
        " family. Nothing is guessed from facts or ansible_host, which differ under --limit or port"
        " forwarding.",
        default=(),
        default_words="none; needed on every director, and on every real server that a service uses",
    ),
    Field(
        "lvs_interface",
        Text(r"(?!\.{1,2}$)[^\s/:]{1,15}", "an interface name (at most 15 characters)"),
        "The interface that faces the clients, where a director holds its VIPs.",
        default_words="none; needed on every director",
    ),
    Field(
        "lvs_weight",
        Integer(0, MAX_WEIGHT),
        "The host's weight in every service that says none of its own for it. 0 is maintenance: no new"
        " connections in any service, whatever a service says.",
        default_words="1",
    ),
)

VARIABLES = CLUSTER_VARIABLES + HOST_VARIABLES
NAMES = frozenset(field.name for field in VARIABLES)
