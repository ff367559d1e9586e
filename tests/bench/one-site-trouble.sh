#!/bin/sh
# One domain, everything at once, a real Dovecot behind, and trouble: nothing is deferred that stock would have delivered.
# BENCH_CASES is an extended regular expression of the scenes.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/dovecot.sh
. "$LIBRARY/dovecot.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

rounds=${BENCH_ROUNDS:-1}
messages=${BENCH_MESSAGES:-5000}
most=${BENCH_SECONDS:-600}
size=192
dovecot_needed

bench "$messages deferred messages of 200 kB to one domain behind Dovecot's LMTP server, destination concurrency 10000; stock lmtp with" \
    "a process limit of 100, headroom with no limit set; from the flush until all are delivered, or deferred, in at most $most s;" \
    "$rounds rounds each, in turn"

# A scene is NAME|ACTION: what happens two seconds after the flush.
scenes()
{
    grep -E "${BENCH_CASES:-.}" <<'S'
undisturbed|true
process_limit 20|true
restarted|restart
stopped for 10 s|halt
socket away for 5 s|unlink
three reloads|reloads
all in a group|true
S
}

restart()
{
    dovecot_halt "$1"
    sleep 5
    dovecot_again "$1"
}

halt()
{
    pids=$(dovecot_pids "$1")
    # shellcheck disable=SC2086
    kill -STOP $pids
    sleep 10
    # shellcheck disable=SC2086
    kill -CONT $pids
}

unlink()
{
    mv "$dovecot_socket" "$dovecot_socket.away"
    sleep 5
    mv "$dovecot_socket.away" "$dovecot_socket"
}

reloads()
{
    for _ in 1 2 3; do
        postfix_reload "$TEST_DIR/$1"
        sleep 3
    done
}

slowly="minimal_backoff_time=3000s maximal_backoff_time=4000s queue_run_delay=3000s"

grouped()
{
    [ "$scene" = 'all in a group' ]
}

# where COMMAND...: in the scene's group
where()
{
    if grouped; then memory_in "$@"; else "$@"; fi
}

waiting()
{
    find "$d/queue/$1" -type f 2>/dev/null | wc -l
}

# All was delivered, or deferred by now.
over()
{
    [ "$(waiting active)" -eq 0 ] && [ $(($(lines "$log" 'status=sent') + $(waiting deferred))) -ge "$messages" ]
}

look()
{
    while :; do
        postfix_pids "$TEST_DIR/$1" lmtp | wc -l
        sleep 0.5
    done
}

kills()
{
    if grouped; then sed -n 's/^oom_kill //p' "$MEMORY_GROUP/memory.oom_control"; else echo 0; fi
}

more()
{
    paste "$TEST_DIR/headroom-deferred" "$TEST_DIR/stock-deferred" | awk '{ print ($1 > $2 ? $1 - $2 : 0) }' >"$TEST_DIR/more"
    bench_add "$scene, deferred more than by stock" headroom "$(cat "$TEST_DIR/more")"
    rm "$TEST_DIR/headroom-deferred" "$TEST_DIR/stock-deferred"
}

# No round of either has deferred anything.
all_delivered()
{
    awk -F '\t' -v metric="$scene, deferred" '$1 == metric && $3 > 0 { some = 1 } END { exit some }' "$bench_values"
}

# one NAME ROUND
one()
{
    command='- headroom' line=
    [ "$1" != stock ] || command='100 lmtp'
    d=$TEST_DIR/$1
    log=$(postfix_log "$d")
    [ "$scene" != 'process_limit 20' ] || line=$(printf 'service lmtp {\n  process_limit = 20\n}')
    if grouped; then
        # shellcheck disable=SC2086
        memory_create "$d" "unix:$root/tmp/headroom-bench-$$-$1/run/lmtp" $slowly
        memory_limit "${size}M"
    else
        # shellcheck disable=SC2086
        postfix_create "$d" "unix:$root/tmp/headroom-bench-$$-$1/run/lmtp" $slowly \
            'initial_destination_concurrency = 10000' 'default_destination_concurrency_limit = 10000'
    fi
    where dovecot_start "$1" 10083 ${line:+"$line"}
    postfix_service "$d" lmtp-test "lmtp-test unix - - n - $command"
    postfix_start "$d"
    postfix_hold "$d"
    : >"$d.sent"
    bench_send "$1" r --count "$messages" --size 200000 --sessions 8 --rcpt 'user%d@one.invalid'
    postfix_release "$d"
    if grouped; then
        postfix_stop "$d"
        where postfix_start "$d"
    fi
    sleep 1
    look "$1" >"$d.look" &
    looker=$!
    start=$(date +%s.%N)
    postfix_flush "$d"
    sleep 2
    "$action" "$1"
    wait_for "$most" over || say "$1 was not ready in $most s"
    bench_add "$scene, time" "$1" "$(date +%s.%N | awk -v start="$start" '{ print $1 - start }')"
    kill "$looker"
    wait "$looker" 2>/dev/null || true
    bench_add "$scene, workers" "$1" "$(sort -n "$d.look" | tail -n 1)"
    bench_add "$scene, delivered" "$1" "$(lines "$log" 'status=sent')"
    bench_add "$scene, deferred" "$1" "$(waiting deferred)"
    bench_add "$scene, OOM kills" "$1" "$(kills)"
    # The second one of the round knows of both.
    waiting deferred >"$TEST_DIR/$1-deferred"
    [ ! -s "$TEST_DIR/stock-deferred" ] || [ ! -s "$TEST_DIR/headroom-deferred" ] || more
    # What the OOM killer did to master is not what is asked here.
    postfix_stop "$d" || say "$1 left something behind"
    dovecot_stop "$1"
    if grouped; then
        memory_close
        AT_EXIT=$(echo "$AT_EXIT" | sed 's/ memory_close;//')
    fi
    rm -rf "${d:?}" "$d".*
}

scenes >"$TEST_DIR/scenes"
while IFS='|' read -r scene action <&3; do
    round=1
    while [ "$round" -le "$rounds" ]; do
        bench_round "$round of $scene"
        bench_turn "$round" one
        round=$((round + 1))
    done
    # Who defers is soon done: times say something where both have delivered all.
    if all_delivered; then
        bench_ratio "$scene, time" s '<= 1.1'
    else
        bench_ratio "$scene, time" s '' 'not all was delivered'
    fi
    bench_ratio "$scene, workers" '' ''
    bench_ratio "$scene, delivered" '' '>= 1.0'
    bench_ratio "$scene, deferred" messages ''
    bench_value "$scene, deferred more than by stock" headroom messages '<= 0'
    ! grouped || bench_value "$scene, OOM kills" stock '' ''
    ! grouped || bench_value "$scene, OOM kills" headroom '' '<= 0'
    bench_so_far
done 3<"$TEST_DIR/scenes"
bench_end
