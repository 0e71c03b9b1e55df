#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The way in, the same for every root file system of the lab. mmdebstrap calls it with the root directory.
set -eu
root=$1

# Root logs in by key only, and without PAM: a session through logind takes seconds under emulation.
cat >"$root/etc/ssh/sshd_config.d/lab.conf" <<'CONF'
UsePAM no
UseDNS no
PasswordAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
MaxSessions 100
MaxStartups 100
CONF
rm -f "$root"/etc/ssh/ssh_host_rsa_key* "$root"/etc/ssh/ssh_host_ecdsa_key*
