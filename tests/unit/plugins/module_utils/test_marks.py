# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of our nftables table, and the kernel's answer: the listing is what nft 1.0.6 printed after this text."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.lvs.cluster.plugins.module_utils import marks

RULES = [
    'ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x00abcdef comment "shop"',
    'ip6 daddr 2001:db8::10 meta l4proto udp meta mark set 0x00000007 comment "dns"',
]
TEXT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
table inet lvs_cluster
delete table inet lvs_cluster
table inet lvs_cluster {
    chain marks_84ecfda4 {
        type filter hook prerouting priority mangle; policy accept;
        ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x00abcdef comment "shop"
        ip6 daddr 2001:db8::10 meta l4proto udp meta mark set 0x00000007 comment "dns"
    }
}
"""
LISTING = (pathlib.Path(__file__).parent / "fixtures" / "nft_list_1.0.6.json").read_text()


def test_the_file_replaces_our_table_and_touches_no_other():
    assert marks.text(RULES) == TEXT


def test_a_files_rules():
    assert marks.rules_of(TEXT) == RULES
    assert marks.rules_of(TEXT.replace("abcdef", "abcdee")) == []
    assert marks.rules_of("") == marks.rules_of("# something else\n") == []


def test_the_kernels_table_is_recognised():
    assert marks.found(LISTING) == marks.summary(RULES) == "inet lvs_cluster marks_84ecfda4 2"


def test_other_rules_have_another_chain():
    assert marks.summary(RULES) != marks.summary(RULES[::-1])
    assert marks.summary(RULES).split()[:2] == marks.summary(RULES[:1]).split()[:2]


def test_what_others_did_to_it_shows():
    rows = json.loads(LISTING)["nftables"]

    def without(*kinds):
        return json.dumps({"nftables": [row for row in rows if not set(row) & set(kinds)]})

    assert marks.found(without("rule")) == "inet lvs_cluster marks_84ecfda4 0"
    assert marks.found(without("rule", "chain")) == "inet lvs_cluster empty 0"
    assert marks.found(without("rule", "chain", "table")) is None
    assert marks.found("") is None
    more = {"chain": {"family": "inet", "table": "lvs_cluster", "name": "a", "handle": 9}}
    assert marks.found(json.dumps({"nftables": [*rows, more]})) == "inet lvs_cluster a+marks_84ecfda4 2"
