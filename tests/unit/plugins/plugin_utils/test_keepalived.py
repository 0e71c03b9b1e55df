# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived.conf, judged by its text. The texts here were judged by `keepalived -t` of 2.1.5, 2.2.7 and 2.3.3 too."""

from __future__ import annotations

from typing import ClassVar

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import keepalived
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import OMIT, inventory, pair, service


def conf(hostvars, groups, host="director1"):
    return keepalived.configuration(view(pack(build(hostvars, groups)), host))


def health(*services, **shared):
    return conf(*inventory(*services, lvs_health="keepalived", **shared))


def blocks(text, head):
    """The blocks that begin so, as lists of stripped lines."""
    found, depth, lines = [], 0, None
    for line in text.splitlines():
        words = line.strip()
        if lines is None and words.startswith(head) and words.endswith("{"):
            lines, depth = [], 0
        if lines is not None:
            lines.append(words)
            depth += words.endswith("{") - (words == "}")
            if depth == 0:
                found.append(lines)
                lines = None
    return found


def block(text, head):
    (only,) = blocks(text, head)
    return only


TWO = [{"host": "rs1", "weight": 2}, {"host": "rs2"}]


def test_a_pair_with_health_checks_whole():
    text = conf(
        *pair(service(vip="192.0.2.10/24", forward="dr", real_servers=TWO[:1]), lvs_health="keepalived", lvs_sync={})
    )
    assert text == (
        keepalived.HEADER
        + """\
global_defs {
    router_id "director1"
    enable_script_security
    script_user nobody
    vrrp_version 3
    lvs_sync_daemon eth0 inst lvs id 1
}
vrrp_instance lvs {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 200
    advert_int 1
    unicast_src_ip 10.0.0.1
    unicast_peer {
        10.0.0.2
    }
    check_unicast_src
    garp_master_delay 5
    garp_master_repeat 5
    garp_master_refresh 10
    garp_master_refresh_repeat 1
    garp_lower_prio_repeat 5
    virtual_ipaddress {
        192.0.2.10/24
    }
}
# web
virtual_server 192.0.2.10 80 {
    lvs_sched wlc
    lvs_method DR
    protocol TCP
    delay_loop 5
    real_server 10.0.0.11 80 {
        weight 2
        TCP_CHECK {
            connect_timeout 3
            retry 1
            delay_before_retry 1
        }
    }
}
"""
    )


def test_health_alone_has_no_vrrp_and_failover_alone_no_virtual_servers():
    assert "vrrp" not in health()
    assert "virtual_server" not in conf(*pair())


