#!/bin/sh
# Address probes in a flood: `sendmail -bv` and reject_unverified_recipient of smtpd(8) get their answer from the agent, at
# once for a domain that is well, and never one of ours.
# limit: 200

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
flood_create
cat >"$TEST_DIR/ours/etc/headroom.json" <<'J'
{"defaults": {"workers": {"max": 64, "limit": "fixed"}, "waiting": {"max": 50, "time": 5}, "destination": {"backlog": 20}}}
J
log=$(postfix_log "$TEST_DIR/ours")
flood_put dead --count 600 --rcpt 'user%d@dead%d.invalid' --cycle 3
flood_age 3600
flood_flush

# probe ADDRESS: asks for a report about it.
probe()
{
    sendmail -C "$TEST_DIR/ours/etc" -f sender@sender.invalid -bv "$1" </dev/null
}

full()
{
    [ "$(lines "$log" 'status=deferred.*waiting.max')" -ge 100 ]
}

wait_for 20 full || fail 'the waiting room was not full'
say 'sendmail -bv, the waiting room is full'
probe probe@good.invalid
probe probe@dead1.invalid
wait_for 2 grep -q 'lmtp\[.*to=<probe@good.invalid>.*status=deliverable' "$log" || fail 'no answer to a probe'
wait_for 5 grep -q ' delivered .* sender@sender.invalid ' "$TEST_DIR/ours.sink/delivered" || fail 'no report about a probe'

say 'reject_unverified_recipient'
postfix_smtpd "$TEST_DIR/ours" 'smtpd_recipient_restrictions = reject_unverified_recipient'
flood_put good --count 2 --sessions 1 --rcpt 'verified%d@good.invalid'
wait_for 5 flood_delivered_all good || fail 'verified mail was not delivered'
# The double-bounce sender is that of probes.
expect 'probes that we answered' "$(lines "$log" 'to=<\(probe\|verified.\)@.*delivery postponed')" 0
wait_for $((FLOOD_HOLD + 60)) grep -q 'lmtp\[.*to=<probe@dead1.invalid>.*status=undeliverable' "$log" ||
    fail 'the dead domain was never probed'
flood_end
