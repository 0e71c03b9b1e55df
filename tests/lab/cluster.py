# SPDX-License-Identifier: GPL-3.0-or-later
"""A running scenario seen from the tests: who answers, who answers ARP, what the director counts, what Ansible said."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shlex
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra
import yaml

from lab.common import CHECKOUT, run, state

# Runs on the client: one process, all requests, one connection each. Prints what each answered.
ASK = r"""
import json, socket, sys
vip, port, count, path, timeout = json.loads(sys.argv[1])
for _ in range(count):
    try:
        with socket.create_connection((vip, port), timeout) as s:
            s.sendall(b"GET %s HTTP/1.0\r\nHost: lab\r\n\r\n" % path.encode())
            reply = b""
            while True:
                part = s.recv(4096)
                if not part:
                    break
                reply += part
        print(reply.decode().splitlines()[-1] if reply else "nothing -", flush=True)
    except OSError as error:
        print(type(error).__name__, "-", flush=True)
"""

# Runs on the client: one connection held open, one request for every line of input.
HOLD = r"""
import json, socket, sys
vip, port, timeout = json.loads(sys.argv[1])
s = socket.create_connection((vip, port), timeout)
print(s.getsockname()[1], flush=True)
stream = s.makefile("rb")
for _ in sys.stdin:
    s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    length = 0
    while True:
        line = stream.readline()
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line in (b"\r\n", b""):
            break
    print(stream.read(length).decode().strip() or "nothing -", flush=True)
"""


@dataclass(frozen=True)
class Answers:
    """Who answered how often, and as whom the real servers saw the client."""

    by: Counter[str]
    seen: Counter[str]


@dataclass(frozen=True)
class Traffic:
    """The packets of one service since it exists, as the director's kernel counts them."""

    connections: int
    packets_in: int
    packets_out: int


