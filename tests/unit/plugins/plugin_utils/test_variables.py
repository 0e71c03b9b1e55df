# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import UserDict, UserList

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.lvs.cluster.plugins.plugin_utils import variables
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import InventoryError
from ansible_collections.lvs.cluster.plugins.plugin_utils.variables import Inventory, names_in, plain, templates_in

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19 trusts every string

    def trust_as_template(value):
        return value


def trusted(value):
    """Mark every string as the inventory's own, as its loader does."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


class HostVars(dict):
    """Ansible's hostvars, as far as the reader looks: raw variables, which are not templated."""

    # ansible-core before 2.19 leaves its own class alone by name, and others by this mark.
    __UNSAFE__ = True

    def raw_get(self, host):
        return {"inventory_hostname": host, **self[host]}


GROUPS = {"directors": ["d1"], "realservers": ["r1", "r2"]}


def reader(shared=None, **own):
    """An inventory of d1, r1 and r2; shared variables are one object for all, as group_vars are."""
    shared = trusted(shared or {})
    hostvars = HostVars({host: {**shared, **trusted(own.get(host, {}))} for host in ("d1", "r1", "r2", "other")})
    return Inventory({"hostvars": hostvars, "groups": GROUPS, **hostvars.raw_get("d1")}, DataLoader())


@pytest.fixture
def templated(monkeypatch):
    """Count how often a value is templated, by whom it may be."""
    calls = []
    evaluate = Inventory._evaluate

    def count(self, source, values):
        calls.append(source.raw)
        return evaluate(self, source, values)

    monkeypatch.setattr(variables.Inventory, "_evaluate", count)
    return calls


class TestReading:
    def test_plain_values(self):
        read = reader({"lvs_services": [{"name": "web"}]}, r1={"lvs_weight": 3}).read()
        assert read == {
            "d1": {"lvs_services": [{"name": "web"}]},
            "r1": {"lvs_services": [{"name": "web"}], "lvs_weight": 3},
            "r2": {"lvs_services": [{"name": "web"}]},
            "other": {},
        }

    def test_templates_see_their_host(self):
        read = reader(
            {"lvs_address": "10.0.0.{{ number }}"}, d1={"number": 1}, r1={"number": 2}, r2={"number": 3}
        ).read()
        assert [read[host]["lvs_address"] for host in GROUPS["directors"] + GROUPS["realservers"]] == [
            "10.0.0.1",
            "10.0.0.2",
            "10.0.0.3",
        ]

    def test_templates_see_other_hosts(self):
        read = reader({"lvs_interface": "{{ hostvars['other'].nic }}"}, other={"nic": "eth9"}).read()
        assert read["r2"]["lvs_interface"] == "eth9"

    def test_unknown_names_stay_unread(self):
        assert reader({"lvs_anything": "{{ nobody_defines_this }}"}).read()["r1"] == {"lvs_anything": None}

    def test_hosts_outside_are_not_read(self):
        assert reader(other={"lvs_services": "{{ nobody_defines_this }}"}).read()["other"] == {}

    def test_a_templated_group_name_decides_who_is_a_member(self):
        read = reader(
            {"lvs_realserver_group": "{{ prefix }}servers", "prefix": "real", "lvs_weight": "{{ 1 + 1 }}"}
        ).read()
        assert read["r1"]["lvs_realserver_group"] == "realservers"
        assert int(read["r1"]["lvs_weight"]) == 2

    def test_null_is_absent(self):
        assert reader({"lvs_weight": None}).read()["r1"] == {}

    def test_what_comes_out_is_exactly_plain(self):
        services = [{"name": "{{ 'web' }}", "port": "{{ 80 }}", "real_servers": [{"host": "r1", "weight": 1}]}]
        (service,) = reader({"lvs_services": services}).read()["r1"]["lvs_services"]
        assert {type(value) for value in service.values()} <= {str, int, list}
        assert type(service["real_servers"][0]) is dict


class TestRefusals:
    def refusals(self, *args, **kwargs):
        with pytest.raises(InventoryError) as caught:
            reader(*args, **kwargs).read()
        return caught.value.problems

    def test_an_undefined_variable_names_variable_and_hosts(self):
        (line,) = self.refusals({"lvs_services": [{"vip": "{{ web_vip }}"}]})
        assert line.startswith("lvs_services (d1, r1, r2): cannot be read: ")
        assert "'web_vip' is undefined" in line
        assert line.endswith("; correct the value, or define what it needs, in the inventory")

    def test_a_host_of_its_own_is_named_alone(self):
        (line,) = self.refusals(r2={"lvs_weight": "{{ missing }}"})
        assert line.startswith("lvs_weight (r2): cannot be read: ")

    def test_a_broken_template(self):
        (line,) = self.refusals(r2={"lvs_weight": "{{ 1 + }}"})
        assert line.startswith("lvs_weight (r2): cannot be read: ")

    def test_variables_of_the_play(self):
        inventory = reader({"lvs_weight": 1})
        inventory._task_vars = {**inventory._task_vars, "lvs_weight": 2, "lvs_removed": "quiesce"}
        with pytest.raises(InventoryError) as caught:
            inventory.read()
        assert caught.value.problems == [
            f"{name}: is set by the play, a role or a task, which other hosts do not see;"
            " set it in the inventory (group_vars or host_vars) or with --extra-vars"
            for name in ("lvs_removed", "lvs_weight")
        ]


