# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault costs the client: requests that failed, seconds until one succeeded again, a long transfer's bytes."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.cluster import Client, Cluster

# Runs on the client until its standard input ends: a request every pause, whether the one before has ended or not, so
# that what takes long does not hide how many others would have failed. Prints when each began and ended, and how.
REQUESTS = r"""
import json, select, socket, sys, threading, time
vip, port, pause, timeout = json.loads(sys.argv[1])
said = threading.Lock()

def ask():
    began = time.monotonic()
    try:
        with socket.create_connection((vip, port), timeout) as s:
            s.settimeout(timeout)
            s.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
            reply = b""
            while True:
                part = s.recv(4096)
                if not part:
                    break
                reply += part
        how = reply.decode().splitlines()[-1].split()[0] if reply else "!nothing"
    except OSError as error:
        how = "!" + type(error).__name__
    with said:
        print("%.3f %.3f %s" % (began, time.monotonic(), how), flush=True)

running = []
while not select.select([sys.stdin], [], [], pause)[0]:
    running = [thread for thread in running if thread.is_alive()]
    if len(running) < 40:
        running.append(threading.Thread(target=ask))
        running[-1].start()
for thread in running:
    thread.join()
"""

# Runs on the client: one connection, one file whose byte at each place is known. Prints how many were right so far.
TRANSFER = r"""
import json, socket, sys, time
vip, port, path, timeout = json.loads(sys.argv[1])
block = bytes(range(251))
right = told = 0
with socket.create_connection((vip, port), timeout) as s:
    print("port %d" % s.getsockname()[1], flush=True)
    s.sendall(b"GET %s HTTP/1.0\r\nHost: lab\r\n\r\n" % path.encode())
    rest = b""
    while b"\r\n\r\n" not in rest:
        part = s.recv(4096)
        if not part:
            sys.exit("!no answer")
        rest += part
    head, part = rest.split(b"\r\n\r\n", 1)
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    length = int(lengths[0].split(b":")[1])
    try:
        while right < length:
            at = right % 251
            if part != (block * (len(part) // 251 + 2))[at:at + len(part)]:
                print("!wrong byte after %d" % right, flush=True)
                sys.exit(1)
            right += len(part)
            if time.monotonic() - told > 0.2:
                told = time.monotonic()
                print(right, flush=True)
            if right < length:
                part = s.recv(65536)
                if not part:
                    print("!ended after %d of %d" % (right, length), flush=True)
                    sys.exit(1)
    except OSError as error:
        print("!%s after %d of %d" % (type(error).__name__, right, length), flush=True)
        sys.exit(1)
print("whole", right, flush=True)
"""


@dataclass(frozen=True)
class Request:
    began: float
    ended: float
    by: str  # the real server, or `!` and what went wrong

    @property
    def failed(self) -> bool:
        return self.by.startswith("!")


@dataclass
class Watch:
    """Every request so far. Times are the client's clock."""

    requests: list[Request] = field(default_factory=list)

    def failed(self, since: int = 0) -> Counter[str]:
        """What went wrong how often, from that request on."""
        return Counter(one.by for one in self.requests[since:] if one.failed)

    def by(self) -> Counter[str]:
        return Counter(one.by for one in self.requests if not one.failed)

    def silence(self) -> float:
        """The longest time in which no request succeeded: seconds from one success to the next."""
        ends = sorted(one.ended for one in self.requests if not one.failed)
        return max((later - sooner for sooner, later in zip(ends, ends[1:])), default=float("inf"))

    def more(self, until: Callable[[list[Request]], bool], seconds: float = 120) -> list[Request]:
        """Wait until the requests that begin from now on are as wanted; those."""
        mark, limit = len(self.requests), time.monotonic() + seconds
        while not until(self.requests[mark:]):
            assert time.monotonic() < limit, f"after {seconds} s: {self.requests[mark:][-20:]}"
            time.sleep(0.1)
        return self.requests[mark:]

    def answers(self, count: int = 10, seconds: float = 120) -> list[Request]:
        """Wait until so many requests in a row have succeeded."""
        return self.more(lambda new: len(new) >= count and not any(one.failed for one in new[-count:]), seconds)


@contextlib.contextmanager
def watching(client: Client, vip: str, port: int = 80, pause: float = 0.1, timeout: float = 3) -> Iterator[Watch]:
    """Requests all the time for as long as the block runs."""
    watch = Watch()

    def note(line: str) -> None:
        began, ended, how = line.split()
        watch.requests.append(Request(float(began), float(ended), how))

    with client.program(REQUESTS, [vip, port, pause, timeout], note):
        watch.answers()
        yield watch
    assert watch.requests, "the client asked nothing"


@dataclass
class Transfer:
    """One long download, and what the client said of it."""

    said: list[str] = field(default_factory=list)

    @property
    def port(self) -> str:
        """The client's own port: by it a director knows the connection."""
        return next(line.split()[1] for line in self.said if line.startswith("port "))

    @property
    def right(self) -> int:
        return max((int(word) for word in self.said if word.isdigit()), default=0)

    @property
    def broken(self) -> str:
        return next((line for line in self.said if line.startswith("!")), "")

    def goes_on(self, seconds: float = 30) -> bool:
        """Whether more right bytes arrive."""
        before, limit = self.right, time.monotonic() + seconds
        while self.right <= before and not self.broken and time.monotonic() < limit:
            time.sleep(0.1)
        return self.right > before and not self.broken

    def ends_well(self, seconds: float) -> bool:
        """Whether all of it arrives, and every byte as it should be."""
        limit = time.monotonic() + seconds
        while not self.broken and not self.whole and time.monotonic() < limit:
            time.sleep(0.1)
        return self.whole

    @property
    def whole(self) -> bool:
        return any(line.startswith("whole") for line in self.said)


@contextlib.contextmanager
def transferring(
    client: Client, vip: str, path: str = "/long", port: int = 80, timeout: float = 60
) -> Iterator[Transfer]:
    """One transfer that lasts as long as the block; what arrives is compared byte by byte."""
    transfer = Transfer()
    with client.program(TRANSFER, [vip, port, path, timeout], transfer.said.append, kill=True):
        assert transfer.goes_on(60), f"the transfer does not start: {transfer.said}"
        yield transfer


def offer_long_transfer(cluster: Cluster, servers: list[str], rate: str = "100k", megabytes: int = 120) -> None:
    """Give real servers a file for transferring(), sent no faster than rate (nginx's limit_rate, bytes a second).

    They wait for a client as long as TCP does: what is on trial is not nginx's patience, a minute by default.
    """
    long = f"location = /long {{ root /var/www/html; limit_rate {rate}; send_timeout 900s; }}"
    for name in servers:
        cluster.run(
            name,
            "python3 -c 'import sys; block = bytes(range(251)) * 4000\n"
            f"for _ in range({megabytes}): sys.stdout.buffer.write(block)' >/var/www/html/long && "
            f"sed -i '/= .long/d; s|^    location / |    {long}\\n&|' "
            "/etc/nginx/conf.d/lab.conf && nginx -s reload",
            timeout=300,
        )
