# SPDX-License-Identifier: GPL-3.0-or-later
"""Something breaks under a client that asks all the time and holds one long transfer; what it cost, row by row.

Seconds are printed beside what the protocol promises; a trial fails only far past that, when the transfer breaks that
should not, or when not exactly one director holds the VIP at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lab.cluster import Client
from lab.common import LabError, poll, state
from lab.faults import Request, transferring, watching
from lab.pair import HEARTBEAT, Pair


@dataclass(frozen=True)
class Case:
    """What differs between the clusters that are broken."""

    takeover: float  # seconds that the protocol takes to find a dead director
    detection: float = 0  # the longest a health check may take: interval, tries and their timeouts
    synced: bool = False  # connections survive a change of director
    failback: bool = False
    seconds: float = 120  # within which everything that was mended works again
    limit: float | None = None  # of silence; five times what is promised, and a second


@dataclass
class Row:
    fault: str
    failed: int
    asked: int
    silence: float
    bound: float
    transfer: str
    owner: str


class Trials:
    def __init__(self, pair: Pair, client: Client, case: Case) -> None:
        self.pair = pair
        self.client = client
        self.case = case
        self.rows: list[Row] = []
        self.by_hand = 0  # how often the VIP had to be called home

    def other(self, name: str) -> str:
        return next(other for other in self.pair.names if other != name)

    def director(self, name: str, break_it: Callable[[str], object], stays: bool = False) -> Row:
        """Break the active director; another one takes over, or, where it stays, perhaps the same."""
        pair, case = self.pair, self.case
        before = self.home()
        other = self.other(before)
        judged = pair.names if stays else (other,)
        takeovers = {name: pair.takeovers(name) for name in judged}
        # A sender that hears nothing waits twice as long each time: up to a second silence goes by after the first.
        patience = max(60, 2 * (case.limit or 0))
        long = transferring(self.client, pair.vip, timeout=patience)
        with watching(self.client, pair.vip) as watch, long as transfer:
            if case.synced:
                # The kernel tells of a connection after its third packet, and sends what it has to tell every two
                # seconds.
                pair.poll("the transfer at the other director", lambda: pair.knows_connection(other, transfer.port), 30)
            began = len(watch.requests)
            break_it(before)
            pair.poll(
                f"one of {judged} takes over",
                lambda: any(pair.takeovers(name) > takeovers[name] for name in judged),
                case.seconds,
            )
            watch.more(_goes_on)
            after = pair.settle(case.seconds)
            survived = transfer.ends_well(2 * patience) if case.synced else transfer.goes_on(10)
            requests, silence = watch.requests[began:], watch.silence()
        row = self.note(name, requests, silence, case.takeover, f"{before}>{after}", "whole" if survived else "broken")
        # One that is meant to be active and works again has the VIP back by now.
        assert stays or after == other or (case.failback and after == pair.names[0])
        # With failback it may be moving again.
        pair.poll("the owner alone answers ARP", self._owner_answers)
        assert survived or not case.synced, transfer.said[-3:]
        return self.judged(row)

    def _owner_answers(self) -> bool:
        owners = self.pair.owners()
        return len(owners) == 1 and self.client.arp(self.pair.vip) == set(map(self.pair.cluster.mac, owners))

    def server(self, name: str, break_it: Callable[[], object]) -> Row:
        """Break a real server; the VIP stays where it is."""
        before = self.home()
        with watching(self.client, self.pair.vip) as watch, transferring(self.client, self.pair.vip):
            began = len(watch.requests)
            break_it()
            watch.more(_goes_on)
            requests, silence = watch.requests[began:], watch.silence()
        assert self.pair.settle() == before
        # While another server answers nothing is silent: requests that fail tell how long the broken one was asked.
        lost = [one.began for one in requests if one.failed]
        assert lost, f"{name}: nobody noticed"
        assert max(lost) - min(lost) < self._limit(self.case.detection), (name, lost)
        return self.judged(self.note(name, requests, silence, self.case.detection, before))

    def mended(self, name: str, mend: Callable[[], object], bound: float, owner: str) -> Row:
        """Mend what was broken, and wait until the VIP is where it has to be."""
        with watching(self.client, self.pair.vip) as watch:
            mend()
            after = self.home()
            watch.answers(30)
        return self.note(name, watch.requests, watch.silence(), bound, f"{owner}>{after}")

    def home(self) -> str:
        """Where the VIP is once everything works."""
        if self.case.failback:
            first = self.pair.names[0]
            if not self._fails_back(first):
                # heartbeat that was cut off in the middle of a takeover forgets that it should.
                self.by_hand += 1
                self.pair.cluster.run(first, "/usr/share/heartbeat/hb_takeover all")
            self.pair.poll(f"{first} is active again", lambda: self.pair.owners() == {first}, self.case.seconds)
        return self.pair.rest(self.case.seconds)

    def _fails_back(self, first: str) -> bool:
        """Whether the VIP comes back by itself, or may yet: keepalived is waited for, heartbeat until it rests."""
        if self.pair.mover is not HEARTBEAT or self.pair.rest(self.case.seconds) == first:
            return True
        try:
            return bool(poll("the VIP comes home", 30, lambda: self.pair.owners() == {first}))
        except LabError:
            return False

    def note(
        self, fault: str, requests: list[Request], silence: float, bound: float, owner: str, transfer: str = ""
    ) -> Row:
        row = Row(fault, sum(one.failed for one in requests), len(requests), silence, bound, transfer, owner)
        self.rows.append(row)
        return row

    def judged(self, row: Row) -> Row:
        assert row.silence < self._limit(row.bound), row
        return row

    def _limit(self, bound: float) -> float:
        return self.case.limit or 5 * bound + 1

    def table(self) -> str:
        """For the reader; kept for docs/benchmarks.md as well."""
        (state() / self.pair.cluster.scenario / "faults.json").write_text(
            json.dumps([asdict(row) for row in self.rows])
        )
        return "\n".join(["", *_lines(self.rows)])


def undisturbed(pair: Pair, client: Client, variables: dict[str, dict[str, Any]] | None = None) -> str:
    """Deploy under load; what Ansible said. The same director is active afterwards, and nobody noticed."""
    before = pair.settle()
    takeovers = {name: pair.takeovers(name) for name in pair.names}
    with watching(client, pair.vip, timeout=10) as watch:
        began = len(watch.requests)
        said = pair.cluster.deploy(variables)
        watch.answers(30)
    assert not watch.failed(began)
    assert pair.settle() == before
    assert {name: pair.takeovers(name) for name in pair.names} == takeovers
    return said


def _lines(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{'fault':40} {'failed':>12} {'silence':>9} {'bound':>7}  {'transfer':9} owner"
    for row in rows:
        failed = f"{row.failed} of {row.asked}"
        bound = f"{row.bound:5.2f} s" if row.bound else ""
        yield f"{row.fault:40} {failed:>12} {row.silence:7.2f} s {bound:>7}  {row.transfer:9} {row.owner}"


def _goes_on(new: list[Request]) -> bool:
    return sum(not one.failed for one in new[-20:]) == 20 and len(new) > 40
