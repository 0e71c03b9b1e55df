# SPDX-License-Identifier: GPL-3.0-or-later
"""ftp behind LVS-NAT: the kernel's helper leads data connections to the server that has the session."""

from __future__ import annotations

import json

import pytest
from lab import ftp
from lab.common import run

CASES = {"203.0.113.11": "203.0.113.4", "2001:db8:f::11": "2001:db8:f::4"}


@pytest.fixture(scope="module")
def fetch(cluster):
    """fetch(vip, port, passive): whom the server's data connection sees, and whom the client's; or what went wrong."""
    cluster.daemon("rs2", "ftp", ftp.SERVER, ":21 ", 2)

    def fetch(vip: str, port: int, passive: bool) -> list[str]:
        request = json.dumps([[vip, port, passive]], separators=(",", ":"))
        command = cluster.ssh("client", f"python3 - '{request}'")
        return run(command, stdin=ftp.CLIENT, timeout=60).stdout.split()[-2:]

    return fetch


@pytest.mark.parametrize("vip", CASES)
@pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])
def test_data_connections_are_between_client_and_vip(fetch, vip, passive):
    assert fetch(vip, 21, passive) == [CASES[vip], vip]


def test_without_the_helper_the_client_is_told_an_address_that_it_cannot_reach(fetch):
    said, number = fetch("203.0.113.11", 2121, passive=True)
    assert said == "!OSError"
    assert number == "101"  # ENETUNREACH


def test_without_the_helper_the_server_comes_from_elsewhere(fetch):
    """As any connection that a real server opens: from the VIP that the inventory has first."""
    assert fetch("203.0.113.11", 2121, passive=False) == ["203.0.113.4", "203.0.113.10"]
