# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator put in place by hand, before the first run and through all of them, is still there."""

from __future__ import annotations

import pytest
from lab.cluster import directors

DIRECTORS = directors()


@pytest.mark.parametrize("name", DIRECTORS)
def test_row_in_the_table(cluster, name):
    table = cluster.table(name)
    assert "-A -t 192.0.2.98:99 -s rr" in table
    assert "-a -t 192.0.2.98:99 -r 192.0.2.96:99 -m -w 7" in table


@pytest.mark.parametrize("name", [*DIRECTORS, "rs1", "rs2"])
def test_addresses(cluster, name):
    addresses = cluster.run(name, "ip -o address")
    assert "192.0.2.98/32" in addresses
    assert "192.0.2.97/32" in addresses
