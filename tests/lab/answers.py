# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the nodes: servers that say who they are, and a client that asks them in many ways at once."""

# Answers on TCP ports 443, 8080 and 8443 and UDP port 5300 of every address. A datagram is answered from the address
# that was asked: for IPv6 the kernel allows that with IPV6_FREEBIND alone where no interface holds it.
ANSWER = r"""
import socket, socketserver, threading

NAME = socket.gethostname()
IPV6_FREEBIND = 78


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"%s -\n" % NAME.encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    address_family = socket.AF_INET6


def datagrams():
    own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    own.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    own.bind(("::", 5300))
    while True:
        _data, ((level, kind, info), *_), _flags, client = own.recvmsg(65535, 256)
        # Without the interface's number: the reply takes its own way.
        own.sendmsg([b"%s -\n" % NAME.encode()], [(level, kind, info[:16] + bytes(4))], 0, client)


threading.Thread(target=datagrams, daemon=True).start()
for port in (443, 8443):
    threading.Thread(target=Server(("::", port), Tcp).serve_forever, daemon=True).start()
Server(("::", 8080), Tcp).serve_forever()
"""

# One line for each [source, kind, address, port]: who answered, or what went wrong. A big datagram takes three packets.
TRY = r"""
import json, socket, sys

for source, kind, address, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
            s.settimeout(5 if kind == "tcp" else 10)
            if source:
                s.bind((source, 0))
            s.connect((address, port))
            s.sendall(b"x" * 4000 if kind == "big" else b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
            reply = b""
            while True:
                part = s.recv(4096)
                reply += part
                if kind != "tcp" or not part:
                    break
        print(reply.decode().splitlines()[-1].split()[0] if reply else "nothing", flush=True)
    except OSError as error:
        print("!" + type(error).__name__, flush=True)
"""
