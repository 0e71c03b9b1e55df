# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared keys of a service: real servers, persistence, checks, fallback."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema_ldirectord
from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import (
    REQUIRED,
    Boolean,
    Choice,
    Field,
    HostAddress,
    Integer,
    IntegerOr,
    IntegerRange,
    Lines,
    ListOf,
    NetworkAddress,
    Number,
    Section,
    Text,
    VipAddress,
    Word,
)

MAX_WEIGHT = 65535
MAX_PORT = 65535
MAX_THRESHOLD = 2**31 - 1
MAX_PERSISTENCE = 31 * 24 * 60 * 60
MAX_MARK = 2**32 - 1

FORWARDS = (
    Choice("nat", "the director rewrites addresses both ways; replies must come back through it"),
    Choice("dr", "direct routing: same network segment, the real server answers the client itself"),
    Choice("tun", "the packet travels in a tunnel to a real server anywhere, which answers the client itself"),
)

SCHEDULERS = (
    Choice("rr", "round robin: each in turn, weights ignored except 0"),
    Choice("wrr", "weighted round robin: in turn, in proportion to the weights"),
    Choice("lc", "least connections"),
    Choice("wlc", "weighted least connections: fewest connections for its weight"),
    Choice("lblc", "locality-based least connections: one server per destination address, for caches"),
    Choice("lblcr", "the same with a set of servers per destination address"),
    Choice("dh", "destination hashing: a fixed table by destination address"),
    Choice("sh", "source hashing: a fixed table by client address"),
    Choice("sed", "shortest expected delay: counts the new connection as well"),
    Choice("nq", "never queue: an idle server first, else shortest expected delay"),
    Choice("fo", "weighted failover: all to the available server of highest weight"),
    Choice(
        "ovf",
        "weighted overflow: the server of highest weight until it has more active connections than its weight, then the"
        " next",
    ),
    Choice("mh", "Maglev hashing by client address: losing a server moves few other clients"),
    Choice("twos", "power of two choices: the less loaded of two picked at random (few kernels are built with it)"),
)

SCHEDULER_FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}

ANY_PROTOCOL = "any"
PROTOCOLS = (
    Choice("tcp", "TCP"),
    Choice("udp", "UDP"),
    Choice("sctp", "SCTP"),
    Choice(ANY_PROTOCOL, "all three, in one row; with group or network only"),
)

_THRESHOLD = Integer(0, MAX_THRESHOLD, "connections")

