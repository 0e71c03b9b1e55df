# SPDX-License-Identifier: GPL-3.0-or-later
"""ftp behind LVS-NAT: the kernel's helper leads data connections to the server that has the session."""

from __future__ import annotations

import json
import threading

import pytest
from lab.common import run

CASES = {"203.0.113.11": "203.0.113.4", "2001:db8:f::11": "2001:db8:f::4"}

# Runs on the real server until its input ends: as much of FTP as it takes. It tells the client whom it sees.
SERVER = r"""
import os, socket, sys, threading

def session(control):
    own, listener, target = control.getsockname()[0], None, None
    def say(line):
        control.sendall((line + "\r\n").encode())
    say("220 ready")
    for line in control.makefile("r"):
        verb, _, words = line.strip().partition(" ")
        if verb in ("PASV", "EPSV"):
            listener = socket.create_server((own, 0), family=control.family)
            port = listener.getsockname()[1]
            if verb == "PASV":
                say("227 Entering Passive Mode (%s,%d,%d)" % (own.replace(".", ","), port >> 8, port & 255))
            else:
                say("229 Entering Extended Passive Mode (|||%d|)" % port)
        elif verb == "PORT":
            parts = words.split(",")
            target = (".".join(parts[:4]), int(parts[4]) * 256 + int(parts[5]))
            say("200 there")
        elif verb == "EPRT":
            target = (words.split("|")[2], int(words.split("|")[3]))
            say("200 there")
        elif verb == "RETR":
            say("150 now")
            if listener:
                data = listener.accept()[0]
            else:
                data = socket.socket(control.family)
                data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                data.bind((own, 20))
                data.connect(target)
            data.sendall(data.getpeername()[0].encode())
            data.close()
            say("226 done")
        elif verb == "QUIT":
            say("221 bye")
        else:
            say({"USER": "331 and?", "PASS": "230 in"}.get(verb, "200 as you like"))

def serve(family, address):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, 21))
    listener.listen()
    print("ready", flush=True)
    while True:
        threading.Thread(target=session, args=listener.accept()[:1], daemon=True).start()

for place in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
    threading.Thread(target=serve, args=place, daemon=True).start()
sys.stdin.read()
os._exit(0)
"""

# Runs on the client. It believes what the server says of addresses; prints what came, and from where.
CLIENT = r"""
import ftplib, json, sys
vip, port, passive = json.loads(sys.argv[1])
try:
    ftp = ftplib.FTP(timeout=10)
    ftp.trust_server_pasv_ipv4_address = True
    ftp.connect(vip, port)
    ftp.login()
    ftp.set_pasv(passive)
    data = ftp.ntransfercmd("RETR who")[0]
    source = data.getpeername()[0]
    print(data.makefile().read(), source)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@pytest.fixture(scope="module")
def fetch(cluster):
    """fetch(vip, port, passive): whom the server's data connection sees, and whom the client's."""
    ready = threading.Semaphore(0)
    with cluster.client("rs2").program(SERVER, [], lambda line: ready.release()):
        for _ in ("ipv4", "ipv6"):
            assert ready.acquire(timeout=60)

        def fetch(vip: str, port: int, passive: bool) -> list[str]:
            request = json.dumps([vip, port, passive], separators=(",", ":"))
            command = cluster.ssh("client", f"python3 - '{request}'")
            return run(command, stdin=CLIENT, timeout=60).stdout.split()

        yield fetch


@pytest.mark.parametrize("vip", CASES)
@pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])
def test_data_connections_are_between_client_and_vip(fetch, vip, passive):
    assert fetch(vip, 21, passive) == [CASES[vip], vip]


def test_without_the_helper_the_client_is_told_an_address_that_it_cannot_reach(fetch):
    said, number = fetch("203.0.113.11", 2121, passive=True)
    assert said == "OSError"
    assert number == "101"  # ENETUNREACH


def test_without_the_helper_the_server_comes_from_elsewhere(fetch):
    """As any connection that a real server opens: from the VIP that the inventory has first."""
    assert fetch("203.0.113.11", 2121, passive=False) == ["203.0.113.4", "203.0.113.10"]
