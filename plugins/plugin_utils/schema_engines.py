# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared keys of what moves VIPs and shares connections: VRRP, keepalived, sync daemon, timeouts."""

from __future__ import annotations

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    REQUIRED,
    Boolean,
    Choice,
    Field,
    HostAddress,
    Integer,
    Lines,
    ListOf,
    Number,
    Section,
    Text,
    Word,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_services import (
    MAX_PORT,
)

_WEIGHT = Integer(-253, 253, "priority")
_NAME = Text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", "a name of letters, digits and _ . - (at most 31)")
_COMMAND = Text(r"/[^\n]*", "a program with its full path, and its arguments")
INTERFACE = Text(r"(?!\.{1,2}$)[^\s/:]{1,15}", "an interface name (at most 15 characters)")

TRACK_INTERFACE = Section(
    "tracked interface",
    (
        Field("name", INTERFACE, "The interface. It has the same name on every director.", default=REQUIRED),
        Field(
            "weight",
            _WEIGHT,
            "What is added to the priority while it is up (taken from it while it is down, when negative). 0: a"
            " director whose interface is down gives the VIPs away.",
            default=0,
        ),
    ),
    bare="name",
)

TRACK_SCRIPT = Section(
    "tracked script",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field(
            "script", _COMMAND, "The program, and its arguments. It is well while it exits with 0.", default=REQUIRED
        ),
        Field("interval", Integer(1, 86400, "seconds"), "Time from one run to the next.", default=1),
        Field("timeout", Integer(1, 86400, "seconds"), "A run that takes longer has failed.", default_words="interval"),
        Field("rise", Integer(1, 1000), "Successes before it counts as well.", default=1),
        Field("fall", Integer(1, 1000), "Failures before it counts as failed; a slow run is one.", default=2),
        Field(
            "weight",
            _WEIGHT,
            "What is added to the priority while it is well (taken from it while it fails, when negative). 0: a"
            " director where it fails gives the VIPs away.",
            default=0,
        ),
    ),
)

TRACK_PROCESS = Section(
    "tracked process",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default_words="process"),
        Field(
            "process",
            Text(r"[^\s\"\\]{1,15}", "a name of at most 15 characters"),
            "The process, as in /proc/PID/comm.",
            default=REQUIRED,
        ),
        Field("quorum", Integer(1, 1000), "How many of them must run.", default=1),
        Field("delay", Number(0, 3600), "How long it may be gone, or must be back, before it counts.", default=0),
        Field("weight", _WEIGHT, "As that of a tracked script.", default=0),
    ),
    bare="process",
)

TRACK_FILE = Section(
    "tracked file",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field("file", Text(r"/[^\s\"\\]*", "a full path"), "The file that holds a number.", default=REQUIRED),
        Field(
            "weight",
            _WEIGHT,
            "The number is multiplied by it and added to the priority. 0: a director whose file holds anything but 0"
            " gives the VIPs away.",
            default=0,
        ),
    ),
)

GARP = Section(
    "gratuitous ARP",
    (
        Field("delay", Integer(0, 3600, "seconds"), "Time until the second round.", default=5),
        Field("repeat", Integer(1, 100), "Packets in a round.", default=5),
        Field(
            "refresh",
            Integer(0, 86400, "seconds"),
            "Time between rounds while it holds the VIPs; 0: none. After a cut network it is what corrects those who"
            " believed the other director last.",
            default=10,
        ),
        Field("refresh_repeat", Integer(1, 100), "Packets in such a round.", default=1),
        Field(
            "lower_prio_repeat",
            Integer(0, 100),
            "Packets after another director claimed the VIPs with a lower priority, as after a cut network.",
            default=5,
        ),
    ),
)

NOTIFY = Section(
    "notify programs",
    tuple(
        Field(name, _COMMAND, f"Run {when}.", default_words="none")
        for name, when in (
            ("master", "when the director takes the VIPs"),
            ("backup", "when it gives them away or stands by"),
            ("fault", "when something it tracks has failed"),
            ("stop", "when keepalived stops"),
            ("any", "at every change, with the kind, the name, the new state and the priority as arguments"),
        )
    ),
)

