# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared keys that only ldirectord acts on: its checks, its own settings."""

from __future__ import annotations

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    REQUIRED,
    Boolean,
    Choice,
    Field,
    Integer,
    Lines,
    ListOf,
    Secret,
    Section,
    Text,
    Word,
)

_HASH = "on one line, without #, which begins a comment in ldirectord.cf"
_SECRET = Secret(r"[^#\x00-\x1f\x7f]{1,128}", "1 to 128 characters without # or control characters")

SQL = ("mysql", "pgsql", "oracle")
LDAP = ("ldap", "ldaps")
MAIL = ("pop", "pops", "imap", "imaps")

CHECKS = (
    Choice("http_proxy", "a proxy fetches the address in request; ldirectord only"),
    Choice("ftp", "a file can be fetched, and matches; ldirectord only"),
    Choice("submission", "it greets as a mail server for clients; ldirectord only"),
    Choice("pop", "it greets as a POP3 server, and lets login in where that is said; ldirectord only"),
    Choice("pops", "the same over TLS; ldirectord only"),
    Choice("imap", "it greets as an IMAP server, and lets login in where that is said; ldirectord only"),
    Choice("imaps", "the same over TLS; ldirectord only"),
    Choice("nntp", "it greets as a news server; ldirectord only"),
    Choice("ldap", "a directory has the entry in request; ldirectord only"),
    Choice("ldaps", "the same over TLS; ldirectord only"),
    Choice("mysql", "a MySQL or MariaDB database answers the query in request with a row; ldirectord only"),
    Choice("pgsql", "a PostgreSQL database does; ldirectord only"),
    Choice("oracle", "an Oracle database does; ldirectord only, with a DBD::Oracle of your own"),
    Choice("sip", "it answers a SIP OPTIONS request; ldirectord only"),
    Choice("radius", "it accepts login and password; ldirectord only"),
    Choice("simpletcp", "the text in request is answered with a line that matches; ldirectord only"),
    Choice("off", "not watched, never in service; ldirectord only"),
)

REQUESTING = ("http_proxy", "ftp", *LDAP, *SQL, "simpletcp")
LOGGING_IN = ("ftp", *MAIL, *LDAP, *SQL, "sip", "radius")

CHECK_FIELDS = (
    Field(
        "request",
        Text(r"[^#\x00-\x1f\x7f]{1,1000}", f"text {_HASH}"),
        "What to ask for: in ftp the file's path, in http_proxy the whole address of a page, in ldap and ldaps the DN"
        " of an entry, in mysql, pgsql and oracle a SELECT, in simpletcp the text to send, with \\n for a line's end."
        " ldirectord only.",
        default_words="in ldap and ldaps the root entry; in simpletcp nothing is sent; needed by the others",
    ),
    Field(
        "method",
        Word((Choice("GET", "the page"), Choice("HEAD", "its headers alone"))),
        "How http, https and http_proxy ask. HEAD has no page that regex could match. ldirectord only.",
        default="GET",
    ),
    Field(
        "login",
        Text(r"[^#\x00-\x1f\x7f]{1,128}", f"a name {_HASH}"),
        "Who logs in: ftp, pop, pops, imap, imaps, ldap (a DN), ldaps, mysql, pgsql, oracle, radius; in sip the address"
        " that is asked. ldirectord only.",
        default_words="anonymous in ftp, ldirectord@HOST in sip; needed by mysql, pgsql, oracle and radius; nobody in"
        " the others",
    ),
    Field(
        "password",
        _SECRET,
        "The password of login. It is in no message and no diff, and ldirectord.cf is readable by root alone; keep it"
        " in a vault. ldirectord only.",
        default_words="none; needed by radius",
    ),
    Field(
        "secret",
        _SECRET,
        "What the director shares with a RADIUS server, kept as password is. ldirectord only.",
        default_words="none; needed by radius",
    ),
    Field(
        "database",
        Text(r"[A-Za-z0-9_.$-]{1,128}", "a name of letters, digits and _ . $ -"),
        "The database, in mysql, pgsql and oracle. ldirectord only.",
        default_words="none; needed there",
    ),
    Field(
        "connects",
        Integer(0, 100000, "connections"),
        "How many checks only connect before one asks in full, in every type that speaks a protocol over TCP. 0: each"
        " asks in full. ldirectord only.",
        default=0,
        source="ldirectord(8) checktype",
    ),
    Field(
        "perl",
        Boolean(),
        "The program, for script, is Perl, and ldirectord runs it within itself (external-perl). ldirectord only.",
        default=False,
    ),
)