class TestVrrp:
    def test_the_other_director_mirrors_it(self):
        lines = block(conf(*pair(), "director2"), "vrrp_instance")
        assert "priority 190" in lines
        assert "unicast_src_ip 10.0.0.2" in lines
        assert lines[lines.index("unicast_peer {") + 1] == "10.0.0.1"

    def test_what_moves_together_is_a_sync_group(self):
        hostvars, groups = pair(
            service(vip=["192.0.2.10", "2001:db8::10"]),
            lvs_gateway_vip="10.0.0.9/24",
            lvs_gateway_interface="eth1",
            lvs_vrrp={"track_interfaces": ["eth1", {"name": "eth2", "weight": 5}], "notify": {"any": '/bin/x "a b"'}},
        )
        for number, name in ((2, "director1"), (3, "director2")):
            hostvars[name]["lvs_vrrp_address"] = [f"192.0.2.{number}", f"2001:db8::{number}"]
        text = conf(hostvars, groups)
        assert block(text, "vrrp_sync_group lvs")[1:] == [
            "group {",
            "lvs",
            "lvs-ipv6",
            "lvs-gateway",
            "}",
            "track_interface {",
            "eth2 weight 5",
            "}",
            'notify "/bin/x \\"a b\\""',
            "}",
        ]
        gateway = block(text, "vrrp_instance lvs-gateway")
        assert {"interface eth1", "virtual_router_id 52", "unicast_src_ip 10.0.0.1", "10.0.0.9/24"} <= set(gateway)
        assert not any(line.startswith(("track_", "notify")) for line in gateway)
        assert {"unicast_src_ip 2001:db8::2", "2001:db8::10/128 preferred_lft 0"} <= set(
            block(text, "vrrp_instance lvs-ipv6")
        )

    def test_a_gateway_on_the_same_interface_is_one_more_address(self):
        lines = block(conf(*pair(lvs_gateway_vip="10.0.0.9")), "vrrp_instance")
        assert "10.0.0.9/32" in lines

    def test_what_an_instance_alone_follows_stands_in_it(self):
        vrrp = {
            "track_scripts": [{"name": "ok", "script": "/bin/ok", "weight": -20}],
            "track_processes": ["nginx"],
            "track_files": [{"name": "f", "file": "/run/f", "weight": 3}],
            "notify": {"master": "/bin/m"},
        }
        text = conf(*pair(lvs_vrrp=vrrp))
        assert block(text, "vrrp_script ok")[1:-1] == [
            'script "/bin/ok"',
            "interval 1",
            "timeout 1",
            "rise 1",
            "fall 2",
            "weight -20",
        ]
        assert block(text, "vrrp_track_process nginx")[1:-1] == ['process "nginx"', "quorum 1", "weight 0"]
        assert block(text, "track_file f")[1:-1] == ['file "/run/f"', "weight 3"]
        lines = block(text, "vrrp_instance")
        for head, row in (("script", "ok weight -20"), ("process", "nginx"), ("file", "f weight 3")):
            assert lines[lines.index(f"track_{head} {{") + 1] == row
        assert 'notify_master "/bin/m"' in lines
        assert "vrrp_sync_group" not in text

    def test_active_active(self):
        vrrp = {
            "instances": [
                {"name": "a", "vips": "192.0.2.10"},
                {"name": "b", "vips": "192.0.2.11", "directors": ["director2", "director1"], "keepalived": "debug 1\n"},
            ]
        }
        shared = {"lvs_vrrp": vrrp, "lvs_sync": {}}
        text = conf(*pair(service(vip=["192.0.2.10", "192.0.2.11"]), **shared))
        first, second = blocks(text, "vrrp_instance")
        assert {"virtual_router_id 51", "priority 200", "192.0.2.10/32"} <= set(first)
        assert {"virtual_router_id 52", "priority 190", "192.0.2.11/32", "debug 1"} <= set(second)
        assert "lvs_sync_daemon eth0 id 1\n" in text  # both daemons on each director

    @pytest.mark.parametrize(
        ("vrrp", "there", "gone"),
        [
            ({"preempt_delay": 2.5}, "preempt_delay 2.5", "nopreempt"),
            ({"advert_interval": 0.1}, "advert_int 0.1", "advert_int 1"),
            ({"unicast": False}, "state BACKUP", "unicast_peer {"),
            ({"state": "master"}, "state MASTER", "state BACKUP"),
            ({}, "garp_master_refresh 10", "nopreempt"),
            ({"garp": {"refresh": 60}}, "garp_master_refresh 60", "garp_master_refresh 10"),
            ({"keepalived": "accept"}, "accept", "nopreempt"),
            ({"virtual_routes": ["default via 192.0.2.1"]}, "default via 192.0.2.1", "virtual_rules {"),
            ({"virtual_rules": ["from 192.0.2.10 table 1"]}, "from 192.0.2.10 table 1", "virtual_routes {"),
        ],
    )
    def test_settings(self, vrrp, there, gone):
        lines = block(conf(*pair(lvs_vrrp=vrrp)), "vrrp_instance")
        assert there in lines
        assert gone not in lines

    def test_a_director_that_comes_back_stands_by(self):
        lines = block(conf(*pair(lvs_failback=False)), "vrrp_instance")
        assert "nopreempt" in lines
        assert "preempt_delay" not in lines

    def test_only_the_first_director_starts_as_master(self):
        assert "state BACKUP" in conf(*pair(lvs_vrrp={"state": "master"}), "director2")

    def test_many_vips_do_not_make_adverts_longer(self):
        text = conf(*pair(service(vip=[f"192.0.2.{n}" for n in range(10, 40)])))
        assert len(block(text, "virtual_ipaddress ")) == 3
        assert len(block(text, "virtual_ipaddress_excluded")) == 31

    def test_a_password_is_included_and_not_in_the_file(self):
        hostvars, groups = pair(lvs_vrrp_password="s3cr#t", lvs_vrrp={"version": 2})
        seen = view(pack(build(hostvars, groups)), "director1")
        assert "include /etc/keepalived/lvs-secrets.conf" in keepalived.configuration(seen)
        assert keepalived.secrets(seen, "s3cr#t").endswith(
            'authentication {\n    auth_type PASS\n    auth_pass "s3cr#t"\n}\n'
        )
        plain = view(pack(build(*pair())), "director1")
        assert keepalived.secrets(plain, "") == ""

    def test_a_sync_daemon_with_all_it_knows(self):
        sync = {"interface": "eth2", "id": 7, "max_length": 1400, "port": 8849, "ttl": 2, "group": "224.0.0.82"}
        text = conf(*pair(lvs_sync=sync))
        assert "lvs_sync_daemon eth2 inst lvs id 7 maxlen 1400 port 8849 ttl 2 group 224.0.0.82\n" in text


