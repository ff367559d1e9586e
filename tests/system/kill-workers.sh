#!/bin/sh
# Fifty workers are killed at random moments during 1000 messages: every message is delivered in the end, none is lost or
# bounced, the transport is never throttled, and it is said which messages were in their hands.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

KILLS=50
MESSAGES=1000
scene
configure '{"defaults": {"workers": {"max": 20}}}'
begin
log=$(postfix_log "$p")

# A destination that has never answered gets one worker at a time: first they are made known.
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
sink_tell "$s" set ok slow 0.4
send victim "$((MESSAGES - 100))" --sessions 4 >"$TEST_DIR/mailgen" &
generator=$!
: >"$TEST_DIR/killed"
kills=0
some()
{
    [ -n "$(workers)" ]
}
while [ "$kills" -lt "$KILLS" ]; do
    worker=$(workers | shuf -n 1)
    [ -n "$worker" ] || {
        wait_for 30 some || fail "no worker to kill after $kills"
        continue
    }
    kill -KILL "$worker" 2>/dev/null || continue
    echo "$worker" >>"$TEST_DIR/killed"
    kills=$((kills + 1))
    # At random moments: this pause is the randomness, nothing is waited for.
    sleep "0.0$(shuf -i 10-89 -n 1)"
done
say "$kills killed, $(lines "$s/delivered" ' delivered ') delivered"
wait "$generator" || fail "mailgen: $(cat "$TEST_DIR/mailgen")"
wait_for 60 settled "$MESSAGES" || fail "not delivered: $(accounts --may-double "$KILLS")"

# A message may arrive twice when its worker is killed between the server's answer and its mark in the queue file, as with
# stock lmtp; that is at most one for each kill.
accounts --may-double "$KILLS" >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
say "$(head -n 1 "$TEST_DIR/accounts")"
case $(head -n 1 "$TEST_DIR/accounts") in
"sent $MESSAGES, delivered $MESSAGES, queued 0, bounced 0, lost 0, doubled "*) ;;
*) fail 'not everything was delivered' ;;
esac
calm
expect_said 'one supervisor all the time' ' starts: service lmtp-test' 1
expect_said 'nothing malformed for qmgr' 'malformed response' 0

postfix_reload "$p"
wait_for 5 ended 1 || fail 'no last line of the supervisor'
lost=$(sed -n 's/.*headroom ends: .* \([0-9]*\) lost with a worker.*/\1/p' "$log" | head -n 1)
[ "$lost" -ge 1 ] && [ "$lost" -le "$KILLS" ] || fail "$lost requests lost with $KILLS workers"
# The first five one by one, then as a sum.
said_lost=$(said 'worker [0-9]* ended with it (signal 9)')
[ "$said_lost" -ge 1 ] && [ "$said_lost" -le "$lost" ] || fail "$said_lost lines about $lost lost requests"
sed -n 's/.*\]: \(warning: \)\{0,1\}\([0-9A-Za-z]*\): worker \([0-9]*\) ended with it (signal 9).*/\2 \3/p' "$log" \
    >"$TEST_DIR/said"
while read -r id pid; do
    grep -q "^$pid\$" "$TEST_DIR/killed" || fail "worker $pid was not killed by us"
    # It was mail, and it was delivered afterwards.
    grep -q "/lmtp\[[0-9]*\]: $id: to=<.*status=sent" "$log" || fail "$id was never delivered"
done <"$TEST_DIR/said"
expect 'lines understood' "$(wc -l <"$TEST_DIR/said")" "$said_lost"
