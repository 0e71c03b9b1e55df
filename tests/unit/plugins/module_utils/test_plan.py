# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: applied to a model they give what was asked, in an order that never leaves a service bare."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import plan as p
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.tests.unit.plugins.module_utils import tables
from hypothesis import given, settings
from hypothesis import strategies as st

MANY = settings(max_examples=25, deadline=None)


def plan(state, config, current, **options):
    """Plan from a config or a table, and check what holds for every plan."""
    wishes = t.parse_config(config) if isinstance(config, list) else tables.wishes_of(config)
    options = {**options, "scope": t.parse_scope(options.get("scope"))}
    busy = options.pop("busy", frozenset())
    made = p.make_plan(p.Order(state, wishes, **options), p.Current(current, busy))
    assert p.apply_to_table(made.actions, current) == made.after
    check_order(made.actions, current, made.after)
    return made


def check_order(actions, current, after):
    """No service that has servers before and after is without any in between; nothing is deleted and added again."""
    counts = {key: len(entry.real_servers) for key, entry in current.items()}
    removing = False
    for action in actions:
        key = action.service.key
        counts[key] = counts.get(key, 0) + {"-a": 1, "-d": -1}.get(action.verb, 0)
        if key in current and key in after and current[key].real_servers and after[key].real_servers:
            assert counts[key] > 0
        removing = removing or action.verb in ("-D", "-d")
        assert not (removing and action.verb in ("-A", "-a"))
        if action.verb == "-D":
            assert key not in after
        if action.verb == "-d":
            assert action.real_server.key not in after[key].real_servers


def commands(made):
    """Return a plan's actions in ipvsadm's words, without the name."""
    return [action.command()[len("ipvsadm ") :] for action in made.actions]


# --- for every table


@given(tables.tables, tables.tables)
@MANY
def test_overridden_gives_what_was_asked(current, desired):
    made = plan("overridden", desired, current, scope="all")
    assert made.after == desired
    assert plan("overridden", desired, made.after, scope="all").actions == []


@given(tables.tables, st.sampled_from(["merged", "replaced", "overridden"]))
@MANY
def test_nothing_to_do_for_what_is_there(table, state):
    assert plan(state, table, table, scope="all").actions == []


@given(tables.tables, tables.tables)
@MANY
def test_replaced_gives_the_listed_and_keeps_the_rest(current, desired):
    made = plan("replaced", desired, current)
    assert made.after == {**current, **desired}
    assert all(action.verb != "-D" for action in made.actions)


@given(tables.tables, tables.tables)
@MANY
def test_merged_removes_nothing(current, desired):
    made = plan("merged", desired, current)
    assert made.remove == []
    for key, entry in current.items():
        wanted = desired.get(key, entry)
        assert made.after[key] == t.Entry(wanted.service, {**entry.real_servers, **wanted.real_servers})
    for key, entry in desired.items():
        assert key in current or made.after[key] == entry


@given(tables.tables.flatmap(lambda table: st.tuples(st.just(table), tables.partial_configs(table))))
@MANY
def test_merged_sets_only_what_is_named(pair):
    """A config made of parts of what is there changes nothing."""
    current, config = pair
    assert plan("merged", config, current).actions == []


@given(tables.tables, tables.tables)
@MANY
def test_merged_twice_is_merged_once(current, desired):
    made = plan("merged", desired, current)
    assert plan("merged", desired, made.after).actions == []


@given(tables.tables, tables.tables)
@MANY
def test_deleted_removes_the_named_and_nothing_else(current, named):
    config = [{k: v for k, v in row.items() if k in tables.IDENTITY} for row in tables.config_of(named)]
    made = plan("deleted", config, current)
    expected = {key: entry for key, entry in current.items() if key not in named} if named else {}
    assert made.after == expected


