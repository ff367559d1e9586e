#!/bin/sh
# The CPU that the dispatcher needs for a delivery, beside what the worker needs for it.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-5}
messages=${BENCH_MESSAGES:-3000}

bench "headroom delivers $messages deferred messages of 1 kB to 50 domains, server at once, workers started before;" \
    "CPU of dispatcher, parent and workers by /proc/PID/task/*/schedstat; $rounds rounds"

d=$TEST_DIR/headroom
bench_instance headroom 127.0.0.1:10084 '200 headroom' 'initial_destination_concurrency = 50' \
    'default_destination_concurrency_limit = 50' 'smtpd_data_restrictions = check_client_access static:HOLD'
echo '{"defaults": {"workers": {"max": 50}}}' >"$d/etc/headroom.json"
postfix_start "$d"

drained()
{
    [ "$(sink_value "$d.sink" delivered)" -ge "$1" ]
}

sent=0
# flush PREFIX COUNT: how long it takes, with all CPU that was used
flush()
{
    bench_send headroom "$1" --count "$2" --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
    sent=$((sent + $2))
    postsuper -c "$d/etc" -H ALL 2>>"$d/start.log"
    bench_family headroom
    # shellcheck disable=SC2086
    before="$(bench_cpu "$parent") $(bench_cpu "$dispatcher") $(($(bench_cpu $workers) + $(bench_cpu_reaped "$parent")))"
    postfix_flush "$d"
    wait_for 120 drained "$sent" || fail "$2 messages were not delivered in 120 s"
    bench_family headroom
    # shellcheck disable=SC2086
    after="$(bench_cpu "$parent") $(bench_cpu "$dispatcher") $(($(bench_cpu $workers) + $(bench_cpu_reaped "$parent")))"
    postfix_wait_empty "$d" 10 || fail 'mail was left'
}

flush warm 500
round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    flush "r$round" "$messages"
    echo "$before $after" | awk -v n="$messages" '{ print ($4 - $1) / n, ($5 - $2) / n, ($6 - $3) / n }' >"$TEST_DIR/cpu"
    read -r of_parent of_dispatcher of_worker <"$TEST_DIR/cpu"
    bench_add parent headroom "$of_parent"
    bench_add dispatcher headroom "$of_dispatcher"
    bench_add worker headroom "$of_worker"
    bench_add 'dispatcher / worker' headroom "$(echo "$of_dispatcher $of_worker" | awk '{ print 100 * $1 / $2 }')"
    bench_add workers headroom "$(echo "$workers" | wc -w)"
    round=$((round + 1))
done
bench_stop headroom
bench_value 'dispatcher / worker' headroom % '<= 10'
bench_value dispatcher headroom 'us a delivery' ''
bench_value worker headroom 'us a delivery' ''
bench_value parent headroom 'us a delivery' ''
bench_value workers headroom 'at the end' ''
bench_end
