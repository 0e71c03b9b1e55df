# SPDX-License-Identifier: GPL-3.0-or-later
"""Directors that are real servers too: what is refused, and what keeps one that stands by from directing."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import host_objects
from ansible_collections.lvs.cluster.plugins.modules import host as host_module
from ansible_collections.lvs.cluster.plugins.plugin_utils import boot, boot_heartbeat, heartbeat, ldirectord, objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.objects_heartbeat import heartbeat_objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    REALSERVER_OPTIONS,
    cluster,
    inventory,
    pair,
    problems,
    service,
)

HEARTBEAT = {"lvs_failover": "heartbeat", "lvs_heartbeat_key": "correct-horse", "lvs_health": "ldirectord"}
OPTIONS = {**REALSERVER_OPTIONS, "gateway": "policy"}
WHY = "directors are real servers of lvs_services[0] (web), and one that stands by would direct again what it gets"
BACKUP_ONLY = "net.ipv4.vs.backup_only"


def boxes(*services, **shared):
    """Two directors that are the real servers."""
    hostvars, groups = pair(*services or [service(forward="dr")], **shared)
    groups["realservers"] = list(groups["directors"])
    return {name: own for name, own in hostvars.items() if not name.startswith("rs")}, groups


def alone(*services, **shared):
    """One director that is a real server beside three others."""
    hostvars, groups = inventory(*services, **shared)
    groups["realservers"].append("director1")
    return hostvars, groups


def seen(hostvars, groups, host="director1"):
    return view(pack(build(hostvars, groups)), host)


def sysctls(config):
    return {row["name"]: row["value"] for row in config["sysctls"]}


def files(config):
    return {row["path"]: row["content"] for row in config["files"]}


class TestRefusals:
    @pytest.mark.parametrize("forward", ["dr", "tun"])
    def test_keepalived_needs_the_sync_daemon(self, forward):
        assert problems(*boxes(service(forward=forward), lvs_sync={})) == []
        assert problems(*boxes(service(forward=forward))) == [
            f"lvs_sync: is missing: {WHY}; add lvs_sync: {{}}; its daemon tells the kernel who stands by"
        ]

    def test_a_value_that_was_refused_is_not_missing(self):
        (line,) = problems(*boxes(lvs_sync=[]))
        assert line.startswith("lvs_sync: [] is no")

    def test_directors_that_are_active_for_some_vips_each(self):
        instances = [{"name": "blue", "vips": "192.0.2.10"}, {"name": "green", "vips": "192.0.2.11"}]
        two = service(vip=["192.0.2.10", "192.0.2.11"], forward="dr")
        (line,) = problems(*boxes(two, lvs_sync={}, lvs_vrrp={"instances": instances}))
        assert line.startswith("lvs_vrrp.instances: are several, and each director stands by for some VIPs alone: ")
        assert line.endswith("leave them out, or name real_servers that are no directors")

    def test_somebody_else_who_moves_vips(self):
        (line,) = problems(*boxes(lvs_failover="external", lvs_sync={}))
        assert line.startswith("lvs_failover: is external, and the collection cannot know who stands by: ")

    @pytest.mark.parametrize("health", ["none", "keepalived"])
    def test_heartbeat_with_rows_on_both(self, health):
        (line,) = problems(*boxes(**{**HEARTBEAT, "lvs_health": health}, lvs_sync={}))
        assert line.startswith(f"lvs_health: is {health}, with which both directors have the rows: {WHY}; use")

    def test_heartbeat_with_rows_that_stay(self):
        assert problems(*boxes(**HEARTBEAT)) == []
        assert problems(*boxes(**HEARTBEAT, lvs_ldirectord={"cleanstop": True})) == []
        (line,) = problems(*boxes(**HEARTBEAT, lvs_ldirectord={"cleanstop": False}))
        assert line.startswith("lvs_ldirectord.cleanstop: is false, with which the rows stay where ldirectord")

    def test_nat_between_more_than_two_directors(self):
        hostvars, groups = boxes(service(forward="nat"))
        hostvars["director3"] = {**hostvars["director1"], "lvs_address": "10.0.0.3"}
        groups["directors"].append("director3")
        (line,) = problems(hostvars, groups)
        assert line == (
            "lvs_services[0] (web) (director1, director2): is one of 3 directors, and with nat the replies of one that"
            " stands by have to go through the active one, which is known only where there are two; use forward: dr, or"
            " name real_servers that are no directors"
        )

    @pytest.mark.parametrize(
        "said",
        [
            {"port": 21, "helper": "ftp"},
            {"port": 0, "persistence": 300},
            {"port": OMIT, "ports": [80, "8000-8010"], "group": True},
            {"port": OMIT, "vip": OMIT, "fwmark": 7},
        ],
    )
    def test_nat_by_ports_that_are_not_known_one_by_one(self, said):
        lines = problems(*boxes(service(forward="nat", **said), lvs_failover="external"))
        assert lines == [
            "lvs_services[0] (web) (director1, director2): is a director, and with nat its replies while it stands by"
            " have to go through the other one: with a helper or a range of ports so would everything that it sends;"
            " use forward: dr, or name real_servers that are no directors"
        ]

    def test_only_services_that_directors_serve_count(self):
        hostvars, groups = pair(
            service(forward="nat", real_servers=[{"host": "rs1"}]), lvs_gateway_vip=["10.0.0.9", "2001:db8:1::9"]
        )
        groups["realservers"].append("director1")
        assert problems(hostvars, groups) == []
        assert not cluster(hostvars, groups)["directors_serve"]

    def test_a_fallback_that_is_a_director(self):
        """By DR it would direct again what it gets, by NAT it answers through the other one."""
        web = service(forward="dr", real_servers=[{"host": "rs1"}])
        for forward in ("dr", "nat"):
            web["fallback"] = {"address": "10.0.0.2", "forward": forward}
            hostvars, groups = pair(web, lvs_health="keepalived")
            groups["realservers"].append("director2")
            if forward == "dr":
                (line,) = problems(hostvars, groups)
                assert line.startswith("lvs_sync: ")
        (route,) = objects.realserver_objects(seen(hostvars, groups, "director2"), OPTIONS)["routes"]
        assert route["via"] == "10.0.0.1"

    @pytest.mark.parametrize(
        ("forward", "missing"),
        [
            ("dr", "it has the VIP no more, and nobody answers"),
            ("tun", "it has the VIP no more, and nobody answers"),
            ("nat", "its replies do not come through that one"),
        ],
    )
    def test_a_fallback_that_is_a_director_alone(self, forward, missing):
        web = service(forward="dr", fallback={"address": "10.0.0.2", "forward": forward})
        (line,) = problems(*pair(web, lvs_health="keepalived"))
        assert line == (
            "lvs_services[0] (web).fallback.address: 10.0.0.2 is director2, a director: while another one is active,"
            f" {missing}; name a server that is no director"
        )

    def test_a_fallback_at_a_directors_address_for_adverts(self):
        web = service(forward="dr", fallback={"address": "192.0.2.3"})
        hostvars, groups = pair(web, lvs_health="keepalived", lvs_gateway_vip="10.0.0.254")
        for number, host in enumerate(("director1", "director2"), 2):
            hostvars[host]["lvs_vrrp_address"] = f"192.0.2.{number}/24"
        assert any("192.0.2.3 is director2, a director" in line for line in problems(hostvars, groups))


class TestOneDirector:
    def test_it_may_be_the_fallback(self):
        web = service(fallback={"address": "10.0.0.1", "port": 8080})
        assert problems(*inventory(web, lvs_health="keepalived")) == []

    def test_every_method_works(self):
        for forward in ("nat", "dr", "tun"):
            assert problems(*alone(service(forward=forward))) == []

    def test_it_is_a_real_server_by_host_or_by_the_whole_group(self):
        for servers in ({}, {"real_servers": [{"host": "director1"}]}):
            (row,) = seen(*alone(service(**servers)))["table"]
            assert "10.0.0.1" in [server["address"] for server in row["real_servers"]]

    def test_by_dr_it_has_the_vip_twice(self):
        view_ = seen(*alone(service(forward="dr")))
        own = objects.director_objects(view_, {})["addresses"] + objects.realserver_objects(view_, OPTIONS)["addresses"]
        assert [(one["address"], one["interface"]) for one in own] == [
            ("192.0.2.10/32", "eth0"),
            ("192.0.2.10/32", "lo"),
        ]

    def test_its_own_replies_need_no_gateway(self):
        hostvars, groups = alone(service(forward="nat"))
        config = objects.realserver_objects(seen(hostvars, groups), OPTIONS)
        assert (config["rules"], config["routes"]) == ([], [])
        assert objects.realserver_objects(seen(hostvars, groups, "rs1"), OPTIONS)["routes"] != []


class TestNatBetweenTwo:
    """Each box is the other one's way back: while it stands by that one is active, and otherwise no reply needs it."""

    @pytest.mark.parametrize(
        "failover", [{"lvs_failover": "keepalived"}, {"lvs_failover": "external"}, {**HEARTBEAT, "lvs_health": "none"}]
    )
    def test_through_the_other_one(self, failover):
        both = service(vip=["192.0.2.10", "2001:db8::10"])
        cluster_ = boxes(both, **failover)
        for host, own, other in (
            ("director1", ("10.0.0.1", "2001:db8:1::1"), ("10.0.0.2", "2001:db8:1::2")),
            ("director2", ("10.0.0.2", "2001:db8:1::2"), ("10.0.0.1", "2001:db8:1::1")),
        ):
            config = objects.realserver_objects(seen(*cluster_, host), OPTIONS)
            assert [route["via"] for route in config["routes"]] == list(other)
            assert [(rule["source"], rule.get("destination"), rule["source_port"]) for rule in config["rules"]] == [
                (address, None, 80) for address in own
            ]
            assert config["addresses"] == []

    def test_other_real_servers_take_the_gateway_that_moves(self):
        hostvars, groups = pair(lvs_gateway_vip="10.0.0.9")
        groups["realservers"].append("director1")
        found = {
            name: objects.realserver_objects(seen(hostvars, groups, name), OPTIONS)["routes"][0]["via"]
            for name in ("director1", "rs1")
        }
        assert found == {"director1": "10.0.0.2", "rs1": "10.0.0.9"}

    @pytest.mark.parametrize("mode", ["none", "default"])
    def test_another_way_is_refused(self, mode):
        with pytest.raises(objects.ObjectsError, match=f"^realserver_gateway: {mode} on a director: .*: policy$"):
            objects.realserver_objects(seen(*boxes(service())), {**OPTIONS, "gateway": mode})

    def test_directors_have_the_same_haresources(self):
        cluster_ = boxes(service(), lvs_gateway_vip="10.0.0.9", **HEARTBEAT)
        found = [heartbeat.resources(seen(*cluster_, name)) for name in ("director1", "director2")]
        assert found[0] == found[1]
        assert found[0].index("10.0.0.9") < found[0].index("192.0.2.10")

    def test_the_kernel_needs_not_know_who_stands_by(self):
        assert BACKUP_ONLY not in sysctls(objects.syncd_objects(seen(*boxes(service(), lvs_sync={})), {}))