@given(tables.tables, tables.tables, tables.scopes)
@MANY
def test_scope_limits_what_is_removed(current, desired, scope):
    made = plan("overridden", desired, current, scope=scope, recorded=None)
    parsed = t.parse_scope(scope)
    for key, entry in current.items():
        if parsed is not None and not parsed.covers(key):
            assert entry.real_servers.keys() <= made.after[key].real_servers.keys()
    for key, entry in desired.items():
        assert made.after[key].service == entry.service
        assert entry.real_servers.items() <= made.after[key].real_servers.items()


@given(tables.tables, tables.tables, tables.tables, st.sampled_from(["merged", "replaced", "overridden", "deleted"]))
@MANY
def test_with_a_record_only_recorded_rows_are_removed(current, recorded, desired, state):
    made = plan(state, desired, current, recorded=recorded)
    for key, entry in current.items():
        for server in entry.real_servers:
            if key not in recorded or server not in recorded[key].real_servers:
                assert server in made.after[key].real_servers
        if key not in recorded:
            assert key in made.after


@given(tables.tables, tables.tables, tables.tables)
@MANY
def test_the_record_is_what_was_asked(current, recorded, desired):
    made = plan("overridden", desired, current, recorded=recorded)
    assert made.record == desired
    again = plan("overridden", desired, made.after, recorded=made.record)
    assert again.actions == []
    assert again.record == desired


@given(tables.tables, tables.tables, tables.tables, st.integers(0, 40))
@MANY
def test_a_run_that_was_cut_off_is_mended_by_the_next(current, recorded, desired, cut):
    """The record is widened before the first action, so whatever was done is known to be ours."""
    whole = plan("overridden", desired, current, recorded=recorded)
    wide = whole.widened(recorded)
    halfway = p.apply_to_table(whole.actions[:cut], current)
    mended = plan("overridden", desired, halfway, recorded=wide)
    assert mended.after == whole.after
    assert mended.record == whole.record


@given(tables.tables, tables.tables)
@MANY
def test_all_that_is_recorded_can_be_given_back(foreign, ours):
    """What somebody else put there before stays, unless we named it: then it is ours."""
    made = plan("overridden", ours, foreign, recorded={})
    gone = plan("deleted", [], made.after, recorded=made.record)
    assert gone.record == {}
    for key, entry in foreign.items():
        left = gone.after.get(key, t.Entry(entry.service, {})).real_servers
        assert entry.real_servers.keys() - left.keys() <= ours.get(key, t.Entry(entry.service, {})).real_servers.keys()
        assert key in gone.after or key in ours


@given(tables.tables, tables.tables)
@MANY
def test_kept_weights_are_kept(current, desired):
    made = plan("overridden", desired, current, scope="all", keep_weights=True)
    for key, entry in made.after.items():
        for server, row in entry.real_servers.items():
            old = current[key].real_servers.get(server) if key in current else None
            wanted = desired[key].real_servers[server]
            assert row == wanted._replace(weight=old.weight if old else wanted.weight)


@given(tables.tables, tables.tables, st.data())
@MANY
def test_quiesced_real_servers_stay_until_they_are_idle(current, desired, data):
    all_rows = [(key, server) for key, entry in current.items() for server in entry.real_servers]
    busy = frozenset(data.draw(st.sets(st.sampled_from(all_rows)))) if all_rows else frozenset()
    first = plan("overridden", desired, current, recorded=current, quiesce=True, busy=busy)
    for key, server in busy:
        row = first.after[key].real_servers[server]
        if key not in desired or server not in desired[key].real_servers:
            assert row.weight == 0
            assert first.record[key].real_servers[server] == row
    second = plan("overridden", desired, first.after, recorded=first.record, quiesce=True, busy=busy)
    assert second.actions == []
    idle = plan("overridden", desired, second.after, recorded=second.record, quiesce=True)
    assert idle.after == desired
    assert idle.record == desired


# --- by name

WEB = {"address": "192.0.2.10", "port": 80}
RS1 = {"address": "198.51.100.1"}
RS2 = {"address": "198.51.100.2"}


def table(*rows):
    """Return the table that rows describe."""
    return t.complete_table(t.parse_config(list(rows)))


