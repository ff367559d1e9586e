#!/bin/sh
# How fast a queue of deferred mail goes to a fast server, and what that costs in CPU. BENCH_SIZE is that of the messages,
# in bytes; with BENCH_SERVER=unix the server has a unix-domain socket, in the place of one of the loopback interface.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-5}
messages=${BENCH_MESSAGES:-5000}
size=${BENCH_SIZE:-1000}
server=${BENCH_SERVER:-inet}

bench "$messages deferred messages of $size bytes to 50 domains behind one fast LMTP server ($server), from the flush to the last delivery;" \
    "stock lmtp with a process limit of 100, headroom with workers.max 100, both with a destination concurrency of 50;" \
    "$rounds rounds each, in turn"

create()
{
    listen=127.0.0.1:$2
    [ "$server" = inet ] || listen=$TEST_DIR/$1.sink/$server
    bench_instance "$1" "$listen" "$3" 'message_size_limit = 0' 'initial_destination_concurrency = 50' \
        'default_destination_concurrency_limit = 50'
    [ "$1" = stock ] || echo '{"defaults": {"workers": {"max": 100}}}' >"$TEST_DIR/$1/etc/headroom.json"
    # Kept from the start: mail is put aside by hand, so that nothing has to be reloaded.
    postfix_main "$TEST_DIR/$1" 'smtpd_data_restrictions = check_client_access static:HOLD'
    postfix_start "$TEST_DIR/$1"
}

# cpu DIR: of all its processes, those that ended included
cpu()
{
    cpu_pids=$(postfix_processes "$1")
    # shellcheck disable=SC2086
    echo $(($(bench_cpu $cpu_pids) + $(bench_cpu_reaped $cpu_pids)))
}

# drain NAME ROUND
drain()
{
    d=$TEST_DIR/$1
    bench_send "$1" "r$2" --count "$messages" --size "$size" --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
    postsuper -c "$d/etc" -H ALL 2>>"$d/start.log"
    before=$(cpu "$d")
    had=$(sink_value "$d.sink" connections)
    start=$(date +%s.%N)
    postfix_flush "$d"
    wait_for 300 bench_delivered "$1" $((messages * $2)) || fail "$1 did not deliver $messages messages in 300 s"
    # Before idle workers go.
    after=$(cpu "$d")
    postfix_wait_empty "$d" 5 || fail "mail was left in $1"
    bench_add rate "$1" "$(bench_since "$start" "$1" | awk -v n="$messages" '{ print n / $1 }')"
    bench_add cpu "$1" $(((after - before) / messages))
    bench_add sessions "$1" "$(($(sink_value "$d.sink" connections) - had))"
    bench_add processes "$1" "$(postfix_pids "$d" lmtp | wc -l)"
}

create stock 10083 '100 lmtp'
create headroom 10084 '200 headroom'
round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    bench_turn "$round" drain
    round=$((round + 1))
done
bench_stop stock
bench_stop headroom
bench_ratio rate messages/s '>= 1.0'
bench_ratio cpu 'us a delivery' '' 'whole instance'
bench_ratio sessions '' ''
bench_ratio processes 'lmtp' ''
bench_end
