# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import networkd


@pytest.fixture
def host(tmp_path):
    """A host on which networkd manages eth0 and knows of lo."""
    for index, (name, state) in enumerate(
        {"lo": "ADMIN_STATE=unmanaged\n", "eth0": "NETWORK_FILE=/run/x/10-lan.network\n"}.items()
    ):
        (tmp_path / "net" / name).mkdir(parents=True)
        (tmp_path / "net" / name / "ifindex").write_text(f"{index}\n")
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / str(index)).write_text("# private\n" + state)
    return {"links": str(tmp_path / "links"), "net": str(tmp_path / "net")}


def test_a_managed_device_gets_a_drop_in_beside_its_file(host):
    found = networkd.drop_ins([("192.0.2.10/32", "eth0")], False, **host)
    assert found == {"/etc/systemd/network/10-lan.network.d/90-lvs-cluster.conf": networkd.KEEP_ADDRESSES}


def test_an_ipv6_vip_is_dynamic_to_networkd(host):
    found = networkd.drop_ins([("192.0.2.10/32", "eth0"), ("2001:db8::10/128", "eth0")], False, **host)
    assert list(found.values()) == [networkd.KEEP_ALL_ADDRESSES]


def test_an_unmanaged_or_unknown_device_gets_none(host):
    assert networkd.drop_ins([("192.0.2.10/32", "lo"), ("192.0.2.10/32", "lvs0")], False, **host) == {}


def test_rules_and_routes_are_kept_too(host):
    assert list(networkd.drop_ins([], True, **host)) == ["/etc/systemd/networkd.conf.d/90-lvs-cluster.conf"]


def test_a_host_without_networkd_gets_nothing(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    assert networkd.drop_ins([("192.0.2.10/32", "eth0")], True, nowhere, nowhere) == {}
