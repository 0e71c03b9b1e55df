# SPDX-License-Identifier: GPL-3.0-or-later
"""The two machines that can run nodes: this one, or a small virtual one with Debian's stock kernel."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import images, qemu, scenario, ssh
from lab.common import LabError, as_root, checkout_id, is_root_possible, run, say, state

SLOTS = 32  # nodes at a time; the virtual machine's forwarded ports are fixed when it starts
AGENT = Path(__file__).resolve().parent / "agent.py"


class Engine:
    """What scenario commands need of a machine that runs nodes."""

    name = ""

    def up(self) -> None:
        raise NotImplementedError

    def down(self) -> None:
        raise NotImplementedError

    def is_up(self) -> bool:
        raise NotImplementedError

    def generation(self) -> str:
        """Changes when the engine starts anew, and its nodes are gone."""
        raise NotImplementedError

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        """The management address of a node, and where its ssh answers from here."""
        raise NotImplementedError

    def mgmt(self) -> dict[str, Any]:
        raise NotImplementedError

    def images(self) -> dict[str, str]:
        raise NotImplementedError

    def shell(self) -> list[str]:
        """A command that runs a Python program from standard input as root on the engine."""
        raise NotImplementedError

    def place(self, nodes: list[dict[str, Any]], taken: set[int]) -> None:
        """Give each node a free place: its management address, and where its ssh answers from here."""
        free = [slot for slot in range(SLOTS) if slot not in taken]
        if len(free) < len(nodes):
            raise LabError(f"{len(nodes)} nodes wanted, {len(free)} places left of {SLOTS}: destroy a scenario first")
        for node, slot in zip(nodes, free):
            address, reached = self.access(slot)
            # The hardware address follows the place: QEMU's network goes on believing in the one it once saw there.
            node.update(
                slot=slot, mgmt=address, access=list(reached), mgmt_mac=scenario.mac("", "", f"management {slot}")
            )

    def make(self, name: str, nodes: list[dict[str, Any]]) -> None:
        self.drop(name, nodes)
        self.ask("create", scenario=name, nodes=nodes, bridges=scenario.bridges(nodes))

    def drop(self, name: str, nodes: list[dict[str, Any]]) -> None:
        if self.is_up():
            self.ask("destroy", scenario=name, bridges=scenario.bridges(nodes))

    def reboot(self, name: str, nodes: list[dict[str, Any]]) -> None:
        ssh.hang_up(state() / name, [node["name"] for node in nodes])
        self.ask("restart", scenario=name, nodes=nodes)

    def power(self, name: str, nodes: list[dict[str, Any]], on: bool) -> None:
        ssh.hang_up(state() / name, [node["name"] for node in nodes])
        self.ask("start" if on else "cut", scenario=name, nodes=nodes)

    def running(self, name: str, nodes: list[dict[str, Any]]) -> bool:
        running = {entry for entry, status in self.ask("status")[0] if status == "running"}
        return all(any(each.endswith(f"-{name}-{node['name']}") for each in running) for node in nodes)

    def ask(self, operation: str, **request: Any) -> list[Any]:
        """Send the agent one request and pass its progress on as it comes."""
        request = {
            "operation": operation,
            "checkout": checkout_id(),
            "mgmt": self.mgmt(),
            "images": self.images(),
            "key": ssh.public_key(),
            **request,
        }
        source = AGENT.read_text().split('\nif __name__ == "__main__":')[0]
        program = f"{source}\nsys.exit(main(json.loads({json.dumps(request)!r})))\n"
        process = subprocess.Popen(
            self.shell(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(program)
        process.stdin.close()
        answers, finished = [], False
        for line in process.stdout:
            kind, value = json.loads(line)
            if kind == "progress":
                say(value)
            elif kind == "error":
                raise LabError(value)
            elif kind == "done":
                finished = True
            else:
                answers.append(value)
        trouble = process.stderr.read()
        if process.wait() != 0 or not finished:
            raise LabError(f"the engine did not finish {operation!r}:\n{trouble[-4000:]}")
        return answers


class Local(Engine):
    """podman on this machine's own kernel."""

    name = "local"

    def up(self) -> None:
        images.ensure(images.RECIPES_OF["local"])
        run(as_root(["modprobe", "-a", "ip_vs", "bridge", "overlay", "loop"]), check=False)
        if not Path("/proc/net/ip_vs").exists():
            raise LabError("this machine's kernel has no IPVS (module ip_vs): use LAB_ENGINE=vm")

    def down(self) -> None:
        if shutil.which("podman") and is_root_possible():
            self.ask("clean", bridges=[])

    def is_up(self) -> bool:
        return True

    def generation(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text()

    def subnet(self) -> str:
        """One /24 of the benchmarking range for each checkout."""
        return f"198.18.{int(checkout_id()[:4], 16) % 250 + 1}"

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        address = f"{self.subnet()}.{11 + slot}"
        return address, (address, 22)

    def mgmt(self) -> dict[str, Any]:
        return {
            "bridge": f"lm{checkout_id()}",
            "subnet": f"{self.subnet()}.0/24",
            "gateway": f"{self.subnet()}.2",
            "dns": own_resolver(),
            "masquerade": True,
        }

    def images(self) -> dict[str, str]:
        return {recipe.name: str(recipe.image()) for recipe in (images.NODE, images.BARE)}

    def shell(self) -> list[str]:
        return as_root(["python3", "-"])


class VirtualMachine(Engine):
    """QEMU with Debian's stock kernel: needs neither root nor anything of this machine's kernel."""

    name = "vm"

    def directory(self) -> Path:
        return state() / "engine"

    def facts(self) -> dict[str, Any]:
        path = self.directory() / "vm.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def vm_name(self) -> str:
        return f"lvs-lab-{checkout_id()}"

    def process(self) -> int | None:
        return qemu.process(self.vm_name())

    def generation(self) -> str:
        return str(self.process())

    def keys(self) -> list[str]:
        return [recipe.key() for recipe in images.RECIPES_OF["vm"]]

    def is_up(self) -> bool:
        return bool(self.process() and self.facts())

    def up(self) -> None:
        images.ensure(images.RECIPES_OF["vm"])
        if self.is_up() and self.facts().get("images") == self.keys():
            self.wait()  # a run that was killed may have left it booting
            return
        if self.is_up():
            say("the engine runs from older images: starting it anew")
        self.down()
        for attempt in (1, 2, 3):
            self.start()
            try:
                self.wait()
                say("the engine is up")
                return
            except qemu.Ended as ended:
                say(f"{ended}\ntrying again ({attempt})")
        raise LabError(f"the engine does not start: see {self.directory()}/qemu.log")

    def start(self) -> None:
        where = self.directory()
        where.mkdir(parents=True, exist_ok=True)
        ports = qemu.free_ports(SLOTS + 1)
        ssh.write_config(where, {"engine": ("127.0.0.1", ports[0])})
        say(f"booting the engine ({'KVM' if qemu.has_kvm() else 'software emulation'})")
        pid = qemu.start(self.command(ports), where, where / "qemu.log")
        (where / "vm.json").write_text(json.dumps({"pid": pid, "ports": ports, "images": self.keys()}))

    def command(self, ports: list[int]) -> list[str]:
        guests = ["198.18.0.10", *(f"198.18.0.{11 + slot}" for slot in range(SLOTS))]
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{port}-{guest}:22" for port, guest in zip(ports, guests))
        disks = [f"file={r.image()},format=raw,readonly=on,file.locking=off" for r in (images.NODE, images.BARE)]
        # Without expedited grace periods every stop of a node waits seconds for each of its mounts.
        append = f"{qemu.KERNEL} rcupdate.rcu_expedited=1 {qemu.key_argument()}"
        return [
            *qemu.command(
                self.vm_name(),
                images.ENGINE.image(),
                min(4, os.cpu_count() or 1),
                memory(),
                self.directory() / "console.log",
            ),
            *("-no-reboot", "-append", append),
            *(word for disk in disks for word in ("-drive", f"if=virtio,{disk}")),
            *("-netdev", f"user,id=net,ipv6=off,net=198.18.0.0/24,host=198.18.0.2,dns=198.18.0.3,{forwards}"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
        ]

    def wait(self) -> None:
        qemu.wait(self.vm_name(), self.directory(), "engine", self.directory() / "qemu.log")

    def down(self) -> None:
        ssh.hang_up(self.directory())
        qemu.end(self.vm_name())
        with contextlib.suppress(FileNotFoundError):
            (self.directory() / "vm.json").unlink()

    def access(self, slot: int) -> tuple[str, tuple[str, int]]:
        return f"198.18.0.{11 + slot}", ("127.0.0.1", self.facts()["ports"][1 + slot])

    def mgmt(self) -> dict[str, Any]:
        return {
            "bridge": "lab-mgmt",
            "subnet": "198.18.0.0/24",
            "gateway": "198.18.0.2",
            "dns": "198.18.0.3",
            "masquerade": False,
        }

    def images(self) -> dict[str, str]:
        return {"node": "/dev/vdb", "bare": "/dev/vdc"}

    def shell(self) -> list[str]:
        return ["ssh", "-F", str(self.directory() / "ssh_config"), "engine", "python3", "-"]


def memory() -> int:
    """Megabytes for the virtual machine: six thousand, but never more than half of what there is."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    return max(1024, min(6144, total // 2))


def own_resolver() -> str:
    """A name server that nodes can reach, so not the stub on this machine's loopback."""
    for path in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(path).read_text().splitlines():
                if line.startswith("nameserver ") and not line.split()[1].startswith("127."):
                    return line.split()[1]
    return "198.18.0.1"


def has_local() -> str:
    """Why this machine cannot be the engine itself; empty when it can."""
    if not shutil.which("podman"):
        return "no podman here"
    if not is_root_possible():
        return "podman needs root here and sudo asks for a password"
    loaded = Path("/proc/net/ip_vs").exists() or Path("/sys/module/ip_vs").exists()
    if not loaded and run(as_root(["modprobe", "-n", "ip_vs"]), check=False).returncode != 0:
        return "this kernel has no ip_vs"
    return ""


def choose() -> tuple[Engine, str]:
    """The engine and why; LAB_ENGINE overrides."""
    wanted = os.environ.get("LAB_ENGINE", "")
    known: dict[str, Callable[[], Engine]] = {"local": Local, "vm": VirtualMachine}
    if wanted:
        if wanted not in known:
            raise LabError(f"LAB_ENGINE={wanted}: it is one of {', '.join(known)}")
        return known[wanted](), "LAB_ENGINE says so"
    obstacle = has_local()
    if obstacle:
        return VirtualMachine(), obstacle
    return Local(), "podman and ip_vs are here"
