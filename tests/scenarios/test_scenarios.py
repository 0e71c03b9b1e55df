# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario of molecule/ from its creation to its end, as `molecule test` runs it; two at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = sorted(path.parent.name for path in (CHECKOUT / "molecule").glob("*/molecule.yml"))
# While Ansible waits for one scenario's nodes the engine has time for another's. The long ones begin, so that none is
# left alone at the end.
AT_A_TIME = int(os.environ.get("LAB_PARALLEL", "2"))
LONG = ("nat", "keepalived", "boot", "ldirectord", "teams", "dr", "streamlined", "schedulers", "gateways")
# heartbeat starts its resources with shell scripts that start others: half a minute and more under emulation, for every
# fault. `make test-classic` runs these.
CLASSIC = ("ultramonkey", "high-capacity", "vgate", "two-boxes")
# A director that has a second or less to be heard must not wait for a processor, nor heartbeat's scripts for others':
# these come last, one by one, when nothing else runs.
ALONE = ("ha-dr", *CLASSIC)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# With colours and without them Molecule says it differently.
STEP = re.compile(r"^INFO\s+(?:\S+ \S+ |\[\S+ > )(\w+)(?::|\]) Executing$")
# What Molecule says in every run about its own habits; it would only alarm.
NOISE = (
    "'molecule/default/molecule.yml' glob failed",
    "should migrate to 'extensions/molecule'",
    "default scenario not found",
)
# A step that found nothing to do is reported as a success; here it is a failure.
VACUOUS = ("no hosts matched", "no tests found", "no tests ran", "Missing playbook", "No inventory was parsed")

PLAY = re.compile(r"^PLAY \[(.*)\]")
# Only clusters with several directors have an active one that comes last.
OPTIONAL = ("Set up the active directors",)


@pytest.fixture(scope="session")
def screen(request):
    """The terminal, whatever pytest captures meanwhile."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        handle = os.fdopen(os.dup(1), "w", buffering=1)
    with handle:
        yield handle


@pytest.fixture(scope="session")
def lab(screen):
    """The engine is up, with its progress shown; the environment for Molecule."""
    sys.path.insert(0, str(CHECKOUT / "tests"))
    from lab.common import state

    environment = {
        **os.environ,
        "LVS_LAB_STATE": str(state()),
        "ANSIBLE_HOME": str(state() / "ansible"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        **accelerator(),
    }
    print(file=screen)
    command = [sys.executable, str(CHECKOUT / "tests" / "lab"), "up"]
    subprocess.run(command, check=True, env=environment, stdout=screen, stderr=screen)
    return environment


@pytest.fixture(scope="session")
def runs(request, lab, screen, timings):
    """All scenarios of this session, on their way: {scenario: future of (return code, what found nothing to do)}."""
    items = [item for item in request.session.items if "scenario" in getattr(item, "fixturenames", ())]
    names = [item.callspec.params["scenario"] for item in items]
    names.sort(key=lambda name: LONG.index(name) if name in LONG else len(LONG))
    prefix = "{:>7} | " if len(names) > 1 else ""
    timings.update({name: [] for name in names})

    def run(name, others=()):
        wait(others)
        return run_molecule(name, lab, timings[name], screen, prefix.format(name))

    with ThreadPoolExecutor(AT_A_TIME) as pool, ThreadPoolExecutor(1) as after:
        together = {name: pool.submit(run, name) for name in names if name not in ALONE}
        alone = {name: after.submit(run, name, together.values()) for name in names if name in ALONE}
        yield {**together, **alone}
        pool.shutdown(cancel_futures=True)
        after.shutdown(cancel_futures=True)


def accelerator() -> dict[str, str]:
    """Mitogen's strategy where it is installed; LAB_STRATEGY=linear turns it off. A scenario may insist on plain."""
    if "LAB_STRATEGY" in os.environ:
        return {}
    try:
        import ansible_mitogen
    except ImportError:
        return {}
    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    # Ansible warns in each run that strategy plugins have no future.
    quiet = {"ANSIBLE_DEPRECATION_WARNINGS": "false"}
    return {"LAB_STRATEGY": "mitogen_linear", "LAB_STRATEGY_PLUGINS": str(plugins), **quiet}


def test_there_are_scenarios():
    assert SCENARIOS


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[pytest.mark.classic] if name in CLASSIC else []) for name in SCENARIOS]
)
def test_scenario(scenario, runs, lab, timings):
    tests = list((CHECKOUT / "molecule" / scenario / "tests").rglob("test_*.py"))
    assert tests, f"scenario {scenario} has no test files"
    returned, vacuous = runs[scenario].result()
    save_timings(lab, timings)
    assert returned == 0, (
        f"scenario {scenario} failed; what it printed is above and in {lab['LVS_LAB_STATE']}/test/{scenario}.log"
    )
    assert not vacuous, f"scenario {scenario} passed over nothing: {vacuous}"


def run_molecule(scenario, environment, steps, screen, prefix):
    """Show the run as it goes, keep it; note how long each step took and which found nothing to do."""
    logs = Path(environment["LVS_LAB_STATE"]) / "test"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{scenario}.log").open("w") as log:
        return _run_molecule(scenario, environment, steps, screen, prefix, log)


def _run_molecule(scenario, environment, steps, screen, prefix, log):
    destroy = "always"
    if os.environ.get("LAB_KEEP"):
        # "never" skips the first destroy too: without one Molecule would take nodes of an earlier engine for alive.
        subprocess.run(["molecule", "destroy", "--scenario-name", scenario], cwd=CHECKOUT, env=environment, check=True)
        destroy = "never"
    process = subprocess.Popen(
        ["molecule", "test", "--scenario-name", scenario, "--destroy", destroy, "--no-command-borders"],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    vacuous, step, play, began = [], "start", "", time.monotonic()
    for line in process.stdout:
        plain = COLOUR.sub("", line)
        if any(noise in plain for noise in NOISE):
            continue
        print(prefix + line, end="", file=screen)
        log.write(plain)
        play = PLAY.match(plain)[1] if PLAY.match(plain) else play
        if play not in OPTIONAL:
            vacuous += [f"{play}: {plain.strip()}" for sign in VACUOUS if sign in plain]
        started = STEP.match(plain)
        if started:
            steps.append((step, time.monotonic() - began))
            step, began = started[1], time.monotonic()
    steps.append((step, time.monotonic() - began))
    return process.wait(), vacuous


def save_timings(environment, timings):
    path = Path(environment["LVS_LAB_STATE"]) / "timings.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **timings}, indent=1))
