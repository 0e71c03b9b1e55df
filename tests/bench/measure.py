# SPDX-License-Identifier: GPL-3.0-or-later
"""One command measured, several runs summed up, one figure judged."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from lab.common import LabError, state


@dataclass(frozen=True)
class Sample:
    """One run of a command: seconds by the clock, seconds of CPU with its children, its largest process in MB."""

    wall: float
    user: float
    system: float
    megabytes: float
    output: str = ""

    @property
    def cpu(self) -> float:
        return self.user + self.system


@dataclass
class Figure:
    """One line of the final table. A ratio is value / floor; a figure without a target is there to compare with."""

    part: str
    what: str
    value: float
    unit: str
    floor: str = ""
    floor_value: float | None = None
    result: float | None = None
    target: float | None = None
    note: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.target is None or self.result is None:
            return ""
        return "met" if self.result <= self.target else "MISSED"

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def ratio(
    part: str, what: str, value: float, floor: str, floor_value: float, target: float | None, **more: Any
) -> Figure:
    """A figure in seconds as a multiple of its floor."""
    return Figure(part, what, value, "s", floor, floor_value, value / floor_value, target, **more)


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Sample:
    """Run a command and measure it; one that fails is a broken measurement."""
    with tempfile.TemporaryFile("w+") as output:
        begun = monotonic()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **ansible_environment(), **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise LabError(f"{' '.join(command)[:300]} failed ({process.returncode}):\n{text[-4000:]}")
    return Sample(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024, text)


def ansible_environment() -> dict[str, str]:
    """As a user runs it: Ansible's own strategy and forks, pipelining, one warm connection a host by the ssh_config."""
    return {
        "ANSIBLE_STRATEGY": "linear",
        "ANSIBLE_FORKS": "5",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_SSH_ARGS": "",
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
    }


def middle(samples: Sequence[Sample]) -> Sample:
    """The median of each value: runs that others disturbed fall out."""
    return Sample(
        median(each.wall for each in samples),
        median(each.user for each in samples),
        median(each.system for each in samples),
        median(each.megabytes for each in samples),
    )


def walls(samples: Sequence[Sample]) -> list[float]:
    return [round(each.wall, 3) for each in samples]


def load() -> str:
    """How busy the machine is: the figures of a busy one say less."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def work(name: str) -> Path:
    """A folder for what a part generates."""
    path = state() / "bench-work" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
