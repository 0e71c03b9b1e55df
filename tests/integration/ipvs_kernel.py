#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the IPVS modules' code against a real kernel, with ipvsadm as the judge.

Runs as root on any Linux with ip_vs, ipvsadm and Python 3.8; needs no Ansible there. It works in a network namespace of
its own, so the machine's table is not touched.

    tests/integration/ipvs_kernel.py --bundle check.pyz     # where the collection is: one file to carry over
    python3 check.pyz [NAME ...]                            # on the machine: all checks, or those named
    python3 check.pyz --record FOLDER                       # write what the kernel said, for the unit tests
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import zipapp
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

CODE = [
    *("module_utils/%s.py" % name for name in ("files", "genetlink", "kernel", "kernel_modules", "kernel_state")),
    *("module_utils/%s.py" % name for name in ("plan", "record", "states", "table")),
    *("modules/%s.py" % name for name in ("ipvs_info", "ipvs_sync", "ipvs_timeouts")),
]
CHECKS: Dict[str, Callable[[], None]] = {}
VIP = "192.0.2.1"
WEB = {"address": VIP, "port": 80, "protocol": "tcp"}


def bundle(target: str) -> None:
    """Write this script and the code it checks into one file that Python runs."""
    here = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as folder:
        for name in CODE:
            target_file = Path(folder, "ansible_collections/lvs/cluster/plugins", name)
            target_file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here.parents[2] / "plugins" / name, target_file)
        shutil.copy(here, Path(folder, "__main__.py"))
        zipapp.create_archive(folder, target)


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Register a check under its name."""
    CHECKS[function.__name__] = function
    return function


# --- the module without Ansible --------------------------------------------------------------------------------------


class Module:
    """What the module's code needs of AnsibleModule."""

    def __init__(self, check_mode: bool, params: Dict[str, Any]) -> None:
        self.params = {
            "state": "merged",
            "config": None,
            "running_config": None,
            "scope": None,
            "record": None,
            "allow_empty": True,
            "weights": "set",
            "removed": "delete",
            **params,
        }
        self.check_mode = check_mode
        self._diff = True
        self.warnings: List[str] = []

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warnings.append(text)


def run(check_mode: bool = False, **params: Any) -> Dict[str, Any]:
    """Run the ipvs module; its result, or what it raises."""
    from ansible_collections.lvs.cluster.plugins.module_utils import states

    module = Module(check_mode, params)
    result = states.run(module)
    return {**result, "warnings": module.warnings}


def set_table(config: List[Dict[str, Any]], **params: Any) -> Dict[str, Any]:
    """Make the table exactly config; check mode must have said the same before."""
    params = {"state": "overridden", "scope": "all", "config": config, **params}
    said = run(True, **params)
    did = run(**params)
    assert said == did, "check mode said %s, the run did %s" % (said, did)
    again = run(**params)
    assert not again["changed"], "the second run changes %s" % again["commands"]
    return did


def run_other(name: str, check_mode: bool = False, **params: Any) -> Dict[str, Any]:
    """Run one of the smaller modules; its result, or what it raises."""
    # All they need of Ansible is the class that reads their parameters.
    basic = types.ModuleType("ansible.module_utils.basic")
    basic.AnsibleModule = Module  # type: ignore[attr-defined]
    sys.modules.setdefault("ansible", types.ModuleType("ansible"))
    sys.modules.setdefault("ansible.module_utils", types.ModuleType("ansible.module_utils"))
    sys.modules.setdefault("ansible.module_utils.basic", basic)
    code = importlib.import_module("ansible_collections.lvs.cluster.plugins.modules." + name)
    module = Module(check_mode, {})
    module.params = {**dict.fromkeys(code.ARGUMENTS), **params}
    result: Dict[str, Any] = code.run(module)
    return result


# --- the judge -------------------------------------------------------------------------------------------------------


