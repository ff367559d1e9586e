#!/bin/sh
# Three hundred messages to servers that stopped answering arrive at once, good mail arriving all the time, in a group
# of 128 MB that Postfix and its agents share: stock with 300 processes, then Headroom. Stock is killed for want of memory;
# Headroom is not, and delivers the good mail.
#
# FULL=1 runs it as it was first measured: 512 MB, 1000 processes and 1000 messages.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

size=128
processes=300
stuck=300
if [ -n "${FULL:-}" ]; then
    size=512
    processes=1000
    stuck=1000
fi

# run NAME PORT: the case with the agent of that name; its figures are in $kills, $most, $peak and $good.
run()
{
    name=$1
    p=$TEST_DIR/$name
    s=$TEST_DIR/sink-$name
    watch=$TEST_DIR/watch-$name
    sink_start "$s" "127.0.0.1:$2" 'set silent ok'
    memory_in postfix_start "$p"
    memory_watch_start "$watch"
    TEST_SENT=$TEST_DIR/sent-$name
    memory_warm "$p" "$s" 10 6
    sink_tell "$s" set silent silent >/dev/null
    mailgen --to "$(postfix_address "$p")" --prefix good --sent "$TEST_SENT" --rate 5 --time 20 \
        --rcpt 'user%d@ok%d.invalid' --cycle 10 >"$TEST_DIR/good-$name" 2>&1 &
    good_pid=$!
    sleep 2
    memory_load "$p" "$stuck" 10
    wait "$good_pid" || true
    sleep 2
    kill "$memory_watch_pid"
    good=$(account --sent "$TEST_SENT" --log "$s/delivered" --queue "$p/queue" --prefix good --latency | tr '\n' ';') || true
    kills=$(awk 'NR == 1 { first = $3 + $7 } $3 + $7 > last { last = $3 + $7 } END { print last - first }' "$watch")
    peak=$(($(memory_watch_max "$watch" 2) / 1024))
    say "$name in $size MB: $kills OOM kills, at most $peak MB; good mail: $good"
}

AGENT=lmtp memory_create "$TEST_DIR/stock" 'inet:[127.0.0.1]:10083'
memory_hide_stall
postfix_service "$TEST_DIR/stock" lmtp-test "lmtp-test unix - - n - $processes lmtp"
memory_limit "${size}M"
run stock 10083
stock_kills=$kills
stock_good=$good
postfix_stop "$p" || true
# What the OOM killer did to master is not this test's business.
TEST_LEFT=

AGENT=headroom memory_another "$TEST_DIR/headroom" 'inet:[127.0.0.1]:10084'
run headroom 10084
memory_watch_table "$watch"
[ "$stock_kills" -gt 0 ] || fail 'stock was not killed: the case is too easy'
expect 'OOM kills' "$kills" 0
delivered()
{
    echo "$1" | sed -n 's/.* delivered \([0-9]*\),.*/\1/p'
}
[ "$(delivered "$good")" -ge 90 ] || fail 'less than 90 of 100 good messages were delivered'
[ "$(delivered "$good")" -gt "$(delivered "$stock_good")" ] || fail 'no more good mail than stock'
account --sent "$TEST_SENT" --log "$s/delivered" --queue "$p/queue" || fail 'mail was lost or doubled'
memory_end "$p" "$s"
