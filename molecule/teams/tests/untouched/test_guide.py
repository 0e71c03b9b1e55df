# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/import-roles.md prints is what this scenario runs, word for word."""

from __future__ import annotations

import re

from lab.common import CHECKOUT

SCENARIO = CHECKOUT / "molecule" / "teams"
FILES = (
    *("inventory/hosts.yml", "inventory/group_vars/shop.yml", "inventory/group_vars/mail.yml"),
    *("converge.yml", "site.yml", "vars/login.yml"),
)


def test_every_example_is_a_file_of_the_scenario():
    guide = (CHECKOUT / "docs" / "import-roles.md").read_text()
    printed = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert printed == [(SCENARIO / name).read_text().removeprefix("---\n") for name in FILES]
