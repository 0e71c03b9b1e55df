# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import drift as d
from ansible_collections.lvs.cluster.plugins.module_utils import plan as p
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
RS1, RS2 = ((t.parse_address(f"192.0.2.1{n}"), 80) for n in (1, 2))
SORRY = (t.parse_address("192.0.2.50"), 80)


def described(check=None, fallback=None, **changes):
    row = {
        "address": "192.0.2.10",
        "port": 80,
        "protocol": "tcp",
        "scheduler": "rr",
        "real_servers": [{"address": f"192.0.2.1{n}", "port": 80, "forward": "dr", "weight": n} for n in (1, 2)],
        **changes,
    }
    return {"row": row, "check": check or {"type": "tcp"}, "fallback": fallback}


KEY = t.parse_config([described()["row"]])[0].service.key
UP = {RS1: d.Opinion(True, 1), RS2: d.Opinion(True, 2)}


def kernel(*lines):
    return t.parse_saved("".join(f"{line}\n" for line in lines))


GOOD = (
    "-A -t 192.0.2.10:80 -s rr",
    "-a -t 192.0.2.10:80 -r 192.0.2.11:80 -g -w 1",
    "-a -t 192.0.2.10:80 -r 192.0.2.12:80 -g -w 2",
)


def found(lines, opinion=None, row=None):
    watched = d.parse_watched([row or described()])
    return d.find(watched, kernel(*lines), {} if opinion is None else {KEY: opinion})


def mended(lines, opinion, row=None):
    actions = [one.action for one in found(lines, opinion, row)]
    return p.apply_to_table(actions, kernel(*lines))


@pytest.mark.parametrize("version", ["2.1.5", "2.2.7", "2.3.3"])
def test_what_each_version_writes_is_understood(version):
    opinions = d.parse_data((FIXTURES / f"keepalived_check_{version}.txt").read_text())
    by_port = {key[3]: {t.format_address(where[0]): one for where, one in own.items()} for key, own in opinions.items()}
    assert by_port == {
        80: {
            "192.0.2.11": d.Opinion(True, 2),
            "192.0.2.12": d.Opinion(True, 1),
            "192.0.2.13": d.Opinion(True, 0),  # down, and inhibited
        },
        81: {"192.0.2.13": d.Opinion(False, 0), "192.0.2.50": d.Opinion(True, 1)},  # down, and taken out
        82: {"192.0.2.13": d.Opinion(True, 0)},  # in maintenance
    }


MARKED = """\
------< LVS Topology >------
 ------< Virtual server >------
 VS FWMARK = 4294967295
   Address family = inet
   One packet scheduling = disabled
   protocol = none
   alive = 1
   ------< Real server >------
   RIP = 192.0.2.11, RPORT = 0, WEIGHT = 1 EFF WEIGHT = 1
   alive = 1
   RS set = 1
 ------< Virtual server >------
 VS FWMARK = 4294967295
   Address family = inet6
   protocol = none
   ------< Real server >------
   RIP = 2001:db8::11, RPORT = 0, WEIGHT = 1 EFF WEIGHT = 1
   alive = 0
   RS set = 0
------< Health checkers >------
"""


def test_services_by_mark_are_told_apart_by_their_family():
    lines = ("-A -f 4294967295 -s rr", "-a -f 4294967295 -r 192.0.2.11:0 -g -w 1")
    six = ("-A -f 4294967295 -6 -s rr", "-a -f 4294967295 -6 -r [2001:db8::11]:0 -g -w 1")
    opinions = d.parse_data(MARKED)
    assert opinions == {
        key: {key_: d.Opinion(key[0] == t.AF_INET, int(key[0] == t.AF_INET)) for key_ in entry.real_servers}
        for key, entry in kernel(*lines, *six).items()
    }
    rows = [
        {
            "fwmark": 4294967295,
            "family": family,
            "scheduler": "rr",
            "real_servers": [{"address": address, "port": 0, "forward": "dr", "weight": 1}],
        }
        for family, address in (("ipv4", "192.0.2.11"), ("ipv6", "2001:db8::11"))
    ]
    fallback = {"address": "192.0.2.50", "port": 0, "forward": "dr"}
    watched = d.parse_watched([{"row": row, "check": {"type": "tcp"}, "fallback": fallback} for row in rows])
    assert d.find(watched, kernel(*lines, six[0]), opinions) == []
    (one,) = d.find(watched, kernel(*lines, *six), opinions)
    assert one.text == "[2001:db8::11]:0 of fwmark 4294967295 (ipv6) is there, and keepalived has taken it out"
    (one,) = d.find(watched, kernel(lines[0], "-a -f 4294967295 -r 192.0.2.50:0 -g -w 1", six[0]), opinions)
    assert one.text == "192.0.2.11:0 of fwmark 4294967295 (ipv4) is missing, and keepalived holds it"


