#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The small machine whose kernel runs the nodes. mmdebstrap calls this with the root directory.
set -eu
root=$1

# The machine's own card becomes a port of the bridge on which every node has its management interface, so that QEMU
# forwards ports straight to the nodes and no packet filter or address translation of ours stands between.
cat >"$root/usr/local/sbin/lab-net" <<'CONF'
#!/bin/sh
set -e
ip link set lo up
ip link add lab-mgmt type bridge
ip link set lab-mgmt address "$(cat /sys/class/net/eth0/address)"
ip link set eth0 master lab-mgmt up
ip link set lab-mgmt up
ip address add 198.18.0.10/24 dev lab-mgmt
ip route add default via 198.18.0.2
CONF
chmod 755 "$root/usr/local/sbin/lab-net"
cat >"$root/etc/systemd/system/lab-net.service" <<'CONF'
[Unit]
Description=Management bridge of the lab
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service
Before=network.target network-online.target ssh.service
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-net
[Install]
WantedBy=sysinit.target
CONF
ln -s ../lab-net.service "$root/etc/systemd/system/sysinit.target.wants/lab-net.service" 2>/dev/null || {
    mkdir -p "$root/etc/systemd/system/sysinit.target.wants"
    ln -s ../lab-net.service "$root/etc/systemd/system/sysinit.target.wants/lab-net.service"
}

echo nameserver 198.18.0.3 >"$root/etc/resolv.conf"
# The root disk comes with the kernel's command line. With nothing to plug, udev would only cost time at boot.
: >"$root/etc/fstab"
printf 'virtio_net\nip_vs\nbridge\nveth\noverlay\n' >"$root/etc/modules-load.d/lab.conf"
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-remount-fs.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u >/dev/null

for unit in podman.service podman.socket podman-auto-update.timer podman-auto-update.service podman-restart.service nftables.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -rf "$root"/var/lib/apt/lists/*

# A kernel without IPVS would make the whole lab pointless; say so when the image is built, not when it is used.
for module in ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_mh ipip overlay bridge veth nf_tables; do
    find "$root/lib/modules" -name "$module.ko*" | grep -q . || { echo "no kernel module $module" >&2; exit 1; }
done
