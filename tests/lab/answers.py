# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the nodes: servers that say who they are, and a client that asks them in many ways at once."""

# Answers on TCP port 8080 and UDP port 5300 of every address, and speaks enough FTP on port 21. A datagram is answered
# from the address that was asked: for IPv6 the kernel allows that with IPV6_FREEBIND alone where no interface holds it.
ANSWER = r"""
import itertools, socket, socketserver, threading

NAME = socket.gethostname()
IPV6_FREEBIND = 78


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"%s -\n" % NAME.encode())


class Ftp(socketserver.StreamRequestHandler):
    def say(self, words):
        self.wfile.write(words.encode() + b"\r\n")

    def passive(self):
        own = self.request.getsockname()[0]
        for port in itertools.cycle(range(40000, 40101)):
            try:
                listener = socket.create_server((own, port))
                break
            except OSError:
                continue
        listener.settimeout(20)
        self.say("227 Entering Passive Mode (%s,%d,%d)." % (own.replace(".", ","), port >> 8, port & 255))
        return lambda: listener.accept()[0]

    def active(self, words):
        numbers = [int(word) for word in words.split(",")]
        where = ".".join(str(number) for number in numbers[:4]), numbers[4] * 256 + numbers[5]
        own = self.request.getsockname()[0]
        self.say("200 ok")

        def connected():
            data = socket.socket()
            data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            data.settimeout(20)
            data.bind((own, 20))
            data.connect(where)
            return data

        return connected

    def handle(self):
        opened = None
        self.say("220 %s" % NAME)
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            if word == "PASV":
                opened = self.passive()
            elif word == "PORT":
                opened = self.active(rest)
            elif word == "RETR":
                self.say("150 here it comes")
                with opened() as data:
                    data.sendall(NAME.encode() + b"\r\n")
                self.say("226 done")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say({"USER": "331 who says", "PASS": "230 welcome", "TYPE": "200 ok"}.get(word, "502 no"))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Server6(Server):
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
threading.Thread(target=Server6(("::", 8080), Tcp).serve_forever, daemon=True).start()
Server(("0.0.0.0", 21), Ftp).serve_forever()
"""

# One line for each [source, kind, address, port]: who answered, or what went wrong. A big datagram takes three packets.
TRY = r"""
import json, socket, sys

for source, kind, address, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
            s.settimeout(5)
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

# Who says welcome, and who sends the file, for each of [address, passive].
FTP = r"""
import ftplib, json, sys

for address, passive in json.loads(sys.argv[1]):
    try:
        ftp = ftplib.FTP(timeout=20)
        welcome = ftp.connect(address).split()[1]
        ftp.login()
        ftp.set_pasv(passive)
        lines = []
        ftp.retrlines("RETR who", lines.append)
        ftp.quit()
        print(welcome, *lines, flush=True)
    except (OSError, EOFError, ftplib.Error) as error:
        print("!" + type(error).__name__, error, flush=True)
"""
