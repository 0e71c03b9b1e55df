# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules a kernel has."""

from __future__ import annotations

import os

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import kernel_modules as km


@pytest.fixture
def root(tmp_path):
    """A host whose kernel has rr built in, wlc loaded, mh and the engine sip on its disk, and no twos."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "modules").write_text("ip_vs_wlc 16384 2 - Live 0x0\nip_vs 1 1 ip_vs_wlc, Live 0x0\n")
    folder = tmp_path / "lib" / "modules" / os.uname().release
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko.xz\n"
        "kernel/net/netfilter/ipvs/ip_vs_mh.ko.zst: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
        "\n"
        "updates/ip-vs-pe-sip.ko:\n"
    )
    (folder / "modules.builtin").write_text("kernel/net/netfilter/ipvs/ip_vs_rr.ko\n")
    return tmp_path


def test_what_is_nowhere_is_lacking(root):
    wanted = ["ip_vs_rr", "ip_vs_wlc", "ip_vs_mh", "ip_vs_twos", "ip_vs_pe_sip"]
    assert km.lacking(wanted, str(root)) == ["ip_vs_twos"]
    assert km.lacking([], str(root)) == []


def test_where_nobody_lists_modules_the_kernel_decides(root, tmp_path):
    assert km.lacking(["ip_vs_twos"], str(tmp_path / "container")) == []


def test_a_list_that_does_not_know_ipvs_is_not_this_kernels(root):
    (root / "lib" / "modules" / os.uname().release / "modules.dep").write_text("kernel/lib/libcrc32c.ko:\n")
    assert km.lacking(["ip_vs_twos"], str(root)) == []


def test_what_a_service_makes_the_kernel_load():
    assert km.of_service("wlc") == ["ip_vs_wlc"]
    assert km.of_service("none", "sip") == ["ip_vs_pe_sip"]
