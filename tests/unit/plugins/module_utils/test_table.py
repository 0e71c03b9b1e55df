# SPDX-License-Identifier: GPL-3.0-or-later
"""The table's values: parsing, refusing, printing, and reading ipvsadm's text."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.tests.unit.plugins.module_utils import tables
from hypothesis import given, settings
from hypothesis import strategies as st

WEB = {"address": "192.0.2.10", "port": 80}


def complete(*rows):
    """Return the table that rows describe."""
    return t.complete_table(t.parse_config(list(rows)))


def service(**options):
    """Return the one service of a config."""
    (entry,) = complete(dict(WEB, **options)).values()
    return entry.service


def real_server(**options):
    """Return the one real server of a config."""
    (entry,) = complete(dict(WEB, real_servers=[dict({"address": "198.51.100.1"}, **options)])).values()
    (row,) = entry.real_servers.values()
    return row


# --- addresses


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_addresses_have_one_form(text, shown):
    assert t.format_address(t.parse_address(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "web1", "192.0.2", "192.0.2.256", "192.0.2.1/32", "2001:db8::1%eth0", "::1::", None, 80, ["a"], "[]"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(t.TableError, match="is not an IP address"):
        t.parse_address(text)


# --- defaults


def test_a_new_row_has_ipvsadms_defaults():
    entry = complete(dict(WEB, real_servers=[{"address": "198.51.100.1"}]))[(2, 6, b"\xc0\x00\x02\x0a", 80, 0)]
    assert t.service_line(entry.service) == "-A -t 192.0.2.10:80 -s wlc"
    assert list(entry.real_servers.values()) == [
        t.RealServer(t.parse_address("198.51.100.1"), 80, t.DR, 1, 0, 0, 0, 0, 0)
    ]


def test_the_port_of_a_real_server_of_a_mark_is_the_clients():
    (entry,) = complete({"fwmark": 1, "real_servers": [{"address": "198.51.100.1"}]}).values()
    assert entry.service.family == t.AF_INET
    assert [row.port for row in entry.real_servers.values()] == [0]


@pytest.mark.parametrize("off", [None, False, "no"])
def test_persistence_is_switched_off(off):
    assert service(persistence=off).persistent is False


@pytest.mark.parametrize(
    ("value", "timeout", "netmask", "engine"),
    [
        (300, 300, 0xFFFFFFFF, ""),
        ("300", 300, 0xFFFFFFFF, ""),
        (True, 360, 0xFFFFFFFF, ""),
        ({}, 360, 0xFFFFFFFF, ""),
        ({"timeout": 0}, 0, 0xFFFFFFFF, ""),
        ({"netmask": 24}, 360, 0xFFFFFF00, ""),
        ({"netmask": "255.255.0.0", "engine": "sip"}, 360, 0xFFFF0000, "sip"),
        ({"netmask": 0}, 360, 0, ""),
    ],
)
def test_persistence(value, timeout, netmask, engine):
    got = service(persistence=value)
    assert got[8:] == (True, timeout, netmask, engine)


def test_numbers_and_truths_written_as_text_count():
    """Templates of older Ansible versions return text."""
    row = {
        "address": "192.0.2.10",
        "port": "80",
        "one_packet": "yes",
        "real_servers": [{"address": "198.51.100.1", "port": "80", "weight": "0"}],
    }
    (entry,) = complete(row).values()
    assert entry.service.one_packet is True
    assert [row.weight for row in entry.real_servers.values()] == [0]


def test_weight_zero_is_a_weight():
    assert real_server(weight=0).weight == 0
    assert real_server(weight=None).weight == 1


@pytest.mark.parametrize(
    ("flags", "scheduler", "bits"),
    [
        ([], "sh", 0),
        (["sh-port"], "sh", 0x10),
        (["mh-fallback", "mh-port"], "mh", 0x18),
        (["flag-1", "flag-3"], "wrr", 0x28),
        ([1, "2"], "rr", 0x18),
        ("sh-port,sh-fallback", "sh", 0x18),
    ],
)
def test_scheduler_flags(flags, scheduler, bits):
    assert service(scheduler=scheduler, scheduler_flags=flags).scheduler_flags == bits


@pytest.mark.parametrize(
    ("tunnel", "values"),
    [
        ({}, (0, 0, 0)),
        ("ipip", (0, 0, 0)),
        ({"type": "gue", "port": 6080}, (1, 6080, 0)),
        ({"type": "gue", "port": 6080, "checksum": "remcsum"}, (1, 6080, 2)),
        ({"type": "gre", "checksum": True}, (2, 0, 1)),
        ({"type": "gre", "checksum": "none"}, (2, 0, 0)),
    ],
)
def test_tunnels(tunnel, values):
    assert real_server(forward="tun", tunnel=tunnel)[6:] == values


# --- refusals: the path, and the mend

REFUSALS = [
    ("no", "config: 'no' is not a list"),
    (["web"], r"config\[0\]: 'web' is not a dictionary"),
    ([{}], r"config\[0\]: a service needs address, protocol and port, or fwmark"),
    ([dict(WEB, sheduler="rr")], r"config\[0\]\.sheduler: there is no such option\. Did you mean 'scheduler'\?"),
    ([dict(WEB, zzz=1)], r"config\[0\]\.zzz: there is no such option\. Known are address, "),
    ([{"address": "web"}], r"config\[0\]\.address: 'web' is not an IP address; write one like"),
    ([{"address": "192.0.2.1"}], r"config\[0\]\.port: is missing"),
    ([dict(WEB, port=70000)], r"config\[0\]\.port: 70000 is not a whole number from 0 to 65535"),
    ([dict(WEB, port=True)], r"config\[0\]\.port: True is not a whole number"),
    ([dict(WEB, port=0)], r"config\[0\]\.port: 0 \(every port\) works for persistent services only"),
    ([dict(WEB, protocol="tpc")], r"config\[0\]\.protocol: 'tpc' is not known; .* Did you mean 'tcp'\?"),
    ([dict(WEB, family="ipv6")], r"config\[0\]\.family: 192\.0\.2\.10 is not an ipv6 address"),
    ([{"fwmark": 0}], r"config\[0\]\.fwmark: 0 is not a whole number from 1 to 4294967295"),
    ([{"fwmark": 1, "port": 80}], r"config\[0\]\.port: a service by fwmark has none"),
    ([dict(WEB, scheduler="")], r"config\[0\]\.scheduler: '' is no scheduler's name"),
    ([dict(WEB, scheduler="w" * 16)], r"config\[0\]\.scheduler: .* at most 15 characters"),
    (
        [dict(WEB, scheduler="wlc", scheduler_flags=["sh-port"])],
        r"scheduler_flags\[0\]: sh-port belongs to scheduler sh",
    ),
    ([dict(WEB, scheduler_flags=["sh-prt"])], r"scheduler_flags\[0\]: 'sh-prt' is not known.*Did you mean 'sh-port'"),
    ([dict(WEB, scheduler_flags=8)], r"config\[0\]\.scheduler_flags: 8 is not a list"),
    ([dict(WEB, one_packet="maybe")], r"config\[0\]\.one_packet: 'maybe' is neither true nor false"),
    ([dict(WEB, persistence=0)], r"config\[0\]\.persistence: to switch persistence off write false"),
    ([dict(WEB, persistence={"time": 3})], r"config\[0\]\.persistence\.time: .* Did you mean 'timeout'\?"),
    ([dict(WEB, persistence={"timeout": 2**32})], r"config\[0\]\.persistence\.timeout: 4294967296 is not"),
    ([dict(WEB, persistence={"netmask": 33})], r"config\[0\]\.persistence\.netmask: 33 is not .* from 0 to 32"),
    ([dict(WEB, persistence={"engine": 5})], r"config\[0\]\.persistence\.engine: 5 is no persistence engine"),
    ([dict(WEB, real_servers=None)], r"config\[0\]\.real_servers: None is not a list; write \[\] for none"),
    ([dict(WEB, real_servers={"address": "x"})], r"config\[0\]\.real_servers: .* is not a list"),
    ([WEB, WEB], r"config\[1\]: tcp 192\.0\.2\.10:80 is in config\[0\] already"),
]


@pytest.mark.parametrize(("config", "message"), REFUSALS)
def test_a_bad_service_is_named(config, message):
    with pytest.raises(t.TableError, match=message):
        t.complete_table(t.parse_config(config))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("rs1", "'rs1' is not a dictionary"),
        ({}, "address: is missing"),
        ({"address": ["198.51.100.1"]}, "address: .* is not an IP address"),
        ({"address": "198.51.100.1", "weigth": 1}, r"weigth: there is no such option\. Did you mean 'weight'\?"),
        ({"address": "198.51.100.1", "weight": -1}, "weight: -1 is not a whole number from 0 to 2147483647"),
        ({"address": "198.51.100.1", "weight": ""}, "weight: '' is not a whole number"),
        ({"address": "198.51.100.1", "weight": 1.5}, "weight: 1.5 is not a whole number"),
        ({"address": "198.51.100.1", "forward": "masq"}, "forward: 'masq' is not known; one of nat, local, tun, dr"),
        ({"address": "198.51.100.1", "port": 8080}, "port: dr cannot change the port: 8080 is not the service's 80"),
        ({"address": "2001:db8::1"}, "address: is of another family than its service"),
        ({"address": "198.51.100.1", "lower_threshold": 5}, "lower_threshold: 5 is above upper_threshold 0"),
        ({"address": "198.51.100.1", "tunnel": {}, "forward": "nat"}, "tunnel: only a real server with `forward: tun`"),
        ({"address": "198.51.100.1", "tunnel": {"typ": 1}, "forward": "tun"}, "typ: .* Did you mean 'type'"),
        ({"address": "198.51.100.1", "tunnel": "gue", "forward": "tun"}, "tunnel.port: a gue tunnel needs the port"),
        ({"address": "198.51.100.1", "tunnel": {"port": 1}, "forward": "tun"}, "tunnel.port: only a gue tunnel"),
        ({"address": "198.51.100.1", "tunnel": {"checksum": True}, "forward": "tun"}, "tunnel.checksum: an ipip"),
        (
            {"address": "198.51.100.1", "tunnel": {"type": "gre", "checksum": "remcsum"}, "forward": "tun"},
            "tunnel.checksum: a gre tunnel knows none and csum only",
        ),
    ],
)
def test_a_bad_real_server_is_named(options, message):
    config = [WEB | {"port": 443}, WEB | {"real_servers": [{"address": "198.51.100.9"}, options]}]
    with pytest.raises(t.TableError, match=r"^config\[1\]\.real_servers\[1\](\.|: )(tunnel\.)?" + message):
        t.complete_table(t.parse_config(config))


def test_a_real_server_listed_twice_is_named():
    config = [WEB | {"real_servers": [{"address": "198.51.100.9"}, {"address": "198.51.100.9", "port": 80}]}]
    with pytest.raises(t.TableError, match=r"config\[0\]\.real_servers\[1\]: 198\.51\.100\.9:80 is in .*\[0\] already"):
        t.parse_config(config)


# --- scope


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ("all", {"web", "dns", "six", "mark"}),
        ({"networks": ["192.0.2.0/24"]}, {"web", "dns"}),
        ({"networks": ["192.0.2.10", "2001:db8::/32"]}, {"web", "six"}),
        ({"networks": "192.0.2.0/24", "protocols": ["udp"]}, {"dns"}),
        ({"protocols": ["tcp"]}, {"web", "six"}),
        ({"marks": [7]}, {"mark"}),
        ({"marks": "5-9"}, {"mark"}),
        ({"marks": [1, "8-9"]}, set()),
    ],
)
def test_scope(scope, covered):
    rows = {
        "web": {"address": "192.0.2.10", "port": 80},
        "dns": {"address": "192.0.2.53", "port": 53, "protocol": "udp"},
        "six": {"address": "2001:db8::10", "port": 80},
        "mark": {"fwmark": 7},
    }
    parsed = t.parse_scope(scope)
    assert {name for name, row in rows.items() if parsed.covers(next(iter(complete(row))))} == covered


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("some", "scope: 'some' is neither `all` nor"),
        ({}, "scope: covers nothing"),
        ({"network": []}, "scope.network: .* Did you mean 'networks'"),
        ({"networks": ["192.0.2.0/33"]}, r"scope.networks\[0\]: '33' is not a whole number from 0 to 32"),
        ({"networks": ["here"]}, r"scope.networks\[0\]: 'here' is not an IP address"),
        ({"marks": ["9-5"]}, r"scope.marks\[0\]: '5' is not a whole number from 9"),
        ({"protocols": ["icmp"]}, r"scope.protocols\[0\]: 'icmp' is not known"),
    ],
)
def test_a_bad_scope_is_named(scope, message):
    with pytest.raises(t.TableError, match=message):
        t.parse_scope(scope)


# --- printing and reading back


@given(tables.tables)
@settings(max_examples=60, deadline=None)
def test_config_and_back(table):
    assert t.complete_table(tables.wishes_of(table)) == table


@given(tables.tables)
@settings(max_examples=60, deadline=None)
def test_text_and_back(table):
    assert t.parse_saved(t.render(table)) == table


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_table_or_a_clear_error(text):
    try:
        t.parse_saved(text)
    except t.TableError as error:
        assert str(error).startswith("line ")


def test_an_empty_table_is_an_empty_text():
    assert t.render({}) == ""
    assert t.parse_saved("") == {}


SAVED_1_31 = """\
-A -t 192.0.2.1:80 -s sh -b sh-fallback,sh-port
-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.0.2.1:80 -r 10.0.0.4:80 -i -w 1 --tun-type gre --tun-csum
-a -t 192.0.2.1:80 -r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 192.0.2.1:80 -r 10.0.0.6:80 -g -w 70000
-a -t 192.0.2.1:80 -r [2001:db8::9]:80 -i -w 1 --tun-type ipip
-a -t 192.0.2.1:80 -r 127.0.0.1:80 -m -w 1
-A -t 192.0.2.1:82 -s wrr -b flag-1,flag-3
-A -t 192.0.2.1:85 -s wlc -p 360
-A -u 192.0.2.1:53 -s wlc -p 20 -M 255.255.255.0 -o
-A -u 192.0.2.1:5060 -s wlc -p 20 --pe sip
-A --sctp-service 192.0.2.1:99 -s wlc
-A -t [2001:db8::1]:80 -s wlc
-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -i -w 1 --tun-type ipip
-A -f 7 -6 -s wlc -p 30 -M 64
"""


def test_ipvsadm_1_31s_text_is_read_and_written_as_it_is():
    assert t.render(t.parse_saved(SAVED_1_31)) == SAVED_1_31


def test_marks_printed_as_negative_numbers_are_read():
    """ipvsadm 1.31 prints mark 4155573216 so, and refuses to restore it."""
    table = t.parse_saved("-A -f -139394080 -s rr -p 30\n-a -f -139394080 -r 10.0.0.9:0 -i -w 1 --tun-type ipip\n")
    assert t.render(table).startswith("-A -f 4155573216 -s rr -p 30\n-a -f 4155573216 -r 10.0.0.9:0 -i ")


def test_older_text_without_tunnel_types():
    """ipvsadm before 1.30 knew IP-in-IP only."""
    (entry,) = t.parse_saved("-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 2\n").values()
    assert [row[2:] for row in entry.real_servers.values()] == [(t.TUN, 2, 0, 0, 0, 0, 0)]


NAMES = {"www.example.com": "192.0.2.1", "rs1.example.com": "198.51.100.1", "six.example.com": "2001:db8::1"}


def resolve(name, family):
    """Look names up in a small world."""
    address = t.parse_address(NAMES[name])
    assert t.family_of(address) == family
    return address


def test_text_with_names():
    text = (
        "-A -t www.example.com:http -s wlc\n"
        "-a -t www.example.com:http -r rs1.example.com:http -g -w 1\n"
        "-A -t [six.example.com]:https -s wlc\n"
    )
    assert t.render(t.parse_saved(text, resolve)) == (
        "-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1\n-A -t [2001:db8::1]:443 -s wlc\n"
    )


def test_a_script_of_commands_is_read():
    text = """\
