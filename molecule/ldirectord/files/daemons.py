# SPDX-License-Identifier: GPL-3.0-or-later
"""One daemon for every protocol that ldirectord asks in: as much of each as a check wants to hear.

    daemons.py FOLDER

While FOLDER/ill exists each refuses, in its own protocol's words. FOLDER holds the certificate for those over TLS.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
SECRET = b"shared"
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Talk = Callable[[Reader, Writer], Awaitable[None]]


def ill() -> bool:
    return (FOLDER / "ill").exists()


def lines(greeting: str, answer: Callable[[str], str]) -> Talk:
    """A protocol of lines: a greeting, and an answer to each line until there is none."""

    async def talk(reader: Reader, writer: Writer) -> None:
        if ill():
            return
        writer.write(greeting.encode())
        while line := (await reader.readline()).decode().strip():
            said = answer(line)
            writer.write(said.encode())
            if not said:
                return

    return talk


def smtp(line: str) -> str:
    return "221 bye\r\n" if line.upper().startswith("QUIT") else "250 well\r\n"


def pop(line: str) -> str:
    # A client that asks what else there is would wait for a list.
    return "+OK 0 0\r\n" if line.partition(" ")[0].upper() in ("USER", "PASS", "STAT", "QUIT") else "-ERR what\r\n"


def imap(line: str) -> str:
    tag, word = line.split()[:2]
    bye = "* BYE\r\n" if word.upper() == "LOGOUT" else ""
    return f"{bye}{tag} OK done\r\n"


async def web(reader: Reader, writer: Writer) -> None:
    while (await reader.readline()).strip():
        pass
    status = "503 ill" if ill() else "200 OK"
    writer.write(f"HTTP/1.0 {status}\r\nContent-Length: 5\r\n\r\nfine\n".encode())


async def simple(reader: Reader, writer: Writer) -> None:
    asked = await reader.read()
    writer.write(b"ill\n" if ill() else b"fine, " + asked)


async def quiet(reader: Reader, writer: Writer) -> None:
    await reader.read()


async def ftp(reader: Reader, writer: Writer) -> None:
    """Active mode alone: the client says where to connect to."""
    answers = {"USER": "331 who", "PASS": "230 in", "CWD": "250 there", "TYPE": "200 yes", "QUIT": "221 bye"}
    data = ["", 0]
    writer.write(b"220 hello\r\n")
    while line := (await reader.readline()).decode().strip():
        word, _, said = line.partition(" ")
        if word == "PORT":
            numbers = said.split(",")
            data = [".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])]
            writer.write(b"200 there\r\n")
        elif word == "RETR" and ill():
            writer.write(b"550 ill\r\n")
        elif word == "RETR":
            writer.write(b"150 comes\r\n")
            _, own = await asyncio.open_connection(*data)
            own.write(b"fine\n")
            own.close()
            await own.wait_closed()
            writer.write(b"226 done\r\n")
        else:
            writer.write(f"{answers.get(word, '502 what')}\r\n".encode())


async def ldap(reader: Reader, writer: Writer) -> None:
    """Bind, one search with one entry, in the few forms of BER that they need (RFC 4511)."""

    def message(number: bytes, kind: int, body: bytes) -> bytes:
        inner = b"\x02\x01" + number + bytes([kind, len(body)]) + body
        return b"\x30" + bytes([len(inner)]) + inner

    well = b"\x0a\x01\x00\x04\x00\x04\x00"
    name = b"dc=example,dc=org"
    while head := await reader.read(2):
        body = await reader.readexactly(head[1])
        number, kind = body[2:3], body[3]
        if kind == 0x60:
            writer.write(message(number, 0x61, well))
        elif kind == 0x63:
            if not ill():
                writer.write(message(number, 0x64, b"\x04" + bytes([len(name)]) + name + b"\x30\x00"))
            writer.write(message(number, 0x65, well))
        else:
            return


def dns(asked: bytes) -> bytes:
    end = 12
    while asked[end]:
        end += asked[end] + 1
    question = asked[12 : end + 5]
    head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
    address = bytes([198, 51, 100, 9]) if ill() else bytes([192, 0, 2, 9])
    return head + question + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 4, 4) + address


def radius(asked: bytes) -> bytes:
    """Access-Accept, or Access-Reject, with the authenticator of RFC 2865."""
    head = struct.pack("!BBH", 3 if ill() else 2, asked[1], 20)
    return head + hashlib.md5(head + asked[4:20] + SECRET).digest()


def sip(asked: bytes) -> bytes:
    kept = [
        line for line in asked.split(b"\r\n") if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
    ]
    status = b"SIP/2.0 503 ill" if ill() else b"SIP/2.0 200 OK"
    return b"\r\n".join([status, *kept, b"Content-Length: 0", b"", b""])


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(self.answer(data), addr)


STREAMS: dict[int, Talk] = {
    9001: web,
    9003: ftp,
    9004: lines("220 hello\r\n", smtp),
    9005: lines("220 hello\r\n", smtp),
    9006: lines("+OK hello\r\n", pop),
    143: lines("* OK hello\r\n", imap),
    9010: lines("200 hello\r\n", smtp),
    9011: ldap,
    9013: simple,
    9021: simple,
    9022: simple,
}
OVER_TLS: dict[int, Talk] = {9002: web, 9007: STREAMS[9006], 993: STREAMS[143], 9012: ldap}
DATAGRAMS = {9014: dns, 9015: sip, 9016: radius}
LISTENING = 9017
"""Somebody listens there, but not while all are ill."""


async def serve(port: int, talk: Talk, context: ssl.SSLContext | None = None) -> asyncio.AbstractServer:
    async def both(reader: Reader, writer: Writer) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(both, "0.0.0.0", port, ssl=context)


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
    kept = [await serve(port, talk) for port, talk in STREAMS.items()]
    kept += [await serve(port, talk, context) for port, talk in OVER_TLS.items()]
    loop = asyncio.get_running_loop()
    for port, answer in DATAGRAMS.items():
        await loop.create_datagram_endpoint(lambda answer=answer: Datagrams(answer), ("0.0.0.0", port))
    listening = None
    while True:
        if ill() and listening:
            listening.close()
            listening = None
        elif not ill() and not listening:
            listening = await serve(LISTENING, quiet)
        await asyncio.sleep(0.2)


asyncio.run(main())
