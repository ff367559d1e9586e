#!/bin/sh
# 300 dead domains are answered with 421 at once: few workers are enough, none is started for each refusal, good mail goes
# on, and what is deferred does not come back as one flood.
# limit: 300

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

case='421 at once, 300 domains x 7'
flood_create
flood_put busy --count 2100 --rcpt 'user%d@busy%d.invalid' --cycle 300
flood_age 3600
flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle 5
sleep 2
flood_flush
flood_sent
flood_latency "$case" "$FLOOD_P99" good
flood_spread "$case"
for name in $FLOOD; do
    say "$case: $name: at most $(sink_value "$TEST_DIR/$name.sink" open.max) connections at once," \
        "$(sink_value "$TEST_DIR/$name.sink" busy.recipients) attempts, $(flood_workers "$name") processes"
done
attempts=$(sink_value "$TEST_DIR/ours.sink" busy.recipients)
# An lmtp ends by itself after 100 messages (max_use).
[ "$(flood_workers ours)" -le $((40 + attempts / 100)) ] || fail "$case: $(flood_workers ours) workers were started"
# The limit begins at 100: how many connections are open at once depends on how busy this machine is. Stock lmtp, beside it,
# opens all that its process limit allows.
stock=$(sink_value "$TEST_DIR/stock.sink" open.max)
[ "$(sink_value "$TEST_DIR/ours.sink" open.max)" -le "$stock" ] || fail "$case: more connections at once than stock's $stock"
flood_end
