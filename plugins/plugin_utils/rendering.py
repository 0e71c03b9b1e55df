# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of all engines have in common: their first line, the operator's own lines, how rows are read. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES, FULL_PREFIX

HEADER = "# Written by Ansible (lvs.cluster) from the inventory; changes are overwritten.\n"


def raw_lines(text: str | None) -> list[str]:
    """Return the operator's own lines, without empty ones: where a file has blocks, those may end one."""
    return [line.rstrip() for line in (text or "").splitlines() if line.strip()]


def by_mark(row: Mapping[str, Any]) -> bool:
    return "fwmark" in row


def family_of(row: Mapping[str, Any]) -> str:
    return str(row["family"]) if by_mark(row) else FAMILIES[ipaddress.ip_address(row["address"]).version]


def persistence_mask(row: Mapping[str, Any]) -> str | None:
    """Return the netmask of a persistent row as engines write it, or None where each client is one of its own."""
    family, length = family_of(row), row["persistence"]["netmask"]
    if length == FULL_PREFIX[family]:
        return None
    return str(ipaddress.ip_network(f"0.0.0.0/{length}").netmask if family == "ipv4" else length)
