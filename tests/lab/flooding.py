# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the client: TCP segments as nobody's socket sends them, each from an address and port of its own.

The argument is JSON: the VIP and its port, the addresses to come from, the ports to come from at each, and the flags of
the segments that follow each other on each "connection" (2 is SYN, 4 RST, 16 ACK).
"""

from __future__ import annotations

import json
import socket
import struct
import sys


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(source: str, source_port: int, vip: str, port: int, flags: int) -> bytes:
    ends = socket.inet_aton(source) + socket.inet_aton(vip)

    def tcp(check: int) -> bytes:
        return struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 5 << 4, flags, 64240, check, 0)

    pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    # The kernel fills in what is 0: the identification and the header's checksum.
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + ends
    return header + tcp(checksum(pseudo + tcp(0)))


def main() -> None:
    vip, port, sources, ports, sequence = json.loads(sys.argv[1])
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as wire:
        for flags in sequence:
            for source in sources:
                for source_port in ports:
                    wire.sendto(segment(source, source_port, vip, port, flags), (vip, 0))


if __name__ == "__main__":
    main()
