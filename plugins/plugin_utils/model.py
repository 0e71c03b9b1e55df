# SPDX-License-Identifier: GPL-3.0-or-later
"""From every host's ``lvs_*`` variables to clusters: what each service is, who serves it, what each host has to be.

Pure: plain Python values in, plain Python values out, nothing known of Ansible. Either the whole inventory makes sense,
or InventoryError carries every problem found, so that one run of a playbook is enough to learn them all.

What each host needs to know of itself is worked out here, once, not in the view: a view is asked for once a host, and
an inventory of a thousand services must not be walked for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import (
    gateways,
    localnode,
    marks,
    schema,
    syncing,
    takeover,
    vrrp,
    watching_ldirectord,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.claims import check_claims
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import (
    FAMILIES,
    FULL_PREFIX,
    Groups,
    Host,
    HostVars,
    Members,
    check_agreement,
    check_failover,
    check_groups,
    check_membership,
    check_pairs,
    find_members,
    miss_address,
    read_host,
)
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import InventoryError, Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import Address
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import (
    Ports,
    Service,
    check_services,
    prefixes,
    read_services,
    span_words,
)

# The kernel takes no port 65535 in a rule (include/net/fib_rules.h): a flow that ends there is one of every port.
LAST_PORT_OF_RULES = 65534


def build(hostvars: HostVars, groups: Groups) -> dict[str, Any]:
    """Return {clusters: {name: Cluster}, hosts: {host: name}}, or raise InventoryError with every problem found.

    hostvars holds each host's ``lvs_*`` variables, already templated; groups the hosts of each group, in order.
    """
    problems = Problems()
    members = find_members(hostvars, groups)
    check_groups(hostvars, groups, members, problems)
    clusters: dict[str, dict[str, Any]] = {}
    hosts: dict[str, str] = {}
    for member in members:
        own = Problems()
        if check_pairs(member, hostvars, own):
            clusters[member.name] = _build_cluster(member, hostvars, groups, own)
            hosts.update(dict.fromkeys(member.hosts, member.name))
        problems.absorb(own, f"[{member.name}] " if len(members) > 1 else "")
    lines = problems.lines()
    if lines:
        raise InventoryError(lines)
    return {"clusters": clusters, "hosts": hosts}


def _build_cluster(member: Members, hostvars: HostVars, groups: Groups, problems: Problems) -> dict[str, Any]:
    check_membership(member, hostvars, groups, problems)
    check_agreement(member, hostvars, problems)
    hosts = {name: read_host(name, hostvars[name], problems) for name in member.hosts}
    shared = hostvars[member.hosts[0]]
    settings = {
        item.name: schema.read_field(item, shared.get(item.name), item.name, problems.add)
        for item in schema.CLUSTER_VARIABLES
    }
    check_failover(member, settings["lvs_failover"], problems)
    if settings["lvs_services"] == []:
        problems.add("lvs_services", "is an empty list", "describe at least one service")
    services = read_services(settings, member, hosts, hostvars, problems)
    services = marks.with_marks(services, settings, problems)
    owners = {str(one): name for name in member.realservers for one in hosts[name].addresses.values()}
    check_services(services, owners, problems)
    check_claims(services, problems)
    _check_vipless(settings, services, problems)
    _check_networks(services, hosts, settings, problems)
    _check_hosts(member, hosts, services, problems)
    vips = _vips(services, prefixes(services, problems))
    vrrp.check_unused(settings, problems)
    vrrp.check_vrrp(settings, member, hosts, vips, problems)
    takeover.check_heartbeat(settings, member, hosts, vips, problems)
    syncing.check_sync(settings, services, problems)
    localnode.check_localnode(settings, member, hosts, services, problems)
    gateways.check_masquerade(settings, services, vips, problems)
    gateways.check_helpers(services, problems)
    _check_engine(settings, problems)
    watching_ldirectord.check_services(settings, services, problems)
    return {} if problems else _as_cluster(member, hosts, settings, services, vips)


def _check_engine(settings: Mapping[str, Any], problems: Problems) -> None:
    """Report what the engines that were chosen do not do."""
    if settings["lvs_keepalived"] and "keepalived" not in (settings["lvs_health"], settings["lvs_failover"]):
        problems.add(
            "lvs_keepalived",
            "nobody would act on it: keepalived is neither lvs_health nor lvs_failover",
            "leave it out, or choose keepalived",
        )
    if settings["lvs_ldirectord"] and settings["lvs_health"] != "ldirectord":
        problems.add(
            "lvs_ldirectord",
            "nobody would act on it: lvs_health is not ldirectord",
            "leave it out, or choose lvs_health: ldirectord",
        )
    engine = settings["lvs_health"]
    if engine in ("keepalived", "ldirectord") and settings["lvs_removed"] == "quiesce":
        problems.add(
            "lvs_removed",
            f"{engine} deletes at once what leaves its file, and cannot quiesce it",
            "leave it out; give a real server weight 0 first, and take it away when its connections have ended",
        )


def _check_hosts(member: Members, hosts: Mapping[str, Host], services: Sequence[Service], problems: Problems) -> None:
    vips: dict[Address, str] = {}
    families: dict[str, str] = {}
    for service in services:
        for vip in service.vips:
            vips.setdefault(vip.address, service.path)
        families.setdefault(service.family, service.path)
    for name in member.directors:
        _check_director(hosts[name], families, problems)
    owners: dict[Address, str] = {}
    for host in hosts.values():
        for address in host.addresses.values():
            if address in vips:
                problems.add_for(
                    host.name,
                    "lvs_address",
                    f"{address} is the VIP of {vips[address]}",
                    "write the host's own address: the VIP is one more",
                )
            owner = owners.setdefault(address, host.name)
            if owner != host.name:
                problems.add_for(
                    host.name, "lvs_address", f"{address} is the address of {owner} too", "each host has its own"
                )
    _check_outsiders(services, vips, problems)


def _check_vipless(settings: Mapping[str, Any], services: Sequence[Service], problems: Problems) -> None:
    if settings["lvs_vipless"] and services and not any(service.by_mark for service in services):
        problems.add(
            "lvs_vipless",
            "no service has a firewall mark, and without one a director must hold the VIP",
            "give services group: true, network or fwmark, or leave it out",
        )


def _check_networks(
    services: Sequence[Service], hosts: Mapping[str, Host], settings: Mapping[str, Any], problems: Problems
) -> None:
    """A network has no host in it: whoever wants to reach that one would get a real server."""
    found = [
        (address, f"the lvs_address of {one.name}") for one in hosts.values() for address in one.addresses.values()
    ]
    found += [
        (vip.address, f"the lvs_vrrp_address of {one.name}") for one in hosts.values() for vip in one.vrrp.values()
    ]
    found += [(vip.address, "lvs_gateway_vip") for vip in vrrp.gateway_of(settings)]
    found += [(one.address, f"a real server of {service.path}") for service in services for one in service.real_servers]
    owners: dict[Address, str] = {}
    for address, what in found:
        owners.setdefault(address, what)
    for service in services:
        for network in service.networks:
            inside = next(((address, what) for address, what in owners.items() if address in network), None)
            if inside and network.prefixlen:
                problems.add(
                    f"{service.path}.network",
                    f"{network} has {inside[0]} in it, {inside[1]}: packets for the host itself would be balanced",
                    "name a network of virtual addresses alone",
                )


def _check_director(host: Host, families: Mapping[str, str], problems: Problems) -> None:
    if host.interface is None:
        problems.add_for(
            host.name,
            "lvs_interface",
            "is missing on a director",
            "name the interface that faces the clients, for example eth0",
        )
    for family, path in families.items():
        if family not in host.addresses and host.readable:
            miss_address(host, family, f"directs {path}", problems)


def _check_outsiders(services: Sequence[Service], vips: Mapping[Address, str], problems: Problems) -> None:
    """A real server named by address must not be a VIP of another service: that lives on the director."""
    for service in services:
        for server in service.real_servers:
            own = any(server.address == vip.address for vip in service.vips)
            if server.host is None and server.address in vips and not own:
                path = vips[server.address]
                if path != service.path:
                    problems.add(
                        service.path,
                        f"the real server {server.address} is the VIP of {path}",
                        "name the servers behind it",
                    )


# The values that leave


def _as_cluster(
    member: Members,
    hosts: Mapping[str, Host],
    settings: Mapping[str, Any],
    services: Sequence[Service],
    vips: list[dict[str, Any]],
) -> dict[str, Any]:
    gateway_vips = [_as_gateway(vip) for vip in settings["lvs_gateway_vip"]]
    directors_serve = localnode.answering(settings, member, hosts, services) is not None
    return {
        "name": member.name,
        "health": settings["lvs_health"],
        "failover": settings["lvs_failover"],
        "removed": settings["lvs_removed"],
        "directors": {name: hosts[name].as_director() for name in _ranked(member, hosts, settings)},
        "realservers": _realserver_records(member, hosts, services, settings["lvs_failover"] != "none"),
        "vips": vips,
        "forwards": _forwards(_ways(services)),
        "services": [_as_service(service) for service in services],
        "marks": marks.plan_marks(services, _own_addresses(hosts)),
        "deliveries": marks.plan_deliveries(services),
        "masquerade": gateways.plan_masquerade(
            settings, hosts.values(), [hosts[name] for name in member.directors], services, vips, gateway_vips
        ),
        "helpers": gateways.plan_helpers(services),
        "table": [_as_row(service) for service in services],
        "watched": [_as_watched(service) for service in services] if settings["lvs_health"] != "none" else [],
        "vrrp": vrrp.plan_vrrp(settings, member, hosts, vips, gateway_vips),
        "heartbeat": takeover.plan_heartbeat(settings, member, hosts, gateway_vips),
        "gateway_vips": gateway_vips,
        "keepalived": settings["lvs_keepalived"] or schema.KEEPALIVED.defaults(),
        "ldirectord": watching_ldirectord.plan(settings, services),
        "directors_serve": directors_serve,
        "sync": syncing.plan_sync(settings, directors_serve),
        "timeouts": syncing.plan_timeouts(settings),
    }


def _own_addresses(hosts: Mapping[str, Host]) -> list[Address]:
    return [
        address
        for host in hosts.values()
        for address in (*host.addresses.values(), *(vip.address for vip in host.vrrp.values()))
    ]


def _ranked(member: Members, hosts: Mapping[str, Host], settings: Mapping[str, Any]) -> list[str]:
    """Return the directors, the one that is meant to be active first."""
    if settings["lvs_failover"] not in vrrp.MOVERS:
        return list(member.directors)
    ranks = vrrp.priorities(member, hosts)
    return sorted(member.directors, key=lambda name: -ranks[name])


def _vips(services: Sequence[Service], lengths: Mapping[Address, int]) -> list[dict[str, Any]]:
    """Return the addresses that directors hold, or that move between them."""
    unique: dict[Address, dict[str, Any]] = {}
    for service in services:
        for vip in () if service.vipless else service.vips:
            unique.setdefault(
                vip.address,
                {
                    "address": str(vip.address),
                    "prefix": lengths.get(vip.address, FULL_PREFIX[service.family]),
                    "family": service.family,
                    "path": service.path,
                    "stated": vip.address in lengths,
                },
            )
    return list(unique.values())


def _as_gateway(vip: schema.Vip) -> dict[str, Any]:
    family = FAMILIES[vip.address.version]
    return {
        "address": str(vip.address),
        "prefix": vip.prefix or FULL_PREFIX[family],
        "family": family,
        "stated": vip.prefix is not None,
    }


def _as_watched(service: Service) -> dict[str, Any]:
    """Return what a health engine needs beside the service's row, in the row's order."""
    return {
        "name": service.name,
        "entry": service.entry,
        **service.watched,
        "servers": [server.lines for server in service.real_servers],
    }


def _forwards(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    unique = set(pairs)
    return {family: sorted(forward for own, forward in unique if own == family) for family in FAMILIES.values()}


def _ways(services: Iterable[Service]) -> Iterator[tuple[str, str]]:
    """Yield family and forwarding method of each service, and of its fallback."""
    for service in services:
        yield service.family, service.forward
        if service.watched["fallback"]:
            yield service.family, service.watched["fallback"]["forward"]


def _realserver_records(
    member: Members, hosts: Mapping[str, Host], services: Sequence[Service], moved: bool
) -> dict[str, dict[str, Any]]:
    duties = {name: Duties(name in member.directors and not moved) for name in member.realservers}
    owners = {str(one): (name, one) for name in member.realservers for one in hosts[name].addresses.values()}
    for service in services:
        for server in service.real_servers:
            if server.host is not None:
                duties[server.host].add(service, server.address, server.port, service.forward)
        # A fallback that is one of our hosts answers for the VIP as a real server does.
        fallback = service.watched["fallback"]
        if fallback and fallback["address"] in owners:
            name, address = owners[fallback["address"]]
            duties[name].add(service, address, fallback["port"], fallback["forward"])
    return {
        name: {**hosts[name].record(), "weight": hosts[name].weight, "duties": duties[name].record()}
        for name in member.realservers
    }


class Duties:
    """What serving asks of one real server: VIPs to hold unseen, replies to send through the director."""

    def __init__(self, directs: bool) -> None:
        """Begin with none.

        :param directs: the host is always the active director.
        """
        self._directs = directs
        self._networks: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._hidden: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._flows: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(self, service: Service, address: Address, port: int, forward: str) -> None:
        if forward == "nat" and self._directs:
            # Its own replies leave through itself, and the kernel gives them back the VIP on their way out.
            return
        if forward == "nat":
            for span in service.replies_from(port):
                flow = {
                    "family": service.family,
                    "address": str(address),
                    "protocol": service.protocol,
                    "port": _port(span) if span[1] <= LAST_PORT_OF_RULES else 0,
                }
                self._flows.setdefault(tuple(flow.values()), flow)
            return
        tunnel = service.tunnel if forward == "tun" else None
        outer = FAMILIES[address.version]
        how = {
            "family": service.family,
            "forward": forward,
            "tunnel": dict(tunnel) if tunnel else None,
            "outer": outer,
        }
        key = (forward, *(tunnel or {}).values(), outer)
        for vip in service.vips:
            self._hidden.setdefault((vip.address, *key), {"address": str(vip.address), **how})
        for network in service.networks:
            self._networks.setdefault((network, *key), {"network": str(network), **how})

    def record(self) -> dict[str, Any]:
        return {
            "hidden_vips": list(self._hidden.values()),
            "hidden_networks": list(self._networks.values()),
            "nat_flows": [flow for flow in self._flows.values() if not self._covered(flow)],
        }

    def _covered(self, flow: Mapping[str, Any]) -> bool:
        """Tell whether another flow has it all: of two such rules the kernel may delete the other than was named."""
        every = [(flow["protocol"], 0)] if flow["port"] else []
        wider = [*every, *([(None, flow["port"]), (None, 0)] if flow["protocol"] else [])]
        return any((flow["family"], flow["address"], protocol, port) in self._flows for protocol, port in wider)


def _as_service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "path": service.path,
        "family": service.family,
        "vips": [str(vip.address) for vip in service.vips],
        "networks": [str(network) for network in service.networks],
        "clients": [str(network) for network in service.clients],
        "ports": [_port(span) for span in service.ports],
        "protocol": service.protocol,
        "fwmark": service.fwmark,
        "forward": service.forward,
        "tunnel": dict(service.tunnel) if service.tunnel else None,
        "real_servers": [
            {"host": server.host, "address": str(server.address), "port": server.port, "weight": server.weight}
            for server in service.real_servers
        ],
    }


def _port(span: Ports) -> int | str:
    """Return a port as its number, a range as words."""
    return span[0] if span[0] == span[1] else span_words(span)


def _identity(service: Service) -> dict[str, Any]:
    if service.by_mark:
        return {"fwmark": service.fwmark, "family": service.family}
    (vip,), ((port, _),) = service.vips, service.ports
    return {"address": str(vip.address), "port": port, "protocol": service.protocol}


def _as_tunnel(tunnel: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a tunnel the director has to know."""
    kind = tunnel["type"]
    port = {"port": tunnel["port"]} if kind == "gue" else {}
    return {"type": kind, **port, **({"checksum": tunnel["checksum"]} if kind != "ipip" else {})}


def _as_row(service: Service) -> dict[str, Any]:
    """Return the row as the ipvs module takes it: complete, so that what nobody says returns to its default."""
    tunnel = {"tunnel": _as_tunnel(service.tunnel)} if service.tunnel else {}
    return {
        **_identity(service),
        "scheduler": service.scheduler,
        "scheduler_flags": list(service.scheduler_flags),
        "one_packet": service.one_packet,
        "persistence": dict(service.persistence) if service.persistence else None,
        "real_servers": [
            {
                "address": str(server.address),
                "port": server.port,
                "forward": service.forward,
                "weight": server.weight,
                "upper_threshold": server.upper_threshold,
                "lower_threshold": server.lower_threshold,
                **tunnel,
            }
            for server in service.real_servers
        ],
    }