_ROUTES = (
    Field(
        "virtual_routes",
        ListOf(Text(r"[^\n{}]+", "one line")),
        "Routes that move with the VIPs, each a line in keepalived's words: 198.51.100.0/24 via 192.0.2.254 dev eth0.",
        default=(),
        default_words="none",
    ),
    Field(
        "virtual_rules",
        ListOf(Text(r"[^\n{}]+", "one line")),
        "Routing rules that move with the VIPs, each a line in keepalived's words: from 192.0.2.10 table 100 preference"
        " 100.",
        default=(),
        default_words="none",
    ),
)

INSTANCE = Section(
    "VRRP instance",
    (
        Field("name", _NAME, "Its name in keepalived.conf.", default=REQUIRED),
        Field(
            "vips",
            ListOf(HostAddress(), single=True),
            "The VIPs it moves, of either family. Each VIP of the cluster is in one instance.",
            default=REQUIRED,
        ),
        Field(
            "router_id",
            Integer(1, 255),
            "Its virtual router id, unique among the instances of an interface and family.",
            default_words="lvs_vrrp.router_id plus its index in the list",
        ),
        Field(
            "directors",
            ListOf(Text()),
            "All directors, the preferred one first.",
            default_words="in the order of lvs_priority",
        ),
        *_ROUTES,
        Field(
            "keepalived",
            Lines(),
            "Lines for its vrrp_instance block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

VRRP = Section(
    "VRRP",
    (
        Field(
            "version",
            Integer(2, 3),
            "The protocol's version. 2 knows IPv4 alone, whole seconds, and a password; what moves IPv6 VIPs speaks 3"
            " whatever is said here.",
            default=3,
            source="RFC 3768, RFC 5798",
        ),
        Field(
            "advert_interval",
            Number(0.01, 40.95),
            "Time between two adverts of the director that holds the VIPs. Another one takes over after three of them"
            " and a skew of less than one. Version 2 counts whole seconds.",
            default=1,
        ),
        Field(
            "router_id",
            Integer(1, 255),
            "The virtual router id. No other VRRP router in the same network may use it.",
            default=51,
        ),
        Field(
            "gateway_router_id",
            Integer(1, 255),
            "The virtual router id of the real servers' gateway (lvs_gateway_vip), where that is on an interface of its"
            " own.",
            default_words="router_id plus 1",
        ),
        Field(
            "state",
            Word(
                (Choice("backup", "a director that starts stands by first"), Choice("master", "the first one does not"))
            ),
            "How the director of the highest priority starts.",
            default="backup",
        ),
        Field(
            "preempt_delay",
            Number(0, 1000),
            "How long a director that comes back waits before it takes the VIPs from one of lower priority. Needs"
            " lvs_failback: true.",
            default=0,
        ),
        Field(
            "unicast",
            Boolean(),
            "Directors send adverts to each other's addresses (lvs_vrrp_address); else to the multicast groups"
            " 224.0.0.18 and ff02::12.",
            default=True,
        ),
        Field(
            "auth",
            Word((Choice("pass", "a password in clear"), Choice("ah", "an IPsec authentication header"))),
            "How lvs_vrrp_password is used.",
            default="pass",
        ),
        Field(
            "track_interfaces",
            ListOf(TRACK_INTERFACE),
            "Interfaces that a director must have up, beside those that carry VIPs.",
            default=(),
            default_words="none",
        ),
        Field("track_scripts", ListOf(TRACK_SCRIPT, label="name"), "Programs.", default=(), default_words="none"),
        Field("track_processes", ListOf(TRACK_PROCESS), "Processes.", default=(), default_words="none"),
        Field("track_files", ListOf(TRACK_FILE, label="name"), "Files.", default=(), default_words="none"),
        Field(
            "garp",
            GARP,
            "How new owners announce the VIPs (gratuitous ARP, unsolicited neighbour adverts).",
            default=GARP.defaults(),
            default_words="the defaults of its keys",
        ),
        Field("notify", NOTIFY, "Programs to run as lvs_keepalived.script_user.", default_words="none"),
        *_ROUTES,
        Field(
            "instances",
            ListOf(INSTANCE, label="name"),
            "Several instances, so that each director can be the active one for some VIPs (active/active). The routes"
            " and rules above belong to the first.",
            default=(),
            default_words="one that moves all VIPs together",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for every vrrp_instance block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

KEEPALIVED = Section(
    "keepalived",
    (
        Field(
            "script_user",
            Text(r"[a-z_][a-z0-9_-]{0,31}( [a-z_][a-z0-9_-]{0,31})?", "a user, or a user and a group"),
            "Who runs check, track and notify programs. The user must exist on the directors.",
            default="nobody",
        ),
        Field(
            "global",
            Lines(),
            "Lines for global_defs in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
        Field(
            "text",
            Lines(),
            "Text for the end of keepalived.conf, as it is: whole blocks.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
    ),
)

SYNC = Section(
    "sync daemon",
    (
        Field(
            "interface",
            INTERFACE,
            "The interface that directors hear each other on. It has the same name on every director.",
            default_words="each director's lvs_interface",
        ),
        Field("id", Integer(0, 255), "Tells groups of directors apart; a backup with 0 hears all.", default=1),
        Field(
            "group",
            Text(r"[0-9A-Fa-f.:]{2,45}", "a multicast address"),
            "The multicast group.",
            default_words="224.0.0.81",
        ),
        Field("port", Integer(1, MAX_PORT), "The UDP port, the first of as many as ports says.", default_words="8848"),
        Field("ttl", Integer(1, 255), "The packets' time to live.", default_words="1"),
        Field(
            "max_length",
            Integer(1024, 65507, "bytes"),
            "The longest message.",
            default_words="what the interface's MTU allows",
        ),
        Field(
            "threshold",
            Integer(0, 2**31 - 1, "packets"),
            "A connection is told of first after this many packets from the client. Less than period.",
            default_words="the kernel's 3",
            source="net.ipv4.vs.sync_threshold",
        ),
        Field(
            "period",
            Integer(0, 2**31 - 1, "packets"),
            "And again after each this many.",
            default_words="the kernel's 50",
            source="net.ipv4.vs.sync_threshold",
        ),
        Field(
            "refresh_period",
            Integer(0, 2147483, "seconds"),
            "An established connection is told of again only when this time has passed, or its state changes; 0: off.",
            default_words="the kernel's 0",
            source="net.ipv4.vs.sync_refresh_period",
        ),
        Field(
            "retries",
            Integer(0, 3),
            "How often a message is sent again within the refresh period.",
            default_words="the kernel's 0",
            source="net.ipv4.vs.sync_retries",
        ),
        Field(
            "ports",
            Integer(1, 64),
            "Threads of each daemon, a power of two. A running daemon keeps the number it started with.",
            default_words="the kernel's 1",
            source="net.ipv4.vs.sync_ports",
        ),
        Field(
            "persist_mode",
            Boolean(),
            "Tell of persistence only, not of connections, in persistent services. Needs sloppy_tcp.",
            default_words="the kernel's false",
            source="net.ipv4.vs.sync_persist_mode",
        ),
        Field(
            "sloppy_tcp",
            Boolean(),
            "Take up a TCP connection at any of its packets, not only at its first.",
            default_words="the kernel's false",
            source="net.ipv4.vs.sloppy_tcp",
        ),
    ),
)

_SECONDS = Integer(1, 2147483, "seconds")
TIMEOUTS = Section(
    "timeouts",
    (
        Field("tcp", _SECONDS, "Idle TCP connections.", default=900),
        Field("tcp_fin", _SECONDS, "TCP connections after a FIN.", default=120),
        Field("udp", _SECONDS, "Idle UDP flows.", default=300),
    ),
)
