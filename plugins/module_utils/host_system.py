# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Read and change what L(host_objects) describes, with iproute2, systemctl, modprobe, nft and /proc/sys."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import Callable, Dict, Iterable, List, Match, NamedTuple, Optional, Set, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils import packets
from ansible_collections.lvs.cluster.plugins.module_utils.files import read_text, write_atomically
from ansible_collections.lvs.cluster.plugins.module_utils.host_objects import (
    DIFFERS,
    ROUTE_TYPES,
    SAVED,
    Key,
    Object,
    restored,
)

Run = Callable[[List[str]], Tuple[int, str, str]]


# `ip -N` prints types of routes by their numbers (RTN_* of linux/rtnetlink.h).
_TYPES = {"2": "local", "6": "blackhole", "7": "unreachable", "8": "prohibit"}


class HostRefused(RuntimeError):
    """The host refused a change."""


MODULE_HINT = (
    "This kernel (%s) cannot load the module: install the package that has it (Debian: linux-image-*, Ubuntu: "
    "linux-modules-*, Enterprise Linux: kernel-modules-core-* or kernel-modules-*, for this release), or look for an "
    "`install` line in /etc/modprobe.d that forbids it. In a container the host's kernel needs it: run modprobe there."
)


DEFENCES = ("net.ipv4.vs.drop_entry", "net.ipv4.vs.drop_packet", "net.ipv4.vs.secure_tcp")


class File(NamedTuple):
    """What a file shall hold."""

    content: str
    mode: int = 0o644
    secret: bool = False
    redact: str = ""  # a regular expression: what its group matches is in no diff and no message

    @property
    def secrets(self) -> str:
        """What of the content nobody may read, line by line."""
        if not self.redact:
            return self.content if self.secret else ""
        return "\n".join(found.group(0) for found in re.finditer(self.redact, self.content, re.MULTILINE))

    def shown(self, content: str) -> Optional[str]:
        """Return a content of the file as a diff may show it, or None."""
        if not self.redact:
            return None if self.secret else content
        return re.sub(self.redact, _hidden, content, flags=re.MULTILINE)


def _hidden(found: Match[str]) -> str:
    """Return a match without what its group holds."""
    text, start = found.group(0), found.start()
    return text[: found.start(1) - start] + "(hidden)" + text[found.end(1) - start :]


