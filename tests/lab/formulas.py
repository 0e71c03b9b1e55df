# SPDX-License-Identifier: GPL-3.0-or-later
"""What each scheduler of the kernel may do next, and what ipvsadm says of the servers. Pure.

The formulas are those of net/netfilter/ipvs/ip_vs_*.c in Linux 6.1, in our words. Where several servers are equal the
kernel takes the one that its list names first, which nobody outside sees: so a formula names all that it may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction


@dataclass(frozen=True)
class Server:
    """A real server as a scheduler sees it."""

    weight: int
    active: int = 0
    inactive: int = 0
    full: bool = False

    @property
    def overhead(self) -> int:
        """An active connection counts as much as 256 others (ip_vs_dest_conn_overhead)."""
        return self.active * 256 + self.inactive


Servers = Mapping[str, Server]


def _available(servers: Servers) -> dict[str, Server]:
    return {name: server for name, server in servers.items() if server.weight > 0 and not server.full}


def _least(servers: Servers, load: Callable[[Server], Fraction | int]) -> set[str]:
    loads = {name: load(server) for name, server in servers.items()}
    return {name for name in loads if loads[name] == min(loads.values())}


def lc(servers: Servers) -> set[str]:
    return _least(_available(servers), lambda server: server.overhead)


def wlc(servers: Servers) -> set[str]:
    return _least(_available(servers), lambda server: Fraction(server.overhead, server.weight))


def sed(servers: Servers) -> set[str]:
    return _least(_available(servers), lambda server: Fraction(server.active + 1, server.weight))


def nq(servers: Servers) -> set[str]:
    idle = {name for name, server in _available(servers).items() if server.active == 0}
    return idle or sed(servers)


def fo(servers: Servers) -> set[str]:
    return _least(_available(servers), lambda server: -server.weight)


def ovf(servers: Servers) -> set[str]:
    """One more than its weight fits in: a server is passed over when it has more active connections than that."""
    room = {name: server for name, server in _available(servers).items() if server.active <= server.weight}
    return fo(room)


CONNECTION_COUNTING = {"lc": lc, "wlc": wlc, "sed": sed, "nq": nq, "fo": fo, "ovf": ovf}


def overloaded(name: str, servers: Servers) -> bool:
    """Whether lblc and lblcr look for another server: it is busy, and one is half idle (is_overloaded)."""
    busy = servers[name].active > servers[name].weight
    return busy and any(server.active * 2 < server.weight for server in servers.values())


@dataclass
class Local:
    """lblc: each destination has a server until that one is overloaded. keeps_set: lblcr, which adds to a set."""

    keeps_set: bool = False
    known: dict[str, set[str]] = field(default_factory=dict)

    def choices(self, destination: str, servers: Servers) -> set[str]:
        mine = {name: servers[name] for name in self.known.get(destination, ())}
        stay = {name for name in wlc(mine) if not overloaded(name, servers)}
        return stay or wlc(servers)

    def took(self, destination: str, name: str) -> None:
        before = self.known.get(destination, set()) if self.keeps_set else set()
        self.known[destination] = before | {name}


def opened(servers: Servers, name: str) -> dict[str, Server]:
    """The servers after one more connection."""
    return {**servers, name: replace(servers[name], active=servers[name].active + 1)}


def closed(servers: Servers, names: Iterable[str]) -> dict[str, Server]:
    """The servers after the ends of connections: the kernel remembers those a while as inactive ones."""
    after = dict(servers)
    for name in names:
        server = after[name]
        after[name] = replace(server, active=server.active - 1, inactive=server.inactive + 1)
    return after


def follow(
    choices: Callable[[Servers], set[str]], servers: Servers, names: Iterable[str]
) -> tuple[list[str], dict[str, Server]]:
    """Go through connections that stay open, in their order: what the formula does not allow, and the servers then."""
    wrong, now = [], dict(servers)
    for index, name in enumerate(names):
        allowed = choices(now)
        if name not in allowed:
            wrong.append(f"connection {index} went to {name}, the formula says {' or '.join(sorted(allowed))}: {now}")
        if name in now:
            now = opened(now, name)
    return wrong, now


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """The clients that are with another server than before."""
    return {client for client in before if after[client] != before[client]}


@dataclass(frozen=True)
class Row:
    """A service of the kernel's table, with its real servers by address."""

    protocol: str
    where: str
    scheduler: str
    servers: dict[str, Server]


def rows(text: str) -> list[Row]:
    """What `ipvsadm -Ln` prints."""
    found: list[Row] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["->"] and len(words) == 6 and found:
            weight, active, inactive = map(int, words[3:])
            address = words[1].rpartition(":")[0].strip("[]")
            found[-1].servers[address] = Server(weight, active, inactive)
        elif words and words[0] in ("TCP", "UDP", "SCTP", "FWM"):
            found.append(Row(words[0], words[1], words[2], {}))
    return found
