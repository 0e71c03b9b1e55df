# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""The nftables table of our own that marks and rewrites packets: its text, and whether the kernel has it.

Each record has a table of its own, so that two roles on one host do not write each other's. The kernel's table is not
compared with the text word by word, because each version of nft prints rules in its own way. The chains' names carry a
digest of their place and their rules, and the number of rules is compared beside them. Pure.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Dict, List, NamedTuple, Optional

Rules = Dict[str, List[str]]
"""The rules of each chain, in its order."""


class Chain(NamedTuple):
    """Where a chain's rules meet packets, and which of several that match decides."""

    head: str
    last_decides: bool


CHAINS = {
    "mark": Chain("type filter hook prerouting priority mangle", last_decides=True),
    "redirect": Chain("type nat hook prerouting priority dstnat", last_decides=False),
    "masquerade": Chain("type nat hook postrouting priority srcnat", last_decides=False),
    # Rules that change or drop what goes out, as others will see it: after replies have got the source back that a
    # redirect took from them.
    "clamp": Chain("type filter hook postrouting priority srcnat + 10", last_decides=True),
}

# `table` before `delete table`: deleting one that is not there would be an error. nft does all of it or nothing, and
# other tables are not in it.
_TEXT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
table %(table)s
delete table %(table)s
table %(table)s {
%(chains)s}
"""

_CHAIN = """\
    chain %(name)s {
        %(head)s; policy accept;
%(rules)s    }
"""


def table_of(record: str) -> str:
    """Return the family and name of the table that belongs to a record: inet lvs_director of director.record."""
    return "inet lvs_%s" % re.sub(r"\W", "_", _stem(record))


def file_of(record: str) -> str:
    """Return the file beside the record that holds its table."""
    return os.path.join(os.path.dirname(record), "%s.nft" % _stem(record))


def _stem(record: str) -> str:
    return os.path.splitext(os.path.basename(record))[0]


def _name(chain: str, rules: List[str]) -> str:
    lines = "\n".join([CHAINS[chain].head, *rules])
    return "%s_%s" % (chain, hashlib.sha256(lines.encode("utf-8")).hexdigest()[:8])


def text(table: str, rules: Rules) -> str:
    """Return the file that makes our table hold these rules and no other, for `nft -f`."""
    chains = [
        _CHAIN
        % {
            "name": _name(chain, rules[chain]),
            "head": CHAINS[chain].head,
            "rules": "".join("        %s\n" % rule for rule in rules[chain]),
        }
        for chain in CHAINS
        if rules.get(chain)
    ]
    return _TEXT % {"table": table, "chains": "".join(chains)}


def rules_of(table: str, content: str) -> Rules:
    """Return the rules in such a file; none in one that is not ours any more."""
    rules: Rules = {}
    for block in content.split("    chain ")[1:]:
        lines = block.splitlines()
        rules[lines[0].rpartition("_")[0]] = [line.strip() for line in lines if line.startswith(" " * 8)][1:]
    known = all(chain in CHAINS for chain in rules)
    return rules if known and text(table, rules) == content else {}


def leaving(wanted: Rules, written: Rules) -> Rules:
    """Return the rules of a file that are no longer wanted."""
    gone = {chain: [rule for rule in rules if rule not in wanted.get(chain, [])] for chain, rules in written.items()}
    return {chain: rules for chain, rules in gone.items() if rules}


def beside(wanted: Rules, left: Rules) -> Rules:
    """Return the wanted rules with others that are left beside them, and that decide nothing the wanted ones decide."""
    found = {}
    for chain, kind in CHAINS.items():
        first, second = left.get(chain, []), wanted.get(chain, [])
        found[chain] = first + second if kind.last_decides else second + first
    return found


def summary(table: str, rules: Rules) -> str:
    """Return what tells a table with these rules from every other: its name, its chains, how many rules."""
    chains = [_name(chain, rules[chain]) for chain in CHAINS if rules.get(chain)]
    return _summary(table, chains, sum(len(rules[chain]) for chain in rules))


def found(table: str, listing: str) -> Optional[str]:
    """Return the same of the kernel's table, from what `nft -j list table` prints."""
    rows = json.loads(listing or "{}").get("nftables", [])
    if not any("table" in row for row in rows):
        return None
    return _summary(table, [row["chain"]["name"] for row in rows if "chain" in row], sum("rule" in row for row in rows))


def _summary(table: str, chains: List[str], count: int) -> str:
    return "%s %s %d" % (table, "+".join(sorted(chains)) or "empty", count)
