# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a client with many addresses: opens connections, keeps some, and tells who answered.

Reads a request in JSON from each line of its standard input and prints an answer in JSON for it, until the input ends.
What is open then ends with it.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import IO, Any

TYPES = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
HELD: dict[str, socket.socket] = {}


def opened(protocol: str, source: str, timeout: float) -> socket.socket:
    """A socket with this address of its own, or any."""
    new = socket.socket(socket.AF_INET, *TYPES[protocol])
    new.settimeout(timeout)
    if source:
        new.bind((source, 0))
    return new


def end(connection: socket.socket, reset: bool) -> None:
    """End a connection as usual, and see the other side end it too; or cut it off."""
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif connection.proto == socket.IPPROTO_TCP:  # SCTP has no half of a connection to close first
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    connection.close()


def connect(protocol: str, to: str, port: int, source: str, timeout: float) -> tuple[str, socket.socket | None]:
    """Who answers on a new connection, and the connection; or what went wrong."""
    new = opened(protocol, source, timeout)
    try:
        new.connect((to, port))
        said = b""
        while not said.endswith(b"\n"):
            part = new.recv(4096)
            if not part:
                raise ConnectionResetError
            said += part
    except OSError as error:
        new.close()
        return "!" + type(error).__name__, None
    return said.decode().strip(), new


def ask(request: dict[str, Any]) -> list[str]:
    """A connection each for every source, count times; `hold` keeps them, by names that begin with it."""
    names: list[str] = []
    place = (request["protocol"], request["to"], request["port"])
    for source in request["sources"]:
        for _ in range(request["count"]):
            name, connection = connect(*place, source, request["timeout"])
            if connection and request["hold"]:
                HELD[f"{request['hold']}{len(names)}"] = connection
            elif connection:
                end(connection, request["reset"])
            names.append(name)
    return names


def datagrams(request: dict[str, Any]) -> list[list[str]]:
    """Count datagrams from one socket for every source: who answered each, and from which address."""
    found = []
    for source in request["sources"]:
        with opened("udp", source, request["timeout"]) as one:
            for _ in range(request["count"]):
                one.sendto(request["text"].encode(), (request["to"], request["port"]))
                try:
                    said, peer = one.recvfrom(4096)
                    found.append([said.decode(), peer[0]])
                except OSError as error:
                    found.append(["!" + type(error).__name__, ""])
    return found


def drop(request: dict[str, Any]) -> list[str]:
    for key in request["keys"]:
        end(HELD.pop(key), request["reset"])
    return sorted(HELD)


ACTIONS = {"ask": ask, "datagrams": datagrams, "drop": drop}


def main(requests: IO[str], answers: IO[str]) -> None:
    for line in requests:
        request = json.loads(line)
        print(json.dumps(ACTIONS[request["do"]](request)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
