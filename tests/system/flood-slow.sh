#!/bin/sh
# Slow but alive: every delivery to a domain takes 8 s and succeeds, and 2.5 messages a second arrive for it. Concurrency
# grows to what is allowed, nothing is deferred, everything is delivered; also beside 300 dead domains.
# limit: 400

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
for variant in $(flood_variants beside alone); do
    case="slow but alive, $variant"
    flood_create
    [ "$variant" = alone ] || flood_put dead --count 1500 --rcpt 'user%d@dead%d.invalid' --cycle 300
    flood_age 3600
    [ "$variant" = alone ] || flood_flush
    flood_send slow --rate 2.5 --time "$FLOOD_TIME" --rcpt 'user%d@slow.invalid'
    flood_sent
    # Four times the service is the most that a message may wait for the window to grow; then the last delivery.
    wait_for 40 flood_delivered_all slow || fail "$case: $(flood_figures ours slow)"
    say "$case: $(flood_figures ours slow), at most $(sink_value "$TEST_DIR/ours.sink" slow.holding.max) at once"
    # 2.5 a second for 8 s each: 20 at once are needed in the end.
    [ "$(sink_value "$TEST_DIR/ours.sink" slow.holding.max)" -ge 16 ] || fail "$case: the window did not grow"
    expect 'deferred' "$(lines "$(postfix_log "$TEST_DIR/ours")" '@slow.invalid>.*status=deferred')" 0
    flood_end
done
