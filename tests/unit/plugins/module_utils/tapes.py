# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks with a real kernel, written down by tests/integration/ipvs_kernel.py --record, and a socket that plays them."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest


def load(name):
    """Return a tape."""
    return json.loads((Path(__file__).parent / "fixtures" / name).read_text(encoding="ascii"))


def same_byte_order(tape):
    """Skip where netlink's bytes are the other way round than on the tape."""
    reason = "netlink speaks the machine's byte order, and the tape another one"
    return pytest.mark.skipif(sys.byteorder != tape["byteorder"], reason=reason)


class Player:
    """A socket that plays a tape: it demands the bytes that were sent, and gives those that came."""

    def __init__(self, tape):
        self.tape = list(tape)
        self.damage = None

    def send(self, data):
        if self.damage:
            # Damage may end an exchange early; the next one begins at the next request.
            while self.tape and self.tape[0][0] == "recv":
                self.tape.pop(0)
        if self.tape:
            kind, want = self.tape.pop(0)
            assert self.damage or (kind, data.hex()) == ("send", want)

    def recv_into(self, view):
        if not self.tape or self.tape[0][0] != "recv":
            raise socket.timeout("timed out")
        data = bytes.fromhex(self.tape.pop(0)[1])
        if self.damage:
            data = self.damage(data)
        view[: len(data)] = data
        return len(data)

    def settimeout(self, seconds):
        pass

    def close(self):
        self.tape = []
