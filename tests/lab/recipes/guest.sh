#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What every root file system of the lab has in common. mmdebstrap calls it with the root directory.
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

# Nobody sits at a console, and nothing may start by the clock in the middle of a measurement.
for unit in getty.target console-getty.service getty@tty1.service systemd-timesyncd.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-tmpfiles-clean.timer systemd-firstboot.service systemd-update-utmp.service \
    systemd-networkd.service systemd-networkd.socket systemd-resolved.service ldconfig.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

# Orderly, and soon: a unit that does not stop shall not hold a restart for 90 seconds.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=15s\n' >"$root/etc/systemd/system.conf.d/lab.conf"

: >"$root/etc/machine-id"
echo lab >"$root/etc/hostname"
echo LANG=C.UTF-8 >"$root/etc/default/locale"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/var/cache/debconf/*-old
