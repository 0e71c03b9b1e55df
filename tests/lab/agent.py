# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as root on the engine: makes, restarts and removes nodes. Sent there by the lab and fed one request.

A node is a podman container whose network namespace is made beforehand, complete with interfaces, addresses and routes,
so that its init finds its cards at boot as a real machine does, and finds the same ones after a restart. Its root is an
overlay over the read-only image which stays until the node is destroyed: a restart keeps /etc, as a disk would.
"""

from __future__ import annotations

import concurrent.futures
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# Neither the journal nor systemd of the engine need to hear of each node: both take seconds under emulation.
PODMAN = ("podman", "--cgroup-manager=cgroupfs", "--events-backend=none")
SETTLES = 600  # seconds; a node takes ten where nothing else boots
REQUEST: dict = {}
TOLD = threading.Lock()


class Failed(Exception):
    pass


def tell(kind: str, value: object) -> None:
    with TOLD:
        print(json.dumps([kind, value]), flush=True)


def run(*command: str, check: bool = True, stdin: str | None = None, timeout: float | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        if check:
            raise Failed(f"{' '.join(command)}: no end after {timeout} s") from None
        return ""
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)} failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout


def base() -> Path:
    """Where nodes of this checkout live; the engine may be a machine that several checkouts use."""
    return Path("/var/lib/lvs-lab") / REQUEST["checkout"]


def home(node: str) -> Path:
    return base() / REQUEST["scenario"] / node


def container(node: str) -> str:
    return f"{REQUEST['checkout']}-{REQUEST['scenario']}-{node}"


def namespace(node: str) -> str:
    return container(node)


# --- images -----------------------------------------------------------------------------------------------------------


def image_root(name: str) -> Path:
    """The read-only root of an image, mounted from a disk of the machine or from a file."""
    source = REQUEST["images"][name]
    target = Path("/run/lvs-lab/images") / (Path(source).parent.name if source.endswith(".img") else name)
    if not os.path.ismount(target):
        target.mkdir(parents=True, exist_ok=True)
        options = "ro,loop" if source.endswith(".img") else "ro"
        run("mount", "-t", "ext4", "-o", options, source, str(target))
    return target


def mount_root(node: dict) -> Path:
    own = home(node["name"])
    for part in ("upper", "work", "root"):
        (own / part).mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(own / "root"):
        layers = f"lowerdir={image_root(node['image'])},upperdir={own}/upper,workdir={own}/work"
        run("mount", "-t", "overlay", "-o", layers, "overlay", str(own / "root"))
    return own / "root"


def furnish(node: dict, root: Path) -> None:
    """What tells this node from the next: name, key, hosts, resolver, the services that start by themselves."""
    (root / "etc/hostname").write_text(node["name"] + "\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {node['name']}\n")
    resolver = f"nameserver {REQUEST['mgmt']['dns']}\n" if node["internet"] else ""
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text(resolver)
    if node["internet"]:
        # A third of what apt would fetch is descriptions in other languages.
        (root / "etc/apt/apt.conf.d/90lab").write_text('Acquire::Languages "none";\n')
    keys = root / "root/.ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "authorized_keys").write_text(REQUEST["key"] + "\n")
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    for service in node["services"]:
        unit = next((p for p in ("lib", "usr/lib") if (root / p / f"systemd/system/{service}.service").exists()), None)
        if unit is None:
            raise Failed(f"{node['name']}: lab_services: image {node['image']} has no {service}.service")
        wanted.mkdir(parents=True, exist_ok=True)
        (wanted / f"{service}.service").unlink(missing_ok=True)
        (wanted / f"{service}.service").symlink_to(f"/{unit}/systemd/system/{service}.service")
    lines = [f"{key} = {value}\n" for key, value in node["sysctls"].items()]
    if lines:
        (root / "etc/sysctl.d/00-lab.conf").write_text("".join(lines))


# --- networks ---------------------------------------------------------------------------------------------------------


def bridge(name: str) -> None:
    """A plain switch: no address, no spanning tree, no IPv6 of its own, all of it forwarded at once."""
    if Path(f"/sys/class/net/{name}").exists():
        return
    run("ip", "link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    run("ip", "link", "set", name, "up")


def mgmt_bridge() -> None:
    """The lab's machine has it from boot; on the user's own it is made here, with an address to log in from."""
    mgmt = REQUEST["mgmt"]
    if Path(f"/sys/class/net/{mgmt['bridge']}").exists():
        return
    bridge(mgmt["bridge"])
    run("ip", "address", "add", f"{mgmt['gateway']}/24", "dev", mgmt["bridge"])


def masquerade() -> None:
    """The way out for nodes that install packages, on the user's own machine. The lab's machine has QEMU's."""
    mgmt = REQUEST["mgmt"]
    if not mgmt["masquerade"]:
        return
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    table = f"lab_{REQUEST['checkout']}"
    run(
        "nft",
        "-f",
        "-",
        stdin=(
            f"table ip {table} {{}}\ndelete table ip {table}\n"
            f"table ip {table} {{ chain out {{ type nat hook postrouting priority srcnat;\n"
            f'ip saddr {mgmt["subnet"]} oifname != "{mgmt["bridge"]}" masquerade }} }}\n'
        ),
    )


