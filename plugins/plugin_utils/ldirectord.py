# SPDX-License-Identifier: GPL-3.0-or-later
"""From the view of one director to ldirectord.cf.

Pure, and the only place that knows ldirectord's words. Every form here has been judged by `ldirectord FILE status` of
Debian 12. What ldirectord can't say the model has refused before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.rendering import (
    HEADER,
    by_mark,
    family_of,
    persistence_mask,
    raw_lines,
)

CONF = "/etc/ha.d/ldirectord.cf"
TABLE = "/etc/lvs/ldirectord.ipvs"

REDACT = r'^[ \t]*(?:passwd|secret)[ \t]*=[ \t]*"?(.*?)"?[ \t]*$'
"""Lines whose value nobody may read."""

View = Mapping[str, Any]
Secrets = Mapping[str, Mapping[str, str]]
"""By the name of the item of lvs_services: what is secret in its check."""

METHODS = {"nat": "masq", "dr": "gate", "tun": "ipip"}
TYPES = {"none": "on", "off": "off", "tcp": "connect", "ping": "ping", "script": "external"}
"""Types of check that are none of ldirectord's services."""

JUDGE = ["perl", "-e"]
JUDGEMENT = r"""
# The candidate gets a name of its own: ldirectord removes the PID file that belongs to a name when it refuses its file.
my ($program, $modules, $file) = @ARGV;
my %needs = (https => "LWP::Protocol::https", mysql => "DBD::mysql", pgsql => "DBD::Pg", oracle => "DBD::Oracle");
my @wrong;
open(my $in, "<", $file) or die "$file: $!\n";
while (<$in>) {
    if (/^\s+receive\s*=\s*"(.*)"/) {
        # Else the first answer would kill ldirectord.
        my $regex = $1;
        push @wrong, "line $.: $@" unless eval { qr/$regex/; 1 };
    }
    my $need = /^\s+service\s*=\s*(\w+)/ ? $needs{$1} : undef;
    push @wrong, "line $.: the Perl module $need is not installed\n" if $modules && $need && !eval "require $need; 1";
}
close($in);
print STDERR "$file: $_" for @wrong;
exit 1 if @wrong;
my $own = "$file.judged-$$";
link($file, $own) or die "$own: $!\n";
open(my $out, "-|", "exec \"$program\" \"$own\" status 2>&1") or die "$program: $!\n";
my @said = <$out>;
close($out);
my $status = $? >> 8;
unlink($own);
# 0: one of that name runs, 1: did run, 3: does not.
exit 0 if $status == 0 || $status == 1 || $status == 3;
s/\Q$own\E/$file/g for @said;
print STDERR @said;
exit 2;
"""


def configuration(view: View, secrets: Secrets) -> str:
    """Return ldirectord.cf."""
    lines = [*_global(view)]
    shared = _shared(view["watched"])
    for one in view["watched"]:
        apart = one["name"] in shared
        lines += ["", f"# {one['name']}", *_virtual(view, one, secrets.get(one["entry"], {}), apart)]
    text = raw_lines(view["ldirectord"]["text"])
    return HEADER + "".join(f"{line}\n" for line in [*lines, *([""] if text else []), *text])


def secrets_of(services: Iterable[Any]) -> dict[str, dict[str, str]]:
    """Return what is secret in the items of lvs_services, as the inventory has them."""
    found = {}
    for service in services:
        check = service.get("check") or {}
        if isinstance(check, Mapping):
            found[str(service.get("name"))] = {key: str(check[key]) for key in ("password", "secret") if check.get(key)}
    return found


