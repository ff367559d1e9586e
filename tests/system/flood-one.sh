#!/bin/sh
# 2000 messages to one dead domain come back at once, while five good messages arrive each second: good mail is
# delivered as if nothing were wrong, whether the dead mail is old or was never tried.
# Deferrals of the dead mail do not come back as one flood. Then everybody is well, and everything is delivered: lanes recover
# by themselves.
# limit: 600

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

for variant in $(flood_variants aged fresh); do
    case="2000 to one dead domain, $variant"
    flood_create
    flood_put dead --count 2000 --rcpt 'user%d@dead.invalid'
    flood_age "$(flood_age_of "$variant")"
    flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle 5
    sleep 2
    flood_flush
    flood_sent
    flood_latency "$case" "$FLOOD_P99" good
    flood_spread "$case"
    # Postfix tries together again what was deferred together. Ours leave over four minutes, which is 42 in five seconds, and a
    # quarter of 64 workers may fail with it at once; jitter and the room that is taken come on top. A twentieth of the flood is
    # above all that; a busy machine only spreads it more.
    [ "${spread_ours_count:?}" -ge 1 ] || fail "$case: nothing was deferred"
    [ "${spread_ours_most:?}" -le $((2000 / 20)) ] ||
        fail "$case: $spread_ours_most next attempts within five seconds, of $spread_ours_count"
    flood_heal 60
    flood_end
done
