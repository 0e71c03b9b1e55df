# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes a director beside what it directs: connections that real servers open, those that a helper of the kernel
knows of, and the real servers' own replies where the director is their gateway.

IPVS takes its own packets out of connection tracking (ip_vs_notrack), all but those of a helper's connections and with
net.ipv4.vs.conntrack: rules of a chain of type nat never see them, so a rule for what real servers send does not touch
their replies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import Network, network_words
from ansible_collections.lvs.cluster.plugins.plugin_utils.marks import WORDS, one_of
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import FAMILIES, FAMILY_WORDS, Host
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import UNREADABLE, Address
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import Service

# The kernel's IP_VS_APP_MAX_PORTS: so many ports can the parameter of its module name.
HELPER_PORTS = 8
HELPER_MODULES = {"ftp": "ip_vs_ftp"}
# The port that the module has without a parameter, and the only one for which the kernel turns connection tracking on
# by itself (ip_vs_ctl.c, FTPPORT).
FTP = 21

# Loose reverse path filtering, in ip-sysctl.rst. The kernel takes the larger of this and the value for all devices.
LOOSE = 2


# Judging


def check_masquerade(
    settings: Mapping[str, Any], services: Sequence[Service], vips: Iterable[Mapping[str, Any]], problems: Problems
) -> None:
    """Report an address that answers would not come back to, and a rule that would match nothing."""
    wanted = settings["lvs_masquerade"]
    if not wanted:
        return
    held = [ipaddress.ip_address(vip["address"]) for vip in vips]
    known = {str(address) for address in held}
    stated = _readable(wanted["vip"])
    # With lvs_vipless a VIP of a service by mark is no director's, and no answer would get to one.
    mends = "service without group or fwmark" if settings["lvs_vipless"] else "service"
    for family in FAMILIES.values():
        if sum(FAMILIES[address.version] == family for address in stated) > 1:
            problems.add(
                "lvs_masquerade.vip", f"has two {FAMILY_WORDS[family]} addresses", "keep the one that others shall see"
            )
    unheld = {vip.address for service in services if service.vipless for vip in service.vips}
    _check_stated(stated, known, unheld, mends, problems)
    _check_delivered(wanted, stated, held, services, mends, problems)
    for key in ("sources", "exclude"):
        for network in _readable(wanted[key]):
            family = FAMILIES[network.version]
            if services and not any(ipaddress.ip_address(one).version == network.version for one in known):
                problems.add(
                    f"lvs_masquerade.{key}",
                    f"{network} is {FAMILY_WORDS[family]}, and directors hold no {FAMILY_WORDS[family]} VIP",
                    f"leave it out, or give a {mends} such a VIP",
                )
    if len((settings["lvs_vrrp"] or {}).get("instances") or ()) > 1:
        problems.add(
            "lvs_masquerade",
            "its VIP is on one director, and lvs_vrrp.instances has several: who comes through another gets no answers",
            "use one instance, or leave it out",
        )
    if services and not known:
        why = "directors hold no VIP that connections could come from"
        if unheld:
            why += ": with lvs_vipless none of a service by mark"
        problems.add("lvs_masquerade", why, f"give a {mends} a vip, or leave it out")


def _check_stated(
    stated: Iterable[Address], known: Container[str], unheld: Container[Address], mends: str, problems: Problems
) -> None:
    for address in stated:
        if str(address) not in known and address in unheld:
            problems.add(
                "lvs_masquerade.vip",
                f"directors do not hold {address}: with lvs_vipless they hold no VIP of a service by mark",
                f"name a VIP of a {mends}",
            )
        elif str(address) not in known:
            problems.add(
                "lvs_masquerade.vip",
                f"{address} is no VIP of lvs_services: answers to it would not reach the director that is active",
                f"name a VIP of a {mends}, or leave it out to use the first one that directors hold",
            )


def _check_delivered(
    wanted: Mapping[str, Any],
    stated: Iterable[Address],
    held: Sequence[Address],
    services: Iterable[Service],
    mends: str,
    problems: Problems,
) -> None:
    """Report a VIP whose every packet gets a mark by which directors take it in: answers would get no further.

    Of everything, what directors hold is left alone.
    """
    sources = {network.version for network in _readable(wanted["sources"])}
    chosen: dict[int, Address] = {}
    for address in (*stated, *held):
        chosen.setdefault(address.version, address)
    for address in chosen.values():
        if address not in held or (sources and address.version not in sources):
            continue
        for service in services:
            for network in _taken(service):
                if address in network:
                    problems.add(
                        "lvs_masquerade.vip",
                        f"{address} is among the addresses of {service.path}, whose packets directors mark and take in:"
                        " answers would get no further",
                        f"name a VIP of another {mends}, outside its addresses",
                    )


