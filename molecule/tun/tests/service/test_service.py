# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client and the real servers see of LVS-TUN, one of them behind a router."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from lab.common import poll, run

CASES = {"172.17.60.201": "172.17.0.4", "2001:db8:60::201": "2001:db8:60::4"}
VIPS = pytest.mark.parametrize("vip", CASES)

# VIP: what to look for on the wire to rs2, and what tcpdump says of it.
# A checksum of 0 is none.
GUE = {
    "172.17.60.202": "ip and udp dst port 6080 and udp[6:2] != 0",
    "2001:db8:60::202": "ip6 and udp dst port 6080 and ip6[46:2] != 0",
}
GRE = {"172.17.60.203": "ip proto 47", "2001:db8:60::203": "ip6 proto 47"}
CLAMPED = pytest.mark.parametrize("vip", [*GUE, *GRE])

# Of a network that no host holds. The device by which it comes to rs3 has no VIP.
FARM, FARM6 = "203.0.113.77", "2001:db8:70::77"

# Runs on the client: a large request, and a small one on the same connection, which is answered when all of the large
# one has arrived. Prints how many answers came.
UPLOAD = r"""
import json, socket, sys
vip, port, size, timeout = json.loads(sys.argv[1])
reply = b""
try:
    with socket.create_connection((vip, port), timeout) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        s.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
        while True:
            part = s.recv(4096)
            if not part:
                break
            reply += part
except OSError:
    pass
print(reply.count(b" 200 OK"))
"""


def on_the_wire(cluster, node, what, during):
    """Return what tcpdump says of the first such packet that a node's card sees meanwhile; nothing if there is none."""
    command = f"timeout 30 tcpdump -i eth0 -nn -v -c 1 '{what}' 2>&1"
    process = subprocess.Popen(cluster.ssh(node, command), stdout=subprocess.PIPE, text=True)
    while "listening on" not in process.stdout.readline():
        assert process.poll() is None, "tcpdump did not start"
    during()
    return process.communicate(timeout=60)[0].split("0 packets captured")[0]


def answered(client, vip, port=80, timeout=10):
    """How many of two requests, one of 200 kB, are answered on one connection."""
    request = json.dumps([vip, port, 200_000, timeout], separators=(",", ":"))
    return int(run(client.cluster.ssh(client.name, f"python3 - '{request}'"), stdin=UPLOAD, timeout=120).stdout)


def heard(cluster, vip):
    """The size of packets that somebody told the client of on its way to a VIP; None where nobody did."""
    found = re.search(r"\bmtu (\d+)", cluster.run("client", f"ip route get {vip}"))
    return int(found[1]) if found else None


@contextlib.contextmanager
def one_by_one(cluster, name):
    """A node that has heard of no packet that was too large, and sends each packet by itself as real cards do.

    IPVS takes several in one for what fits.
    """
    # A connection that was given up goes on sending, and hears what the next test must not have heard yet.
    poll(
        "the connections of earlier tests end",
        180,
        lambda: not cluster.run(name, "ss -Htn state fin-wait-1 state closing"),
    )
    cluster.run(name, "ip link set eth0 gso_max_segs 1; ip route flush cache; ip -6 route flush cache")
    try:
        yield
    finally:
        cluster.run(name, "ip link set eth0 gso_max_segs 65535")


@contextlib.contextmanager
def deaf(cluster, name):
    """A node that never hears that a packet was too large."""
    rules = "icmp type destination-unreachable drop; icmpv6 type packet-too-big drop;"
    table = f"table inet deaf {{ chain input {{ type filter hook input priority filter; {rules} }}; }}"
    with one_by_one(cluster, name):
        cluster.run(name, f"nft '{table}'")
        try:
            yield
        finally:
            cluster.run(name, "nft delete table inet deaf")


@contextlib.contextmanager
def untold(cluster, *names):
    """Real servers that tell nobody how large a segment may be."""
    chains = "nft list table inet lvs_realserver | grep -o 'clamp_[0-9a-f]*'"
    for name in names:
        cluster.run(name, f"chain=$({chains}) && nft flush chain inet lvs_realserver $chain")
    try:
        yield
    finally:
        for name in names:
            cluster.run(name, "nft -f /etc/lvs/realserver.nft")


