# SPDX-License-Identifier: GPL-3.0-or-later
"""ldirectord.cf, judged by its text. The texts here were judged by `ldirectord FILE status` of Debian 12 too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import keepalived, ldirectord
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_ldirectord import CHECKS
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import pack, view
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import OMIT, inventory, pair, service


def conf(*services, fn=inventory, **shared):
    seen = view(pack(build(*fn(*services, lvs_health="ldirectord", **shared))), "director1")
    return ldirectord.configuration(seen, ldirectord.secrets_of(services))


def block(text, head):
    """The lines of one virtual block, without their indent."""
    lines = text.splitlines()
    start = lines.index(head) + 1
    end = next((n for n in range(start, len(lines)) if not lines[n].startswith("    ")), len(lines))
    return [line.strip() for line in lines[start:end]]


def web(**keys):
    """The block of the usual service."""
    keys = service(**keys)
    return block(conf(keys), f"virtual = 192.0.2.10:{keys['port']}")


def asked(check, **keys):
    """What a check becomes."""
    lines = web(check=check, **keys)
    first = next(n for n, line in enumerate(lines) if line.startswith("checktype"))
    last = next(n for n, line in enumerate(lines) if re.match("checkinterval|quiescent", line))
    return lines[first:last]


def test_a_service_whole():
    text = conf(service(forward="dr", real_servers=[{"host": "rs1", "weight": 2}, {"host": "rs2"}]))
    assert text == (
        ldirectord.HEADER
        + """\
fork = yes
autoreload = no
quiescent = no
readdquiescent = yes
cleanstop = no
logfile = "/var/log/ldirectord.log"

# web
virtual = 192.0.2.10:80
    real = 10.0.0.11:80 gate 2
    real = 10.0.0.12:80 gate 1
    protocol = tcp
    scheduler = wlc
    checktype = connect
    checkinterval = 5
    checktimeout = 3
    negotiatetimeout = 3
    failurecount = 2
    quiescent = no
