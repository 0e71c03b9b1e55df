# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""What brings an LVS host back after a reboot: one unit, one small shell script, the records in /etc/lvs."""

from __future__ import annotations

FOLDER = "/etc/lvs"
TABLE = FOLDER + "/table.ipvs"
LOADER = FOLDER + "/load"
UNIT = "lvs-cluster.service"
UNIT_PATH = "/etc/systemd/system/" + UNIT

# network-online.target: interfaces must have their own addresses first. There is no ExecStop: stopping the unit, or a
# package upgrade that does, must not take a cluster down; `state: absent` is for that.
UNIT_CONTENT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Unit]
Description=Linux Virtual Server: what this host owns of its cluster
Documentation=man:ipvsadm(8)
Wants=network-online.target
After=systemd-modules-load.service systemd-sysctl.service network-online.target nftables.service
Before=keepalived.service heartbeat.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/lvs/load
ExecReload=/bin/sh /etc/lvs/load

[Install]
WantedBy=multi-user.target
"""

NFTABLES_DROP_IN = "/etc/systemd/system/nftables.service.d/lvs-cluster.conf"

# Its start, reload and stop flush all rules of the host, also those that are none of its own. Nothing of ours may keep
# it from its work, hence the dash.
_RULES_AGAIN = """-/bin/sh -c 'for rules in /etc/lvs/*.nft; do [ ! -s "$$rules" ] || nft -f "$$rules"; done'"""
NFTABLES_DROP_IN_CONTENT = f"""\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Service]
ExecStartPost={_RULES_AGAIN}
ExecReload={_RULES_AGAIN}
ExecStopPost={_RULES_AGAIN}
"""

KEEPALIVED = "keepalived.service"
KEEPALIVED_DROP_IN = "/etc/systemd/system/keepalived.service.d/lvs-cluster.conf"
RELEASE = FOLDER + "/release"
MOVING = FOLDER + "/moving"
SYNCD = "lvs-syncd.service"
SYNCD_PATH = "/etc/systemd/system/" + SYNCD
SYNCD_CONTENT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Unit]
Description=Linux Virtual Server: connection timeouts and synchronisation
Documentation=man:ipvsadm(8)
After=lvs-cluster.service
Before=keepalived.service heartbeat.service

[Service]
Type=oneshot
RemainAfterExit=yes
{commands}
[Install]
WantedBy=multi-user.target
"""

# A keepalived that is killed leaves its VIPs on their interfaces, and another director takes them: two would answer for
# them. ExecStopPost runs however it ended, but not at a reload. It has no reason to end by itself, so it comes back.
# Children that are left get SIGTERM from systemd first, and SIGKILL after the timeout.
KEEPALIVED_DROP_IN_CONTENT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Unit]
After=lvs-cluster.service
StartLimitIntervalSec=0

[Service]
ExecStopPost=/bin/sh /etc/lvs/release
Restart=always
RestartSec=1
TimeoutStopSec=10
"""

LDIRECTORD = "ldirectord.service"
LDIRECTORD_DROP_IN = "/etc/systemd/system/ldirectord.service.d/lvs-cluster.conf"

# ldirectord's own `stop` only tells it to. Who starts it again before it has ended finds it running and gives up, so
# stopping waits for its end here; what is left then are children of one that was killed. They would go on with the old
# file beside the next one's. It has no reason to end by itself, so it comes back, and finds its rows as they were. The
# package's unit touches a file in a folder that not every host has.
LDIRECTORD_DROP_IN_CONTENT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Unit]
After=lvs-cluster.service network-online.target
StartLimitIntervalSec=0

[Service]
ExecStartPre=/bin/mkdir -p /run/lock/subsys
ExecStop=/bin/sh -c 'while kill -0 "$$(cat /run/ldirectord.ldirectord.pid)"; do sleep 0.2; done 2>/dev/null'
KillMode=control-group
TimeoutStopSec=30
Restart=always
RestartSec=1
"""

MAINTENANCE_CONTENT = """\
Written by Ansible (lvs.cluster); changes are overwritten.
A file here that is named as a real server's address or name, with :PORT or without, takes it out of service.
"""

