# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes what the nodes look like before the first run, for the comparison when everything is removed again."""

from __future__ import annotations

import json

import pytest
from lab.common import state


@pytest.mark.parametrize("name", ["director", "rs1", "rs2"])
def test_note_the_node(cluster, traces, name):
    seen = traces(name)
    assert any(line.endswith(" /etc/hostname") for line in seen)
    assert not any("lvs" in line for line in seen)
    (state() / cluster.scenario / f"before-{name}.json").write_text(json.dumps(seen))
