# SPDX-License-Identifier: GPL-3.0-or-later
"""The VIP answers, through the tunnel; before the reboot and, with no Ansible in between, after it."""

from __future__ import annotations

import pytest

CASES = {"172.17.60.201": "172.17.0.4", "2001:db8:60::201": "2001:db8:60::4"}


@pytest.mark.parametrize("vip", CASES)
def test_the_server_answers(client, vip):
    answers = client.ask(vip, count=10)
    assert answers.by == {"rs1": 10}
    assert answers.seen == {CASES[vip]: 10}


@pytest.mark.parametrize("vip", CASES)
def test_no_reply_passes_the_director(cluster, client, vip):
    before = cluster.traffic("director", vip, 80)
    client.ask(vip, count=4)
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_director_alone_answers_arp(cluster, client):
    assert client.arp("172.17.60.201") == {cluster.mac("director")}
