# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""What a host of an LVS cluster owns besides the kernel's table, one object a line.

An object is a folder, a file, a kernel module, a link, a UDP port that unpacks GUE, a sysctl, a table of packet rules,
an address, a route, a rule or a systemd unit. Its line is written in the words of modprobe(8), sysctl(8), ip(8) and
systemctl(1), so that the record of all lines is readable, loadable by a small shell script at boot, and the input of
its own removal. Behind a line stands, in brackets, what was there before us: `sysctl net.ipv4.ip_forward = 1 (was 0)`.

Everything here is pure; L(host_system) reads and changes the host.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

Key = Tuple[str, str]

# The order in which objects are put in place; they are removed in the opposite order. Files stand early, because
# modprobe reads its options from one; sysctls stand before addresses, because arp_ignore and arp_announce must hold
# before a hidden VIP exists, and so do packet rules, so that no packet for a VIP comes without its mark; units come
# last, because what they load must be there. What is idle is a unit that must not run, because another program starts
# it.
KINDS = (
    "folder",
    "file",
    "mask",
    "module",
    "link",
    "up",
    "gue",
    "sysctl",
    "packets",
    "address",
    "route",
    "rule",
    "unit",
    "idle",
)

# What `was` says of an address, a rule or a unit that stood there before us: it is kept at removal.
PRESENT = "present"

# A file that stood there before us with other content is kept beside ours under this name, and comes back at removal.
SAVED = ".before-lvs"
DIFFERS = " differs"

# What stands before the destination of a route that leads to no gateway, as in ip-route(8).
ROUTE_TYPES = ("local", "blackhole", "unreachable", "prohibit")

_LINE = re.compile(r"^(?P<kind>[a-z]+) (?P<text>.*?)(?: \(was (?P<was>.*)\))?$")

HEADER = """\
# What lvs.cluster put on this host, one object a line; "(was ...)" is what stood there before.
# lvs-cluster.service loads it at boot, the next run of the role reads it to know what to take away.
# Do not edit: change the inventory and run the playbook.
"""


class RecordError(ValueError):
    """The record on the host can't be understood."""


class Object(NamedTuple):
    """One thing on a host that we put there."""

    kind: str
    text: str
    was: Optional[str] = None

    @property
    def key(self) -> Key:
        """What identifies the object: two objects with one key are the same thing with different values."""
        return self.kind, _KEYS.get(self.kind, _whole)(self.text)

    def line(self) -> str:
        return "%s %s" % (self.kind, self.text) + ("" if self.was is None else " (was %s)" % self.was)


def _whole(text: str) -> str:
    return text


def _sysctl_key(text: str) -> str:
    return text.split(" = ", 1)[0]


def _first_word(text: str) -> str:
    return text.split(" ", 1)[0]


def _address_key(text: str) -> str:
    return " ".join(text.split()[:3])


def _route_key(text: str) -> str:
    """A route is its family, destination, table and metric; type, gateway and device are its value."""
    words = text.split()
    if words[1] in ROUTE_TYPES:
        del words[1]
    key = words[:2]
    for name in ("table", "metric"):
        if name in words:
            key += [name, words[words.index(name) + 1]]
    return " ".join(key)


def _table_key(text: str) -> str:
    """The table's family and name; its chains and the number of rules are its value."""
    return " ".join(text.split()[:2])


_KEYS = {
    "sysctl": _sysctl_key,
    "link": _first_word,
    "packets": _table_key,
    "address": _address_key,
    "route": _route_key,
}


def parse_record(text: str) -> List[Object]:
    """The objects of a record file; comments and empty lines are passed over."""
    objects = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if not match or match.group("kind") not in KINDS:
            raise RecordError("line %d: %r is no object of a record (%s)" % (number, line, ", ".join(KINDS)))
        objects.append(Object(match.group("kind"), match.group("text"), match.group("was")))
    return objects


def print_record(objects: Iterable[Object]) -> str:
    return HEADER + "".join(obj.line() + "\n" for obj in ordered(objects))


