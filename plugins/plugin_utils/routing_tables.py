# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Numbers of routing tables of our own, each the priority of the rules that look there too."""

from __future__ import annotations

from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import Integer, Refused
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import ObjectsError

# The kernel's own tables: default, main and local (ip-route(8)).
OWN_TABLES = (253, 254, 255)
MAIN_TABLE, LOCAL_TABLE = OWN_TABLES[1:]

# Rules before it come one priority sooner; 32766 is that of the kernel's rule for main.
NUMBER = Integer(2, 32765)


def table_number(name: str, value: Any) -> int:
    """Return a role's variable as the number of a table, or say why it is none that may be filled."""
    try:
        number = NUMBER.read(value, name, lambda *_: None)
    except Refused as refused:
        raise ObjectsError(f"{name}: {refused}") from None
    if number in OWN_TABLES:
        raise ObjectsError(f"{name}: {number} is one of the kernel's own tables; use another number, such as 5010")
    return number
