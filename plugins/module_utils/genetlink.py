# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Generic netlink: pack, unpack, batch, dump. Knows nothing of IPVS."""

from __future__ import annotations

import contextlib
import errno
import operator
import os
import socket
import struct
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

NETLINK_GENERIC = 16
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x10
NLA_TYPE_MASK = 0x3FFF

CTRL_FAMILY = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID = 1
CTRL_ATTR_FAMILY_NAME = 2

_HEADER = struct.Struct("=IHHIIBBH")  # nlmsghdr and genlmsghdr together
_NLMSG = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")

BUFFER = 128 * 1024
BATCH = 100  # error answers to a whole batch still fit the kernel's default receive buffer
TIMEOUT = 30.0


class NetlinkError(Exception):
    """The kernel answered with an errno, or not as netlink answers."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class DumpInterrupted(NetlinkError):
    """The kernel says that the table changed while it was read."""


# --- attributes ------------------------------------------------------------------------------------------------------

SIZES = {"u8": 1, "u16": 2, "u32": 4, "be16": 2, "flags": 8}
_FORMATS = {"u8": "B3x", "u16": "H2x", "u32": "I", "be16": "H2x"}


def attribute(number: int, payload: bytes) -> bytes:
    """Pack one attribute, padded."""
    return ATTRIBUTE.pack(len(payload) + 4, number) + payload + b"\0" * (-len(payload) % 4)


def walk(data: Any, start: int, end: int) -> Iterator[Tuple[int, int, int]]:
    """Yield (type, start, end) of each attribute; NetlinkError when they do not fit their frame."""
    while start < end:
        if end - start < 4:
            raise NetlinkError("netlink attribute is cut off after %d bytes" % (end - start))
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise NetlinkError("netlink attribute of %d bytes does not fit %d" % (length, end - start))
        yield kind & NLA_TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3


class Layout(NamedTuple):
    """How the attributes of a nest lie: heads and values take turns in what unpack returns."""

    format: str
    unpack: Callable[..., Tuple[Any, ...]]
    heads: Tuple[int, ...]
    pick: Callable[[Tuple[Any, ...]], Tuple[Any, ...]]


class Frame(NamedTuple):
    """How a whole message lies that holds a nest of one layout."""

    length: int
    unpack: Callable[..., Tuple[Any, ...]]
    nest: int
    heads: Tuple[int, ...]
    pick: Callable[[Tuple[Any, ...]], Tuple[Any, ...]]


class Decoder:
    """Reads nests of one kind. fields: (number, kind) of the attributes wanted, in the order they are returned.

    The kernel writes the same attributes in the same order each time, so the layout of the first nest of a length
    is kept as one struct, and the next ones of that length cost a single unpack; any other layout is walked again.
    """

    def __init__(self, fields: Sequence[Tuple[int, str]]) -> None:
        self.fields = fields
        self.layouts: Dict[int, Layout] = {}

    def decode(self, data: Any, start: int, end: int) -> Tuple[Any, ...]:
        """Return the fields' values, None where one is absent; be16 and nests are left to the caller."""
        layout = self.layouts.get(end - start)
        if layout is not None:
            values = layout.unpack(data, start)
            if values[0::2] == layout.heads:
                return layout.pick(values[1::2] + (None,))
        layout = self.layouts[end - start] = self._learn(data, start, end)
        return layout.pick(layout.unpack(data, start)[1::2] + (None,))

    def frame(self, data: Any, start: int, end: int) -> Frame:
        """Return the layout of a whole message that holds one nest and nothing else, to read its likes at one go."""
        layout = self.layouts[end - start - 24]
        whole = struct.Struct(_HEADER.format + "I" + layout.format[1:])
        nest = _HEAD.unpack_from(data, start + 20)[0]
        return Frame(end - start, whole.unpack_from, nest, layout.heads, layout.pick)

    def _learn(self, data: Any, start: int, end: int) -> Layout:
        kinds = dict(self.fields)
        formats, heads, places = ["="], [], {}
        for number, first, last in walk(data, start, end):
            size = last - first
            kind = kinds.get(number)
            if kind in SIZES and size != SIZES[kind]:
                raise NetlinkError(
                    "netlink attribute %d has %d bytes where a %s has %d" % (number, size, kind, SIZES[kind])
                )
            formats.append("I" + (_FORMATS.get(kind or "") or "%ds%dx" % (size, -size % 4)))
            heads.append(_HEAD.unpack_from(data, first - 4)[0])
            places[number] = len(heads) - 1
        whole = struct.Struct("".join(formats))
        if whole.size > end - start:
            raise NetlinkError("netlink attributes are cut off")
        indices = [places.get(number, len(heads)) for number, _kind in self.fields]
        return Layout(whole.format, whole.unpack_from, tuple(heads), operator.itemgetter(*indices))


