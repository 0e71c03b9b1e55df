# SPDX-License-Identifier: GPL-3.0-or-later
"""Random IPVS tables, configs and scopes for property tests."""

from __future__ import annotations

from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from hypothesis import strategies as st


def packed(text):
    """Return an address's bytes."""
    return t.parse_address(text)


# Few different values, so that rows of two tables meet each other.
V4 = [packed("192.0.2.%d" % n) for n in range(1, 3)]
V6 = [packed("2001:db8::2")]
REAL4 = [packed("198.51.100.%d" % n) for n in range(1, 4)]
REAL6 = [packed("2001:db8:1::%d" % n) for n in range(1, 3)]
PORTS = st.sampled_from([80, 53])

address_keys = st.sampled_from(V4 + V6).flatmap(
    lambda address: st.tuples(
        st.just(t.family_of(address)), st.sampled_from([6, 17]), st.just(address), PORTS, st.just(0)
    )
)
mark_keys = st.tuples(
    st.sampled_from([t.AF_INET, t.AF_INET6]), st.just(0), st.just(b""), st.just(0), st.sampled_from([1, 2, 2**32 - 1])
)
keys = st.one_of(address_keys, mark_keys)


# Whole shapes to draw from: much quicker than drawing every field by itself.
PERSISTENCE4 = [(False, 0, t.FULL_MASK4, "")] + [
    (True, timeout, mask, engine)
    for timeout in (0, 300, t.MAX_TIMEOUT)
    for mask in (0, 0xFF000000, 0xFFFFFF00, t.FULL_MASK4, 0xFF00FF00)
    for engine in ("", "sip")
]
PERSISTENCE6 = [(False, 0, 128, "")] + [
    (True, timeout, mask, engine) for timeout in (0, 300) for mask in (1, 64, 128) for engine in ("", "sip")
]
SCHEDULING = [
    (scheduler, flags, one_packet)
    for scheduler in ("rr", "sh", "mh")
    for flags in (0, 0x08, 0x10, 0x38)
    for one_packet in (False, True)
]
TUNNELS = [(0, 0, 0), (1, 6080, 0), (1, 6080, 2), (2, 0, 0), (2, 0, 1)]
PLAIN = [(t.NAT, (0, 0, 0)), (t.DR, (0, 0, 0)), (t.LOCAL, (0, 0, 0))] + [(t.TUN, tunnel) for tunnel in TUNNELS]
LOADS = [
    (weight, upper, lower)
    for weight in (0, 1, 65535, t.MAX_INT)
    for upper, lower in ((0, 0), (10, 0), (10, 5), (t.MAX_INT, t.MAX_INT))
]


@st.composite
def services(draw):
    """A service that makes sense to the kernel."""
    key = draw(keys)
    persistence = draw(st.sampled_from(PERSISTENCE4 if key[0] == t.AF_INET else PERSISTENCE6))
    return t.Service(*key, *draw(st.sampled_from(SCHEDULING)), *persistence)


@st.composite
def real_servers(draw, service):
    """A real server that makes sense in service."""
    forward, tunnel = draw(st.sampled_from(PLAIN))
    same = REAL4 if service.family == t.AF_INET else REAL6
    address = draw(st.sampled_from(REAL4 + REAL6 if forward == t.TUN else same))
    port = service.port
    if forward in (t.NAT, t.LOCAL) or service.fwmark:
        port = draw(st.sampled_from([0, 80, 8080]))
    return t.RealServer(address, port, forward, *draw(st.sampled_from(LOADS)), *tunnel)


@st.composite
def entries(draw):
    """A service with its real servers."""
    service = draw(services())
    rows = draw(st.lists(real_servers(service), max_size=3))
    return t.Entry(service, {row.key: row for row in rows})


tables = st.lists(entries(), max_size=4).map(lambda rows: {row.service.key: row for row in rows})


def config_of(table):
    """Return a table as config that names everything."""
    return [t.to_config(entry) for entry in table.values()]


def wishes_of(table):
    """Return a table as parsed config that names everything."""
    return t.parse_config(config_of(table))


@st.composite
def partial_configs(draw, table):
    """A config in which options are left out at random, but what identifies a row stays."""
    rows = []
    for row in config_of(table):
        kept = {k: v for k, v in row.items() if k in IDENTITY or draw(st.booleans())}
        if "scheduler_flags" in kept:
            kept["scheduler"] = row["scheduler"]
        for server in kept.get("real_servers", []):
            for name in ("weight", "upper_threshold", "lower_threshold"):
                if draw(st.booleans()) and not (name == "upper_threshold" and server.get("lower_threshold")):
                    server.pop(name, None)
        rows.append(kept)
    return rows


IDENTITY = ("address", "port", "protocol", "fwmark", "family")

scopes = st.one_of(
    st.none(),
    st.just("all"),
    st.fixed_dictionaries({"networks": st.just(["192.0.2.0/30", "2001:db8::2/128"])}),
    st.fixed_dictionaries({"marks": st.just([1, "2-9"]), "protocols": st.just(["udp"])}),
)
