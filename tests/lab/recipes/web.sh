#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The web server of the lab's real servers: says who answers and whom it sees, on every address. It starts when somebody
# asks for it. mmdebstrap calls it with the root directory.
set -eu
root=$1

chroot "$root" systemctl disable nginx.service >/dev/null 2>&1 || true
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
