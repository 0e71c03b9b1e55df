# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of our nftables table, and the kernel's answer: the listing is what nft 1.0.6 printed after this text."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import packets

TABLE = "inet lvs_director"
MARKS = [
    'ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x00abcdef comment "shop"',
    'ip6 daddr 2001:db8::10 meta l4proto udp meta mark set 0x00000007 comment "dns"',
]
RULES = {"mark": MARKS}
TEXT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
table inet lvs_director
delete table inet lvs_director
table inet lvs_director {
    chain mark_7948c81f {
        type filter hook prerouting priority mangle; policy accept;
        ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x00abcdef comment "shop"
        ip6 daddr 2001:db8::10 meta l4proto udp meta mark set 0x00000007 comment "dns"
    }
}
"""
LISTING = (pathlib.Path(__file__).parent / "fixtures" / "nft_list_1.0.6.json").read_text()
REDIRECT = "ip daddr 192.0.2.10 tcp dport 80 redirect to :8080"


def test_each_record_has_a_table_and_a_file():
    assert packets.table_of("/etc/lvs/director.record") == TABLE
    assert packets.file_of("/etc/lvs/director.record") == "/etc/lvs/director.nft"
    assert packets.table_of("/srv/my-own.record") == "inet lvs_my_own"


def test_the_file_replaces_our_table_and_touches_no_other():
    assert packets.text(TABLE, RULES) == packets.text(TABLE, {**RULES, "clamp": []}) == TEXT


def test_each_chain_has_its_place():
    text = packets.text(TABLE, {**RULES, "redirect": [REDIRECT], "masquerade": ["masquerade"], "clamp": ["accept"]})
    assert text.count("policy accept") == 4
    for head, rule in (
        ("type nat hook prerouting priority dstnat", REDIRECT),
        ("type nat hook postrouting priority srcnat", "masquerade"),
        ("type filter hook postrouting priority srcnat + 10", "accept"),
    ):
        assert f"        {head}; policy accept;\n        {rule}\n" in text


@pytest.mark.parametrize("rules", [RULES, {"redirect": [REDIRECT]}, {**RULES, "redirect": [REDIRECT]}])
def test_a_files_rules(rules):
    assert packets.rules_of(TABLE, packets.text(TABLE, rules)) == rules


def test_a_file_that_is_not_ours_any_more_has_none():
    assert packets.rules_of(TABLE, TEXT.replace("abcdef", "abcdee")) == {}
    assert packets.rules_of(TABLE, TEXT.replace("mark_79", "other_79")) == {}
    assert packets.rules_of("inet other", TEXT) == {}
    assert packets.rules_of(TABLE, "") == packets.rules_of(TABLE, "# something else\n") == {}


def test_the_kernels_table_is_recognised():
    assert packets.found(TABLE, LISTING) == packets.summary(TABLE, RULES) == "inet lvs_director mark_7948c81f 2"


def test_another_place_makes_another_chain(monkeypatch):
    monkeypatch.setitem(packets.CHAINS, "mark", packets.CHAINS["mark"]._replace(head="type filter hook prerouting"))
    assert packets.found(TABLE, LISTING) != packets.summary(TABLE, RULES)


def test_other_rules_have_another_chain():
    turned = {"mark": MARKS[::-1]}
    assert packets.summary(TABLE, RULES) != packets.summary(TABLE, turned)
    assert packets.summary(TABLE, RULES) != packets.summary(TABLE, {"redirect": MARKS})
    assert packets.summary(TABLE, RULES).split()[:2] == packets.summary(TABLE, {"mark": MARKS[:1]}).split()[:2]


def test_what_leaves_decides_nothing_beside_what_is_wanted():
    left = packets.leaving({"mark": ["new"], "redirect": ["new"]}, {"mark": ["old", "new"], "redirect": ["old"]})
    assert left == {"mark": ["old"], "redirect": ["old"]}
    both = packets.beside({"mark": ["new"], "redirect": ["new"]}, left)
    assert both["mark"] == ["old", "new"]  # the last one that matches decides
    assert both["redirect"] == ["new", "old"]  # the first one


def test_what_others_did_to_it_shows():
    rows = json.loads(LISTING)["nftables"]

    def without(*kinds):
        return json.dumps({"nftables": [row for row in rows if not set(row) & set(kinds)]})

    assert packets.found(TABLE, without("rule")) == "inet lvs_director mark_7948c81f 0"
    assert packets.found(TABLE, without("rule", "chain")) == "inet lvs_director empty 0"
    assert packets.found(TABLE, without("rule", "chain", "table")) is None
    assert packets.found(TABLE, "") is None
    more = {"chain": {"family": "inet", "table": "lvs_director", "name": "a", "handle": 9}}
    assert packets.found(TABLE, json.dumps({"nftables": [*rows, more]})) == "inet lvs_director a+mark_7948c81f 2"
