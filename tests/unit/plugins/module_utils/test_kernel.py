# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS family, against bytes that a real kernel sent and took (tests/integration/ipvs_kernel.py --record)."""

from __future__ import annotations

import errno
import random
import socket
import sys

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import genetlink as g
from ansible_collections.lvs.cluster.plugins.module_utils import kernel
from ansible_collections.lvs.cluster.plugins.module_utils import plan as p
from ansible_collections.lvs.cluster.plugins.module_utils import table as t
from ansible_collections.lvs.cluster.tests.unit.plugins.module_utils import tables
from ansible_collections.lvs.cluster.tests.unit.plugins.module_utils.tapes import Player, load, same_byte_order
from hypothesis import given, settings

TAPE = load("ipvs_tape.json")

pytestmark = same_byte_order(TAPE)


def play_until_written():
    """Do again what was recorded, up to the last reading."""
    player = Player(TAPE["tape"])
    sock = g.Socket(player)
    ipvs = kernel.Ipvs(sock, sock.family(kernel.FAMILY))
    wishes = tables.wishes_of(t.parse_saved(TAPE["text"]))
    made = p.make_plan(p.Order("merged", wishes), ipvs.read())
    ipvs.apply(made.build, made.remove)
    return player, ipvs


def test_a_real_kernel_takes_our_bytes_and_its_answers_are_understood():
    _player, ipvs = play_until_written()
    seen = ipvs.read()
    assert seen.table == t.parse_saved(TAPE["text"])
    assert t.render(seen.table) == TAPE["table"]
    assert (seen.busy, seen.opaque, seen.unsupported) == (frozenset(), frozenset(), ())
    key = (t.AF_INET, 6, t.parse_address("192.0.2.1"), 9, 0)
    with pytest.raises(kernel.Refused) as caught:
        ipvs.apply([p.Action("-A", t.default_service(key)._replace(scheduler="nosuch"))], [])
    assert str(caught.value) == TAPE["refused"]


def test_damaged_answers_end_in_a_table_or_a_clear_error():
    rng = random.Random(7)

    def damage(data):
        if rng.random() < 0.9:
            return data
        data = bytearray(data)
        if rng.random() < 0.2:
            return bytes(data[: rng.randrange(len(data))])
        for _count in range(rng.choice([1, 1, 4])):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 0xFF, rng.randrange(256)])
        return bytes(data)

    player, ipvs = play_until_written()
    rest, sequence = player.tape, ipvs.sock.sequence
    ends = {"table": 0, "error": 0}
    for _round in range(400):
        player.tape, player.damage, ipvs.sock.sequence = list(rest), damage, sequence
        try:
            table = ipvs.read().table
            assert t.complete_table(tables.wishes_of(table)) == table
            ends["table"] += 1
        except kernel.KernelError as error:
            assert "cannot be read" in str(error)
            ends["error"] += 1
    assert min(ends.values()) > 50, ends


# --- a kernel made of answers


class Answer:
    """A socket that answers a dump with these attributes, once or several times."""

    def __init__(self, attributes, times=1):
        self.attributes = attributes
        self.times = times

    def send(self, data):
        self.number = g._NLMSG.unpack_from(data)[3]

    def recv_into(self, view):
        body = b"\1\1\0\0" + self.attributes
        one = g._NLMSG.pack(len(body) + 16, 28, 2, self.number, 0) + body
        data = one * self.times + g._NLMSG.pack(20, 3, 2, self.number, 0) + b"\0" * 4
        view[: len(data)] = data
        return len(data)


def decode_service(attributes):
    """Return the service in an answer."""
    codec = kernel.Codec()
    (values,) = kernel.Ipvs(g.Socket(Answer(attributes)), 28).dump_services(codec)
    return codec.service(values)


def decode_real_server(attributes, family):
    """Return the real server in an answer; its likes that follow must read the same."""
    codec = kernel.Codec()
    ipvs = kernel.Ipvs(g.Socket(Answer(attributes, 3)), 28)
    first, *others = ipvs.dump_real_servers(codec, WEB)
    assert others == [first, first]
    return codec.real_server(first, family)


@given(tables.tables)
@settings(max_examples=40, deadline=None)
def test_what_is_encoded_is_decoded(table):
    for entry in table.values():
        assert decode_service(kernel.encode_service(entry.service)) == entry.service
        for row in entry.real_servers.values():
            assert decode_real_server(kernel.encode_real_server(row), entry.service.family) == row


