# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""The sysctls of IPVS by name, of every kernel, and what a profile sets on real servers.

A host's kernel cannot tell a misspelt name from one that only newer or older kernels have: it has neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import nearest

IPVS = "net.ipv4.vs."

# Documentation/networking/ipvs-sysctl.rst, and vs_vars in net/netfilter/ipvs/ip_vs_ctl.c for what it leaves out, with
# those of the modules ip_vs_lblc and ip_vs_lblcr.
NAMES = frozenset(
    (
        "am_droprate", "amemthresh", "backup_only", "cache_bypass", "conn_lfactor", "conn_max",
        "conn_reuse_mode", "conntrack", "debug_level", "drop_entry", "drop_packet", "est_cpulist", "est_nice",
        "expire_nodest_conn", "expire_quiescent_template", "ignore_tunneled", "lblc_expiration",
        "lblcr_expiration", "nat_icmp_send", "pmtu_disc", "run_estimation", "schedule_icmp", "secure_tcp",
        "sloppy_sctp", "sloppy_tcp", "snat_reroute", "svc_lfactor", "sync_persist_mode", "sync_ports",
        "sync_qlen_max", "sync_refresh_period", "sync_retries", "sync_sock_size", "sync_threshold",
        "sync_version",
    )
)  # fmt: skip

# What of the list in the seeds still does something on a host that answers connections; docs/tuning.md judges each.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "classic": {
        "net.core.netdev_max_backlog": 3000,
        "net.core.rmem_max": 16777216,
        "net.core.wmem_max": 16777216,
        "net.ipv4.tcp_fin_timeout": 30,
        "net.ipv4.tcp_keepalive_time": 1800,
        "net.ipv4.tcp_max_syn_backlog": 8192,
        "net.ipv4.tcp_wmem": "4096 65536 16777216",
    },
}


def unknown(names: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Return each name below net.ipv4.vs that no kernel has, with what is wrong with it, and the mend."""
    found = []
    for name in names:
        own = str(name).removeprefix(IPVS)
        if own == name or own in NAMES:
            continue
        near = nearest(own, NAMES)
        mend = f"did you mean {IPVS}{near}?" if near else f"valid below {IPVS[:-1]}: {', '.join(sorted(NAMES))}"
        found.append((str(name), "no kernel has it", mend))
    return found


def profile(name: str) -> dict[str, dict[str, Any]]:
    """Return a profile's sysctls. Some are the whole machine's, so that a container does not have them."""
    return {key: {"value": value, "optional": "true"} for key, value in PROFILES[name].items()}
