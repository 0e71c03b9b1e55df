# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors with one VIP: who holds it, and how to break them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from lab.cluster import Cluster
from lab.common import CHECKOUT, LabError, poll, run


class Pair:
    def __init__(self, cluster: Cluster, vip: str, names: Iterable[str]) -> None:
        self.cluster = cluster
        self.vip = vip
        self.names = tuple(names)

    def owners(self) -> set[str]:
        """The directors that hold the VIP now; one that cannot be reached is none."""
        found = set()
        for name in self.names:
            try:
                done = run(self.cluster.ssh(name, "ip -o -4 address"), check=False, timeout=30)
            except subprocess.TimeoutExpired:
                continue
            if f" {self.vip}/" in done.stdout:
                found.add(name)
        return found

    def poll(self, what: str, probe: Callable[[], Any], seconds: float = 90) -> Any:
        try:
            return poll(what, seconds, probe, 0.2)
        except LabError as error:
            raise LabError("\n".join([str(error), *map(self.log, self.names)])) from None

    def log(self, name: str) -> str:
        """What keepalived said last, for a reader who wonders."""
        said = run(self.cluster.ssh(name, "journalctl -u keepalived -o short-iso -n 25"), check=False, timeout=60)
        return f"{name}:\n{said.stdout}"

    def settle(self, seconds: float = 120) -> str:
        """Wait until exactly one director holds the VIP, seen three times in a row; its name."""
        seen: list[frozenset[str]] = []

        def stable() -> bool:
            seen.append(frozenset(self.owners()))
            return len(seen) >= 3 and len(set(seen[-3:])) == 1 and len(seen[-1]) == 1

        self.poll(f"one owner of {self.vip} (seen: {seen[-1:]})", stable, seconds)
        (owner,) = seen[-1]
        return owner

    def active(self) -> str:
        return self.settle()

    def standby(self) -> str:
        active = self.active()
        return next(name for name in self.names if name != active)

    def takeovers(self, name: str) -> int:
        """How often a director has become the active one, as its keepalived logged it since boot."""
        return int(self.cluster.run(name, "journalctl -b -u keepalived | grep -c 'Entering MASTER STATE' || true"))

    def power(self, name: str, on: bool) -> None:
        command = [sys.executable, str(CHECKOUT / "tests" / "lab"), "power", "on" if on else "off"]
        run([*command, self.cluster.scenario, name], timeout=300)