class TestKeepalived:
    def test_who_stands_by_directs_nothing(self):
        config = objects.syncd_objects(seen(*boxes(lvs_sync={"threshold": 2})), {})
        assert sysctls(config) == {"net.ipv4.vs.sync_threshold": "2 50", BACKUP_ONLY: "1"}

    def test_directors_that_serve_nothing_go_on_as_before(self):
        view_ = seen(*pair(service(forward="dr"), lvs_sync={}))
        config = objects.syncd_objects(view_, {})
        assert BACKUP_ONLY not in sysctls(config)
        assert "-daemon" not in files(config)[boot.SYNCD_PATH]
        release = files(objects.keepalived_objects(view_, {"password": ""}))[boot.RELEASE]
        assert "--start-daemon" not in release

    def test_without_keepalived_it_still_stands_by(self, tmp_path):
        """Its rows are where they were, and the active director goes on sending to it."""
        config = objects.keepalived_objects(seen(*boxes(lvs_sync={"port": 8849})), {"password": ""})
        assert released(tmp_path, files(config)[boot.RELEASE]) == [
            "ip address del 192.0.2.10/32 dev eth0",
            "ipvsadm --stop-daemon master",
            "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 1 --mcast-port 8849",
        ]

    def test_it_stands_by_before_keepalived_works_and_until_the_role_goes(self):
        unit = files(objects.syncd_objects(seen(*boxes(lvs_sync={})), {}))[boot.SYNCD_PATH]
        begin = "-/bin/sh -c 'systemctl is-active --quiet keepalived || ipvsadm"
        assert f"ExecStart={begin} --start-daemon backup --mcast-interface eth0 --syncid 1'\n" in unit
        assert f"ExecStop={begin} --stop-daemon backup'\n" in unit

    def test_records_of_both_roles_agree(self):
        """What two records name is the same thing in both, or every run would undo the other role's."""
        view_ = seen(*boxes(service(forward="dr"), service(name="far", vip="192.0.2.11", forward="tun"), lvs_sync={}))
        configs = [
            objects.director_objects(view_, {}),
            objects.realserver_objects(view_, OPTIONS),
            objects.syncd_objects(view_, {}),
            objects.keepalived_objects(view_, {"password": ""}),
        ]
        contents: dict[str, str] = {}
        found: dict[tuple[str, str], str] = {}
        for config in configs:
            for path, content in files(config).items():
                assert contents.setdefault(path, content) == content, path
            for obj in described(config):
                assert found.setdefault(obj.key, obj.text) == obj.text, obj.key
        assert ("address", "192.0.2.10/32 dev lo") in found
        assert ("address", "192.0.2.11/32 dev tunl0") in found
        assert not any("eth0" in key for kind, key in found if kind == "address")