class Cluster:
    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        self.ssh_config = state() / scenario / "ssh_config"
        self.nodes = {node["name"]: node for node in json.loads((state() / scenario / "nodes.json").read_text())}

    @functools.lru_cache(maxsize=None)  # noqa: B019 - one cluster lives as long as the test session
    def host(self, name: str) -> Any:
        return testinfra.get_host(f"ssh://{name}", ssh_config=str(self.ssh_config), controlpersist=0, timeout=60)

    def ssh(self, name: str, *command: str) -> list[str]:
        return ["ssh", "-F", str(self.ssh_config), name, *command]

    def run(self, name: str, command: str, timeout: float = 120) -> str:
        """Run a shell command on a node; one that fails fails the test."""
        return run(self.ssh(name, command), timeout=timeout).stdout

    def start(self, name: str, source: str, *arguments: str) -> subprocess.Popen[str]:
        """A Python program on a node, to talk to."""
        command = self.ssh(name, shlex.join(["python3", "-c", source, *arguments]))
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def daemon(self, name: str, unit: str, source: str, sockets: str, count: int) -> None:
        """A Python program on a node that stays until the node restarts, once so many of these sockets listen.

        :param sockets: a pattern for lines of `ss -Hltun`.
        """
        run(self.ssh(name, f"cat >/run/{unit}.py"), stdin=source)
        # A unit that is there already runs the same program.
        self.run(name, f"systemctl is-active -q {unit} || systemd-run --quiet --unit {unit} python3 /run/{unit}.py")
        listening = f'until [ $(ss -Hltun | grep -cE "{sockets}") = {count} ]; do sleep 0.2; done'
        self.run(name, f"timeout 60 sh -c '{listening}'")

    def client(self, name: str) -> Client:
        return Client(self, name)

    def mac(self, name: str, interface: str = "eth0") -> str:
        """The hardware address of a node's card, as the lab gave it."""
        return next(card["mac"] for card in self.nodes[name]["interfaces"] if card["name"] == interface)

    def address(self, name: str) -> str:
        """The first address of a node, as the lab gave it."""
        return str(self.nodes[name]["interfaces"][0]["addresses"][0]).split("/")[0]

    def table(self, director: str) -> list[str]:
        """The kernel's table as ipvsadm prints it for saving."""
        return self.run(director, "ipvsadm -Sn").splitlines()

    def connections(self, director: str, port: str = "") -> list[str]:
        """What the kernel remembers of connections; port: of that port of the client."""
        which = f" | grep ':{port} ' || true" if port else ""
        return self.run(director, f"ipvsadm -Lnc{which}").splitlines()

    def traffic(self, director: str, vip: str, port: int) -> Traffic:
        for line in self.run(director, "ipvsadm -Ln --stats --exact").splitlines():
            words = line.split()
            if len(words) >= 5 and words[1] in (f"{vip}:{port}", f"[{vip}]:{port}") and words[0] in ("TCP", "UDP"):
                return Traffic(int(words[2]), int(words[3]), int(words[4]))
        raise AssertionError(f"{director} has no service {vip}:{port}")

    def traffic_once_counted(self, director: str, vip: str, port: int, more_than: int = 0) -> Traffic:
        """The kernel sums its counters up every two seconds; wait until what came in shows, and for one sum more."""
        until = time.monotonic() + 20
        while self.traffic(director, vip, port).packets_in <= more_than:
            assert time.monotonic() < until, f"{director} counted no packets for {vip}:{port}"
            time.sleep(0.5)
        time.sleep(2.5)  # the first sum may lie between a packet and its answer
        return self.traffic(director, vip, port)

    def sources_logged(self, server: str, path: str) -> list[str]:
        """The addresses from which a real server's access log says this path was asked for."""
        lines = self.run(server, f"grep -F 'GET {path} ' /var/log/nginx/access.log || true").splitlines()
        return [line.split()[0] for line in lines]

    def variables(self, host: str) -> dict[str, Any]:
        """What the scenario's inventory says about a host."""
        inventory = CHECKOUT / "molecule" / self.scenario / "inventory"
        said: dict[str, Any] = json.loads(run(["ansible-inventory", "-i", str(inventory), "--host", host]).stdout)
        return said

    def deployment(
        self, variables: dict[str, dict[str, Any]] | None = None, *arguments: str, playbook: str = "site.yml"
    ) -> tuple[list[str], Path]:
        """The command that runs a playbook again with variables of single hosts changed, and the folder for it."""
        inventory = CHECKOUT / "molecule" / self.scenario / "inventory"
        extra = state() / self.scenario / "changed.json"
        extra.write_text(json.dumps({"all": {"hosts": variables or {}}}))
        command = ["ansible-playbook", "-i", str(inventory), "-i", str(extra), *arguments]
        return [*command, str(CHECKOUT / "playbooks" / playbook)], inventory.parent

    def deploy(
        self, variables: dict[str, dict[str, Any]] | None = None, *arguments: str, playbook: str = "site.yml"
    ) -> str:
        """Run site.yml, or another one, again, with variables of single hosts changed; returns what Ansible said."""
        command, folder = self.deployment(variables, *arguments, playbook=playbook)
        return run(command, cwd=folder, env=quick()).stdout

    def attempt(
        self, variables: dict[str, dict[str, Any]] | None = None, *arguments: str, playbook: str = "site.yml"
    ) -> subprocess.CompletedProcess[str]:
        """Run what deploy() does, where it may fail."""
        command, folder = self.deployment(variables, *arguments, playbook=playbook)
        return run(command, cwd=folder, env=quick(), check=False)

    def snapshot(self, name: str) -> dict[str, str]:
        """What a role could leave behind on a node: addresses, rules, sysctls, files, units and the kernel's table."""
        looks = {
            "addresses": "ip -o address show | awk '{print $2, $3, $4}' | grep -v fe80: | sort",
            "links": "ip -o link show | awk '{print $2, $3}' | sed 's/@if[0-9]*//' | sort",
            "rules": "ip rule; ip -6 rule",
            "routes": "ip route; ip route show table 5010 2>/dev/null; ip -6 route | grep -v fe80:",
            "sysctls": "sysctl -a 2>/dev/null | grep -E '^net[.]ipv[46][.](conf|ip_forward|vs)' | sort",
            "files": "find /etc /usr/local -xdev -type f -exec sha256sum {} + | sort -k 2",
            "links in /etc": "find /etc -xdev -type l -printf '%p %l\\n' | sort",
            "folders": "find /etc /usr/local -xdev -type d | sort",
            "units": "systemctl list-unit-files --no-legend --no-pager | sort",
            "failed units": "systemctl --failed --no-legend --no-pager",
            "table": "ipvsadm -Sn | sort",
        }
        return {what: self.run(name, f"{look} || true") for what, look in looks.items()}

    @contextlib.contextmanager
    def sysctl(self, name: str, key: str, value: str) -> Iterator[None]:
        """A sysctl of a node changed for as long as the block runs: for negative controls."""
        before = self.run(name, f"sysctl -n {key}").strip()
        self.run(name, f"sysctl -qw {key}={value}")
        try:
            yield
        finally:
            self.run(name, f"sysctl -qw {key}={before}")


