# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes what the nodes look like before the first run, for the comparison when everything is removed again."""

from __future__ import annotations

import json

import pytest
from lab.common import state


@pytest.mark.parametrize("name", ["director", "rs1", "rs2"])
def test_note_the_node(cluster, name):
    seen = cluster.snapshot(name)
    assert seen["files"]
    assert not seen["failed units"]
    (state() / cluster.scenario / f"before-{name}.json").write_text(json.dumps(seen))
