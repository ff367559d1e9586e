#!/bin/sh
# The service is a content filter: with destination.key "nexthop" a large message to 40 domains that were never seen is one
# transaction, as with stock lmtp before it, and its process limit holds. `check` says what the key should be.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

# check_says STATUS PATTERN
check_says()
{
    got=0
    "$BUILD/headroomctl" -c "$p/etc" check >"$TEST_DIR/out" 2>&1 || got=$?
    [ "$got" -eq "$1" ] || fail "check: status $got, wanted $1: $(cat "$TEST_DIR/out")"
    grep -q -e "$2" "$TEST_DIR/out" || fail "no '$2' in: $(cat "$TEST_DIR/out")"
}

# large PREFIX SENT: a message of 10 MB to 40 domains; its transactions
large()
{
    before=$(sink_value "$s" messages)
    send "$1" 1 --size 9900000 --rcpt 'user%d@%d.'"$1"'.invalid*40' --cycle 40
    wait_for 30 settled "$2" || fail "$1: not delivered: $(accounts)"
    echo $(($(sink_value "$s" messages) - before))
}

scene 'message_size_limit = 20000000' 'content_filter = lmtp-test:inet:[127.0.0.1]:10083' 'default_transport = discard:'
configure '{"defaults": {"destination": {"key": "nexthop"}}}'
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - 2 lmtp'
begin
large stock 40 >"$TEST_DIR/stock"
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - 2 headroom'
postfix_reload "$p"
large ours 80 >"$TEST_DIR/ours"
expect 'transactions of stock lmtp' "$(tail -n 1 "$TEST_DIR/stock")" 1
expect 'transactions' "$(tail -n 1 "$TEST_DIR/ours")" 1
check_says 0 "^ok .*service lmtp-test is a content filter (content_filter, main.cf)"

sink_tell "$s" set ok slow 0.2
send many 40
wait_for 30 settled 120 || fail "not delivered: $(accounts)"
# Each of two may have one more, on its way to scache(8) or from it. Without the limit they were twenty.
[ "$(sink_value "$s" open.max)" -le 4 ] || fail "$(sink_value "$s" open.max) connections at once, with a process limit of 2"

postfix_main "$p" 'content_filter ='
postfix_service "$p" smtpd "$(sed 's/$/ -o content_filter=lmtp-test:inet:[127.0.0.1]:10083/' "$p/master.d/smtpd")"
configure '{}'
check_says 0 "^warning .*service lmtp-test is a content filter (content_filter, line [0-9]* of master.cf)"
calm