@VIPS
def test_both_servers_answer_in_turn(client, vip):
    answers = client.ask(vip, count=40)
    assert answers.by == {"rs1": 20, "rs2": 20}
    assert answers.seen == {CASES[vip]: 40}


@VIPS
def test_director_sees_no_replies(cluster, client, vip):
    before = cluster.traffic("director", vip, 80)
    client.ask(vip, count=4)
    after = cluster.traffic_once_counted("director", vip, 80, more_than=before.packets_in)
    assert after.packets_out == 0


def test_packets_come_through_the_tunnel(cluster, client):
    def unpacked(device):
        return int(cluster.run("rs2", f"cat /sys/class/net/{device}/statistics/rx_packets"))

    before = {device: unpacked(device) for device in ("tunl0", "lvs6")}
    for vip in CASES:
        client.ask(vip, count=2)
    assert all(unpacked(device) > count for device, count in before.items())


@pytest.mark.parametrize("vip", ["172.17.60.204", "2001:db8:60::204"])
def test_a_tunnel_of_one_family_carries_the_other(client, vip):
    answers = client.ask(vip, count=8)
    assert answers.by == {"rs3": 4, "rs4": 4}
    assert answers.seen == {CASES["2001:db8:60::201" if ":" in vip else "172.17.60.201"]: 8}


def test_each_server_is_reached_over_its_own_family_alone(cluster):
    rows = [row for row in cluster.table("director") if ".204" in row or "::204" in row]
    assert sum("-r 172.17.60.197" in row for row in rows) == 2
    assert sum("-r [2001:db8:60::198]" in row for row in rows) == 2


@CLAMPED
def test_other_tunnels_reach_both_servers(client, vip):
    answers = client.ask(vip, count=10)
    assert answers.by == {"rs1": 5, "rs2": 5}
    assert answers.seen == {CASES["2001:db8:60::201" if ":" in vip else "172.17.60.201"]: 10}


@pytest.mark.parametrize("address", [FARM, FARM6])
def test_any_address_of_a_network(client, address):
    answers = client.ask(address, count=10)
    assert answers.by == {"rs2": 5, "rs3": 5}
    assert answers.seen == {CASES["2001:db8:60::201" if ":" in address else "172.17.60.201"]: 10}


def test_what_comes_by_a_device_without_an_address_is_dropped(cluster, client):
    cluster.run("rs3", "ip address del 192.0.0.8/32 dev lvsgre")
    try:
        answers = client.ask(FARM, count=2, timeout=8).by
    finally:
        cluster.run("rs3", "ip address add 192.0.0.8/32 dev lvsgre")
    assert (answers["rs2"], answers["rs3"]) == (1, 0)


@pytest.mark.parametrize("vip", GUE)
def test_gue_travels_as_udp_with_a_checksum(cluster, client, vip):
    said = on_the_wire(cluster, "rs2", GUE[vip], lambda: client.ask(vip, count=2))
    assert ".6080: " in said


@pytest.mark.parametrize("vip", GRE)
def test_gre_travels_as_gre_with_a_checksum(cluster, client, vip):
    said = on_the_wire(cluster, "rs2", GRE[vip], lambda: client.ask(vip, count=2))
    assert "GREv0" in said
    assert "checksum present" in said


def test_large_requests_fit_although_nobody_hears_that_they_do_not(cluster, client):
    with deaf(cluster, "client"):
        # One to each server. Port 8080 is redirected: the answer has another source until it leaves.
        places = [*((vip, 80) for vip in (*GUE, *GRE)), (FARM, 8080)]
        assert [answered(client, *place) for place in places for _ in range(2)] == [2] * 10
        # Where nobody tells the client, it goes on sending what does not fit.
        assert answered(client, "172.17.60.201", timeout=5) < 2
        # A director that sends it in two pieces.
        with cluster.sysctl("director", "net.ipv4.vs.pmtu_disc", "0"):
            assert answered(client, "172.17.60.201") == 2


