#!/bin/sh
# The tools of the system tests themselves, with the stock agent: everything is delivered once and counted; a bounce and
# a deferral are told apart; a message that somebody removes is found missing, one that is sent twice is found doubled;
# mail can be put aside, aged and released.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
export AGENT=lmtp

p=$TEST_DIR/postfix
s=$TEST_DIR/sink
sent=$TEST_DIR/sent

accounts()
{
    account --sent "$sent" --log "$s/delivered" --queue "$p/queue" "$@" 2>&1
}

postfix_create "$p" 'inet:[127.0.0.1]:10083'
sink_start "$s" 127.0.0.1:10083 'set slow slow 1'
postfix_start "$p"
to=$(postfix_address "$p")

say '500 messages'
mailgen --to "$to" --prefix plain --sent "$sent" --count 500 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 20
postfix_wait_empty "$p" 30 || fail '500 messages were not delivered in 30 s'
expect 'after 500' "$(accounts)" 'sent 500, delivered 500, queued 0, bounced 0, lost 0, doubled 0'
# Two ways of counting that know nothing of each other.
expect 'lines of the agents' "$(lines "$(postfix_log "$p")" 'status=sent')" 500
account --sent "$sent" --log "$s/delivered" --prefix plain --latency

say 'one of three recipients is rejected, one deferred'
mailgen --to "$to" --prefix mixed --sent "$sent" \
    --rcpt 'ok1@good.invalid' --rcpt 'bounce1@good.invalid' --rcpt 'user@defer.invalid'
wait_for 10 grep -q ' bounced <mixed\.' "$s/delivered" || fail 'the bounce did not reach the sender'
expect 'who got the bounce' "$(grep -c ' delivered [^ ]* sender@sender.invalid ' "$s/delivered")" 1
expect 'what is left' "$(accounts --prefix mixed)" 'sent 3, delivered 1, queued 1, bounced 1, lost 0, doubled 0'
expect 'queue files' "$(postfix_count "$p")" 1
sink_tell "$s" heal
postfix_flush "$p"
postfix_wait_empty "$p" 20 || fail 'the deferred recipient was not tried again'
expect 'after healing' "$(accounts --prefix mixed)" 'sent 3, delivered 2, queued 0, bounced 1, lost 0, doubled 0'

say 'mail put aside, made an hour older and released'
postfix_hold "$p"
mailgen --to "$to" --prefix aged --sent "$sent" --count 50 --rcpt 'user%d@good%d.invalid'
expect 'put aside' "$(postfix_count "$p" hold)" 50
expect 'put aside' "$(accounts --prefix aged)" 'sent 50, delivered 0, queued 50, bounced 0, lost 0, doubled 0'
postfix_age "$p" 3600
postfix_release "$p"
postfix_flush "$p"
postfix_wait_empty "$p" 20 || fail 'aged mail was not delivered'
expect 'aged' "$(accounts --prefix aged)" 'sent 50, delivered 50, queued 0, bounced 0, lost 0, doubled 0'
# The agent's own opinion of their age, in its log.
expect 'ages in the log' "$(lines "$(postfix_log "$p")" ' delay=36[0-9][0-9],.*status=sent')" 50

say 'a message that disappears is noticed'
postfix_hold "$p"
mailgen --to "$to" --prefix thief --sent "$sent" --count 3 --rcpt 'user%d@good.invalid'
rm "$(find "$p/queue/hold" -type f | head -n 1)"
if accounts --prefix thief >"$TEST_DIR/thief"; then
    fail 'a removed message was not missed'
fi
expect 'one removed' "$(tail -n 1 "$TEST_DIR/thief")" \
    'sent 3, delivered 0, queued 2, bounced 0, lost 1, doubled 0'
cp -p "$(find "$p/queue/hold" -type f | head -n 1)" "$TEST_DIR/copy"
postfix_release "$p"
postfix_flush "$p"
postfix_wait_empty "$p" 20 || fail 'released mail was not delivered'

say 'a message that is delivered twice is noticed'
postfix_stop "$p"
# Postfix wants the inode's number in the name of a queue file, behind five digits.
cp -p "$TEST_DIR/copy" "$p/queue/incoming/copy"
mv "$p/queue/incoming/copy" "$p/queue/incoming/$(printf '00000%X' "$(stat -c %i "$p/queue/incoming/copy")")"
postfix_start "$p"
postfix_wait_empty "$p" 20 || fail 'the copy was not delivered'
if accounts --prefix thief >"$TEST_DIR/thief"; then
    fail 'a message delivered twice was not noticed'
fi
expect 'one doubled' "$(tail -n 1 "$TEST_DIR/thief")" \
    'sent 3, delivered 2, queued 0, bounced 0, lost 1, doubled 1'

postfix_stop "$p" || fail 'Postfix left something behind'
expect 'processes left' "$(postfix_processes "$p")" ''
sink_stop "$s" || fail 'the LMTP server ended badly'
