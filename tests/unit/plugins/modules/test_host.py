# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host module says beyond its plan."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils.host_objects import Object
from ansible_collections.lvs.cluster.plugins.module_utils.host_system import File, HostRefused, HostSystem
from ansible_collections.lvs.cluster.plugins.modules import host as host_module
from ansible_collections.lvs.cluster.plugins.modules.host import unheeded
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

OPTIONS = {"/etc/modprobe.d/lvs-director.conf": File("# ours\noptions ip_vs conn_tab_bits=20\n"), "/etc/x": File("a=b")}


def loaded_with(folder, value):
    path = folder / "ip_vs" / "parameters"
    path.mkdir(parents=True)
    (path / "conn_tab_bits").write_text(value + "\n")
    return str(folder)


def test_a_module_loaded_with_other_options_is_told(tmp_path):
    (said,) = unheeded(OPTIONS, loaded_with(tmp_path, "12"))
    assert "loaded with conn_tab_bits=12; 20 counts from its next load" in said


def test_a_module_loaded_with_ours_or_not_at_all_is_not(tmp_path):
    assert unheeded(OPTIONS, str(tmp_path)) == []
    assert unheeded(OPTIONS, loaded_with(tmp_path, "20")) == []


def test_a_module_that_cannot_be_loaded_says_how_to_mend_it():
    host = HostSystem(lambda words: (1, "", "modprobe: FATAL: Module ip_vs not found"), {})
    with pytest.raises(HostRefused, match=r"Module ip_vs not found\. This kernel .* install the package that has it"):
        host.add(Object("module", "ip_vs", None))


@pytest.mark.parametrize("check", [True, False])
def test_a_scheduler_that_the_kernel_has_not_stops_the_run_before_anything_is_changed(tmp_path, monkeypatch, check):
    monkeypatch.setattr(host_module, "lacking", lambda wanted: [name for name in wanted if name == "ip_vs_twos"])
    config = {
        "needed_modules": ["ip_vs_rr", "ip_vs_twos"],
        "files": [{"path": str(tmp_path / "load"), "content": "#"}],
    }
    params = {"record": str(tmp_path / "lvs" / "director.record"), "config": config}
    # Not even the engines of an earlier inventory are named to be taken away.
    (tmp_path / "lvs").mkdir()
    (tmp_path / "lvs" / "keepalived.record").write_text("")
    result = run(monkeypatch, host_module, {**params, "rivals": ["keepalived.record"]}, check=check)
    assert result["failed"]
    assert "has no module ip_vs_twos, loaded or not, so nothing was changed" in result["msg"]
    assert [path.name for path in tmp_path.rglob("*")] == ["lvs", "keepalived.record"]
