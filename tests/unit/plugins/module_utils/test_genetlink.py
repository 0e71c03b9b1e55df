# SPDX-License-Identifier: GPL-3.0-or-later
"""Generic netlink: frames, batches, dumps, and answers that are damaged."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import genetlink as g
from hypothesis import given, settings
from hypothesis import strategies as st

FAMILY = 28


class Transport:
    """A socket that gives prepared answers, and times out when it has no more."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def send(self, data):
        self.sent.append(data)

    def recv_into(self, view):
        if not self.answers:
            raise socket.timeout("timed out")
        answer = self.answers.pop(0)
        view[: len(answer)] = answer
        return len(answer)

    def close(self):
        self.answers = []


def message(kind, payload, number=1, flags=2):
    """Pack one netlink message."""
    size = len(payload) + 16
    return struct.pack("=IHHII", size, kind, flags, number, 0) + payload + b"\0" * (-size % 4)


def ack(number=1, code=0):
    """Pack an acknowledgement, or an error."""
    return message(g.NLMSG_ERROR, struct.pack("=i", -code) + b"\0" * 16, number)


def done(number=1, code=0):
    """Pack the end of a dump."""
    return message(g.NLMSG_DONE, struct.pack("=i", -code), number)


def answer(attributes, number=1, flags=2):
    """Pack one answer of the family."""
    return message(FAMILY, struct.pack("=BBH", 5, 1, 0) + attributes, number, flags)


def dump(*answers):
    """Return the attributes of a dump that is answered so."""
    sock = g.Socket(Transport(*answers))
    return [bytes(m.data[m.start : m.end]) for m in sock.dump(FAMILY, g.Request(4, b""))]


def batch(count, *answers):
    """Return the refusals of a batch of count requests that is answered so."""
    return g.Socket(Transport(*answers)).batch(FAMILY, [g.Request(1, b"")] * count)


def test_a_request_on_the_wire():
    transport = Transport(done())
    assert list(g.Socket(transport).dump(FAMILY, g.Request(8, g.attribute(1, b"abc")))) == []
    assert transport.sent == [
        struct.pack("=IHHIIBBH", 28, FAMILY, 0x301, 1, 0, 8, 1, 0) + struct.pack("=HH", 7, 1) + b"abc\0"
    ]


def test_a_dump_goes_on_until_it_is_done():
    one, two = g.attribute(1, b"a"), g.attribute(1, b"b")
    assert dump(answer(one) + answer(two), answer(one), done()) == [one, two, one]


def test_answers_to_somebody_else_are_not_taken():
    one = g.attribute(1, b"a")
    assert dump(answer(b"", number=7) + answer(one), done(number=7), done()) == [one]


def nests(*answers):
    """Return what a dump of nests is decoded to, for nests of a u16 (1) and a u32 (4)."""
    sock = g.Socket(Transport(*answers))
    return sock.dump_nests(FAMILY, g.Request(4, b""), 2, g.Decoder([(1, "u16"), (4, "u32")]))


def test_nests_are_decoded_one_like_the_other():
    def row(first, second, number=2):
        return answer(g.attribute(number, first + second))

    short, long = g.attribute(1, b"\7\0"), g.attribute(4, b"\1\0\0\0")
    other = row(g.attribute(4, b"\2\0\0\0"), g.attribute(1, b"\5\0"))
    same = row(short, long)
    assert nests(same + same + other + same, other + same, done()) == [(7, 1), (7, 1), (5, 2), (7, 1), (5, 2), (7, 1)]
    assert nests(same + answer(b"", number=9) + same, done()) == [(7, 1), (7, 1)]
    with pytest.raises(g.NetlinkError, match="has no attribute 2"):
        nests(same + row(short, long, number=3), done())


def test_nests_of_a_dump_that_was_interrupted_are_not_taken():
    attributes = g.attribute(2, g.attribute(1, b"\7\0"))
    with pytest.raises(g.DumpInterrupted):
        nests(answer(attributes) + answer(attributes, flags=0x12) + answer(attributes), done())


def test_a_nest_is_found_among_other_attributes():
    inner = g.attribute(1, b"\7\0")
    assert nests(answer(g.attribute(5, b"x") + g.attribute(2, inner)), answer(g.attribute(2, inner)), done()) == [
        (7, None),
        (7, None),
    ]


def test_an_error_ends_a_dump():
    with pytest.raises(g.NetlinkError) as caught:
        dump(ack(code=errno.EPERM))
    assert caught.value.code == errno.EPERM
    with pytest.raises(g.NetlinkError) as caught:
        dump(done(code=errno.EINVAL))
    assert caught.value.code == errno.EINVAL


def test_an_interrupted_dump_is_read_again():
    transport = Transport(answer(b"", flags=0x12), done(), answer(g.attribute(1, b"a"), number=2), done(number=2))
    sock = g.Socket(transport)
    assert len(g.retry_dump(lambda: list(sock.dump(FAMILY, g.Request(4, b""))))) == 1


def test_a_dump_that_is_always_interrupted_ends():
    sock = g.Socket(Transport(*[part for n in range(1, 9) for part in (answer(b"", n, 0x12), done(n))]))
    with pytest.raises(g.DumpInterrupted):
        g.retry_dump(lambda: list(sock.dump(FAMILY, g.Request(4, b""))))


