# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors with one VIP: who holds it, and how to break them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lab.cluster import Client, Cluster
from lab.common import CHECKOUT, LabError, poll, run


@dataclass(frozen=True)
class Mover:
    """The program that moves the VIPs."""

    name: str  # of its unit and its processes
    takes: str  # what it logs when its director becomes the active one
    packets: tuple[str, ...]  # what directors tell each other that they live with, in nftables' words


KEEPALIVED = Mover("keepalived", "Entering MASTER STATE", ("ip protocol vrrp", "ip6 nexthdr vrrp"))
HEARTBEAT = Mover("heartbeat", "info: Acquiring resource group", ("udp dport 694",))


class Pair:
    def __init__(self, cluster: Cluster, vip: str, names: Iterable[str], mover: Mover = KEEPALIVED) -> None:
        self.cluster = cluster
        self.vip = vip
        self.names = tuple(names)
        self.mover = mover
        self.dark: set[str] = set()  # those without power, who need not be asked: ssh gives up after 20 s

    def owners(self) -> set[str]:
        """The directors that hold the VIP now; one that cannot be reached is none, nor is one that hides it on lo."""
        found = set()
        for name in self.names:
            if name in self.dark:
                continue
            try:
                done = run(self.cluster.ssh(name, "ip -o -4 address"), check=False, timeout=30)
            except subprocess.TimeoutExpired:
                continue
            rows = [line.split() for line in done.stdout.splitlines()]
            if any(row[3].startswith(f"{self.vip}/") for row in rows if row[1] != "lo"):
                found.add(name)
        return found

    def one_sends(self) -> None:
        """Wait until the active director alone tells of connections, and the others hear of them."""
        active = self.active()
        wanted = {name: {"master"} if name == active else {"backup"} for name in self.names}
        self.poll(f"daemons: {wanted}", lambda: {name: self.sync_daemons(name) for name in self.names} == wanted, 30)

    def have_rows(self, count: int) -> None:
        """Wait until every director's table has so many real servers: each finds out by itself who is well."""
        self.poll(f"{count} rows on each", lambda: all(self.rows(name) == count for name in self.names))

    def rows(self, name: str) -> int:
        """How many real servers a director's table has, each service's counted."""
        return sum(row.startswith("-a ") for row in self.cluster.table(name))

    def poll(self, what: str, probe: Callable[[], Any], seconds: float = 90) -> Any:
        try:
            return poll(what, seconds, probe, 0.2)
        except LabError as error:
            raise LabError("\n".join([str(error), *map(self.log, self.names)])) from None

    def served_by_all(self, client: Client, vip: str, seconds: float = 90) -> None:
        """Wait until directors that are the real servers answer in turn for a VIP."""
        wanted = dict.fromkeys(self.names, 4)
        count = 4 * len(self.names)
        self.poll(f"{vip}: all of {self.names}", lambda: client.ask(vip, count=count, timeout=3).by == wanted, seconds)

    def places(self, name: str, vip: str) -> set[str]:
        """The interfaces on which a director has a VIP."""
        return {line.split()[1] for line in self.cluster.run(name, f"ip -o address show to {vip}").splitlines()}

    def log(self, name: str) -> str:
        """What the director said last, for a reader who wonders."""
        said = run(self.cluster.ssh(name, "journalctl -o short-iso -n 40 | cut -c-300"), check=False, timeout=60)
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

    def rest(self, seconds: float = 240) -> str:
        """Wait until nothing moves any more; the owner. Directors that healed a cut may yet change their minds."""
        if self.mover is not HEARTBEAT:
            return self.settle(seconds)
        calm = 0

        def at_rest() -> bool:
            nonlocal calm
            calm = calm + 1 if all(map(self._content, self.names)) and len(self.owners()) == 1 else 0
            return calm == 4

        self.poll("directors that hear each other, and rest", at_rest, seconds)
        return self.settle(seconds)

    def _content(self, name: str) -> bool:
        """Whether a director's heartbeat hears the other ones and has taken and given all."""
        asked = "; ".join(f"cl_status nodestatus {other}" for other in self.names if other != name)
        said = self.cluster.run(name, f"{asked}; cl_status rscstatus || true").split()
        return set(said[:-1]) == {"active"} and said[-1] in ("all", "local", "foreign", "none")

    def active(self) -> str:
        return self.settle()

    def standby(self) -> str:
        active = self.active()
        return next(name for name in self.names if name != active)

    def takeovers(self, name: str) -> int:
        """How often a director has become the active one, as it logged since boot."""
        return int(self.cluster.run(name, f"journalctl -b -o cat | grep -c '{self.mover.takes}' || true"))

    def runs(self, name: str) -> bool:
        """Whether a director's mover runs."""
        return "active" in self.cluster.run(name, f"systemctl is-active {self.mover.name} || true").split()

    def syncs(self, name: str) -> bool:
        """Whether a director tells the others of its connections and hears of theirs."""
        return self.sync_daemons(name) == {"master", "backup"}

    def sync_daemons(self, name: str) -> set[str]:
        """Which of the kernel's sync daemons run on a director."""
        said = self.cluster.run(name, "ipvsadm -l --daemon")
        return {daemon for daemon in ("master", "backup") if f"{daemon} sync daemon" in said}

    def knows_connection(self, name: str, port: str = "") -> bool:
        """Whether a director's kernel has an open connection; port: of that port of the client."""
        return any("ESTABLISHED" in line for line in self.cluster.connections(name, port))

    def kill(self, name: str) -> None:
        """End all processes of the mover at once: one whose parent has just died would put its things in order first.

        keepalived's checkers would take the rows away while the VIP is still there.
        """
        self.cluster.run(name, f"pkill -STOP {self.mover.name}; pkill -KILL {self.mover.name}")

    def deafen(self, deaf: bool) -> None:
        """Let nothing through by which directors hear that the other one lives, or everything again."""
        rules = "; ".join(f"{packets} drop" for packets in self.mover.packets)
        add = f"nft 'table inet cut {{ chain input {{ type filter hook input priority -10; {rules}; }}; }}'"
        for name in self.names:
            self.cluster.run(name, add if deaf else "nft delete table inet cut")

    def power(self, name: str, on: bool) -> None:
        command = [sys.executable, str(CHECKOUT / "tests" / "lab"), "power", "on" if on else "off"]
        run([*command, self.cluster.scenario, name], timeout=900)
        self.dark = self.dark - {name} if on else self.dark | {name}