def test_the_order_of_actions():
    current = table({**WEB, "real_servers": [RS1]}, {"address": "192.0.2.11", "port": 80, "real_servers": [RS1, RS2]})
    made = plan(
        "overridden",
        [{**WEB, "scheduler": "rr", "real_servers": [{**RS2, "weight": 3}]}, {"fwmark": 1, "real_servers": [RS1]}],
        current,
        scope="all",
    )
    assert commands(made) == [
        "-A -f 1 -s wlc",
        "-a -f 1 -r 198.51.100.1:0 -g -w 1",
        "-a -t 192.0.2.10:80 -r 198.51.100.2:80 -g -w 3",
        "-E -t 192.0.2.10:80 -s rr",
        "-d -t 192.0.2.10:80 -r 198.51.100.1:80",
        "-D -t 192.0.2.11:80",
    ]
    assert [action.verb for action in made.remove] == ["-d", "-D"]


def test_one_weight_is_one_action():
    current = table({**WEB, "scheduler": "rr", "persistence": 50, "real_servers": [RS1, {**RS2, "forward": "nat"}]})
    made = plan("merged", [{**WEB, "real_servers": [{**RS2, "weight": 0}]}], current)
    assert commands(made) == ["-e -t 192.0.2.10:80 -r 198.51.100.2:80 -m -w 0"]


def test_merged_null_persistence_ends_persistence_and_other_nulls_mean_nothing():
    current = table({**WEB, "scheduler": "rr", "persistence": 50, "real_servers": [{**RS1, "weight": 7}]})
    row = {**WEB, "scheduler": None, "persistence": None, "real_servers": [{**RS1, "weight": None}]}
    assert commands(plan("merged", [row], current)) == ["-E -t 192.0.2.10:80 -s rr"]


def test_merged_persistence_keeps_what_is_not_named_in_it():
    current = table({**WEB, "persistence": {"timeout": 50, "netmask": 24}})
    made = plan("merged", [{**WEB, "persistence": {"timeout": 60}}], current)
    assert commands(made) == ["-E -t 192.0.2.10:80 -s wlc -p 60 -M 255.255.255.0"]


def test_a_tunnel_that_becomes_direct_routing_loses_its_tunnel():
    current = table({**WEB, "real_servers": [{**RS1, "forward": "tun", "tunnel": {"type": "gue", "port": 6080}}]})
    made = plan("merged", [{**WEB, "real_servers": [{**RS1, "forward": "dr"}]}], current)
    assert commands(made) == ["-e -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 1"]
    assert made.after == table({**WEB, "real_servers": [RS1]})
    assert plan("merged", [{**WEB, "real_servers": [{**RS1, "forward": "dr"}]}], made.after).actions == []


def test_what_only_the_whole_row_shows_is_refused_with_its_path():
    current = table({**WEB, "real_servers": [{**RS1, "port": 8080, "forward": "nat"}]})
    with pytest.raises(t.TableError, match=r"config\[0\]\.real_servers\[0\]\.port: dr cannot change the port"):
        plan("merged", [{**WEB, "real_servers": [{**RS1, "port": 8080, "forward": "dr"}]}], current)


@pytest.mark.parametrize("state", ["replaced", "overridden"])
def test_replaced_without_real_servers_means_none(state):
    current = table({**WEB, "real_servers": [RS1]})
    assert commands(plan(state, [WEB], current, scope="all")) == ["-d -t 192.0.2.10:80 -r 198.51.100.1:80"]
    assert commands(plan("merged", [WEB], current)) == []


def test_deleted_with_real_servers_removes_only_those():
    current = table({**WEB, "real_servers": [RS1, RS2]})
    assert commands(plan("deleted", [{**WEB, "real_servers": [RS1]}], current)) == [
        "-d -t 192.0.2.10:80 -r 198.51.100.1:80"
    ]
    assert commands(plan("deleted", [{**WEB, "real_servers": []}], current)) == []
    assert commands(plan("deleted", [WEB], current)) == ["-D -t 192.0.2.10:80"]


