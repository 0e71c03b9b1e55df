# SPDX-License-Identifier: GPL-3.0-or-later
"""heartbeat's files, and what the role puts around them. heartbeat 3.0.6 itself has read files like these."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import boot_heartbeat, heartbeat, keepalived
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.objects import (
    ObjectsError,
    director_objects,
    keepalived_objects,
    syncd_objects,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.objects_heartbeat import heartbeat_objects
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import pair, service

KEY = "correct-horse"


def seen(*services, host="director1", **shared):
    shared = {"lvs_failover": "heartbeat", "lvs_heartbeat_key": KEY, **shared}
    return view(pack(build(*pair(*services, **shared))), host)


def lines(text):
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


def objects_of(view_):
    return heartbeat_objects(view_, {"key": KEY})


def files(config):
    return {row["path"]: row["content"] for row in config["files"]}


class TestConfiguration:
    def test_the_least(self):
        assert lines(heartbeat.configuration(seen())) == [
            "logfacility daemon",
            "keepalive 1",
            "deadtime 10",
            "warntime 5",
            "initdead 20",
            "deadping 10",
            "udpport 694",
            "ucast eth0 10.0.0.1",
            "ucast eth0 10.0.0.2",
            "auto_failback on",
            "node director1",
            "node director2",
        ]

    def test_both_directors_have_the_same(self):
        assert heartbeat.configuration(seen()) == heartbeat.configuration(seen(host="director2"))
        assert heartbeat.resources(seen()) == heartbeat.resources(seen(host="director2"))

    def test_fractions_of_seconds(self):
        found = lines(heartbeat.configuration(seen(lvs_heartbeat={"keepalive": 0.25, "deadtime": 1.5})))
        assert {"keepalive 250ms", "deadtime 1500ms", "warntime 750ms", "initdead 10"} <= set(found)

    def test_every_medium_after_what_it_needs(self):
        media = [
            {"type": "serial", "device": "/dev/ttyS1"},
            "bcast",
            {"type": "mcast", "interface": "eth2", "group": "225.0.0.7", "ttl": 2},
            {"type": "mcast", "group": "ff12::81"},
            {"type": "ucast", "interface": "eth3", "addresses": ["2001:db8:9::1", "2001:db8:9::2"]},
        ]
        found = lines(heartbeat.configuration(seen(lvs_heartbeat={"media": media, "port": 1001, "baud": 57600})))
        first = found.index("udpport 1001")
        assert found[first + 1 : first + 8] == [
            "baud 57600",
            "serial /dev/ttyS1",
            "bcast eth0",
            "mcast eth2 225.0.0.7 1001 2 0",
            "mcast6 eth0 ff12::81 1001 1 0",
            "ucast6 eth3 2001:db8:9::1",
            "ucast6 eth3 2001:db8:9::2",
        ]

    def test_failback_is_always_said(self):
        assert "auto_failback off" in lines(heartbeat.configuration(seen(lvs_failback=False)))

    def test_ping_nodes_bring_ipfail(self):
        pings = {
            "ping": ["192.0.2.254", "2001:db8::fe"],
            "ping_groups": [{"name": "out", "addresses": ["198.51.100.1", "198.51.100.2"]}],
        }
        found = lines(heartbeat.configuration(seen(lvs_heartbeat=pings)))
        assert found[-5:] == [
            "ping 192.0.2.254",
            "ping6 2001:db8::fe",
            "ping_group out 198.51.100.1 198.51.100.2",
            "respawn hacluster /etc/lvs/ipfail",
            "apiauth ipfail gid=haclient uid=hacluster",
        ]
        assert "ipfail" not in heartbeat.configuration(seen(lvs_heartbeat={**pings, "ipfail": False}))

    def test_lines_of_the_operator(self):
        found = lines(heartbeat.configuration(seen(lvs_heartbeat={"text": "hopfudge 1\n\nuse_logd yes\n"})))
        assert found[-2:] == ["hopfudge 1", "use_logd yes"]
        assert "logfacility daemon" not in found


class TestResources:
    def test_the_gateway_then_the_vips_in_their_order(self):
        view_ = seen(service(vip=["192.0.2.11/24", "192.0.2.10"]), lvs_gateway_vip="10.0.0.9/24")
        assert heartbeat.resources(view_) == (
            heartbeat.HEADER + "director1 \\\n    IPaddr2::10.0.0.9/24/eth0 \\\n    IPaddr2::192.0.2.11/24/eth0 \\\n"
            "    IPaddr2::192.0.2.10/32/eth0 \\\n    lvs-turn\n"
        )

    def test_ones_own_resources_and_a_health_engine_that_heartbeat_starts(self):
        own = {"before": ["Filesystem::/dev/sdb1::/srv"], "after": "SendArp::192.0.2.10/eth0"}
        words = heartbeat.resources({**seen(lvs_heartbeat=own), "health": "ldirectord"}).split()
        assert [word for word in words if "::" in word] == [
            "Filesystem::/dev/sdb1::/srv",
            "ldirectord::ldirectord.cf",
            "IPaddr2::192.0.2.10/32/eth0",
            "SendArp::192.0.2.10/eth0",
        ]

    def test_an_ipv6_vip_without_what_separates_arguments(self):
        line = lines(heartbeat.resources(seen(service(vip="2001:db8::10/64", port=80))))[1]
        assert line == "lvs-vip6::2001:db8:0:0:0:0:0:10/64/eth0 \\"

    def test_the_preferred_director(self):
        hostvars, groups = pair(lvs_failover="heartbeat", lvs_heartbeat_key=KEY)
        hostvars["director2"].update(lvs_priority=250, lvs_node_name="LB2")
        found = heartbeat.resources(view(pack(build(hostvars, groups)), "director1"))
        assert lines(found)[0] == "lb2 \\"


def test_the_key_stands_in_a_secret_file_alone():
    config = objects_of(seen())
    (secret,) = config["secret_files"]
    assert secret["path"] == "/etc/ha.d/authkeys"
    assert lines(secret["content"]) == ["auth 1", f"1 sha1 {KEY}"]
    assert not any(KEY in content for content in files(config).values())


class TestObjects:
    def test_files_unit_and_judge(self):
        config = objects_of(seen())
        assert config["units"] == ["lvs-cluster.service", "heartbeat.service"]
        assert config["moving"] == [{"address": "192.0.2.10/32", "interface": "eth0"}]
        (daemon,) = config["daemons"]
        assert daemon["files"][0] == heartbeat.CONF
        assert set(daemon["files"]) <= {row["path"] for row in config["files"] + config["secret_files"]}
        assert "lvs-vip6" not in " ".join(files(config))
        assert "/etc/ha.d/resource.d/lvs-vip6" in files(objects_of(seen(service(vip="2001:db8::10"))))

    def test_a_director_without_use_for_it(self):
        with pytest.raises(ObjectsError, match="lvs_failover is keepalived"):
            objects_of(seen(lvs_failover="keepalived", lvs_heartbeat_key=None))
        with pytest.raises(ObjectsError, match="is no director"):
            objects_of(seen(host="rs1"))

    def test_what_others_leave_to_it(self):
        view_ = seen(lvs_health="keepalived", lvs_sync={})
        assert director_objects(view_, {})["addresses"] == []
        checker = files(keepalived_objects(view_, {"password": ""}))
        assert "vrrp_instance" not in checker[keepalived.CONF]
        assert checker["/etc/lvs/moving"] == ""
        unit = files(syncd_objects(view_, {}))["/etc/systemd/system/lvs-syncd.service"]
        assert "--start-daemon master" in unit
        assert "--start-daemon backup" in unit
        assert not set(checker) & set(files(objects_of(view_))) - {"/etc/lvs/load"} - {
            "/etc/systemd/system/lvs-cluster.service"
        }


class Host:
    """A folder with the script, heartbeat's files, and programs that note how they are called."""

    def __init__(self, folder, state="all", moving=("192.0.2.10/32 eth0",)):
        self.folder = folder
        self.files = folder / "ha.d"
        self.memory = folder / "memory"
        self.calls = folder / "calls"
        (self.files / "resource.d").mkdir(parents=True)
        self.calls.write_text("")
        (self.files / "ha.cf").write_text("keepalive 1\n")
        text = boot_heartbeat.SCRIPT_CONTENT.replace("@MOVING@\n", "".join(f"{line}\n" for line in moving))
        (folder / "script").write_text(text)
        self.tool("ip")
        self.tool("cl_status", f"echo {state}")
        self.tool("sleep")
        self.tool("uname", "echo LB1")
        self.tool("heartbeat")
        for name in ("IPaddr2", "ldirectord", "IPaddr"):
            self.tool(name, where=self.files / "resource.d")

    def tool(self, name, words="", where=None):
        path = (where or self.folder) / name
        note = "" if name in ("sleep", "uname", "cl_status") else f'echo "{name} $*" >>{self.calls}\n'
        path.write_text(f"#!/bin/sh\n{note}{words}\n")
        path.chmod(0o755)

    def resources(self, *words, node="lb1", where=None):
        ((where or self.files) / "haresources").write_text(f"# ours\n{node} \\\n    " + " \\\n    ".join(words) + "\n")

    def run(self, verb, **more):
        environment = {
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "LVS_HA_D": str(self.files),
            "LVS_MEMORY": str(self.memory),
            "LVS_HEARTBEAT": str(self.folder / "heartbeat"),
            **more,
        }
        script = ["/bin/sh", str(self.folder / "script"), verb]
        self.calls.write_text("")
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        self.said = done.stderr
        self.status = done.returncode
        return self.calls.read_text().splitlines()


