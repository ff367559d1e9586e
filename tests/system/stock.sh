#!/bin/sh
# The tools of the system tests themselves, with the stock agent: everything is delivered once and counted, a bounce and
# a deferral are told apart, and a message that somebody removes is found missing.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
AGENT=lmtp

p=$TEST_DIR/postfix
s=$TEST_DIR/sink
sent=$TEST_DIR/sent

postfix_create "$p" 'inet:[127.0.0.1]:10083'
sink_start "$s" 127.0.0.1:10083
postfix_start "$p"
say started

to=$(postfix_address "$p")
mailgen --to "$to" --prefix plain --sent "$sent" --count 500 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 20
postfix_wait_empty "$p" 30 || fail '500 messages were not delivered in 30 s'
expect 'after 500' "$(account --sent "$sent" --log "$s/delivered" --queue "$p/queue")" \
    'sent 500, delivered 500, queued 0, bounced 0, lost 0, doubled 0'
account --sent "$sent" --log "$s/delivered" --prefix plain --latency
