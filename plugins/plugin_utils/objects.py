# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""From the view of one host to the config of C(lvs.cluster.host): what a director, what a real server must have.

Pure: the view says what the host is, the options are the role's own variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.lvs.cluster.plugins.module_utils import kernel_modules, table
from ansible_collections.lvs.cluster.plugins.plugin_utils import (
    boot,
    gateways,
    keepalived,
    ldirectord,
    marks,
    realserver_options,
    sysctl_names,
    tunnels,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import ObjectsError
from ansible_collections.lvs.cluster.plugins.plugin_utils.routing_tables import LOCAL_TABLE, MAIN_TABLE, table_number

# The distributions' own loaders of the IPVS table: Debian's clears the table when it stops, EL's saves it. Ours is the
# only one, so they are masked.
MASKED = ["ipvsadm.service"]

UNLESS_KEEPALIVED = "systemctl is-active --quiet keepalived"

# The kernel remembers a connection for two minutes after its end. Without this, a client that takes its source port
# again meanwhile is still sent to the same real server, and where that one has been deleted its packets are dropped
# without a word.
EXPIRE = {"net.ipv4.vs.expire_nodest_conn": 1}


def director_objects(
    view: dict[str, Any],
    sysctls: dict[str, Any],
    conn_tab_bits: int = 0,
    gateway: bool = False,
    delivery_table: int = 5020,
) -> dict[str, Any]:
    """What a director has beside its table: forwarding, rules for packets, and the VIPs on its interface.

    :param conn_tab_bits: the size of the kernel's connection table as a power of two; 0 leaves it to the kernel.
    :param gateway: the director is the real servers' gateway, whatever the forwarding method.
    :param delivery_table: the number of the routing table for packets to addresses that no interface holds.
    """
    require(view, "director")
    options = [f"options ip_vs conn_tab_bits={conn_tab_bits}"] if conn_tab_bits else []
    rules, routes = _delivery(view.get("deliveries", ()), table_number("director_table", delivery_table))
    return config_of(
        "director",
        module_options=options + gateways.helper_options(view),
        modules=["ip_vs", *gateways.helper_modules(view)],
        needed_modules=_needed_modules(view),
        sysctls={**EXPIRE, **_expiry(view), **gateways.sysctls(view, gateway)} | sysctls,
        packets={
            "mark": marks.rules(view.get("marks", ())),
            "masquerade": gateways.rules(view),
            "clamp": gateways.silence(view, gateway),
        },
        addresses=[
            {"address": f"{vip['address']}/{vip['prefix']}", "interface": view["interface"]} for vip in view["vips"]
        ],
        rules=rules,
        routes=routes,
        moving=moving_vips(view),
        masked_units=MASKED,
    )


def _delivery(deliveries: Iterable[Mapping[str, Any]], table: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rules and routes by which what comes in with a mark is for this host, whatever its address.

    A filter that looks up the way back to a packet's source may do so with the packet's mark: the kernel's own with
    src_valid_mark, which WireGuard's wg-quick sets, and firewalld's for IPv6. It would find that the source is this
    host, and drop the packet. Such a lookup begins at lo, as one for what the host itself sends.
    """
    rules = []
    for one in deliveries:
        rules.append({**one, "interface": "lo", "table": MAIN_TABLE, "priority": table - 1})
        rules.append({**one, "table": table, "priority": table})
    families = sorted({one["family"] for one in deliveries})
    return rules, [{"family": family, "type": "local", "interface": "lo", "table": table} for family in families]


def keepalived_objects(view: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a director has so that keepalived watches real servers or moves VIPs.

    :param options: `password`, which is in no view.
    """
    require(view, "director")
    if not uses_keepalived(view):
        raise ObjectsError(
            f"{view['host']} has no use for keepalived: neither lvs_health nor lvs_failover is keepalived; say so, or"
            " don't apply the role"
        )
    # What another engine moves is not keepalived's to take away when it ends.
    moving = moving_vips(view)
    released = moving if view["vrrp"] else []
    stop = boot.RELEASE_SYNC if view["sync"] and view["vrrp"] else ""
    if stop and view["directors_serve"]:
        stop = boot.RELEASE_STANDBY.format(words=_sync_words(view["sync"]))
    secret = keepalived.secrets(view, options["password"])
    config = config_of("keepalived", modules=["ip_vs"], sysctls={}, moving=moving)
    config["files"] += [
        {"path": boot.KEEPALIVED_DROP_IN, "content": boot.KEEPALIVED_DROP_IN_CONTENT},
        {"path": boot.RELEASE, "content": boot.RELEASE_CONTENT.format(stop=stop), "mode": "0755"},
        {"path": boot.MOVING, "content": moving_lines(released)},
        {"path": keepalived.CONF, "content": keepalived.configuration(view)},
    ]
    config["secret_files"] = [{"path": keepalived.SECRETS, "content": secret}] if secret else []
    config["units"] = [boot.UNIT, boot.KEEPALIVED]
    config["daemons"] = [
        {
            "unit": boot.KEEPALIVED,
            "program": "keepalived",
            "files": [keepalived.CONF, *([keepalived.SECRETS] if secret else [])],
            "judge": JUDGE,
            "harmless": HARMLESS,
        }
    ]
    return config


def ldirectord_objects(view: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a director has so that ldirectord watches real servers.

    :param options: `services`, the inventory's lvs_services where a check has a secret, which is in no view; `sysctls`;
        `modules`, whether the Perl modules that checks need are there already.
    """
    require(view, "director")
    if view["health"] != "ldirectord":
        raise ObjectsError(
            f"{view['host']} has no use for ldirectord: lvs_health is {view['health']}; say so, or don't apply the role"
        )
    config = config_of("ldirectord", modules=["ip_vs"], sysctls=options["sysctls"])
    content = ldirectord.configuration(view, ldirectord.secrets_of(options["services"]))
    row = {"path": ldirectord.CONF, "content": content, "mode": "0600", "redact": ldirectord.REDACT}
    secret = re.search(ldirectord.REDACT, content, re.MULTILINE)
    rows = [one["row"] for one in view["watched"]]
    config["files"] += [
        {"path": boot.LDIRECTORD_DROP_IN, "content": boot.LDIRECTORD_DROP_IN_CONTENT},
        # Before the file itself: whoever takes over finds in it the rows that are ldirectord's.
        {"path": ldirectord.TABLE, "content": _saved(rows), "mode": "0600"},
        *([] if secret else [row]),
    ]
    config["secret_files"] = [row] if secret else []
    folder = view["ldirectord"]["maintenance_directory"]
    if folder:
        config["files"].append({"path": f"{folder}/README", "content": boot.MAINTENANCE_CONTENT})
    started = view["failover"] == "heartbeat"
    config["units"] = [boot.UNIT, *([] if started else [boot.LDIRECTORD])]
    config["idle_units"] = [boot.LDIRECTORD] if started else []
    config["daemons"] = [
        {
            "unit": boot.LDIRECTORD,
            "program": "ldirectord",
            "files": [ldirectord.CONF],
            "judge": [*ldirectord.JUDGE, ldirectord.JUDGEMENT, "{program}", "modules" if options["modules"] else ""],
        }
    ]
    return config


def _expiry(view: dict[str, Any]) -> dict[str, Any]:
    """Else a client that persistence knows would stay with a real server of weight 0, in maintenance or dead."""
    stays = any(row.get("persistence") for row in _rows(view))
    return {"net.ipv4.vs.expire_quiescent_template": 1} if stays else {}


def _rows(view: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the kernel's table, whoever writes them."""
    return [*view.get("table", ()), *(one["row"] for one in view.get("watched", ()))]


def _needed_modules(view: dict[str, Any]) -> list[str]:
    """What the kernel loads by itself for these rows, or refuses them."""
    found = {
        name
        for row in _rows(view)
        for name in kernel_modules.of_service(row["scheduler"], (row.get("persistence") or {}).get("engine") or "")
    }
    return sorted(found)


def _saved(rows: list[dict[str, Any]]) -> str:
    """Rows as ipvsadm-save prints them, which is what the module ipvs takes for its record."""
    return table.render(table.complete_table(table.parse_config(rows)))


def syncd_objects(view: dict[str, Any], sysctls: dict[str, Any]) -> dict[str, Any]:
    """What a director has so that it tells the others of its connections: sysctls, and a unit for after a reboot.

    With VRRP, keepalived runs the daemons, and the unit sets the timeouts alone.
    """
    require(view, "director")
    sync, timeouts = view["sync"], view["timeouts"]
    if not sync and not timeouts:
        raise ObjectsError(f"{view['host']} has no use for the role: set lvs_sync or lvs_timeouts, or don't apply it")
    config = config_of("syncd", modules=["ip_vs"], sysctls={**(sync or {}).get("sysctls", {}), **sysctls})
    # A minus: what runs already, or is set already, is no failure.
    commands = []
    if timeouts:
        commands.append("ExecStart=-/sbin/ipvsadm --set {tcp} {tcp_fin} {udp}".format(**timeouts))
    for role in ("master", "backup") if sync and view["failover"] != "keepalived" else ():
        commands.append(f"ExecStart=-/sbin/ipvsadm --start-daemon {role} {_sync_words(sync)}")
        commands.append(f"ExecStop=-/sbin/ipvsadm --stop-daemon {role}")
    if sync and view["vrrp"] and view["directors_serve"]:
        # Before keepalived works, and when it does no more, this director stands by; meanwhile the daemon is its own.
        for verb, daemon in (("Start", f"--start-daemon backup {_sync_words(sync)}"), ("Stop", "--stop-daemon backup")):
            commands.append(f"Exec{verb}=-/bin/sh -c '{UNLESS_KEEPALIVED} || ipvsadm {daemon}'")
    lines = "".join(f"{command}\n" for command in commands)
    config["files"].append({"path": boot.SYNCD_PATH, "content": boot.SYNCD_CONTENT.format(commands=lines)})
    config["units"] = [boot.UNIT, boot.SYNCD]
    return config


def _sync_words(sync: dict[str, Any]) -> str:
    words = {
        "interface": "--mcast-interface",
        "id": "--syncid",
        "max_length": "--sync-maxlen",
        "group": "--mcast-group",
        "port": "--mcast-port",
        "ttl": "--mcast-ttl",
    }
    return " ".join(f"{option} {sync[key]}" for key, option in words.items() if sync[key] is not None)


# keepalived 2.2 kills itself while it judges a file that names a script, because it takes its parent for another one's.
# As the first process of a namespace it does not hear that signal.
JUDGE = ["unshare", "--fork", "--pid", "{program}", "-t", "-f"]

# All real servers in maintenance: that is meant.
HARMLESS = [
    "exceeds total weight of real servers 0, reducing quorum to 0$",
    "hysteresis 0 >= quorum 0; setting hysteresis to",
]


def uses_keepalived(view: dict[str, Any]) -> bool:
    return "keepalived" in (view["health"], view["failover"])


def moving_vips(view: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"address": f"{vip['address']}/{vip['prefix']}", "interface": vip["interface"]}
        for vip in view.get("moving", ())
    ]


def moving_lines(vips: list[dict[str, str]]) -> str:
    """Print them for a shell that takes them away."""
    return "".join(f"{vip['address']} {vip['interface']}\n" for vip in vips)


def realserver_objects(view: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a real server has: hidden VIPs for DR and TUN, the way back through the director for NAT.

    :param options: `device`, `gateway`, `gateway_addresses` (by family), `replace_default_route`, `table`, `gateways`,
        `redirect`, `tuning`, `sysctls`: the role's variables without their prefix; and `director_table`.
    """
    require(view, "realserver", "real server")
    modules: list[str] = []
    links: list[dict[str, str]] = []
    gue_ports: list[dict[str, Any]] = []
    addresses: list[dict[str, str]] = []
    sysctls: dict[str, Any] = {}
    hidden = [*view["hidden_vips"], *view.get("hidden_networks", ())]
    local = []
    if any(vip["family"] == "ipv4" for vip in hidden):
        # Both hold for every device as the larger of `all` and the device's own value.
        sysctls["net.ipv4.conf.all.arp_ignore"] = 1
        sysctls["net.ipv4.conf.all.arp_announce"] = 2
    for vip in hidden:
        device = options["device"]
        if vip["forward"] == "tun":
            unpacker = tunnels.unpacker(vip, view)
            device = unpacker.link["name"]
            modules += [module for module in unpacker.modules if module not in modules]
            if unpacker.link not in links:
                links.append(unpacker.link)
            if unpacker.gue_port and unpacker.gue_port not in gue_ports:
                gue_ports.append(unpacker.gue_port)
            if vip["family"] == "ipv4":
                # What comes out of a tunnel passes the reverse path filter only in loose mode.
                sysctls[f"net.ipv4.conf.{device}.rp_filter"] = gateways.LOOSE
        elif device != "lo" and {"name": device, "type": "dummy"} not in links:
            links.append({"name": device, "type": "dummy"})
        held = ""
        if "address" in vip:
            held = f"{vip['address']}/{32 if vip['family'] == 'ipv4' else 128}"
        else:
            local += _whole_network(vip)
            if vip["forward"] == "tun" and vip["family"] == "ipv4":
                # A device without any IPv4 address passes nothing unless the filter is off (__fib_validate_source).
                held = tunnels.DUMMY
        address = {"address": held, "interface": device}
        if held and address not in addresses:
            addresses.append(address)
    rules, routes = _way_back(view, options)
    more_rules, more_routes = realserver_options.gateways(view, options)
    return config_of(
        "realserver",
        modules=modules,
        links=links,
        gue_ports=gue_ports,
        sysctls=sysctls | sysctl_names.profile(options["tuning"]) | options["sysctls"],
        packets={
            "redirect": realserver_options.redirects(view, options["redirect"]),
            "clamp": tunnels.clamps(hidden),
        },
        addresses=addresses,
        rules=rules + more_rules,
        routes=[*local, *routes, *more_routes],
    )


def _whole_network(hidden: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The route by which a network is this host's own. Everything there is cannot be: nothing else could be reached.

    Only in the table local it counts for the source of replies too. With arp_ignore=1 an address is not answered for
    unless the card that is asked holds it.
    """
    if hidden["network"].endswith("/0"):
        return []
    route = {"family": hidden["family"], "type": "local", "to": hidden["network"], "interface": "lo"}
    return [{**route, "table": LOCAL_TABLE}]


def _way_back(view: dict[str, Any], options: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rules and routes that bring replies back through the director: those of NAT services, by `default` DR's too."""
    mode, flows = options["gateway"], view["nat_flows"]
    if view["director"] and flows and mode != "policy":
        raise ObjectsError(
            f"realserver_gateway: {mode} on a director: while it stands by, its replies by nat leave"
            " through the other one, by a routing table of their own; say realserver_gateway: policy"
        )
    families = {flow["family"] for flow in flows}
    # A director's own replies leave by themselves. Where there are NAT's, the director forwards their families alone.
    if mode == "default" and not families and not view["director"]:
        hidden = [*view["hidden_vips"], *view.get("hidden_networks", ())]
        families = {one["family"] for one in hidden if one["forward"] == "dr"}
    if mode == "none" or not families:
        return [], []
    if mode == "default" and not options["replace_default_route"]:
        raise ObjectsError(
            "realserver_gateway: default replaces this host's default route, perhaps the one you came in by; "
            "say realserver_replace_default_route: true if that is what you want, or use realserver_gateway: policy"
        )
    table = table_number("realserver_table", options["table"]) if mode == "policy" else None
    if table and table > (latest := realserver_options.latest_table(view)):
        raise ObjectsError(f"realserver_table: {realserver_options.TOO_LATE}; use a number up to {latest}")
    rules, routes = [], []
    for family in sorted(families):
        gateway = options["gateway_addresses"].get(family) or view["way_back"][family]
        if not gateway:
            raise ObjectsError(
                f"realserver_gateway: {mode} needs the address of the director that faces the real servers, and the "
                f"cluster has no single one for {family}; set realserver_gateway_{family}"
            )
        routes.append({"family": family, "via": gateway, **({"table": table} if table else {})})
    if table:
        straight = [*_to_directors(view, {route["family"]: route["via"] for route in routes}, table)]
        unique = {tuple(sorted(rule.items())): rule for rule in (_way_back_rule(flow, table) for flow in flows)}
        rules = [*straight, *unique.values(), *_without_source(view, straight, table)]
    return rules, routes


def _way_back_rule(flow: dict[str, Any], table: int) -> dict[str, Any]:
    return {
        "family": flow["family"],
        "source": flow["address"],
        **({"protocol": flow["protocol"]} if flow["protocol"] else {}),
        **({"source_port": flow["port"]} if flow["port"] else {}),
        "table": table,
        "priority": table,
    }


def _to_directors(view: dict[str, Any], gateways: dict[str, str], table: int) -> Iterator[dict[str, Any]]:
    """Rules by which replies to the directors themselves go straight there, as their health checks came.

    Through a gateway that moves, they would confirm to the kernel that whoever held it last still does: a server whose
    checks succeed would never learn that it has moved (arp(7): feedback from a higher layer).
    """
    for family, source in sorted({(flow["family"], flow["address"]) for flow in view["nat_flows"]}):
        for director in view["director_addresses"][family]:
            if director not in (gateways[family], source):
                yield {
                    "family": family,
                    "source": source,
                    "destination": director,
                    "table": MAIN_TABLE,
                    "priority": table - 1,
                }


def _without_source(view: dict[str, Any], straight: list[dict[str, Any]], table: int) -> Iterator[dict[str, Any]]:
    """Rules for datagrams of servers that are bound to no address: the kernel looks for their way before their source.

    For IPv4 such a lookup has the source 0.0.0.0, and no other lookup has. For IPv6 no rule with a source matches it,
    and a rule without one matches all that is sent (fib6_rule_match in net/ipv6/fib6_rules.c). So that rule is the last
    before the kernel's own for main, and what has a source by then goes by main just before it. `iif lo` is what the
    host itself sends, and keeps the removal of this rule off others.

    :param straight: the rules of _to_directors.
    """
    flows = realserver_options.unbound(view)
    families = {family for family, _ in flows}
    last = realserver_options.UNBOUND_PRIORITY
    for rule in straight:
        if rule["family"] == "ipv4" and "ipv4" in families:
            yield {**rule, "source": "0.0.0.0"}
        elif rule["family"] in families:
            kept = {key: rule[key] for key in ("family", "destination", "table")}
            yield {**kept, "interface": "lo", "priority": last - 1}
    for family, port in flows:
        datagrams = {"family": family, "protocol": "udp", "source_port": port}
        if family == "ipv4":
            yield {**datagrams, "source": "0.0.0.0", "table": table, "priority": table}
            continue
        for half in ("::/1", "8000::/1"):
            yield {**datagrams, "source": half, "interface": "lo", "table": MAIN_TABLE, "priority": last - 1}
        yield {**datagrams, "interface": "lo", "table": table, "priority": last}


def config_of(role: str, **parts: Any) -> dict[str, Any]:
    """The host module's config: the role's objects, and the files and the unit that bring them back at boot."""
    wanted = parts.pop("sysctls")
    unknown = sysctl_names.unknown(wanted)
    if unknown:
        raise ObjectsError("\n".join(f"{role}_sysctls: {name}: {wrong}; {mend}" for name, wrong, mend in unknown))
    sysctls = [_sysctl(name, value) for name, value in wanted.items()]
    files = [{"path": boot.LOADER, "content": boot.LOADER_CONTENT, "mode": "0755"}]
    files.append({"path": boot.UNIT_PATH, "content": boot.UNIT_CONTENT})
    if any(parts.get("packets", {}).values()):
        files.append({"path": boot.NFTABLES_DROP_IN, "content": boot.NFTABLES_DROP_IN_CONTENT})
    if parts["modules"]:
        files.append({"path": f"/etc/modules-load.d/lvs-{role}.conf", "content": _lines(parts["modules"])})
    options = parts.pop("module_options", [])
    if options:
        files.append({"path": f"/etc/modprobe.d/lvs-{role}.conf", "content": _lines(options)})
    # One that is set only under a condition is left to our unit, which loads what the record says was set.
    lines = [_sysctl_line(row) for row in sysctls if "unless" not in row]
    if lines:
        files.append({"path": f"/etc/sysctl.d/90-lvs-{role}.conf", "content": _lines(lines)})
    return {"files": files, "sysctls": sysctls, "units": [boot.UNIT], **parts}


def _sysctl(name: str, value: Any) -> dict[str, str]:
    row = value if isinstance(value, dict) else {"value": value}
    return {"name": name, **{key: " ".join(str(text).split()) for key, text in row.items()}}


def _sysctl_line(row: dict[str, str]) -> str:
    # The dash: systemd-sysctl goes on without a word when the name is not there (yet). What it comes too early for,
    # lvs-cluster.service sets.
    return f"-{row['name']} = {row['value']}"


def _lines(lines: list[str]) -> str:
    return "# Written by Ansible (lvs.cluster); changes are overwritten.\n" + "".join(line + "\n" for line in lines)


def require(view: dict[str, Any], part: str, words: str = "") -> None:
    """Refuse a host that has no such part in a cluster."""
    if not view.get(part):
        raise ObjectsError(
            f"{view['host']} is no {words or part} of a cluster: put it into the group that lvs_director_group or "
            "lvs_realserver_group names, or don't apply the role to it"
        )
