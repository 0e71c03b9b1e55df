#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A node that is a machine of its own, as an administrator would find it: Debian's kernel, udev, systemd-networkd,
# nftables, and no module of IPVS loaded. mmdebstrap calls it with the root directory.
set -eu
root=$1

# The way in is the card with this hardware address; the cards under test are configured by the lab.
printf '[Match]\nMACAddress=02:00:00:00:00:01\n[Link]\nName=mgmt0\n' >"$root/etc/systemd/network/10-mgmt.link"
printf '[Match]\nName=mgmt0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nUseRoutes=no\nUseDNS=no\n' \
    >"$root/etc/systemd/network/10-mgmt.network"
chroot "$root" systemctl enable systemd-networkd.service nftables.service >/dev/null 2>&1
chroot "$root" systemctl disable ipvsadm.service keepalived.service >/dev/null 2>&1 || true
# Nothing starts by the clock in the middle of a test, nobody sits at a console. Under emulation each unit costs a second
# of every boot; those that order modules, sysctls and the network are all still there.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer logrotate.timer \
    e2scrub_reap.service systemd-logind.service getty.target systemd-pstore.service systemd-user-sessions.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount modprobe@.service systemd-journal-catalog-update.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-machine-id-commit.service ldconfig.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

: >"$root/etc/fstab"
: >"$root/etc/machine-id"
echo lab >"$root/etc/hostname"
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
printf 'virtio_pci\nvirtio_blk\nvirtio_net\nvirtio_rng\next4\n' >"$root/etc/initramfs-tools/modules"
# udev tells systemd-networkd of the cards, and names one of them. Finding drivers for an emulated machine's hardware and
# reading its disks' labels took longer than all the rest of a boot.
rm "$root"/usr/share/initramfs-tools/hooks/udev "$root"/usr/share/initramfs-tools/hooks/dmsetup \
    "$root"/usr/share/initramfs-tools/scripts/*/udev
for rules in "$root"/usr/lib/udev/rules.d/*; do
    case ${rules##*/} in
        50-udev-default.rules | 80-net-setup-link.rules | 99-systemd.rules) ;;
        *) rm "$rules" ;;
    esac
done
chroot "$root" update-initramfs -u >/dev/null

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
