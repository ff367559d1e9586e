#!/bin/sh
# The process that forks workers is killed every 200 ms during 400 messages, then stopped again and again: all are
# delivered once, none is late, and few lines say it. MESSAGES in the place of 400.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

each=${MESSAGES:-400}
# Workers end after five messages, so that many are started.
scene 'max_use = 5'
configure '{"defaults": {"workers": {"max": 20, "start": "fork"}}}'
begin 'set slow slow 0.1'
log=$(postfix_log "$p")

send known 100
total=100
for signal in KILL STOP; do
    say "$signal"
    # The pause after a failure is forgotten.
    wait_for 20 settled "$total" || fail "not delivered: $(accounts)"
    total=$((total + each))
    postfix_reload "$p"
    mailgen --to "$(postfix_address "$p")" --prefix "hit$signal" --sent "$sent" --rate 100 --time $((each / 100)) \
        --rcpt 'slow%d@good%d.invalid' --cycle 20 >"$TEST_DIR/mailgen" 2>&1 &
    generator=$!
    hits=0
    while kill -0 "$generator" 2>/dev/null; do
        for pid in $(children "$(parent)" lmtp-template); do
            kill "-$signal" "$pid" && hits=$((hits + 1))
        done
        sleep 0.2
    done
    wait "$generator" || fail "mailgen: $(cat "$TEST_DIR/mailgen")"
    [ "$hits" -ge 2 ] || fail "hit $hits times"
    say "hit $hits times"
done
wait_for 20 settled "$total" || fail "not delivered: $(accounts)"
expect 'in the end' "$(accounts)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
late=$(grep -c ' delay=\([3-9]\|[1-9][0-9]\)' "$log") || true
expect 'deliveries that took three seconds and more, on a busy machine' "$late" 0
lines_said=$(said 'headroom\[[0-9]*\]: .*workers are \(forked\|executed\)')
[ "$lines_said" -le 24 ] || fail "$lines_said lines about it"
calm
