# SPDX-License-Identifier: GPL-3.0-or-later
"""The host module on a host that is a folder: judged files, reloads, what moves, what must go first."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lvs.cluster.plugins.module_utils.host_daemons import Daemon, verdict
from ansible_collections.lvs.cluster.plugins.modules import host
from ansible_collections.lvs.cluster.tests.unit.plugins.modules.ansible_run import run

UNIT = "keepalived.service"


class Host:
    """A folder, and commands that are noted instead of run."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.commands = []
        self.active = True
        self.installed = "/usr/sbin/keepalived"
        self.verdict = (0, "", "")
        self.judged = {}
        self.addresses = []
        self.killed_at = None
        monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, words, **_: self.command(words))
        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _self, name: self.installed)
        self.monkeypatch = monkeypatch

    def path(self, name):
        return str(self.folder / name)

    def command(self, words):
        text = " ".join(words)
        if words[:2] == ["ip", "-j"]:
            links = [{"ifname": "eth0", "flags": ["UP"], "addr_info": self.addresses}]
            return 0, json.dumps(links if words[2] == "address" else []), ""
        if words[:2] == ["systemctl", "show"]:
            state = "active" if self.active else "inactive"
            return (
                0,
                "\n\n".join([f"UnitFileState=enabled\nActiveState={state}\nLoadState=loaded"] * len(words[4:])),
                "",
            )
        if words[0] == "judge":
            folder = os.path.dirname(words[-1])
            self.judged = {name: pathlib.Path(folder, name).read_text() for name in os.listdir(folder)}
            status, out, err = self.verdict
            return status, out, err.replace("FILE", words[-1])
        self.commands.append(text)
        if self.killed_at and self.killed_at in text:
            raise KeyboardInterrupt
        return 0, "", ""

    def run(self, check=False, state="present", rivals=(), secret="", conf="x\n", moving=()):
        files = [self.path("k.conf")] + ([self.path("secret")] if secret else [])
        config = {
            "files": [{"path": self.path("k.conf"), "content": conf}],
            "secret_files": [{"path": self.path("secret"), "content": secret}] if secret else [],
            "units": [UNIT],
            "moving": [{"address": one, "interface": "eth0"} for one in moving],
            "daemons": [
                {
                    "unit": UNIT,
                    "program": "keepalived",
                    "files": files,
                    "judge": ["judge", "{program}"],
                    "harmless": ["^never mind"],
                }
            ],
        }
        params = {"record": self.path("lvs/x.record"), "state": state, "rivals": list(rivals)}
        return run(
            self.monkeypatch, host, {**params, **({"config": config} if state == "present" else {})}, check=check
        )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_a_file_is_judged_lands_and_the_daemon_reloads(folder):
    result = folder.run()
    assert result["changed"]
    assert folder.judged == {"k.conf": "x\n"}
    assert (folder.folder / "k.conf").read_text() == "x\n"
    assert folder.commands == [f"systemctl reload {UNIT}"]
    folder.commands.clear()
    assert not folder.run()["changed"]
    assert folder.commands == []


def test_a_daemon_that_does_not_run_is_started_and_not_reloaded(folder):
    folder.active = False
    folder.run()
    assert folder.commands == [f"systemctl enable --now {UNIT}"]


def test_a_refused_file_never_lands(folder):
    folder.run()
    folder.commands.clear()
    folder.verdict = (5, "", "(FILE: Line 3) Unknown keyword 'x'\n")
    result = folder.run(conf="y\n")
    assert result["failed"]
    path = folder.path("k.conf")
    assert f"keepalived.service refuses the new {path}, so nothing was changed" in result["msg"]
    assert f"({path}: Line 3) Unknown keyword 'x'" in result["msg"]
    assert (folder.folder / "k.conf").read_text() == "x\n"
    assert folder.commands == []


def test_a_refused_first_file_leaves_nothing_behind(folder):
    folder.verdict = (0, "", "(FILE: Line 3) Unknown keyword 'x'\n")  # 2.1.5 exits with 0
    assert folder.run()["failed"]
    assert os.listdir(folder.folder) == []


def test_check_mode_judges_and_changes_nothing(folder):
    assert folder.run(check=True)["changed"]
    assert folder.judged
    assert os.listdir(folder.folder) == []
    folder.verdict = (5, "", "no\n")
    assert folder.run(check=True)["failed"]


def test_a_judge_that_is_not_installed_yet(folder):
    folder.installed = None
    result = folder.run(check=True)
    assert result["changed"]
    assert result["warnings"] == [
        f"{folder.path('k.conf')}: keepalived is not installed yet; the run will let it judge"
    ]
    assert folder.run()["failed"]