class TestServices:
    def test_what_a_row_says(self):
        text = health(
            service(
                scheduler="sh",
                scheduler_flags=["sh-port"],
                persistence={"timeout": 60, "netmask": 24},
                upper_threshold=9,
                lower_threshold=3,
                real_servers=TWO,
            )
        )
        lines = block(text, "virtual_server")
        assert lines[1:7] == [
            "lvs_sched sh",
            "sh-port",
            "lvs_method NAT",
            "protocol TCP",
            "persistence_timeout 60",
            "persistence_granularity 255.255.255.0",
        ]
        assert block(text, "real_server 10.0.0.11 80")[1:4] == ["weight 2", "uthreshold 9", "lthreshold 3"]

    def test_datagrams(self):
        lines = block(
            health(service(protocol="udp", one_packet=True, persistence={"timeout": 60, "engine": "sip"})),
            "virtual_server",
        )
        assert {"ops", "protocol UDP", "persistence_engine sip"} <= set(lines)

    def test_ipv6(self):
        lines = block(
            health(service(vip="2001:db8::10", forward="tun", persistence={"timeout": 60, "netmask": 64})),
            "virtual_server",
        )
        assert lines[0] == "virtual_server 2001:db8::10 80 {"
        assert {"lvs_method TUN", "persistence_granularity 64"} <= set(lines)

    @pytest.mark.parametrize(
        ("tunnel", "words"),
        [
            ({"type": "gue"}, "TUN type gue port 6080"),
            ({"type": "gue", "port": 5555, "checksum": True}, "TUN type gue port 5555 csum"),
            ({"type": "gre"}, "TUN type gre"),
            ({"type": "gre", "checksum": True}, "TUN type gre csum"),
        ],
    )
    def test_tunnels(self, tunnel, words):
        fallback = {"address": "10.0.0.50"}
        text = health(service(forward="tun", tunnel=tunnel, fallback=fallback))
        assert f"lvs_method {words}" in block(text, "virtual_server")
        assert "sorry_server_lvs_method" not in text
        text = health(service(forward="tun", tunnel=tunnel, fallback={**fallback, "forward": "nat"}))
        assert "sorry_server_lvs_method NAT" in text

    def test_engine_keys_and_own_lines(self):
        keys = {"quorum": 2, "hysteresis": 1, "inhibit_on_failure": True, "alpha": True, "omega": True}
        servers = [{"host": "rs1", "keepalived": "notify_up /bin/x"}, {"host": "rs2"}]
        text = health(service(**keys, keepalived="smtp_alert off\n\n", real_servers=servers))
        lines = block(text, "virtual_server")
        assert {"quorum 2", "hysteresis 1", "inhibit_on_failure", "alpha", "omega", "smtp_alert off"} <= set(lines)
        assert block(text, "real_server 10.0.0.11")[-2] == "notify_up /bin/x"

    def test_maintenance_lowers_the_quorum_that_keepalived_would_refuse(self):
        servers = [{"host": "rs1"}, {"host": "rs2", "weight": 0}, {"host": "rs3"}]
        lines = block(health(service(quorum=3, hysteresis=2, real_servers=servers)), "virtual_server")
        assert {"quorum 2", "hysteresis 1"} <= set(lines)
        assert "weight 0" in lines

    def test_a_fallback(self):
        fallback = {"address": "10.0.0.50", "port": 8080, "forward": "nat"}
        assert "sorry_server 10.0.0.50 8080" in health(service(fallback=fallback))
        text = health(service(forward="dr", fallback=fallback))
        assert "sorry_server_lvs_method NAT" in text

    def test_the_fallback_stands_in_while_everyone_is_in_maintenance(self):
        servers = [{"host": "rs1", "weight": 0}]
        text = health(service(forward="dr", real_servers=servers, fallback={"address": "10.0.0.50", "forward": "nat"}))
        assert "sorry_server" not in text
        assert block(text, "real_server 10.0.0.50 80")[1:-1] == ["weight 1", "lvs_method NAT"]


