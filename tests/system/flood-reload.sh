#!/bin/sh
# A reload in the middle of a flood of 2000 messages to one dead domain: what the old workers have is delivered once, good
# mail goes on, what was learned of destinations outlives the process that learned it, and when everybody is well again all
# is delivered, nothing twice.
# limit: 300

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
case='reload in a flood'
# No more than headroomctl shows of those in trouble, with the dead one.
slow=15
flood_create
flood_put dead --count 2000 --rcpt 'user%d@dead.invalid'
flood_put slow --count "$slow" --rcpt 'user%d@slow%d.invalid'
flood_age 3600
flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle 5
sleep 2
flood_flush
held()
{
    [ "$(sink_value "$TEST_DIR/ours.sink" dead.holding)" -ge 1 ] && [ "$(sink_value "$TEST_DIR/ours.sink" slow.holding)" -ge 4 ]
}
wait_for 10 held || fail "$case: the flood did not begin"
sleep 1
postfix_reload "$TEST_DIR/ours" || fail "$case: qmgr(8) is the old one"
# All that was slow may be with the old workers: the new process learns by mail of its own.
flood_mailgen ours late --count "$slow" --rcpt 'user%d@slow%d.invalid'
flood_sent
# Stock takes a second to begin anew after a reload, and so do we.
flood_latency "$case" "$FLOOD_P99" good

ctl()
{
    "$BUILD/headroomctl" -c "$TEST_DIR/ours/etc" "$@"
}
# The process that wrote what headroomctl shows.
writer()
{
    ctl status --json 2>/dev/null | json_get 0.status.pid
}
# in_lane LANE: the destinations that headroomctl shows in it.
in_lane()
{
    ctl destinations 2>/dev/null | awk -v lane="$1" '$2 == lane { print $1 }' | sort
}
# One dead domain has failed after FLOOD_HOLD seconds; the slow ones deliver, but after 8 s.
learned()
{
    [ "$(in_lane dead)" = dead.invalid ] && [ "$(in_lane slow | grep -c '^slow[0-9]*\.invalid$')" -ge 4 ]
}
wait_for $((2 * FLOOD_HOLD)) learned || fail "$case: dead and slow destinations are not known: $(ctl destinations)"
# Those of which nothing is left: a process that has learned nothing cannot know them.
grep -o 'slow[0-9]*\.invalid' "$TEST_DIR/ours.sink/delivered" | sort -u >"$TEST_DIR/delivered"
in_lane slow | grep -xFf "$TEST_DIR/delivered" >"$TEST_DIR/known" || fail "$case: none of the slow ones delivered anything"
say "$case: known as slow: $(tr '\n' ' ' <"$TEST_DIR/known")"
old=$(writer)
written_anew()
{
    new=$(writer) && [ "$new" != "$old" ]
}
postfix_reload "$TEST_DIR/ours" || fail "$case: qmgr(8) is the old one after the second reload"
wait_for 10 written_anew || fail "$case: no new process after the second reload"
# At once, before it could have learned that by itself: that takes FLOOD_HOLD and 8 s.
ctl destinations >"$TEST_DIR/after"
awk '$2 == "dead" { print $1 }' "$TEST_DIR/after" | grep -qx 'dead\.invalid' ||
    fail "$case: forgotten that it is dead: $(cat "$TEST_DIR/after")"
awk '$2 == "slow" { print $1 }' "$TEST_DIR/after" | sort | comm -13 - "$TEST_DIR/known" >"$TEST_DIR/forgotten"
[ ! -s "$TEST_DIR/forgotten" ] || fail "$case: forgotten that these are slow: $(tr '\n' ' ' <"$TEST_DIR/forgotten"): $(cat "$TEST_DIR/after")"

flood_heal 60
flood_end
expect 'deliveries' "$(lines "$TEST_DIR/ours.sink/delivered" ' delivered ')" "$((2000 + 2 * slow + 5 * FLOOD_TIME))"
