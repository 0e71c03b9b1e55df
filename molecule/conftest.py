# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios: nodes, a client that asks and counts, and what a director or the network says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))

from lab.cluster import Cluster  # noqa: E402


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The running scenario, as Molecule names it."""
    return Cluster(os.environ["MOLECULE_SCENARIO_NAME"])


@pytest.fixture(scope="session")
def node(cluster: Cluster):
    """node("rs1") is that node as a testinfra host."""
    return cluster.host


@pytest.fixture(scope="session")
def client(cluster: Cluster):
    """The node named client: ask() sends requests and counts who answered."""
    return cluster.client("client")
