#!/bin/sh
# 40 dead domains have 100 messages each, which come back at once, while five good messages arrive each second: slots keep
# turning over for good mail.
# limit: 600

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

for variant in $(flood_variants fresh aged); do
    case="40 dead domains x 100, $variant"
    flood_create
    flood_put dead --count 4000 --rcpt 'user%d@dead%d.invalid' --cycle 40
    flood_age "$(flood_age_of "$variant")"
    flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle 5
    sleep 2
    flood_flush
    flood_sent
    flood_latency "$case" 0.25 good
    flood_spread "$case"
    flood_heal 60
    flood_end
done
