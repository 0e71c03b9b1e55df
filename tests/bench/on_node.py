# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node: times the commands of a specification on stdin, round by round, and prints what each run cost.

The rounds go through all commands in turn, so that a disturbance hits all of them alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Dict


def timed(step: Dict[str, Any]) -> Dict[str, Any]:
    """Run one step: `before` untimed, then `command` with the file `stdin`; stdout goes to a file and comes back."""
    for command in step.get("before", []):
        subprocess.run(command, check=True)
    with open(step.get("stdin", os.devnull)) as source, open("/var/tmp/bench/output", "w+") as output:
        begun = time.monotonic()
        process = subprocess.Popen(step["command"], stdin=source, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        output.seek(0)
        text = output.read()
    if status:
        sys.exit("%s failed (%d):\n%s" % (step["name"], status, text[-2000:]))
    result = {"name": step["name"], "wall": wall, "user": usage.ru_utime, "system": usage.ru_stime}
    return {**result, "megabytes": usage.ru_maxrss / 1024, **said(step, text)}


def said(step: Dict[str, Any], text: str) -> Dict[str, Any]:
    """What a module answered: whether it changed something, and how much."""
    if not step.get("module"):
        return {}
    answer = json.loads(text)
    return {
        "changed": answer.get("changed", False),
        "commands": len(answer.get("commands", [])) + answer.get("omitted", 0),
    }


def main() -> None:
    """Read the specification, run it, print one JSON list."""
    specification = json.load(sys.stdin)
    runs = [timed(step) for _ in range(specification["rounds"]) for step in specification["steps"]]
    print(json.dumps(runs))


if __name__ == "__main__":
    main()