CHECK_KEYS: dict[str, tuple[str, ...]] = {
    "request": REQUESTING,
    "method": ("http", "https", "http_proxy"),
    "login": LOGGING_IN,
    "password": tuple(kind for kind in LOGGING_IN if kind != "sip"),
    "secret": ("radius",),
    "database": SQL,
    "connects": ("http", "https", "smtp", "http_proxy", "ftp", "submission", *MAIL, "nntp", *LDAP, *SQL, "simpletcp"),
    "perl": ("script",),
}

MAILING = Section(
    "mail alert",
    (
        Field(
            "to",
            ListOf(Text(r"[^\s\"#,]+@[^\s\"#,]+", "a mail address"), single=True),
            "Who is told when a real server comes or goes.",
            default=REQUIRED,
        ),
        Field(
            "from",
            Text(r"[^\n#]+@[^\n#]+", "a mail address"),
            "Whom the mail comes from.",
            default_words="root of the director",
        ),
        Field(
            "server",
            Text(r"[0-9A-Za-z._+-]{1,255}", "a host name or IPv4 address"),
            "The mail server that takes it.",
            default_words="the director's own sendmail, which must be there",
        ),
        Field(
            "repeat",
            Integer(0, 2147483, "seconds"),
            "Time between two mails about a real server that stays away. 0: one is enough.",
            default=0,
            source="ldirectord(8) emailalertfreq",
        ),
        Field(
            "states",
            ListOf(
                Word(
                    (
                        Choice("starting", "while ldirectord starts"),
                        Choice("running", "while it runs"),
                        Choice("reloading", "while it reads its file again"),
                        Choice("stopping", "while it stops"),
                    )
                ),
                single=True,
            ),
            "When mails are sent.",
            default=(),
            default_words="always",
            source="ldirectord(8) emailalertstatus",
        ),
    ),
    bare="to",
)

LDIRECTORD = Section(
    "ldirectord",
    (
        Field(
            "fork",
            Boolean(),
            "Each service is watched by a process of its own (some megabytes each), at its own interval. Without it one"
            " process asks one real server after the other, so that each that does not answer holds up all others for"
            " its timeout, and all checks must have the same interval.",
            default=True,
        ),
        Field(
            "cleanstop",
            Boolean(),
            "An ldirectord that stops takes its rows out of the kernel's table. Without it they stay as they are, so"
            " that nobody loses a connection while its package is upgraded, or when another owner takes over.",
            default_words="false; true with lvs_failover: heartbeat, so that a director that stands by has no rows,"
            " without lvs_sync or where directors are real servers",
        ),
        Field(
            "maintenance_directory",
            Text(r"/[^\s\"#]*", "a full path"),
            "A folder on the directors, made where it is missing. A file there that is named as a real server's address"
            " or name, with :PORT or without, takes it out of service as if its check had failed.",
            default_words="none",
            source="ldirectord(8) maintenancedir",
        ),
        Field(
            "log",
            Text(r"/[^\s\"#]*|[a-z]+[0-7]?", "a full path, or a syslog facility"),
            "Where ldirectord writes what it does.",
            default="/var/log/ldirectord.log",
            source="ldirectord(8) logfile",
        ),
        Field("mail", MAILING, "Mails when real servers come and go.", default_words="none"),
        Field(
            "global",
            Lines(),
            "Lines for the part of ldirectord.cf before the services, as they are.",
            default_words="none",
            source="ldirectord(8)",
        ),
        Field(
            "text",
            Lines(),
            "Text for the end of ldirectord.cf, as it is: whole virtual blocks.",
            default_words="none",
            source="ldirectord(8)",
        ),
    ),
)

SERVICE_FIELD = Field(
    "ldirectord",
    Lines(),
    "Lines for its virtual block in ldirectord.cf, as they are; each wins over what stands before. Needs lvs_health:"
    " ldirectord.",
    default_words="none",
    source="ldirectord(8)",
)

REAL_SERVER_FIELD = Field(
    "ldirectord",
    Text(r"[^#\x00-\x1f\x7f]+", "text on one line, without #"),
    'What stands behind its weight in ldirectord.cf, as it is: a request and answer of its own, such as "/alive",'
    ' "yes". Needs lvs_health: ldirectord.',
    default_words="nothing",
    source="ldirectord(8) real",
)
