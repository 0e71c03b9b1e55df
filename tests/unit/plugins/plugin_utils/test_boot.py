# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader's own work, with the commands it calls replaced by ones that write down how they were called."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from ansible_collections.lvs.cluster.plugins.plugin_utils import boot

RECORD = """\
# a comment
module no_such_module
link lvs0 type dummy
up lvs0
gue port 6080
gue port 6080 -6
address 192.0.2.10/32 dev lo (was present)
route -4 default via 192.0.2.1 table 5010 (was -4 default via 192.0.2.9 table 5010)
rule -4 from 192.0.2.2 lookup 5010 priority 5010
"""


@pytest.fixture
def host(tmp_path):
    """A folder with the loader, and a PATH whose ip, modprobe, ipvsadm and nft note their words."""
    (tmp_path / "load").write_text(boot.LOADER_CONTENT)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ip", "modprobe", "ipvsadm", "nft"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n. {tmp_path}/{name}.does\n')
        tool.chmod(0o755)
        (tmp_path / f"{name}.does").write_text("")
    return tmp_path


def load(host: pathlib.Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess:
    path = f"{host}/bin:{path}"
    return subprocess.run(["/bin/sh", host / "load"], env={"PATH": path}, capture_output=True, text=True, check=False)


def test_everything_is_put_back_in_order(host):
    (host / "realserver.record").write_text(RECORD)
    (host / "table.ipvs").write_text("-A -t 192.0.2.10:80 -s rr\n")
    done = load(host)
    assert (done.returncode, done.stderr) == (0, "")
    assert (host / "calls").read_text().splitlines() == [
        "modprobe no_such_module",
        "ip link add lvs0 type dummy",
        "ip link set lvs0 up",
        "ip fou show",
        "ip fou add port 6080 gue",
        "ip fou show",
        "ip fou add port 6080 -6 gue",
        "ipvsadm -R",
        "ip address replace 192.0.2.10/32 dev lo",
        "ip -4 route replace default via 192.0.2.1 table 5010",
        "ip -4 rule add from 192.0.2.2 lookup 5010 priority 5010",
    ]


def test_marks_are_loaded_before_the_table_that_counts_them(host):
    (host / "director.record").write_text("packets inet lvs_director mark_1a2b3c4d 1\naddress 192.0.2.10/32 dev lo\n")
    (host / "director.nft").write_text("table inet lvs_director\n")
    (host / "table.ipvs").write_text("-A -f 7 -s rr\n")
    done = load(host)
    assert (done.returncode, done.stderr) == (0, "")
    assert (host / "calls").read_text().splitlines() == [
        "nft -f director.nft",
        "ipvsadm -R",
        "ip address replace 192.0.2.10/32 dev lo",
    ]


def test_packets_for_addresses_that_nobody_holds_are_taken_in_again(host):
    (host / "director.record").write_text(
        "route -4 local default dev lo table 5020\n"
        "rule -4 fwmark 0x63 iif lo lookup 254 priority 5019\n"
        "rule -4 fwmark 0x63 lookup 5020 priority 5020\n"
    )
    assert load(host).returncode == 0
    assert (host / "calls").read_text().splitlines() == [
        "ip -4 route replace local default dev lo table 5020",
        "ip -4 rule add fwmark 0x63 iif lo lookup 254 priority 5019",
        "ip -4 rule add fwmark 0x63 lookup 5020 priority 5020",
    ]


def test_marks_that_cannot_be_loaded_are_said_and_the_rest_still_done(host):
    (host / "director.nft").write_text("table inet lvs_director\n")
    (host / "director.record").write_text("address 192.0.2.10/32 dev lo\n")
    (host / "nft.does").write_text("echo 'Operation not supported' >&2; exit 1\n")
    done = load(host)
    assert (done.returncode, done.stderr) == (1, "lvs-cluster: director.nft: Operation not supported\n")
    assert "ip address replace 192.0.2.10/32 dev lo" in (host / "calls").read_text()


def test_marks_without_nft_are_said(host, tmp_path):
    (host / "director.nft").write_text("table inet lvs_director\n")
    (host / "bin" / "nft").unlink()
    (tmp_path / "tools").mkdir()
    for name in ("awk", "cat", "dirname", "sed", "tr"):
        (tmp_path / "tools" / name).symlink_to(shutil.which(name))
    assert load(host, f"{tmp_path}/tools").stderr == "lvs-cluster: director.nft: nft is not installed\n"


def test_two_roles_that_share_an_object_load_it_once(host):
    (host / "realserver.record").write_text("address 192.0.2.10/32 dev lo\n")
    (host / "director.record").write_text("address 192.0.2.10/32 dev lo (was present)\n")
    load(host)
    assert (host / "calls").read_text().splitlines() == ["ip address replace 192.0.2.10/32 dev lo"]


def test_a_port_that_unpacks_gue_already_is_not_added_again(host):
    (host / "realserver.record").write_text("gue port 6080\ngue port 6080 -6\n")
    (host / "ip.does").write_text('[ "$2" = show ] && echo "port 6080 gue -6"; exit 0\n')
    assert load(host).returncode == 0
    calls = (host / "calls").read_text().splitlines()
    assert [call for call in calls if "add" in call] == ["ip fou add port 6080 gue"]


def test_an_empty_folder_is_no_failure(host):
    assert load(host).returncode == 0


def test_what_is_there_already_is_no_failure(host):
    (host / "realserver.record").write_text(RECORD)
    (host / "ip.does").write_text("echo 'RTNETLINK answers: File exists' >&2; exit 2\n")
    assert load(host).returncode == 0


def test_a_failure_is_said_and_the_rest_still_done(host):
    (host / "realserver.record").write_text(RECORD)
    (host / "modprobe.does").write_text("echo 'no such module' >&2; exit 1\n")
    done = load(host)
    assert done.returncode == 1
    assert done.stderr == "lvs-cluster: modprobe no_such_module: no such module\n"
    assert "address replace" in (host / "calls").read_text()


def test_a_row_that_the_kernel_refuses_is_a_failure_although_ipvsadm_exits_0(host):
    (host / "table.ipvs").write_text("-A -t 192.0.2.10:80 -s nonsense\n")
    (host / "ipvsadm.does").write_text("echo 'Service not defined' >&2\n")
    done = load(host)
    assert done.returncode == 1
    assert "table.ipvs: Service not defined" in done.stderr


def test_a_sysctl_of_an_interface_with_a_dot_finds_its_file(host):
    (host / "director.record").write_text("sysctl net.no/such.key = 1\n")
    done = load(host)
    assert done.stderr == "lvs-cluster: sysctl net.no/such.key = 1: cannot be set\n"


def test_what_nftables_has_flushed_is_loaded_again_each_time(host):
    commands = re.findall(r"^(Exec\w+)=-/bin/sh -c '(.*)'$", boot.NFTABLES_DROP_IN_CONTENT, re.MULTILINE)
    assert [verb for verb, _ in commands] == ["ExecStartPost", "ExecReload", "ExecStopPost"]
    (host / "director.nft").write_text("table inet lvs_director\n")
    (host / "realserver.nft").write_text("")
    for _, command in commands:
        # What systemd makes of it.
        script = command.replace("$$", "$").replace(boot.FOLDER, str(host))
        subprocess.run(["/bin/sh", "-c", script], env={"PATH": f"{host}/bin:{os.environ['PATH']}"}, check=True)
    assert (host / "calls").read_text().splitlines() == [f"nft -f {host}/director.nft"] * 3