class TestScript:
    @pytest.fixture
    def host(self, tmp_path):
        host = Host(tmp_path)
        host.resources("ldirectord::ldirectord.cf", "IPaddr2::192.0.2.10/32/eth0", "IPaddr2::192.0.2.11/32/eth0")
        host.run("started")
        return host

    def test_at_the_start_vips_of_others_go(self, host):
        assert host.run("started") == ["ip address del 192.0.2.10/32 dev eth0"]
        assert (host.memory / "haresources").read_text() == (host.files / "haresources").read_text()

    def test_a_reload_without_a_change_of_resources(self, host):
        assert host.run("reload") == ["heartbeat -r"]
        assert (host.status, host.said) == (0, "")

    def test_the_holder_lets_go_of_what_went_and_takes_what_came(self, host):
        host.resources("ldirectord::ldirectord.cf", "IPaddr2::192.0.2.12/32/eth0", "IPaddr2::192.0.2.13/32/eth0")
        assert host.run("reload") == [
            "IPaddr2 192.0.2.11/32/eth0 stop",
            "IPaddr2 192.0.2.10/32/eth0 stop",
            "IPaddr2 192.0.2.12/32/eth0 start",
            "IPaddr2 192.0.2.13/32/eth0 start",
            "heartbeat -r",
        ]
        assert host.run("reload") == ["heartbeat -r"]

    def test_another_order_alone_moves_nothing(self, host):
        host.resources("IPaddr2::192.0.2.11/32/eth0", "IPaddr2::192.0.2.10/32/eth0", "ldirectord::ldirectord.cf")
        assert host.run("reload") == ["heartbeat -r"]

    @pytest.mark.parametrize(
        ("node", "state", "held"),
        [
            ("lb1", "local", True),
            ("lb1", "all", True),
            ("lb1", "foreign", False),
            ("lb1", "none", False),
            ("lb2", "local", False),
            ("lb2", "foreign", True),
            ("lb2", "all", True),
            ("lb2", "none", False),
        ],
    )
    def test_who_holds_them(self, tmp_path, node, state, held):
        host = Host(tmp_path, state)
        host.resources("IPaddr2::192.0.2.10/32/eth0", node=node)
        host.run("started")
        host.resources("IPaddr2::192.0.2.10/32/eth0", "IPaddr2::192.0.2.11/32/eth0", node=node)
        assert ("IPaddr2 192.0.2.11/32/eth0 start" in host.run("reload")) == held
        assert host.status == 0

    def test_a_resource_that_fails_is_tried_again_by_the_next_reload(self, host):
        host.resources("ldirectord::ldirectord.cf", "IPaddr2::192.0.2.10/32/eth0")
        host.tool("IPaddr2", "exit 1", where=host.files / "resource.d")
        assert host.run("reload") == ["IPaddr2 192.0.2.11/32/eth0 stop"]
        assert host.status == 1
        assert "IPaddr2::192.0.2.11/32/eth0 cannot stop" in host.said
        host.tool("IPaddr2", where=host.files / "resource.d")
        assert host.run("reload") == ["IPaddr2 192.0.2.11/32/eth0 stop", "heartbeat -r"]

    def test_a_heartbeat_in_transition_is_waited_for_with_a_bound(self, tmp_path):
        host = Host(tmp_path, "transition")
        host.resources("IPaddr2::192.0.2.10/32/eth0")
        host.run("started")
        host.resources("IPaddr2::192.0.2.11/32/eth0")
        assert host.run("reload") == []
        assert host.status == 1
        assert "heartbeat does not say which resources it holds" in host.said

    def test_a_changed_configuration_is_waited_for(self, host):
        (host.files / "ha.cf").write_text("keepalive 2\n")
        assert host.run("reload") == ["heartbeat -r"]
        assert (host.memory / "ha.cf").read_text() == "keepalive 2\n"

    def test_what_heartbeat_refuses_is_said(self, host):
        host.tool("heartbeat", "echo ERROR: no >&2; exit 1")
        host.run("reload")
        assert (host.status, host.said) == (1, "lvs-cluster: ERROR: no\n")

    def test_resources_of_somebody_before_us(self, tmp_path):
        host = Host(tmp_path)
        (host.files / "haresources.before-lvs").write_text("lb1 192.0.2.9/24/eth0 ldirectord::x.cf\n")
        host.resources("IPaddr2::192.0.2.10/32/eth0")
        assert host.run("reload") == [
            "ldirectord x.cf stop",
            "IPaddr 192.0.2.9/24/eth0 stop",
            "IPaddr2 192.0.2.10/32/eth0 start",
            "heartbeat -r",
        ]

    def test_rows_that_would_be_harmful_go_where_nobody_directs(self, tmp_path):
        host = Host(tmp_path, "foreign")
        host.tool("lvs-rows", where=host.files / "resource.d")
        host.resources("IPaddr2::192.0.2.10/32/eth0")
        assert host.run("started") == ["ip address del 192.0.2.10/32 dev eth0", "lvs-rows stop"]
        host.resources("lvs-rows", "lvs-vip4::192.0.2.10/32/eth0")
        assert host.run("reload") == ["lvs-rows stop", "heartbeat -r"]

    def test_the_active_directors_rows_stay(self, host):
        host.tool("lvs-rows", where=host.files / "resource.d")
        host.resources("ldirectord::ldirectord.cf", "IPaddr2::192.0.2.10/32/eth0")
        assert "lvs-rows stop" not in host.run("reload")

    def test_an_orderly_end(self, host):
        assert host.run("release", SERVICE_RESULT="success") == ["ip address del 192.0.2.10/32 dev eth0"]

    def test_a_heartbeat_that_was_killed(self, host):
        assert host.run("release", SERVICE_RESULT="signal") == [
            "ip address del 192.0.2.10/32 dev eth0",
            "IPaddr2 192.0.2.11/32/eth0 stop",
            "IPaddr2 192.0.2.10/32/eth0 stop",
            "ldirectord ldirectord.cf stop",
        ]
        assert host.status == 0


