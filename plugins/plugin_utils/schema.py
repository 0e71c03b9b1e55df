# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared schema of every ``lvs_*`` variable: what validates them, and the source of their documentation.

The variables stand here; the kinds of value, the keys of a service and those of the engines have modules of their own,
and are found here as well. What needs more than one value to judge (a port against a forwarding method, a name against
another name) is the model's business, not the schema's.
"""

from __future__ import annotations

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    REQUIRED,
    UNREADABLE,
    Address,
    Boolean,
    Choice,
    Field,
    HostAddress,
    Integer,
    IntegerRange,
    ListOf,
    Secret,
    Section,
    Text,
    Vip,
    VipAddress,
    Word,
    nearest,
    read_field,
    read_value,
    show,
    suggest,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_engines import (
    GARP,
    INSTANCE,
    INTERFACE,
    KEEPALIVED,
    NOTIFY,
    SYNC,
    TIMEOUTS,
    TRACK_FILE,
    TRACK_INTERFACE,
    TRACK_PROCESS,
    TRACK_SCRIPT,
    VRRP,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_gateways import MASQUERADE
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_heartbeat import (
    HEARTBEAT,
    MEDIUM,
    NODE_NAME,
    PING_GROUP,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_ldirectord import LDIRECTORD, MAILING
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_services import (
    CHECK,
    CHECK_KEYS,
    ENGINE_KEYS,
    FALLBACK,
    FORWARDS,
    MAX_MARK,
    MAX_WEIGHT,
    PERSISTENCE,
    PROTOCOLS,
    REAL_SERVER,
    SCHEDULER_FLAGS,
    SERVICE,
    TUNNEL,
    WEB,
)

__all__ = [
    "Address",
    "Boolean",
    "CHECK",
    "CHECK_KEYS",
    "CLUSTER_VARIABLES",
    "ENGINE_KEYS",
    "FALLBACK",
    "FORWARDS",
    "Field",
    "GARP",
    "HEARTBEAT",
    "HOST_VARIABLES",
    "INSTANCE",
    "Integer",
    "IntegerRange",
    "KEEPALIVED",
    "LDIRECTORD",
    "ListOf",
    "MAILING",
    "MASQUERADE",
    "MEDIUM",
    "NAMES",
    "NOTIFY",
    "PERSISTENCE",
    "PING_GROUP",
    "PROTOCOLS",
    "REAL_SERVER",
    "REQUIRED",
    "SCHEDULER_FLAGS",
    "SERVICE",
    "SYNC",
    "Section",
    "TIMEOUTS",
    "TRACK_FILE",
    "TRACK_INTERFACE",
    "TRACK_PROCESS",
    "TRACK_SCRIPT",
    "TUNNEL",
    "UNREADABLE",
    "VARIABLES",
    "VRRP",
    "Vip",
    "VipAddress",
    "WEB",
    "Word",
    "nearest",
    "read_field",
    "read_value",
    "show",
    "suggest",
]

CLUSTER_VARIABLES = (
    Field(
        "lvs_services",
        ListOf(SERVICE, label="name"),
        "What the cluster serves.",
        default=REQUIRED,
    ),
    Field(
        "lvs_director_group",
        Text(),
        "The inventory group whose hosts are this cluster's directors.",
        default="directors",
    ),
    Field(
        "lvs_realserver_group",
        Text(),
        "The inventory group whose hosts are this cluster's real servers. Hosts that see the same pair of"
        " groups are one cluster, so two clusters fit in one inventory. A host may be in both groups: a director"
        " that is a real server too.",
        default="realservers",
    ),
    Field(
        "lvs_health",
        Word(
            (
                Choice("none", "nobody watches: the table is what the inventory says"),
                Choice("keepalived", "keepalived watches and owns the table"),
                Choice("ldirectord", "ldirectord watches and owns the table (Debian and its relatives only)"),
            )
        ),
        "Who watches the real servers.",
        default="none",
    ),
    Field(
        "lvs_failover",
        Word(
            (
                Choice("none", "the VIPs stay where the collection puts them: on the one director"),
                Choice("keepalived", "keepalived moves them by VRRP"),
                Choice("external", "something else does: the collection puts them on no director"),
                Choice("heartbeat", "heartbeat moves them, between two directors"),
            )
        ),
        "Who moves the virtual IPs when a director fails.",
        default="none",
    ),
    Field(
        "lvs_fwmark_reserved",
        ListOf(IntegerRange(1, MAX_MARK), single=True),
        "Firewall marks that something else on the directors uses: group and network never make one. Each is a number,"
        ' or a range in quotes such as "100-199". A fwmark that a service says needs no place here.',
        default=(),
        default_words="none",
    ),
    Field(
        "lvs_removed",
        Word(
            (
                Choice("delete", "its row goes at once; its open connections die"),
                Choice("quiesce", "weight 0 while it has connections; the first run without them deletes it"),
            )
        ),
        "What happens to a real server that leaves the inventory's list.",
        default="delete",
    ),
    Field(
        "lvs_failback",
        Boolean(),
        "Whether a director that comes back takes the VIPs from the one that holds them, if its lvs_priority is higher."
        " false: they stay where they are (nice_failback of old).",
        default=True,
    ),
    Field(
        "lvs_vrrp",
        VRRP,
        "How keepalived moves the VIPs. Needs lvs_failover: keepalived.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_vrrp_password",
        Secret(r"[!#-&(-\[\]-~]{1,8}", "a word of 1 to 8 characters (ASCII, no spaces, quotes or backslashes)"),
        "What directors recognise each other by, in VRRP version 2. It stands in a file of its own, readable by root"
        " alone, and in no message or diff; keep it in a vault. VRRP sends it in clear.",
        default_words="no authentication",
    ),
    Field(
        "lvs_gateway_vip",
        ListOf(VipAddress(), single=True),
        "The address by which real servers reach the active director, at most one of each family (V-gate): the gateway"
        " of NAT services' real servers. It moves together with the VIPs, on lvs_gateway_interface. Needs lvs_failover:"
        " keepalived or heartbeat.",
        default=(),
        default_words="none; with one director its lvs_address is the gateway",
    ),
    Field(
        "lvs_masquerade",
        MASQUERADE,
        "Connections that real servers themselves open to the outside seem to come from a VIP, where they come through"
        " the active director; {} takes all defaults. Directors get the rule in an nftables table of their own, and"
        " forward packets.",
        default_words="they don't: such a connection has the real server's own address",
    ),
    Field(
        "lvs_keepalived",
        KEEPALIVED,
        "What keepalived needs beside services and VRRP. Needs keepalived as lvs_health or lvs_failover.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_ldirectord",
        LDIRECTORD,
        "What ldirectord needs beside services. Needs lvs_health: ldirectord.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_heartbeat",
        HEARTBEAT,
        "How heartbeat moves the VIPs. Needs lvs_failover: heartbeat.",
        default_words="the defaults of its keys",
    ),
    Field(
        "lvs_heartbeat_key",
        Secret(r"[!-~]{1,200}", "a word of 1 to 200 characters (ASCII, no spaces)"),
        "What directors sign their heartbeats with (sha1), for example what `openssl rand -hex 20` prints. It stands in"
        " authkeys, readable by root alone, and in no message or diff; keep it in a vault.",
        default_words="none; needed for lvs_failover: heartbeat",
    ),
    Field(
        "lvs_sync",
        SYNC,
        "Directors tell each other of their connections, so that these survive a failover; {} takes all defaults. Needs"
        " several directors. With lvs_failover: keepalived it must be there where directors are real servers by DR or"
        " TUN: by it the kernel of one that stands by knows that it is to direct nothing (net.ipv4.vs.backup_only).",
        default_words="they don't",
    ),
    Field(
        "lvs_timeouts",
        TIMEOUTS,
        "How long the kernel keeps idle connections, the same on every director.",
        default_words="left alone; with lvs_sync the defaults of its keys",
    ),
    Field(
        "lvs_vipless",
        Boolean(),
        "Directors hold no VIP of services by firewall mark (group, fwmark): they take in what has the mark (Horms'"
        " method). A router must send the VIPs to the director, since nobody answers ARP for them. Then replies of DR"
        " real servers may pass the director, because their source is no address of its own. VIPs of services without"
        " a mark are held and moved as ever; a network never is.",
        default=False,
        source="LVS-HOWTO, VIP-less director",
    ),
)

HOST_VARIABLES = (
    Field(
        "lvs_address",
        ListOf(HostAddress(), single=True),
        "The host's own address in the cluster: a director's DIP, a real server's RIP. At most one of each"
        " family. Nothing is guessed from facts or ansible_host, which differ under --limit or port"
        " forwarding.",
        default=(),
        default_words="none; needed on every director, and on every real server that a service uses",
    ),
    Field(
        "lvs_interface",
        INTERFACE,
        "The interface that faces the clients, where a director holds its VIPs.",
        default_words="none; needed on every director",
    ),
    Field(
        "lvs_vrrp_address",
        ListOf(VipAddress(), single=True),
        "A director's own address on lvs_interface, at most one of each family: what its unicast adverts and heartbeats"
        " come from."
        " With a prefix length it says the interface's network as well, and a VIP outside it is refused unless it"
        " states a prefix length of its own.",
        default=(),
        default_words="lvs_address; needed where lvs_gateway_interface is another interface",
    ),
    Field(
        "lvs_gateway_interface",
        INTERFACE,
        "A director's interface that faces the real servers, where it holds lvs_gateway_vip. A director that forwards"
        " packets sends no redirects there.",
        default_words="lvs_interface",
    ),
    Field(
        "lvs_priority",
        Integer(1, 254),
        "A director's priority: of those that work, the one with the highest holds the VIPs (see lvs_failback).",
        default_words="200 for the first of the director group, 190 for the second, and so on",
    ),
    Field(
        "lvs_node_name",
        NODE_NAME,
        "A director's own name, as `uname -n` prints it there; heartbeat knows it by that.",
        default_words="the inventory's name of the host",
    ),
    Field(
        "lvs_weight",
        Integer(0, MAX_WEIGHT),
        "The host's weight in every service that says none of its own for it. 0 is maintenance: no new"
        " connections in any service, whatever a service says.",
        default_words="1",
    ),
)

VARIABLES = CLUSTER_VARIABLES + HOST_VARIABLES
NAMES = frozenset(field.name for field in VARIABLES)
