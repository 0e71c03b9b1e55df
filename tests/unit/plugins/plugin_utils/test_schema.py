# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Vip
from hypothesis import given, settings
from hypothesis import strategies as st


def read(kind: Any, value: Any) -> tuple[Any, list[str]]:
    problems: list[str] = []
    got = schema.read_value(kind, value, "here", lambda *problem: problems.append(": ".join(problem)))
    return got, problems


@pytest.mark.parametrize(("value", "expected"), [(7, 7), ("7", 7), (" 7 ", 7), (0, 0), ("0", 0)])
def test_integers(value, expected):
    assert read(schema.Integer(0, 9), value) == (expected, [])


@pytest.mark.parametrize("value", [10, -1, "10", "x", "", 1.0, True, [1], "٣"])
def test_no_integers(value):
    assert read(schema.Integer(0, 9), value)[0] is UNREADABLE


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("yes", True), ("False", False), ("off", False), (0, False), (1, True)]
)
def test_booleans(value, expected):
    assert read(schema.Boolean(), value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "address", "prefix"),
    [
        ("192.0.2.10", "192.0.2.10", None),
        ("192.0.2.10/24", "192.0.2.10", 24),
        ("2001:DB8:0:0::10/64", "2001:db8::10", 64),
        ("169.254.1.1", "169.254.1.1", None),
    ],
)
def test_vips(value, address, prefix):
    assert read(schema.VipAddress(), value) == (Vip(ipaddress.ip_address(address), prefix), [])


@settings(deadline=None)
@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text()), st.ip_addresses().map(str)))
def test_every_value_is_read_or_refused_with_a_reason(value):
    for field in (*schema.VARIABLES, *schema.SERVICE.fields, *schema.REAL_SERVER.fields):
        got, problems = read(field.kind, value)
        assert (got is UNREADABLE) <= bool(problems)


@pytest.mark.parametrize(("value", "expected"), [(7, (7, 7)), ("7", (7, 7)), ("7-9", (7, 9)), ("7 - 9", (7, 9))])
def test_ranges(value, expected):
    assert read(schema.IntegerRange(1, 9), value) == (expected, [])


@pytest.mark.parametrize("value", [0, "7-10", "9-7", "-7", "7-", "7-8-9", "x", "", True, [7, 9], 7.0])
def test_no_ranges(value):
    assert read(schema.IntegerRange(1, 9), value)[0] is UNREADABLE


def test_one_stands_for_a_list_of_one():
    assert read(schema.ListOf(schema.Integer(0, 9), single=True), 3) == ([3], [])
    assert read(schema.ListOf(schema.Integer(0, 9)), 3)[0] is UNREADABLE


def test_every_item_of_a_list_is_judged():
    got, problems = read(schema.ListOf(schema.Integer(0, 9)), [1, "x", 3, 99])
    assert got == [1, UNREADABLE, 3, UNREADABLE]
    assert [problem.partition(":")[0] for problem in problems] == ["here[1]", "here[3]"]


def test_a_bare_value_stands_for_its_key():
    assert read(schema.PERSISTENCE, 60)[0] == {"timeout": 60, "netmask": None, "engine": None}
    assert read(schema.CHECK, "none")[0]["type"] == "none"


def test_defaults_fill_what_is_missing():
    got, problems = read(schema.SERVICE, {"name": "web", "vip": "192.0.2.10", "port": 80, "forward": "dr"})
    assert problems == []
    assert {key: got[key] for key in ("protocol", "scheduler", "one_packet", "scheduler_flags", "group")} == {
        "protocol": "tcp",
        "scheduler": "wlc",
        "one_packet": False,
        "scheduler_flags": (),
        "group": False,
    }


def test_every_field_is_documented():
    for field in schema.VARIABLES:
        assert field.description.endswith(".")
        assert field.name.startswith("lvs_")


def test_long_values_are_shown_short():
    assert len(schema.show("x" * 1000)) == 60
    assert "\n" not in schema.show("a\nb")
