# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests/integration/ipvs_kernel.py on a node, and reports each of its checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from lab.common import CHECKOUT, run

SCRIPT = CHECKOUT / "tests" / "integration" / "ipvs_kernel.py"
CHECKS = [
    item.name
    for item in ast.parse(SCRIPT.read_text()).body
    if isinstance(item, ast.FunctionDef) and any(getattr(mark, "id", "") == "check" for mark in item.decorator_list)
]


@pytest.fixture(scope="module")
def said(cluster, tmp_path_factory):
    """What each check said, by its name."""
    bundle = tmp_path_factory.mktemp("bundle") / "check.pyz"
    run([sys.executable, str(SCRIPT), "--bundle", str(bundle)])
    with bundle.open("rb") as source:
        subprocess.run(cluster.ssh("director", "cat >/root/check.pyz"), stdin=source, check=True)
    printed = run(cluster.ssh("director", "python3 /root/check.pyz 2>&1"), check=False, timeout=1800).stdout
    print(printed)
    return dict(re.findall(r"^(\w+)  (?:.*  )?(ok [0-9.]+ s|FAILED: .*)$", printed, re.MULTILINE))


def test_there_are_checks():
    assert len(CHECKS) > 10


@pytest.mark.parametrize("check", CHECKS)
def test_on_a_real_kernel(said, check):
    assert said.get(check, "did not run")[:3] == "ok ", said.get(check)