@pytest.mark.parametrize(("vip", "size"), [("172.17.60.201", 1480), ("2001:db8:60::201", 1460)])
def test_large_requests_fit_once_the_client_has_heard(cluster, client, vip, size):
    with one_by_one(cluster, "client"):
        assert heard(cluster, vip) is None
        assert [answered(client, vip) for _ in range(2)] == [2, 2]
        assert heard(cluster, vip) == size


def test_of_a_network_the_director_says_nothing_over_ipv4(cluster, client):
    with one_by_one(cluster, "client"), untold(cluster, "rs2", "rs3"):
        assert answered(client, FARM, timeout=5) < 2
        assert heard(cluster, FARM) is None
        # IPv6 takes an address of the director's own for it. The tunnel to rs2 is over IPv6, that to rs3 over IPv4.
        assert answered(client, FARM6) == 2
        assert heard(cluster, FARM6) in (1452, 1472)


@VIPS
def test_servers_that_listen_elsewhere_answer_by_their_redirect(client, vip):
    answers = client.ask(vip, port=8080, count=10)
    assert answers.by == {"rs1": 5, "rs2": 5}
    assert answers.seen == {CASES[vip]: 10}


def test_without_the_redirect_they_refuse_and_the_unit_brings_it_back(cluster, client):
    for name in ("rs1", "rs2"):
        cluster.run(name, "nft delete table inet lvs_realserver")
    for vip in CASES:
        assert client.ask(vip, port=8080, count=2, timeout=3).by == {"ConnectionRefusedError": 2}
    for name in ("rs1", "rs2"):
        cluster.run(name, "systemctl restart lvs-cluster")
    until = time.monotonic() + 20
    while client.ask("172.17.60.201", port=8080, count=2, timeout=3).by != {"rs1": 1, "rs2": 1}:
        assert time.monotonic() < until, "the redirect did not come back"


def test_sysctls_that_this_kernel_lacks_are_left_out_and_said(cluster):
    names = cluster.run("director", "ls /proc/sys/net/ipv4/vs").split()
    # The kernel itself turns 1 into 2 while it is short of memory.
    assert cluster.run("director", "sysctl -n net.ipv4.vs.drop_entry").strip() in ("1", "2")
    said = " ".join(Path(os.environ["ANSIBLE_LOG_PATH"]).read_text().split())
    assert ("net.ipv4.vs.est_nice: this kernel does not have it: skipped" in said) == ("est_nice" not in names)


def test_tuning_of_real_servers(cluster):
    assert cluster.run("rs1", "sysctl -n net.ipv4.tcp_fin_timeout net.ipv4.tcp_wmem").split() == [
        *("30", "4096", "65536", "16777216"),
    ]


def test_strict_reverse_path_filtering_would_drop_them(cluster, client):
    with cluster.sysctl("rs2", "net.ipv4.conf.all.rp_filter", "1"), cluster.sysctl(
        "rs2", "net.ipv4.conf.tunl0.rp_filter", "0"
    ):
        answered = client.ask("172.17.60.201", count=4, timeout=3).by
    assert answered["rs1"] == 2
    assert answered["rs2"] == 0
    # The role's own value holds even where the distribution's is strict: the larger one counts.
    with cluster.sysctl("rs2", "net.ipv4.conf.all.rp_filter", "1"):
        assert client.ask("172.17.60.201", count=4).by == {"rs1": 2, "rs2": 2}


def test_director_alone_answers_arp(cluster, client):
    assert client.arp("172.17.60.201") == {cluster.mac("director")}


def test_no_vip_is_a_source_of_its_own(cluster):
    # Of addresses that are equal otherwise the kernel takes the one that came last.
    for name, own in (("director", "60::207"), ("rs1", "60::199"), ("rs2", "61::200")):
        assert f" src 2001:db8:{own} " in cluster.run(name, "ip -6 route get 2001:db8:60::4"), name
