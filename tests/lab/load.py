# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that asks all the time, and remembers how every single request ended."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.cluster import Client

# Runs on the client until its standard input ends: a connection and a request each time, and a line for each.
ASK_ON = r"""
import json, select, socket, sys
vip, port, pause, timeout = json.loads(sys.argv[1])
while not select.select([sys.stdin], [], [], pause)[0]:
    try:
        with socket.create_connection((vip, port), timeout) as s:
            s.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
            reply = b""
            while True:
                part = s.recv(4096)
                if not part:
                    break
                reply += part
        print(reply.decode().splitlines()[-1].split()[0] if reply else "!nothing", flush=True)
    except OSError as error:
        print("!" + type(error).__name__, flush=True)
"""


@dataclass
class Load:
    """How the requests ended so far: the name of the server that answered, or `!` and what went wrong."""

    ends: list[str] = field(default_factory=list)

    @property
    def failed(self) -> Counter[str]:
        return Counter(end for end in self.ends if end.startswith("!"))

    @property
    def answered(self) -> Counter[str]:
        return Counter(end for end in self.ends if not end.startswith("!"))

    def more(self, count: int = 12, seconds: float = 120) -> Load:
        """Wait for so many more requests to end; how those ended."""
        mark, until = len(self.ends), time.monotonic() + seconds
        while len(self.ends) < mark + count:
            assert time.monotonic() < until, f"the client asked only {len(self.ends) - mark} times in {seconds} s"
            time.sleep(0.1)
        return Load(self.ends[mark:])


@contextlib.contextmanager
def load(client: Client, vip: str, port: int = 80, pause: float = 0.1, timeout: float = 5) -> Iterator[Load]:
    """Ask all the time for as long as the block runs; the last request has ended when it ends."""
    result = Load()
    with client.program(ASK_ON, [vip, port, pause, timeout], result.ends.append):
        yield result
    assert result.ends, "the client asked nothing"