class TestMarks:
    GROUP: ClassVar = {
        "name": "shop",
        "vip": ["192.0.2.10", "2001:db8::10"],
        "port": OMIT,
        "ports": [80, 443],
        "group": True,
        "fwmark": 99,
        "forward": "dr",
        "real_servers": TWO,
    }

    def test_a_group_whole(self):
        text = health(service(**self.GROUP, persistence=300, fallback={"address": "10.0.0.50", "forward": "tun"}))
        four, six = blocks(text, "virtual_server fwmark 99")
        assert four[1:15] == [
            "ip_family inet",
            "lvs_sched wlc",
            "lvs_method DR",
            "persistence_timeout 300",
            "delay_loop 5",
            "sorry_server 10.0.0.50",
            "sorry_server_lvs_method TUN",
            "real_server 10.0.0.11 {",
            "weight 2",
            "TCP_CHECK {",
            "connect_port 80",
            "connect_timeout 3",
            "retry 1",
            "delay_before_retry 1",
        ]
        assert six[1] == "ip_family inet6"
        assert {"real_server 2001:db8:1::11 {", "real_server 2001:db8:1::12 {"} <= set(six)

    def test_a_netmask_is_of_the_marks_family(self):
        def granularity(netmask, **changes):
            keys = {"persistence": {"timeout": 60, "netmask": netmask}, **changes}
            text = health(service(vip=OMIT, port=OMIT, fwmark=7, **keys))
            return [line for line in block(text, "virtual_server") if line.startswith("persistence_granularity")]

        assert granularity(24) == ["persistence_granularity 255.255.255.0"]
        assert granularity(32) == []
        assert granularity(64, family="ipv6") == ["persistence_granularity 64"]
        assert granularity(128, family="ipv6") == []

    def test_no_protocol_and_no_port(self):
        text = health(service(vip=OMIT, port=OMIT, fwmark=4294967295, one_packet=True, forward="nat"))
        lines = block(text, "virtual_server fwmark 4294967295")
        assert "ops" in lines
        assert not any(line.startswith("protocol") for line in lines)
        assert "real_server 10.0.0.11 {" in lines

    def test_the_fallback_that_stands_in(self):
        servers = [{"host": "rs1", "weight": 0}]
        keys = {**self.GROUP, "vip": "192.0.2.10", "real_servers": servers, "fallback": {"address": "10.0.0.50"}}
        assert block(health(service(**keys)), "real_server 10.0.0.50")[:2] == ["real_server 10.0.0.50 {", "weight 1"]


