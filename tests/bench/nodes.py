# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's nodes the measurements run on: scenario bench, made from the inventory of molecule/dr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lab.common import CHECKOUT, run, state

SCENARIO = "bench"
INVENTORY = CHECKOUT / "molecule" / "dr" / "inventory"
STARTED = time.monotonic()


def say(text: str) -> None:
    """A progress line; the elapsed time shows where the time goes."""
    print(f"[bench {time.monotonic() - STARTED:.0f}s] {text}", flush=True)


def lab(*arguments: str) -> str:
    """Run a command of the lab."""
    return run([sys.executable, str(CHECKOUT / "tests" / "lab"), *arguments], timeout=900).stdout


def engine_is_up() -> bool:
    return ", up\n" in lab("status")


def create(fresh: bool) -> None:
    """Make the nodes, anew or those that still run."""
    if fresh and ssh_config().exists():
        say("destroying the nodes of the last run")
        lab("destroy", SCENARIO)
    say(f"creating the nodes of scenario {SCENARIO}")
    lab("create", SCENARIO, "-i", str(INVENTORY))
    for node in json.loads((state() / SCENARIO / "nodes.json").read_text()):
        # What the lab's Python remembers of earlier runs no user's has.
        on(node["name"], "rm -rf /opt/lab-compiled")


def ssh_config() -> Path:
    return state() / SCENARIO / "ssh_config"


def arguments() -> list[str]:
    """What ansible and ansible-playbook need to find the nodes: the inventory names another scenario's ssh_config."""
    return ["-i", str(INVENTORY), "-e", f"ansible_ssh_common_args='-F {ssh_config()}'"]


def on(node: str, command: str, stdin: str | None = None, timeout: float = 3000) -> str:
    """Run a shell command on a node."""
    return run(["ssh", "-F", str(ssh_config()), node, command], stdin=stdin, timeout=timeout).stdout
