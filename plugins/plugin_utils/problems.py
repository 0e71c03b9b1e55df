# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory: collected, put in order, one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence


class InventoryError(Exception):
    """The inventory does not describe clusters that can work. Carries one line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class ObjectsError(ValueError):
    """The role's variables and the cluster don't fit."""


class Problems:
    """Collects what is wrong. The same complaint about several hosts becomes one line."""

    def __init__(self) -> None:
        self._lines: set[tuple[str, str]] = set()
        self._by_hosts: dict[tuple[str, str, str], list[str]] = {}

    def add(self, path: str, wrong: str, mend: str) -> None:
        self._lines.add((path, f"{wrong}; {mend}"))

    def add_for(self, host: str, path: str, wrong: str, mend: str) -> None:
        hosts = self._by_hosts.setdefault((path, wrong, mend), [])
        if host not in hosts:
            hosts.append(host)

    def lines(self) -> list[str]:
        """Return all problems in the inventory's order: variables by name, items by number."""
        return [f"{path}: {text}" for path, text in sorted(self._all(), key=_natural)]

    def _all(self) -> set[tuple[str, str]]:
        by_hosts = (
            (f"{path} ({_some(hosts)})", f"{text}; {mend}") for (path, text, mend), hosts in self._by_hosts.items()
        )
        return self._lines.union(by_hosts)

    def absorb(self, other: Problems, prefix: str) -> None:
        """Take over another collection's problems, each path behind the prefix."""
        self._lines.update((prefix + path, text) for path, text in other._all())

    def __bool__(self) -> bool:
        return bool(self._lines or self._by_hosts)


def _natural(line: tuple[str, str]) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", ": ".join(line))
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _some(names: Sequence[str]) -> str:
    if len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
