# SPDX-License-Identifier: GPL-3.0-or-later
"""The host module and its packet rules, with a kernel's nftables in memory."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.modules import host
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

SHOP = "ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x7"
DNS = "ip daddr 192.0.2.10 udp dport 53 meta mark set 0x8"
DELETE = "nft delete table inet lvs_director"
VIP = "ip address replace 192.0.2.10/32 dev eth0"


class Host:
    """A folder, an nft that keeps one table, and other commands that are noted instead of run."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder / "lvs"
        self.file = self.folder / "director.nft"
        self.record = self.folder / "director.record"
        self.load = f"nft -f {self.file}"
        self.commands = []
        self.kernel = None
        self.installed = True
        self.refuses = ""
        self.addresses = []
        self.judged = []
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))
        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _self, name: "/usr/sbin/nft" * self.installed or None)

    def command(self, words):
        if words[0] == "nft":
            assert self.installed
            return self.nft(words)
        if words[:2] == ["ip", "-j"]:
            return 0, json.dumps([{"ifname": "eth0", "flags": ["UP"], "addr_info": self.addresses}]), ""
        self.commands.append(" ".join(words))
        return 0, "", ""

    def nft(self, words):
        if words[1] == "-j":
            return (0, self.listing(), "") if self.kernel else (1, "", "Error: No such file or directory\n")
        if words[1] == "-c":
            self.judged.append(pathlib.Path(words[3]).read_text())
            return (1, "", f"{words[3]}:6:9-9: Error: {self.refuses}\n") if self.refuses else (0, "", "")
        self.commands.append(" ".join(words))
        self.kernel = None if words[1] == "delete" else pathlib.Path(words[2]).read_text()
        return 0, "", ""

    def listing(self):
        rows = [{"table": {}}, {"chain": {"name": re.search(r"chain (\S+)", self.kernel).group(1)}}]
        return json.dumps({"nftables": [*rows, *([{"rule": {}}] * self.kernel.count("meta mark set"))]})

    def run(self, *marks, check=False, state="present", removals="now", vip=True):
        config = {
            "packets": {"mark": list(marks)},
            "addresses": [{"address": "192.0.2.10/32", "interface": "eth0"}] * vip,
        }
        params = {"record": str(self.record), "state": state, "removals": removals}
        self.commands.clear()
        self.judged.clear()
        given = {**params, "config": config} if state == "present" else params
        result = run(self.monkeypatch, host, given, check=check)
        self.addresses = [{"local": "192.0.2.10", "prefixlen": 32}] if VIP in self.commands else self.addresses
        return result