def test_deleted_leaves_what_is_not_recorded_and_says_so():
    current = table({**WEB, "real_servers": [RS1, RS2]})
    made = plan(
        "deleted", [{**WEB, "real_servers": [RS1, RS2]}], current, recorded=table({**WEB, "real_servers": [RS2]})
    )
    assert commands(made) == ["-d -t 192.0.2.10:80 -r 198.51.100.2:80"]
    assert made.warnings == ["198.51.100.1:80 of tcp 192.0.2.10:80 is left alone: it is not in the record"]
    made = plan("deleted", [WEB], current, recorded={})
    assert (made.actions, made.warnings) == ([], ["tcp 192.0.2.10:80 is left alone: it is not in the record"])


def test_deleted_out_of_scope_is_said():
    made = plan("deleted", [WEB], table(WEB), scope={"marks": [1]})
    assert (made.actions, made.warnings) == ([], ["tcp 192.0.2.10:80 is left alone: it is out of scope"])


def test_a_service_of_ours_with_a_foreign_real_server_is_not_deleted():
    recorded = table({**WEB, "real_servers": [RS1]})
    current = table({**WEB, "real_servers": [RS1, RS2]})
    made = plan("overridden", [], current, recorded=recorded)
    assert commands(made) == ["-d -t 192.0.2.10:80 -r 198.51.100.1:80"]
    assert made.record == {}
    assert made.warnings == ["tcp 192.0.2.10:80 is not deleted: it holds real servers that somebody else put there"]


def test_a_service_that_holds_what_cannot_be_said_is_not_deleted():
    current = table({**WEB, "real_servers": [RS1]})
    order = p.Order("overridden", [], scope=t.parse_scope("all"))
    made = p.make_plan(order, p.Current(current, opaque=frozenset(current)))
    assert commands(made) == ["-d -t 192.0.2.10:80 -r 198.51.100.1:80"]
    assert len(made.warnings) == 1


def test_a_busy_service_waits_with_its_busy_real_servers_only():
    current = table({**WEB, "real_servers": [RS1, RS2]})
    (key,) = current
    busy = frozenset([(key, next(iter(current[key].real_servers)))])
    made = plan("deleted", [], current, recorded=current, quiesce=True, busy=busy)
    assert commands(made) == [
        "-e -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 0",
        "-d -t 192.0.2.10:80 -r 198.51.100.2:80",
    ]
    assert made.quiesced == ["198.51.100.1:80 of tcp 192.0.2.10:80"]
    assert t.render(made.record) == "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 0\n"


def test_the_record_keeps_rows_that_nobody_spoke_of():
    recorded = table({**WEB, "real_servers": [RS1]}, {"fwmark": 9})
    made = plan("merged", [{**WEB, "real_servers": [RS2]}], recorded, recorded=recorded)
    assert made.record == table({**WEB, "real_servers": [RS1, RS2]}, {"fwmark": 9})


def test_the_record_holds_the_weights_of_the_config_even_when_running_ones_are_kept():
    current = table({**WEB, "real_servers": [{**RS1, "weight": 5}]})
    config = [{**WEB, "real_servers": [{**RS1, "weight": 2}]}]
    made = plan("overridden", config, current, recorded={}, keep_weights=True)
    assert made.actions == []
    assert made.record == table(*config)


def test_recorded_rows_out_of_scope_stay_ours():
    recorded = table({**WEB, "real_servers": [RS1]})
    made = plan("overridden", [], recorded, recorded=recorded, scope={"marks": [1]})
    assert made.actions == []
    assert made.record == recorded


def test_real_servers_of_a_listed_service_out_of_scope_stay_and_stay_ours():
    recorded = table({**WEB, "real_servers": [RS1, RS2]})
    config = [{**WEB, "scheduler": "rr", "real_servers": [RS1]}]
    made = plan("replaced", config, recorded, recorded=recorded, scope={"marks": [1]})
    assert commands(made) == ["-E -t 192.0.2.10:80 -s rr"]
    assert made.record == table({**WEB, "scheduler": "rr", "real_servers": [RS1, RS2]})
