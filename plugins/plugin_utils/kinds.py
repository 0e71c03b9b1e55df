# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of value that the schema of ``lvs_*`` variables is made of.

Each reads a plain Python value (as YAML or a template made it), checked, or says what is wrong and how to mend it.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union


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
    """One valid word, and what it means."""

    name: str
    meaning: str


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
class IntegerOr:
    """A whole number in a range, or one word."""

    number: Integer
    word: str

    def words(self) -> str:
        return f"{self.word}, or {self.number.words()}"

    def read(self, value: Any, path: str, report: Report) -> int | str:
        if value == self.word:
            return self.word
        try:
            return self.number.read(value, path, report)
        except Refused:
            wrong = f"{show(value)} is neither {self.word} nor a {self.number.words()}"
            raise Refused(wrong, "use one of them") from None


@dataclass(frozen=True)
class IntegerRange:
    """A whole number, or two with a dash between: all from the first to the second."""

    minimum: int
    maximum: int

    def words(self) -> str:
        return f"whole number {self.minimum}..{self.maximum}, or a range such as 100-199"

    def read(self, value: Any, path: str, report: Report) -> tuple[int, int]:
        ends = value.split("-") if isinstance(value, str) and value.count("-") == 1 else [value]
        try:
            first, last = (Integer(self.minimum, self.maximum).read(end, path, report) for end in (ends[0], ends[-1]))
        except Refused:
            raise Refused(f"{show(value)} is not a {self.words()}", "write the first and the last of them") from None
        if first > last:
            raise Refused(f"{show(value)} ends before it begins", f"write {last}-{first}")
        return first, last


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
        names = [choice.name for choice in self.choices]
        if value not in names:
            raise Refused(f"{show(value)} is not {self.words()}", suggest(value, names, f"use {', '.join(names)}"))
        return str(value)


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


Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def network_words(network: Network) -> str:
    """Print a network; one of a single address as that address."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


@dataclass(frozen=True)
class NetworkAddress:
    """A network of unicast addresses, or all of a family."""

    def words(self) -> str:
        return "network, address/prefix"

    def read(self, value: Any, path: str, report: Report) -> Network:
        text, slash, _length = value.partition("/") if isinstance(value, str) else (value, "", "")
        try:
            if not slash and isinstance(text, str):
                one = ipaddress.ip_network(text)
                raise Refused(f"{text} lacks its prefix length", f"write {one} for this address alone")
            network = ipaddress.ip_network(value if slash else "", strict=False)
        except ValueError:
            raise Refused(
                f"{show(value)} is not a network", "write one such as 192.168.0.0/24 or 2001:db8:1::/64"
            ) from None
        if str(network.network_address) != str(ipaddress.ip_address(text)):
            raise Refused(
                f"{value} is an address within a network", f"write {network}, or {text}/{network.max_prefixlen}"
            )
        sorts = (("loopback", network.is_loopback), ("multicast", network.is_multicast))
        for sort, is_it in (*sorts, ("link-local", network.is_link_local)):
            if is_it:
                raise Refused(f"{value} is a network of {sort} addresses", "write one of unicast addresses")
        return network


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
    source: str = ""


class Section:
    """A mapping with declared keys. Where said, a bare value stands for one of them."""

    def __init__(self, name: str, fields: Sequence[Field], bare: str = "") -> None:
        self.name = name
        self.fields = tuple(fields)
        self.bare = bare
        self._names = [field.name for field in self.fields]

    def words(self) -> str:
        if not self.bare:
            return "mapping"
        return f"mapping, or its {self.bare} alone"

    def read(self, value: Any, path: str, report: Report) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            if not self.bare or _is_list(value):
                raise Refused(f"{show(value)} is not a mapping", f"write keys and values: {', '.join(self._names)}")
            value = {self.bare: value}
        for key in value:
            if key not in self._names:
                report(f"{path}.{key}", "no such key", suggest(key, self._names, f"valid: {', '.join(self._names)}"))
        return {
            field.name: read_field(field, value.get(field.name), f"{path}.{field.name}", report)
            for field in self.fields
        }

    def defaults(self) -> dict[str, Any]:
        """Return what a mapping without keys means, where none is required."""
        return {field.name: field.default for field in self.fields}


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
    return read_value(field.kind, value, path, report)
