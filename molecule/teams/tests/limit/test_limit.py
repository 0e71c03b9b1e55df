# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml with --limit: the shop's VIP moves to another address host by host, and the client never goes without."""

from __future__ import annotations

import re

import pytest
import yaml
from lab.cluster import quick
from lab.common import CHECKOUT, run

SCENARIO = CHECKOUT / "molecule" / "teams"
LOGIN = yaml.safe_load((SCENARIO / "vars" / "login.yml").read_text())
OLD, NEW = "192.0.2.10", "192.0.2.12"
SHOP = ["shop-director", "shop-rs"]
MAIL = ["mail-director", "mail-rs"]
LOOK = "ip -o address | grep -v fe80:; ip rule; ip -4 route show table all; cat /proc/net/ip_vs; cat /etc/lvs/*"


@pytest.fixture
def move(cluster):
    """move("--limit", "shop-rs") deploys the new VIP; returns how many changes each host of the run counted."""
    service = {"name": "web", "vip": NEW, "port": 80, "forward": "dr"}
    variables = {**{name: {**LOGIN, "lvs_services": [service]} for name in SHOP}, **dict.fromkeys(MAIL, LOGIN)}

    def deploy(*arguments):
        command, folder = cluster.deployment(variables, *arguments)
        command[-1] = "site.yml"
        recap = run(command, cwd=folder, env=quick()).stdout.split("PLAY RECAP")[1]
        return {name: int(count) for name, count in re.findall(r"^(\S+) .*changed=(\d+)", recap, re.MULTILINE)}

    return deploy


@pytest.fixture
def state_of(cluster):
    """state_of("mail-rs", ...) is what these hosts hold and remember."""
    return lambda *names: {name: without_counters(cluster.run(name, LOOK)) for name in names}


def without_counters(text: str) -> list[str]:
    """The kernel's rows end with numbers of connections, which come and go."""
    return [re.sub(r"^(  -> \S+ +\S+ +\d+) .*", r"\1", line) for line in text.splitlines()]


def test_limited_to_the_real_server(client, move, state_of):
    others = state_of("shop-director", *MAIL)
    changed = move("--limit", "shop-rs")
    assert changed.keys() == {"shop-rs"}
    assert changed["shop-rs"] > 0
    assert state_of(*others) == others
    # It takes the new VIP and keeps the old one, since the director still sends it.
    assert client.ask(OLD, count=10).by == {"shop-rs": 10}


def test_limited_to_the_director(client, move, state_of):
    others = state_of("shop-rs", *MAIL)
    changed = move("--limit", "shop-director")
    assert changed.keys() == {"shop-director"}
    assert changed["shop-director"] > 0
    assert state_of(*others) == others
    assert client.ask(NEW, count=10).by == {"shop-rs": 10}
    assert "shop-rs" not in client.ask(OLD, timeout=2).by


def test_the_whole_inventory(cluster, client, move, state_of):
    """The run that reaches the shop's director takes the old VIP from its real server; mail is as it was."""
    others = state_of("shop-director", *MAIL)
    assert f"{OLD}/32" in cluster.run("shop-rs", "ip -o address show dev lo")
    changed = move()
    assert changed == {"client": 0, "shop-rs": changed["shop-rs"], **dict.fromkeys(others, 0)}
    assert changed["shop-rs"] > 0
    assert state_of(*others) == others
    assert OLD not in cluster.run("shop-rs", "ip -o address; cat /etc/lvs/*")
    assert client.ask(NEW, count=10).by == {"shop-rs": 10}
    assert client.ask("192.0.2.20", 8080, count=10).by == {"mail-rs": 10}
