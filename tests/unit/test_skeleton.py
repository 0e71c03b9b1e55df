# SPDX-License-Identifier: GPL-3.0-or-later
"""What no linter sees: that the parts of the repository agree with one another."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/tasks/main.yml"))
SOURCES = [
    path
    for folder in ("plugins", "tests", "molecule")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if "__pycache__" not in path.parts
]
PAGES = [
    ROOT / "README.md",
    *(page for folder in ("docs", "tests", "roles") for page in ROOT.glob(f"{folder}/**/*.md")),
]


def load(path: str):
    return yaml.safe_load((ROOT / path).read_text())


def main_options(role: str) -> dict:
    return load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})


def test_there_are_roles():
    assert ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_documents_what_it_defaults_and_defaults_what_it_documents(role):
    defaults = load(f"roles/{role}/defaults/main.yml") or {}
    documented = {name: option["default"] for name, option in main_options(role).items() if "default" in option}
    required = {name for name, option in main_options(role).items() if option.get("required")}
    assert set(defaults) == set(main_options(role)) - required
    assert {name: value for name, value in defaults.items() if name in documented} == documented


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_its_variables_after_itself(role):
    assert [name for name in main_options(role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_carries_its_licence(path):
    head = path.read_text()[:400]
    assert not head or "SPDX-License-Identifier: GPL-3.0-or-later" in head


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_readme_explains_the_demo_as_it_is():
    hosts, cluster, *_ = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert yaml.safe_load(hosts)["lvs"] == load("examples/demo/inventory/hosts.yml")["lvs"]
    assert yaml.safe_load(cluster) == load("examples/demo/inventory/group_vars/lvs.yml")


def test_the_shell_and_the_lab_agree_where_state_is_kept(monkeypatch):
    monkeypatch.delenv("LVS_LAB_STATE", raising=False)

    def says(*command: str, cwd: Path) -> str:
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout

    shell = says("sh", "-c", 'eval "$(tests/bin/env)"; echo "$LVS_LAB_STATE"', cwd=ROOT)
    lab = says(sys.executable, "-c", "from lab.common import state; print(state())", cwd=ROOT / "tests")
    assert shell == lab


def test_every_version_is_pinned():
    pins = [line for line in (ROOT / "requirements-dev.txt").read_text().splitlines() if line and line[0] != "#"]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9-]+==[0-9.]+", pin)] == []