@pytest.fixture
def director(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_marks_are_judged_and_there_before_the_vip(director):
    result = director.run(SHOP)
    assert result["changed"]
    assert director.commands == [director.load, VIP]
    assert director.judged == [director.kernel] == [director.file.read_text()]
    assert SHOP in director.kernel
    assert re.search(r"^packets inet lvs_director mark_[0-9a-f]{8} 1$", director.record.read_text(), re.MULTILINE)
    assert not director.run(SHOP)["changed"]
    assert (director.commands, director.judged) == ([], [])


def test_other_marks_replace_them_in_one_step(director):
    director.run(SHOP)
    assert director.run(SHOP, DNS)["changed"]
    assert director.commands == [director.load]
    assert DNS in director.kernel
    assert director.record.read_text().count("\npackets ") == 1


@pytest.mark.parametrize("damage", ["flushed", "a rule gone", "another table of our name"])
def test_what_the_kernel_has_lost_is_loaded_again(director, damage):
    director.run(SHOP, DNS)
    good = director.kernel
    director.kernel = {
        "flushed": None,
        "a rule gone": good.replace(DNS, ""),
        "another table of our name": "chain x { }",
    }[damage]
    assert director.run(SHOP, DNS)["changed"]
    assert director.commands == [director.load]
    assert director.kernel == good


def test_check_mode_predicts_and_changes_nothing(director):
    result = director.run(SHOP, check=True)
    assert result["changed"]
    assert director.load in result["commands"]
    assert director.judged
    assert (director.commands, director.kernel) == ([], None)
    assert not director.folder.exists()


def test_the_diff_shows_the_rules(director):
    director.run(SHOP)
    diff = director.run(DNS, check=True)["diff"]
    (file,) = (part for part in diff if part["before_header"] == str(director.file))
    assert SHOP in file["before"]
    assert DNS in file["after"]


def test_refused_marks_change_nothing(director):
    director.run(SHOP)
    director.refuses = "syntax error, unexpected saddr"
    result = director.run("ip saddr meta mark set 0x7")
    assert result["failed"]
    assert f"nft refuses the new {director.file}, so nothing was changed. It says:\n" in result["msg"]
    assert f"{director.file}:6:9-9: Error: syntax error" in result["msg"]
    assert director.commands == []
    assert SHOP in director.file.read_text()


def test_a_host_without_nft(director):
    director.installed = False
    result = director.run(SHOP, check=True)
    assert result["changed"]
    assert result["warnings"] == [f"{director.file}: nft is not installed yet; the run will let it judge"]
    result = director.run(SHOP)
    assert result["failed"]
    assert result["msg"].endswith(f"{director.file}: nft is not installed to load it; install nftables")
    assert not director.folder.exists()


def test_without_marks_nobody_asks_for_nft(director):
    director.installed = False
    assert not director.run().get("failed")
    assert director.run(state="absent")["changed"]


def test_marks_stay_until_removals_are_due(director):
    director.run(SHOP)
    result = director.run(removals="later")
    assert not result["changed"]
    assert any(line.startswith("packets inet lvs_director") for line in result["stale"])
    assert director.kernel
    assert director.file.exists()
    director.run()
    assert director.commands == [DELETE]
    assert not director.file.exists()
    assert "packets" not in director.record.read_text()


def test_single_marks_stay_until_removals_are_due(director):
    director.run(SHOP)
    result = director.run(DNS, removals="later")
    assert result["changed"]
    assert result["stale"] == [f"mark rule {SHOP}"]
    assert director.kernel.index(SHOP) < director.kernel.index(DNS)
    again = director.run(DNS, removals="later")
    assert (again["changed"], again["stale"]) == (False, [f"mark rule {SHOP}"])
    assert director.run(DNS)["changed"]
    assert SHOP not in director.kernel
    settled = director.run(DNS, removals="later")
    assert (settled["changed"], settled["stale"]) == (False, [])


def test_marks_that_somebody_wrote_into_the_file_do_not_stay(director):
    director.run(SHOP)
    director.file.write_text(director.file.read_text().replace("0x7", "nonsense"))
    result = director.run(DNS, removals="later")
    assert result["stale"] == []
    assert "nonsense" not in director.kernel


def test_nothing_is_left_and_the_marks_go_after_the_vip(director):
    director.run(SHOP)
    director.run(state="absent")
    assert director.commands == ["ip address del 192.0.2.10/32 dev eth0", DELETE]
    assert director.kernel is None
    assert not director.folder.exists()


def test_a_table_that_is_gone_already_is_only_forgotten(director):
    director.run(SHOP)
    director.kernel = None
    director.run(state="absent")
    assert DELETE not in director.commands
    assert not director.folder.exists()


def test_a_table_whose_record_was_lost_is_still_ours(director):
    director.run(SHOP)
    director.record.unlink()
    director.run(SHOP)
    director.run(state="absent")
    assert DELETE in director.commands


def test_an_nft_that_cannot_list_is_an_error(director):
    director.run(SHOP)
    director.nft = lambda words: (1, "", "Error: JSON support not compiled-in\n")
    result = director.run(SHOP)
    assert result["failed"]
    assert "nft -j list table inet lvs_director: Error: JSON support not compiled-in" in result["msg"]
