#!/bin/sh
# The dispatcher and the parent are killed in turn, under load: master starts a fresh pair for the next mail and does not
# throttle the service, deliveries in flight finish once, there is one pool and one holder of the lock.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

MAX=30
# A throttled service would stand still for all of this test.
scene 'service_throttle_time = 60s'
configure "{\"defaults\": {\"workers\": {\"max\": $MAX, \"limit\": \"fixed\"}}}"
begin
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
sink_tell "$s" set ok slow 1

load_start 60
delivering()
{
    delivering_now=$(sink_value "$s" messages)
    [ "$(parent)" != "$1" ] && [ -n "$(dispatcher)" ] && [ "$delivering_now" -ge $(($2 + 20)) ] &&
        [ "$(workers | wc -l)" -ge 5 ]
}
orphans()
{
    for orphan in $(postfix_pids "$p" lmtp); do
        [ "$(cut -d ' ' -f 4 "/proc/$orphan/stat" 2>/dev/null)" = "$(parent)" ] || echo "$orphan"
    done
}
no_orphans()
{
    [ -z "$(orphans)" ]
}
watch_workers "$TEST_DIR/most"
old=none
seen=0
for victim in dispatcher parent dispatcher parent dispatcher parent; do
    wait_for 20 delivering "$old" "$seen" || fail "no mail flows after the end of supervisor $old"
    seen=$(sink_value "$s" messages)
    old=$(parent)
    old_dispatcher=$(dispatcher)
    kill -KILL "$($victim)"
    within 1000 gone "$old" "$old_dispatcher" || fail "the other half is still there after the end of its $victim"
done
wait_for 20 delivering "$old" "$seen" || fail "no mail flows after the end of supervisor $old"
wait_for 10 no_orphans || fail "workers of a dead supervisor are still there: $(orphans)"
expect 'supervisors' "$(supervisors | wc -l)" 1
# A worker is called headroom too until it becomes lmtp: for a moment there may be a third.
one_pair()
{
    [ "$(postfix_pids "$p" headroom | wc -l)" -eq 2 ]
}
wait_for 5 one_pair || fail "processes called headroom: $(postfix_pids "$p" headroom)"
! flock -n "$p/queue/pid/headroom.lmtp-test" true || fail 'nobody holds the lock'
[ "$(cat "$TEST_DIR/most")" -le "$MAX" ] || fail "$(cat "$TEST_DIR/most") workers"
kill "$watcher"
load_stop >"$TEST_DIR/total"
total=$(cat "$TEST_DIR/total")
sink_tell "$s" heal
postfix_flush "$p"
wait_for 30 settled "$total" || fail "not delivered: $(accounts)"
expect 'after all' "$(accounts | head -n 1)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
expect 'deliveries cut short' "$(sink_value "$s" abandoned)" 0
expect_said 'throttled' 'throttling' 0
expect_said 'said of dispatchers' 'the dispatcher ended unexpectedly (signal 9)' 3
# Not more processes than deaths call for.
expect_said 'first lines' ' starts: service lmtp-test' 7