CHECKS = {
    "http": (
        {"type": "http", "path": "/up", "host": "www.example.org", "port": 8080, "status": [200, "300-302"]},
        "HTTP_GET",
        ["connect_port 8080", "url {", 'path "/up"', "virtualhost www.example.org", "status_code 200 300-302", "}"],
    ),
    "https": (
        {"type": "https", "host": "www.example.org"},
        "SSL_GET",
        ["enable_sni", "url {", 'path "/"', "virtualhost www.example.org", "status_code 200", "}"],
    ),
    "page": (
        {"type": "http", "digest": "0" * 32, "regex": r'a "b" \d', "regex_absent": True},
        "HTTP_GET",
        ["url {", 'path "/"', "digest " + "0" * 32, r'regex "a \"b\" \\d"', "regex_no_match", "}"],
    ),
    "ping": ({"type": "ping"}, "PING_CHECK", []),
    "dns": ({"type": "dns", "name": "example.org", "record": "A"}, "DNS_CHECK", ["type A", "name example.org"]),
    "smtp": ({"type": "smtp", "name": "lb.example.org"}, "SMTP_CHECK", ["helo_name lb.example.org"]),
    "udp": (
        {"type": "udp", "port": 53, "payload": "00 01", "reply": "00XX"},
        "UDP_CHECK",
        ["connect_port 53", 'payload "00 01"', 'require_reply "00XX"'],
    ),
    "any reply": ({"type": "udp", "port": 53, "reply": "any"}, "UDP_CHECK", ["connect_port 53", "require_reply"]),
}


@pytest.mark.parametrize(("check", "head", "lines"), CHECKS.values(), ids=CHECKS)
def test_checks(check, head, lines):
    timing = {"timeout": 1.5, "retries": 2, "retry_interval": 0.5, "warmup": 0}
    found = blocks(health(service(check={**check, **timing, "keepalived": "log_all_failures on"})), head)[0]
    assert found[1:-1] == [
        *lines,
        "connect_timeout 1.5",
        "retry 2",
        "delay_before_retry 0.5",
        "warmup 0",
        "log_all_failures on",
    ]


def test_a_script_that_sets_the_weight():
    text = health(service(check={"type": "script", "command": "/bin/load x", "dynamic": True, "timeout": 2.5}))
    assert blocks(text, "MISC_CHECK")[0][1:4] == ['misc_path "/bin/load x"', "misc_dynamic", "misc_timeout 3"]


def test_a_script_may_ask_whom_it_is_run_for():
    text = health(service(check={"type": "script", "command": "/bin/load {address} {port} {else}"}))
    asked = [each[1] for each in blocks(text, "MISC_CHECK")]
    assert asked[:2] == ['misc_path "/bin/load 10.0.0.11 80 {else}"', 'misc_path "/bin/load 10.0.0.12 80 {else}"']


def test_files_are_declared_once():
    check = {"type": "file", "file": "/run/load", "weight": 2}
    text = health(service(check=check), service(name="two", port=81, check=check))
    assert block(text, "track_file")[1] == 'file "/run/load"'
    assert blocks(text, "FILE_CHECK")[0][1:-1] == ["track_file lvs-file-1", "weight 2"]


def test_a_service_that_is_not_watched():
    text = health(service(check="none"))
    assert "_CHECK" not in text
    assert "delay_loop" not in text


def test_the_operators_own_text():
    own = {"script_user": "checks adm", "global": "checker_log_all_failures on", "text": "bfd_instance b {\n}\n"}
    text = health(lvs_keepalived=own)
    assert "    script_user checks adm\n" in text
    assert "    checker_log_all_failures on\n" in text
    assert text.endswith("bfd_instance b {\n}\n")