REAL_SERVER = Section(
    "real server",
    (
        Field(
            "host",
            Text(),
            "The real server by its inventory name. It must be in the real server group; its address is its"
            " lvs_address of the VIP's family. Either this or address.",
        ),
        Field(
            "address",
            HostAddress(),
            "The real server by its address, for one outside the inventory: the collection directs traffic to"
            " it and does not touch it. Either this or host.",
        ),
        Field(
            "port",
            Integer(0, MAX_PORT),
            "The port it listens on. Only nat can use another port than the service's; for dr and tun a real server may"
            " redirect the port itself (realserver_redirect). A service by firewall mark keeps the port that the client"
            " named, so it is refused there.",
            default_words="the service's port",
        ),
        Field(
            "weight",
            Integer(0, MAX_WEIGHT),
            "Its share of the traffic in this service; 0 gives it no new connections. It wins over the host's"
            " lvs_weight, except that an lvs_weight of 0 (maintenance) makes it 0 everywhere.",
            default_words="the host's lvs_weight, else 1",
            source="ipvsadm(8) --weight",
        ),
        Field(
            "upper_threshold",
            _THRESHOLD,
            "No new connections once it has this many; 0 is no limit.",
            default_words="the service's upper_threshold",
            source="ipvsadm(8) --u-threshold",
        ),
        Field(
            "lower_threshold",
            _THRESHOLD,
            "After it was full, new connections again below this many; 0 means below three quarters of the upper one.",
            default_words="the service's lower_threshold",
            source="ipvsadm(8) --l-threshold",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for its real_server block in keepalived.conf, as they are. Needs lvs_health: keepalived.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
        schema_ldirectord.REAL_SERVER_FIELD,
    ),
)

PERSISTENCE = Section(
    "persistence",
    (
        Field(
            "timeout",
            Integer(1, MAX_PERSISTENCE, "seconds"),
            "How long after a client's last connection ended it still comes back to the same real server.",
            default=300,
            source="ipvsadm(8) --persistent",
        ),
        Field(
            "netmask",
            Integer(1, 128, "prefix length", hint="write the prefix length, for example 24 for 255.255.255.0"),
            "Clients whose addresses agree in this many leading bits count as one client: 1..32 for IPv4,"
            " 1..128 for IPv6.",
            default_words="each address is a client of its own: 32 for IPv4, 128 for IPv6",
            source="ipvsadm(8) --netmask",
        ),
        Field(
            "engine",
            Word((Choice("sip", "by SIP Call-ID, among the clients that netmask makes one; UDP only"),)),
            "What recognises a client, where it is not its address.",
            default_words="by client address",
            source="ipvsadm(8) --pe",
        ),
    ),
    bare="timeout",
)

GUE_PORT = 6080
"""What IANA has registered for it (service name gue)."""

TUNNEL = Section(
    "tunnel",
    (
        Field(
            "type",
            Word(
                (
                    Choice("ipip", "IP in IP"),
                    Choice("gue", "generic UDP encapsulation, for networks that let nothing else through; Linux 5.3"),
                    Choice("gre", "generic routing encapsulation; Linux 5.3"),
                )
            ),
            "How the packet is wrapped on its way to the real server. ldirectord knows ipip only.",
            default="ipip",
            source="ipvsadm(8) --tun-type",
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "The UDP port of gue, on every real server of the service.",
            default_words=f"{GUE_PORT} with gue",
            source="ipvsadm(8) --tun-port",
        ),
        Field(
            "checksum",
            Boolean(),
            "Checksums over the whole packet in the header of gue and gre. A real server takes gre packets of one sort"
            " only, so all gre services that it has must say the same.",
            default=False,
            source="ipvsadm(8) --tun-csum",
        ),
        Field(
            "mss",
            IntegerOr(Integer(536, 65495, "bytes"), "auto"),
            "Real servers tell clients to send no larger TCP segments than this (nftables, in what they answer to the"
            " first packet), so that requests of full size fit into the tunnel. auto: what fits where the path from"
            " director to real server takes packets of 1500 bytes. A larger value that the host itself would tell is"
            " made smaller, never the other way round. It holds for all services of the VIP.",
            default_words="left to path MTU discovery",
            source="RFC 9293 3.7.1; nft(8) tcp option maxseg",
        ),
    ),
)

CHECKS = (
    Choice("none", "not watched: always in service"),
    Choice("tcp", "a TCP connection is accepted"),
    Choice("http", "an HTTP request is answered as expected"),
    Choice("https", "an HTTPS request is answered as expected; the certificate is not verified"),
    Choice("ping", "it answers an ICMP echo request"),
    Choice("udp", "a datagram to its port is not refused, or is answered as expected"),
    Choice("dns", "it answers a DNS question, over UDP"),
    Choice("smtp", "it greets as a mail server"),
    Choice("script", "a program on the director exits with 0"),
    Choice("file", "a file on the director holds 0, or a number that changes its weight"),
    *schema_ldirectord.CHECKS,
)

WEB = ("http", "https")
CONNECTING = (
    "tcp",
    *WEB,
    "ping",
    "udp",
    "dns",
    "smtp",
    *(choice.name for choice in schema_ldirectord.CHECKS if choice.name != "off"),
)
MATCHING = (*WEB, "dns", "http_proxy", "ftp", *schema_ldirectord.LDAP, "simpletcp")

CHECK = Section(
    "check",
    (
        Field(
            "type",
            Word(CHECKS),
            "How the health engine asks a real server whether it works. It asks the real server's own address, never"
            " the VIP. Types that ask a TCP port need a tcp service, udp and radius a udp service, unless port names"
            " another one. udp and file are keepalived's only.",
            default_words="tcp for a tcp service with a port, ping for any other; with a fwmark that stands alone tcp"
            " where port is said; none without a health engine",
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "The port to ask, where it is not the one that serves: with realserver_redirect the port that it leads to,"
            " because checks ask the real server's own address. Not for script, file and off.",
            default_words="the real server's port; with group the first of ports. Needed with a fwmark that stands"
            " alone, for any type that asks a port",
        ),
        Field(
            "path",
            Text(r"/[^\s\"\\]*", "a path that starts with /, without quotes"),
            "The path to request, for http and https.",
            default_words="/",
        ),
        Field(
            "host",
            Text(r"[A-Za-z0-9._:\[\]-]{1,255}", "a host name"),
            "The virtual host to ask for, in http and https; with keepalived https sends it as server name (SNI) as"
            " well.",
            default_words="the real server's address",
        ),
        Field(
            "status",
            ListOf(
                Text(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", "an HTTP status, or a range such as 200-299", digits=True),
                single=True,
            ),
            "The HTTP statuses that mean healthy, for http and https: 200, or a range such as 200-299, or a list.",
            default_words="200, unless digest or regex is said; then any that keepalived takes for success. ldirectord"
            " knows no other than 200-299, after redirects",
        ),
        Field(
            "digest",
            Text(r"[0-9a-f]{32}", "an MD5 sum of 32 hexadecimal digits"),
            "The MD5 sum of the page, as genhash(1) prints it, for http and https. keepalived only.",
            default_words="not looked at",
        ),
        Field(
            "regex",
            Lines(),
            "A regular expression (PCRE) that must match somewhere in the page, for http and https. ^ does not stand"
            " for its beginning: with it, keepalived 2.2.7 found nothing. With ldirectord also for http_proxy, the file"
            " of ftp, the DN of ldap and ldaps, a line of simpletcp, an address or name of dns.",
            default_words="not looked at; needed by ftp, simpletcp, and dns with ldirectord",
        ),
        Field(
            "regex_absent",
            Boolean(),
            "The page must not match regex, for http and https.",
            default=False,
        ),
        Field(
            "name",
            Text(r"[A-Za-z0-9._-]{1,255}", "a domain name"),
            "The name to ask for, in dns (with ldirectord an IPv4 address as well); the name to greet with, in smtp"
            " (keepalived only).",
            default_words=". in dns (needed with ldirectord), the director's own in smtp",
        ),
        Field(
            "record",
            Word(tuple(Choice(name, f"{name} record") for name in ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"))),
            "The record type to ask for, in dns.",
            default_words="SOA; with ldirectord A, and it asks for no other",
        ),
        Field(
            "payload",
            Text(r"([0-9A-Fa-f]{2} ?)+", "hexadecimal digits in pairs"),
            "The datagram to send, for udp. keepalived 2.2 or newer.",
            default_words="a random one",
        ),
        Field(
            "reply",
            Text(r"([0-9A-Fa-fXx]{2} ?)+|any", "hexadecimal digits in pairs (X for one of any value), or any"),
            "How the answering datagram must begin, for udp; any: with anything. keepalived 2.2 or newer.",
            default_words="no answer is needed",
        ),
        Field(
            "command",
            Text(r"/[^\n]*", "a program with its full path, and its arguments"),
            "The program to run, for script. With keepalived it runs on the director as lvs_keepalived.script_user, and"
            " {address} and {port} in it stand for the real server's."
            " With ldirectord it runs as root, without arguments of yours: it gets the VIP or mark, its port, the real"
            " server's address and its port.",
            default_words="none; needed for script",
        ),
        Field(
            "dynamic",
            Boolean(),
            "The program's exit status sets the weight, for script: 2 to 255 mean healthy with this weight + 2."
            " keepalived only.",
            default=False,
        ),
        Field(
            "file",
            Text(r"/[^\s\"\\]*", "a full path"),
            "The file to read, for file. Its number, times weight, is added to the real server's weight; with weight 0"
            " any number but 0 means down.",
            default_words="none; needed for file",
        ),
        Field(
            "weight",
            Integer(-MAX_WEIGHT, MAX_WEIGHT),
            "What the number in the file is multiplied by, for file.",
            default=0,
        ),
        Field(
            "interval",
            Number(0.1, 86400),
            "Time from one check to the next. ldirectord counts whole seconds, here and in timeout.",
            default=5,
        ),
        Field(
            "timeout",
            Number(0.1, 3600),
            "How long to wait for an answer before it counts as failed.",
            default=3,
        ),
        Field(
            "retries",
            Integer(0, 1000),
            "How many more tries before a real server that does not answer is taken out. With ldirectord these are the"
            " next checks, and its failurecount is one more.",
            default=1,
        ),
        Field("retry_interval", Number(0, 3600), "Time between these tries. keepalived only.", default=1),
        Field(
            "warmup",
            Number(0, 3600),
            "The first checks begin spread over this time, so that they do not all begin at once. keepalived only.",
            default_words="the interval",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for the checker's block in keepalived.conf, as they are.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
        *schema_ldirectord.CHECK_FIELDS,
    ),
    bare="type",
)

CHECK_KEYS: Mapping[str, tuple[str, ...]] = {
    "port": CONNECTING,
    "path": WEB,
    "host": WEB,
    "status": WEB,
    "digest": WEB,
    "regex": MATCHING,
    "regex_absent": WEB,
    "name": ("dns", "smtp"),
    "record": ("dns",),
    "payload": ("udp",),
    "reply": ("udp",),
    "command": ("script",),
    "dynamic": ("script",),
    "file": ("file",),
    "weight": ("file",),
    **schema_ldirectord.CHECK_KEYS,
}
"""Which types of check a key means something to. A key that is not here means something to all."""

FALLBACK = Section(
    "fallback",
    (
        Field(
            "address",
            HostAddress(loopback=True),
            "The server that answers while no real server does. No loopback address: it works with no"
            " forwarding method. The only director may be it, by nat and another port; where VIPs move (lvs_failover),"
            " a director that is no real server as well is refused.",
            default=REQUIRED,
        ),
        Field(
            "port",
            Integer(1, MAX_PORT),
            "Its port. Only nat can use another port than the service's. Refused for a service by firewall mark, which"
            " keeps the port that the client named.",
            default_words="the service's port",
        ),
        Field("forward", Word(FORWARDS), "How it is reached.", default_words="the service's forward"),
    ),
)

SERVICE = Section(
    "service",
    (
        Field(
            "name",
            Text(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", "a name of letters, digits and _ . : - (at most 64)"),
            "The service's name, unique in the cluster. Messages and generated files use it. An entry that"
            " stands for several services makes their names from it: web with ports 80 and 443 becomes web-80"
            " and web-443; with one IPv4 and one IPv6 VIP web-ipv4 and web-ipv6; with several VIPs of a family"
            " web-192.0.2.10 and so on; with both web-ipv4-80 and so on. With group the name decides the mark.",
            default=REQUIRED,
        ),
        Field(
            "vip",
            ListOf(VipAddress(), single=True),
            "The virtual IP address that clients use, or a list of them: one service each (with group one for each"
            " family), IPv4 and IPv6 may mix. A prefix length says how the address is put on the director's interface."
            " Where each family is used, every host that takes part needs an lvs_address of it. Beside fwmark it says"
            " which addresses directors hold and real servers of DR and TUN hide, no more.",
            default_words="none; needed unless there is network, or fwmark stands alone. Prefix length 32 or 128, or"
            " the one another service says for the same VIP",
        ),
        Field(
            "network",
            ListOf(NetworkAddress(), single=True),
            "A whole network of virtual addresses in place of vip, or a list of them: one service by firewall mark for"
            " each family, as with group. No host holds the addresses and nobody answers ARP for them: a router sends"
            " the network to the director, which takes in the packets that have the mark. Real servers of DR and TUN"
            " take in the whole network. It has no host of the cluster in it. 0.0.0.0/0 (::/0) is everything that"
            " passes the director, as for a transparent cache: what is for or from hosts of the cluster is left alone,"
            " and real servers take in nothing by themselves (realserver_redirect of the role realserver does it)."
            " Ports of 1024 and higher, to which replies go, are refused there without clients. Of two services the one"
            " with the smaller network has the packet; a VIP of a group is the smallest.",
            source="LVS-HOWTO, transparent proxy (Horms' method)",
        ),
        Field(
            "clients",
            ListOf(NetworkAddress(), single=True),
            "Only packets that come from these networks, with group or network: others have real servers of their own"
            " for the same VIP and port in another service, or find none. Of two services for the same packet the one"
            " with the smaller network of clients has it. Each family of the service needs one at least.",
            default_words="everybody",
        ),
        Field(
            "port",
            Integer(0, MAX_PORT),
            "The port. 0 means every port no other service of the VIP has, and needs persistence, group or network."
            " Either this or ports.",
        ),
        Field(
            "ports",
            ListOf(IntegerRange(1, MAX_PORT), single=True),
            "Several ports: separate services that are otherwise alike; with group or network one service, and ranges"
            ' may be among them, in quotes ("1024-65535"). Either this or port.',
        ),
        Field(
            "group",
            Boolean(),
            "Ties all ports and all VIPs of a family together: one service by firewall mark, so that with persistence a"
            " client stays with one real server on all of them. Directors mark the packets themselves, in an nftables"
            " table of their own. The mark is made from the name, and stays while the name does. With port 0 every"
            " port of the protocol is in it.",
            default=False,
        ),
        Field(
            "fwmark",
            Integer(1, MAX_MARK),
            "The firewall mark of the service. Alone: somebody else marks the packets, for example your own nftables"
            " rules, and the mark says all, so that port, ports and protocol are refused. With group or network: the"
            " mark to set.",
            default_words="none; with group or network made from the name",
            source="ipvsadm(8) --fwmark-service",
        ),
        Field(
            "family",
            Word((Choice("ipv4", "IPv4"), Choice("ipv6", "IPv6"))),
            "Whose packets a fwmark that stands alone counts: the kernel has a service by mark for each family.",
            default_words="ipv4",
            source="ipvsadm(8) --ipv6",
        ),
        Field(
            "protocol",
            Word(PROTOCOLS),
            "The transport protocol; with group or network the one whose packets are marked.",
            default="tcp",
        ),
        Field(
            "forward",
            Word(FORWARDS),
            "How packets reach the real servers. Nothing is assumed: it decides what is changed on every host.",
            default=REQUIRED,
            source="ipvsadm(8) --masquerading, --gatewaying, --ipip",
        ),
        Field(
            "tunnel", TUNNEL, "Details of the tunnel, with forward: tun.", default_words="type ipip, with forward: tun"
        ),
        Field(
            "helper",
            Word(
                (
                    Choice(
                        "ftp",
                        "data connections of FTP, active and passive, over IPv4 and IPv6, reach the real server that"
                        " has the client's session (kernel module ip_vs_ftp)",
                    ),
                )
            ),
            "The kernel's helper for a protocol that names addresses or ports in what it says. For a tcp service with"
            " one port and forward: nat. All helped services of a cluster use at most 8 different ports.",
            default_words="none",
            source="net/netfilter/ipvs/ip_vs_ftp.c",
        ),
        Field(
            "scheduler",
            Word(SCHEDULERS),
            "Who gets the next connection. Every name the kernel has; a kernel may be built without some.",
            default="wlc",
            source="ipvsadm(8) --scheduler",
        ),
        Field(
            "scheduler_flags",
            ListOf(
                Word(
                    (
                        Choice("sh-fallback", "sh: another server when the chosen one is unavailable"),
                        Choice("sh-port", "sh: the client's port counts too"),
                        Choice("mh-fallback", "mh: another server when the chosen one is unavailable"),
                        Choice("mh-port", "mh: the client's port counts too"),
                    )
                ),
                single=True,
            ),
            "Variants of the scheduler; each belongs to the scheduler it is named after.",
            default=(),
            default_words="none",
            source="ipvsadm(8) --sched-flags",
        ),
        Field(
            "one_packet",
            Boolean(),
            "Each packet is scheduled for itself, as suits DNS. UDP only; with a fwmark that stands alone it counts for"
            " its UDP packets. Nothing remembers a packet: with forward: nat, and without engine: sip, an answer leaves"
            " with the real server's own address, which suits only what is not answered, such as syslog.",
            default=False,
            source="ipvsadm(8) --ops",
        ),
        Field("persistence", PERSISTENCE, "Clients stay with their real server.", default_words="none"),
        Field(
            "upper_threshold",
            _THRESHOLD,
            "For each real server that says none of its own: no new connections once it has this many; 0 is no limit.",
            default=0,
            source="ipvsadm(8) --u-threshold",
        ),
        Field(
            "lower_threshold",
            _THRESHOLD,
            "For each real server that says none of its own: after it was full, new connections again below"
            " this many; 0 means below three quarters of the upper one.",
            default=0,
            source="ipvsadm(8) --l-threshold",
        ),
        Field(
            "real_servers",
            ListOf(REAL_SERVER),
            "Who serves it.",
            default_words="every host of the real server group",
        ),
        Field(
            "check",
            CHECK,
            "How real servers are watched. Needs a health engine (lvs_health): without one nobody would act,"
            " and anything but none is refused.",
            default_words="the health engine's own default; none without a health engine",
        ),
        Field(
            "fallback",
            FALLBACK,
            "The server that answers while no real server does. Needs a health engine (lvs_health): without"
            " one nobody would act, and it is refused.",
            default_words="none",
        ),
        Field(
            "quorum",
            Integer(1, MAX_WEIGHT, "sum of weights"),
            "The weight that must be alive. Below it all real servers are taken out and the fallback answers. Where"
            " maintenance leaves less weight than that, all that is left is asked for. Needs lvs_health: keepalived.",
            default=1,
            source="keepalived.conf(5) quorum",
        ),
        Field(
            "hysteresis",
            Integer(0, MAX_WEIGHT, "sum of weights"),
            "How far above or below quorum the living weight must get before keepalived acts. Less than quorum. Needs"
            " lvs_health: keepalived.",
            default=0,
            source="keepalived.conf(5) hysteresis",
        ),
        Field(
            "inhibit_on_failure",
            Boolean(),
            "A real server that fails its check gets weight 0 and keeps its connections (ldirectord's quiescent); else"
            " its row is deleted.",
            default=False,
            source="keepalived.conf(5) inhibit_on_failure, ldirectord(8) quiescent",
        ),
        Field(
            "alpha",
            Boolean(),
            "When keepalived starts, real servers count as down until their first check succeeds; else as up until"
            " it fails. Needs lvs_health: keepalived.",
            default=False,
            source="keepalived.conf(5) alpha",
        ),
        Field(
            "omega",
            Boolean(),
            "When keepalived stops, it runs the notify programs as if the real servers went down. Needs lvs_health:"
            " keepalived.",
            default=False,
            source="keepalived.conf(5) omega",
        ),
        Field(
            "keepalived",
            Lines(),
            "Lines for its virtual_server block in keepalived.conf, as they are. Needs lvs_health: keepalived.",
            default_words="none",
            source="keepalived.conf(5)",
        ),
        schema_ldirectord.SERVICE_FIELD,
    ),
)

ENGINE_KEYS = ("quorum", "hysteresis", "inhibit_on_failure", "alpha", "omega", "keepalived", "ldirectord")
"""Keys of a service that only a health engine acts on."""
