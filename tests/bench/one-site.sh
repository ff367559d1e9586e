#!/bin/sh
# One domain, everything at once, and a real Dovecot behind: it delivers at full speed, and on the same processors.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

# shellcheck source=tests/lib/dovecot.sh
. "$LIBRARY/dovecot.sh"

rounds=${BENCH_ROUNDS:-3}
messages=${BENCH_MESSAGES:-2000}
dovecot_needed

bench "$messages deferred messages of 200 kB to one domain behind Dovecot's LMTP server with its default process_limit" \
    "of 100, destination concurrency 10000, from the flush to the last delivery; stock lmtp with a process limit of 100, headroom" \
    "with no limit set; $rounds rounds each, in turn"

# create NAME PORT COMMAND
create()
{
    dovecot_start "$1" "$2"
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' \
        'queue_run_delay = 300s' 'initial_destination_concurrency = 10000' 'default_destination_concurrency_limit = 10000'
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - $3"
    postfix_start "$TEST_DIR/$1"
}

sent()
{
    [ "$(lines "$(postfix_log "$TEST_DIR/$1")" 'status=sent')" -ge "$2" ]
}

# Processes, again and again: agents, and Dovecot's.
look()
{
    while :; do
        echo "$(postfix_pids "$TEST_DIR/$1" lmtp | wc -l) $(pgrep -c -x lmtp)"
        sleep 0.5
    done
}

most()
{
    awk -v n="$2" '$n > most { most = $n } END { print most + 0 }' "$TEST_DIR/$1.look"
}

# one NAME ROUND
one()
{
    d=$TEST_DIR/$1
    log=$(postfix_log "$d")
    postfix_hold "$d"
    : >"$d.sent"
    bench_send "$1" "r$2" --count "$messages" --size 200000 --sessions 8 --rcpt 'user%d@one.invalid'
    postfix_release "$d"
    begun=$(dovecot_sessions "$1")
    deferred=$(lines "$log" 'status=deferred')
    told=$(lines "$log" 'scache')
    want=$(($(lines "$log" 'status=sent') + messages))
    sleep 1
    look "$1" >"$d.look" &
    looker=$!
    start=$(date +%s.%N)
    postfix_flush "$d"
    wait_for 300 sent "$1" "$want" || fail "$1 did not deliver $messages messages in 300 s"
    bench_add time "$1" "$(date +%s.%N | awk -v start="$start" '{ print $1 - start }')"
    kill "$looker"
    wait "$looker" || true
    bench_add workers "$1" "$(most "$1" 1)"
    bench_add sessions "$1" $(($(dovecot_sessions "$1") - begun))
    bench_add deferred "$1" $(($(lines "$log" 'status=deferred') - deferred))
    bench_add 'lines of scache' "$1" $(($(lines "$log" scache) - told))
    dovecot_empty "$1"
}

create stock 10083 '100 lmtp'
create headroom 10084 '- headroom'
round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    bench_turn "$round" one
    round=$((round + 1))
done
for name in stock headroom; do
    postfix_stop "$TEST_DIR/$name" || fail "$name left something behind"
    dovecot_stop "$name"
done
bench_ratio time s '<= 1.1'
bench_ratio workers '' '' 'at most, seen twice a second'
bench_ratio sessions '' '<= 1.1' 'at the server'
bench_ratio 'lines of scache' '' '' 'warnings of agents'
bench_value deferred headroom messages '<= 0'
bench_end