def test_silence_is_an_error():
    """The kernel acknowledges nothing when a handler was interrupted: waiting would be for ever."""
    for ask in (dump, lambda: batch(1), lambda: dump(answer(b""))):
        with pytest.raises(g.NetlinkError) as caught:
            ask()
        assert caught.value.code == errno.ETIMEDOUT


def test_a_batch_asks_for_one_acknowledgement():
    transport = Transport(ack(3))
    assert g.Socket(transport).batch(FAMILY, [g.Request(5, b"")] * 3) == []
    (sent,) = transport.sent
    heads = [struct.unpack_from("=IHHII", sent, start) for start in range(0, len(sent), 20)]
    assert [(head[2], head[3]) for head in heads] == [(1, 1), (1, 2), (5, 3)]


def test_a_batch_names_each_request_that_was_refused():
    assert batch(5, ack(2, errno.EEXIST) + ack(4, errno.ESRCH), ack(5)) == [(1, errno.EEXIST), (3, errno.ESRCH)]
    assert batch(2, ack(2, errno.EINVAL)) == [(1, errno.EINVAL)]


def test_a_late_acknowledgement_is_not_taken_for_ours():
    sock = g.Socket(Transport(ack(1), ack(1, errno.EINVAL), ack(2)))
    assert sock.batch(FAMILY, [g.Request(1, b"")]) == []
    assert sock.batch(FAMILY, [g.Request(1, b"")]) == []


def test_the_family_is_looked_up():
    reply = struct.pack("=BBH", 1, 2, 0) + g.attribute(2, b"IPVS\0") + g.attribute(1, struct.pack("=H", 28))
    assert g.Socket(Transport(message(16, reply), ack())).family("IPVS") == 28
    with pytest.raises(g.NetlinkError) as caught:
        g.Socket(Transport(ack(code=errno.ENOENT))).family("IPVS")
    assert caught.value.code == errno.ENOENT


def test_a_family_without_an_id_is_missing():
    with pytest.raises(g.NetlinkError) as caught:
        g.Socket(Transport(message(16, struct.pack("=BBH", 1, 2, 0)), ack())).family("IPVS")
    assert caught.value.code == errno.ENOENT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x10\0\0",
        struct.pack("=IHHII", 8, FAMILY, 2, 1, 0),
        struct.pack("=IHHII", 400, FAMILY, 2, 1, 0),
        message(FAMILY, b"\1\1"),
        message(99, b"\1\1\0\0"),
        message(g.NLMSG_ERROR, b"\0\0"),
    ],
)
def test_a_damaged_frame_is_an_error(data):
    with pytest.raises(g.NetlinkError):
        dump(data, done())


# --- attributes

FIELDS = [(1, "u16"), (2, "bytes"), (3, "be16"), (4, "u32"), (5, "string"), (9, "u8")]


def nest(**values):
    """Pack attributes a1=b'..' and so on."""
    return b"".join(g.attribute(int(name[1:]), value) for name, value in values.items())


def decode(data, decoder=None):
    """Decode one nest."""
    return (decoder or g.Decoder(FIELDS)).decode(data, 0, len(data))


def test_a_nest_is_decoded_whatever_its_order():
    data = nest(a4=struct.pack("=I", 70000), a1=struct.pack("=H", 2), a7=b"new", a9=b"\x05", a2=b"abcd", a5=b"wlc\0")
    assert decode(data) == (2, b"abcd", None, 70000, b"wlc\0", 5)


def test_layouts_of_the_same_length_are_told_apart():
    decoder = g.Decoder(FIELDS)
    first, second = nest(a1=b"\1\0", a4=b"\2\0\0\0"), nest(a4=b"\3\0\0\0", a1=b"\4\0")
    for data, want in ((first, (1, 2)), (second, (4, 3)), (first, (1, 2)), (first, (1, 2))):
        got = decode(data, decoder)
        assert (got[0], got[3]) == want


def test_the_nested_flag_is_masked():
    data = struct.pack("=HHI", 8, 4 | 0x8000, 5)
    assert decode(data)[3] == 5


@pytest.mark.parametrize(
    "data",
    [b"\1", struct.pack("=HH", 3, 1), struct.pack("=HH", 40, 1), nest(a4=b"\1\0"), nest(a1=b"\1\0\0\0"), nest(a9=b"")],
)
def test_a_damaged_nest_is_an_error(data):
    with pytest.raises(g.NetlinkError):
        decode(data)


@given(st.lists(st.tuples(st.integers(1, 12), st.binary(max_size=20)), max_size=8), st.data())
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_decoded_or_refused(attributes, data):
    whole = bytearray(b"".join(g.attribute(number, value) for number, value in attributes))
    for _count in range(data.draw(st.integers(0, 3))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    decoder = g.Decoder(FIELDS)
    for _again in range(2):
        try:
            values = decode(bytes(whole), decoder)
        except g.NetlinkError:
            continue
        assert len(values) == len(FIELDS)


@given(st.integers(0, 2**16 - 1), st.binary(min_size=4, max_size=4), st.integers(0, 2**32 - 1), st.integers(0, 255))
@settings(max_examples=50, deadline=None)
def test_what_is_encoded_is_decoded(short, raw, word, byte):
    encoder = g.Encoder([(1, "u16"), (2, "4"), (3, "be16"), (4, "u32"), (9, "u8")])
    assert decode(encoder.encode(short, raw, short, word, byte)) == (short, raw, short, word, None, byte)
