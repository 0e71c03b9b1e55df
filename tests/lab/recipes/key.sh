#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# For what boots as a machine: the public key of the checkout comes with the kernel's command line, because the image is
# shared by all checkouts. mmdebstrap calls it with the root directory.
set -eu
root=$1

cat >"$root/usr/local/sbin/lab-key" <<'CONF'
#!/bin/sh
exec sed -n 's/.*lab\.key=\([^ ]*\).*/ssh-ed25519 \1/p' /proc/cmdline
CONF
chmod 755 "$root/usr/local/sbin/lab-key"
cat >"$root/etc/ssh/sshd_config.d/lab-key.conf" <<'CONF'
AuthorizedKeysCommand /usr/local/sbin/lab-key
AuthorizedKeysCommandUser nobody
CONF
