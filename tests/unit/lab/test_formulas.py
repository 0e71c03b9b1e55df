# SPDX-License-Identifier: GPL-3.0-or-later
"""The formulas by which the lab judges the kernel's schedulers."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.tests.lab import formulas as f


def servers(**loads: tuple[int, int, int]) -> dict[str, f.Server]:
    """Servers by (weight, active, inactive)."""
    return {name: f.Server(*load) for name, load in loads.items()}


@pytest.mark.parametrize(
    ("scheduler", "loads", "expected"),
    [
        # The weight means nothing to lc; an active connection is 256 inactive ones.
        ("lc", {"a": (9, 1, 0), "b": (1, 0, 255), "c": (1, 0, 300)}, {"b"}),
        ("lc", {"a": (1, 1, 0), "b": (1, 0, 257)}, {"a"}),
        ("wlc", {"a": (4, 4, 0), "b": (1, 1, 0)}, {"a", "b"}),
        ("wlc", {"a": (4, 4, 1), "b": (1, 1, 0)}, {"b"}),
        # sed counts the new connection and no inactive one; so the strong server is first although all are idle.
        ("sed", {"a": (4, 0, 99), "b": (3, 0, 0)}, {"a"}),
        ("sed", {"a": (4, 3, 0), "b": (1, 0, 0)}, {"a", "b"}),
        ("nq", {"a": (4, 1, 0), "b": (1, 0, 0)}, {"b"}),
        ("nq", {"a": (4, 1, 0), "b": (1, 1, 0)}, {"a"}),
        ("fo", {"a": (4, 99, 0), "b": (3, 0, 0)}, {"a"}),
        # As many as its weight are not yet too many.
        ("ovf", {"a": (4, 4, 0), "b": (3, 0, 0)}, {"a"}),
        ("ovf", {"a": (4, 5, 0), "b": (3, 0, 0)}, {"b"}),
        ("ovf", {"a": (1, 2, 0)}, set()),
    ],
)
def test_whom_a_scheduler_may_take(scheduler, loads, expected):
    assert f.CONNECTION_COUNTING[scheduler](servers(**loads)) == expected


@pytest.mark.parametrize("scheduler", f.CONNECTION_COUNTING)
def test_nobody_takes_a_server_of_weight_0_or_a_full_one(scheduler):
    choices = f.CONNECTION_COUNTING[scheduler]
    out = {"quiet": f.Server(0), "full": f.Server(9, full=True)}
    assert choices({**out, "busy": f.Server(5, active=5, inactive=5)}) == {"busy"}
    assert choices(out) == set()


def test_following_connections_finds_the_one_that_went_wrong():
    start = servers(a=(2, 0, 0), b=(1, 0, 0))
    wrong, now = f.follow(f.sed, start, ["a", "b", "a", "b"])
    assert [text.partition(":")[0] for text in wrong] == ["connection 3 went to b, the formula says a"]
    assert {name: server.active for name, server in now.items()} == {"a": 2, "b": 2}
    assert f.follow(f.sed, start, ["a", "!TimeoutError"])[0]
    assert f.follow(f.sed, start, ["a", "b", "a"])[0] == []


def test_what_ended_counts_as_inactive():
    assert f.closed(servers(a=(1, 3, 1), b=(1, 1, 0)), ["a", "a"]) == servers(a=(1, 1, 3), b=(1, 1, 0))


def test_lblc_stays_until_its_server_is_overloaded_and_another_half_idle():
    local = f.Local()
    local.took("vip", "a")
    assert local.choices("vip", servers(a=(1, 1, 0), b=(1, 0, 0))) == {"a"}
    assert local.choices("vip", servers(a=(1, 2, 0), b=(1, 0, 0))) == {"b"}
    assert local.choices("vip", servers(a=(1, 2, 0), b=(1, 1, 0))) == {"a"}
    assert local.choices("vip", servers(a=(0, 0, 0), b=(1, 9, 0))) == {"b"}
    assert local.choices("other", servers(a=(1, 2, 0), b=(1, 1, 0))) == {"b"}
    local.took("vip", "b")
    assert local.choices("vip", servers(a=(1, 0, 0), b=(1, 1, 0))) == {"b"}


def test_lblcr_keeps_a_set_and_takes_the_least_loaded_of_it():
    local = f.Local(keeps_set=True)
    local.took("vip", "a")
    local.took("vip", "b")
    assert local.choices("vip", servers(a=(1, 1, 0), b=(1, 1, 1), c=(1, 0, 0))) == {"a"}
    assert local.choices("vip", servers(a=(1, 2, 0), b=(1, 2, 0), c=(1, 0, 0))) == {"c"}
    assert local.choices("vip", servers(a=(1, 2, 0), b=(1, 2, 0), c=(1, 1, 0))) == {"a", "b"}


def test_who_moved():
    assert f.moved({"x": "a", "y": "b", "z": "b"}, {"x": "a", "y": "a", "z": "!"}) == {"y", "z"}


LISTING = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.10:8002 wrr persistent 300
  -> 192.0.2.11:8002              Masq    4      2          7
  -> 192.0.2.12:8002              Masq    3      0          0
UDP  192.0.2.20:53 rr ops
  -> 192.0.2.11:53                Route   1      0          0
SCTP [2001:db8::10]:9 rr
  -> [2001:db8::11]:9             Masq    1      1          0
FWM  1154230 dh
  -> 192.0.2.11:0                 Masq    1      0          3
"""


def test_ipvsadms_listing():
    assert f.rows(LISTING) == [
        f.Row("TCP", "192.0.2.10:8002", "wrr", {"192.0.2.11": f.Server(4, 2, 7), "192.0.2.12": f.Server(3)}),
        f.Row("UDP", "192.0.2.20:53", "rr", {"192.0.2.11": f.Server(1)}),
        f.Row("SCTP", "[2001:db8::10]:9", "rr", {"2001:db8::11": f.Server(1, 1)}),
        f.Row("FWM", "1154230", "dh", {"192.0.2.11": f.Server(1, 0, 3)}),
    ]