def sysctl_path(key: str) -> str:
    """The file of a sysctl. As in sysctl(8), a slash stands for a dot inside an interface's name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


class HostSystem:
    """The host. `run` executes a command and returns (status, stdout, stderr).

    A dry one notes the commands and changes nothing: check mode walks the same way as a run. `rules_file` is the
    one that nft loads; where nft is not installed, `nft` is empty and there are no packet rules.
    """

    def __init__(
        self, run: Run, files: Dict[str, File], dry: bool = False, rules_file: str = "", nft: str = ""
    ) -> None:
        self._run = run
        self._files = files
        self._dry = dry
        self._rules_file = rules_file
        self._nft = nft
        self.units: Dict[str, Dict[str, str]] = {}
        self.commands: List[str] = []

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, recorded: List[Object], desired: List[Object]) -> Dict[Key, Optional[str]]:
        """For each object its text as it is on the host now, None where there is nothing."""
        objects = list({obj.key: obj for obj in recorded + desired}.values())
        known = {obj.key: obj.text for obj in recorded}  # a link does not tell with which words it was made
        kinds = {obj.kind for obj in objects}
        links = self._read_links() if kinds & {"link", "up", "address"} else {}
        units = self._read_units([obj.text for obj in objects if obj.kind in ("unit", "mask", "idle")])
        rules = self._read_rules({obj.text.split()[0] for obj in objects if obj.kind == "rule"})
        routes = self._read_routes({_table(obj.text) for obj in objects if obj.kind == "route"})
        gue = self._read_gue() if "gue" in kinds else set()
        readers = {
            "folder": lambda obj: obj.text if os.path.isdir(obj.text) else None,
            "file": self._read_file,
            "module": lambda obj: obj.text if os.path.isdir("/sys/module/%s" % obj.text.replace("-", "_")) else None,
            "link": lambda obj: known.get(obj.key, obj.text) if obj.text.split()[0] in links else None,
            "up": lambda obj: obj.text if "UP" in links.get(obj.text, {}).get("flags", ()) else None,
            "gue": lambda obj: obj.text if obj.text in gue else None,
            "sysctl": _read_sysctl,
            "packets": self._read_packets,
            "address": lambda obj: _read_address(obj, links),
            "route": lambda obj: _as_said(obj.text, routes.get(obj.key)),
            "rule": lambda obj: obj.text if _rule_words(obj.text) in rules else None,
            "mask": lambda obj: obj.text if units[obj.text]["UnitFileState"] == "masked" else None,
            "unit": lambda obj: _unit(obj.text, units[obj.text]),
            "idle": lambda obj: obj.text if _idle(units[obj.text]) else None,
        }
        return {obj.key: readers[obj.kind](obj) for obj in objects}

    def _json(self, *words: str) -> List[Dict]:
        status, out, err = self._run(["ip", "-j", *words])
        if "FIB table does not exist" in err:
            return []
        if status != 0:
            raise HostRefused("ip -j %s: %s" % (" ".join(words), err.strip()))
        return [row for row in json.loads(out or "[]") if row]

    def _read_links(self) -> Dict[str, Dict]:
        return {row["ifname"]: row for row in self._json("address", "show") if "ifname" in row}

    def _read_rules(self, families: Set[str]) -> Set[Tuple[Tuple[str, str], ...]]:
        rules = set()
        for family in families:
            for row in self._json("-N", family, "rule", "show"):
                words = [("family", family), ("priority", str(row["priority"])), ("lookup", str(row.get("table")))]
                for word, name in (("from", "src"), ("to", "dst")):
                    end = row.get(name, "all")
                    if end != "all":
                        words.append((word, "%s/%s" % (end, row[name + "len"]) if name + "len" in row else end))
                words += [(name, str(row[name])) for name in ("ipproto", "sport", "iif") if name in row]
                if "sport_start" in row:
                    words.append(("sport", "%(sport_start)d-%(sport_end)d" % row))
                if "fwmark" in row:
                    mark = "0x%x" % int(str(row["fwmark"]), 0)
                    words.append(("fwmark", "%s/%s" % (mark, row["fwmask"]) if "fwmask" in row else mark))
                rules.add(tuple(sorted(_numbered(words))))
        return rules

    def _read_routes(self, tables: Set[Tuple[str, str]]) -> Dict[Key, str]:
        routes = {}
        for family, table in tables:
            for row in self._json("-N", family, "route", "show", "table", table):
                kind = _TYPES.get(str(row.get("type")), str(row.get("type")))
                words = [family, *([kind] if kind in ROUTE_TYPES else []), row["dst"]]
                for name, word in (("gateway", "via"), ("dev", "dev"), ("metric", "metric")):
                    # The kernel gives an IPv6 route the metric 1024 when none is named.
                    if name in row and not (name == "metric" and family == "-6" and row[name] == 1024):
                        words += [word, str(row[name])]
                if table != "main":
                    words += ["table", table]
                route = Object("route", " ".join(words))
                routes[route.key] = route.text
        return routes

    def _read_packets(self, obj: Object) -> Optional[str]:
        if not self._nft:
            return None
        table = obj.key[1]
        status, out, err = self._run(["nft", "-j", "list", "table", *table.split()])
        if status != 0 and "No such file" not in err:
            raise HostRefused("nft -j list table %s: %s" % (table, err.strip()))
        return packets.found(table, out) if status == 0 else None

    def _read_gue(self) -> Set[str]:
        status, out, err = self._run(["ip", "-j", "fou", "show"])
        if status != 0 and "No such file" in err:
            return set()  # the module is not loaded yet
        if status != 0:
            raise HostRefused("ip -j fou show: %s" % err.strip())
        rows = [row for row in json.loads(out or "[]") if "gue" in row and not {"local", "peer", "dev"} & set(row)]
        return {"port %d%s" % (row["port"], " -6" if row.get("family") == "inet6" else "") for row in rows}

    def _read_units(self, names: List[str]) -> Dict[str, Dict[str, str]]:
        if not names:
            return {}
        status, out, err = self._run(["systemctl", "show", "-p", "UnitFileState,ActiveState,LoadState", *names])
        if status != 0:
            raise HostRefused("systemctl show: %s: lvs.cluster needs systemd on this host" % err.strip())
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
        self.units = dict(zip(names, blocks))
        return self.units

    def _read_file(self, obj: Object) -> Optional[str]:
        content = read_text(obj.text)
        wanted = self._files.get(obj.text)
        if content is None:
            return None
        if wanted and (content != wanted.content or os.stat(obj.text).st_mode & 0o7777 != wanted.mode):
            return obj.text + DIFFERS
        return obj.text

    # -- changing --------------------------------------------------------------------------------------------------

    def add(self, obj: Object) -> None:
        """Put an object in place, or give it its value."""
        if obj.kind == "file" and obj.was and obj.was.endswith(SAVED):
            self._save_file(obj)
        getattr(self, "_add_" + obj.kind)(obj.text)

    def remove(self, obj: Object) -> None:
        """Take an object away, or give back the value that was there before us."""
        if obj.kind == "file":
            self._remove_file(obj.text, obj.was)
            return
        back = restored(obj)
        if back is not None:
            self.add(obj._replace(text=back))
        else:
            getattr(self, "_remove_" + obj.kind)(obj.text)

    def _do(self, *words: str) -> None:
        self.commands.append(" ".join(words))
        if self._dry:
            return
        status, out, err = self._run(list(words))
        if status != 0:
            raise HostRefused("%s: %s" % (" ".join(words), (err or out).strip() or "exit status %d" % status))

    def _add_folder(self, path: str) -> None:
        self.commands.append("mkdir -p %s" % path)
        if not self._dry:
            os.makedirs(path, mode=0o755, exist_ok=True)

    def _remove_folder(self, path: str) -> None:
        # Others may have put files there since; the record itself may be in it.
        self.commands.append("rmdir --ignore-fail-on-non-empty %s" % path)
        if not self._dry and not os.listdir(path):
            os.rmdir(path)

    def _add_file(self, path: str) -> None:
        self.commands.append("write %s" % path)
        if not self._dry:
            write_atomically(path, self._files[path].content, self._files[path].mode)
        self._reload_units(path)

    def _save_file(self, obj: Object) -> None:
        """Keep what stood there before us, once."""
        if os.path.exists(obj.was or "") or not os.path.exists(obj.text):
            return
        self.commands.append("cp -p %s %s" % (obj.text, obj.was))
        if not self._dry:
            shutil.copy2(obj.text, obj.was or "")

    def _remove_file(self, path: str, was: Optional[str]) -> None:
        saved = was if was and was.endswith(SAVED) and os.path.exists(was) else None
        self.commands.append("mv %s %s" % (saved, path) if saved else "rm %s" % path)
        if not self._dry and saved:
            os.replace(saved, path)
        elif not self._dry:
            os.unlink(path)
        self._reload_units(path)

    def reload(self, unit: str) -> None:
        """Let a running unit read its files again."""
        self._do("systemctl", "reload", unit)

    def _reload_units(self, path: str) -> None:
        if path.startswith("/etc/systemd/system/"):
            self._do("systemctl", "daemon-reload")

    def _add_module(self, name: str) -> None:
        try:
            self._do("modprobe", name)
        except HostRefused as error:
            raise HostRefused("%s. %s" % (error, MODULE_HINT % os.uname().release)) from error

    def _add_link(self, text: str) -> None:
        name = text.split(maxsplit=1)[0]
        if os.path.exists("/sys/class/net/%s" % name):  # ours, of another type than the one that is wanted now
            self._do("ip", "link", "del", name)
        self._do("ip", "link", "add", *text.split())

    def _remove_link(self, text: str) -> None:
        self._do("ip", "link", "del", text.split(maxsplit=1)[0])

    def _add_up(self, name: str) -> None:
        self._do("ip", "link", "set", name, "up")

    def _remove_up(self, name: str) -> None:
        self._do("ip", "link", "set", name, "down")

    def _add_gue(self, text: str) -> None:
        self._do("ip", "fou", "add", *text.split(), "gue")

    def _remove_gue(self, text: str) -> None:
        self._do("ip", "fou", "del", *text.split())

    def _add_sysctl(self, text: str) -> None:
        key, value = text.split(" = ", 1)
        self.commands.append("sysctl -w '%s=%s'" % (key, value))
        if self._dry:
            return
        try:
            with open(sysctl_path(key), "w", encoding="utf-8") as stream:
                stream.write(value + "\n")
        except OSError as error:
            raise HostRefused("sysctl %s = %s: %s" % (key, value, error.strerror)) from error

    _remove_sysctl = _add_sysctl  # a sysctl without a value before us keeps ours; restored() brings back the others

    def _add_packets(self, _text: str) -> None:
        self._do("nft", "-f", self._rules_file)

    def _remove_packets(self, text: str) -> None:
        self._do("nft", "delete", "table", *text.split()[:2])

    def _add_address(self, text: str) -> None:
        self._do("ip", "address", "replace", *text.split())

    def _remove_address(self, text: str) -> None:
        self._do("ip", "address", "del", *text.split()[:3])

    def _add_route(self, text: str) -> None:
        family, *words = text.split()
        self._do("ip", family, "route", "replace", *words)

    def _remove_route(self, text: str) -> None:
        family, *words = text.split()
        self._do("ip", family, "route", "del", *words)

    def _add_rule(self, text: str) -> None:
        family, *words = text.split()
        self._do("ip", family, "rule", "add", *words)

    def _remove_rule(self, text: str) -> None:
        family, *words = text.split()
        self._do("ip", family, "rule", "del", *words)

    def _add_mask(self, unit: str) -> None:
        self._do("systemctl", "mask", unit)

    def _remove_mask(self, unit: str) -> None:
        self._do("systemctl", "unmask", unit)

    def _add_unit(self, unit: str) -> None:
        self._do("systemctl", "enable", "--now", unit)

    def _remove_unit(self, unit: str) -> None:
        self._do("systemctl", "disable", "--now", unit)

    _add_idle = _remove_unit


def _unit(name: str, unit: Dict[str, str]) -> Optional[str]:
    """A unit that was only stopped, or only disabled, is still there to be taken away."""
    halves = (unit["UnitFileState"] == "enabled", unit["ActiveState"] == "active")
    if all(halves):
        return name
    return name + DIFFERS if any(halves) else None


def _idle(unit: Dict[str, str]) -> bool:
    return unit["UnitFileState"] != "enabled" and unit["ActiveState"] in ("inactive", "failed")


def _table(text: str) -> Tuple[str, str]:
    words = text.split()
    return words[0], words[words.index("table") + 1] if "table" in words else "main"


def _as_said(text: str, found: Optional[str]) -> Optional[str]:
    """A route on the host in the object's own words, when it differs only in the device that the object leaves open."""
    if found is not None and " dev " not in text and re.sub(r" dev \S+", "", found) == text:
        return text
    return found


