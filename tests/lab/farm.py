# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers that say their name on many ports, and a client with many addresses that counts who answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import formulas
from lab.cluster import Cluster

HERE = Path(__file__).resolve().parent
REAL_SERVERS = {f"rs{number}": f"192.0.2.{number + 10}" for number in (1, 2, 3, 4)}
# .254 is an address of the client's card, the others are local to it by a route.
CLIENTS = [f"198.51.100.{number}" for number in range(1, 255)]


@contextlib.contextmanager
def answering(cluster: Cluster, places: Mapping[str, Iterable[str]]) -> Iterator[None]:
    """Nodes by name, and where each of them answers (tcp:192.0.2.11:80), for as long as the block runs."""
    source = (HERE / "answering.py").read_text()
    with contextlib.ExitStack() as stack:
        started = {name: _started(stack, cluster, name, source, name, *where) for name, where in places.items()}
        for name, process in started.items():
            assert process.stdout
            assert process.stdout.readline() == "ready\n", f"{name} does not serve"
        yield


def _started(
    stack: contextlib.ExitStack, cluster: Cluster, name: str, source: str, *arguments: str
) -> subprocess.Popen[str]:
    process = cluster.start(name, source, *arguments)
    assert process.stdin
    stack.callback(process.wait, 60)
    stack.callback(process.stdin.close)
    return process


class Farm:
    """The services of the running scenario by name, asked by one process on the client, so that a question is cheap."""

    def __init__(self, cluster: Cluster, services: Mapping[str, Any], process: subprocess.Popen[str]) -> None:
        self.cluster = cluster
        self.services = services
        self.process = process
        self.table: list[str] = []

    def ask(
        self,
        service: str,
        sources: Sequence[str] = CLIENTS[:1],
        count: int = 1,
        vip: int = 0,
        hold: str = "",
        reset: bool = False,
    ) -> list[str]:
        """Who answers on a new connection from each address, so many times: names, or `!` and what went wrong.

        hold keeps the connections open, as hold0, hold1 and so on; reset cuts them off instead of ending them.
        """
        return list(self._said("ask", **self._whom(service, sources, count, vip), hold=hold, reset=reset))

    def of_each(self, service: str, sources: Sequence[str]) -> dict[str, str]:
        """Who answers each address."""
        return dict(zip(sources, self.ask(service, sources), strict=True))

    def datagrams(
        self, service: str, sources: Sequence[str] = CLIENTS[:1], count: int = 1, text: str = "who?"
    ) -> list[tuple[str, str]]:
        """Who answers each datagram, and from which address. All of one source come from one port of it."""
        said = self._said("datagrams", **self._whom(service, sources, count, 0), text=text)
        return [(name, address) for name, address in said]

    def drop(self, keys: Iterable[str], reset: bool = False) -> None:
        """End connections that were held."""
        self._said("drop", keys=list(keys), reset=reset)

    def _whom(self, service: str, sources: Sequence[str], count: int, vip: int) -> dict[str, Any]:
        row = self.services[service]
        whom = {"protocol": row.get("protocol", "tcp"), "to": vips(row)[vip], "port": row["port"]}
        return {**whom, "sources": list(sources), "count": count, "timeout": 5}

    def _said(self, do: str, **request: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client's program ended at {do} {request}"
        return json.loads(line)

    def servers(self, service: str) -> dict[str, formulas.Server]:
        """The real servers of a service as the director counts their connections now."""
        row = self.services[service]
        where = (row.get("protocol", "tcp").upper(), f"{vips(row)[0]}:{row['port']}")
        for found in formulas.rows(self.cluster.run("director", "ipvsadm -Ln")):
            # A group is known by its mark, which its name makes; here no two of them have one scheduler.
            mine = found.protocol == "FWM" and found.scheduler == row["scheduler"]
            if mine if row.get("group") else (found.protocol, found.where) == where:
                return {name: found.servers[address] for name, address in REAL_SERVERS.items()}
        raise AssertionError(f"the director has no service {service}")

    def note(self, service: str, what: str, names: Iterable[str]) -> Counter[str]:
        """How often each server answered; printed at the end of the run."""
        counted = Counter(names)
        shares = "  ".join(f"{name} {counted[name]}" for name in sorted(counted))
        self.table.append(f"{service:12} {what:44} {shares}")
        return counted


def vips(row: Mapping[str, Any]) -> list[str]:
    vip = row["vip"]
    return list(vip) if isinstance(vip, list) else [vip]


def places(services: Iterable[Mapping[str, Any]], address: str) -> list[str]:
    """Where a real server with this address answers: with DR on the VIP, with NAT on its own address."""
    found = []
    for row in services:
        for where in vips(row) if row["forward"] == "dr" else [address]:
            found.append(f"{row.get('protocol', 'tcp')}:{where}:{row['port']}")
    return found


@contextlib.contextmanager
def farm(cluster: Cluster) -> Iterator[Farm]:
    """The scenario's real servers answer on every service's port, for as long as the block runs."""
    services = cluster.variables("director")["lvs_services"]
    where = {name: places(services, address) for name, address in REAL_SERVERS.items()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(answering(cluster, where))
        process = _started(stack, cluster, "client", (HERE / "asking.py").read_text())
        yield Farm(cluster, {row["name"]: row for row in services}, process)
