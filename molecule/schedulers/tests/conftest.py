# SPDX-License-Identifier: GPL-3.0-or-later
"""The real servers of this scenario answer on many ports, and its client asks from many addresses."""

from __future__ import annotations

import pytest
from lab.farm import farm as running_farm


@pytest.fixture(scope="session")
def farm(cluster, request):
    """The services by name: ask() opens connections from any address, servers() is what the director counts."""
    with running_farm(cluster) as running:
        yield running
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n".join(["", *running.table]))
