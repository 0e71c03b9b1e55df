# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""What stands around heartbeat on a host: its judge, its unit's drop-in, and small shell scripts."""

from __future__ import annotations

UNIT = "heartbeat.service"
DROP_IN = "/etc/systemd/system/heartbeat.service.d/lvs-cluster.conf"
SCRIPT = "/etc/lvs/heartbeat"

# Debian moved the programs from the second to the first folder with 3.0.6-13.
FOLDERS = ["/usr/libexec/heartbeat", "/usr/lib/heartbeat"]

# A heartbeat that finds the other director alive after it had taken it for dead starts itself anew as a process of
# another number, which systemd may take for the end of the unit. It has no reason to end by itself, so it comes back;
# 5 and 6 say that its files or the host are not fit for it, and would say so again.
DROP_IN_CONTENT = """\
# Written by Ansible (lvs.cluster); changes are overwritten.
[Unit]
After=lvs-cluster.service
StartLimitIntervalSec=0

[Service]
ExecStartPre=-/bin/sh /etc/lvs/heartbeat started
ExecReload=/bin/sh /etc/lvs/heartbeat reload
ExecStopPost=/bin/sh /etc/lvs/heartbeat release
Restart=always
RestartSec=3
RestartPreventExitStatus=5 6
"""

# ha.cf names a program of heartbeat's by its full path, and refuses a path where there is none.
IPFAIL_CONTENT = """\
#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# heartbeat's ipfail, wherever this distribution has it.
for folder in /usr/libexec/heartbeat /usr/lib/heartbeat; do
    [ ! -x "$folder/ipfail" ] || exec "$folder/ipfail" "$@"
done
echo "lvs-cluster: there is no ipfail" >&2
exit 100
"""

# heartbeat's own resource for IPv6 addresses would let the kernel choose a VIP as the source of what the host sends.
# IPaddr2 takes the VIP of a real server from lo, and gives it back there only where it is stopped in good order.
VIP_CONTENT = """\
#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# A resource of heartbeat's: a VIP.  lvs-vip4, lvs-vip6 ADDRESS/LENGTH/INTERFACE start|stop|status
address=${1%%/*}
interface=${1##*/}
length=${1#*/}
length=${length%/*}
case $address in
    *:*) family=-6 options="nodad preferred_lft 0" ;;
    *) family=-4 options= ;;
esac

held() {
    [ -n "$(ip $family -o address show dev "$interface" to "$address" 2>/dev/null)" ]
}

# Tell the neighbours.
announce() {
    if [ $family = -6 ]; then
        "$1/send_ua" -i 200 -c 5 "$address" "$length" "$interface"
    else
        "$1/send_arp" -i 200 -r 5 -p "/run/lvs-vip4-$address" "$interface" "$address" auto not_used not_used
    fi
}

case $2 in
    start)
        # shellcheck disable=SC2086 # options are several words
        held || ip $family address add "$address/$length" dev "$interface" $options || exit 1
        for folder in /usr/libexec/heartbeat /usr/lib/heartbeat; do
            [ ! -d "$folder" ] || announce "$folder" &
        done >/dev/null 2>&1
        ;;
    stop) ! held || ip $family address del "$address/$length" dev "$interface" ;;
    status)
        held || { echo stopped; exit 3; }
        echo running
        ;;
    *)
        echo "usage: $0 ADDRESS/LENGTH/INTERFACE start|stop|status" >&2
        exit 2
        ;;
esac
"""

# With auto_failback a director that returns while the other one is still taking its resources makes that one give them
# up again at once, and nothing in heartbeat keeps the two from running side by side: what is started after its turn to
# be stopped stays, and both directors hold it. The last resource of the group is the first to be stopped.
TURN_CONTENT = """\
#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# A resource of heartbeat's, the last of its group: no giving before the taking has ended.  lvs-turn start|stop|status
case $1 in
    start) ;;
    stop)
        for _ in $(seq 240); do
            pgrep -f 'ResourceManager takegroup' >/dev/null || break
            sleep 0.5
        done
        ;;
    status) echo stopped ;;
    *)
        echo "usage: $0 start|stop|status" >&2
        exit 2
        ;;
esac
"""

# A director that is a real server while it stands by would direct by its rows what it is to answer. ldirectord takes
# its own along when it stops, but not when it was killed, and not those that somebody had before it.
ROWS_CONTENT = r"""#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# A resource of heartbeat's that is stopped after ldirectord: none of its rows is left.  lvs-rows start|stop|status
case $1 in
    start) ;;
    stop)
        # The file has them as ipvsadm -R reads them: one -A for each service.
        sed -n -e 's/^-A \(-f [0-9]* -6\) .*/-D \1/p' -e t -e 's/^-A \(-[^ ]* [^ ]*\) .*/-D \1/p' \
            "${LVS_ROWS:-@ROWS@}" 2>/dev/null | while read -r words; do
            # shellcheck disable=SC2086 # a service is several words
            ipvsadm $words 2>/dev/null
        done
        exit 0
        ;;
    status) echo stopped ;;
    *)
        echo "usage: $0 start|stop|status" >&2
        exit 2
        ;;
esac
"""

