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
class Number:
    """A number with a fraction, in a range: what counts seconds."""

    minimum: float
    maximum: float
    unit: str = "seconds"

    def words(self) -> str:
        return f"number {self.minimum:g}..{self.maximum:g} ({self.unit})"

    def read(self, value: Any, path: str, report: Report) -> float:
        if isinstance(value, str) and re.fullmatch(r" *[0-9]{1,9}(\.[0-9]{1,6})? *", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused(f"{show(value)} is not a {self.words()}", f"write a {self.words()}")
        if not self.minimum <= value <= self.maximum:
            raise Refused(f"{show(value)} is not a {self.words()}", f"write a {self.words()}")
        return int(value) if value == int(value) else float(value)


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
    digits: bool = False
    """A number without quotes is taken for its digits."""

    def words(self) -> str:
        return self.of

    def read(self, value: Any, path: str, report: Report) -> str:
        if self.digits and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and re.fullmatch(self.form, value):
            return value
        quote = "" if isinstance(value, str) else " in quotes"
        raise Refused(f"{show(value)} is not {self.of}", f"write {self.of}{quote}")


@dataclass(frozen=True)
class Secret:
    """A word that no message may show."""

    form: str
    of: str

    def words(self) -> str:
        return self.of

    def read(self, value: Any, path: str, report: Report) -> str:
        if isinstance(value, str) and re.fullmatch(self.form, value):
            return value
        said = f"its {len(value)} characters are" if isinstance(value, str) else "it is"
        raise Refused(f"{said} not {self.of}", f"write {self.of}, in quotes")


@dataclass(frozen=True)
class Lines:
    """Text of any number of lines that goes into a generated file as it is."""

    def words(self) -> str:
        return "text, one or more lines"

    def read(self, value: Any, path: str, report: Report) -> str:
        if isinstance(value, str):
            return value
        raise Refused(f"{show(value)} is not text", "write a string; | begins one of several lines")


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
        Field(
            "keepalived",
            Lines(),
            "Lines for its real_server block in keepalived.conf, as they are. Needs lvs_health: keepalived.",
            default_words="none",
            source="keepalived.conf(5)",
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

CHECKS = (
    Choice("none", "not watched: always in service"),
    Choice("tcp", "a TCP connection is accepted"),
    Choice("http", "an HTTP request is answered as expected"),
    Choice("https", "an HTTPS request is answered as expected; the certificate is not verified"),
    Choice("ping", "it answers an ICMP echo request"),
    Choice("udp", "a datagram to its port is not refused, or is answered as expected"),
    Choice("dns", "it answers a DNS question, over UDP"),
    Choice("smtp", "it greets as a mail server"),
    Choice("script", "a program on the director exits with 0"),
    Choice("file", "a file on the director holds 0, or a number that changes its weight"),
)

WEB = ("http", "https")
CONNECTING = ("tcp", *WEB, "ping", "udp", "dns", "smtp")

CHECK = Section(
    "check",
    (
        Field(
            "type",
            Word(CHECKS),
            "How the health engine asks a real server whether it works. It asks the real server's own address, never"
            " the VIP. tcp, http, https and smtp need a tcp service, udp a udp service, unless port names another one.",
            default_words="tcp for a tcp service with a port, ping for any other; none without a health engine",
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "The port to ask, where it is not the one that serves. Not for script and file.",
            default_words="the real server's port",
        ),
        Field(
            "path",
            Text(r"/[^\s\"\\]*", "a path that starts with /, without quotes"),
            "The path to request, for http and https.",
            default_words="/",
        ),
        Field(
            "host",
            Text(r"[A-Za-z0-9._:\[\]-]{1,255}", "a host name"),
            "The virtual host to ask for, in http and https; https sends it as server name (SNI) as well.",
            default_words="the real server's address",
        ),
        Field(
            "status",
            ListOf(
                Text(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", "an HTTP status, or a range such as 200-299", digits=True),
                single=True,
            ),
            "The HTTP statuses that mean healthy, for http and https: 200, or a range such as 200-299, or a list.",
            default_words="200, unless digest or regex is said; then any that keepalived takes for success",
        ),
        Field(
            "digest",
            Text(r"[0-9a-f]{32}", "an MD5 sum of 32 hexadecimal digits"),
            "The MD5 sum of the page, as genhash(1) prints it, for http and https.",
            default_words="not looked at",
        ),
        Field(
            "regex",
            Lines(),
            "A regular expression (PCRE) that the page must match, for http and https.",
            default_words="not looked at",
        ),
        Field(
            "regex_absent",
            Boolean(),
            "The page must not match regex, for http and https.",
            default=False,
        ),
        Field(
            "name",
            Text(r"[A-Za-z0-9._-]{1,255}", "a domain name"),
            "The name to ask for, in dns; the name to greet with, in smtp.",
            default_words=". in dns, the director's own in smtp",
        ),
        Field(
            "record",
            Word(tuple(Choice(name, f"{name} record") for name in ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"))),
            "The record type to ask for, in dns.",
            default_words="SOA",
        ),
        Field(
            "payload",
            Text(r"([0-9A-Fa-f]{2} ?)+", "hexadecimal digits in pairs"),
            "The datagram to send, for udp. keepalived 2.2 or newer.",
            default_words="a random one",
        ),
        Field(
            "reply",
            Text(r"([0-9A-Fa-fXx]{2} ?)+|any", "hexadecimal digits in pairs (X for one of any value), or any"),
            "How the answering datagram must begin, for udp; any: with anything. keepalived 2.2 or newer.",
            default_words="no answer is needed",
        ),
        Field(
            "command",
            Text(r"/[^\n]*", "a program with its full path, and its arguments"),
            "The program to run, for script. It runs on the director as lvs_keepalived.script_user.",
            default_words="none; needed for script",
        ),
        Field(
            "dynamic",
            Boolean(),
            "The program's exit status sets the weight, for script: 2 to 255 mean healthy with this weight + 2.",
            default=False,
        ),
        Field(
            "file",
            Text(r"/[^\s\"\\]*", "a full path"),
            "The file to read, for file. Its number, times weight, is added to the real server's weight; with weight 0"
            " any number but 0 means down.",
            default_words="none; needed for file",
        ),
        Field(
            "weight",
            Integer(-MAX_WEIGHT, MAX_WEIGHT),
            "What the number in the file is multiplied by, for file.",
            default=0,
        ),
        Field("interval", Number(0.1, 86400), "Time from one check to the next.", default=5),
        Field(
            "timeout",
            Number(0.1, 3600),
            "How long to wait for an answer before it counts as failed.",
            default=3,
        ),
        Field(
            "retries",
            Integer(0, 1000),
            "How many more tries before a real server that does not answer is taken out.",
            default=1,
        ),
        Field("retry_interval", Number(0, 3600), "Time between these tries.", default=1),
        Field(
            "warmup",
            Number(0, 3600),
            "The first checks begin spread over this time, so that they do not all begin at once.",
            default_words="the interval",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for the checker's block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
    bare="type",
)

CHECK_KEYS: Mapping[str, tuple[str, ...]] = {
    "port": CONNECTING,
    "path": WEB,
    "host": WEB,
    "status": WEB,
    "digest": WEB,
    "regex": WEB,
    "regex_absent": WEB,
    "name": ("dns", "smtp"),
    "record": ("dns",),
    "payload": ("udp",),
    "reply": ("udp",),
    "command": ("script",),
    "dynamic": ("script",),
    "file": ("file",),
    "weight": ("file",),
}
"""Which types of check a key means something to. A key that is not here means something to all."""

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
        Field(
            "quorum",
            Integer(1, MAX_WEIGHT, "sum of weights"),
            "The weight that must be alive. Below it all real servers are taken out and the fallback answers. Where"
            " maintenance leaves less weight than that, all that is left is asked for. Needs lvs_health: keepalived.",
            default=1,
            source="keepalived.conf(5) quorum",
        ),
        Field(
            "hysteresis",
            Integer(0, MAX_WEIGHT, "sum of weights"),
            "How far above or below quorum the living weight must get before keepalived acts. Less than quorum. Needs"
            " lvs_health: keepalived.",
            default=0,
            source="keepalived.conf(5) hysteresis",
        ),
        Field(
            "inhibit_on_failure",
            Boolean(),
            "A real server that fails its check gets weight 0 and keeps its connections, as ldirectord's quiescent;"
            " else its row is deleted. Needs lvs_health: keepalived.",
            default=False,
            source="keepalived.conf(5) inhibit_on_failure",
        ),
        Field(
            "alpha",
            Boolean(),
            "When keepalived starts, real servers count as down until their first check succeeds; else as up until"
            " it fails. Needs lvs_health: keepalived.",
            default=False,
            source="keepalived.conf(5) alpha",
        ),
        Field(
            "omega",
            Boolean(),
            "When keepalived stops, it runs the notify programs as if the real servers went down. Needs lvs_health:"
            " keepalived.",
            default=False,
            source="keepalived.conf(5) omega",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for its virtual_server block in keepalived.conf, as they are. Needs lvs_health: keepalived.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

ENGINE_KEYS = ("quorum", "hysteresis", "inhibit_on_failure", "alpha", "omega", "keepalived")
"""Keys of a service that only a health engine acts on."""

_WEIGHT = Integer(-253, 253, "priority")
_NAME = Text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", "a name of letters, digits and _ . - (at most 31)")
_COMMAND = Text(r"/[^\n]*", "a program with its full path, and its arguments")
_INTERFACE = Text(r"(?!\.{1,2}$)[^\s/:]{1,15}", "an interface name (at most 15 characters)")

TRACK_INTERFACE = Section(
    "tracked interface",
    (
        Field("name", _INTERFACE, "The interface. It has the same name on every director.", default=REQUIRED),
        Field(
            "weight",
            _WEIGHT,
            "What is added to the priority while it is up (taken from it while it is down, when negative). 0: a"
            " director whose interface is down gives the VIPs away.",
            default=0,
        ),
    ),
    bare="name",
)

TRACK_SCRIPT = Section(
    "tracked script",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field(
            "script", _COMMAND, "The program, and its arguments. It is well while it exits with 0.", default=REQUIRED
        ),
        Field("interval", Integer(1, 86400, "seconds"), "Time from one run to the next.", default=1),
        Field("timeout", Integer(1, 86400, "seconds"), "A run that takes longer has failed.", default_words="interval"),
        Field("rise", Integer(1, 1000), "Successes before it counts as well.", default=1),
        Field("fall", Integer(1, 1000), "Failures before it counts as failed; a slow run is one.", default=2),
        Field(
            "weight",
            _WEIGHT,
            "What is added to the priority while it is well (taken from it while it fails, when negative). 0: a"
            " director where it fails gives the VIPs away.",
            default=0,
        ),
    ),
)

TRACK_PROCESS = Section(
    "tracked process",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default_words="process"),
        Field(
            "process",
            Text(r"[^\s\"\\]{1,15}", "a name of at most 15 characters"),
            "The process, as in /proc/PID/comm.",
            default=REQUIRED,
        ),
        Field("quorum", Integer(1, 1000), "How many of them must run.", default=1),
        Field("delay", Number(0, 3600), "How long it may be gone, or must be back, before it counts.", default=0),
        Field("weight", _WEIGHT, "As that of a tracked script.", default=0),
    ),
    bare="process",
)

TRACK_FILE = Section(
    "tracked file",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field("file", Text(r"/[^\s\"\\]*", "a full path"), "The file that holds a number.", default=REQUIRED),
        Field(
            "weight",
            _WEIGHT,
            "The number is multiplied by it and added to the priority. 0: a director whose file holds anything but 0"
            " gives the VIPs away.",
            default=0,
        ),
    ),
)

GARP = Section(
    "gratuitous ARP",
    (
        Field("delay", Integer(0, 3600, "seconds"), "Time until the second round.", default=5),
        Field("repeat", Integer(1, 100), "Packets in a round.", default=5),
        Field(
            "refresh", Integer(0, 86400, "seconds"), "Time between rounds while it holds the VIPs; 0: none.", default=0
        ),
        Field("refresh_repeat", Integer(1, 100), "Packets in such a round.", default=1),
        Field(
            "lower_prio_repeat",
            Integer(0, 100),
            "Packets after another director claimed the VIPs with a lower priority, as after a cut network.",
            default=5,
        ),
    ),
)

NOTIFY = Section(
    "notify programs",
    tuple(
        Field(name, _COMMAND, f"Run {when}.", default_words="none")
        for name, when in (
            ("master", "when the director takes the VIPs"),
            ("backup", "when it gives them away or stands by"),
            ("fault", "when something it tracks has failed"),
            ("stop", "when keepalived stops"),
            ("any", "at every change, with the kind, the name, the new state and the priority as arguments"),
        )
    ),
)

_ROUTES = (
    Field(
        "virtual_routes",
        ListOf(Text(r"[^\n{}]+", "one line")),
        "Routes that move with the VIPs, each a line in keepalived's words: 198.51.100.0/24 via 192.0.2.254 dev eth0.",
        default=(),
        default_words="none",
    ),
    Field(
        "virtual_rules",
        ListOf(Text(r"[^\n{}]+", "one line")),
        "Routing rules that move with the VIPs, each a line in keepalived's words: from 192.0.2.10 table 100 preference"
        " 100.",
        default=(),
        default_words="none",
    ),
)

INSTANCE = Section(
    "VRRP instance",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field(
            "vips",
            ListOf(HostAddress(), single=True),
            "The VIPs it moves, of either family. Each VIP of the cluster is in one instance.",
            default=REQUIRED,
        ),
        Field(
            "router_id",
            Integer(1, 255),
            "Its virtual router id, unique among the instances of an interface and family.",
            default_words="lvs_vrrp.router_id plus its index in the list",
        ),
        Field(
            "directors",
            ListOf(Text()),
            "All directors, the preferred one first.",
            default_words="in the order of lvs_priority",
        ),
        *_ROUTES,
        Field(
            "keepalived",
            Lines(),
            "Lines for its vrrp_instance block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

VRRP = Section(
    "VRRP",
    (
        Field(
            "version",
            Integer(2, 3),
            "The protocol's version. 2 knows IPv4 alone, whole seconds, and a password; what moves IPv6 VIPs speaks 3"
            " whatever is said here.",
            default=3,
            source="RFC 3768, RFC 5798",
        ),
        Field(
            "advert_interval",
            Number(0.01, 40.95),
            "Time between two adverts of the director that holds the VIPs. Another one takes over after three of them"
            " and a skew of less than one. Version 2 counts whole seconds.",
            default=1,
        ),
        Field(
            "router_id",
            Integer(1, 255),
            "The virtual router id. No other VRRP router in the same network may use it.",
            default=51,
        ),
        Field(
            "gateway_router_id",
            Integer(1, 255),
            "The virtual router id of the real servers' gateway (lvs_gateway_vip), where that is on an interface of its"
            " own.",
            default_words="router_id plus 1",
        ),
        Field(
            "state",
            Word(
                (Choice("backup", "a director that starts stands by first"), Choice("master", "the first one does not"))
            ),
            "How the director of the highest priority starts.",
            default="backup",
        ),
        Field(
            "nopreempt",
            Boolean(),
            "A director that comes back does not take the VIPs from the one that holds them (nice_failback of old).",
            default=False,
        ),
        Field(
            "preempt_delay",
            Number(0, 1000),
            "How long a director that comes back waits before it takes the VIPs from one of lower priority.",
            default=0,
        ),
        Field(
            "unicast",
            Boolean(),
            "Directors send adverts to each other's addresses (lvs_vrrp_address); else to the multicast groups"
            " 224.0.0.18 and ff02::12.",
            default=True,
        ),
        Field(
            "auth",
            Word((Choice("pass", "a password in clear"), Choice("ah", "an IPsec authentication header"))),
            "How lvs_vrrp_password is used.",
            default="pass",
        ),
        Field(
            "track_interfaces",
            ListOf(TRACK_INTERFACE),
            "Interfaces that a director must have up, beside those that carry VIPs.",
            default=(),
            default_words="none",
        ),
        Field("track_scripts", ListOf(TRACK_SCRIPT, label="name"), "Programs.", default=(), default_words="none"),
        Field("track_processes", ListOf(TRACK_PROCESS), "Processes.", default=(), default_words="none"),
        Field("track_files", ListOf(TRACK_FILE, label="name"), "Files.", default=(), default_words="none"),
        Field(
            "garp",
            GARP,
            "How new owners announce the VIPs (gratuitous ARP, unsolicited neighbour adverts).",
            default_words="keepalived's own values",
        ),
        Field("notify", NOTIFY, "Programs to run as lvs_keepalived.script_user.", default_words="none"),
        *_ROUTES,
        Field(
            "instances",
            ListOf(INSTANCE, label="name"),
            "Several instances, so that each director can be the active one for some VIPs (active/active). The routes"
            " and rules above belong to the first.",
            default=(),
            default_words="one that moves all VIPs together",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for every vrrp_instance block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

KEEPALIVED = Section(
    "keepalived",
    (
        Field(
            "script_user",
            Text(r"[a-z_][a-z0-9_-]{0,31}( [a-z_][a-z0-9_-]{0,31})?", "a user, or a user and a group"),
            "Who runs check, track and notify programs. The user must exist on the directors.",
            default="nobody",
        ),
        Field(
            "global",
            Lines(),
            "Lines for global_defs in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
        Field(
            "text",
            Lines(),
            "Text for the end of keepalived.conf, as it is: whole blocks.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

SYNC = Section(
    "sync daemon",
    (
        Field(
            "interface",
            _INTERFACE,
            "The interface that directors hear each other on. It has the same name on every director.",
            default_words="each director's lvs_interface",
        ),
        Field("id", Integer(0, 255), "Tells groups of directors apart; a backup with 0 hears all.", default=1),
        Field(
            "group",
            Text(r"[0-9A-Fa-f.:]{2,45}", "a multicast address"),
            "The multicast group.",
            default_words="224.0.0.81",
        ),
        Field("port", Integer(1, MAX_PORT), "The UDP port, the first of as many as ports says.", default_words="8848"),
        Field("ttl", Integer(1, 255), "The packets' time to live.", default_words="1"),
        Field(
            "max_length",
            Integer(1024, 65507, "bytes"),
            "The longest message.",
            default_words="what the interface's MTU allows",
        ),
        Field(
            "threshold",
            Integer(0, 2**31 - 1, "packets"),
            "A connection is told of first after this many packets from the client. Less than period.",
            default_words="the kernel's 3",
            source="net.ipv4.vs.sync_threshold",
        ),
        Field(
            "period",
            Integer(0, 2**31 - 1, "packets"),
            "And again after each this many.",
            default_words="the kernel's 50",
            source="net.ipv4.vs.sync_threshold",
        ),
        Field(
            "refresh_period",
            Integer(0, 2147483, "seconds"),
            "An established connection is told of again only when this time has passed, or its state changes; 0: off.",
            default_words="the kernel's 0",
            source="net.ipv4.vs.sync_refresh_period",
        ),
        Field(
            "retries",
            Integer(0, 3),
            "How often a message is sent again within the refresh period.",
            default_words="the kernel's 0",
            source="net.ipv4.vs.sync_retries",
        ),
        Field(
            "ports",
            Integer(1, 64),
            "Threads of each daemon, a power of two. A running daemon keeps the number it started with.",
            default_words="the kernel's 1",
            source="net.ipv4.vs.sync_ports",
        ),
        Field(
            "persist_mode",
            Boolean(),
            "Tell of persistence only, not of connections, in persistent services. Needs sloppy_tcp.",
            default_words="the kernel's false",
            source="net.ipv4.vs.sync_persist_mode",
        ),
        Field(
            "sloppy_tcp",
            Boolean(),
            "Take up a TCP connection at any of its packets, not only at its first.",
            default_words="the kernel's false",
            source="net.ipv4.vs.sloppy_tcp",
        ),
    ),
)

_SECONDS = Integer(1, 2147483, "seconds")
TIMEOUTS = Section(
    "timeouts",
    (
        Field("tcp", _SECONDS, "Idle TCP connections.", default=900),
        Field("tcp_fin", _SECONDS, "TCP connections after a FIN.", default=120),
        Field("udp", _SECONDS, "Idle UDP flows.", default=300),
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
                Choice("keepalived", "keepalived watches and owns the table"),
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
                Choice("keepalived", "keepalived moves them by VRRP"),
                Choice("external", "something else does: the collection puts them on no director"),
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
        "lvs_vrrp",
        VRRP,
        "How keepalived moves the VIPs. Needs lvs_failover: keepalived.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_vrrp_password",
        Secret(r"[!#-&(-\[\]-~]{1,8}", "a word of 1 to 8 characters (ASCII, no spaces, quotes or backslashes)"),
        "What directors recognise each other by, in VRRP version 2. It stands in a file of its own, readable by root"
        " alone, and in no message or diff; keep it in a vault. VRRP sends it in clear.",
        default_words="no authentication",
    ),
    Field(
        "lvs_gateway_vip",
        ListOf(VipAddress(), single=True),
        "The address by which real servers reach the active director, at most one of each family (V-gate): the gateway"
        " of NAT services' real servers. It moves together with the VIPs, on lvs_gateway_interface. Needs lvs_failover:"
        " keepalived.",
        default=(),
        default_words="none; with one director its lvs_address is the gateway",
    ),
    Field(
        "lvs_keepalived",
        KEEPALIVED,
        "What keepalived needs beside services and VRRP. Needs keepalived as lvs_health or lvs_failover.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_sync",
        SYNC,
        "Directors tell each other of their connections, so that these survive a failover; {} takes all defaults. Needs"
        " several directors.",
        default_words="they don't",
    ),
    Field(
        "lvs_timeouts",
        TIMEOUTS,
        "How long the kernel keeps idle connections, the same on every director.",
        default_words="left alone; with lvs_sync the defaults of its keys",
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
        _INTERFACE,
        "The interface that faces the clients, where a director holds its VIPs.",
        default_words="none; needed on every director",
    ),
    Field(
        "lvs_vrrp_address",
        ListOf(VipAddress(), single=True),
        "A director's own address on lvs_interface, at most one of each family: what its unicast adverts come from."
        " With a prefix length it says the interface's network as well, and a VIP outside it is refused unless it"
        " states a prefix length of its own.",
        default=(),
        default_words="lvs_address; needed where lvs_gateway_interface is another interface",
    ),
    Field(
        "lvs_gateway_interface",
        _INTERFACE,
        "A director's interface that faces the real servers, where it holds lvs_gateway_vip.",
        default_words="lvs_interface",
    ),
    Field(
        "lvs_priority",
        Integer(1, 254),
        "A director's VRRP priority: of those that work, the one with the highest holds the VIPs.",
        default_words="200 for the first of the director group, 190 for the second, and so on",
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
