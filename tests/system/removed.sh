#!/bin/sh
# The service is taken out of master.cf while it is busy: master waits for the supervisor's end without doing anything
# else, so that end must come at once. When the line is back, the mail is delivered.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
configure '{"defaults": {"workers": {"max": 50, "limit": "fixed"}}}'
begin
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
sink_tell "$s" set ok slow 20
busy()
{
    [ "$(sink_holding "$s")" -ge 30 ]
}
# Seconds of CPU of master, in hundredths.
master_time()
{
    cut -d ' ' -f 14,15 "/proc/$(postfix_master_pid "$p")/stat" | tr ' ' '+'
}
send busy 100
wait_for 20 busy || fail "only $(sink_holding "$s") deliveries at once"
old_parent=$(parent)
old_dispatcher=$(dispatcher)
[ -n "$old_parent" ] && [ -n "$old_dispatcher" ] || fail 'no supervisor'

postfix_service "$p" lmtp-test
spent=$(($(master_time)))
postfix -c "$p/etc" reload >>"$p/start.log" 2>&1
# The dispatcher waits 2 s for who writes its last line.
within 5000 gone "$old_parent" "$old_dispatcher" ||
    fail "still there 5 s after the reload: $(postfix_pids "$p" headroom)"
# master does its work: it starts another smtpd.
send removed 10
spent=$(($(master_time) - spent))
[ "$spent" -le 60 ] || fail "master has spent $spent hundredths of a second"
accounts --may-double 50 >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
expect 'supervisors' "$(postfix_pids "$p" headroom)" ''
# The workers are ended with it, or have seen the end of their channel as on a reload and finish: which, is a race in
# master, that does both.
sink_tell "$s" heal
no_workers()
{
    [ -z "$(postfix_pids "$p" lmtp)" ]
}
wait_for 5 no_workers || fail "workers are left: $(postfix_pids "$p" lmtp)"

say 'back again'
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - - headroom'
postfix_reload "$p"
postfix_flush "$p"
wait_for 30 settled 210 || fail "not delivered: $(accounts)"
expect 'after all' "$(accounts)" 'sent 210, delivered 210, queued 0, bounced 0, lost 0, doubled 0'