def ordered(objects: Iterable[Object]) -> List[Object]:
    """The objects in the order in which they are put in place."""
    return sorted(objects, key=lambda obj: KINDS.index(obj.kind))


class Plan(NamedTuple):
    """What a run does, and the records it leaves behind on its way."""

    add: List[Object]  # to put in place or to change, in this order
    remove: List[Object]  # to take away, in this order
    stale: List[Object]  # recorded, no longer wanted, left for a later run
    widened: List[Object]  # the record before the host is touched
    narrowed: List[Object]  # the record when all has succeeded


def plan(
    desired: Iterable[Object],
    recorded: Iterable[Object],
    current: Dict[Key, Optional[str]],
    others: Iterable[Object] = (),
    remove: bool = True,
    owned: Iterable[Key] = (),
) -> Plan:
    """Compare what is wanted with what is recorded and what is there.

    :param desired: the objects the host shall have.
    :param recorded: our own record of the run before.
    :param current: for each key of a desired or recorded object, its text on the host now, or None.
    :param others: the objects in the records of other roles on this host: what they own too stays, and what stood
        there before them stood there before us.
    :param remove: False leaves what is no longer wanted in place, and in the record.
    :param owned: what is ours from now on even where it stood there before us.
    """
    ours = set(owned)
    wanted = {obj.key: obj for obj in desired}
    known = {obj.key: obj for obj in recorded}
    shared = {obj.key: obj for obj in others}

    kept, add = [], []
    for key, obj in wanted.items():
        owner = known.get(key) or shared.get(key)
        was = owner.was if owner else _was(obj.kind, current.get(key))
        obj = obj._replace(was=None if key in ours else was)
        kept.append(obj)
        if current.get(key) != obj.text:
            add.append(obj)

    stale = [obj for key, obj in known.items() if key not in wanted]
    gone = [obj for obj in stale if obj.key not in shared and _ours(obj, current.get(obj.key))]
    return Plan(
        add=ordered(add),
        remove=list(reversed(ordered(gone))) if remove else [],
        stale=[] if remove else ordered(stale),
        widened=ordered(kept + stale),
        narrowed=ordered(kept if remove else kept + stale),
    )


def _was(kind: str, text: Optional[str]) -> Optional[str]:
    """What the record says of an object's place before us: its old value where that can be put back."""
    if text is None:
        return None
    if kind == "sysctl":
        return text.split(" = ", 1)[1]
    if kind == "packets" or (kind == "unit" and text.endswith(DIFFERS)):
        return None  # the table bears our name; a unit that did not run, or not for long, was nobody's
    if kind == "file" and text.endswith(DIFFERS):
        return text[: -len(DIFFERS)] + SAVED
    return text if kind == "route" else PRESENT


def _ours(obj: Object, text: Optional[str]) -> bool:
    """Is what stands on the host ours to take away?"""
    if obj.kind in ("module", "idle") or obj.was == PRESENT or text is None:
        return False  # a loaded kernel module may serve others by now: it stays, and so does a unit that rests
    if obj.kind in ("sysctl", "route"):
        return text == obj.text and restored(obj) != text  # a value that somebody changed after us is theirs
    return True


def diff_lines(objects: Iterable[Object], texts: Dict[Key, Optional[str]]) -> str:
    """The objects as they stand in texts, for a diff: what is absent has no line."""
    lines = []
    for obj in objects:
        text = texts.get(obj.key)
        if text is not None:
            lines.append("%s %s\n" % (obj.kind, text))
    return "".join(lines)


def after(plan_: Plan, current: Dict[Key, Optional[str]]) -> Dict[Key, Optional[str]]:
    """What the host looks like once the plan is applied."""
    texts = dict(current)
    for obj in plan_.add:
        texts[obj.key] = obj.text
    for obj in plan_.remove:
        texts[obj.key] = restored(obj)
    return texts


def restored(obj: Object) -> Optional[str]:
    """What stands in an object's place after its removal."""
    if obj.was is None or obj.was == PRESENT:
        return None
    if obj.kind == "file":
        return obj.text
    return "%s = %s" % (_sysctl_key(obj.text), obj.was) if obj.kind == "sysctl" else obj.was