def described(config) -> list[host_objects.Object]:
    """The objects of a config as the host module reads it."""
    spec = host_module.argument_spec()["config"]["options"]
    whole = {name: config.get(name, {} if option["type"] == "dict" else []) for name, option in spec.items()}
    for name, option in spec.items():
        if option.get("elements") == "dict":
            keys = option["options"]
            whole[name] = [{**dict.fromkeys(keys), **row} for row in whole[name]]
    return host_module.objects(whole, [], "inet lvs")


def released(folder, script):
    (folder / "release").write_text(script)
    (folder / "moving").write_text("192.0.2.10/32 eth0\n")
    for name in ("ip", "ipvsadm"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/calls\n')
        (folder / name).chmod(0o755)
    subprocess.run(["/bin/sh", folder / "release"], env={"PATH": f"{folder}:/usr/bin:/bin"}, check=True)
    return (folder / "calls").read_text().splitlines()


class TestHeartbeat:
    def view(self, **shared):
        both = service(vip=["192.0.2.10", "2001:db8::10"], forward="dr")
        return seen(*boxes(both, **HEARTBEAT, **shared))

    def test_rows_go_with_ldirectord_and_vips_leave_lo_alone(self):
        words = heartbeat.resources(self.view()).split()
        assert [word for word in words if word.startswith("lvs") or "::" in word] == [
            "lvs-rows",
            "ldirectord::ldirectord.cf",
            "lvs-vip4::192.0.2.10/32/eth0",
            "lvs-vip6::2001:db8:0:0:0:0:0:10/128/eth0",
            "lvs-turn",
        ]
        found = files(heartbeat_objects(self.view(), {"key": "correct-horse"}))
        for word in ("lvs-rows", "lvs-vip4", "lvs-vip6", "lvs-turn"):
            assert found[f"/etc/ha.d/resource.d/{word}"].startswith("#!/bin/sh\n")
        assert ldirectord.TABLE in found["/etc/ha.d/resource.d/lvs-rows"]

    def test_both_directors_have_the_same_even_where_one_of_them_serves(self):
        hostvars, groups = pair(service(forward="dr"), **HEARTBEAT)
        groups["realservers"].append("director2")
        words = [heartbeat.resources(seen(hostvars, groups, name)) for name in ("director1", "director2")]
        assert words[0] == words[1]
        assert "lvs-vip4" in words[0]

    def test_the_rows_go_even_where_connections_are_told(self):
        assert "cleanstop = yes\n" in ldirectord.configuration(self.view(lvs_sync={}), {})

    def test_the_kernel_goes_on_directing_while_it_receives(self):
        """Under heartbeat the active director receives too."""
        assert BACKUP_ONLY not in sysctls(objects.syncd_objects(self.view(lvs_sync={}), {}))

    def test_rows_are_taken_away_whoever_made_them(self, tmp_path):
        rows = (
            "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 1\n"
            "-A -u [2001:db8::10]:53 -s rr -o\n-A --sctp-service 192.0.2.10:36412 -s rr\n"
            "-A -f 7 -s rr -p 300\n-A -f 7 -6 -s rr\n"
        )
        assert self.stopped(tmp_path, rows) == [
            "-D -t 192.0.2.10:80",
            "-D -u [2001:db8::10]:53",
            "-D --sctp-service 192.0.2.10:36412",
            "-D -f 7",
            "-D -f 7 -6",
        ]

    def test_no_rows_are_no_failure(self, tmp_path):
        assert self.stopped(tmp_path, None) == []

    def stopped(self, folder, rows):
        script = folder / "lvs-rows"
        script.write_text(boot_heartbeat.ROWS_CONTENT)
        if rows is not None:
            (folder / "rows").write_text(rows)
        (folder / "calls").write_text("")
        # One that is not there is no failure.
        (folder / "ipvsadm").write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\nexit 1\n')
        (folder / "ipvsadm").chmod(0o755)
        environment = {"PATH": f"{folder}:/usr/bin:/bin", "LVS_ROWS": str(folder / "rows")}
        for action in ("start", "status", "stop"):
            subprocess.run(["/bin/sh", script, action], env=environment, check=True, capture_output=True)
        return (folder / "calls").read_text().splitlines()