def test_a_program_beside_path(folder):
    asked = {}
    folder.monkeypatch.setattr(
        AnsibleModule, "get_bin_path", lambda _self, name, **more: asked.update({name: more}) or "/usr/libexec/x/daemon"
    )
    params = {
        "record": folder.path("lvs/x.record"),
        "config": {
            "files": [{"path": folder.path("k.conf"), "content": "x\n"}],
            "units": [UNIT],
            "daemons": [
                {
                    "unit": UNIT,
                    "program": "daemon",
                    "folders": ["/usr/libexec/x"],
                    "files": [folder.path("k.conf")],
                    "judge": ["judge", "{program}"],
                }
            ],
        },
    }
    assert run(folder.monkeypatch, host, params)["changed"]
    assert asked == {"daemon": {"opt_dirs": ["/usr/libexec/x"]}}


def test_a_run_that_was_killed_before_the_reload_is_mended_by_the_next(folder):
    folder.run()
    folder.killed_at = "reload"
    with pytest.raises(KeyboardInterrupt):
        folder.run(conf="y\n")
    folder.killed_at = None
    folder.commands.clear()
    assert folder.run(conf="y\n")["changed"]
    assert folder.commands == [f"systemctl reload {UNIT}"]
    assert not folder.run(conf="y\n")["changed"]


def test_candidates_name_each_other_by_where_they_are(folder):
    folder.run(secret="pass word\n", conf=f"include {folder.path('secret')}\n")
    (where,) = {line.split()[1] for line in folder.judged["k.conf"].splitlines()}
    assert where != folder.path("secret")
    assert folder.judged["secret"] == "pass word\n"
    assert not os.path.exists(where)


def test_a_secret_is_in_no_diff_and_readable_by_root_alone(folder):
    result = folder.run(secret="pass s3cr3t\n")
    assert "s3cr3t" not in json.dumps(result)
    assert os.stat(folder.path("secret")).st_mode & 0o777 == 0o600
    folder.verdict = (5, "", "Unmatched quote: 'pass s3cr3t'\n")
    result = folder.run(secret="pass s3cr3t\nmore s3cr3t\n")
    assert result["failed"]
    assert "s3cr3t" not in json.dumps(result)


def test_what_stood_there_before_comes_back(folder):
    (folder.folder / "k.conf").write_text("theirs\n")
    folder.run()
    folder.run(conf="y\n")
    assert (folder.folder / "k.conf.before-lvs").read_text() == "theirs\n"
    folder.run(state="absent")
    assert (folder.folder / "k.conf").read_text() == "theirs\n"
    assert not (folder.folder / "k.conf.before-lvs").exists()


def test_a_file_of_ours_alone_goes(folder):
    folder.run()
    folder.run(state="absent")
    assert not (folder.folder / "k.conf").exists()


def test_rivals_go_first(folder):
    (folder.folder / "lvs").mkdir()
    (folder.folder / "lvs" / "y.record").write_text("unit y.service\n")
    result = folder.run(rivals=["y.record", "z.record"])
    assert result["rivals"] == ["y.record"]
    assert not result["changed"]
    assert not (folder.folder / "k.conf").exists()


def test_what_begins_to_move_leaves_the_record_and_stays_on_the_host(folder):
    vip = "192.0.2.10/32"
    (folder.folder / "lvs").mkdir()
    record = folder.folder / "lvs" / "x.record"
    record.write_text(f"address {vip} dev eth0\naddress 192.0.2.11/32 dev eth0\n")
    folder.addresses = [{"local": f"192.0.2.{n}", "prefixlen": 32} for n in (10, 11)]
    folder.run(moving=[vip])
    assert "ip address del 192.0.2.11/32 dev eth0" in folder.commands
    assert not any("192.0.2.10" in command for command in folder.commands)
    assert "192.0.2.10" not in record.read_text()


KEEPALIVED = Daemon(UNIT, "keepalived", ["/k"], ["j"], ["quorum to 0$"])


@pytest.mark.parametrize(
    ("status", "words", "accepted"),
    [
        (0, "", True),
        (0, "a word\n", False),
        (5, "a word\n", False),
        (5, "", False),
        (5, "reducing quorum to 0\n", True),
        (5, "reducing quorum to 0\nand more\n", False),
        (-11, "", False),
        (-11, "reducing quorum to 0\n", False),
    ],
)
def test_verdicts(status, words, accepted):
    why = verdict(KEEPALIVED, status, words, {}, [])
    assert (why is None) == accepted
    assert why is None or why.strip()
