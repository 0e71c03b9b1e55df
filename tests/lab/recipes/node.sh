#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The node with the daemons baked in: installed, none of them started unless somebody asks.
set -eu
root=$1

for unit in keepalived ipvsadm heartbeat ldirectord nftables conntrackd pacemaker corosync; do
    chroot "$root" systemctl disable "$unit.service" >/dev/null 2>&1 || true
done
rm -rf "$root"/var/lib/apt/lists/*
