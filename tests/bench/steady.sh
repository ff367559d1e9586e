#!/bin/sh
# Does a worker that lives long grow? Steady mail for an hour, through stock lmtp and through forked workers, none of which
# is ended by max_use. BENCH_MINUTES and BENCH_RATE (messages a second to each) change that.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

minutes=${BENCH_MINUTES:-60}
rate=${BENCH_RATE:-20}

bench "$rate messages a second for $minutes minutes through stock lmtp and through forked workers, at the same time, max_use" \
    "100000, replies after 0.3 s; private memory of each agent by smaps_rollup, median, once a minute"

port=10083
for variant in stock fork; do
    [ "$variant" = stock ] && command='100 lmtp' || command='100 headroom'
    bench_instance "$variant" "127.0.0.1:$port" "$command" 'max_use = 100000'
    [ "$variant" = stock ] ||
        printf '{"defaults": {"workers": {"start": "%s"}}}\n' "$variant" >"$TEST_DIR/$variant/etc/headroom.json"
    postfix_start "$TEST_DIR/$variant"
    sink_tell "$TEST_DIR/$variant.sink" set ok slow 0.3
    port=$((port + 1))
done
for variant in stock fork; do
    # The first workers are executed; those that came before there was a process that forks are replaced.
    bench_send "$variant" warm --count 20 --rcpt 'user%d@good%d.invalid' --cycle 20
    postfix_wait_empty "$TEST_DIR/$variant" 20
done
postfix_pids "$TEST_DIR/fork" lmtp | xargs -r kill

# memory NAME: kB of its agents' own, the median; how many they are.
memory()
{
    for memory_pid in $(postfix_pids "$TEST_DIR/$1" lmtp); do
        awk '/^Private_/ { sum += $2 } END { if (NR) print sum }' "/proc/$memory_pid/smaps_rollup" 2>/dev/null || true
    done | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)], NR }'
}

generators=
for variant in stock fork; do
    bench_send "$variant" steady --rate "$rate" --time $((minutes * 60)) --rcpt 'user%d@good%d.invalid' --cycle 20 &
    generators="$generators $!"
done
minute=1
while [ "$minute" -lt "$minutes" ] || [ "$minute" -eq 1 ]; do
    sleep 60
    bench_round "$minute"
    for variant in stock fork; do
        # shellcheck disable=SC2046
        set -- $(memory "$variant")
        [ "$#" -eq 2 ] || fail "$variant has no agent"
        say "$variant: $1 kB, $2 agents"
        [ "$minute" -gt 1 ] || echo "$1" >"$TEST_DIR/$variant.first"
        bench_add private "$variant" "$1"
        awk -v now="$1" '{ print now / $1 }' "$TEST_DIR/$variant.first" >"$TEST_DIR/$variant.growth"
        bench_add growth "$variant" "$(cat "$TEST_DIR/$variant.growth")"
    done
    minute=$((minute + 1))
done
# shellcheck disable=SC2086
wait $generators || fail 'not all mail was accepted'
for variant in stock fork; do
    bench_add 'last minute' "$variant" "$(cat "$TEST_DIR/$variant.growth")"
    bench_value private "$variant" kB '' "median of the agents ($variant)"
    bench_value growth "$variant" times '' "of the first minute's ($variant)"
    bench_value 'last minute' "$variant" times "$([ "$variant" = stock ] || echo '<= 1.1')" "of the first minute's ($variant)"
    bench_stop "$variant"
done
bench_end