class TestSharing:
    """One reading for all hosts, unless something differs."""

    def test_a_value_without_templates(self, templated):
        read = reader({"lvs_services": [{"name": "web"}]}).read()
        assert len(templated) == 1
        assert read["d1"]["lvs_services"] is read["r2"]["lvs_services"]

    def test_a_template_of_shared_variables(self, templated):
        read = reader(
            {"lvs_services": [{"vip": "{{ web_vip }}"}], "web_vip": "{{ base }}.10", "base": "192.0.2"}
        ).read()
        assert read["r2"]["lvs_services"] == [{"vip": "192.0.2.10"}]
        assert len(templated) == 1

    def test_a_template_of_a_variable_that_differs(self, templated):
        shared = {"lvs_services": [{"vip": "{{ web_vip }}"}], "web_vip": "{{ base }}.10", "base": "192.0.2"}
        read = reader(shared, r1={"base": "198.51.100"}).read()
        assert read["r1"]["lvs_services"] == [{"vip": "198.51.100.10"}]
        assert read["r2"]["lvs_services"] == [{"vip": "192.0.2.10"}]
        assert len(templated) == 2

    @pytest.mark.parametrize(
        "template",
        [
            "{{ inventory_hostname }}",
            "{{ lookup('vars', 'inventory' ~ '_hostname') }}",
            "{{ vars['inventory' ~ '_hostname'] }}",
        ],
    )
    def test_a_template_of_the_host_itself(self, template, templated):
        try:
            read = reader({"lvs_interface": template}).read()
        except InventoryError:
            # Later versions of ansible-core have no vars: what matters is that nobody got another host's value.
            assert "vars[" in template
        else:
            assert [read[host]["lvs_interface"] for host in ("d1", "r1", "r2")] == ["d1", "r1", "r2"]
        assert len(templated) == 3

    def test_a_failure_is_shared_too(self, templated):
        with pytest.raises(InventoryError):
            reader({"lvs_services": "{{ missing }}"}).read()
        assert len(templated) == 1


class TestPieces:
    def test_templates_in(self):
        value = {"a{{ x }}": ["{{ y }}", "plain", 1, None, {"b": "{% if z %}{% endif %}"}]}
        assert list(templates_in(value)) == ["a{{ x }}", "{{ y }}", "{% if z %}{% endif %}"]

    @pytest.mark.parametrize(
        ("template", "names"),
        [
            ("{{ a.b[c] | default(d) }}", {"a", "c", "d"}),
            ("{% for x in y %}{{ x }}{% endfor %}", {"y"}),
            ("{{ 1 + 1 }}", set()),
            ("{{ lookup('env', 'HOME') }}", None),
            ("{{ query('x') }}", None),
            ("{{ broken", None),
            ("#jinja2: variable_start_string: '[%'\n[% a %]{{", None),
        ],
    )
    def test_names_in(self, template, names):
        assert names_in([template]) == names

    def test_plain_undoes_every_subclass(self):
        class Text(str):
            """As tagged and unsafe strings are."""

        class Number(int):
            """As tagged numbers are."""

        value = plain(UserDict({Text("a"): UserList([Text("b"), Number(3), True, None, 1.5])}))
        assert value == {"a": ["b", 3, True, None, 1.5]}
        assert [type(item) for item in value["a"]] == [str, int, bool, type(None), float]
        assert [type(key) for key in value] == [str]

    def test_plain_reads_what_was_encrypted(self):
        class Secret(UserList):
            """As ansible-core before 2.19 holds a vaulted string: a sequence that is no list."""

            __ENCRYPTED__ = True

            def __str__(self):
                return "198.51.100.7"

        assert plain({"address": Secret()}) == {"address": "198.51.100.7"}
        assert list(templates_in(Secret())) == []

    def test_plain_leaves_out_what_was_omitted(self):
        assert plain({"a": "__omit__", "b": [1, "__omit__"]}, "__omit__") == {"b": [1]}


class TestSysctls:
    def test_names_that_no_kernel_has_are_refused_with_the_inventory(self):
        inventory = reader(
            {"director_sysctls": {"net.ipv4.vs.drop_entri": 1, "net.ipv4.vs.est_nice": 1, "kernel.x": 1}}
        )
        with pytest.raises(InventoryError) as caught:
            inventory.read()
        assert caught.value.problems == [
            "director_sysctls.net.ipv4.vs.drop_entri (d1, r1, r2): no kernel has it; did you mean"
            " net.ipv4.vs.drop_entry?"
        ]

    def test_good_ones_those_of_others_and_unreadable_ones_are_no_business_of_the_reader(self):
        wrong = {"director_sysctls": {"net.ipv4.vs.x": 1}}
        own = {"realserver_sysctls": "{{ nobody_defines_this }}", "syncd_sysctls": {"net.ipv4.vs.sync_ports": 2}}
        assert reader(own, other=wrong).read()["d1"] == {}
