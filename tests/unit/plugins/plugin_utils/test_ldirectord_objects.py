# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role ldirectord puts on a host."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import record
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.plugins.plugin_utils import boot, ldirectord, objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import inventory, pair, service

OPTIONS = {"services": [], "sysctls": {}, "modules": True}


def seen(hostvars, groups, host="director1"):
    return view(pack(build(hostvars, groups)), host)


def config(*services, options=OPTIONS, **shared):
    return objects.ldirectord_objects(seen(*inventory(*services, lvs_health="ldirectord", **shared)), options)


def files(found):
    return {row["path"]: row for row in found["files"]}


def test_its_file_its_unit_and_its_judge():
    found = config()
    row = files(found)[ldirectord.CONF]
    assert row["content"].startswith(ldirectord.HEADER)
    assert (row["mode"], row["redact"]) == ("0600", ldirectord.REDACT)
    assert found["secret_files"] == []
    assert (found["units"], found["idle_units"]) == (["lvs-cluster.service", "ldirectord.service"], [])
    (daemon,) = found["daemons"]
    assert daemon["files"] == [ldirectord.CONF]
    assert daemon["judge"][-2:] == ["{program}", "modules"]
    assert config(options={**OPTIONS, "modules": False})["daemons"][0]["judge"][-1] == ""


def test_with_a_password_the_whole_file_is_secret():
    services = [service(check={"type": "pop", "login": "l", "password": "p4ss"})]
    found = config(*services, options={**OPTIONS, "services": services})
    (row,) = found["secret_files"]
    assert 'passwd = "p4ss"' in row["content"]
    assert (row["path"], row["mode"], row["redact"]) == (ldirectord.CONF, "0600", ldirectord.REDACT)
    assert "p4ss" not in str(found["files"])


def test_a_password_in_lines_of_ones_own_is_one_too():
    assert config(service(ldirectord='passwd = "p4ss"'))["secret_files"]


def test_its_rows_are_a_record_that_the_director_role_can_take_over():
    text = files(config(service(), service(name="b", port=81, persistence=9)))[ldirectord.TABLE]["content"]
    rows = seen(*inventory(service(), service(name="b", port=81, persistence=9)))["table"]
    assert record.parse(text, "x") == t.complete_table(t.parse_config(rows))
    assert files(config())[ldirectord.TABLE]["mode"] == "0600"


def test_a_folder_for_maintenance():
    path = "/etc/lvs/down/README"
    assert path not in files(config())
    assert path in files(config(lvs_ldirectord={"maintenance_directory": "/etc/lvs/down"}))


def test_under_heartbeat_its_unit_rests():
    both = seen(*pair(lvs_health="ldirectord", lvs_failover="external"))
    found = objects.ldirectord_objects({**both, "failover": "heartbeat"}, OPTIONS)
    assert (found["units"], found["idle_units"]) == (["lvs-cluster.service"], ["ldirectord.service"])


def test_a_host_without_use_for_it():
    with pytest.raises(objects.ObjectsError, match="has no use for ldirectord: lvs_health is none"):
        objects.ldirectord_objects(seen(*inventory()), OPTIONS)
    with pytest.raises(objects.ObjectsError, match="is no director"):
        objects.ldirectord_objects(seen(*inventory(lvs_health="ldirectord"), host="rs1"), OPTIONS)


def test_the_drop_in_waits_for_its_end():
    text = files(config())[boot.LDIRECTORD_DROP_IN]["content"]
    assert 'ExecStop=/bin/sh -c \'while kill -0 "$$(cat /run/ldirectord.ldirectord.pid)"' in text
    assert "After=lvs-cluster.service" in text
