# SPDX-License-Identifier: GPL-3.0-or-later
"""The real servers of this scenario answer on many ports; its client asks from several addresses, in many ways."""

from __future__ import annotations

import json
import re

import pytest
from lab import ftp
from lab.answers import ANSWER, TRY
from lab.common import run

SERVERS = ("rs1", "rs2")
RULE = re.compile(r'meta mark set (0x[0-9a-f]+) comment "(.*)"')
# What is the kernel's and not the node's is left out: sysctls that a module brings, devices of tunnels.
TRACES = r"""
ip -o address show | awk '{print $2, $3, $4}' | sort
ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | grep -vE '^(local )?fe80|^multicast'
nft list ruleset; ipvsadm -Sn
find /etc /usr/local -xdev -type f -exec sha256sum {} + | sort -k 2
find /etc /usr/local -xdev '(' -type l -o -type d ')' -printf '%p %l\n' | sort
"""


@pytest.fixture(scope="module")
def answering(cluster):
    """Real servers that answer on more than the web's port."""
    for name in SERVERS:
        cluster.daemon(name, "answer", ANSWER, ":(443|5300|8080|8443) ", 4)
        cluster.daemon(name, "ftp", ftp.SERVER, ":21 ", 2)


@pytest.fixture(scope="module")
def ask(cluster, answering):
    """ask([source, kind, address, port], ...) is who answered each."""

    def asking(*cases, program=TRY, node="client"):
        words = json.dumps(cases, separators=(",", ":"))
        command = cluster.ssh(node, f"python3 - '{words}'")
        return run(command, stdin=program, timeout=60 + 30 * len(cases)).stdout.splitlines()

    return asking


@pytest.fixture(scope="session")
def numbers(cluster):
    """numbers() is the mark that each service's packets get, by the service's name."""

    def read():
        table = cluster.run("director", "nft list table inet lvs_director")
        return {name: int(mark, 16) for mark, name in RULE.findall(table)}

    return read


@pytest.fixture(scope="session")
def traces(cluster):
    """traces(node) is what a run could leave behind there."""
    return lambda name: cluster.run(name, TRACES).splitlines()
