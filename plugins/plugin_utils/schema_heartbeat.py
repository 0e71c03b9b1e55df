# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared keys of heartbeat: timers, media, ping nodes, resources, and the keys that directors sign with."""

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
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_engines import INTERFACE
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_services import MAX_PORT

NODE_NAME = Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a host name as `uname -n` says it")

# Between "::" stand arguments. A comment or a continuation in one would change the lines around it.
RESOURCE = Text(
    r"[A-Za-z_][A-Za-z0-9._-]*(::[^\s#\\:]+(:[^\s#\\:]+)*)*",
    "a script of /etc/ha.d/resource.d and its arguments, such as Filesystem::/dev/sdb1::/srv",
)


MEDIUM = Section(
    "heartbeat medium",
    (
        Field(
            "type",
            Word(
                (
                    Choice("ucast", "UDP to the other director's address"),
                    Choice("mcast", "UDP to a multicast group"),
                    Choice("bcast", "UDP to the interface's broadcast address"),
                    Choice("serial", "a null modem cable"),
                )
            ),
            "What carries the heartbeats.",
            default=REQUIRED,
        ),
        Field(
            "interface",
            INTERFACE,
            "The interface, for every type but serial. It has the same name on both directors.",
            default_words="each director's lvs_interface",
        ),
        Field(
            "addresses",
            ListOf(HostAddress()),
            "Both directors' addresses on that interface, in any order. For ucast alone.",
            default_words="lvs_vrrp_address or lvs_address on lvs_interface, lvs_address on lvs_gateway_interface;"
            " needed for another interface",
        ),
        Field(
            "group",
            Text(r"[0-9A-Fa-f.:]{2,45}", "a multicast address"),
            "The multicast group, of either family. For mcast alone.",
            default_words="239.192.0.81",
        ),
        Field("ttl", Integer(1, 4), "How many routers may pass a packet on. For mcast alone.", default_words="1"),
        Field(
            "device",
            Text(r"/dev/[^\s#]+", "a device such as /dev/ttyS0"),
            "The serial device, of the same name on both directors. For serial, which needs it.",
        ),
    ),
    bare="type",
)

PING_GROUP = Section(
    "ping group",
    (
        Field(
            "name",
            Text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", "a name of letters, digits and _ . - (at most 31)"),
            "Its name.",
            default=REQUIRED,
        ),
        Field(
            "addresses",
            ListOf(HostAddress(), single=True),
            "IPv4 addresses; the group answers while one of them does.",
            default=REQUIRED,
        ),
    ),
)

_SECONDS = Number(0.05, 86400)
_WORD = ListOf(RESOURCE, single=True)

HEARTBEAT = Section(
    "heartbeat",
    (
        Field("keepalive", _SECONDS, "Time between two heartbeats.", default=1, source="ha.cf(5)"),
        Field(
            "deadtime",
            _SECONDS,
            "A director that has not been heard of for so long is dead, and the other one takes the VIPs. More than two"
            " keepalive.",
            default=10,
            source="ha.cf(5)",
        ),
        Field(
            "warntime",
            _SECONDS,
            "After so long a late heartbeat is in the log. More than keepalive, at most deadtime.",
            default_words="half of deadtime, where that is more than keepalive; else deadtime",
            source="ha.cf(5)",
        ),
        Field(
            "initdead",
            _SECONDS,
            "What deadtime is instead while heartbeat starts, for networks that are slow at boot. At least deadtime.",
            default_words="twice deadtime, and 10 at least",
            source="ha.cf(5)",
        ),
        Field(
            "deadping",
            _SECONDS,
            "What deadtime is for ping nodes. More than two keepalive.",
            default_words="deadtime",
            source="ha.cf(5)",
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "The UDP port. Clusters that share a network with bcast or mcast need a port each.",
            default=694,
            source="ha.cf(5), udpport",
        ),
        Field(
            "media",
            ListOf(MEDIUM, single=True),
            "The ways that heartbeats take, all at once. Two that share nothing keep directors from losing each other.",
            default=(),
            default_words="ucast on lvs_interface, and on lvs_gateway_interface where that is another one",
        ),
        Field("baud", Integer(9600, 460800), "The speed of serial media.", default=19200, source="ha.cf(5)"),
        Field(
            "ping",
            ListOf(HostAddress(), single=True),
            "Addresses beyond the directors that a working director reaches, for example a router on each network.",
            default=(),
            default_words="none",
        ),
        Field(
            "ping_groups",
            ListOf(PING_GROUP, label="name"),
            "Groups of such addresses, each of which counts as one.",
            default=(),
            default_words="none",
        ),
        Field(
            "ipfail",
            Boolean(),
            "Whether the VIPs move to the director that reaches more of ping and ping_groups. Without any of them it"
            " means nothing.",
            default=True,
        ),
        Field(
            "before",
            _WORD,
            "Resources of your own, which start before the VIPs arrive and stop after they have gone.",
            default=(),
            default_words="none",
            source="haresources, as in Filesystem::/dev/sdb1::/srv",
        ),
        Field(
            "after",
            _WORD,
            "Resources of your own, which start after the VIPs have arrived and stop before they go.",
            default=(),
            default_words="none",
        ),
        Field(
            "text",
            Lines(),
            "Lines for ha.cf, as they are. A directive that the collection writes itself is refused.",
            default_words="none",
            source="ha.cf(5)",
        ),
    ),
)
