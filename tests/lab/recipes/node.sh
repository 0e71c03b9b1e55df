#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The node with the daemons baked in: installed, none of them started unless somebody asks.
set -eu
root=$1

for unit in nginx keepalived ipvsadm heartbeat ldirectord nftables conntrackd pacemaker corosync; do
    chroot "$root" systemctl disable "$unit.service" >/dev/null 2>&1 || true
done

# The real server of the lab: says who answers and whom it sees, on every address.
rm -f "$root"/etc/nginx/sites-enabled/default
cat >"$root/etc/nginx/conf.d/lab.conf" <<'CONF'
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    default_type text/plain;
    keepalive_timeout 600s;
    keepalive_requests 100000;
    access_log /var/log/nginx/access.log;
    location / { return 200 "$hostname $remote_addr\n"; }
}
CONF
sed -i 's/^worker_processes .*/worker_processes 1;/' "$root/etc/nginx/nginx.conf"
rm -rf "$root"/var/lib/apt/lists/*
