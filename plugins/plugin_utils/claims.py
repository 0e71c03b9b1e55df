# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose packet is whose: what each service takes, which of several has it, and which two cannot live together.

A packet has a destination, a source, a port and a protocol, and a service takes those of some. Where several do, the
smaller network of destinations decides, then the smaller one of clients, then a port by name over every port, then a
protocol by name. Two networks of one size are the same or have nothing in common, so what is left are services that
say the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.lvs.cluster.plugins.plugin_utils.kinds import Address, Network, network_words
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.services import EVERY_PORT, Ports, Service, span_words

EVERYTHING: Mapping[str, Network] = {
    "ipv4": ipaddress.IPv4Network("0.0.0.0/0"),
    "ipv6": ipaddress.IPv6Network("::/0"),
}

CLIENTS_PORTS = 1024
"""From here on a port may be the one that a client asks from, and replies go to."""


@dataclass(frozen=True)
class Claim:
    """A network of destinations and one of clients whose packets the service takes, on its ports."""

    to: Network
    clients: Network
    every_port: bool
    protocol: str | None

    @property
    def rank(self) -> tuple[int, int, bool, bool]:
        """Of two claims on a packet, the one of higher rank has it."""
        return self.to.prefixlen, self.clients.prefixlen, not self.every_port, self.protocol is not None


def claims_of(service: Service) -> Iterator[Claim]:
    """Yield what the service takes, as far as the inventory says it."""
    if service.by_mark and not service.group:
        return
    for to in (*service.networks, *(ipaddress.ip_network(vip.address) for vip in service.vips)):
        for clients in service.clients or (EVERYTHING[service.family],):
            yield Claim(to, clients, EVERY_PORT in service.ports, service.protocol)


def check_claims(services: Sequence[Service], problems: Problems) -> None:
    """Report packets that two services take, and services that no packet would find."""
    taken: dict[Claim, list[tuple[Ports, int]]] = {}
    for index, service in enumerate(services):
        for claim in claims_of(service):
            taken.setdefault(claim, []).extend((span, index) for span in service.ports)
    for claim, spans in taken.items():
        widest: tuple[Ports, int] | None = None
        for span, index in sorted(spans):
            if widest and span[0] <= widest[0][1]:
                common = (span[0], min(span[1], widest[0][1]))
                first, second = sorted((index, widest[1]))
                _check_twice(claim, common, services[first], services[second], problems)
            if widest is None or span[1] > widest[0][1]:
                widest = span, index
    _check_shadows(services, problems)
    _check_replies(services, problems)


def _check_twice(claim: Claim, span: Ports, first: Service, second: Service, problems: Problems) -> None:
    if first.path == second.path:
        return
    alone = claim.to.prefixlen == claim.to.max_prefixlen
    what = f"{network_words(claim.to)} port {span_words(span)} {claim.protocol or 'any'}"
    differ = "vip or port" if alone else "network or ports"
    if claim.clients.prefixlen:
        what += f" for clients {claim.clients}"
        differ += ", or clients"
    problems.add(second.path, f"{what} is served by {first.path} already", f"keep one of them, or change {differ}")


def _check_shadows(services: Sequence[Service], problems: Problems) -> None:
    """Report services whose packets all get a mark: the kernel looks for marks first and never gets to them."""
    marking = [service for service in services if service.group and not service.clients]
    single: dict[Address, list[Service]] = {}
    for service in marking:
        for vip in service.vips:
            single.setdefault(vip.address, []).append(service)
    # Of everything, what directors hold themselves is left alone.
    networks = [(network, one) for one in marking for network in one.networks if network.prefixlen]
    for service in services:
        if service.by_mark:
            continue
        (vip,), (span,) = service.vips, service.ports
        inside = [other for network, other in networks if vip.address in network]
        alike = (EVERY_PORT in service.ports, service.protocol)
        for other in [
            *(one for one in single.get(vip.address, ()) if (EVERY_PORT in one.ports, one.protocol) != alike),
            *inside,
        ]:
            if other.protocol in (None, service.protocol) and (
                EVERY_PORT in other.ports or any(first <= span[0] <= last and span[0] for first, last in other.ports)
            ):
                every = f"every {service.protocol} port of {vip.address}"
                one = f"the packets for {vip.address} port {span[0]} {service.protocol}"
                problems.add(
                    service.path,
                    f"{other.path} marks {every if EVERY_PORT in other.ports else one}, so that no packet would find"
                    " this one",
                    "name the ports there, or use group: true here too"
                    if EVERY_PORT in other.ports
                    else "use group: true here too",
                )


def _check_replies(services: Sequence[Service], problems: Problems) -> None:
    """Report everything of everybody on ports that replies go to.

    What a client is answered, by a real server in place of a site or by the site itself, comes from the site's address
    and passes the director as requests do. With a mark it would be taken in there and get no further: IPVS leaves a
    reply of DR as it is, for the director itself, and takes a SYN+ACK or datagram that it does not know for a request.
    """
    for service in services:
        wide = next((one for one in claims_of(service) if not one.to.prefixlen and not one.clients.prefixlen), None)
        span = next((one for one in service.ports if one == EVERY_PORT or one[1] >= CLIENTS_PORTS), None)
        if wide and span:
            which = "every port" if span == EVERY_PORT else f"port {span_words(span)}"
            problems.add(
                service.path,
                f"{which} of {wide.to} from everybody has the replies to clients in it, which ask from ports"
                f" {CLIENTS_PORTS} and higher: directors would take them in, and clients get no answer",
                "name the clients' networks with clients, or lower ports",
            )
