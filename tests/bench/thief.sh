#!/bin/sh
# A neighbour takes the memory that the pool lives from, and gives it back.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

rounds=${BENCH_ROUNDS:-3}
limit=260
p=$TEST_DIR/headroom
s=$TEST_DIR/headroom.sink
TEST_SENT=$p.sent
watch=$TEST_DIR/watch

bench "Postfix in a group of $limit MB, 24 workers all busy with deliveries of a second; a neighbour in the group takes what is" \
    "there but a tenth of it, for 20 s, and gives it back; $rounds rounds"

# rate SECONDS: deliveries a second from now on
rate()
{
    rate_begin=$(date +%s.%N)
    sleep "$1"
    memory_delivered "$s" "$rate_begin" "$(date +%s.%N)" | awk -v seconds="$1" '{ print $1 / seconds }'
}

memory_begin '{"workers": {"max": 24}, "destination": {"slow_after": "1h"}}' 20 4 "${limit}M"
sink_tell "$s" set silent slow 1

round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    memory_load "$p" 2000 20 "r$round"
    wait_for 60 memory_at_least 24 || fail 'the pool did not grow to 24'
    before=$(rate 5)
    busy=$(memory_pool_processes)
    memory_neighbour "$limit" $((limit / 10))
    wait_for 20 memory_at_most $((busy - 1)) || fail 'the pool did not fall in 20 s'
    bench_add reaction headroom "$(memory_since "$taken" "$(now)")"
    sleep 15
    bench_add 'workers in want' headroom "$(memory_pool_processes)"
    bench_add 'rate in want' headroom "$(rate 4 | awk -v before="$before" '{ print 100 * $1 / before }')"
    kill "$neighbour"
    calm=$(now)
    back=
    while [ -z "$back" ] && [ "$(memory_since "$calm" "$(now)" | cut -d . -f 1)" -lt 90 ]; do
        again=$(rate 3)
        ! echo "$again $before" | awk '{ exit !($1 >= 0.9 * $2) }' || back=$(memory_since "$calm" "$(now)")
    done
    bench_add 'back at 90 %' headroom "${back:-90}"
    say "$busy workers, $before/s; neighbour took $takes MB; $again/s again after ${back:-more than 90} s"
    sink_tell "$s" heal
    postfix_wait_empty "$p" 60 || fail 'mail was left'
    wait_for 60 headroom_last_is "$p" OPEN || fail 'OPEN was not reached'
    sink_tell "$s" set silent slow 1
    round=$((round + 1))
done
bench_add 'OOM kills' headroom $(($(memory_watch_max "$watch" 7) + $(memory_watch_max "$watch" 3)))
bench_add 'given up' headroom "$(sink_value "$s" abandoned)"
memory_drain "$p" "$s" 60
memory_end "$p" "$s"
bench_value reaction headroom s '<= 2'
bench_value 'back at 90 %' headroom s '<= 30' 'of the rate, after the end'
bench_value 'OOM kills' headroom kills '<= 0'
bench_value 'given up' headroom deliveries '<= 0'
bench_value 'workers in want' headroom 'of 24' ''
bench_value 'rate in want' headroom '% of before' ''
bench_end
