# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics, timeouts, sync daemons, schedulers and connections."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import genetlink as g
from ansible_collections.lvs.cluster.plugins.module_utils import kernel as k
from ansible_collections.lvs.cluster.plugins.module_utils import kernel_state as ks
from ansible_collections.lvs.cluster.tests.unit.plugins.module_utils.tapes import Player, load, same_byte_order

TAPE = load("ipvs_state_tape.json")


@same_byte_order(TAPE)
def test_a_real_kernel_takes_our_bytes_and_its_answers_are_understood():
    sock = g.Socket(Player(TAPE["tape"]))
    ipvs = k.Ipvs(sock, sock.family(k.FAMILY))
    assert ks.read_statistics(ipvs) == TAPE["statistics"]
    assert ks.read_info(ipvs) == TAPE["info"]
    ks.write_timeouts(ipvs, {"tcp": 901, "udp": 301})
    assert ks.read_timeouts(ipvs) == TAPE["timeouts"]
    ks.start_daemon(ipvs, ks.Daemon("master", "lo", 7, 1000, bytes([239, 1, 2, 3]), 9999, 5))
    ks.start_daemon(ipvs, ks.Daemon("backup", "lo", 8))
    assert [daemon.config() for daemon in ks.read_daemons(ipvs).values()] == TAPE["daemons"]
    for role in ("master", "backup"):
        ks.stop_daemon(ipvs, role)
    assert sock.sock.tape == []


class Ipvs(k.Ipvs):
    """A kernel that answers every command with one errno, or not at all."""

    def __init__(self, code=0, silent=False, running=()):
        super().__init__(self, 28)
        self.code = code
        self.silent = silent
        self.running = running

    def wait_at_most(self, seconds):
        assert seconds <= g.TIMEOUT

    def command(self, command, payload):
        if self.silent:
            raise g.NetlinkError("no answer", errno.ETIMEDOUT)
        return self.code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENODEV, "there is no interface eth9"),
        (errno.ENETUNREACH, "eth9 is down"),
        (errno.EINVAL, "no multicast address, or a service holds real servers of both"),
        (errno.EEXIST, "at the same time"),
        (errno.EPERM, "CAP_NET_ADMIN"),
        (errno.ENOMEM, "does not take these values"),
    ],
)
def test_why_a_daemon_does_not_start(code, words):
    with pytest.raises(ks.DaemonError, match=words) as caught:
        ks.start_daemon(Ipvs(code), ks.Daemon("master", "eth9", 1))
    assert str(caught.value).startswith("ipvsadm --start-daemon master --mcast-interface eth9 --syncid 1: ")


def test_a_daemon_that_does_not_run_is_stopped_already():
    ks.stop_daemon(Ipvs(errno.ESRCH), "master")
    with pytest.raises(ks.DaemonError, match="--stop-daemon master: Invalid argument"):
        ks.stop_daemon(Ipvs(errno.EINVAL), "master")


def test_a_stop_that_is_not_acknowledged_is_looked_at(monkeypatch):
    """The kernel says nothing when a daemon is stopped as soon as it was started."""
    monkeypatch.setattr(ks, "read_daemons", lambda ipvs: dict.fromkeys(ipvs.running))
    ks.stop_daemon(Ipvs(silent=True), "master")
    with pytest.raises(ks.DaemonError, match="timed out"):
        ks.stop_daemon(Ipvs(silent=True, running=["master"]), "master")


def test_timeouts_that_are_refused():
    with pytest.raises(k.KernelError, match="does not take these timeouts: Invalid argument"):
        ks.write_timeouts(Ipvs(errno.EINVAL), {"tcp": 1})


def test_statistics_of_both_widths_and_none():
    narrow = g.attribute(1, b"\5\0\0\0") + g.attribute(4, b"\7" + b"\0" * 7)
    wide = g.attribute(1, b"\5" + b"\0" * 7) + g.attribute(11, b"") + g.attribute(4, b"\7" + b"\0" * 7)
    for data in (narrow, wide):
        values = ks.decode_statistics(data)
        assert (values["connections"], values["in_bytes"], values["out_bytes"]) == (5, 7, 0)
    assert set(ks.decode_statistics(None).values()) == {0}


def test_schedulers(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "modules").write_text(
        "ip_vs_wlc 1 2 - Live 0x0\nip_vs_ftp 1 0 - Live 0x0\nip_vs 1 1 x Live 0x0\n"
    )
    folder = tmp_path / "lib" / "modules" / os.uname().release
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko.xz\n"
        "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
        "kernel/net/netfilter/ipvs/ip_vs_mh.ko: kernel/net/netfilter/ipvs/ip_vs.ko\n"
        "kernel/net/netfilter/ipvs/ip_vs_pe_sip.ko: kernel/net/netfilter/ipvs/ip_vs.ko\n"
    )
    (folder / "modules.builtin").write_text("kernel/net/netfilter/ipvs/ip_vs_rr.ko\n\n")
    assert ks.read_schedulers(str(tmp_path)) == {"loaded": ["rr", "wlc"], "loadable": ["mh", "rr", "wlc"]}
    assert ks.read_schedulers(str(tmp_path / "nowhere")) == {"loaded": [], "loadable": []}


LISTING = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0000201 824C C0000201 0050 7F000001 1F41 ESTABLISHED     900
UDP CB007105 0035 C0000201 0035 C6336401 0035 UDP             300
TCP 2001:0db8:0000:0000:0000:0000:0000:0001 C5B2 2001:0db8:0000:0000:0000:0000:0000:0001 0050 \
0000:0000:0000:0000:0000:0000:0000:0001 1F41 ESTABLISHED     900
IP  C0000201 0000 C0000201 0000 7F000001 0000 NONE 10
TCP half a line
"""


def test_connections(tmp_path):
    path = tmp_path / "ip_vs_conn"
    path.write_text(LISTING)
    found, count = ks.read_connections(str(path))
    assert count == 3
    assert found[0] == {
        "protocol": "tcp",
        "client": "192.0.2.1",
        "client_port": 33356,
        "address": "192.0.2.1",
        "port": 80,
        "real_server": "127.0.0.1",
        "real_server_port": 8001,
        "state": "ESTABLISHED",
        "expires": 900,
    }
    assert found[2]["address"] == "2001:db8::1"
    assert ks.read_connections(str(path), {"state": "ESTABLISHED"}, 1) == (found[:1], 2)
    assert ks.read_connections(str(path), {"client": "203.0.113.5", "protocol": "udp"}) == ([found[1]], 1)
    assert ks.read_connections(str(tmp_path / "none")) == ([], 0)