def port_of(node: dict, number: int) -> str:
    """The other end of a card's cable."""
    return f"lp{node['mgmt_mac'].replace(':', '')[-8:]}{number}"


def plug_in(node: dict) -> None:
    """A fresh network namespace with all cards of the node, as the machine's firmware would present them."""
    space = namespace(node["name"])
    unplug(node["name"])
    run("ip", "netns", "add", space)
    cards = [
        *node["interfaces"],
        {
            "name": "mgmt0",
            "bridge": REQUEST["mgmt"]["bridge"],
            "mac": node["mgmt_mac"],
            "addresses": [f"{node['mgmt']}/24"],
        },
    ]
    outside, inside = [], ["link set lo up"]
    for number, card in enumerate(cards):
        port = port_of(node, number)
        # The kernel takes the cards of a deleted namespace away in its own time; the place may be wanted before.
        if Path(f"/sys/class/net/{port}").exists():
            run("ip", "link", "delete", port, check=False)
        outside.append(f"link add {port} type veth peer name {card['name']} address {card['mac']} netns {space}")
        outside.append(f"link set {port} master {card['bridge']} up")
        inside.append(f"link set {card['name']} up")
        for address in card["addresses"]:
            # As whoever configures a card on a real host does; heartbeat asks the card for its broadcast address.
            extra = " nodad" if ":" in address else " brd +"
            inside.append(f"address add {address} dev {card['name']}{extra}")
    for target, how in node["routes"]:
        inside.append(f"route add {target} {how}")
    if node["internet"] and not any(target == "default" for target, _ in node["routes"]):
        inside.append(f"route add default via {REQUEST['mgmt']['gateway']}")
    run("ip", "-batch", "-", stdin="\n".join(outside) + "\n")
    # Nodes meet on the networks under test only: on the management bridge each sees nobody but the controller.
    run("bridge", "link", "set", "dev", port_of(node, len(cards) - 1), "isolated", "on")
    run("ip", "-n", space, "-batch", "-", stdin="\n".join(inside) + "\n")


def announce(node: dict) -> None:
    """One packet to the gateway: QEMU's network learns who has the address now, whatever it remembers or missed."""
    packet = f"echo >/dev/udp/{REQUEST['mgmt']['gateway']}/9"
    run("ip", "netns", "exec", namespace(node["name"]), "bash", "-c", packet, check=False, timeout=20)


def unplug(node: str) -> None:
    if Path(f"/run/netns/{namespace(node)}").exists():
        run("ip", "netns", "delete", namespace(node))


# --- containers -------------------------------------------------------------------------------------------------------


def boot(node: dict) -> None:
    began = time.monotonic()
    root = mount_root(node)
    furnish(node, root)
    plug_in(node)
    run(
        *PODMAN,
        "run",
        "--detach",
        "--name",
        container(node["name"]),
        "--hostname",
        node["name"],
        "--label",
        f"lvs.lab={REQUEST['checkout']}",
        "--label",
        f"lvs.lab.scenario={REQUEST['scenario']}",
        "--privileged",
        "--systemd=always",
        "--cgroupns=private",
        "--log-driver=none",
        "--no-hosts",
        "--dns=none",
        "--network",
        f"ns:/run/netns/{namespace(node['name'])}",
        "--env",
        "SYSTEMD_SECCOMP=0",  # compiling a filter for each unit takes seconds under emulation
        "--volume",
        "/lib/modules:/lib/modules:ro",
        "--pidfile",
        str(home(node["name"]) / "pid"),
        "--rootfs",
        str(root),
        "/sbin/init",
    )
    tell("progress", f"{node['name']} started ({time.monotonic() - began:.0f} s)")


def halt(node: dict, seconds: int) -> None:
    """An orderly shutdown that may take so long; with 0 the power is cut."""
    run(*PODMAN, "stop", "--time", str(seconds), container(node["name"]))


def wake(node: dict) -> None:
    """New cards, and the same disk."""
    mount_root(node)
    plug_in(node)
    run(*PODMAN, "start", container(node["name"]))


def reboot(node: dict) -> None:
    began = time.monotonic()
    halt(node, 30)
    stopped = time.monotonic() - began
    wake(node)
    tell("progress", f"{node['name']} stopped ({stopped:.0f} s) and started ({time.monotonic() - began:.0f} s)")


