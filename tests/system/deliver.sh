#!/bin/sh
# Mail through the supervisor: delivered once, bounced and deferred by the server's answers, with log lines that cannot be
# told from those of stock lmtp; never more workers than workers.max; its own line at the start.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene 'transport_maps = inline:{.stock.invalid=stock:inet:[127.0.0.1]:10083}'
postfix_service "$p" stock 'stock unix - - n - - lmtp'
configure '{"services": {"lmtp-test": {"workers": {"max": 7}}}}'
begin 'set slow slow 0.1'
log=$(postfix_log "$p")

say '500 messages'
watch_workers "$TEST_DIR/most"
send plain 450 --sessions 8
send slow 50 --sessions 8 --rcpt 'slow%d@good%d.invalid' --cycle 20
postfix_wait_empty "$p" 30 || fail '500 messages were not delivered in 30 s'
kill "$watcher"
expect 'after 500' "$(accounts)" 'sent 500, delivered 500, queued 0, bounced 0, lost 0, doubled 0'
expect_said 'lines of the agents' 'postfix/lmtp.*status=sent' 500
# All of them: with fifty slow messages and seven workers, nothing else is quick enough.
expect 'most workers' "$(cat "$TEST_DIR/most")" 7

say 'one of three recipients is rejected, one deferred'
send mixed 1 --rcpt 'ok1@good.invalid' --rcpt 'bounce1@good.invalid' --rcpt 'user@defer.invalid'
wait_for 10 grep -q ' bounced <mixed\.' "$s/delivered" || fail 'the bounce did not reach the sender'
expect 'who got the bounce' "$(grep -c ' delivered [^ ]* sender@sender.invalid ' "$s/delivered")" 1
expect 'what is left' "$(accounts --prefix mixed)" 'sent 3, delivered 1, queued 1, bounced 1, lost 0, doubled 0'
sink_tell "$s" heal
postfix_flush "$p"
drain 20 || fail 'the deferred recipient was not tried again'
expect 'after healing' "$(accounts --prefix mixed)" 'sent 3, delivered 2, queued 0, bounced 1, lost 0, doubled 0'

say 'the same through stock lmtp and through workers, side by side'
sink_tell "$s" set bounce bounce
sink_tell "$s" set defer defer
# One request of the stock agent is for one domain here, as the parts of ours are.
for of in stock ours; do
    for is in good bounce1 defer1; do
        send "$of-$is" 1 --rcpt "$is@$is.$of.invalid"
    done
done
wait_for 10 three || fail "wanted three kinds of lines each: $(kinds stock) -- $(kinds ours)"
expect 'log lines of the workers' "$(kinds ours)" "$(kinds stock)"
# That the masks have left something to compare.
expect 'a line' "$(kinds ours | grep -c 'lmtp\[PID\]: ID: to=<good@good.invalid>, relay=127.0.0.1\[127.0.0.1\]:10083, delay=D, delays=A/B/C/D, dsn=2')" 1

say 'its own line'
expect_said 'start lines' 'postfix/headroom\[[0-9]*\]: headroom [0-9.]* starts: service lmtp-test, agent lmtp, workers 1 to 7 (workers.max in headroom.json), at most 2000 requests wait, configuration from ' 1
calm
sink_tell "$s" heal
postfix_flush "$p"
postfix_wait_empty "$p" 20 || fail 'the rest was not delivered'
