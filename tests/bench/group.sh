#!/bin/sh
# Group mail: messages to 20 recipients in 20 healthy domains each.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-5}
messages=${BENCH_MESSAGES:-300}

bench "$messages messages of 2 kB, each to 20 recipients in 20 of 61 domains behind one LMTP server, from the first sender to the" \
    "last delivery; Postfix's default concurrency, stock lmtp with a process limit of 100, headroom with the same; first with" \
    "domains never seen before, then $rounds rounds each, in turn, and one in which memory is looked at"

create()
{
    bench_instance "$1" "$2" "$3"
    postfix_start "$TEST_DIR/$1"
}

delivered()
{
    bench_delivered "$1" "$2" && postfix_empty "$TEST_DIR/$1"
}

# run NAME ROUND METRIC: messages are sent and delivered. The figures are METRIC, METRIC sessions, METRIC time.
run()
{
    s=$TEST_DIR/$1.sink
    want=$(($(sink_value "$s" delivered) + 20 * messages))
    transactions=$(sink_value "$s" messages)
    sessions=$(sink_value "$s" connections)
    start=$(date +%s.%N)
    bench_send "$1" "r$2" --count "$messages" --size 2000 --sessions 8 --rcpt 'user%d@good%d.invalid*20' --cycle 61
    wait_for 120 delivered "$1" "$want" || fail "$1 did not deliver $messages messages in 120 s"
    bench_add "$3" "$1" $(($(sink_value "$s" messages) - transactions))
    bench_add "$3 sessions" "$1" $(($(sink_value "$s" connections) - sessions))
    bench_add "$3 time" "$1" "$(bench_since "$start" "$1")"
}

# What the agents of an instance take, with all of Headroom's processes: shared memory by its share. KiB, again and again.
look()
{
    while :; do
        for pid in $(postfix_pids "$TEST_DIR/$1" lmtp) $(postfix_pids "$TEST_DIR/$1" headroom); do
            cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
        done | awk '$1 == "Pss:" { sum += $2 } END { print sum + 0 }'
        sleep 0.2
    done
}

# memory NAME: the most while messages are delivered.
memory()
{
    look "$1" >"$TEST_DIR/$1.memory" &
    looker=$!
    run "$1" memory unused
    kill "$looker"
    wait "$looker" || true
    bench_add memory "$1" "$(sort -n "$TEST_DIR/$1.memory" | tail -n 1)"
}

create stock 127.0.0.1:10083 '100 lmtp'
create headroom 127.0.0.1:10084 '100 headroom'
run stock 0 'never seen'
run headroom 0 'never seen'
round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    bench_turn "$round" run proven
    round=$((round + 1))
done
memory stock
memory headroom
for name in stock headroom; do
    bench_add deferred "$name" "$(lines "$(postfix_log "$TEST_DIR/$name")" 'status=deferred')"
done
bench_stop stock
bench_stop headroom
bench_ratio 'never seen' transactions '<= 2.0'
bench_ratio 'never seen time' s ''
bench_ratio proven transactions '<= 1.1'
bench_ratio 'proven sessions' sessions ''
bench_ratio 'proven time' s '<= 1.1'
bench_ratio memory KiB '<= 1.0' 'agents and Headroom, at most'
bench_value deferred headroom recipients '<= 0'
bench_end