def _rule_words(text: str) -> Tuple[Tuple[str, str], ...]:
    """A rule's text as a sorted tuple of its (word, value) pairs, the shape _read_rules gives the kernel's rules."""
    family, *words = text.split()
    return tuple(sorted(_numbered([("family", family), *zip(words[::2], words[1::2])])))


def _numbered(words: Iterable[Tuple[str, str]]) -> List[Tuple[str, str]]:
    """The same words with a protocol by its number: `ip -N` prints tcp as `ipproto-6`."""
    numbers = {"tcp": "ipproto-6", "udp": "ipproto-17", "sctp": "ipproto-132"}
    return [(name, numbers.get(value, value)) for name, value in words]


def _read_sysctl(obj: Object) -> Optional[str]:
    key = obj.text.split(" = ", 1)[0]
    value = read_text(sysctl_path(key))
    if value is None:
        return None
    text = "%s = %s" % (key, " ".join(value.split()))
    # Automatic defence is one setting: the kernel writes 2 while memory is short, and else 1 (ipvs-sysctl.rst).
    automatic = ("%s = 1" % key, "%s = 2" % key)
    if key in DEFENCES and text in automatic and obj.text in automatic:
        return obj.text
    return text


def _read_address(obj: Object, links: Dict[str, Dict]) -> Optional[str]:
    """The object's own text when the address is there as it should be; what differs is said behind it."""
    address, _dev, device, *options = obj.text.split()
    for row in links.get(device, {}).get("addr_info", ()):
        if "%s/%s" % (row.get("local"), row.get("prefixlen")) == address:
            if "preferred_lft" in options and row.get("preferred_life_time") != 0:
                return "%s dev %s preferred" % (address, device)
            return obj.text
    return None