@pytest.mark.parametrize(
    ("vip", "added"),
    [
        ("2001:db8:0:0:0:0:0:10/64", "-6 address add 2001:db8:0:0:0:0:0:10/64 dev eth0 nodad preferred_lft 0"),
        ("192.0.2.10/24", "-4 address add 192.0.2.10/24 dev eth0"),
    ],
)
@pytest.mark.parametrize(("action", "held"), [("start", False), ("start", True), ("stop", True), ("stop", False)])
def test_a_vip_comes_and_goes(tmp_path, vip, added, action, held):
    script, tool, notes = tmp_path / "script", tmp_path / "ip", tmp_path / "notes"
    script.write_text(boot_heartbeat.VIP_CONTENT)
    notes.write_text("")
    # As on a real server, the VIP is on lo all the time; only the interface counts.
    found = "echo there" if held else ":"
    tool.write_text(
        f'#!/bin/sh\ncase "$*" in *show*eth0*) {found} ;; *show*) echo there ;; *) echo "$*" >>{notes} ;; esac\n'
    )
    tool.chmod(0o755)
    words = ["/bin/sh", str(script), f"{vip}/eth0"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run([*words, action], env=environment, check=True)
    calls = {("start", False): [added], ("stop", True): [f"{added[:2]} address del {vip} dev eth0"]}
    assert [line.strip() for line in notes.read_text().splitlines()] == calls.get((action, held), [])
    status = subprocess.run([*words, "status"], env=environment, capture_output=True, text=True, check=False)
    assert (status.returncode, status.stdout) == ((0, "running\n") if held else (3, "stopped\n"))


@pytest.mark.parametrize("script", ["SCRIPT_CONTENT", "VIP_CONTENT", "ROWS_CONTENT", "IPFAIL_CONTENT", "JUDGE_SCRIPT"])
def test_scripts_are_scripts(tmp_path, script):
    path = tmp_path / "script"
    path.write_text(getattr(boot_heartbeat, script))
    subprocess.run(["/bin/sh", "-n", str(path)], check=True)


class TestJudge:
    """What the judge asks while heartbeat runs, before it lets heartbeat itself read the candidates."""

    OLD = {
        "haresources": "lb1 \\\n    IPaddr2::192.0.2.10/32/eth0\n",
        "ha.cf": "udpport 694\nucast eth0 192.0.2.2\nucast  eth0 192.0.2.3\n",
        "authkeys": "auth 1\n1 sha1 s3cr3t\n",
    }
    CASES = {
        "the same": ({}, None),
        "another resource": ({"haresources": "lb1 IPaddr2::192.0.2.11/32/eth0\n"}, None),
        "another preferred director": (
            {"haresources": "lb2 IPaddr2::192.0.2.10/32/eth0\n"},
            "haresources: the preferred director would change from lb1 to lb2",
        ),
        "a resource that nobody has": (
            {"haresources": "lb1 IPaddr2::192.0.2.10/32/eth0 Nowhere::x\n"},
            "haresources: there is no resource script Nowhere in",
        ),
        "one medium more": ({"ha.cf": "udpport 694\nucast eth0 192.0.2.3\nbcast eth1\n"}, None),
        "other media": ({"ha.cf": "udpport 694\nbcast eth0\n"}, "ha.cf: no medium of before is left"),
        "another port": ({"ha.cf": "udpport 695\nucast eth0 192.0.2.2\n"}, "ha.cf: no medium of before is left"),
        "another key": ({"authkeys": "auth 1\n1 sha1 n3w\n"}, "authkeys: directors would not believe each other"),
        "what heartbeat refuses": ({"ha.cf": "udpport 694\nucast eth0 192.0.2.2\nwrong\n"}, "Illegal directive"),
    }

    def judge(self, tmp_path, old, new, active=True):
        new = {**self.OLD, **new}
        folder, files = tmp_path / "candidates", tmp_path / "ha.d"
        (files / "resource.d").mkdir(parents=True)
        folder.mkdir()
        for where, found in ((files, old), (folder, new)):
            for name, text in found.items():
                (where / name).write_text(text)
        (folder / "ipfail").write_text("")
        tools = {
            "systemctl": f"exit {0 if active else 3}",
            "unshare": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
            "mount": "",
            "sleep": "",
            "heartbeat": f"grep -q wrong {folder}/ha.cf || exit 0; echo x ERROR: Illegal directive; exit 1",
        }
        for name, words in tools.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
            (tmp_path / name).chmod(0o755)
        (files / "resource.d" / "IPaddr2").write_text("")
        (files / "resource.d" / "IPaddr2").chmod(0o755)
        script = ["/bin/sh", "-c", boot_heartbeat.JUDGE_SCRIPT, "judge", str(tmp_path / "heartbeat")]
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LVS_HA_D": str(files), "LVS_RUN": str(tmp_path / "run")}
        done = subprocess.run(
            [*script, str(folder / "ha.cf")], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == ""
        assert "s3cr3t" not in done.stderr
        assert (done.returncode == 0) == (done.stderr == "")
        return done.stderr

    @pytest.mark.parametrize(("new", "said"), CASES.values(), ids=CASES)
    def test_while_heartbeat_runs(self, tmp_path, new, said):
        found = self.judge(tmp_path, self.OLD, new)
        assert found.startswith(said) if said else found == ""

    @pytest.mark.parametrize(
        "new", [{"authkeys": "auth 1\n1 sha1 n3w\n"}, {"ha.cf": "deadtime 120\nudpport 1001\nbcast eth0\n"}]
    )
    def test_directors_that_wait_long_enough_may_be_deaf_for_a_while(self, tmp_path, new):
        slow = {"ha.cf": f"deadtime 120\n{self.OLD['ha.cf']}"}
        assert self.judge(tmp_path / "a", {**self.OLD, **slow}, {**slow, **new}) == ""
        assert self.judge(tmp_path / "b", {**self.OLD, **slow}, {"authkeys": "auth 1\n1 sha1 n3w\n"}) != ""
        assert self.judge(tmp_path / "c", self.OLD, {**slow, **new}) != ""

    def test_where_heartbeat_does_not_run_everything_may_change(self, tmp_path):
        new = {"haresources": "lb2 IPaddr2::1.2.3.4\n", "ha.cf": "bcast eth0\n", "authkeys": "auth 3\n3 sha1 x\n"}
        assert self.judge(tmp_path / "a", self.OLD, new, active=False) == ""
        assert self.judge(tmp_path / "b", {}, {}) == ""
