#!/bin/sh
# Ten reloads under load, each with deliveries of two seconds in flight: the old supervisor goes at once, its deliveries
# finish and finish once, and nothing is doubled or lost.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
configure '{"defaults": {"workers": {"max": 60, "limit": "fixed"}}}'
begin
# Known destinations, so that many run at once.
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
sink_tell "$s" set ok slow 2

load_start 30
busy()
{
    [ "$(sink_holding "$s")" -ge 10 ]
}
new_parent()
{
    now_parent=$(parent)
    [ -n "$now_parent" ] && [ "$now_parent" != "$1" ] && [ -n "$(dispatcher)" ] && [ -n "$(workers)" ]
}
round=0
before=0
while [ "$round" -lt 10 ]; do
    round=$((round + 1))
    wait_for 20 busy || fail "only $(sink_holding "$s") deliveries at once"
    old_parent=$(parent)
    old_dispatcher=$(dispatcher)
    old_workers=$(workers)
    [ -n "$old_parent" ] && [ -n "$old_dispatcher" ] || fail "no supervisor before reload $round"
    postfix -c "$p/etc" reload >>"$p/start.log" 2>&1
    # Later where others use the processors; but it does not wait for its workers.
    within 5000 gone "$old_parent" || fail "the old supervisor ($old_parent) is still there after reload $round"
    # shellcheck disable=SC2086
    gone $old_workers || before=$((before + 1))
    # The dispatcher stays for clients that wait for an answer; qmgr hangs up as it restarts.
    within 5000 gone "$old_dispatcher" || fail "the old dispatcher ($old_dispatcher) is still there after reload $round"
    wait_for 10 new_parent "$old_parent" || fail "no new supervisor after reload $round"
    # The workers that were left finish by themselves.
    # shellcheck disable=SC2086
    wait_for 5 gone $old_workers || fail "old workers are still there: $old_workers"
done
[ "$before" -ge 5 ] || fail "only $before of 10 supervisors went before their workers"
say "ten reloads, $before supervisors went before their workers, $(lines "$s/delivered" ' delivered ') delivered"
load_stop >"$TEST_DIR/total"
# Mail that smtpd refused during a reload is not in $sent.
total=$(cat "$TEST_DIR/total")
[ "$total" -ge 300 ] || fail "only $total messages were accepted: $(cat "$TEST_DIR/load")"
sink_tell "$s" heal
postfix_flush "$p"
wait_for 30 settled "$total" || fail "not delivered: $(accounts)"
expect 'after all' "$(accounts | head -n 1)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
# A delivery that is cut short leaves its connection while the server still thinks.
expect 'deliveries cut short' "$(sink_value "$s" abandoned)" 0
expect 'supervisors' "$(supervisors | wc -l)" 1
expect_said 'first lines' ' starts: service lmtp-test' 11
expect_said 'last lines' 'headroom ends: ' 10
calm
