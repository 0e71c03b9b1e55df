# SPDX-License-Identifier: GPL-3.0-or-later
"""Part model: what the collection costs on the controller with a large inventory, against tasks that do nothing.

Nothing connects anywhere. The plays are site.yml's first one as it is, and for each host one task that evaluates the
expression its role hands to lvs.cluster.host, read from the role.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from lab.common import CHECKOUT, LabError

from bench.measure import Figure, Sample, measured, middle, ratio, walls, work
from bench.nodes import say

PART = "model"
SERVICES = 1000
SERVERS = 10
SIZES = (10, 50, 200)
RUNS = 3
TARGET = 1.5
ROLES = {"realserver": "__lvs_realservers", "director": "__lvs_directors"}
GROUPS = {"realserver": "realservers", "director": "directors"}


def run() -> list[Figure]:
    """Measure growing inventories; the largest carries the target."""
    figures: list[Figure] = []
    beyond: dict[int, float] = {}
    for hosts in SIZES:
        samples, floors = _runs(hosts)
        value, floor = middle(samples), middle(floors)
        beyond[hosts] = value.wall - floor.wall
        what, tasks = f"{hosts} hosts", "as many debug tasks"
        target = TARGET if hosts == max(SIZES) else None
        kept = {"plays": walls(samples), "debug": walls(floors)}
        figures += [
            ratio(PART, f"{what}, wall time", value.wall, tasks, floor.wall, target, samples=kept),
            ratio(PART, f"{what}, CPU time", value.cpu, tasks, floor.cpu, target),
            Figure(PART, f"{what}, peak memory", value.megabytes, "MB", tasks, floor.megabytes, note="largest process"),
        ]
    figures.append(_growth(beyond))
    return figures


def _growth(beyond: dict[int, float]) -> Figure:
    """How much more than proportional the time above the floor grows from the smallest inventory to the largest."""
    small, large = min(beyond), max(beyond)
    note = ", ".join(f"{hosts} hosts {seconds:.1f} s" for hosts, seconds in beyond.items())
    factor = beyond[large] / beyond[small]
    return Figure(
        PART,
        f"time above the floor, {small} to {large} hosts",
        factor,
        "x",
        "linear growth",
        large / small,
        factor / (large / small),
        1.0,
        note=note,
    )


def _runs(hosts: int) -> tuple[list[Sample], list[Sample]]:
    inventory = write_inventory(hosts)
    plays, debug = write_plays()
    say(f"{SERVICES} services x {SERVERS} real servers, {hosts} hosts: {RUNS} runs, each beside one of debug tasks")
    samples, floors = [], []
    for _ in range(RUNS):
        floors.append(_play(debug, inventory, hosts))
        samples.append(_play(plays, inventory, hosts))
    return samples, floors


def _play(playbook: Path, inventory: Path, hosts: int) -> Sample:
    sample = measured(["ansible-playbook", "-i", str(inventory), str(playbook)])
    if sample.output.count(" ok=") != hosts:
        raise LabError(f"{playbook.name} did not run on {hosts} hosts:\n{sample.output[-2000:]}")
    return sample


def write_inventory(hosts: int) -> Path:
    """One director and its real servers. JSON throughout: reading YAML would only make the floor higher."""
    names = [f"rs{number}" for number in range(1, hosts)]
    services = [
        {
            "name": f"service{number}",
            "vip": f"192.0.{2 + number // 250}.{1 + number % 250}",
            "port": 80,
            "forward": "dr",
            "real_servers": [_server(names, number, place) for place in range(SERVERS)],
        }
        for number in range(SERVICES)
    ]
    realservers = {
        name: {"lvs_address": f"10.1.{number // 250}.{1 + number % 250}"} for number, name in enumerate(names)
    }
    folder = work(PART) / str(hosts)
    (folder / "group_vars").mkdir(parents=True, exist_ok=True)
    shared = {"lvs_services": services, "lvs_interface": "eth0"}
    (folder / "group_vars" / "all.json").write_text(json.dumps(shared))
    groups = {"directors": {"hosts": {"lvs1": {"lvs_address": "10.2.0.1"}}}, "realservers": {"hosts": realservers}}
    path = folder / "hosts.json"
    path.write_text(json.dumps({"all": {"children": groups}}))
    return path


def _server(names: list[str], service: int, place: int) -> dict[str, Any]:
    """A real server of a service; where the inventory has too few hosts, one outside of it."""
    if place < len(names):
        return {"host": names[(service * 7 + place) % len(names)], "weight": 1 + place}
    return {"address": f"198.51.100.{1 + place}", "weight": 1 + place}


def write_plays() -> tuple[Path, Path]:
    """The plays to measure, and as many debug tasks on the same hosts in the same order."""
    validate = yaml.safe_load((CHECKOUT / "playbooks" / "site.yml").read_text())[0]
    plays: list[dict[str, Any]] = [validate]
    floor: list[dict[str, Any]] = [{**_bare("all"), "tasks": [_debug(task) for task in validate["tasks"]]}]
    for role, group in ROLES.items():
        files = [str(CHECKOUT / "roles" / role / folder / "main.yml") for folder in ("defaults", "vars")]
        task = {"ansible.builtin.debug": {"msg": "{{ (" + expression(role) + ") | length }}"}}
        plays.append({**_bare(group), "vars_files": files, "tasks": [task]})
        floor.append({**_bare(GROUPS[role]), "tasks": [_debug({})]})
    paths = work(PART) / "plays.yml", work(PART) / "debug.yml"
    for path, content in zip(paths, (plays, floor)):
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return paths


def _bare(hosts: str) -> dict[str, Any]:
    return {"hosts": hosts, "gather_facts": False}


def _debug(task: dict[str, Any]) -> dict[str, Any]:
    once = {"run_once": True} if task.get("run_once") else {}
    return {"ansible.builtin.debug": {"msg": "{{ inventory_hostname | length }}"}, **once}


def expression(role: str) -> str:
    """What the role hands to lvs.cluster.host, without its braces; a director's table goes with it."""
    tasks = yaml.safe_load((CHECKOUT / "roles" / role / "tasks" / "present.yml").read_text())
    configs = [
        str(task[module]["config"]).strip()
        for module in ("lvs.cluster.host", "lvs.cluster.ipvs")
        for task in tasks
        if "config" in task.get(module, {})
    ]
    if not configs or not all(each.startswith("{{") and each.endswith("}}") for each in configs):
        raise LabError(f"role {role}: no expressions found to measure")
    unique = dict.fromkeys(each[2:-2].strip() for each in configs)
    return "[" + ", ".join(f"({each})" for each in unique) + "]"
