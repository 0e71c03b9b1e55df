# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: runs the parts, prints the table, keeps the figures."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

from lab.common import LabError, state

from bench import model, nodes, playbook, table
from bench.measure import load

PARTS = {"site": playbook, "model": model, "table": table}
IN_LAB = {"site", "table"}


def main() -> int:
    """Run what was asked for. A missed target is a result; only a broken measurement fails."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all when none is named")
    parser.add_argument("--report", action="store_true", help="print the kept figures for docs/benchmarks.md and stop")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.part) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    try:
        if arguments.report:
            print(report(kept()))
        else:
            bench(arguments.part or list(PARTS))
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def bench(parts: list[str]) -> None:
    in_lab = bool(IN_LAB & set(parts))
    was_up = not in_lab or nodes.engine_is_up()
    results: dict[str, Any] = {}
    try:
        for name in parts:
            before = load()
            nodes.say(f"part {name} (load {before})")
            figures = PARTS[name].run()
            results[name] = {
                "when": time.strftime("%Y-%m-%d %H:%M"),
                "load": f"{before} before, {load()} after",
                "figures": [figure.plain() for figure in figures],
            }
            keep({**kept(), name: results[name]})
    finally:
        if in_lab and not os.environ.get("LAB_KEEP"):
            nodes.say("taking the nodes down")
            nodes.lab(*(["destroy", nodes.SCENARIO] if was_up else ["down"]))
    print(as_table({name: results[name] for name in parts}))
    print(f"\nKept in {path()}. The method is in docs/benchmarks.md.")


def path() -> Any:
    return state() / "bench.json"


def kept() -> dict[str, Any]:
    """The figures of earlier runs, by part."""
    return dict(json.loads(path().read_text())) if path().exists() else {}


def keep(results: dict[str, Any]) -> None:
    path().write_text(json.dumps(results, indent=1))


def row(figure: dict[str, Any]) -> tuple[str, str, str, str, str]:
    unit = figure["unit"]
    floor = f"{number(figure['floor_value'], unit)} {figure['floor']}" if figure["floor"] else ""
    result = "" if figure["result"] is None or figure["result"] == figure["value"] else f"{times(figure['result'])} x"
    bound = f"{figure['target']:g}" if figure["target"] is not None else ""
    verdict = f"{figure['verdict']} (target {bound})" if figure["verdict"] else ""
    return figure["what"], number(figure["value"], unit), floor, result, verdict


def number(value: float, unit: str) -> str:
    if unit == "s" and value > 7200:
        return f"{value / 3600:.1f} h"
    return f"{value:.0f} {unit}" if unit in ("modules", "MB") else f"{value:.2f} {unit}"


def times(result: float) -> str:
    return f"{result:.2f}" if result >= 0.1 else f"{result:.2g}"


def as_table(results: dict[str, Any]) -> str:
    lines = []
    for name, part in results.items():
        lines.append(f"\n{name}: {part['when']}, load {part['load']}")
        rows = [row(figure) for figure in part["figures"]]
        widths = [max(len(each[column]) for each in rows) for column in range(5)]
        for each, figure in zip(rows, part["figures"]):
            cells = [
                text.ljust(width) if at in (0, 2, 4) else text.rjust(width)
                for at, (text, width) in enumerate(zip(each, widths))
            ]
            lines.append("  " + "  ".join(cells).rstrip() + (f"  [{figure['note']}]" if figure["note"] else ""))
    return "\n".join(lines)


def report(results: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = []
    for name, part in results.items():
        lines += [f"\n### {name}\n", f"{part['when']}, load {part['load']}.\n"]
        lines += ["| what | figure | floor | ratio | target | note |", "|---|---:|---|---:|---|---|"]
        lines += ["| " + " | ".join([*row(figure), figure["note"]]) + " |" for figure in part["figures"]]
    return "\n".join(lines)
