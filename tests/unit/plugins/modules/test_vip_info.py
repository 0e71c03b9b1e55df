# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.modules import vip_info
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run


def link(name, *addresses):
    pairs = (address.split("/") for address in addresses)
    return {"ifname": name, "addr_info": [{"local": local, "prefixlen": int(length)} for local, length in pairs]}


def vip(address="192.0.2.10", interface="eth0", **more):
    return {
        "address": address,
        "prefix": 128 if ":" in address else 32,
        "interface": interface,
        "stated": False,
        **more,
    }


OWN = link("eth0", "192.0.2.2/24", "2001:db8::2/64", "fe80::1/64")


@pytest.mark.parametrize(
    ("links", "held"),
    [
        ([OWN], []),
        ([link("eth0", "192.0.2.2/24", "192.0.2.10/32")], ["192.0.2.10"]),
        ([link("eth0", "192.0.2.2/24"), link("lo", "192.0.2.10/32")], []),
    ],
)
def test_what_is_held(links, held):
    assert vip_info.look(links, [vip()], []) == (held, [])


def test_another_spelling_of_the_same_address():
    links = [link("eth0", "2001:db8::2/64", "2001:db8::10/128")]
    assert vip_info.look(links, [vip("2001:DB8:0::10")], [])[0] == ["2001:DB8:0::10"]


def test_a_vip_in_no_network_of_its_interface():
    ((wrong,),) = vip_info.look([OWN], [vip("198.51.100.10")], [])[1:]
    assert wrong == (
        "the VIP 198.51.100.10 is in no network of eth0 (192.0.2.0/24): correct it, or state a prefix length:"
        " 198.51.100.10/32"
    )
    assert vip_info.look([OWN], [vip("198.51.100.10", stated=True)], []) == ([], [])


def test_a_vip_that_is_held_does_not_vouch_for_another():
    links = [link("eth0", "192.0.2.2/24", "198.51.100.10/24")]
    assert vip_info.look(links, [vip("198.51.100.10"), vip("198.51.100.11")], [])[1]


def test_an_interface_that_is_not_there():
    held, (wrong,) = vip_info.look([OWN], [vip(interface="eth9"), vip("192.0.2.11", interface="eth9")], [])
    assert (held, wrong) == ([], "there is no interface eth9: correct lvs_interface or lvs_gateway_interface")


def test_an_address_that_adverts_cannot_come_from():
    source = {"address": "10.0.0.1", "interface": "eth0"}
    (wrong,) = vip_info.look([OWN], [vip()], [source])[1]
    assert wrong.startswith("10.0.0.1, which adverts or heartbeats are to come from, is not on eth0: say the host's")
    assert vip_info.look([OWN], [vip()], [{"address": "192.0.2.2", "interface": "eth0"}])[1] == []


@pytest.mark.parametrize(("active", "rank"), [(True, 1), (False, -1)])
def test_who_holds_vips_without_the_daemon_comes_first(monkeypatch, active, rank):
    links = [link("eth0", "192.0.2.2/24", "192.0.2.10/32")]

    def command(_self, words, **_):
        return (0, json.dumps(links), "") if words[0] == "ip" else (0 if active else 3, "", "")

    monkeypatch.setattr(AnsibleModule, "run_command", command)
    result = run(monkeypatch, vip_info, {"vips": [vip()], "unit": "keepalived.service"})
    assert (result["held"], result["rank"], result["changed"]) == (["192.0.2.10"], rank, False)


def test_what_cannot_be_held_fails(monkeypatch):
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: (0, json.dumps([OWN]), ""))
    result = run(monkeypatch, vip_info, {"vips": [vip("198.51.100.10")]})
    assert result["failed"]
    assert result["msg"].startswith("This director cannot hold the VIPs as described:\n")


def test_a_host_of_another_name():
    assert vip_info.misnamed(None, "lb1") == []
    assert vip_info.misnamed("lb1", "LB1") == []
    (wrong,) = vip_info.misnamed("director1", "LB1.example.net")
    assert wrong.startswith("`uname -n` says LB1.example.net here, and the inventory director1:")
    assert "set lvs_node_name: LB1.example.net" in wrong