_HEAD = struct.Struct("=I")


class Encoder:
    """Writes nests of one layout: every field present, in order, by a single pack."""

    def __init__(self, fields: Sequence[Tuple[int, str]]) -> None:
        formats, self.heads = ["="], []
        for number, kind in fields:
            size = SIZES.get(kind) or int(kind)
            formats.append("I" + (_FORMATS.get(kind) or "%ds%dx" % (size, -size % 4)))
            self.heads.append(_HEAD.unpack(ATTRIBUTE.pack(size + 4, number))[0])
        self.pack = struct.Struct("".join(formats)).pack

    def encode(self, *values: Any) -> bytes:
        """Pack the values of all fields; be16 values are given as numbers in network order already."""
        words: List[Any] = []
        for head, value in zip(self.heads, values):
            words += (head, value)
        return self.pack(*words)


# --- messages --------------------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """Where one answer lies in the receive buffer: its command and the span of its attributes."""

    command: int
    data: Any
    start: int
    end: int


class Request(NamedTuple):
    """One command with its packed attributes."""

    command: int
    payload: bytes


class Refusal(NamedTuple):
    """A request of a batch that the kernel refused, by its place."""

    place: int
    code: int


class Socket:
    """A netlink socket that never waits for ever and takes no answer but its own."""

    def __init__(self, transport: Any = None, timeout: float = TIMEOUT) -> None:
        self.sock = transport or open_socket(timeout)
        self.timeout = timeout
        self.sequence = 0
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def wait_at_most(self, seconds: float) -> None:
        """Set how long an answer may take from now on."""
        self.timeout = seconds
        self.sock.settimeout(seconds)

    def family(self, name: str) -> int:
        """Return a family's id; the kernel loads its module when it can. NetlinkError with ENOENT if there is none."""
        payload = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
        for message in self.ask(CTRL_FAMILY, Request(CTRL_CMD_GETFAMILY, payload)):
            for number, start, end in walk(message.data, message.start, message.end):
                if number == CTRL_ATTR_FAMILY_ID and end - start == 2:
                    return struct.unpack_from("=H", message.data, start)[0]
        raise NetlinkError("netlink family %s has no id" % name, errno.ENOENT)

    def ask(self, family: int, request: Request) -> Iterator[Message]:
        """Send one request and yield its answers up to the kernel's acknowledgement."""
        yield from self._exchange(family, request, NLM_F_REQUEST | NLM_F_ACK)

    def dump(self, family: int, request: Request) -> Iterator[Message]:
        """Send one dump request and yield its answers. DumpInterrupted when the kernel says they may not fit."""
        yield from self._exchange(family, request, NLM_F_REQUEST | NLM_F_DUMP)

    def batch(self, family: int, requests: Sequence[Request]) -> List[Refusal]:
        """Send requests in one system call; return those refused.

        Only the last asks for an acknowledgement: the kernel works in order and reports every error anyway.
        """
        first = self.sequence + 1
        last = self.sequence = self.sequence + len(requests)
        parts = []
        for number, (command, payload) in enumerate(requests, first):
            flags = NLM_F_REQUEST if number != last else NLM_F_REQUEST | NLM_F_ACK
            parts.append(_HEADER.pack(len(payload) + 20, family, flags, number, 0, command, 1, 0))
            parts.append(payload)
        self._send(b"".join(parts))
        refused = []
        while True:
            for number, kind, _flags, start, end in self._receive():
                if kind != NLMSG_ERROR or not first <= number <= last:
                    continue
                code = self._code(start, end)
                if code:
                    refused.append(Refusal(number - first, code))
                if number == last:
                    return refused

    def dump_nests(self, family: int, request: Request, nest: int, decoder: Decoder) -> List[Tuple[Any, ...]]:
        """Send a dump request; return what decoder makes of the nest in each answer.

        The same as dump with a decode of each answer, but for tables of tens of thousands of rows: an answer that lies
        as the one before it is read by one unpack, without a look at its parts.
        """
        number = self._start(family, request, NLM_F_REQUEST | NLM_F_DUMP)
        rows: List[Tuple[Any, ...]] = []
        frame: Optional[Frame] = None
        interrupted = False
        while True:
            size = self._fill()
            start = 0
            while start < size:
                if frame is not None and start + frame.length <= size:
                    values = frame.unpack(self.buffer, start)
                    if (
                        values[:4] == (frame.length, family, NLM_F_MULTI, number)
                        and values[8] == frame.nest
                        and values[9::2] == frame.heads
                    ):
                        rows.append(frame.pick(values[10::2] + (None,)))
                        start += frame.length
                        continue
                seen, kind, flags, first, last, following = self._frame(start, size)
                if seen == number:
                    interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                    if self._ends(kind, first, last, interrupted):
                        return rows
                    begin, end = self._only_nest(family, kind, first, last, nest)
                    rows.append(decoder.decode(self.buffer, begin, end))
                    whole = begin == first + 8 and end == last and last == following
                    frame = decoder.frame(self.buffer, start, last) if whole else None
                start = following

    def _only_nest(self, family: int, kind: int, first: int, last: int, nest: int) -> Tuple[int, int]:
        """Return where the nest of an answer lies."""
        message = self._answer(family, kind, first, last)
        for number, start, end in walk(self.buffer, message.start, message.end):
            if number == nest:
                return start, end
        raise NetlinkError("the kernel's answer has no attribute %d" % nest)

    def _exchange(self, family: int, request: Request, flags: int) -> Iterator[Message]:
        wanted = self._start(family, request, flags)
        interrupted = False
        while True:
            for number, kind, got, first, last in self._receive():
                if number != wanted:
                    continue
                interrupted = interrupted or bool(got & NLM_F_DUMP_INTR)
                if self._ends(kind, first, last, interrupted):
                    return
                yield self._answer(family, kind, first, last)

    def _start(self, family: int, request: Request, flags: int) -> int:
        """Send a request; return the number its answers carry."""
        self.sequence += 1
        command, payload = request
        self._send(_HEADER.pack(len(payload) + 20, family, flags, self.sequence, 0, command, 1, 0) + payload)
        return self.sequence

    def _ends(self, kind: int, first: int, last: int, interrupted: bool) -> bool:
        """Tell whether a message ends an exchange; raise when it ends badly."""
        if kind not in (NLMSG_ERROR, NLMSG_DONE):
            return False
        code = self._code(first, last) if last - first >= 4 or kind == NLMSG_ERROR else 0
        if code:
            raise NetlinkError(os.strerror(code), code)
        if interrupted:
            raise DumpInterrupted("the table changed while it was read", errno.EINTR)
        return True

    def _answer(self, family: int, kind: int, first: int, last: int) -> Message:
        if kind != family or last - first < 4:
            raise NetlinkError("netlink answer of an unexpected kind %d" % kind)
        return Message(self.buffer[first], self.buffer, first + 4, last)

    def _code(self, start: int, end: int) -> int:
        if end - start < 4:
            raise NetlinkError("netlink acknowledgement is cut off")
        return -_ERROR.unpack_from(self.buffer, start)[0]

    def _send(self, data: bytes) -> None:
        try:
            self.sock.send(data)
        except socket.timeout as error:
            raise NetlinkError("the kernel took no netlink message for %d s" % self.timeout, errno.ETIMEDOUT) from error
        except OSError as error:
            raise NetlinkError("cannot send to the kernel: %s" % error, error.errno or 0) from error

    def _fill(self) -> int:
        """Receive one datagram into the buffer; return its size."""
        try:
            size = self.sock.recv_into(self.view)
        except socket.timeout as error:
            raise NetlinkError("the kernel did not answer for %d s" % self.timeout, errno.ETIMEDOUT) from error
        except OSError as error:
            raise NetlinkError("cannot read from the kernel: %s" % error, error.errno or 0) from error
        if size == 0:
            raise NetlinkError("the kernel sent nothing")
        return size

    def _frame(self, start: int, size: int) -> Tuple[int, int, int, int, int, int]:
        """Return (sequence, type, flags, start, end, start of the next) of the message at start."""
        if size - start < 16:
            raise NetlinkError("netlink message is cut off after %d bytes" % (size - start))
        length, kind, flags, number, _port = _NLMSG.unpack_from(self.buffer, start)
        if length < 16 or start + length > size:
            raise NetlinkError("netlink message of %d bytes does not fit %d" % (length, size - start))
        return number, kind, flags, start + 16, start + length, start + (length + 3 & ~3)

    def _receive(self) -> Iterator[Tuple[int, int, int, int, int]]:
        """Yield (sequence, type, flags, start, end) of every message in one datagram."""
        size = self._fill()
        start = 0
        while start < size:
            number, kind, flags, first, last, start = self._frame(start, size)
            yield number, kind, flags, first, last


def open_socket(timeout: float) -> socket.socket:
    """Return a generic netlink socket of this network namespace."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    sock.settimeout(timeout)
    # An old kernel has not this option; its error answers repeat the request, which is harmless.
    with contextlib.suppress(OSError):
        sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    sock.bind((0, 0))
    return sock


def retry_dump(read: Callable[[], Any], times: int = 5) -> Any:
    """Call read again while the kernel says that the table changed underneath; give up after a few times."""
    for _attempt in range(times - 1):
        try:
            return read()
        except DumpInterrupted:
            continue
    return read()
