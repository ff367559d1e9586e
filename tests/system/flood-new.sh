#!/bin/sh
# 300 dead domains, none seen before, have 5 messages each, which come back at once. Good mail begins only then, so there is
# nothing known of anybody: to five domains, or to a new domain each time, or the latter with two messages a second to new
# dead domains beside it.
# limit: 1200

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

for variant in $(flood_variants fresh-new-more aged-new-more aged-five aged-new fresh-five fresh-new); do
    case="300 dead domains x 5, $variant"
    cycle=1000000
    case $variant in
    *-five) cycle=5 ;;
    esac
    limit=$FLOOD_P99
    case $variant in
    fresh-*) [ -z "${FLOOD_FULL:-}" ] || limit=1 ;;
    esac
    # New dead domains, which nothing tells from good ones, may have nearly all workers: the hundredth message of good mail then
    # waits until one of them ends, or in a full run several (supervisor/admission/admission_share.c, 3fnt).
    FLOOD_GRACE=5
    case $variant in
    fresh-*-more)
        limit=$((FLOOD_HOLD + 3))
        [ -z "${FLOOD_FULL:-}" ] || FLOOD_GRACE=$((4 * FLOOD_HOLD)) limit=$FLOOD_GRACE
        ;;
    esac
    flood_create
    flood_put dead --count 1500 --rcpt 'user%d@dead%d.invalid' --cycle 300
    flood_age "$(flood_age_of "$variant")"
    flood_flush
    wait_for 10 flood_taken || fail "the flush was not taken up"
    flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle "$cycle"
    # So many that they hold 20 of the 64 workers, however long a delivery takes.
    case $variant in
    *-more) flood_send more --rate "$(awk "BEGIN { print 20 / $FLOOD_HOLD }")" --time "$FLOOD_TIME" --first 1000 --rcpt 'user%d@dead%d.invalid' ;;
    esac
    flood_sent
    flood_latency "$case" "$limit" good
    flood_spread "$case"
    flood_heal 60
    flood_end
done
