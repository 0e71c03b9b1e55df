# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Which modules the running kernel has, loaded or not. Reads files; loads nothing."""

from __future__ import annotations

import os
from typing import Iterable, List, Set

IPVS = "ip_vs"


def names(text: str) -> Set[str]:
    """Return the modules that /proc/modules, modules.dep or modules.builtin name."""
    found: Set[str] = set()
    for line in text.splitlines():
        words = line.split(None, 1)
        if words:
            found.add(words[0].rstrip(":").rsplit("/", 1)[-1].split(".", 1)[0].replace("-", "_"))
    return found


def loaded(root: str = "/") -> Set[str]:
    """Return the modules that are loaded. What is built in is not among them."""
    return names(_read(os.path.join(root, "proc/modules")))


def builtin(root: str = "/") -> Set[str]:
    """Return the modules that are part of the kernel itself."""
    return names(_read(os.path.join(folder(root), "modules.builtin")))


def loadable(root: str = "/") -> Set[str]:
    """Return the modules that can be loaded."""
    return names(_read(os.path.join(folder(root), "modules.dep")))


def folder(root: str = "/") -> str:
    """Return where the running kernel's modules are."""
    return os.path.join(root, "lib/modules", os.uname().release)


def lacking(wanted: Iterable[str], root: str = "/") -> List[str]:
    """Return which of these modules of IPVS the kernel has not at all.

    Where the list of modules does not know ip_vs itself, in a container without it for example, nobody knows: then
    none is lacking, and the kernel has the last word.
    """
    left = [name for name in wanted if name not in loaded(root)]
    if not left:
        return []
    known = loadable(root) | builtin(root)
    return [name for name in left if name not in known] if IPVS in known else []


def of_service(scheduler: str, engine: str = "") -> List[str]:
    """Return the modules that the kernel loads by itself for a service. `none` is no scheduler, so it has no module."""
    found = [] if scheduler == "none" else ["%s_%s" % (IPVS, scheduler)]
    return found + (["%s_pe_%s" % (IPVS, engine)] if engine else [])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
