# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of FTP as shows where its data connections come from and go to, for nodes: a server and a client."""

# Listens on port 21 of every address, IPv4 and IPv6. A file is the server's name and whom its data connection sees.
SERVER = r"""
import socket, socketserver, threading

NAME = socket.gethostname()


class Ftp(socketserver.StreamRequestHandler):
    def say(self, words):
        self.wfile.write(words.encode() + b"\r\n")

    def passive(self, extended):
        listener = socket.create_server((self.own, 0), family=self.family)
        listener.settimeout(20)
        port = listener.getsockname()[1]
        if extended:
            self.say("229 Entering Extended Passive Mode (|||%d|)" % port)
        else:
            where = self.own.replace(".", ",")
            self.say("227 Entering Passive Mode (%s,%d,%d)." % (where, port >> 8, port & 255))
        return lambda: listener.accept()[0]

    def active(self, where):
        self.say("200 ok")

        def connected():
            data = socket.socket(self.family)
            data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            data.settimeout(20)
            data.bind((self.own, 20))
            data.connect(where)
            return data

        return connected

    def handle(self):
        self.family, self.own, opened = self.request.family, self.request.getsockname()[0], None
        self.say("220 %s" % NAME)
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            if word in ("PASV", "EPSV"):
                opened = self.passive(word == "EPSV")
            elif word == "PORT":
                numbers = rest.split(",")
                opened = self.active((".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])))
            elif word == "EPRT":
                address, port = rest.split("|")[2:4]
                opened = self.active((address, int(port)))
            elif word == "RETR":
                self.say("150 here it comes")
                with opened() as data:
                    data.sendall(("%s %s\r\n" % (NAME, data.getpeername()[0])).encode())
                self.say("226 done")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say({"USER": "331 who says", "PASS": "230 welcome", "TYPE": "200 ok"}.get(word, "502 no"))


def serve(listener):
    while True:
        threading.Thread(target=Ftp, args=(*listener.accept(), None), daemon=True).start()


threading.Thread(target=serve, args=[socket.create_server(("::", 21), family=socket.AF_INET6)], daemon=True).start()
serve(socket.create_server(("", 21)))
"""

# A line for each of [address, port, passive]: who says welcome, who sends the file, whom the server's data connection
# sees, and whom the client's; or what went wrong. The client believes what the server says of addresses.
CLIENT = r"""
import ftplib, json, sys

for address, port, passive in json.loads(sys.argv[1]):
    try:
        ftp = ftplib.FTP(timeout=20)
        ftp.trust_server_pasv_ipv4_address = True
        welcome = ftp.connect(address, port).split()[1]
        ftp.login()
        ftp.set_pasv(passive)
        with ftp.ntransfercmd("RETR who")[0] as data:
            print(welcome, data.makefile().read().strip(), data.getpeername()[0], flush=True)
        ftp.voidresp()
        ftp.quit()
    except (OSError, EOFError, ftplib.Error) as error:
        print("!" + type(error).__name__, getattr(error, "errno", None) or error, flush=True)
"""