def settle(node: dict) -> None:
    """Wait until systemd in the node says it has started everything."""
    announce(node)
    pid = (home(node["name"]) / "pid").read_text().strip()
    inside = ("nsenter", "--target", pid, *(f"--{what}" for what in ("mount", "uts", "ipc", "pid", "cgroup", "root")))
    inside = (*inside, "--wd=/", "env", "-i")
    until = time.monotonic() + SETTLES
    answer = ""
    while time.monotonic() < until:
        answer = run(
            *inside,
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "systemctl",
            "is-system-running",
            "--wait",
            check=False,
            timeout=SETTLES,
        ).strip()
        if answer == "running":
            return
        if answer == "degraded":
            failed = run(*inside, "PATH=/usr/bin:/bin", "systemctl", "list-units", "--failed", "--plain", "--no-legend")
            tell("progress", f"{node['name']} is up, but failed units: {' / '.join(failed.split(chr(10))).strip(' /')}")
            return
        time.sleep(0.3)
    raise Failed(f"{node['name']}: systemd did not settle within {SETTLES} s ({answer or 'no answer'})")


def remove(scenario: str | None) -> None:
    """Everything of one scenario, or of the whole checkout, whatever state it is in."""
    label = f"lvs.lab={REQUEST['checkout']}"
    filters = ["--filter", f"label={label}"]
    if scenario:
        filters += ["--filter", f"label=lvs.lab.scenario={scenario}"]
    found = run(*PODMAN, "ps", "--all", "--quiet", *filters).split()
    if found:
        run(*PODMAN, "rm", "--force", "--time", "0", *found)
    prefix = f"{REQUEST['checkout']}-{scenario}-" if scenario else f"{REQUEST['checkout']}-"
    spaces = Path("/run/netns")
    for space in sorted(spaces.iterdir()) if spaces.exists() else []:
        if space.name.startswith(prefix):
            run("ip", "netns", "delete", space.name)
    where = base() / scenario if scenario else base()
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in mounted:
        if point.startswith(f"{where}/"):
            run("umount", "--lazy", point)
    shutil.rmtree(where, ignore_errors=True)
    for name in REQUEST.get("bridges", []):
        run("ip", "link", "delete", name, check=False)


def remove_everything() -> None:
    remove(None)
    mgmt = REQUEST["mgmt"]
    if mgmt["masquerade"]:
        run("nft", "delete", "table", "ip", f"lab_{REQUEST['checkout']}", check=False)
        run("ip", "link", "delete", mgmt["bridge"], check=False)
        for point in Path("/run/lvs-lab/images").glob("*"):
            run("umount", str(point), check=False)


# --- requests ---------------------------------------------------------------------------------------------------------


def for_each(action: Callable[[dict], None], nodes: list) -> None:
    """Two at a time: the machine has two cores, and the first error is the one that is shown."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=REQUEST.get("parallel", 2)) as pool:
        for job in [pool.submit(action, node) for node in nodes]:
            job.result()


def prepare() -> None:
    """What scenarios share: the first one makes it, and another that is created at the same time waits."""
    lock = Path("/run/lvs-lab/lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        mgmt_bridge()
        if any(node["internet"] for node in REQUEST["nodes"]):
            masquerade()
        for image in {node["image"] for node in REQUEST["nodes"]}:
            image_root(image)


def create() -> None:
    prepare()
    for name in REQUEST["bridges"]:
        bridge(name)
    for_each(boot, REQUEST["nodes"])
    for_each(settle, REQUEST["nodes"])


def restart() -> None:
    for_each(reboot, REQUEST["nodes"])
    for_each(settle, REQUEST["nodes"])


def cut() -> None:
    # First nobody hears them any more: the kernel of a node without processes would answer ARP and forward packets for
    # as long as podman takes to clean up.
    ports = [port_of(node, number) for node in REQUEST["nodes"] for number in range(len(node["interfaces"]) + 1)]
    run("ip", "-batch", "-", stdin="".join(f"link set {port} nomaster\n" for port in ports))
    for_each(lambda node: halt(node, 0), REQUEST["nodes"])
    for node in REQUEST["nodes"]:
        unplug(node["name"])


def start() -> None:
    for_each(wake, REQUEST["nodes"])
    for_each(settle, REQUEST["nodes"])


def status() -> None:
    listed = run(*PODMAN, "ps", "--all", "--filter", f"label=lvs.lab={REQUEST['checkout']}", "--format", "json")
    tell("status", [[entry["Names"][0], entry["State"]] for entry in json.loads(listed or "[]")])


OPERATIONS = {
    "create": create,
    "restart": restart,
    "cut": cut,
    "start": start,
    "destroy": lambda: remove(REQUEST["scenario"]),
    "clean": remove_everything,
    "status": status,
}


def main(request: dict) -> int:
    REQUEST.update(request)
    try:
        OPERATIONS[request["operation"]]()
    except Failed as error:
        tell("error", str(error))
        return 1
    tell("done", None)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
