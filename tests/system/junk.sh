#!/bin/sh
# What is not a delivery request, or is one for a queue file that is not there or locked: answered as a stock agent does,
# or closed; the supervisor lives, does not grow, and mail flows.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
begin
send known 50
wait_for 20 settled 50 || fail "not delivered: $(accounts)"
pair="$(parent) $(dispatcher)"
socket=$p/queue/private/lmtp-test

# The greeting and the answer "deferred, without a DSN" of a stock agent (postfix-protocol.md 4.1 and 4.7).
greeting='protocol|delivery_request_protocol||'
deferred='status||diag_type||diag_text||mta_type||mta_mname||action||reason||status|4294967295||'

# talk SECONDS [open]: what comes back, with | for NUL
talk()
{
    talk_status=0
    poke talk "$socket" "$@" >"$TEST_DIR/answer" || talk_status=$?
    tr '\0' '|' <"$TEST_DIR/answer"
    [ "$talk_status" -eq 0 ] || printf ' (status %s)' "$talk_status"
}

# request QUEUE_ID: a delivery request of one recipient (postfix-protocol.md 4.2 and 4.3)
request()
{
    now=$(date +%s)
    # Struct MSG_STATS: five times and a number, 88 bytes; the first two times are now.
    le=$(printf '%016x' "$now" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\\x\8\\x\7\\x\6\\x\5\\x\4\\x\3\\x\2\\x\1/')
    stats=$({
        /usr/bin/printf "$le"
        head -c 8 /dev/zero
        /usr/bin/printf "$le"
        head -c 64 /dev/zero
    } | base64 -w 0)
    printf 'flags\0003\0queue_name\0active\0queue_id\0%s\0offset\000260\0size\00083\0' "$1"
    printf 'nexthop\0inet:[127.0.0.1]:10083\0encoding\0007bit\0%s\0000\0sender\0a@b.invalid\0' smtputf8
    printf 'envelope_id\0\0ret_flags\0000\0time\0%s\0log_client_name\0\0log_client_address\0\0' "$stats"
    printf 'log_client_port\0\0log_protocol_name\0\0log_helo_name\0\0sasl_method\0\0sasl_username\0\0'
    printf 'sasl_sender\0\0log_ident\0\0rewrite_context\0local\0recipient_count\0001\0\0'
    printf 'original_recipient\0c@d.invalid\0recipient\0c@d.invalid\0offset\000197\0dsn_orig_rcpt\0\0'
    printf 'notify_flags\0000\0\0'
}

request ABCDEF0123 >"$TEST_DIR/request"
size=$(wc -c <"$TEST_DIR/request")

say 'queue files that are not there, or locked'
expect 'not there' "$(talk 5 open <"$TEST_DIR/request")" "$greeting$deferred"
expect_said 'said' 'ABCDEF0123: delivery request refused, it stays in the queue: its queue file does not exist' 1
for id in ../../x a/b 'a b' '' .; do
    expect "queue id '$id'" "$(request "$id" | talk 5 open)" "$greeting$deferred"
done
flock -x "$p/queue/active/AAAA0001" sleep 600 &
locker=$!
AT_EXIT="kill $locker 2>/dev/null; $AT_EXIT"
wait_for 5 eval "! flock -n -s '$p/queue/active/AAAA0001' true" || fail 'flock(1) does not lock'
chown postfix "$p/queue/active/AAAA0001"
expect 'locked' "$(request AAAA0001 | talk 5 open)" "$greeting$deferred"

say 'a wake-up call'
expect 'a byte and the end' "$(printf W | talk 5)" "$greeting$deferred"
expect 'the end alone' "$(talk 5 </dev/null)" "$greeting"

say 'garbage'
expect 'random bytes' "$(head -c 50000 /dev/urandom | talk 5)" "$greeting$deferred"
expect 'text' "$(printf 'EHLO test\r\n\r\n\0\0\0' | talk 5 open)" "$greeting$deferred"
expect 'another protocol' "$(printf 'nrequest\0000\0flags\0000\0\0' | talk 5 open)" "$greeting$deferred"

say 'requests that end in the middle'
for part in 1 7 100 500 $((size - 1)); do
    expect "the first $part bytes" "$(head -c "$part" "$TEST_DIR/request" | talk 5)" "$greeting$deferred"
done
head -c 300 "$TEST_DIR/request" | talk 600 open >"$TEST_DIR/half" &
half=$!
AT_EXIT="kill $half 2>/dev/null; $AT_EXIT"

say '20 MB without end'
memory()
{
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(dispatcher)/status"
}
before=$(memory)
expect 'one long value' "$({
    printf 'flags\0003\0queue_name\0'
    head -c 20000000 /dev/zero | tr '\0' x
} | talk 10 open)" "$greeting$deferred"
# A million recipients, all of them valid: more bytes than a request may have.
{
    head -c "$(($(grep -abo 'recipient_count' "$TEST_DIR/request" | head -n 1 | cut -d : -f 1)))" "$TEST_DIR/request"
    printf 'recipient_count\00099999\0\0'
    tail -c "$((size - $(grep -abo 'original_recipient' "$TEST_DIR/request" | head -n 1 | cut -d : -f 1)))" \
        "$TEST_DIR/request" >"$TEST_DIR/recipient"
    : >"$TEST_DIR/recipients"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        cat "$TEST_DIR/recipient" "$TEST_DIR/recipient" >>"$TEST_DIR/recipients"
        cat "$TEST_DIR/recipients" "$TEST_DIR/recipients" >"$TEST_DIR/recipient"
        : >"$TEST_DIR/recipients"
        [ "$(wc -c <"$TEST_DIR/recipient")" -lt 22000000 ] || break
    done
    cat "$TEST_DIR/recipient"
} >"$TEST_DIR/large"
[ "$(wc -c <"$TEST_DIR/large")" -gt 20000000 ] || fail 'not large enough to show anything'
expect 'many recipients' "$(talk 10 open <"$TEST_DIR/large")" "$greeting$deferred"
grown=$(($(memory) - before))
say "the dispatcher has grown by $grown kB"
[ "$grown" -lt 30000 ] || fail "the dispatcher has grown by $grown kB"

say 'mail flows'
expect 'the half request still waits' "$(kill -0 "$half" && cat "$TEST_DIR/half")" ''
rm "$p/queue/active/AAAA0001"
send after 50
postfix_wait_empty "$p" 20 || fail 'mail does not flow'
expect 'all of it' "$(accounts)" 'sent 100, delivered 100, queued 0, bounced 0, lost 0, doubled 0'
expect 'the supervisor' "$(parent) $(dispatcher)" "$pair"
# A flood of nonsense is no flood in the log.
refused=$(said 'delivery request refused')
[ "$refused" -ge 1 ] && [ "$refused" -le 10 ] || fail "$refused lines about refused requests"
calm
