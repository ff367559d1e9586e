#!/bin/sh
# Stopped and started three times under load: a second after the stop there is no process of it and no memory group, and
# nothing is lost. Then a signal ends the parent alone: qmgr(8) warns of those that workers had, as of stock ones, and not of
# what waited.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
configure '{"defaults": {"workers": {"max": 40, "limit": "fixed"}}}'
begin
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
sink_tell "$s" set ok slow 1

busy()
{
    [ "$(sink_holding "$s")" -ge 20 ]
}
nothing()
{
    [ -z "$(postfix_pids "$p" headroom)" ] && [ -z "$(postfix_pids "$p" lmtp)" ]
}
# Of Postfix itself, some take a moment more than master.
nobody()
{
    [ -z "$(postfix_processes "$p")" ]
}
group=$(sed -n 's/.* memory group: [a-z]*, \(\/[^,]*\)\(,.*\)\{0,1\}$/\1/p' "$(postfix_log "$p")" | head -n 1)
round=0
while [ "$round" -lt 3 ]; do
    round=$((round + 1))
    send "round$round" 150
    wait_for 20 busy || fail "only $(sink_holding "$s") deliveries at once in round $round"
    [ -n "$(parent)" ] || fail 'no supervisor'
    kill -TERM "$(postfix_master_pid "$p")"
    within 1000 nothing ||
        fail "a second after the stop: headroom $(postfix_pids "$p" headroom), lmtp $(postfix_pids "$p" lmtp)"
    [ -z "$group" ] || [ ! -d "$group" ] || fail "the memory group $group is still there"
    wait_for 5 not postfix_running "$p" || fail 'master is still there'
    wait_for 2 nobody || fail "after stop $round: $(for pid in $(postfix_processes "$p"); do cat "/proc/$pid/comm"; done)"
    expect "sockets after stop $round" "$(find "$p/data" -type s)" ''
    # What a worker had delivered but not marked is delivered again, as with stock lmtp; here the server takes a second
    # to answer and is left in that time.
    accounts --may-double 40 >"$TEST_DIR/accounts" || fail "after stop $round: $(cat "$TEST_DIR/accounts")"
    postfix_start "$p"
done
sink_tell "$s" heal
postfix_flush "$p"
wait_for 40 settled 550 || fail "not delivered: $(accounts --may-double 40)"
accounts --may-double 40 >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
say "$(cat "$TEST_DIR/accounts")"
expect 'all delivered' "$(sed 's/, doubled.*//;q' "$TEST_DIR/accounts")" \
    'sent 550, delivered 550, queued 0, bounced 0, lost 0'
calm

say 'the parent alone'
sink_tell "$s" set silent silent
send silent 200 --rcpt 'user%d@silent%d.invalid' --cycle 20
waiting()
{
    [ "$("$BUILD/headroomctl" -c "$p/etc" status --json "$SERVICE" | "$BUILD/lib/json_get" 0.status.requests.waiting)" -ge 150 ]
}
wait_for 10 waiting || fail 'nothing waits'
old=$(parent)
had=$(sink_holding "$s")
kill -TERM "$old"
within 1000 gone "$old" || fail 'the parent is still there'
sink_tell "$s" heal
nothing_active()
{
    [ "$(postfix_count "$p" active)" -eq 0 ]
}
wait_for 10 nothing_active || fail 'qmgr(8) still has mail'
warned=$(said 'qmgr.*warning: .*private/lmtp-test')
say "$had were being delivered, qmgr(8) warned $warned times"
[ "$warned" -le $((had + 2)) ] || fail "$(grep 'qmgr.*warning' "$(postfix_log "$p")" | tail -n 5)"
postfix_flush "$p"
wait_for 40 settled 750 || fail "not delivered: $(accounts --may-double 40)"
[ -n "$group" ] || say 'no memory group on this machine'
