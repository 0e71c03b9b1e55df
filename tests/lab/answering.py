# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a real server: says its name on many ports, over TCP, SCTP and UDP.

    answering.py NAME tcp:192.0.2.11:8001 udp:192.0.2.11:53 ...

A connection gets the name at once and stays open until the client ends it. Every datagram is answered with the name.
Prints "ready" when all ports are open, and ends with its standard input.
"""

from __future__ import annotations

import selectors
import socket
import sys

TYPES = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


def listening(place: str) -> socket.socket:
    protocol, address, port = place.split(":")
    # Bound to one address: an SCTP server on every address would tell the client of all of them.
    kind, number = TYPES[protocol]
    opened = socket.socket(socket.AF_INET, kind, number)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, int(port)))
    if kind == socket.SOCK_STREAM:
        opened.listen(128)
    return opened


def serve(name: bytes, sockets: list[socket.socket]) -> None:
    ready = selectors.DefaultSelector()
    for one in sockets:
        ready.register(one, selectors.EVENT_READ, "datagrams" if one.type == socket.SOCK_DGRAM else "connections")
    ready.register(sys.stdin, selectors.EVENT_READ, "end")
    while True:
        for key, _ in ready.select():
            if key.data == "end":
                return
            opened = key.fileobj
            assert isinstance(opened, socket.socket)
            try:
                if key.data == "datagrams":
                    opened.sendto(name, opened.recvfrom(4096)[1])
                elif key.data == "connections":
                    accepted = opened.accept()[0]
                    ready.register(accepted, selectors.EVENT_READ, "client")
                    accepted.sendall(name + b"\n")
                elif not opened.recv(4096):
                    raise ConnectionResetError
            except OSError:
                if key.data == "client":
                    ready.unregister(opened)
                    opened.close()


def main(arguments: list[str]) -> None:
    name, *places = arguments
    sockets = [listening(place) for place in places]
    print("ready", flush=True)
    serve(name.encode(), sockets)


if __name__ == "__main__":
    main(sys.argv[1:])