def _shared(watched: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the services which ldirectord would take for one when it checks: same servers, same question.

    It would ask for one of them, and count each failure once for each of them: failurecount would be reached too soon.
    """
    first: dict[tuple[Any, ...], str] = {}
    found = set()
    for one in watched:
        check, row = one["check"], one["row"]
        question = [check[key] for key in ("type", "port", "path", "request", "name", "regex", "host", "command")]
        for server in row["real_servers"]:
            who = (server["address"], server["port"], server["weight"], row.get("protocol"), *question)
            other = first.setdefault(who, one["name"])
            if other != one["name"]:
                found |= {other, one["name"]}
    return found


def cleanstop(view: View) -> bool:
    """Tell whether an ldirectord that stops takes its rows along."""
    said = view["ldirectord"]["cleanstop"]
    if said is not None:
        return bool(said)
    # Connections that the other director tells of would end with the rows (ip_vs_expire_nodest_conn_flush, Linux 5.9).
    # But a director that is a real server while it stands by would direct by them what it is to answer.
    return view["failover"] == "heartbeat" and (view["directors_serve"] or not view["sync"])


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _global(view: View) -> Iterator[str]:
    own = view["ldirectord"]
    if own["fork"]:
        yield "fork = yes"
    else:
        yield "fork = no"
        yield from (f"checkinterval = {one['check']['interval']}" for one in view["watched"][:1])
    # heartbeat starts it, so no unit can be told to reload.
    yield f"autoreload = {_yes(view['failover'] == 'heartbeat')}"
    yield "quiescent = no"
    # Else each reload lets a dead real server in for a moment.
    yield "readdquiescent = yes"
    yield f"cleanstop = {_yes(cleanstop(view))}"
    yield f'logfile = "{own["log"]}"'
    if own["maintenance_directory"]:
        yield f"maintenancedir = {own['maintenance_directory']}"
    if own["mail"]:
        yield from _mail(own["mail"])
    yield from raw_lines(own["global"])


def _mail(mail: Mapping[str, Any]) -> Iterator[str]:
    yield f'emailalert = "{", ".join(mail["to"])}"'
    if mail["from"]:
        yield f"emailalertfrom = {mail['from']}"
    if mail["server"]:
        yield f"smtp = {mail['server']}"
    yield f"emailalertfreq = {mail['repeat']}"
    yield f"emailalertstatus = {', '.join(mail['states']) or 'all'}"


# Virtual servers


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _target(row: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    """Print a server's address and port. Behind a mark there is none."""
    host = _host(server["address"])
    return host if by_mark(row) else f"{host}:{server['port']}"


def _virtual(view: View, one: Mapping[str, Any], secrets: Mapping[str, str], apart: bool) -> Iterator[str]:
    row = one["row"]
    six = "6" if family_of(row) == "ipv6" else ""
    identity = row["fwmark"] if by_mark(row) else f"{_host(row['address'])}:{row['port']}"
    yield f"virtual{six} = {identity}"
    lines = [
        *_servers(one, six),
        *_balancing(row),
        *_check(one, secrets, apart),
        *_timing(view, one),
        f"quiescent = {_yes(one['inhibit_on_failure'])}",
    ]
    if view["ldirectord"]["mail"]:
        lines.append(f"servicename = {one['name']}")
    for line in lines:
        yield f"    {line}"
    for line in raw_lines(one["ldirectord"]):
        yield f"    {line.strip()}"


def _servers(one: Mapping[str, Any], six: str) -> Iterator[str]:
    row, fallback = one["row"], one["fallback"]
    for server, words in zip(row["real_servers"], one["servers"]):
        parts = [_target(row, server), METHODS[server["forward"]], str(server["weight"])]
        if words:
            parts.append(words.strip())
        for key, word in (("lower_threshold", "l"), ("upper_threshold", "u")):
            if server[key]:
                parts.append(f"{word}:{server[key]}")
        yield f"real{six} = {' '.join(parts)}"
    if not fallback:
        return
    target = f"{_target(row, fallback)} {METHODS[fallback['forward']]}"
    if any(server["weight"] for server in row["real_servers"]):
        yield f"fallback{six} = {target}"
    else:
        # While all real servers are in maintenance, ldirectord takes them for alive: the fallback is one of them then.
        yield f"real{six} = {target} 1"


def _balancing(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"protocol = {'fwm' if by_mark(row) else row['protocol']}"
    yield f"scheduler = {row['scheduler']}"
    if row["scheduler_flags"]:
        yield f"schedflags = {','.join(row['scheduler_flags'])}"
    if row["one_packet"]:
        yield "ops = yes"
    persistence = row["persistence"]
    if persistence:
        yield f"persistent = {persistence['timeout']}"
        mask = persistence_mask(row)
        if mask:
            yield f"netmask = {mask}"


def _check(one: Mapping[str, Any], secrets: Mapping[str, str], apart: bool) -> Iterator[str]:
    check = one["check"]
    kind = check["type"]
    if kind == "script":
        yield f"checktype = {'external-perl' if check['perl'] else 'external'}"
        yield f'checkcommand = "{check["command"]}"'
    elif kind in TYPES:
        yield f"checktype = {TYPES[kind]}"
    else:
        yield f"checktype = {check['connects'] or 'negotiate'}"
        yield f"service = {kind}"
    if check["port"]:
        yield f"checkport = {check['port']}"
    web = kind in ("http", "https")
    if kind not in TYPES:
        yield from _negotiation(check, secrets, f"(?:{one['name']}){{0}}" if apart and web else "")
    if apart and not web and kind not in ("none", "off"):
        # Only those two look at it, but it tells one check from another.
        yield f'virtualhost = "{one["name"]}"'


def _negotiation(check: Mapping[str, Any], secrets: Mapping[str, str], nothing: str) -> Iterator[str]:
    """Print what is asked and answered.

    :param nothing: a regular expression that matches nothing at all, anywhere, and tells one check from another.
    """
    request = _request(check)
    if request:
        yield f'request = "{request}"'
    pattern = _hashless(check["regex"] or "")
    if pattern and check["regex_absent"]:
        # Nothing that matches follows the page's very beginning.
        pattern = rf"\A(?!(?s:.*)(?:{pattern}))"
    if pattern or nothing:
        yield f'receive = "{pattern}{nothing}"'
    if check["method"] != "GET":
        yield f"httpmethod = {check['method']}"
    if check["host"]:
        yield f'virtualhost = "{check["host"]}"'
    if check["login"]:
        yield f'login = "{check["login"]}"'
    if "password" in secrets:
        yield f'passwd = "{secrets["password"]}"'
    if check["database"]:
        yield f'database = "{check["database"]}"'
    if "secret" in secrets:
        yield f'secret = "{secrets["secret"]}"'


def _request(check: Mapping[str, Any]) -> str | None:
    """Return what to ask for. ldirectord takes one slash from its beginning, or puts it there first."""
    request = check["name"] if check["type"] == "dns" else check["request"] or check["path"]
    own = check["type"] not in ("http", "https", "ftp")
    return f"/{request}" if request and own and request.startswith("/") else request


def _hashless(regex: str) -> str:
    r"""Return the same expression without #, which would begin a comment: \x23 is the same character."""
    return re.sub(r"\\#|#|\\.", lambda found: r"\x23" if found[0].endswith("#") else found[0], regex)


def _timing(view: View, one: Mapping[str, Any]) -> Iterator[str]:
    check = one["check"]
    if check["type"] in ("none", "off"):
        return
    if view["ldirectord"]["fork"]:
        yield f"checkinterval = {check['interval']}"
    yield f"checktimeout = {check['timeout']}"
    yield f"negotiatetimeout = {check['timeout']}"
    yield f"failurecount = {check['retries'] + 1}"
