# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints where the scenarios' time went."""

from __future__ import annotations

import pytest

TIMINGS = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[TIMINGS] = {}


@pytest.fixture(scope="session")
def timings(request):
    """{scenario: [(step, seconds)]}, shown when all is over."""
    return request.config.stash[TIMINGS]


def pytest_terminal_summary(terminalreporter, config):
    timings = config.stash[TIMINGS]
    if not timings:
        return
    terminalreporter.section("where the time went (seconds)")
    for scenario, steps in timings.items():
        told = ", ".join(f"{step} {seconds:.0f}" for step, seconds in steps if seconds >= 1)
        total = sum(seconds for _, seconds in steps)
        terminalreporter.write_line(f"{scenario:10} {total:5.0f}: {told}")
