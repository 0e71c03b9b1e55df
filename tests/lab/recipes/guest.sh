#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What every root file system of the lab has in common. mmdebstrap calls it with the root directory.
set -eu
root=$1

# Nobody sits at a console, nothing may start by the clock in the middle of a measurement, and what looks after
# hardware, disks or sessions has nothing to do here. Under emulation each of them costs a second of every boot.
for unit in getty.target console-getty.service getty@tty1.service systemd-timesyncd.service systemd-logind.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer logrotate.timer systemd-tmpfiles-clean.timer systemd-firstboot.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-networkd.service systemd-networkd.socket systemd-resolved.service \
    ldconfig.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount modprobe@.service kmod-static-nodes.service \
    systemd-journal-flush.service systemd-journal-catalog-update.service systemd-update-done.service \
    systemd-sysusers.service systemd-random-seed.service systemd-machine-id-commit.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-pstore.service systemd-user-sessions.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path logd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/system-generators"
for generator in bless-boot cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run \
    system-update veritysetup; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/lab.conf"

# Orderly, and soon: a unit that does not stop shall not hold a restart for 90 seconds.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=15s\n' >"$root/etc/systemd/system.conf.d/lab.conf"

: >"$root/etc/machine-id"
echo lab >"$root/etc/hostname"
echo LANG=C.UTF-8 >"$root/etc/default/locale"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/var/cache/debconf/*-old