def _taken(service: Service) -> Iterator[Network]:
    """Yield the addresses whose packets directors mark and take in, whether they hold them or not."""
    if service.vipless and service.group:
        yield from (network for network in service.networks if network.prefixlen)
        yield from (ipaddress.ip_network(vip.address) for vip in service.vips)


def check_helpers(services: Sequence[Service], problems: Problems) -> None:
    """Report more ports than the kernel's module can be told."""
    ports = sorted({port for service in services if service.helper for port, _ in service.ports})
    if len(ports) > HELPER_PORTS:
        problems.add(
            "lvs_services",
            f"use helper: ftp on {len(ports)} different ports, and the kernel's module takes {HELPER_PORTS}",
            "let several VIPs share a port",
        )


# Planning


def plan_masquerade(
    settings: Mapping[str, Any],
    hosts: Iterable[Host],
    directors: Sequence[Host],
    services: Sequence[Service],
    vips: Sequence[Mapping[str, Any]],
    gateway_vips: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return, for each family, whose connections seem to come from which VIP, and towards whom they don't."""
    wanted = settings["lvs_masquerade"]
    if not wanted:
        return []
    # One by one, as many services share their real servers.
    theirs = dict.fromkeys(server.address for service in services for server in service.real_servers)
    known = [ipaddress.ip_address(vip["address"]) for vip in vips]
    moving = [ipaddress.ip_address(vip["address"]) for vip in gateway_vips]
    # Replies of services come from their VIPs and networks, whether directors hold them or not.
    served = [vip.address for service in services for vip in service.vips]
    whole = [network for service in services for network in service.networks if network.prefixlen]
    ours = [*(address for host in directors for address in _addresses(host)), *served, *moving]
    inside = [*theirs, *(address for host in hosts for address in _addresses(host))]
    found = []
    for version, family in FAMILIES.items():
        own = {*_networks(ours, version), *(network for network in whole if network.version == version)}
        real = [one for one in _networks(theirs, version) if one not in own]
        stated = [one for one in wanted["sources"] if one.version == version]
        sources = _collapsed(stated if wanted["sources"] else real)
        vip = next((one for one in (*wanted["vip"], *known) if one.version == version), None)
        if not sources or vip is None:
            continue
        excluded = [one for one in wanted["exclude"] if one.version == version]
        found.append(
            {
                "family": family,
                "vip": str(vip),
                "sources": [*map(network_words, sources)],
                # What directors send themselves, and the replies of a VIP, stay as they are.
                "never": [
                    network_words(one) for one in _collapsed(own) if any(one.overlaps(source) for source in sources)
                ],
                "exclude": [*map(network_words, _collapsed([*_networks(inside, version), *own, *excluded]))],
            }
        )
    return found


def plan_helpers(services: Iterable[Service]) -> list[dict[str, Any]]:
    """Return the services that a helper of the kernel serves."""
    return [
        {
            "name": service.name,
            "helper": service.helper,
            "family": service.family,
            "vip": str(vip.address),
            "port": port,
        }
        for service in services
        if service.helper
        for vip in service.vips
        for port, _ in service.ports
    ]


def _readable(values: Any) -> list[Any]:
    return [value for value in values or () if value is not UNREADABLE]


def _addresses(host: Host) -> Iterator[Address]:
    yield from host.addresses.values()
    yield from (vip.address for vip in host.vrrp.values())


def _networks(addresses: Iterable[Address], version: int) -> list[Network]:
    return [ipaddress.ip_network(address) for address in addresses if address.version == version]


def _collapsed(networks: Iterable[Any]) -> list[Network]:
    """Return networks of one family without overlaps, which nftables refuses in a set."""
    return list(ipaddress.collapse_addresses(networks))


# What a director gets


def rules(view: Mapping[str, Any]) -> list[str]:
    """Return the rules that give packets as they go out another source."""
    return [*_tracking(view), *_masquerading(view)]


def _masquerading(view: Mapping[str, Any]) -> Iterator[str]:
    for one in view.get("masquerade", ()):
        word = WORDS[one["family"]]
        never = f" {word} saddr != {one_of(one['never'])}" if one["never"] else ""
        # What goes back to the real servers' own side is among neighbours.
        inside = view["gateway_interface"]
        where = f' oifname != "{inside}"' if inside != view["interface"] else ""
        yield (
            f"{word} saddr {one_of(one['sources'])}{never} {word} daddr != {one_of(one['exclude'])}{where}"
            f' snat {word} to {one["vip"]} comment "lvs_masquerade"'
        )


def _tracking(view: Mapping[str, Any]) -> Iterator[str]:
    """Yield a rule whose only purpose is to ask for the state of connections, which turns their tracking on.

    Without it the helper drops what it would have to rewrite. For its usual port the kernel sees to that itself.
    """
    for one in view.get("helpers", ()):
        if one["port"] != FTP:
            where = f"{WORDS[one['family']]} daddr {one['vip']} tcp dport {one['port']}"
            yield f'{where} ct state new counter comment "{one["name"]}: connections are tracked"'


def helper_modules(view: Mapping[str, Any]) -> list[str]:
    return sorted({HELPER_MODULES[one["helper"]] for one in view.get("helpers", ())})


def helper_options(view: Mapping[str, Any]) -> list[str]:
    """Return the options of the helpers' modules.

    They name their usual port too: what a module was loaded with is compared with these lines and with no others, and
    one that was loaded for another port has to be told of.
    """
    ports = sorted({one["port"] for one in view.get("helpers", ())})
    return [f"options {HELPER_MODULES['ftp']} ports={','.join(map(str, ports))}"] if ports else []


def sysctls(view: Mapping[str, Any], gateway: bool) -> dict[str, Any]:
    """Return what makes the director pass on packets that are not sent to it.

    :param gateway: the director is the real servers' gateway, also for replies from VIPs that it holds itself.
    """
    wanted: dict[str, Any] = {}
    for family in _forwarded(view, gateway):
        wanted.update(_forwarding(family, view))
    if gateway and view["forwards"]["ipv4"]:
        # A source that is its own address is a martian to the kernel, and so is one that would not be sent that way
        # (fib_validate_source). IPv6 knows neither.
        side = _in_sysctl(view["gateway_interface"])
        wanted[f"net.ipv4.conf.{side}.accept_local"] = 1
        wanted[f"net.ipv4.conf.{side}.rp_filter"] = LOOSE
    return wanted


def silence(view: Mapping[str, Any], gateway: bool) -> list[str]:
    """Return the rule that keeps IPv6 redirects in, for which there is no sysctl on the sender's side."""
    if "ipv6" not in _forwarded(view, gateway):
        return []
    return [f'oifname "{view["gateway_interface"]}" icmpv6 type nd-redirect drop comment "no way past the director"']


def _forwarded(view: Mapping[str, Any], gateway: bool) -> Iterator[str]:
    """Yield the families whose packets the director passes on."""
    masqueraded = {one["family"] for one in view.get("masquerade", ())}
    for family in FAMILIES.values():
        methods = view["forwards"][family]
        if "nat" in methods or family in masqueraded or (gateway and methods):
            yield family


def _forwarding(family: str, view: Mapping[str, Any]) -> dict[str, Any]:
    if family == "ipv4":
        # Redirects would teach real servers a way past the director. They are sent while either of the two is not 0
        # (ip-sysctl.rst).
        return {
            "net.ipv4.ip_forward": 1,
            "net.ipv4.conf.all.send_redirects": 0,
            f"net.ipv4.conf.{_in_sysctl(view['gateway_interface'])}.send_redirects": 0,
        }
    # A forwarding host stops listening to router advertisements unless accept_ra is 2 (ip-sysctl.rst); one that never
    # listened (0) goes on not to.
    accept_ra = f"net.ipv6.conf.{_in_sysctl(view['interface'])}.accept_ra"
    return {accept_ra: {"value": 2, "unless": "0"}, "net.ipv6.conf.all.forwarding": 1}


def _in_sysctl(interface: str) -> str:
    """Return an interface's name as sysctl(8) writes it within a key."""
    return interface.replace(".", "/")
