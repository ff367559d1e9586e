#!/bin/sh
# A reload in the middle of a flood of 2000 messages to one dead domain: what the old workers have is delivered once, good
# mail goes on, and when everybody is well again all is delivered, nothing twice.
# limit: 300

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
case='reload in a flood'
flood_create
flood_put dead --count 2000 --rcpt 'user%d@dead.invalid'
flood_put slow --count 20 --rcpt 'user%d@slow%d.invalid'
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
flood_sent
# Stock takes a second to begin anew after a reload, and so do we.
flood_latency "$case" "$FLOOD_P99" good
flood_heal 60
flood_end
expect 'deliveries' "$(lines "$TEST_DIR/ours.sink/delivered" ' delivered ')" "$((2000 + 20 + 5 * FLOOD_TIME))"
