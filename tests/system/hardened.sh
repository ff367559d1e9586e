#!/bin/sh
# Under what hardened units take from root, and what else contains it: it starts, delivers, and ends within a second, nothing
# of it is left, and neither is the pool's group. tests/vm/properties.sh does the same with systemd's own properties.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

command -v setpriv >/dev/null || skip 'no setpriv (util-linux)'

# What is left to root. Debian 13: its postfix.service. Few: what the daemons cannot do without.
debian13=chown,dac_override,dac_read_search,setgid,setuid,net_bind_service,sys_chroot
few=dac_override,net_bind_service,setgid,setuid

# with CAPABILITIES COMMAND...: COMMAND by a root who has only these. $before is a command that comes before.
before=
with()
{
    with_set=-all$(printf ',%s' "$1" | sed 's/,/,+/g')
    shift
    # shellcheck disable=SC2086
    $before setpriv --bounding-set "$with_set" --inh-caps=-all "$@"
}
# hidden COMMAND...: with groups that are read-only and a /proc that shows nobody else and nothing of the machine, as by
# ProtectControlGroups=yes, ProtectProc=invisible and ProcSubset=pid.
cat >"$TEST_DIR/hidden" <<'H'
sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \(\/sys\/fs\/cgroup[^ ]*\) .*/\1/p' /proc/self/mountinfo | sort -r |
    while read -r tree; do
        mount -o remount,bind,ro "$tree" || exit
    done
mount -t proc -o hidepid=invisible,subset=pid proc /proc || exit
exec "$@"
H

started()
{
    mailgen --wait 20 "$(postfix_address "$p")" || {
        tail -n 5 "$(postfix_log "$p")" >&2
        fail "$1: Postfix does not start"
    }
}

busy()
{
    [ "$(sink_holding "$s")" -ge 10 ]
}
nothing()
{
    [ -z "$(postfix_pids "$p" headroom)" ] && [ -z "$(postfix_pids "$p" lmtp)" ]
}
# None where it only observes.
group_of()
{
    sed -n 's/.* memory group: [uh][a-z]*, \(\/[^, ]*\).*/\1/p' "$(postfix_log "$p")" | tail -n 1
}

total=0
# round NAME CAPABILITIES [COMMAND...]: delivers, and ends with workers that are busy and one that is stopped.
round()
{
    name=$1
    capabilities=$2
    shift 2
    [ "$name" = all ] || say "$name: $capabilities $*"
    sink_tell "$s" heal >/dev/null
    : >"$(postfix_log "$p")"
    with "$capabilities" "$@" postfix -c "$p/etc" start >"$p/start.log" 2>&1 || true
    started "$name"
    send "$name" 50
    total=$((total + 50))
    wait_for 20 settled "$total" || fail "$name: not delivered: $(accounts)"
    expect "$name: processes that start" "$(said 'headroom .* starts')" 1
    expect "$name: the owner of the directory" "$(stat -c '%U %a' "$p/data/headroom.lmtp-test")" 'postfix 700'
    # shellcheck disable=SC2046
    set -- $(grep -h '^CapBnd' "/proc/$(parent)/status")
    say "$name: the parent's capabilities: $2"
    sink_tell "$s" set ok silent
    send "$name-busy" 20
    total=$((total + 20))
    wait_for 20 busy || fail "$name: only $(sink_holding "$s") deliveries at once"
    kill -STOP "$(workers | head -n 1)"
    group=$(group_of)
    # master(8) would start a successor, for the mail that waits: it is stopped until the end was seen.
    kill -STOP "$(postfix_master_pid "$p")"
    kill -TERM "$(parent)"
    within 1000 nothing ||
        fail "$name: a second after SIGTERM: headroom $(postfix_pids "$p" headroom), lmtp $(postfix_pids "$p" lmtp)"
    [ -z "$group" ] || [ ! -d "$group" ] || fail "$name: the memory group $group is still there"
    kill -CONT "$(postfix_master_pid "$p")"
    expect "$name: signals that failed" "$(said 'cannot be sent signal')" 0
    calm
    sink_tell "$s" heal >/dev/null
    drain 20 || fail "$name: mail does not flow after it"
    postfix_stop "$p" || fail "$name: something is left"
}

scene
sink_start "$s" "$SINK"
round all "$(setpriv --dump | sed -n 's/^Capability bounding set: //p')"
round debian13 "$debian13"
round few "$few"
round privileges "$debian13" setpriv --no-new-privs
round files "$debian13" prlimit --nofile=1024:1024
# Where the groups cannot be written there is none for the pool.
before="unshare -m --propagation private sh $TEST_DIR/hidden"
round hidden "$few" setpriv --no-new-privs prlimit --nofile=1024:1024
# Once by each of the two that it started.
expect 'hidden: what is said of memory' "$(said 'memory group: observe, .*read-only')" 2
# Without CAP_KILL master(8) ends none of mail_owner's; what runs in the pool's group is ended by it.
before=
say 'stop after a reload, with agents of both supervisors busy'
: >"$(postfix_log "$p")"
with "$debian13" postfix -c "$p/etc" start >"$p/start.log" 2>&1 || true
started stop
sink_tell "$s" set ok silent >/dev/null
send stop-first 20
total=$((total + 20))
wait_for 20 busy || fail "stop: only $(sink_holding "$s") deliveries at once"
old=$(parent)
first=$(workers)
with "$debian13" postfix -c "$p/etc" reload >>"$p/start.log" 2>&1
wait_for 5 gone "$old" || fail 'the supervisor does not go at the reload'
send stop-second 5
total=$((total + 5))
workers_are()
{
    [ "$(postfix_pids "$p" lmtp | wc -l)" -gt "$(echo "$first" | wc -l)" ]
}
wait_for 20 workers_are || fail 'the successor has no worker'
group=$(group_of)
with "$debian13" postfix -c "$p/etc" abort >>"$p/start.log" 2>&1 || true
within 2000 nothing || fail "left after the stop: headroom $(postfix_pids "$p" headroom), lmtp $(postfix_pids "$p" lmtp)"
[ -z "$group" ] || [ ! -d "$group" ] || fail "the memory group $group is left"
expect 'what is said of the group' "$(said 'memory group .* is left')" 0
sink_tell "$s" heal >/dev/null
postfix_start "$p"
drain 20 || fail 'mail does not flow after it'
postfix_stop "$p" || fail 'something is left'
accounts --may-double 160 >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
say "$(cat "$TEST_DIR/accounts")"