SCRIPT_CONTENT = r"""#!/bin/sh
# Written by Ansible (lvs.cluster); changes are overwritten.
# systemd runs this for heartbeat.service:
#   started   when heartbeat starts, which holds nothing yet: takes away VIPs that others have left, and rows where
#             these are harmful, and remembers the files that heartbeat reads
#   reload    brings the resources that this director holds into line with haresources, which heartbeat reads only when
#             it takes or gives them all; then heartbeat reads ha.cf and authkeys again
#   release   when heartbeat has ended, however it ended: takes away what one that was killed has left behind
files=${LVS_HA_D:-/etc/ha.d}
memory=${LVS_MEMORY:-/run/lvs-heartbeat}
failed=0

fail() {
    echo "lvs-cluster: $*" >&2
    failed=1
}

# The words of a haresources: the preferred director, and the resources in their order.
words() {
    sed -e 's/#.*//' -e 's/\\$//' "$1" 2>/dev/null | tr -s '[:blank:]' '\n' | sed '/^$/d'
}

backwards() {
    sed '1!G;h;$!d'
}

# The words of the first list that are not in the second.
without() {
    printf '%s\n' "$1" | while read -r word; do
        printf '%s\n' "$2" | grep -qxF -e "$word" || printf '%s\n' "$word"
    done
}

# Start or stop one resource, in the way of heartbeat's ResourceManager.
resource() {
    case $1 in
        [0-9]*) set -- "IPaddr::$1" "$2" ;;
    esac
    arguments=
    case $1 in
        *::*) arguments=$(printf %s "${1#*::}" | sed 's/::/ /g') ;;
    esac
    for folder in "$files/resource.d" /etc/init.d; do
        [ -x "$folder/${1%%::*}" ] || continue
        # shellcheck disable=SC2086 # arguments are several words
        timeout 120 "$folder/${1%%::*}" $arguments "$2" >/dev/null </dev/null && return
        fail "$1 cannot $2"
        return
    done
    [ "$2" = stop ] || fail "$1: there is no such resource script"
}

# Does this director hold the resources? heartbeat calls those of the preferred director local there, foreign elsewhere.
holds() {
    ours=foreign
    [ "$1" != "$(uname -n | tr '[:upper:]' '[:lower:]')" ] || ours=local
    for _ in $(seq 60); do
        state=$(cl_status rscstatus 2>/dev/null)
        case $state in
            all | "$ours") return 0 ;;
            local | foreign | none) return 1 ;;
        esac
        sleep 1
    done
    fail "heartbeat does not say which resources it holds"
    return 1
}

take_away() {
    while read -r address interface; do
        [ -z "$address" ] || ip address del "$address" dev "$interface" 2>/dev/null
    done <<END
@MOVING@
END
}

# On a director that stands by, where its rows would be harmful.
no_rows() {
    [ ! -x "$files/resource.d/lvs-rows" ] || "$files/resource.d/lvs-rows" stop
}

remember() {
    mkdir -p "$memory"
    cp "$files/ha.cf" "$files/haresources" "$memory"
}

follow() {
    old=$memory/haresources
    [ -e "$old" ] || old=$files/haresources.before-lvs
    before=$(words "$old")
    now=$(words "$files/haresources")
    preferred=$(printf '%s\n' "$before" | sed -n 1p | tr '[:upper:]' '[:lower:]')
    before=$(printf '%s\n' "$before" | sed 1d)
    now=$(printf '%s\n' "$now" | sed 1d)
    [ "$before" != "$now" ] || return
    if ! holds "$preferred"; then
        no_rows
        return
    fi
    for word in $(without "$before" "$now" | backwards); do
        resource "$word" stop
    done
    for word in $(without "$now" "$before"); do
        resource "$word" start
    done
}

read_again() {
    for folder in /usr/libexec/heartbeat /usr/lib/heartbeat; do
        [ ! -x "$folder/heartbeat" ] || program=$folder/heartbeat
    done
    said=$("${LVS_HEARTBEAT:-$program}" -r 2>&1) || fail "$said"
    # A changed ha.cf makes it start itself anew, with its resources where they are. That takes a few seconds.
    cmp -s "$files/ha.cf" "$memory/ha.cf" || settle
}

settle() {
    quiet=0
    for _ in $(seq 90); do
        sleep 1
        case $(cl_status rscstatus 2>/dev/null) in
            all | local | foreign | none) quiet=$((quiet + 1)) ;;
            *) quiet=0 ;;
        esac
        [ $quiet -lt 5 ] || return
    done
    fail "heartbeat has not come back after it read ha.cf again"
}

case $1 in
    started)
        take_away
        no_rows
        remember
        ;;
    reload)
        follow
        [ $failed = 1 ] || read_again
        [ $failed = 1 ] || remember
        ;;
    release)
        take_away
        # After an orderly end everything has stopped already.
        [ "$SERVICE_RESULT" != success ] || exit 0
        for word in $(words "$memory/haresources" | sed 1d | backwards); do
            resource "$word" stop
        done
        exit 0
        ;;
    *)
        echo "usage: $0 started|reload|release" >&2
        exit 2
        ;;
esac
exit $failed
"""

