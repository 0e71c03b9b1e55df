# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import host_objects as ho
from hypothesis import given
from hypothesis import strategies as st

ARP = ho.Object("sysctl", "net.ipv4.conf.all.arp_ignore = 1")
VIP = ho.Object("address", "192.0.2.10/32 dev lo")
OLD_VIP = ho.Object("address", "192.0.2.11/32 dev lo")
MARKS = ho.Object("packets", "inet lvs_director mark_1a2b3c4d 2")
DEFAULT = ho.Object("route", "-4 default via 192.0.2.1")

OBJECTS = st.sampled_from(
    [ho.Object("sysctl", f"net.{name} = {value}") for name in "ab" for value in "01"]
    + [ho.Object("address", f"192.0.2.{n}/32 dev lo") for n in range(3)]
    + [ho.Object("route", f"-4 default via 192.0.2.{n} table 7") for n in range(2)]
    + [ho.Object("file", f"/etc/{name}") for name in "ab"]
)


def unique(objects):
    return list({obj.key: obj for obj in objects}.values())


SETS = st.lists(OBJECTS).map(unique)


def texts(objects):
    return {obj.key: obj.text for obj in objects}


def test_what_is_wanted_and_not_there_is_added_in_the_order_that_protects():
    plan = ho.plan([VIP, MARKS, ARP], [], {})
    assert [obj.kind for obj in plan.add] == ["sysctl", "packets", "address"]


def test_what_is_there_already_is_not_done_again():
    assert ho.plan([VIP], [VIP], texts([VIP])).add == []


def test_other_marks_are_a_change_of_the_same_table():
    other = ho.Object("packets", "inet lvs_director mark_ffffffff 3")
    plan = ho.plan([other], [MARKS], texts([MARKS]))
    assert (plan.add, plan.remove, plan.narrowed) == ([other], [], [other])


def test_a_table_of_our_name_is_ours_whoever_made_it():
    recorded = ho.plan([MARKS], [], texts([MARKS])).narrowed
    assert recorded == [MARKS]
    assert ho.plan([], recorded, texts([MARKS])).remove == [MARKS]


def test_what_is_recorded_and_not_wanted_is_removed_and_forgotten():
    plan = ho.plan([VIP], [VIP, OLD_VIP], texts([VIP, OLD_VIP]))
    assert plan.remove == [OLD_VIP]
    assert plan.widened == [VIP, OLD_VIP]
    assert plan.narrowed == [VIP]


def test_removals_can_wait_and_stay_in_the_record():
    plan = ho.plan([VIP], [VIP, OLD_VIP], texts([VIP, OLD_VIP]), remove=False)
    assert (plan.remove, plan.stale) == ([], [OLD_VIP])
    assert OLD_VIP in plan.narrowed


def test_what_is_not_recorded_is_never_removed():
    assert ho.plan([VIP], [], texts([VIP, OLD_VIP])).remove == []


def test_an_address_that_stood_there_before_us_outlives_us():
    first = ho.plan([VIP], [], texts([VIP]))
    assert first.narrowed[0].was == ho.PRESENT
    assert ho.plan([], first.narrowed, texts([VIP])).remove == []


def test_a_sysctl_gets_its_old_value_back():
    was = {ARP.key: "net.ipv4.conf.all.arp_ignore = 0"}
    recorded = ho.plan([ARP], [], was).narrowed
    assert recorded[0].line() == "sysctl net.ipv4.conf.all.arp_ignore = 1 (was 0)"
    plan = ho.plan([], recorded, texts([ARP]))
    assert [ho.restored(obj) for obj in plan.remove] == ["net.ipv4.conf.all.arp_ignore = 0"]


def test_a_sysctl_that_somebody_changed_after_us_is_left_to_them():
    recorded = [ARP._replace(was="0")]
    assert ho.plan([], recorded, {ARP.key: "net.ipv4.conf.all.arp_ignore = 2"}).remove == []


def test_a_second_run_remembers_the_value_from_before_the_first():
    recorded = [ARP._replace(was="0")]
    assert ho.plan([ARP], recorded, texts([ARP])).narrowed == recorded


def test_a_replaced_default_route_comes_back():
    was = {DEFAULT.key: "-4 default via 192.0.2.254 dev eth0"}
    recorded = ho.plan([DEFAULT], [], was).narrowed
    plan = ho.plan([], recorded, texts([DEFAULT]))
    assert [ho.restored(obj) for obj in plan.remove] == ["-4 default via 192.0.2.254 dev eth0"]


def test_what_another_record_names_stays_and_keeps_its_history():
    other = ARP._replace(was="0")
    assert ho.plan([], [ARP], texts([ARP]), others=[other]).remove == []
    assert ho.plan([ARP], [], texts([ARP]), others=[other]).narrowed == [other]


def test_a_record_that_is_no_record_is_refused_with_the_line():
    with pytest.raises(ho.RecordError, match="line 1: 'rm -rf"):
        ho.parse_record("rm -rf /\n")


@given(SETS)
def test_a_record_reads_back_as_it_was_written(objects):
    objects = ho.ordered(obj._replace(was=was) for obj, was in zip(objects, ["0", None, ho.PRESENT] * 9))
    assert ho.parse_record(ho.print_record(objects)) == objects


@given(SETS, SETS, SETS)
def test_applying_a_plan_gives_what_is_wanted_and_again_nothing(desired, before, foreign):
    first = ho.plan(before, [], texts(foreign))
    there = ho.after(first, texts(foreign))
    plan = ho.plan(desired, first.narrowed, there)
    there = ho.after(plan, there)
    assert all(there[obj.key] == obj.text for obj in desired)
    again = ho.plan(desired, plan.narrowed, there)
    assert (again.add, again.remove) == ([], [])
    gone = ho.after(ho.plan([], again.narrowed, there), there)
    assert {key: text for key, text in gone.items() if text} == texts(foreign)


@given(SETS, SETS, st.integers(0, 9))
def test_a_run_that_was_killed_anywhere_is_mended_by_the_next(desired, before, steps):
    first = ho.plan(before, [], {})
    there = texts(before)
    killed = ho.plan(desired, first.narrowed, there)
    done = (killed.add + killed.remove)[:steps]
    partial = ho.Plan([o for o in done if o in killed.add], [o for o in done if o in killed.remove], [], [], [])
    there = ho.after(partial, there)
    there = ho.after(ho.plan(desired, killed.widened, there), there)
    assert {key: text for key, text in there.items() if text} == texts(desired)
