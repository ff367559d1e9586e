#!/bin/sh
# Messages with 30 recipients in 30 domains, one of them dead: the other 29 get theirs at once and once, the dead one alone
# waits. Afterwards everybody is well, and the rest is delivered.
# limit: 300

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD='ours stock'
COUNT=$((FLOOD_TIME * 5 / 2))
case="30 recipients in 30 domains, one dead"

served()
{
    [ "$(lines "$TEST_DIR/ours.sink/delivered" ' delivered .*@good')" -ge $((COUNT * 29)) ]
}

flood_create
flood_age 0
flood_send many --count "$COUNT" --rate 2.5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid*29' --cycle 29 \
    --rcpt 'user%d@dead.invalid'
flood_sent
wait_for "$FLOOD_GRACE" served || fail "$case: $(flood_figures ours many)"
for name in $FLOOD; do
    # The latency of those recipients that were delivered, over the server's own log.
    say "$case: $name: $(flood_figures "$name" many)"
done
expect 'recipients that were delivered' "$(lines "$TEST_DIR/ours.sink/delivered" ' delivered ')" $((COUNT * 29))
account --sent "$TEST_DIR/ours.sent" --log "$TEST_DIR/ours.sink/delivered" --queue "$TEST_DIR/ours/queue"
flood_latency_part="$(account --sent "$TEST_DIR/ours.sent" --log "$TEST_DIR/ours.sink/delivered" \
    --queue "$TEST_DIR/ours/queue" --latency | tail -n 1)"
echo "$flood_latency_part" | awk '{ exit !($7 <= '"$FLOOD_P99"') }' || fail "$case: $flood_latency_part"
flood_heal 40
flood_end
expect 'recipients in the end' "$(lines "$TEST_DIR/ours.sink/delivered" ' delivered ')" $((COUNT * 30))
