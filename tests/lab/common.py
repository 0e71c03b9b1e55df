# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie, how progress is told, how commands are run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent.parent
STARTED = time.monotonic()


class LabError(Exception):
    """Something the user has to know; shown without a traceback."""


def say(text: str) -> None:
    """A progress line; the elapsed time shows where the time goes."""
    print(f"[lab {time.monotonic() - STARTED:.0f}s] {text}", flush=True)


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lvs.cluster"


def checkout_id() -> str:
    """Tells one checkout's machines, containers and files from another's."""
    return hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]


def state() -> Path:
    """Everything this checkout writes outside of itself, the shared image cache aside."""
    return Path(os.environ.get("LVS_LAB_STATE") or cache() / "checkouts" / checkout_id())


def run(
    command: Sequence[str], *, check: bool = True, stdin: str | None = None, timeout: float | None = None, **kwargs: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command quietly; its output is shown when it fails."""
    done = subprocess.run(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=timeout,
        **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}),
        **kwargs,
    )
    if check and done.returncode != 0:
        shown = shlex.join(command)
        raise LabError(f"{shown[:400]} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


def as_root(command: Sequence[str]) -> list[str]:
    """The command as root, by sudo without a password where we are not root already."""
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def is_root_possible() -> bool:
    if os.geteuid() == 0:
        return True
    with contextlib.suppress(FileNotFoundError):
        return run(["sudo", "-n", "true"], check=False).returncode == 0
    return False


@contextlib.contextmanager
def locked(path: Path, waiting_for: str) -> Iterator[None]:
    """One holder at a time; the kernel drops the lock of a holder that died."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def poll(what: str, seconds: float, probe: Any, pause: float = 0.5) -> Any:
    """The first true answer of probe(), or a LabError after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > until:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


def fail(error: LabError) -> int:
    print(f"lab: {error}", file=sys.stderr, flush=True)
    return 1
