# SPDX-License-Identifier: GPL-3.0-or-later
"""What ldirectord can't say, what only it can: refused before any host is touched, each with its mend."""

from __future__ import annotations

import pytest
from ansible_collections.lvs.cluster.tests.unit.plugins.plugin_utils.inventories import (
    OMIT,
    inventory,
    problems,
    service,
)

BY_LDIRECTORD = {
    "sctp": ({"protocol": "sctp", "check": "none"}, ".protocol", "tcp and udp only", "add group: true (a mark)"),
    "one packet by mark": (
        {"fwmark": 7, "port": OMIT, "vip": OMIT, "one_packet": True},
        ".one_packet",
        "for udp services by VIP and port only",
        "leave it out",
    ),
    "by call-id": (
        {"protocol": "udp", "port": 5060, "persistence": {"engine": "sip"}},
        ".persistence.engine",
        "does not know it",
        "use lvs_health: keepalived",
    ),
    "quorum": ({"quorum": 2}, ".quorum", "ldirectord does not know it", "leave it out"),
    "alpha": ({"alpha": True}, ".alpha", "ldirectord does not know it", "leave it out"),
    "keepalived's lines": ({"keepalived": "x"}, ".keepalived", "has no use for it", "use the key ldirectord"),
    "keepalived's lines of a server": (
        {"real_servers": [{"host": "rs1", "keepalived": "x"}]},
        ".real_servers[0].keepalived",
        "has no use for it",
        "use the key ldirectord",
    ),
    "keepalived's lines of a check": (
        {"check": {"keepalived": "x"}},
        ".check.keepalived",
        "has no use for it",
        "use the service's key ldirectord",
    ),
    "udp": ({"protocol": "udp", "check": "udp"}, ".check.type", "no check of type udp", "use ping, dns, sip, radius"),
    "file": (
        {"check": {"type": "file", "file": "/x"}},
        ".check.type",
        "no check of type file",
        "maintenance_directory",
    ),
    "ping over IPv6": ({"vip": "2001:db8::10", "check": "ping"}, ".check.type", "over IPv6", "use one of none, tcp"),
    "udp over IPv6": (
        {"vip": "2001:db8::10", "protocol": "udp"},
        ".check.type",
        "of type ping over IPv6",
        "use one of",
    ),
    "a connection beside udp": (
        {"protocol": "udp", "check": {"type": "tcp", "port": 81}},
        ".check.type",
        "in the service's own protocol",
        "use ping",
    ),
    "imap on a port of its own": (
        {"check": "imap", "port": 144},
        ".check.port",
        "of type imap asks port 143, whatever port it is told",
        "add port: 143 where the servers listen there too",
    ),
    "digest": ({"check": {"type": "http", "digest": "0" * 32}}, ".check.digest", "does not know it", "use regex"),
    "weights": (
        {"check": {"type": "script", "command": "/x", "dynamic": True}},
        ".check.dynamic",
        "does not know it",
        "let the program's exit status say",
    ),
    "warmup": ({"check": {"warmup": 1}}, ".check.warmup", "does not know it", "leave it out"),
    "gue": (
        {"forward": "tun", "tunnel": {"type": "gue"}},
        ".tunnel.type",
        "ldirectord knows ipip only",
        "use type: ipip, or lvs_health: keepalived",
    ),
    "time between retries": (
        {"check": {"retry_interval": 3}},
        ".check.retry_interval",
        "does not know",
        "leave it out",
    ),
    "a greeting": ({"check": {"type": "smtp", "name": "x.example"}}, ".check.name", "the director's own name", "leave"),
    "a record": (
        {"check": {"type": "dns", "name": "x", "regex": "y", "record": "MX"}},
        ".check.record",
        "asks for the address of a name",
        "use type: script",
    ),
    "dns without a name": ({"check": {"type": "dns", "regex": "1"}}, ".check.name", "dns needs it", "add name"),
    "dns without an answer": ({"check": {"type": "dns", "name": "x"}}, ".check.regex", "dns needs it", "add regex"),
    "ftp without a file": ({"check": {"type": "ftp", "regex": "x"}}, ".check.request", "ftp needs it", "add request"),
    "a database without a login": ({"check": "mysql"}, ".check.login", "mysql needs it", "add login: who logs in"),
    "radius without a secret": (
        {"protocol": "udp", "check": {"type": "radius", "login": "l", "password": "p"}},
        ".check.secret",
        "radius needs it",
        "add secret: what the director shares",
    ),
    "a part of a second": ({"check": {"timeout": 0.5}}, ".check.timeout", "0.5 is a fraction", "write 1 or more"),
    "a status": ({"check": {"type": "http", "status": 200}}, ".check.status", "200-299 for success", "leave it out"),
    "headers that match": (
        {"check": {"type": "http", "method": "HEAD", "regex": "x"}},
        ".check.regex",
        "HEAD asks for no page",
        "leave one of both out",
    ),
    "arguments": (
        {"check": {"type": "script", "command": "/x y"}},
        ".check.command",
        "arguments of its own",
        "perhaps of a small script",
    ),
    "two lines": ({"check": {"type": "http", "regex": "a\nb"}}, ".check.regex", "reads one line", "write \\n"),
    "a comment": ({"check": {"type": "http", "path": "/a#b"}}, ".check.path", "beginning of a comment", "leave it out"),
    "a secret that shows": (
        {"check": {"type": "imap", "login": "l", "password": "sesame#"}},
        ".check.password",
        "its 7 characters are not",
        "without #",
    ),
    "a key of another type": ({"check": {"type": "http", "login": "l"}}, ".check.login", "means nothing", "use type"),
    "a fallback on the director's own loopback": (
        {"fallback": {"address": "127.0.0.1"}},
        ".fallback.address",
        "127.0.0.1 cannot answer",
        "use the director's own address",
    ),
    "a fallback of the other family": (
        {"forward": "tun", "fallback": {"address": "2001:db8::9"}},
        "",
        "the fallback 2001:db8::9 is IPv6",
        "give it an address of that family",
    ),
    "a server of the other family": (
        {"forward": "tun", "real_servers": [{"address": "2001:db8::9"}]},
        "",
        "the real server 2001:db8::9 is IPv6",
        "use lvs_health: keepalived",
    ),
}


