# SPDX-License-Identifier: GPL-3.0-or-later
"""Part table: what the ipvs module costs on a node, beside Ansible's start-up and beside ipvsadm.

Ansible itself builds and sends each payload, with its parameters inside, and leaves it on the node; there the payload
is run again and again the way Ansible runs it, into python3's standard input. So the network, ssh and the controller
are in no figure, and everything that happens on the node is.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from lab.common import LabError

from bench import nodes
from bench.measure import Figure, Sample, measured, ratio, work
from bench.nodes import say

PART = "table"
NODE = "client"  # it has IPVS like all nodes and no table of its own
FOLDER = "/var/tmp/bench"
SERVERS = 10
ROUNDS = {10: 2, 100: 2, 1000: 3, 5000: 1}
TASKS = 20
SAVED = "ipvsadm -Sn"

Row = dict[str, Any]
Runs = dict[str, list[Sample]]


def run() -> list[Figure]:
    """Measure growing tables; the thousand services carry the targets."""
    nodes.create(fresh=False)
    nodes.on(NODE, f"rm -rf {FOLDER}; mkdir -p {FOLDER}; ipvsadm -C")
    try:
        return _figures()
    finally:
        nodes.on(NODE, f"ipvsadm -C; rm -rf {FOLDER}")


def _figures() -> list[Figure]:
    say("sending the payloads that do nothing: ping, and ipvs with an empty config")
    send({"ping": {"ansible.builtin.ping": {}}, "empty": {"lvs.cluster.ipvs": {"config": []}}})
    everything = {size: _size(size, rounds) for size, rounds in ROUNDS.items()}
    floor = least([run for runs in everything.values() for run in runs["empty"]])
    ping = least([run for runs in everything.values() for run in runs["ping"]])
    figures = [ratio(PART, "F: ipvs, empty config", floor, "ansible.builtin.ping", ping, 1.1)]
    for size, runs in everything.items():
        figures += _judge(size, runs, floor)
    return figures + _task_per_rule()


def _judge(size: int, runs: Runs, floor: float) -> list[Figure]:
    name = f"{size} services"
    target = size == 1000
    fill, again, weight = (least(runs[step]) - floor for step in ("fill", "again", "weight"))
    restore, save = least(runs["restore"]), least(runs["save"])
    kept = {f"{step}, CPU": [round(each.cpu, 3) for each in samples] for step, samples in runs.items()}
    kept.update({f"{step}, wall": [round(each.wall, 3) for each in samples] for step, samples in runs.items()})
    peak = max(each.megabytes for samples in runs.values() for each in samples)
    unchanged = least(runs["again"])
    return [
        ratio(PART, f"{name}: fill - F", fill, "ipvsadm -R", restore, 1.5 if target else None, samples=kept),
        ratio(PART, f"{name}: second run - F", again, SAVED, save, 5.0 if target else None),
        ratio(
            PART,
            f"{name}: one weight changed",
            weight + floor,
            "second run",
            unchanged,
            1.1 if target else None,
        ),
        _memory(name, size, peak),
    ]


def _memory(name: str, size: int, peak: float) -> Figure:
    target = 250.0 if size == max(ROUNDS) else None
    return Figure(
        PART, f"{name}: peak memory", peak, "MB", result=peak, target=target, note=f"{size * SERVERS} real servers"
    )


def least(samples: list[Sample]) -> float:
    """CPU seconds of the run that others disturbed least: disturbance only ever adds."""
    return min(each.cpu for each in samples)


# One size


def _size(size: int, rounds: int) -> Runs:
    say(f"{size} services x {SERVERS} real servers: sending the payloads")
    config = table(size)
    changed = json.loads(json.dumps(config))
    changed[size // 2]["real_servers"][SERVERS // 2]["weight"] += 1
    module = "lvs.cluster.ipvs"
    send({name: {module: _whole(rows)} for name, rows in (("fill", config), ("weight", changed))})
    nodes.on(NODE, f"cat > {FOLDER}/rules", stdin=rules(config))
    say(f"{size} services x {SERVERS} real servers: {rounds} rounds on the node")
    specification = {"rounds": rounds, "steps": steps()}
    nodes.on(NODE, f"cat > {FOLDER}/on_node.py", stdin=(Path(__file__).parent / "on_node.py").read_text())
    found = json.loads(nodes.on(NODE, f"python3 {FOLDER}/on_node.py", stdin=json.dumps(specification)))
    _check(size, found)
    runs: Runs = {}
    for each in found:
        sample = Sample(each["wall"], each["user"], each["system"], each["megabytes"])
        runs.setdefault(each["name"], []).append(sample)
    return runs


def _whole(rows: list[Row]) -> Row:
    return {"state": "overridden", "scope": "all", "config": rows}


def steps() -> list[Row]:
    """One round. The tables that ipvsadm and the module leave are the same, or the round stops."""
    clear = ["ipvsadm", "-C"]
    keep = ["sh", "-c", f"{SAVED} | sort > {FOLDER}/wanted"]
    compare = ["sh", "-c", f"{SAVED} | sort | cmp - {FOLDER}/wanted"]
    return [
        _payload("empty"),
        _payload("ping"),
        {"name": "restore", "before": [clear], "command": ["ipvsadm", "-R"], "stdin": f"{FOLDER}/rules"},
        {"name": "save", "before": [keep], "command": SAVED.split()},
        _payload("fill", clear),
        _payload("again", compare, file="fill"),
        _payload("weight"),
    ]


def _payload(name: str, *before: list[str], file: str = "") -> Row:
    command = ["python3"]
    return {
        "name": name,
        "before": list(before),
        "command": command,
        "stdin": f"{FOLDER}/{file or name}.payload",
        "module": True,
    }


def _check(size: int, found: list[Row]) -> None:
    """Each run did what its name says, no more and no less."""
    expected = {"empty": 0, "ping": 0, "fill": size * (1 + SERVERS), "again": 0, "weight": 1}
    for run in found:
        wanted = expected.get(run["name"])
        if wanted is not None and (run["commands"], run["changed"]) != (wanted, wanted > 0):
            raise LabError(f"{run['name']} with {size} services: {run['commands']} changes instead of {wanted}")


def send(tasks: dict[str, Row]) -> None:
    """Let Ansible run tasks on the node and leave its payloads there, as FOLDER/NAME.payload."""
    play = {
        "hosts": NODE,
        "gather_facts": False,
        "tasks": [{**task, "vars": {"ansible_remote_tmp": f"{FOLDER}/{name}"}} for name, task in tasks.items()],
    }
    _play("send", [play], {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "false"})
    for name in tasks:
        folder = shlex.quote(f"{FOLDER}/{name}")
        nodes.on(NODE, f"mv {folder}/*/AnsiballZ_*.py {folder}.payload && rm -r {folder}")


def _play(name: str, plays: list[Row], environment: dict[str, str] | None = None) -> Sample:
    path = work(PART) / f"{name}.json"
    path.write_text(json.dumps(plays))
    return measured(["ansible-playbook", *nodes.arguments(), str(path)], environment)


# What to write


def table(size: int) -> list[Row]:
    """So many services, ten real servers each, weights that differ."""
    return [
        {
            "address": f"198.18.{number // 250}.{1 + number % 250}",
            "port": 80,
            "protocol": "tcp",
            "scheduler": "wlc",
            "real_servers": [
                {
                    "address": f"10.{place}.{number // 250}.{1 + number % 250}",
                    "port": 80,
                    "forward": "dr",
                    "weight": 1 + place,
                }
                for place in range(SERVERS)
            ],
        }
        for number in range(size)
    ]


def rules(config: list[Row]) -> str:
    """The same for ipvsadm -R, written here: the module's own rendering is no judge of the module."""
    lines = []
    for row in config:
        service = f"-t {row['address']}:{row['port']}"
        lines.append(f"-A {service} -s {row['scheduler']}")
        lines += [
            f"-a {service} -r {server['address']}:{server['port']} -g -w {server['weight']}"
            for server in row["real_servers"]
        ]
    return "\n".join([*lines, ""])


def _task_per_rule() -> list[Figure]:
    """For scale: how others do it, one command task for each rule; a sample, extrapolated."""
    config = table(1000)
    lines = rules(config).splitlines()
    say(f"{TASKS} tasks of one ipvsadm command each, and one ipvs task with all {len(lines)} rules")
    nodes.on(NODE, "ipvsadm -C")
    commands = [{"ansible.builtin.command": f"ipvsadm {line}"} for line in lines[:TASKS]]
    single = _play("per_rule", [{"hosts": NODE, "gather_facts": False, "tasks": commands}])
    nodes.on(NODE, "ipvsadm -C")
    whole = _play("whole", [{"hosts": NODE, "gather_facts": False, "tasks": [{"lvs.cluster.ipvs": _whole(config)}]}])
    extrapolated = single.wall / TASKS * len(lines)
    return [
        ratio(
            PART,
            f"{len(lines)} rules in one ipvs task, ansible-playbook as a whole",
            whole.wall,
            f"one command task a rule, EXTRAPOLATED from {TASKS} tasks in {single.wall:.0f} s",
            extrapolated,
            None,
        )
    ]
