# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""The nftables table of our own that puts firewall marks on packets: its text, and whether the kernel has it.

The kernel's table is not compared with the text word by word, because each version of nft prints rules in its own way.
The chain's name carries a digest of the rules, and their number is compared beside it. Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import List, Optional

TABLE = "inet lvs_cluster"
FILE = "marks.nft"

# `table` before `delete table`: deleting one that is not there would be an error. nft does all of it or nothing, and
# other tables are not in it.
_TEXT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
table %(table)s
delete table %(table)s
table %(table)s {
    chain %(chain)s {
        type filter hook prerouting priority mangle; policy accept;
%(rules)s    }
}
"""


def _chain(rules: List[str]) -> str:
    return "marks_%s" % hashlib.sha256("\n".join(rules).encode("utf-8")).hexdigest()[:8]


def text(rules: List[str]) -> str:
    """Return the file that makes our table hold these rules and no other, for `nft -f`."""
    lines = "".join("        %s\n" % rule for rule in rules)
    return _TEXT % {"table": TABLE, "chain": _chain(rules), "rules": lines}


def rules_of(content: str) -> List[str]:
    """Return the rules in such a file; none in one that is not ours any more."""
    rules = [line.strip() for line in content.splitlines() if line.startswith(" " * 8)][1:]
    return rules if text(rules) == content else []


def summary(rules: List[str]) -> str:
    """Return what tells a table with these rules from every other: its name, its chain, how many rules."""
    return _summary([_chain(rules)], len(rules))


def found(listing: str) -> Optional[str]:
    """Return the same of the kernel's table, from what `nft -j list table` prints."""
    rows = json.loads(listing or "{}").get("nftables", [])
    if not any("table" in row for row in rows):
        return None
    return _summary([row["chain"]["name"] for row in rows if "chain" in row], sum("rule" in row for row in rows))


def _summary(chains: List[str], count: int) -> str:
    return "%s %s %d" % (TABLE, "+".join(sorted(chains)) or "empty", count)
