# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles keepalived and syncd put on a host, and what the director role leaves to them."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import boot, keepalived, objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import inventory, pair, service

NO_PASSWORD = {"password": ""}


def seen(hostvars, groups, host="director1"):
    return view(pack(build(hostvars, groups)), host)


def files(config):
    return {row["path"]: row["content"] for row in config["files"]}


def test_the_director_role_leaves_moving_vips_alone():
    config = objects.director_objects(seen(*pair(service(vip="192.0.2.10/24"))), {})
    assert config["addresses"] == []
    assert config["moving"] == [{"address": "192.0.2.10/24", "interface": "eth0"}]


def test_keepalived_with_its_file_its_unit_and_its_judge():
    config = objects.keepalived_objects(seen(*pair(service(vip="192.0.2.10/24"))), NO_PASSWORD)
    found = files(config)
    assert found[keepalived.CONF].startswith(keepalived.HEADER)
    assert found[boot.MOVING] == "192.0.2.10/24 eth0\n"
    assert config["secret_files"] == []
    assert config["units"] == ["lvs-cluster.service", "keepalived.service"]
    (daemon,) = config["daemons"]
    assert daemon["files"] == [keepalived.CONF]
    assert "addresses" not in config


def test_a_password_goes_into_its_own_file():
    view_ = seen(*pair(lvs_vrrp_password="s3cr3t", lvs_vrrp={"version": 2}))
    config = objects.keepalived_objects(view_, {"password": "s3cr3t"})
    (secret,) = config["secret_files"]
    assert 'auth_pass "s3cr3t"' in secret["content"]
    assert not any("s3cr3t" in content for content in files(config).values())
    assert config["daemons"][0]["files"] == [keepalived.CONF, keepalived.SECRETS]


def test_health_alone_has_nothing_to_release():
    config = objects.keepalived_objects(seen(*inventory(lvs_health="keepalived")), NO_PASSWORD)
    assert files(config)[boot.MOVING] == ""


def test_a_director_without_use_for_the_roles():
    with pytest.raises(objects.ObjectsError, match="has no use for keepalived"):
        objects.keepalived_objects(seen(*inventory()), NO_PASSWORD)
    with pytest.raises(objects.ObjectsError, match="set lvs_sync or lvs_timeouts"):
        objects.syncd_objects(seen(*inventory()), {})
    for function in (objects.keepalived_objects, objects.syncd_objects):
        with pytest.raises(objects.ObjectsError, match="is no director"):
            function(seen(*pair(), host="rs1"), NO_PASSWORD)


def test_with_vrrp_the_unit_sets_timeouts_alone():
    config = objects.syncd_objects(seen(*pair(lvs_sync={"threshold": 2})), {"net.ipv4.vs.sync_qlen_max": 9})
    unit = files(config)[boot.SYNCD_PATH]
    assert "ExecStart=-/sbin/ipvsadm --set 900 120 300\n" in unit
    assert "--start-daemon" not in unit
    assert {row["name"]: row["value"] for row in config["sysctls"]} == {
        "net.ipv4.vs.sync_threshold": "2 50",
        "net.ipv4.vs.sync_qlen_max": "9",
    }


def test_without_vrrp_every_director_sends_and_receives():
    sync = {"interface": "eth2", "id": 7, "max_length": 1400, "port": 8849, "ttl": 2, "group": "224.0.0.82"}
    config = objects.syncd_objects(seen(*pair(lvs_failover="external", lvs_sync=sync)), {})
    unit = files(config)[boot.SYNCD_PATH]
    words = (
        "--mcast-interface eth2 --syncid 7 --sync-maxlen 1400 --mcast-group 224.0.0.82 --mcast-port 8849 --mcast-ttl 2"
    )
    for role in ("master", "backup"):
        assert f"ExecStart=-/sbin/ipvsadm --start-daemon {role} {words}\n" in unit
        assert f"ExecStop=-/sbin/ipvsadm --stop-daemon {role}\n" in unit


def test_timeouts_without_synchronisation():
    config = objects.syncd_objects(seen(*inventory(lvs_timeouts={"udp": 10})), {})
    assert "--set 900 120 10\n" in files(config)[boot.SYNCD_PATH]


def test_what_a_killed_keepalived_left_behind_is_taken_away(tmp_path):
    config = objects.keepalived_objects(seen(*pair(lvs_sync={})), NO_PASSWORD)
    (tmp_path / "release").write_text(files(config)[boot.RELEASE])
    (tmp_path / "moving").write_text("192.0.2.10/24 eth0\n2001:db8::10/128 eth1\n")
    for name in ("ip", "ipvsadm"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\nexit 2\n')
        tool.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", tmp_path / "release"], env={"PATH": path}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "calls").read_text().splitlines() == [
        "ip address del 192.0.2.10/24 dev eth0",
        "ip address del 2001:db8::10/128 dev eth1",
        "ipvsadm --stop-daemon master",
        "ipvsadm --stop-daemon backup",
    ]
    alone = files(objects.keepalived_objects(seen(*pair()), NO_PASSWORD))[boot.RELEASE]
    assert "ipvsadm" not in alone
