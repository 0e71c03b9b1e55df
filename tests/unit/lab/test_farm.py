# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the lab sends to real servers and clients, against each other over the loopback device."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[2] / "lab"
HERE, THERE = "127.0.0.1", "127.0.0.2"


def free(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind((HERE, 0))
        return one.getsockname()[1]


@pytest.fixture
def ports():
    return {"tcp": free(socket.SOCK_STREAM), "udp": free(socket.SOCK_DGRAM)}


@pytest.fixture
def server(ports):
    places = [f"{protocol}:{HERE}:{port}" for protocol, port in ports.items()]
    command = [sys.executable, str(LAB / "answering.py"), "rs1", *places]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.fixture
def client(ports):
    """Asks the client's program; what is not said is as usual."""
    usual = {"to": HERE, "sources": [THERE], "count": 1, "timeout": 5, "hold": "", "reset": False, "text": "who?"}

    def ask(do, protocol="tcp", **changes):
        request = {"do": do, "protocol": protocol, "port": ports[protocol], **usual, **changes}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    command = [sys.executable, str(LAB / "asking.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ask
        process.stdin.close()
        assert process.wait(10) == 0


def test_every_source_asks_as_often_as_told(server, client):
    assert client("ask", sources=["", THERE], count=3) == ["rs1"] * 6


def test_connections_are_held_and_dropped(server, client):
    assert client("ask", count=3, hold="x") == ["rs1"] * 3
    assert client("drop", keys=["x1"]) == ["x0", "x2"]
    assert client("drop", keys=["x0"], reset=True) == ["x2"]
    assert client("ask", reset=True) == ["rs1"]


def test_datagrams_are_answered_from_the_address_that_was_asked(server, client):
    assert client("datagrams", protocol="udp", count=2) == [["rs1", HERE]] * 2


def test_what_goes_wrong_is_said(client):
    assert client("ask", count=2) == ["!ConnectionRefusedError"] * 2
    assert client("datagrams", protocol="udp", timeout=0.1) == [["!TimeoutError", ""]]


PLACES = """
import json, sys
from lab.farm import places
print(json.dumps(places(json.loads(sys.argv[1]), "192.0.2.11")))
"""


def test_a_real_server_answers_on_the_vip_of_dr_and_on_its_own_address_else():
    services = [
        {"vip": "192.0.2.10", "port": 80, "forward": "nat"},
        {"vip": ["192.0.2.20", "192.0.2.21"], "port": 53, "protocol": "udp", "forward": "dr"},
        {"vip": ["192.0.2.31", "192.0.2.32"], "port": 81, "forward": "nat"},
    ]
    command = [sys.executable, "-c", PLACES, json.dumps(services)]
    said = subprocess.run(command, cwd=LAB.parent, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [
        "tcp:192.0.2.11:80",
        "udp:192.0.2.20:53",
        "udp:192.0.2.21:53",
        "tcp:192.0.2.11:81",
    ]