def test_the_kernels_own_bit_and_idle_timeouts_are_no_difference():
    service = t.default_service((t.AF_INET, 6, t.parse_address("192.0.2.1"), 80, 0))
    data = kernel.encode_service(service._replace(timeout=300, netmask=0))
    data = data.replace(kernel._FLAGS.pack(0, kernel.FLAGS_OURS), kernel._FLAGS.pack(0x2, 0xFFFFFFFF))
    assert decode_service(data) == service


def test_flags_are_written_with_a_mask_that_spares_what_is_not_ours():
    service = t.default_service((t.AF_INET, 6, t.parse_address("192.0.2.1"), 80, 0))
    assert kernel._FLAGS.pack(0, 0x3D) in kernel.encode_service(service)
    busy = service._replace(persistent=True, one_packet=True, scheduler_flags=0x18)
    assert kernel._FLAGS.pack(0x1D, 0x3D) in kernel.encode_service(busy)


def test_netmasks_have_the_byte_order_of_their_family():
    four = t.Service(t.AF_INET, 6, b"\xc0\0\2\1", 80, 0, persistent=True, timeout=1, netmask=0xFFFFFF00)
    assert g.attribute(9, b"\xff\xff\xff\x00") in kernel.encode_service(four)
    six = t.Service(t.AF_INET6, 0, b"", 0, 1, persistent=True, timeout=1, netmask=64)
    assert g.attribute(9, (64).to_bytes(4, sys.byteorder)) in kernel.encode_service(six)


def test_a_real_server_without_its_family_has_its_services():
    row = t.RealServer(t.parse_address("2001:db8::1"), 80)
    fields = [(1, "16")] + kernel._wanted(kernel.DEST_ATTRIBUTES, "PORT FWD_METHOD WEIGHT U_THRESH L_THRESH")
    data = g.attribute(2, g.Encoder(fields).encode(row.address, socket.htons(80), t.DR, 1, 0, 0))
    assert decode_real_server(data, t.AF_INET6) == row


@pytest.mark.parametrize(
    "data",
    [
        b"",
        g.attribute(2, b""),
        g.attribute(1, b""),
        g.attribute(1, g.attribute(1, b"\2\0")),
        g.attribute(
            1,
            g.attribute(1, b"\7\0")
            + g.attribute(6, b"rr\0")
            + g.attribute(7, b"\0" * 8)
            + g.attribute(8, b"\0" * 4)
            + g.attribute(9, b"\0" * 4),
        ),
    ],
)
def test_an_answer_that_leaves_something_out_is_an_error(data):
    with pytest.raises(g.NetlinkError):
        decode_service(data)
    with pytest.raises(g.NetlinkError):
        decode_real_server(data, t.AF_INET)


# --- applying


class Kernel:
    """A netlink socket that notes batches and refuses what it is told to."""

    def __init__(self, refuse=None):
        self.refuse = refuse or {}
        self.batches = []

    def batch(self, _family, requests):
        self.batches.append([request.command for request in requests])
        place = {
            place: code
            for place, request in enumerate(requests)
            for code in [self.refuse.get((request.command, request.payload))]
            if code
        }
        return [g.Refusal(*item) for item in place.items()]


WEB = t.default_service((t.AF_INET, 6, t.parse_address("192.0.2.1"), 80, 0))
RS = t.RealServer(t.parse_address("198.51.100.1"), 80)
NEW, DELETE = p.Action("-a", WEB, RS), p.Action("-d", WEB, RS)


def request(action):
    """Return how an action is sent."""
    return tuple(kernel.encode_action(action, {}))


def test_nothing_is_removed_before_all_that_is_built_stands():
    sock = Kernel()
    kernel.Ipvs(sock, 28).apply([NEW] * 150, [DELETE])
    assert [len(batch) for batch in sock.batches] == [100, 50, 1]
    failing = Kernel({request(NEW): errno.EINVAL})
    with pytest.raises(kernel.Refused):
        kernel.Ipvs(failing, 28).apply([NEW], [DELETE])
    assert failing.batches == [[5]]


def test_a_refusal_says_what_was_done_beside_it():
    other = p.Action("-a", WEB, RS._replace(port=81, forward=t.NAT))
    sock = Kernel({request(NEW): errno.EINVAL})
    with pytest.raises(kernel.Refused) as caught:
        kernel.Ipvs(sock, 28).apply([other, NEW, other], [])
    assert caught.value.applied == [other, other]
    assert caught.value.code == errno.EINVAL
    assert str(caught.value).startswith(
        "ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1: Invalid argument (EINVAL)"
    )