#!/bin/sh
# the old director
/sbin/ipvsadm -C
ipvsadm --add-service --tcp-service 192.0.2.1:80 --scheduler=wrr --persistent
ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.1 -m -w3
ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.2:8080 -g --weight 2 --u-threshold 9 -y 3
ipvsadm -E -t 192.0.2.1:80 -p600 -s rr
ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.1 -m -w 5
"""
    assert t.render(t.parse_saved(text)) == (
        "-A -t 192.0.2.1:80 -s rr -p 600\n"
        "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 5\n"
        "-a -t 192.0.2.1:80 -r 198.51.100.2:80 -g -w 2 -x 9 -y 3\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-A -t 192.0.2.1:80 -s", "line 1: -s needs a value"),
        ("\n-A -t web:80", "line 2: 'web' is not an IP address"),
        ("-A -t 192.0.2.1:nosuchport", "port 'nosuchport' is not in /etc/services"),
        ("-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m", "its service is in no line above"),
        ("-A -s rr", "names no service"),
        ("-D -t 192.0.2.1:80", "'-D' is no option of a service or real server"),
        ("--set 1 2 3", "'--set' is no option"),
        ("-A -t 192.0.2.1:80 rr", "'rr' is out of place"),
        ("-t 192.0.2.1:80", "does not add to a table"),
        ("-A -f one", "-f 'one' is not a number"),
        ("-A -t 192.0.2.1:80\n-a -t 192.0.2.1:80 -r 10.0.0.1 -i --tun-type vxlan", "line 2: --tun-type: 'vxlan'"),
    ],
)
def test_bad_text_is_named(text, message):
    with pytest.raises(t.TableError, match=message):
        t.parse_saved(text)


def test_what_ipvsadm_will_not_restore_is_said():
    table = complete(
        WEB
        | {
            "one_packet": True,
            "persistence": {"timeout": 2678401},
            "real_servers": [{"address": "198.51.100.1", "forward": "local"}],
        }
    )
    problems = "\n".join(t.restore_problems(table))
    assert "one-packet" in problems
    assert "31 days" in problems
    assert "local" in problems
    assert t.restore_problems(complete(WEB)) == []
