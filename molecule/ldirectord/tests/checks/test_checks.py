# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check that ldirectord knows lets a server in that is well, takes it out when it is ill, and lets it in again."""

from __future__ import annotations

import pytest
from lab.common import LabError, poll

VIP = "172.17.60.202"
NEVER = {"closed"}
ALWAYS = {"unasked"}
ILL = "touch /srv/daemons/ill; sysctl -qw net.ipv4.icmp_echo_ignore_all=1"
WELL = "rm -f /srv/daemons/ill; sysctl -qw net.ipv4.icmp_echo_ignore_all=0"


@pytest.fixture(scope="module")
def services(cluster):
    """{name: protocol letter, VIP and port} of those that a check of their own watches."""
    found = {}
    for one in cluster.variables("director")["lvs_services"]:
        if one["vip"] == VIP:
            letter = "u" if one.get("protocol") == "udp" else "t"
            found[one["name"]] = f"-{letter} {one['vip']}:{one['port']}"
    return found


@pytest.fixture
def sick(cluster):
    cluster.run("rs1", ILL)
    yield
    cluster.run("rs1", WELL)


def served(cluster, services):
    """The services that have a real server which gets connections."""
    rows = [row.split(" -r ") for row in cluster.table("director") if " -r " in row and not row.endswith("-w 0")]
    keys = {row[0].removeprefix("-a ") for row in rows}
    return {name for name, key in services.items() if key in keys}


def until(cluster, services, wanted):
    try:
        poll("the services", 300, lambda: served(cluster, services) == wanted)
    except LabError:
        log = cluster.run("director", "tail -n 60 /var/log/ldirectord.log")
        have = served(cluster, services)
        pytest.fail(f"missing: {sorted(wanted - have)}, too many: {sorted(have - wanted)}\n{log}")


def test_servers_that_are_well_are_in(cluster, services):
    assert len(services) == 22
    until(cluster, services, set(services) - NEVER)


def test_servers_that_are_ill_are_out(cluster, services, sick):
    until(cluster, services, ALWAYS)


def test_servers_that_are_well_again_come_back(cluster, services):
    until(cluster, services, set(services) - NEVER)


SQL = {"login": "lvs", "password": "known", "database": "shop", "request": "SELECT 1 FROM alive"}


def test_checks_whose_modules_are_not_installed_are_judged_and_announced(cluster):
    """Databases: the packages come with the run that needs them; the file is judged before."""
    services = cluster.variables("director")["lvs_services"]
    base = {**services[3], "check": None}
    more = [
        {**base, "name": kind, "port": 9030 + n, "check": {**SQL, "type": kind}}
        for n, kind in enumerate(("mysql", "pgsql", "oracle"))
    ]
    variables = {name: {"lvs_services": services + more} for name in ("director", "rs1", "rs2")}
    said = cluster.deploy(variables, "--check", "--diff")
    for kind in ("mysql", "pgsql", "oracle"):
        assert f"service = {kind}" in said
    assert "known" not in said
