# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Drop-ins that keep systemd-networkd from dropping what it did not configure itself.

When it starts again, systemd-networkd takes addresses from the links it manages unless KeepConfiguration= says
otherwise (systemd.network(5)), and rules and routes unless networkd.conf(5) says otherwise. A drop-in is read at that
start, so nothing is reloaded now.
"""

from __future__ import annotations

import os
from typing import Dict, Iterable, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils.files import read_text
from ansible_collections.lvs.cluster.plugins.module_utils.host_system import File

LINKS = "/run/systemd/netif/links"
NET = "/sys/class/net"
NAME = "90-lvs-cluster.conf"
HEADER = "# Written by Ansible (lvs.cluster); changes are overwritten.\n"
KEEP_ADDRESSES = File(HEADER + "[Network]\nKeepConfiguration=static\n")
# An address with a preferred lifetime, as an IPv6 VIP's 0, is a dynamic one to networkd (link_address_is_dynamic in
# its networkd-address.c); only `yes` keeps these too.
KEEP_ALL_ADDRESSES = File(HEADER + "[Network]\nKeepConfiguration=yes\n")
KEEP_ROUTES = File(HEADER + "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n")


def drop_ins(
    addresses: Iterable[Tuple[str, str]], routing: bool, links: str = LINKS, net: str = NET
) -> Dict[str, File]:
    """The drop-ins this host needs, by path; none where systemd-networkd manages nothing of ours.

    :param addresses: our addresses, each with its device.
    :param routing: whether we put rules or routes on the host.
    """
    addresses = sorted(addresses)
    dual = {interface for address, interface in addresses if ":" in address}
    found = {}
    if routing and os.path.isdir(links) and os.listdir(links):
        found["/etc/systemd/networkd.conf.d/" + NAME] = KEEP_ROUTES
    for interface in sorted({interface for _address, interface in addresses}):
        index = read_text("%s/%s/ifindex" % (net, interface))
        state = read_text("%s/%s" % (links, index.strip())) if index else None
        values = dict(line.split("=", 1) for line in (state or "").splitlines() if "=" in line)
        if values.get("NETWORK_FILE"):
            file = os.path.basename(values["NETWORK_FILE"])
            found["/etc/systemd/network/%s.d/%s" % (file, NAME)] = (
                KEEP_ALL_ADDRESSES if interface in dual else KEEP_ADDRESSES
            )
    return found