"""
    )


ASKED = {
    "none": ("none", ["checktype = on"]),
    "off": ("off", ["checktype = off"]),
    "tcp on another port": ({"type": "tcp", "port": 81}, ["checktype = connect", "checkport = 81"]),
    "ping": ("ping", ["checktype = ping"]),
    "http": ("http", ["checktype = negotiate", "service = http", 'request = "/"']),
    "http in full": (
        {"type": "http", "path": "/a?b", "host": "www.example.org", "regex": '"ok" [#]\\#', "connects": 5},
        [
            "checktype = 5",
            "service = http",
            'request = "/a?b"',
            'receive = ""ok" [\\x23]\\x23"',
            'virtualhost = "www.example.org"',
        ],
    ),
    "https that must not match": (
        {"type": "https", "regex": "err", "regex_absent": True, "status": "200-299"},
        ["checktype = negotiate", "service = https", 'request = "/"', 'receive = "\\A(?!(?s:.*)(?:err))"'],
    ),
    "headers": (
        {"type": "http", "method": "HEAD"},
        ["checktype = negotiate", "service = http", 'request = "/"', "httpmethod = HEAD"],
    ),
    "a proxy": (
        {"type": "http_proxy", "request": "http://example.org/"},
        ["checktype = negotiate", "service = http_proxy", 'request = "http://example.org/"'],
    ),
    "ftp": (
        {"type": "ftp", "request": "/pub/alive", "regex": "yes", "login": "lvs", "password": "p w"},
        [
            "checktype = negotiate",
            "service = ftp",
            'request = "/pub/alive"',
            'receive = "yes"',
            'login = "lvs"',
            'passwd = "p w"',
        ],
    ),
    "ldap": (
        {"type": "ldap", "request": "dc=example", "login": "cn=lvs", "password": "x"},
        ["checktype = negotiate", "service = ldap", 'request = "dc=example"', 'login = "cn=lvs"', 'passwd = "x"'],
    ),
    "a database": (
        {"type": "pgsql", "request": "SELECT 1", "login": "lvs", "database": "d"},
        ["checktype = negotiate", "service = pgsql", 'request = "SELECT 1"', 'login = "lvs"', 'database = "d"'],
    ),
    "one slash is ldirectord's": (
        {"type": "simpletcp", "request": "/PING\\n", "regex": "PONG"},
        ["checktype = negotiate", "service = simpletcp", 'request = "//PING\\n"', 'receive = "PONG"'],
    ),
    "dns": (
        {"type": "dns", "name": "www.example.org", "regex": "192"},
        ["checktype = negotiate", "service = dns", 'request = "www.example.org"', 'receive = "192"'],
    ),
    "a program": ({"type": "script", "command": "/bin/true"}, ["checktype = external", 'checkcommand = "/bin/true"']),
    "a program in Perl": (
        {"type": "script", "command": "/bin/true", "perl": True},
        ["checktype = external-perl", 'checkcommand = "/bin/true"'],
    ),
    **{
        kind: ({"type": kind, "port": port}, ["checktype = negotiate", f"service = {kind}", f"checkport = {port}"])
        for kind, port in (("imap", 143), ("imaps", 993))
    },
    **{
        kind: (kind, ["checktype = negotiate", f"service = {kind}"])
        for kind in ("smtp", "submission", "pop", "pops", "nntp", "sip")
    },
}


@pytest.mark.parametrize(("check", "lines"), ASKED.values(), ids=ASKED)
def test_checks(check, lines):
    assert asked(check) == lines


def test_radius_with_both_of_its_secrets():
    check = {"type": "radius", "login": "lvs", "password": "p", "secret": "s3cr3t"}
    assert asked(check, port=1812, protocol="udp")[-3:] == ['login = "lvs"', 'passwd = "p"', 'secret = "s3cr3t"']


def test_secrets_are_in_no_view():
    check = {"type": "radius", "login": "lvs", "password": "passw0rd", "secret": "s3cr3t"}
    model = pack(build(*inventory(service(port=1812, protocol="udp", check=check), lvs_health="ldirectord")))
    seen = view(model, "director1")
    said = json.dumps([model, seen])
    assert "passw0rd" not in said and "s3cr3t" not in said
    assert seen["ldirectord"]["secrets"] is True


def test_both_services_of_an_item_have_its_secret():
    check = {"type": "pop", "login": "lvs", "password": "p"}
    text = conf(service(name="a", port=OMIT, ports=[110, 111], check=check), service(name="b", port=112, check="pop"))
    assert text.count('passwd = "p"') == 2


APART = {
    "http": ("http", 'receive = "(?:web-192.0.2.11){0}"'),
    "http with an answer": ({"type": "http", "regex": "a|b"}, 'receive = "a|b(?:web-192.0.2.11){0}"'),
    "tcp": ("tcp", 'virtualhost = "web-192.0.2.11"'),
    "a program": ({"type": "script", "command": "/x"}, 'virtualhost = "web-192.0.2.11"'),
}


@pytest.mark.parametrize(("check", "line"), APART.values(), ids=APART)
def test_two_services_with_the_same_question_count_their_failures_apart(check, line):
    text = conf(service(vip=["192.0.2.10", "192.0.2.11"], check=check))
    assert line in block(text, "virtual = 192.0.2.11:80")
    assert "web-192" not in conf(service(check=check), service(name="b", port=81, check=check)).replace("# web", "")


def test_timing():
    lines = web(check={"interval": 7, "timeout": 2, "retries": 0}, inhibit_on_failure=True)
    assert lines[-5:] == [
        "checkinterval = 7",
        "checktimeout = 2",
        "negotiatetimeout = 2",
        "failurecount = 1",
        "quiescent = yes",
    ]


def test_one_process_has_one_interval():
    text = conf(service(check={"interval": 7}), lvs_ldirectord={"fork": False})
    assert text.count("checkinterval = 7") == 1
    assert "fork = no\ncheckinterval = 7\n" in text


def test_all_of_a_row():
    lines = web(
        forward="tun",
        persistence={"timeout": 60, "netmask": 24},
        scheduler="sh",
        scheduler_flags=["sh-port", "sh-fallback"],
        upper_threshold=10,
        lower_threshold=5,
        real_servers=[{"host": "rs1", "ldirectord": '"/x", "y"'}, {"host": "rs2", "upper_threshold": 20}],
        fallback={"address": "192.0.2.9", "forward": "nat", "port": 8080},
    )
    assert lines[:8] == [
        'real = 10.0.0.11:80 ipip 1 "/x", "y" l:5 u:10',
        "real = 10.0.0.12:80 ipip 1 l:5 u:20",
        "fallback = 192.0.2.9:8080 masq",
        "protocol = tcp",
        "scheduler = sh",
        "schedflags = sh-fallback,sh-port",
        "persistent = 60",
        "netmask = 255.255.255.0",
    ]


def test_datagrams_one_by_one():
    assert "ops = yes" in web(port=53, protocol="udp", one_packet=True)


def test_ipv6():
    keys = {"persistence": {"netmask": 64}, "fallback": {"address": "2001:db8::99"}, "forward": "dr"}
    lines = block(conf(service(vip="2001:db8::10", check="http", **keys)), "virtual6 = [2001:db8::10]:80")
    assert lines[0] == "real6 = [2001:db8:1::11]:80 gate 1"
    assert "fallback6 = [2001:db8::99]:80 gate" in lines
    assert "netmask = 64" in lines


def test_marks():
    text = conf(service(vip=["192.0.2.20", "2001:db8::20"], port=OMIT, ports=[80, 443], group=True, fwmark=80))
    four, six = block(text, "virtual = 80"), block(text, "virtual6 = 80")
    assert four[:1] + six[:1] == ["real = 10.0.0.11 masq 1", "real6 = [2001:db8:1::11] masq 1"]
    assert [line for line in four if line.startswith(("protocol", "check"))][:3] == [
        "protocol = fwm",
        "checktype = connect",
        "checkport = 80",
    ]


def test_a_mark_alone():
    lines = block(conf(service(fwmark=7, port=OMIT, vip=OMIT, fallback={"address": "192.0.2.9"})), "virtual = 7")
    assert lines[3:5] == ["fallback = 192.0.2.9 masq", "protocol = fwm"]
    assert "checktype = ping" in lines


def test_while_all_are_in_maintenance_the_fallback_is_one_of_them():
    lines = web(real_servers=[{"host": "rs1", "weight": 0}], fallback={"address": "192.0.2.9"})
    assert lines[:2] == ["real = 10.0.0.11:80 masq 0", "real = 192.0.2.9:80 masq 1"]
    assert not any(line.startswith("fallback") for line in lines)


def test_lines_of_the_operators_own():
    own = {"global": "checkcount = 2\n\n", "text": "virtual = 203.0.113.1:80\n\treal = 203.0.113.2:80 masq\n"}
    text = conf(service(ldirectord="failurecount = 9\n\n  comment = hello\n"), lvs_ldirectord=own)
    assert block(text, "virtual = 192.0.2.10:80")[-2:] == ["failurecount = 9", "comment = hello"]
    assert 'logfile = "/var/log/ldirectord.log"\ncheckcount = 2\n\n# web' in text
    assert text.endswith("\n\nvirtual = 203.0.113.1:80\n\treal = 203.0.113.2:80 masq\n")


def test_settings():
    mail = {"to": ["a@example.org", "b@example.org"], "from": "lvs@example.org", "server": "mail.example.org"}
    own = {"cleanstop": True, "maintenance_directory": "/etc/lvs/down", "log": "local0"}
    text = conf(lvs_ldirectord={**own, "mail": {**mail, "repeat": 60, "states": ["running", "stopping"]}})
    assert text.splitlines()[5:13] == [
        "cleanstop = yes",
        'logfile = "local0"',
        "maintenancedir = /etc/lvs/down",
        'emailalert = "a@example.org, b@example.org"',
        "emailalertfrom = lvs@example.org",
        "smtp = mail.example.org",
        "emailalertfreq = 60",
        "emailalertstatus = running, stopping",
    ]
    assert "servicename = web" in block(text, "virtual = 192.0.2.10:80")
    assert "emailalertstatus = all" in conf(lvs_ldirectord={"mail": "a@example.org"})


def test_under_heartbeat_it_looks_after_its_file_itself():
    seen = view(pack(build(*pair(lvs_health="ldirectord", lvs_failover="external"))), "director1")
    text = ldirectord.configuration({**seen, "failover": "heartbeat"}, {})
    assert "autoreload = yes" in text and "cleanstop = yes" in text
    # What the sync daemons have told of connections would go with the rows.
    assert "cleanstop = no" in ldirectord.configuration({**seen, "failover": "heartbeat", "sync": {"id": 1}}, {})


def test_keepalived_that_moves_the_vips_watches_nobody_then():
    hostvars, groups = pair(service(check="nntp"), lvs_health="ldirectord", lvs_failover="keepalived")
    text = keepalived.configuration(view(pack(build(hostvars, groups)), "director1"))
    assert "vrrp_instance" in text
    assert "virtual_server" not in text


def test_what_only_some_checks_need_of_perl():
    def needs(*services):
        model = pack(build(*inventory(*services, lvs_health="ldirectord")))
        return view(model, "director1")["ldirectord"]["perl"]

    sql = {"login": "l", "database": "d", "request": "SELECT 1"}
    assert needs(service(), service(name="b", port=443, check="https")) == []
    assert needs(
        service(check={"type": "pgsql", **sql}),
        service(name="b", port=81, check={"type": "mysql", **sql}),
        service(name="c", vip="2001:db8::10", check="http"),
    ) == ["mysql", "pgsql", "inet6"]


def test_every_type_of_its_own_is_tried():
    tried = {check if isinstance(check, str) else check["type"] for check, _ in ASKED.values()}
    own = {choice.name for choice in CHECKS}
    assert own - tried == {"ldaps", "mysql", "oracle", "radius"}


# The judge, with an ldirectord that says what a test wants.

PERL = shutil.which("perl")


def judge(folder, text, program, modules=""):
    path = folder / "ldirectord.cf"
    path.write_text(text)
    tool = folder / "ldirectord"
    tool.write_text(f"#!/bin/sh\necho $1 $2 >>{folder}/calls\n{program}\n")
    tool.chmod(0o755)
    command = [PERL, *ldirectord.JUDGE[1:], ldirectord.JUDGEMENT, tool, modules, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert sorted(os.listdir(folder)) in (["calls", "ldirectord", "ldirectord.cf"], ["ldirectord", "ldirectord.cf"])
    return done.returncode, done.stdout, done.stderr.replace(str(path), "FILE")


@pytest.mark.skipif(not PERL, reason="needs perl")
class TestJudge:
    """The program that judges before ldirectord reads a file."""

    @pytest.mark.parametrize("status", [0, 1, 3])
    def test_it_says_nothing_of_a_good_file(self, tmp_path, status):
        said = judge(tmp_path, conf(), f"echo Warning; echo x >&2; exit {status}")
        assert said == (0, "", "")
        (name, word) = (tmp_path / "calls").read_text().split()
        assert word == "status"
        assert os.path.basename(name) != "ldirectord.cf"

    @pytest.mark.parametrize("status", [2, 255])
    def test_it_quotes_ldirectord_with_the_name_of_the_file(self, tmp_path, status):
        said = judge(tmp_path, conf(), f'echo "Error [1] reading file $1 at line 9: no" >&2; exit {status}')
        assert said == (2, "", "Error [1] reading file FILE at line 9: no\n")

    @pytest.mark.parametrize("regex", ["a(", "[", "a(?{die})", "*"])
    def test_a_regex_that_would_kill_it(self, tmp_path, regex):
        text = conf(service(check={"type": "http", "regex": regex}))
        line = text.splitlines().index(f'    receive = "{regex}"') + 1
        status, _out, said = judge(tmp_path, text, "exit 3")
        assert status == 1
        assert said.startswith(f"FILE: line {line}: ")

    def test_a_module_that_is_not_there(self, tmp_path):
        check = {"type": "oracle", "login": "l", "database": "d", "request": "SELECT 1"}
        text = conf(service(check=check))
        assert judge(tmp_path, text, "exit 3")[0] == 0
        assert "DBD::Oracle is not installed" in judge(tmp_path, text, "exit 3", "modules")[2]