# heartbeat has no option to check its files, but `-r` reads them whole before it signals the daemon that runs. In
# namespaces of its own, where systemd cannot be asked any more, it finds the candidates in the files' place, and a
# sleep in the daemon's.
# While heartbeat runs, the other director may have the old files for a while yet, and the two must go on to hear and to
# understand each other. No key is in a command's words, where others could read it.
JUDGE_SCRIPT = r"""
exec >&2
program=$1
folder=$(dirname "$2")
files=${LVS_HA_D:-/etc/ha.d}
run=${LVS_RUN:-/run}

slowly="set lvs_heartbeat.deadtime to 120 in a run of its own, run with the change, and set it back in a third run"

refuse() {
    echo "$*"
    exit 1
}
plain() {
    sed -e 's/#.*//' -e 's/\\$//' "$1" 2>/dev/null | tr -s '[:blank:]' ' ' | sed -e 's/^ //' -e 's/ $//' -e '/^$/d'
}
words() { plain "$1" | tr ' ' '\n'; }
media() {
    plain "$1" | awk '$1 == "udpport" { port = $2 } $1 ~ /^(ucast6?|bcast)$/ { print port, $0 }
        $1 ~ /^(mcast6?|serial)$/'
}
shared() { printf '%s\n' "$1" | grep -qxF "$2"; }
same() { plain "$1" >"$folder/old" && plain "$2" | cmp -s - "$folder/old"; }
# Is a director believed alive for longer than a run needs from the one to the other?
patient() { [ "$(plain "$1" | sed -n 's/^deadtime \([0-9]*\)$/\1/p' | tail -n 1 | grep . || echo 0)" -ge 60 ]; }

if [ -e "$files/haresources" ] && [ -e "$files/ha.cf" ] && systemctl is-active --quiet heartbeat.service; then
    old=$(words "$files/haresources" | sed 1q | tr '[:upper:]' '[:lower:]')
    new=$(words "$folder/haresources" | sed 1q)
    [ "$old" = "$new" ] ||
        refuse "haresources: the preferred director would change from $old to $new, and both would hold the VIPs." \
            "Leave lvs_priority alone, or stop heartbeat on both directors first"
    if ! patient "$files/ha.cf" || ! patient "$folder/ha.cf"; then
        shared "$(media "$files/ha.cf")" "$(media "$folder/ha.cf")" ||
            refuse "ha.cf: no medium of before is left, and directors would not hear each other until both have the" \
                "new ones. Add media in one run and take the old ones away in the next; $slowly"
        same "$files/authkeys" "$folder/authkeys" ||
            refuse "authkeys: directors would not believe each other until both have the new key; $slowly"
    fi
fi
for word in $(words "$folder/haresources" | sed 1d); do
    name=${word%%::*}
    case $name in lvs-vip[46] | lvs-turn | lvs-rows) continue ;; esac
    [ -x "$files/resource.d/$name" ] || [ -x "/etc/init.d/$name" ] || missing="$missing $name"
done
if [ -n "$missing" ]; then
    echo "haresources: there is no resource script$missing in /etc/ha.d/resource.d or /etc/init.d"
    exit 1
fi
chmod 755 "$folder/ipfail"
exec unshare --fork --pid --mount --mount-proc sh -c '
    mount -n --bind "$2" /etc/ha.d || exit 1
    mount -n -t tmpfs lvs /var/lib/heartbeat || exit 1
    mount -n -t tmpfs lvs /run || exit 1
    mkdir -p "$3/heartbeat"
    sleep 60 &
    echo $! >"$3/heartbeat.pid"
    if said=$("$1" -r 2>&1); then exit 0; fi
    printf "%s\n" "$said" | sed -n "s/^.*ERROR: //p" | grep . || printf "%s\n" "$said"
    exit 1
' judge "$program" "$folder" "$run"
"""
JUDGE = ["sh", "-c", JUDGE_SCRIPT, "judge", "{program}"]