def only(keys, found):
    """The lines about one place."""
    return [line for line in found if line.startswith(f"lvs_services[0] (web){keys}: ")]


@pytest.mark.parametrize(("changes", "key", "wrong", "mend"), BY_LDIRECTORD.values(), ids=BY_LDIRECTORD)
def test_refused_with_ldirectord(changes, key, wrong, mend):
    found = problems(*inventory(service(**changes), lvs_health="ldirectord"))
    (line,) = [line for line in only(key, found) if wrong in line]
    assert mend in line
    assert "sesame" not in "".join(found)


BY_KEEPALIVED = {
    "a type": ({"check": "nntp"}, ".check.type", "nntp is ldirectord's", "use tcp or script"),
    "a login": ({"check": {"type": "tcp", "login": "x"}}, ".check.login", "keepalived does not know it", "ldirectord"),
    "Perl": (
        {"check": {"type": "script", "command": "/x", "perl": True}},
        ".check.perl",
        "does not know it",
        "leave it out",
    ),
    "an answer of dns": ({"check": {"type": "dns", "regex": "x"}}, ".check.regex", "a name server answers", "leave"),
    "lines": ({"ldirectord": "x"}, ".ldirectord", "keepalived has no use for it", "use the key keepalived"),
    "words of a server": (
        {"real_servers": [{"host": "rs1", "ldirectord": "x"}]},
        ".real_servers[0].ldirectord",
        "keepalived has no use for it",
        "use the key keepalived",
    ),
}


@pytest.mark.parametrize(("changes", "key", "wrong", "mend"), BY_KEEPALIVED.values(), ids=BY_KEEPALIVED)
def test_refused_with_keepalived(changes, key, wrong, mend):
    found = problems(*inventory(service(**changes), lvs_health="keepalived"))
    (line,) = [line for line in only(key, found) if wrong in line]
    assert mend in line


@pytest.mark.parametrize("changes", [{"ldirectord": "x"}, {"real_servers": [{"host": "rs1", "ldirectord": "x"}]}])
def test_refused_without_an_engine(changes):
    (line,) = problems(*inventory(service(**changes)))
    assert "nobody would act on it" in line


def test_settings_without_ldirectord():
    (line,) = problems(*inventory(lvs_ldirectord={}, lvs_health="keepalived"))
    assert line.startswith("lvs_ldirectord: nobody would act on it")


def test_it_cannot_quiesce_what_leaves():
    (line,) = problems(*inventory(lvs_health="ldirectord", lvs_removed="quiesce"))
    assert line.startswith("lvs_removed: ldirectord deletes at once")


def test_one_process_and_two_intervals():
    two = [service(), service(name="b", port=81, check={"interval": 3})]
    assert problems(*inventory(*two, lvs_health="ldirectord")) == []
    (line,) = problems(*inventory(*two, lvs_health="ldirectord", lvs_ldirectord={"fork": False}))
    assert line.startswith("lvs_ldirectord.fork: one process asks all real servers at one interval")


SAME = {
    "http": {"check": {"type": "http", "path": "/x", "host": "a.example", "regex": "x"}},
    "a program": {"check": {"type": "script", "command": "/x", "interval": 2, "timeout": 2, "retries": 3}},
    "quiescent": {"inhibit_on_failure": True},
    "sctp by mark": {"protocol": "sctp", "group": True, "check": "ping"},
    "marks": {"fwmark": 7, "port": OMIT, "vip": OMIT, "check": {"type": "tcp", "port": 80}},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
@pytest.mark.parametrize("engine", ["keepalived", "ldirectord"])
def test_what_both_engines_know(changes, engine):
    assert problems(*inventory(service(**changes), lvs_health=engine)) == []
