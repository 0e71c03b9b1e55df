# SPDX-License-Identifier: GPL-3.0-or-later
"""The action as a playbook runs it: a real ansible-playbook over small inventories, without any host to connect to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - lvs.cluster.model:
      register: __lvs_cluster
      run_once: true
    - ansible.builtin.debug:
        msg: "VIEW {{ __lvs_cluster | lvs.cluster.view(inventory_hostname) | to_json }}"
"""

HOSTS = {
    "lvs": {
        "vars": {
            "ansible_ssh_executable": "/nonexistent/ssh",
            "number": 10,
            "lvs_services": [
                {"name": "web", "vip": "192.0.2.{{ number }}", "port": "{{ 8 * 10 }}", "forward": "dr"},
                {"name": "web6", "vip": "2001:db8::10", "port": 80, "forward": "dr"},
            ],
        },
        "children": {
            "directors": {"hosts": {"d1": {"lvs_address": ["10.0.0.1", "2001:db8:1::1"], "lvs_interface": "eth0"}}},
            "realservers": {
                "hosts": {
                    "rs1": {"lvs_address": ["10.0.0.11", "2001:db8:1::11"]},
                    "rs2": {"lvs_address": ["10.0.0.{{ 6 + 6 }}", "2001:db8:1::12"], "lvs_weight": "{{ 0 }}"},
                }
            },
        },
    },
    "clients": {"hosts": {"client1": {}}},
}


@pytest.fixture
def play(tmp_path):
    """Run the play over an inventory; return its exit status, what it printed and the hosts' views."""

    def run(inventory, *options, playbook=PLAY):
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": inventory}}))
        (tmp_path / "play.yml").write_text(playbook)
        (tmp_path / "ansible.cfg").write_text("")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": next(
                path for path in sys.path if os.path.isdir(f"{path}/ansible_collections/lvs")
            ),
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml", *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        messages = (json.loads(f"{{{line}}}")["msg"] for line in done.stdout.splitlines() if '"msg": "VIEW ' in line)
        views = {view["host"]: view for view in (json.loads(message[5:]) for message in messages)}
        return done.returncode, done.stdout + done.stderr, views

    return run


def test_every_host_learns_what_it_is_whatever_the_limit(play):
    status, printed, views = play(HOSTS, "--limit", "rs2,d1,client1", "--check")
    assert status == 0, printed
    assert set(views) == {"rs2", "d1", "client1"}
    assert views["client1"] == {"host": "client1", "cluster": None, "director": False, "realserver": False}
    assert [row["port"] for row in views["d1"]["table"]] == [80, 80]
    assert [(server["address"], server["weight"]) for server in views["d1"]["table"][0]["real_servers"]] == [
        ("10.0.0.11", 1),
        ("10.0.0.12", 0),
    ]
    assert [vip["address"] for vip in views["rs2"]["hidden_vips"]] == ["192.0.2.10", "2001:db8::10"]
    assert "changed=1" not in printed


def test_a_bad_inventory_stops_with_every_problem(play):
    bad = json.loads(json.dumps(HOSTS))
    bad["lvs"]["vars"]["lvs_services"][0]["forward"] = "drr"
    bad["lvs"]["vars"]["lvs_service"] = []
    bad["lvs"]["children"]["realservers"]["hosts"]["rs1"]["lvs_weight"] = -1
    status, printed, views = play(bad)
    assert (status, views) == (2, {})
    assert "The inventory has 3 problems" in printed
    for line in (
        "lvs_service (d1, rs1, rs2): there is no such variable, and lvs_ names are reserved;"
        " did you mean lvs_services?",
        "lvs_services[0] (web).forward: 'drr' is not one of nat, dr, tun; did you mean dr?",
        "lvs_weight (rs1): -1 is not a whole number 0..65535",
    ):
        assert line in printed


def test_a_value_that_cannot_be_read_names_variable_and_host(play):
    bad = json.loads(json.dumps(HOSTS))
    bad["lvs"]["children"]["realservers"]["hosts"]["rs1"]["lvs_weight"] = "{{ heavy }}"
    status, printed, _ = play(bad)
    assert status == 2
    assert "lvs_weight (rs1): cannot be read: " in printed
    assert "'heavy' is undefined" in printed


def test_vaulted_values_are_decrypted(play, tmp_path):
    secret = VaultLib([("default", VaultSecret(b"password"))]).encrypt("198.51.100.99")
    (tmp_path / "password").write_text("password")
    (tmp_path / "host_vars").mkdir()
    indented = textwrap.indent(secret.decode(), "    ")
    (tmp_path / "host_vars" / "rs1.yml").write_text(f"lvs_address:\n  - !vault |\n{indented}\n  - 2001:db8:1::11\n")
    status, printed, views = play(HOSTS, "--vault-password-file", "password")
    assert status == 0, printed
    assert views["rs1"]["ipv4"] == "198.51.100.99"
    status, printed, _ = play(HOSTS)
    assert status == 2
    assert "lvs_address (rs1): cannot be read: " in printed
    assert "vault" in printed


def test_variables_of_a_play_are_refused_and_extra_variables_are_not(play):
    options = ("-e", '{"lvs_removed": "quiesce"}')
    status, printed, views = play(HOSTS, *options)
    assert (status, views["d1"]["removed"]) == (0, "quiesce"), printed
    with_vars = PLAY.replace("gather_facts: false", "gather_facts: false\n  vars: {lvs_removed: quiesce}")
    status, printed, _ = play(HOSTS, playbook=with_vars)
    assert status == 2
    assert "lvs_removed: is set by the play, a role or a task, which other hosts do not see" in printed