@pytest.mark.parametrize(
    ("verb", "code", "other"),
    [
        ("-A", errno.EEXIST, "-E"),
        ("-E", errno.ESRCH, "-A"),
        ("-a", errno.EEXIST, "-e"),
        ("-e", errno.ENOENT, "-a"),
        ("-d", errno.ENOENT, None),
        ("-d", errno.ESRCH, None),
        ("-D", errno.ESRCH, None),
    ],
)
def test_another_writer_was_faster(verb, code, other):
    action = p.Action(verb, WEB, None if verb.isupper() else RS)
    sock = Kernel({request(action): code})
    kernel.Ipvs(sock, 28).apply([action], [])
    expected = [[kernel._VERBS[verb]]] + ([[kernel._VERBS[other]]] if other else [])
    assert sock.batches == expected


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        (p.Action("-A", WEB._replace(scheduler="twos")), errno.ENOENT, "the kernel has no scheduler ip_vs_twos"),
        (p.Action("-A", WEB._replace(engine="sip")), errno.ENOENT, "or the persistence engine ip_vs_pe_sip"),
        (NEW, errno.ESRCH, "the service is gone"),
        (NEW, errno.EPERM, "CAP_NET_ADMIN"),
        (NEW, errno.EINVAL, "a broadcast, multicast or link-local one"),
        (p.Action("-a", WEB, RS._replace(address=b"\1" * 16)), errno.EINVAL, "mixed address families need a tunnel"),
        (NEW, errno.ERANGE, "a lower threshold above"),
        (p.Action("-A", WEB), errno.EAFNOSUPPORT, "runs without ipv4"),
        (NEW, errno.ENOMEM, "no memory"),
        (p.Action("-A", WEB), errno.EINVAL, "does not take these values"),
        (NEW, 9999, "(9999)"),
    ],
)
def test_the_reason_of_a_refusal(action, code, words):
    assert words in kernel.reason(action, code)


class Forgetful(Kernel):
    """A kernel too old for tunnel types: it takes them and holds a plain tunnel."""

    def dump_nests(self, family, request, nest, decoder):
        data = kernel.encode_real_server(RS._replace(forward=t.TUN))
        return [decoder.decode(data, 4, len(data))]


def test_what_an_old_kernel_ignores_is_noticed():
    row = RS._replace(forward=t.TUN, tunnel=t.GUE, tunnel_port=6080)
    with pytest.raises(kernel.KernelError, match="too old for this kind of tunnel"):
        kernel.Ipvs(Forgetful(), 28).apply([p.Action("-a", WEB, row)], [])
    kernel.Ipvs(Forgetful(), 28).apply([p.Action("-a", WEB, RS._replace(forward=t.TUN))], [])


# --- availability


def test_looking_whether_ipvs_is_there_loads_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(g, "open_socket", lambda timeout: pytest.fail("opened a socket"))
    assert kernel.connect(str(tmp_path / "ip_vs")) is None


class Family(Player):
    """A kernel that gets IPVS only after the module was loaded by hand."""

    loaded = False

    def __init__(self):
        super().__init__([])
        self.answer = b""

    def send(self, data):
        self.answer = ack_or_family(self.loaded)

    def recv_into(self, view):
        view[: len(self.answer)] = self.answer
        return len(self.answer)


def ack_or_family(loaded):
    """Return nlctrl's answer."""
    if not loaded:
        return message(2, (-errno.ENOENT).to_bytes(4, sys.byteorder, signed=True) + b"\0" * 16)
    attributes = g.attribute(1, (28).to_bytes(2, sys.byteorder))
    return message(16, b"\1\2\0\0" + attributes) + message(2, b"\0" * 20)


def message(kind, payload):
    """Pack one netlink message."""
    return g._NLMSG.pack(len(payload) + 16, kind, 0, 1, 0) + payload


def test_the_module_is_loaded_by_hand_where_the_look_up_does_not(monkeypatch):
    monkeypatch.setattr(Family, "loaded", False)
    monkeypatch.setattr(g, "open_socket", lambda timeout: Family())
    monkeypatch.setattr(kernel, "_modprobe", lambda: setattr(Family, "loaded", True))
    assert kernel.load().family == 28


def test_a_kernel_without_ipvs_is_told_apart(monkeypatch):
    monkeypatch.setattr(Family, "loaded", False)
    monkeypatch.setattr(g, "open_socket", lambda timeout: Family())
    monkeypatch.setattr(kernel, "_modprobe", lambda: None)
    with pytest.raises(kernel.KernelError, match="the kernel module ip_vs is neither loaded.*linux-image-"):
        kernel.load()