def ipvsadm(arguments: str, text: Optional[str] = None) -> str:
    """Run ipvsadm; its output. It fails on any complaint: its exit status alone hides some."""
    done = subprocess.run(["ipvsadm", *arguments.split()], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, "ipvsadm %s: %s" % (arguments, done.stderr)
    return done.stdout


def judged() -> List[str]:
    """Return the table as ipvsadm sees it, one line a row, thresholds included, marks as the numbers they are."""
    limits = thresholds()
    lines = []
    for line in ipvsadm("-Sn").splitlines():
        words = line.split()
        if words[1] == "-f":
            words[2] = str(int(words[2]) & 0xFFFFFFFF)
        if words[0] == "-a":
            upper, lower = limits[(" ".join(words[1 : words.index("-r")]), words[words.index("-r") + 1])]
            words += (["-x", upper] if upper != "0" else []) + (["-y", lower] if lower != "0" else [])
        lines.append(" ".join(words))
    return normal(lines)


def thresholds() -> Dict[Any, Any]:
    """Return the thresholds ipvsadm lists, which it does not save: (service words, real server) -> (upper, lower)."""
    found = {}
    name = ""
    for line in ipvsadm("-Ln --thresholds").splitlines()[3:]:
        words = line.split()
        if words[0] == "->":
            found[(name, words[1])] = (words[2], words[3])
        elif words[0] == "FWM":
            name = "-f %d%s" % (int(words[1]) & 0xFFFFFFFF, " -6" if "IPv6" in words else "")
        else:
            name = {"TCP": "-t ", "UDP": "-u ", "SCTP": "--sctp-service "}[words[0]] + words[1]
    return found


def normal(lines: List[str]) -> List[str]:
    """Sort rows, and the options in them, so that two ways of saying the same compare equal."""
    return sorted(" ".join(sorted(line.replace(" -", "\n-").split("\n"))) for line in lines)


def ours(config: List[Dict[str, Any]]) -> List[str]:
    """Return the rows that config means, in the judge's form."""
    return normal(run(state="rendered", config=config)["rendered"].splitlines())


def agree(config: List[Dict[str, Any]]) -> None:
    """Demand that ipvsadm sees exactly config."""
    seen, meant = judged(), ours(config)
    assert seen == meant, "ipvsadm sees\n  %s\nmeant was\n  %s" % ("\n  ".join(seen), "\n  ".join(meant))


# --- tables ----------------------------------------------------------------------------------------------------------

BY_HAND = """\
-A -t 192.0.2.1:80 -s sh -b sh-fallback,sh-port
-a -t 192.0.2.1:80 -r 198.51.100.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.0.2.1:80 -r 198.51.100.4:80 -i -w 1 --tun-type gre --tun-csum
-a -t 192.0.2.1:80 -r 198.51.100.5:80 -i -w 0 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 192.0.2.1:80 -r 198.51.100.6:80 -g -w 65535
-a -t 192.0.2.1:80 -r [2001:db8::9]:80 -i -w 1 --tun-type ipip
-a -t 192.0.2.1:80 -r 127.0.0.1:8080 -m -w 1 -x 9 -y 4
-A -t 192.0.2.1:81 -s mh -b mh-port
-A -t 192.0.2.1:82 -s wrr -b flag-1,flag-3
-A -t 192.0.2.1:0 -s wlc -p 360
-a -t 192.0.2.1:0 -r 198.51.100.6:0 -g -w 1
-A -u 192.0.2.1:53 -s wlc -p 20 -M 255.255.255.0 -o
-A -u 192.0.2.1:5060 -s wlc -p 20 --pe sip
-A --sctp-service 192.0.2.1:99 -s nq
-A -t [2001:db8::1]:80 -s wlc -p 100 -M 64
-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -i -w 1 -x 5 --tun-type ipip
-A -f 7 -6 -s lc -p 30 -M 64
-A -f 7 -s sed
-a -f 7 -r 198.51.100.6:0 -g -w 1
-A -f 4155573216 -s rr
"""


def random_config(rng: random.Random) -> List[Dict[str, Any]]:
    """Return a config of a few random services that ipvsadm can show."""
    rows: Dict[Any, Dict[str, Any]] = {}
    for _number in range(rng.randrange(6)):
        row: Dict[str, Any] = {"scheduler": rng.choice(["rr", "wrr", "lc", "wlc", "sh", "mh"])}
        six = rng.random() < 0.4
        if rng.random() < 0.3:
            row.update(fwmark=rng.choice([1, 2, 2**32 - 1]), family="ipv6" if six else "ipv4")
            key: Any = (row["fwmark"], six)
        else:
            row.update(
                address=rng.choice(["2001:db8::1", "2001:db8::2"] if six else ["192.0.2.1", "192.0.2.2"]),
                port=rng.choice([53, 80]),
                protocol=rng.choice(["tcp", "udp", "sctp"]),
            )
            key = (row["address"], row["port"], row["protocol"])
        row["one_packet"] = rng.random() < 0.2 and row.get("protocol", "udp") == "udp"
        if rng.random() < 0.4:
            mask = rng.choice([1, 64, 128]) if six else rng.choice([8, 24, 32, "255.0.255.0"])
            row["persistence"] = {"timeout": rng.choice([1, 300, 2678400]), "netmask": mask}
        # ipvsadm 1.31 shows flag-3 of neither sh nor mh.
        if rng.random() < 0.3 and row["scheduler"] not in ("sh", "mh"):
            row["scheduler_flags"] = rng.choice([["flag-1"], ["flag-2", "flag-3"]])
        row["real_servers"] = random_real_servers(rng, row, six)
        rows[key] = row
    return list(rows.values())


def random_real_servers(rng: random.Random, row: Dict[str, Any], six: bool) -> List[Dict[str, Any]]:
    """Return a few random real servers for a service."""
    chosen: Dict[Any, Dict[str, Any]] = {}
    for _number in range(rng.randrange(5)):
        forward = rng.choice(["nat", "dr", "tun"])
        other = forward == "tun" and rng.random() < 0.3
        base = "2001:db8:1::%d" if six != other else "198.51.100.%d"
        port = row.get("port", 0)
        if forward == "nat":
            port = rng.choice([port, 8080])
        server = {
            "address": base % rng.randrange(1, 6),
            "port": port,
            "forward": forward,
            "weight": rng.choice([0, 1, 65535]),
            "upper_threshold": rng.choice([0, 10]),
        }
        server["lower_threshold"] = rng.choice([0, 5]) if server["upper_threshold"] else 0
        if forward == "tun":
            server["tunnel"] = rng.choice(
                [{"type": "ipip"}, {"type": "gue", "port": 6080}, {"type": "gre", "checksum": "csum"}]
            )
        chosen[(server["address"], port)] = server
    return list(chosen.values())


def large_config(services: int, servers: int) -> List[Dict[str, Any]]:
    """Return a config of many rows."""
    return [
        {
            "address": "192.0.%d.%d" % (2 + number // 250, number % 250 + 1),
            "port": 80,
            "real_servers": [{"address": "198.51.100.%d" % (n + 1), "weight": 1} for n in range(servers)],
        }
        for number in range(services)
    ]


# --- checks ----------------------------------------------------------------------------------------------------------


@check
def what_ipvsadm_writes_is_read_exactly() -> None:
    ipvsadm("-R", BY_HAND)
    config = run(state="gathered")["gathered"]
    assert ours(config) == normal(BY_HAND.splitlines())
    agree(config)
    for state in ("merged", "replaced", "overridden"):
        again = run(state=state, scope="all", config=config)
        assert not again["changed"], again["commands"]


@check
def what_we_write_ipvsadm_prints() -> None:
    config = run(state="parsed", running_config=BY_HAND)["parsed"]
    set_table(config)
    agree(config)
    assert judged() == normal(BY_HAND.splitlines())


@check
def random_tables_follow_one_another() -> None:
    rng = random.Random(1)
    for _number in range(20):
        config = random_config(rng)
        set_table(config)
        agree(config)


@check
def merged_and_deleted_follow_the_plan() -> None:
    rng = random.Random(2)
    for number in range(20):
        config = random_config(rng)
        params = {"state": ["merged", "replaced", "deleted"][number % 3], "config": config, "scope": "all"}
        said = run(True, **params)
        did = run(**params)
        assert said == did
        agree(run(state="gathered")["gathered"])
        if did["changed"]:
            assert not run(**params)["changed"]


@check
def a_table_read_and_written_back_is_the_same() -> None:
    ipvsadm("-R", BY_HAND)
    first = run(state="gathered")["gathered"]
    before = judged()
    ipvsadm("-C")
    run(config=first)
    assert judged() == before
    assert sorted(map(repr, run(state="gathered")["gathered"])) == sorted(map(repr, first))


@check
def ipvsadm_restores_our_record() -> None:
    record = record_path()
    config = run(state="parsed", running_config=BY_HAND)["parsed"]
    run(state="overridden", record=record, config=config)
    before = judged()
    assert os.stat(record).st_mode & 0o777 == 0o600
    ipvsadm("-C")
    ipvsadm("-R", Path(record).read_text(encoding="ascii"))
    assert judged() == before


@check
def only_what_is_recorded_is_removed() -> None:
    record = record_path()
    ipvsadm("-A -t 192.0.2.9:80 -s rr")
    run(state="overridden", record=record, config=[{**WEB, "real_servers": [{"address": "198.51.100.1"}]}])
    ipvsadm("-a -t %s:80 -r 198.51.100.9:80 -g" % VIP)
    run(state="overridden", record=record, config=[])
    assert judged() == normal(
        [
            "-A -t 192.0.2.9:80 -s rr",
            "-A -t %s:80 -s wlc" % VIP,
            "-a -t %s:80 -r 198.51.100.9:80 -g -w 1" % VIP,
        ]
    )
    assert not os.path.exists(record)


@check
def a_run_that_was_killed_is_mended_by_the_next() -> None:
    record = record_path()
    ipvsadm("-A -t 192.0.2.253:99 -s rr")
    foreign = judged()
    old, new = large_config(500, 20), large_config(1000, 10)
    run(state="overridden", record=record, config=old)
    killed = 0
    for delay in (0.05, 0.2, 0.4, 0.6, 1.0):
        child = os.fork()
        if child == 0:
            run(state="overridden", record=record, config=new)
            os._exit(0)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert killed, "no run was slow enough to be killed"
    run(state="overridden", record=record, config=new)
    assert judged() == sorted(foreign + ours(new))
    run(state="deleted", record=record)
    assert judged() == foreign


@check
def two_writers_end_in_an_error_or_the_right_table() -> None:
    from ansible_collections.lvs.cluster.plugins.module_utils import kernel

    config = large_config(40, 5)
    rows = [row for row in run(state="rendered", config=config)["rendered"].splitlines() if row.startswith("-a")]
    stop = threading.Event()
    worker = threading.Thread(target=race, args=(rows, stop))
    worker.start()
    errors = 0
    try:
        for _number in range(20):
            try:
                run(state="overridden", scope="all", config=config)
                run(state="overridden", scope="all", config=config[:20])
            except (kernel.Refused, kernel.KernelError):
                errors += 1
    finally:
        stop.set()
        worker.join()
    run(state="overridden", scope="all", config=config)
    agree(config)
    print("    %d of 40 runs ended in an error" % errors, end="")


def race(rows: List[str], stop: threading.Event) -> None:
    """Add and delete rows behind the module's back."""
    rng = random.Random(3)
    while not stop.is_set():
        row = rng.choice(rows)
        words = row.split()
        service = "-A %s %s" % (words[1], words[2])
        for line in (service, row, "-d %s" % " ".join(words[1:5]), "-D %s %s" % (words[1], words[2])):
            subprocess.run(["ipvsadm", *line.split()], capture_output=True, check=False)


@check
def an_open_connection_survives_every_edit() -> None:
    with echo_server(8001) as port, connection(port) as talk:
        talk()
        base = {**WEB, "port": 8000}
        server = {"address": "127.0.0.1", "port": port, "forward": "nat"}
        for edit in (
            {"scheduler": "rr"},
            {"scheduler": "sh", "scheduler_flags": ["sh-port"]},
            {"persistence": {"timeout": 60, "netmask": 24}},
            {"persistence": False},
            {"real_servers": [{**server, "weight": 7}]},
            {"real_servers": [{**server, "upper_threshold": 100, "lower_threshold": 50}]},
            {"real_servers": [{**server, "weight": 0}]},
            {"real_servers": [{**server, "weight": 1}]},
        ):
            assert run(config=[{**base, **edit}])["changed"], edit
            talk()
        run(state="overridden", scope="all", config=[{**base, "scheduler": "wrr", "real_servers": [server]}])
        talk()


@check
def a_busy_real_server_is_quiesced_then_deleted() -> None:
    record = record_path()
    base = {**WEB, "port": 8000, "scheduler": "rr"}
    asked = {"state": "overridden", "record": record, "removed": "quiesce"}
    with echo_server(8002) as port, connection(port) as talk:
        server = {"address": "127.0.0.1", "port": port, "forward": "nat"}
        run(config=[{**base, "real_servers": [server]}], **asked)
        talk()
        result = run(config=[{**base, "real_servers": []}], **asked)
        assert result["commands"] == ["ipvsadm -e -t 192.0.2.1:8000 -r 127.0.0.1:%d -m -w 0" % port], result
        assert not run(config=[{**base, "real_servers": []}], **asked)["changed"]
        talk()
    for _attempt in range(100):
        result = run(config=[{**base, "real_servers": []}], **asked)
        if result["changed"]:
            break
        time.sleep(0.2)
    assert result["commands"] == ["ipvsadm -d -t 192.0.2.1:8000 -r 127.0.0.1:%d" % port], result


@check
def a_refusal_names_the_action_and_its_cause() -> None:
    from ansible_collections.lvs.cluster.plugins.module_utils import kernel

    for config, words in (
        ([{**WEB, "scheduler": "nosuch"}], "-A -t 192.0.2.1:80 -s nosuch: No such file or directory (ENOENT)"),
        ([{**WEB, "real_servers": [{"address": "224.0.0.1"}]}], "-r 224.0.0.1:80 -g -w 1: Invalid argument (EINVAL)"),
    ):
        try:
            run(config=config)
        except kernel.Refused as error:
            assert words in str(error), error
        else:
            raise AssertionError("the kernel took %s" % config)
    run(config=[{**WEB, "scheduler": "rr", "real_servers": [{"address": "198.51.100.1"}]}])
    agree([{**WEB, "scheduler": "rr", "real_servers": [{"address": "198.51.100.1"}]}])


@check
def rows_that_cannot_be_said_are_left_alone() -> None:
    from ansible_collections.lvs.cluster.plugins.module_utils import kernel
    from ansible_collections.lvs.cluster.plugins.module_utils import table as t
    from ansible_collections.lvs.cluster.plugins.module_utils.plan import Action

    service = t.default_service((t.AF_INET, 6, t.parse_address(VIP), 0, 0))
    ipvs = kernel.load()
    ipvs.apply([Action("-A", service), Action("-A", service._replace(protocol=1, port=7))], [])
    result = run(state="overridden", scope="all", config=[])
    assert not result["changed"]
    assert sorted(row["row"] for row in result["unsupported"]) == ["protocol 1 192.0.2.1:7", "tcp 192.0.2.1:0"]


@check
def without_the_privilege_the_error_says_so() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            run(state="gathered")
            text = "it worked"
        except Exception as error:
            text = "%s: %s" % (type(error).__name__, error)
        os.write(writer, text.encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reader, 4096).decode()
    assert text.startswith("KernelError: ") and "CAP_NET_ADMIN" in text, text


@check
def timeouts_are_what_ipvsadm_lists() -> None:
    for asked, line in (
        ({"tcp": 901, "tcp_fin": 121, "udp": 301}, "901 121 301"),
        ({"tcp": 0, "udp": 17}, "901 121 17"),
        ({"tcp": 900, "tcp_fin": 120, "udp": 300}, "900 120 300"),
    ):
        said, did = run_other("ipvs_timeouts", True, **asked), run_other("ipvs_timeouts", **asked)
        assert said == did and did["changed"]
        assert ipvsadm("-Ln --timeout").strip() == "Timeout (tcp tcpfin udp): " + line
        assert not run_other("ipvs_timeouts", **asked)["changed"]
        assert run_other("ipvs_info", gather=["timeouts"])["timeouts"] == did["after"]


@check
def sync_daemons_are_what_ipvsadm_lists() -> None:
    def sync(**params: Any) -> Dict[str, Any]:
        params.setdefault("state", "present")
        said = run_other("ipvs_sync", True, **params)
        did = run_other("ipvs_sync", **params)
        assert (said["changed"], said["commands"]) == (did["changed"], did["commands"])
        if params["state"] == "present":
            assert not run_other("ipvs_sync", **params)["changed"]
        return did

    master = {"daemon": "master", "interface": "lo", "sync_id": 7}
    assert sync(**master)["changed"]
    assert listed() == ["master sync daemon (mcast=lo, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"]
    time.sleep(0.2)
    moved = sync(**master, group="239.1.2.3", port=9999, ttl=5, max_length=1000)
    assert moved["restarted"]
    assert moved["commands"][0] == "ipvsadm --stop-daemon master"
    assert sync(daemon="backup", interface="lo", sync_id=8)["changed"]
    lines = listed()
    assert lines[0] == "master sync daemon (mcast=lo, syncid=7, maxlen=1000, group=239.1.2.3, port=9999, ttl=5)"
    assert lines[1].startswith("backup sync daemon (mcast=lo, syncid=8, ")
    assert not sync(daemon="master")["changed"], "what is not named must stay"
    assert len(run_other("ipvs_info", gather=["daemons"])["daemons"]) == 2
    time.sleep(0.2)
    for daemon in ("master", "backup"):
        assert sync(daemon=daemon, state="absent")["changed"]
        assert not sync(daemon=daemon, state="absent")["changed"]
    assert listed() == []
    sync(**master)
    assert sync(daemon="master", state="absent")["changed"], "stopped as soon as started"
    assert listed() == []
    ipvsadm("--start-daemon backup --mcast-interface lo --syncid 9")
    assert run_other("ipvs_info", gather=["daemons"])["daemons"][0]["sync_id"] == 9
    time.sleep(0.2)
    sync(daemon="backup", state="absent")
    for params, words in (
        ({"daemon": "master", "interface": "nosuch0"}, "No such device: there is no interface nosuch0"),
        ({"daemon": "master", "interface": "lo", "group": "192.0.2.1"}, "is no multicast address"),
    ):
        try:
            sync(**params)
        except Exception as error:
            assert words in str(error), error
        else:
            raise AssertionError("the kernel took %s" % params)


def listed() -> List[str]:
    """Return the sync daemons as ipvsadm lists them, without trailing blanks."""
    return [line.strip() for line in ipvsadm("-Ln --daemon").splitlines() if line.strip()]


@check
def info_counts_connections() -> None:
    with echo_server(8003) as port, connection(port) as talk:
        talk()
        info = run_other(
            "ipvs_info",
            gather=["connections", "services", "schedulers"],
            limit=10,
            connections={"real_server": "127.0.0.1", "state": "ESTABLISHED"},
        )
        assert info["available"] and info["version"] == "1.2.1", info
        assert info["connection_count"] == 1
        (found,) = info["connections"]
        assert (found["address"], found["port"], found["real_server_port"]) == (VIP, 8000, port)
        assert "wlc" in info["schedulers"]["loaded"]
        assert not run(config=info["services"])["changed"]
        for _attempt in range(50):
            (service,) = run_other("ipvs_info", gather=["statistics"])["statistics"]
            line = ipvsadm("-Ln --stats --exact").splitlines()[3].split()
            counted = [service[name] for name in ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")]
            # The kernel may sum its counters up between the two.
            if service["in_packets"] and [int(word) for word in line[2:]] == counted:
                break
            time.sleep(0.2)
        else:
            raise AssertionError((line, service))
        assert service["connections"] == 1 and service["in_bytes"] > 0, service
        assert service["real_servers"][0]["active"] == 1


# --- helpers ---------------------------------------------------------------------------------------------------------


def record_path() -> str:
    """Return the path of a record that does not exist yet, in a folder that does not either."""
    return os.path.join(tempfile.mkdtemp(prefix="ipvs-check-"), "lvs", "table.ipvs")


class echo_server:
    """A TCP server on the loopback that says back what it hears."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", port))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return self.port

    def __exit__(self, *_exception: Any) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._echo, args=(peer,), daemon=True).start()

    def _echo(self, peer: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), peer:
            for data in iter(lambda: peer.recv(100), b""):
                peer.sendall(data)


class connection:
    """A connection through the virtual service to a server on port; talk() fails when it is broken."""

    def __init__(self, port: int) -> None:
        server = {"address": "127.0.0.1", "port": port, "forward": "nat"}
        run(config=[{**WEB, "port": 8000, "real_servers": [server]}])
        self.sock = socket.create_connection((VIP, 8000), timeout=5)

    def __enter__(self) -> Callable[[], None]:
        return self._talk

    def _talk(self) -> None:
        self.sock.sendall(b"still there?")
        assert self.sock.recv(100) == b"still there?"

    def __exit__(self, *_exception: Any) -> None:
        # A reset ends the kernel's connection entry in seconds; an orderly end keeps it for two minutes.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Tape:
    """A socket that writes down what goes through it."""

    def __init__(self, sock: socket.socket, tape: List[List[str]]) -> None:
        self.sock = sock
        self.tape = tape

    def send(self, data: bytes) -> int:
        """Send and note."""
        self.tape.append(["send", data.hex()])
        return self.sock.send(data)

    def recv_into(self, view: Any) -> int:
        """Receive and note."""
        size = self.sock.recv_into(view)
        self.tape.append(["recv", bytes(view[:size]).hex()])
        return size

    def settimeout(self, seconds: float) -> None:
        """Set the timeout."""
        self.sock.settimeout(seconds)

    def close(self) -> None:
        """Close."""
        self.sock.close()


def taped() -> Any:
    """Return a connection to the kernel, and the tape that everything said on it is written to."""
    from ansible_collections.lvs.cluster.plugins.module_utils import genetlink, kernel

    tape: List[List[str]] = []
    sock = genetlink.Socket(Tape(genetlink.open_socket(30), tape))
    return kernel.Ipvs(sock, sock.family(kernel.FAMILY)), tape


def record_tapes(folder: str) -> None:
    """Write two talks with the kernel down, and what was understood."""
    ipvsadm("-C")
    write_tape(folder, "ipvs_tape.json", record_table())
    ipvsadm("-C")
    write_tape(folder, "ipvs_state_tape.json", record_state())


def write_tape(folder: str, name: str, content: Dict[str, Any]) -> None:
    """Write one tape with where it comes from."""
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        json.dump({"kernel": os.uname().release, "byteorder": sys.byteorder, **content}, file, indent=0)
        file.write("\n")


def record_table() -> Dict[str, Any]:
    """Apply a table, read it back, be refused."""
    from ansible_collections.lvs.cluster.plugins.module_utils import kernel, plan
    from ansible_collections.lvs.cluster.plugins.module_utils import table as t

    ipvs, tape = taped()
    table = t.parse_saved(BY_HAND)
    made = plan.make_plan(plan.Order("merged", t.parse_config([t.to_config(e) for e in table.values()])), ipvs.read())
    ipvs.apply(made.build, made.remove)
    seen = ipvs.read()
    bad = plan.Action("-A", t.default_service((t.AF_INET, 6, t.parse_address(VIP), 9, 0))._replace(scheduler="nosuch"))
    refused = ""
    try:
        ipvs.apply([bad], [])
    except kernel.Refused as error:
        refused = str(error)
    return {"text": BY_HAND, "tape": tape, "table": t.render(seen.table), "refused": refused}


def record_state() -> Dict[str, Any]:
    """Use a service; read and set what is beside the table."""
    from ansible_collections.lvs.cluster.plugins.module_utils import kernel_state as ks

    with echo_server(8004) as port, connection(port) as talk:
        talk()
        time.sleep(3)
        ipvs, tape = taped()
        statistics = ks.read_statistics(ipvs)
    info = ks.read_info(ipvs)
    ks.write_timeouts(ipvs, {"tcp": 901, "udp": 301})
    timeouts = ks.read_timeouts(ipvs)
    ks.start_daemon(ipvs, ks.Daemon("master", "lo", 7, 1000, bytes([239, 1, 2, 3]), 9999, 5))
    ks.start_daemon(ipvs, ks.Daemon("backup", "lo", 8))
    time.sleep(0.5)
    daemons = [daemon.config() for daemon in ks.read_daemons(ipvs).values()]
    for role in ("master", "backup"):
        ks.stop_daemon(ipvs, role)
    return {"tape": tape, "statistics": statistics, "info": info, "timeouts": timeouts, "daemons": daemons}


def selected(names: List[str]) -> Iterator[str]:
    """Yield the names of the checks to run."""
    for name in names or list(CHECKS):
        if name not in CHECKS:
            raise SystemExit("no check %s; there are %s" % (name, ", ".join(CHECKS)))
        yield name


def main() -> int:
    """Run the checks in a network namespace of their own; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--record")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.bundle:
        bundle(options.bundle)
        return 0
    if os.environ.get("IPVS_CHECK_NAMESPACE") != "own":
        os.environ["IPVS_CHECK_NAMESPACE"] = "own"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    for line in ("link set lo up", "address add %s/32 dev lo" % VIP):
        subprocess.run(["ip", *line.split()], check=True)
    if options.record:
        record_tapes(options.record)
        return 0
    failed = 0
    for name in selected(options.names):
        ipvsadm("-C")
        start = time.monotonic()
        print("%s" % name, end="", flush=True)
        try:
            CHECKS[name]()
            print("  ok %.1f s" % (time.monotonic() - start))
        except Exception as error:
            failed += 1
            print("  FAILED: %s: %s" % (type(error).__name__, error))
    ipvsadm("-C")
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