class Client:
    """A node that only knows the VIP."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def ask(self, vip: str, port: int = 80, count: int = 1, path: str = "/", timeout: float = 10) -> Answers:
        """So many requests one after the other, each on its own connection."""
        request = json.dumps([vip, port, count, path, timeout], separators=(",", ":"))
        command = self.cluster.ssh(self.name, f"python3 - '{request}'")
        lines = run(command, stdin=ASK, timeout=60 + count * timeout).stdout.splitlines()
        pairs = [line.split(maxsplit=1) for line in lines]
        return Answers(Counter(pair[0] for pair in pairs), Counter(pair[1] for pair in pairs))

    def fresh_path(self) -> str:
        """A path nobody asked for before, to find the request in a log."""
        return f"/{uuid.uuid4().hex}"

    def _start(self, source: str, arguments: list[Any]) -> subprocess.Popen[str]:
        return self.cluster.start(self.name, source, json.dumps(arguments, separators=(",", ":")))

    @contextlib.contextmanager
    def connection(self, vip: str, port: int = 80, timeout: float = 60) -> Iterator[Connection]:
        """One connection that stays open; its ask() sends one more request over it."""
        process = self._start(HOLD, [vip, port, timeout])
        try:
            yield Connection(process)
        finally:
            process.kill()
            process.communicate()

    @contextlib.contextmanager
    def program(
        self, source: str, arguments: list[Any], note: Callable[[str], None], kill: bool = False
    ) -> Iterator[None]:
        """A Python program on the client whose lines are noted as they come; it ends with its input, or is killed."""
        process = self._start(source, arguments)
        assert process.stdin and process.stdout
        lines = process.stdout

        def read() -> None:
            for line in lines:
                note(line.strip())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            process.stdin.close()
            if kill:
                process.kill()
            reader.join(60)
            process.wait(60)

    def arp(self, address: str, interface: str = "eth0") -> set[str]:
        """The hardware addresses that answer who-has for the address, asked as a broadcast each time."""
        said = self.cluster.run(self.name, f"arping -b -c 3 -w 10 -I {interface} {address} || true")
        return {found.lower() for found in re.findall(r"reply from \S+ \[([0-9A-Fa-f:]+)\]", said)}

    def neighbours(self, address: str, interface: str = "eth0") -> set[str]:
        """The hardware addresses in the neighbour advertisements for an IPv6 address, asked three times."""
        heard = "icmp6 and ip6[40] == 136"
        ask = f"ip -6 neigh flush to {address}; ping -6 -q -c 1 -W 2 {address} >/dev/null || true"
        said = self.cluster.run(
            self.name,
            f"where=$(mktemp -d); tcpdump -i {interface} -nnel '{heard}' >$where/out 2>$where/err & "
            "until grep -q listening $where/err; do sleep 0.1; done; "
            f"{ask}; {ask}; {ask}; sleep 1; kill $!; wait; cat $where/out; rm -r $where",
        )
        lines = [line for line in said.splitlines() if f"tgt is {address}" in line]
        return {line.split()[1].lower() for line in lines}


class Connection:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.process = process
        self.port = process.stdout.readline().strip()  # the client's own: by it a director knows the connection

    def ask(self) -> str:
        """Who answers one more request on this connection."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return (self.process.stdout.readline().split() or ["nothing"])[0]


def quick() -> dict[str, str]:
    """The environment for a run between tests: the lab's accelerator, also in a scenario that itself runs plain."""
    strategy = os.environ.get("LAB_STRATEGY")
    # The tests read what Ansible says: in one colour, failures where everything else is.
    plain = {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true", "ANSIBLE_DISPLAY_FAILED_STDERR": "false"}
    return {**os.environ, **plain, **({"ANSIBLE_STRATEGY": strategy} if strategy else {})}


def recaps() -> list[dict[str, dict[str, int]]]:
    """What each run of Ansible in this scenario counted, oldest first: [{host: {ok: 3, changed: 1, ...}}]."""
    runs: list[dict[str, dict[str, int]]] = []
    for line in Path(os.environ["ANSIBLE_LOG_PATH"]).read_text().splitlines():
        text = line.split("| ", 1)[-1]
        if "PLAY RECAP" in text:
            runs.append({})
        counted = re.match(r"(\S+)\s+: (ok=.*)", text)
        if runs and counted:
            pairs = (word.split("=") for word in counted[2].split())
            runs[-1][counted[1]] = {key: int(value) for key, value in pairs}
    return runs


def directors() -> list[str]:
    """The directors of the running scenario, as its inventory lists them."""
    text = (CHECKOUT / "molecule" / os.environ["MOLECULE_SCENARIO_NAME"] / "inventory" / "hosts.yml").read_text()
    return list(yaml.safe_load(text)["lvs"]["children"]["directors"]["hosts"])
