#!/bin/sh
# What qmgr(8) has for a next hop at a time, here two, 20 by default, is what the server behind has, as with stock, whatever is
# known of the domains: messages to twenty domains that were never seen, and some of which ten are dead, first unknown, then known.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck disable=SC2034
STOCK_TOO=1
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

scene 'lmtp-test_destination_concurrency_limit = 2' 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s'
begin 'set ok ok 0.3' 'set dead dead 1'

# tried SENT DEFERRED: so many recipients were
tried()
{
    [ "$(said 'status=sent')" -ge "$1" ] && [ "$(said 'status=deferred')" -ge "$2" ]
}

# mixed PREFIX COUNT: to ten domains that deliver, and ten dead ones
mixed()
{
    send "$1" "$2" --rcpt 'user%d@good%d.invalid*10' --rcpt 'user%d@dead%d.invalid*10' --cycle 40
}

send group 10 --rcpt 'user%d@good%d.invalid*20' --cycle 40
mixed unknown 3
wait_for 60 tried 230 30 || fail "not tried: $(accounts)"
mixed known 4
wait_for 60 tried 270 70 || fail "not tried: $(accounts)"
most=$(sink_value "$s" open.max)
say "$most connections at once, $(sink_value "$s" messages) transactions"
# Each of two may have one more, on its way to scache(8) or from it.
[ "$most" -le 4 ] || fail "$most connections at once where two are allowed"
calm
