# SPDX-License-Identifier: GPL-3.0-or-later
"""Part site: what a second run of site.yml costs, in module executions and in time, against gathering facts once."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from lab.common import CHECKOUT, LabError, state

from bench import nodes
from bench.measure import Figure, Sample, measured, middle, ratio, walls, work
from bench.nodes import say

PART = "site"
TARGETS = {"director": 8, "realserver": 6}
ROLES = {"director": "director", "rs1": "realserver", "rs2": "realserver"}
RUNS = 3


def run() -> list[Figure]:
    """Measure on fresh nodes."""
    nodes.create(fresh=True)
    figures = []
    for name in ("first", "second"):
        say(f"{name} run of site.yml, counting module executions")
        sample, counts = counted_run()
        figures += [_executions(name, host, counts) for host in ROLES]
        figures.append(Figure(PART, f"{name} run, wall time while counting", sample.wall, "s"))
    say(f"{RUNS} more runs of site.yml, each beside one of the setup module on the same hosts")
    runs, floors = [], []
    for _ in range(RUNS):
        floors.append(measured(["ansible", *nodes.arguments(), "directors:realservers", "-m", "ansible.builtin.setup"]))
        runs.append(_settled(measured(_site())))
    value, floor = middle(runs), middle(floors)
    samples = {"site.yml": walls(runs), "setup": walls(floors)}
    figures.append(
        ratio(
            PART, "second run, wall time", value.wall, "ansible -m setup, same hosts", floor.wall, 3.0, samples=samples
        )
    )
    figures.append(ratio(PART, "second run, controller CPU", value.cpu, "ansible -m setup", floor.cpu, None))
    return figures


def _site() -> list[str]:
    return ["ansible-playbook", *nodes.arguments(), str(CHECKOUT / "playbooks" / "site.yml")]


def counted_run() -> tuple[Sample, dict[str, Counter[str]]]:
    """One run of site.yml and the module executions of each host."""
    log = work(PART) / "executions"
    log.write_text("")
    sample = measured(
        _site(),
        {
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "executions",
            "BENCH_EXECUTIONS": str(log),
        },
    )
    counts: dict[str, Counter[str]] = {host: Counter() for host in ROLES}
    for line in log.read_text().splitlines():
        host, module = line.split()
        counts[host][module] += 1
    if not all(counts.values()):
        raise LabError(f"a host without any module execution: {counts}")
    (state() / "bench-work" / PART / "executions.json").write_text(json.dumps(counts))
    return sample, counts


def _executions(name: str, host: str, counts: dict[str, Counter[str]]) -> Figure:
    role = ROLES[host]
    total = float(sum(counts[host].values()))
    target = TARGETS[role] if name == "second" else None
    note = ", ".join(f"{module.rpartition('.')[2]} {count}" for module, count in counts[host].items())
    return Figure(PART, f"{name} run, {host} ({role})", total, "modules", result=total, target=target, note=note)


def _settled(sample: Sample) -> Sample:
    """A second run changes nothing; one that does is another measurement."""
    if re.search(r"changed=[1-9]", sample.output):
        raise LabError(f"a second run of site.yml changed something:\n{sample.output[-2000:]}")
    return sample