def test_half_a_text_is_no_opinion_of_what_is_not_in_it():
    text = (FIXTURES / "keepalived_check_2.2.7.txt").read_text()
    for end in range(0, len(text), 97):
        d.parse_data(text[:end].rpartition("\n")[0])


def test_a_table_as_described_has_no_drift():
    assert found(GOOD, UP) == []
    assert found(GOOD) == []


def test_what_health_checks_did_is_no_drift():
    dead = {RS1: d.Opinion(True, 1), RS2: d.Opinion(False, 0)}
    assert found(GOOD[:2], dead) == []
    inhibited = {RS1: d.Opinion(True, 1), RS2: d.Opinion(True, 0)}
    assert found((*GOOD[:2], GOOD[2].replace("-w 2", "-w 0")), inhibited) == []


def test_without_an_opinion_the_missing_are_taken_for_dead():
    assert found(GOOD[:2]) == []
    assert found((*GOOD[:2], GOOD[2].replace("-w 2", "-w 0"))) == []


def test_a_real_server_that_keepalived_holds_up_is_put_back():
    (one,) = found(GOOD[:2], UP)
    assert one.text == "192.0.2.12:80 of tcp 192.0.2.10:80 is missing, and keepalived holds it"
    assert mended(GOOD[:2], UP) == kernel(*GOOD)
    (one,) = found((*GOOD[:2], GOOD[2].replace("-w 2", "-w 0")), UP)
    assert one.text.endswith("has weight 0 in place of 2")


def test_a_dead_one_that_somebody_put_back_goes_again():
    dead = {RS1: d.Opinion(True, 1), RS2: d.Opinion(False, 0)}
    (one,) = found(GOOD, dead)
    assert one.text.endswith("is there, and keepalived has taken it out")
    assert mended(GOOD, dead) == kernel(*GOOD[:2])
    inhibited = {RS1: d.Opinion(True, 1), RS2: d.Opinion(True, 0)}
    assert mended(GOOD, inhibited) == kernel(*GOOD[:2], GOOD[2].replace("-w 2", "-w 0"))


@pytest.mark.parametrize(
    "wrong",
    [
        (GOOD[0].replace("rr", "wlc"), *GOOD[1:]),
        (GOOD[0] + " -p 300", *GOOD[1:]),
        (GOOD[0], GOOD[1].replace("-g", "-i"), GOOD[2]),
        (GOOD[0], GOOD[1].replace("-w 1", "-w 7"), GOOD[2]),
        (GOOD[0], GOOD[1] + " -x 5", GOOD[2]),
        (*GOOD, "-a -t 192.0.2.10:80 -r 192.0.2.99:80 -g -w 1"),
        (),
    ],
)
def test_everything_else_is_drift_and_is_mended(wrong):
    assert found(wrong, UP)
    assert mended(wrong, UP) == kernel(*GOOD)


def test_others_services_are_not_looked_at():
    assert found((*GOOD, "-A -t 192.0.2.99:80 -s rr"), UP) == []


def test_the_fallback_may_be_there():
    row = described(fallback={"address": "192.0.2.50", "port": 80, "forward": "dr"})
    lines = (GOOD[0], "-a -t 192.0.2.10:80 -r 192.0.2.50:80 -g -w 1")
    down = {RS1: d.Opinion(False, 1), RS2: d.Opinion(False, 2)}
    assert found(lines, down, row) == []


def test_a_fallback_that_keepalived_forgot_goes_in_any_case():
    row = described(fallback={"address": "192.0.2.50", "port": 80, "forward": "dr"})
    fallback = (t.parse_address("192.0.2.50"), 80)
    lines = (*GOOD, "-a -t 192.0.2.10:80 -r 192.0.2.50:80 -g -w 1")
    (one,) = found(lines, {**UP, fallback: d.Opinion(False, 1)}, row)
    assert one.forgotten
    assert one.text == "the fallback 192.0.2.50:80 of tcp 192.0.2.10:80 answers beside the real servers"
    assert mended(lines, {**UP, fallback: d.Opinion(False, 1)}, row) == kernel(*GOOD)
    assert found(lines, {**UP, fallback: d.Opinion(True, 1)}, row) == []


def test_weights_that_checks_set_are_keepalived_own():
    row = described(check={"type": "script", "dynamic": True})
    lines = (GOOD[0], GOOD[1].replace("-w 1", "-w 40"), GOOD[2])
    assert found(lines, {RS1: d.Opinion(True, 40), RS2: d.Opinion(True, 2)}, row) == []
    assert found(lines, None, row) == []
    assert found(lines, UP, row) != []


def test_only_what_lasts_counts():
    first, second = found(GOOD[:1], UP), found(GOOD[:2], UP)
    assert [one.text for one in d.both(first, second)] == [second[0].text]
