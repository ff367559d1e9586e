#!/bin/sh
# properties.sh: Debian's Postfix with Headroom under property sets that people give its unit, in a container with systemd.
# For each: mail flows within one start, what is missing is said in one line, and nothing is left after `systemctl stop`.
# Run by tests/vm/run.

# shellcheck source-path=SCRIPTDIR source=../lib/test.sh
. "${0%/*}/../lib/test.sh"

# On Debian 12 the daemons run in the first instance, on Debian 13 in the unit itself.
unit=postfix.service
drop_in=/etc/systemd/system/postfix.service.d
case $(systemctl show -P ExecStart $unit) in
*/true*)
    unit=postfix@-.service
    drop_in=/etc/systemd/system/postfix@.service.d
    ;;
esac
server=$TEST_DIR/server
patience=20
messages=0

show()
{
    [ "${test_status:-0}" -eq 0 ] || journalctl --no-pager -n 60 -o short-monotonic
}
AT_EXIT='show;'

# journal PATTERN: how many lines since $since match. Not by a cursor: with a filter, journalctl leaves out the first match after it.
journal()
{
    journalctl -q --no-pager -o cat --since "@$since" -t postfix/headroom -t postfix/master -t systemd |
        grep -c -e "$1" || true
}
# What headroom said since then, but for its start.
warned()
{
    journalctl -q --no-pager -o cat --since "@$since" -t postfix/headroom -p warning
}
arrived()
{
    [ "$(lines "$server/delivered" " good$messages@")" -ge "$1" ]
}
deliver()
{
    messages=$((messages + 1))
    # Not by sendmail(1) for each set: its maildrop is outside of the unit.
    for one in 1 2 3 4 5; do
        printf 'Subject: test\nMessage-ID: <%s>\n\ntext\n' "$messages.$one" |
            sendmail -i -f sender@guest.invalid "good$messages@example.invalid"
    done
    wait_for "$patience" arrived 5 ||
        fail "$1: mail does not flow: $(postqueue -p | tail -n 5; journalctl -q --no-pager -o cat --since "@$since")"
}
stopped()
{
    [ -z "$(pgrep -x 'headroom|lmtp|master')" ]
}

grouped()
{
    [ "$(journal 'memory group:')" -ge 1 ]
}

# with NAME WARNINGS PROPERTY...: at most so many warnings.
with()
{
    name=$1
    most=$2
    shift 2
    mkdir -p "$drop_in"
    {
        echo '[Service]'
        printf '%s\n' "$@"
    } >"$drop_in/zz-test.conf"
    systemctl daemon-reload
    since=$(date +%s.%6N)
    systemctl restart postfix || fail "$name: $(systemctl status $unit)"
    deliver "$name"
    wait_for 5 grouped || fail "$name: no word about the memory group"
    warned >"$TEST_DIR/warned"
    say "$name"
    sed 's/^/    /' "$TEST_DIR/warned"
    for property in ProtectControlGroups=yes ProcSubset=pid; do
        case " $* " in
        *" $property "*)
            grep -q "${property%=*}=" "$TEST_DIR/warned" || fail "$name: no line names ${property%=*}=" ;;
        esac
    done
    expect "$name: starts" "$(journal ' starts: service lmtp')" 1
    expect "$name: what master punishes" "$(journal 'throttling\|bad command startup')" 0
    [ "$(wc -l <"$TEST_DIR/warned")" -le "$most" ] || fail "$name: more than $most warnings"
    systemctl stop postfix
    wait_for 5 stopped || fail "$name: left after the stop: $(pgrep -l -x 'headroom|lmtp|master')"
    rm "$drop_in/zz-test.conf"
}

rm -f /etc/postfix/main.cf /etc/postfix/master.cf /etc/postfix/headroom.json
printf '%s\n' 'postfix postfix/main_mailer_type select Local only' \
    'postfix postfix/mailname string guest.invalid' | debconf-set-selections
DEBIAN_FRONTEND=noninteractive dpkg-reconfigure postfix >"$TEST_DIR/reconfigure" 2>&1 ||
    fail "$(cat "$TEST_DIR/reconfigure")"
dpkg -i /in/headroom.deb >"$TEST_DIR/dpkg" 2>&1 || fail "$(cat "$TEST_DIR/dpkg")"
mkdir -p "$server"
sink_start "$server" 127.0.0.1:10024
postconf -e 'default_transport = lmtp:inet:[127.0.0.1]:10024' 'notify_classes ='
postconf -M lmtp/unix="lmtp unix - - y - - headroom"

with 'as it is' 1
with 'Debian 13' 1 \
    'CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SETGID CAP_SETUID CAP_NET_BIND_SERVICE CAP_SYS_CHROOT' \
    ProtectControlGroups=yes ProcSubset=pid MemoryDenyWriteExecute=yes RestrictNamespaces=yes ProtectKernelTunables=yes \
    'SystemCallFilter=@system-service @setuid chroot'
with NixOS 1 'CapabilityBoundingSet=~CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE' MemoryDenyWriteExecute=yes \
    PrivateDevices=yes PrivateTmp=yes ProtectSystem=full ProtectControlGroups=yes ProtectKernelModules=yes \
    ProtectKernelTunables=yes 'RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX' RestrictNamespaces=yes \
    RestrictRealtime=yes
with 'ProtectProc' 1 ProtectProc=invisible
with 'NoNewPrivileges' 1 NoNewPrivileges=yes
with '4096 files' 2 LimitNOFILE=4096:4096
with '1024 files' 2 LimitNOFILE=1024:1024
# It has no CAP_SYS_CHROOT, so nothing can run in a chroot(2).
postconf -F '*/*/chroot=n'
with Gentoo 1 'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID'
with 'all at once' 2 'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID' \
    ProtectControlGroups=yes ProcSubset=pid ProtectProc=invisible NoNewPrivileges=yes MemoryDenyWriteExecute=yes \
    PrivateDevices=yes PrivateTmp=yes ProtectSystem=full ProtectKernelTunables=yes RestrictNamespaces=yes \
    RestrictRealtime=yes LimitNOFILE=1024:1024
say "$messages sets"
