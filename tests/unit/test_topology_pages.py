# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of docs/topologies show the inventories that the scenarios run, and none is missing."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.lvs.cluster.tests import topology_pages as t

TOPOLOGIES = (
    *("nat", "dr", "tun", "keepalived", "ha-dr", "ultramonkey", "high-capacity", "vgate"),
    *("schedulers", "gateways", "marks", "streamlined", "two-boxes"),
)
FOLDER = t.ROOT / t.PAGES
PAGES = sorted(page.name for page in FOLDER.glob("*.md") if page.name != "README.md")


def directors(scenario: str) -> dict:
    """The hosts of a scenario's directors group, where that belongs to an LVS cluster."""
    inventory = yaml.safe_load((t.ROOT / f"molecule/{scenario}/inventory/hosts.yml").read_text())
    groups = (inventory.get("lvs") or {}).get("children") or {}
    return (groups.get("directors") or {}).get("hosts") or {}


def test_no_page_is_stale():
    assert [page.name for page in t.stale()] == []


def test_check_says_so_too(capsys):
    assert t.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_every_page_is_in_the_table():
    linked = re.findall(r"\]\(([^)/#]+\.md)\)", (FOLDER / "README.md").read_text())
    assert sorted(set(linked)) == PAGES


@pytest.mark.parametrize("scenario", TOPOLOGIES)
def test_every_topology_that_runs_has_a_page_with_its_inventory(scenario):
    assert directors(scenario)
    inventory = t.ROOT / f"molecule/{scenario}/inventory"
    files = [inventory / "hosts.yml", *inventory.glob("group_vars/*.yml")]
    shown = t.BLOCK.findall((FOLDER / f"{scenario}.md").read_text())
    assert {str(file.relative_to(t.ROOT)) for file in files} <= set(shown)
    assert len(files) >= 2


@pytest.fixture
def page(tmp_path):
    """A page that shows a file as it was, in a checkout of its own."""
    (tmp_path / "molecule").mkdir()
    (tmp_path / "molecule" / "one.yml").write_text("---\nnew: 1\n")
    page = tmp_path / t.PAGES / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text("before\n\n<!-- molecule/one.yml -->\n```yaml\n---\nold: 1\n```\n\nafter\n")
    return page


def test_a_stale_page_is_named_and_left(tmp_path, page, capsys):
    before = page.read_text()
    assert t.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out == "docs/topologies/page.md: stale\n"
    assert page.read_text() == before


def test_a_stale_page_is_written_anew(tmp_path, page):
    assert t.main([], tmp_path) == 0
    assert page.read_text() == "before\n\n<!-- molecule/one.yml -->\n```yaml\n---\nnew: 1\n```\n\nafter\n"
    assert t.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("old", ["", "```yaml\n```\n", "```yaml\nold: 1\n```\n"])
def test_a_block_may_be_missing_empty_or_old(tmp_path, page, old):
    comment = "<!-- molecule/one.yml -->\n"
    new = f"{comment}```yaml\n---\nnew: 1\n```\n"
    assert t.refreshed(f"{comment}{old}{comment}{old}end\n", tmp_path) == f"{new}{new}end\n"


def test_a_comment_that_names_no_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yml"):
        t.refreshed("<!-- molecule/none.yml -->\n", tmp_path)