RELEASE_CONTENT = """\
#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# systemd runs this when keepalived has ended: takes away the VIPs in the list beside it, which a keepalived that was
# killed has left behind. One that is not there is no failure.
while read -r address interface; do
    ip address del "$address" dev "$interface" 2>/dev/null
done <"$(dirname "$0")/moving"
{stop}exit 0
"""

# The next keepalived would find its predecessor's daemon running, and could not start the one that its state asks for.
RELEASE_SYNC = """\
ipvsadm --stop-daemon master 2>/dev/null
ipvsadm --stop-daemon backup 2>/dev/null
"""

# A director without keepalived directs nothing, but may go on as a real server, with its rows where they are: then the
# kernel must still know that it stands by. The next keepalived takes the daemon over, whatever its state.
RELEASE_STANDBY = """\
ipvsadm --stop-daemon master 2>/dev/null
ipvsadm --start-daemon backup {words} 2>/dev/null
"""

LOADER_CONTENT = r"""#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# Puts in place what the records beside this script say the host owns. lvs-cluster.service runs it at boot; running it
# again does no harm. What fails is said, the rest is still done, and the exit status tells.
cd "$(dirname "$0")" || exit 1
records=$(cat ./*.record 2>/dev/null)
failed=0

fail() {
    echo "lvs-cluster: $*" >&2
    failed=1
}

# The objects of one kind, a line each, without the kind and without what stood there before.
each() {
    printf '%s\n' "$records" | sed -n "s/ (was .*)\$//; s/^$1 //p" | awk '!seen[$0]++'
}

# Run a command; an object that is there already is no failure.
put() {
    if ! said=$("$@" 2>&1); then
        case $said in
            *"File exists"* | *"already exists"*) ;;
            *) fail "$*: $said" ;;
        esac
    fi
}

while read -r name; do
    [ -z "$name" ] || [ -d "/sys/module/$(printf %s "$name" | tr - _)" ] || put modprobe "$name"
done <<END
$(each module)
END

while read -r name words; do
    # shellcheck disable=SC2086 # a link is several words
    [ -z "$name" ] || [ -d "/sys/class/net/$name" ] || put ip link add "$name" $words
done <<END
$(each link)
END

while read -r name; do
    [ -z "$name" ] || put ip link set "$name" up
done <<END
$(each up)
END

while read -r _ port family; do
    [ -n "$port" ] || continue
    # What is there already would be "Address already in use", as if somebody else had the port.
    ip fou show 2>/dev/null | grep -q "^port $port gue${family:+ $family} *\$" && continue
    # shellcheck disable=SC2086 # the family is a word or none
    put ip fou add port "$port" $family gue
done <<END
$(each gue)
END

while read -r name _ value; do
    [ -n "$name" ] || continue
    path=/proc/sys/$(printf %s "$name" | tr ./ /.)
    { printf '%s\n' "$value" >"$path"; } 2>/dev/null || fail "sysctl $name = $value: cannot be set"
done <<END
$(each sysctl)
END

# Marks stand before the table that counts them. Each file replaces an nftables table of ours and nothing else.
for rules in *.nft; do
    [ -s "$rules" ] || continue
    if ! command -v nft >/dev/null; then
        fail "$rules: nft is not installed"
    else
        said=$(nft -f "$rules" 2>&1) || fail "$rules: $said"
    fi
done

# The table stands before the addresses, so that no packet for a VIP finds a director without rows. Rows that are there
# already are left as they are.
if [ -s table.ipvs ]; then
    if ! command -v ipvsadm >/dev/null; then
        fail "table.ipvs: ipvsadm is not installed"
    else
        said=$(ipvsadm -R <table.ipvs 2>&1 | grep -v 'already exists')
        [ -z "$said" ] || fail "table.ipvs: $said"
    fi
fi

while read -r words; do
    # shellcheck disable=SC2086 # an address is several words
    [ -z "$words" ] || put ip address replace $words
done <<END
$(each address)
END

while read -r family words; do
    # shellcheck disable=SC2086 # a route is several words
    [ -z "$family" ] || put ip "$family" route replace $words
done <<END
$(each route)
END

while read -r family words; do
    # shellcheck disable=SC2086 # a rule is several words
    [ -z "$family" ] || put ip "$family" rule add $words
done <<END
$(each rule)
END

exit "$failed"
"""
