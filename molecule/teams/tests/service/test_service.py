# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sees of the two clusters, and how the playbook that made them came to the hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab.cluster import recaps

CLIENT = "192.0.2.100"
CLUSTERS = ["shop-director", "shop-rs", "mail-director", "mail-rs"]


def test_each_cluster_answers_on_its_vip(client):
    shop = client.ask("192.0.2.10", 80, count=20)
    mail = client.ask("192.0.2.20", 8080, count=20)
    assert (shop.by, shop.seen) == ({"shop-rs": 20}, {CLIENT: 20})
    assert (mail.by, mail.seen) == ({"mail-rs": 20}, {CLIENT: 20})


def test_no_director_serves_the_other_cluster(cluster, client):
    assert cluster.table("shop-director") == [
        "-A -t 192.0.2.10:80 -s wlc",
        "-a -t 192.0.2.10:80 -r 192.0.2.11:80 -g -w 1",
    ]
    assert cluster.table("mail-director") == [
        "-A -t 192.0.2.20:8080 -s wlc",
        "-a -t 192.0.2.20:8080 -r 198.51.100.11:80 -m -w 1",
    ]
    assert client.arp("192.0.2.10") == {cluster.mac("shop-director")}
    assert client.arp("192.0.2.20") == {cluster.mac("mail-director")}


def test_the_bare_host_got_its_packages(cluster):
    states = cluster.run("shop-director", "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' ipvsadm iproute2 kmod")
    assert states.splitlines() == ["iproute2 installed", "ipvsadm installed", "kmod installed"]


@pytest.mark.parametrize("name", CLUSTERS)
def test_an_ordinary_user_became_root(cluster, name):
    """sudo's log has only what the user did: a login as root, or over root's connection, would leave it empty."""
    logged = cluster.run(name, "cat /var/log/sudo.log")
    assert logged.count(" : ops : ") >= len(["check", "converge", "idempotence"])


def test_one_host_at_a_time():
    """Each run, the check run included, begins a play anew for every host of it."""
    log = Path(os.environ["ANSIBLE_LOG_PATH"]).read_text().partition("PLAY [Hand over the hosts]")[2]
    runs = [recap for recap in recaps() if recap.keys() == set(CLUSTERS)][1:]  # the first handed over the hosts
    assert len(runs) >= 3
    assert log.count("PLAY [Prepare the real servers, one after the other]") == 2 * len(runs)
    assert log.count("PLAY [Set up the directors, one after the other]") == 2 * len(runs)
