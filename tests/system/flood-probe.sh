#!/bin/sh
# Address probes in a flood: `sendmail -bv` and reject_unverified_recipient of smtpd(8) get their answer from the agent, at
# once for a domain that is well, and never one of ours.
# limit: 200

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
flood_create
# Of 64 workers 40 would take first attempts of the one domain, and too few would be left to wait.
cat >"$TEST_DIR/ours/etc/headroom.json" <<'J'
{"defaults": {"workers": {"max": 16, "limit": "fixed"}, "waiting": {"max": 50, "time": 5}, "destination": {"backlog": 20}}}
J
log=$(postfix_log "$TEST_DIR/ours")
flood_put dead --count 600 --rcpt 'user%d@deadrcpt.invalid'
# Not aged: of a queue, retries go before first attempts, and a probe is one.
flood_age 0
flood_flush

# probe ADDRESS: asks for a report about it.
probe()
{
    sendmail -C "$TEST_DIR/ours/etc" -f sender@sender.invalid -bv "$1" </dev/null
}

# Victims leave one by one, the first after some seconds.
full()
{
    [ "$(lines "$log" 'status=deferred.*waiting.max')" -ge 1 ]
}

wait_for 30 full || fail 'the waiting room was not full'
say 'sendmail -bv, the waiting room is full'
probe probe@good.invalid
# The newest of the longest queue is who has to go.
probe probe@deadrcpt.invalid
wait_for 2 grep -q 'lmtp\[.*to=<probe@good.invalid>.*status=deliverable' "$log" || fail 'no answer to a probe'
wait_for 5 grep -q ' delivered .* sender@sender.invalid ' "$TEST_DIR/ours.sink/delivered" || fail 'no report about a probe'

say 'reject_unverified_recipient'
postfix_smtpd "$TEST_DIR/ours" 'smtpd_recipient_restrictions = reject_unverified_recipient'
flood_put good --count 2 --sessions 1 --rcpt 'verified%d@good.invalid'
wait_for 5 flood_delivered_all good || fail 'verified mail was not delivered'
late()
{
    [ "$(lines "$log" 'status=deferred.*does not answer')" -ge 5 ]
}

# Also when all else is deferred because the domain hangs.
wait_for $((FLOOD_HOLD + 40)) late || fail 'nothing was deferred for waiting too long'
expect 'probes that we answered' "$(lines "$log" 'to=<\(probe\|verified.\)@.*delivery deferred')" 0
flood_end
