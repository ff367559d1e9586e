# shellcheck shell=sh
# What the flush benchmarks share. Sourced after bench.sh.
#
#     flush TEXT DEAD_DOMAINS EACH BEFORE|AFTER   the whole benchmark: so many deferred messages, an hour old, to each of so many dead
#                                          domains (they hold a message for 30 s) come back at once; 5 good messages a second to five
#                                          domains for 25 s, which begin two seconds BEFORE the flush or AFTER it was taken up
#
# In turn, in each round: headroom in a memory group (limit $FLUSH_LIMIT MB, Postfix's own processes included), and beside it
# `calm`, stock with the good mail only: what that needs is what the machine needs; then stock lmtp with a process limit of 100,
# and of 500.

# shellcheck source=tests/lib/flood.sh
. "$LIBRARY/flood.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

FLUSH_LIMIT=160
FLUSH_ROUNDS=${BENCH_ROUNDS:-3}
FLOOD_HOLD=30
FLOOD_TIME=25
# Read by flood.sh.
# shellcheck disable=SC2034
FLOOD_IN=memory_in
# shellcheck disable=SC2034
FLOOD_CONFIG='{"defaults": {"workers": {"max": 500}}}'

# flush_memory INSTANCE: unshared memory of its delivery agents, MB, and how many they are
flush_memory()
{
    postfix_pids "$TEST_DIR/$1" lmtp | memory_unshared | awk '{ sum += $1 } END { printf "%.0f %d\n", sum / 1024, NR }'
}

flush_peak()
{
    while :; do
        for fp_name in $FLOOD; do
            [ "$fp_name" != calm ] || continue
            flush_memory "$fp_name" >>"$TEST_DIR/$fp_name.memory"
        done
        # Looking costs CPU, too.
        sleep 6
    done
}

# flush_add INSTANCE VARIANT
flush_add()
{
    fa_text=$(flood_figures "$1" good)
    say "$1: good mail: $fa_text"
    # "N of N, p50 S, p99 S, max S"
    fa_delivered=${fa_text%% of *}
    fa_sent=$(flood_value of "$fa_text")
    bench_add 'good mail' "$2" "$(echo "$fa_delivered $fa_sent" | awk '{ print 100 * $1 / $2 }')"
    fa_p50=$(flood_value p50 "$fa_text")
    [ -z "$fa_p50" ] || bench_add p50 "$2" "$fa_p50"
    fa_p99=$(flood_value p99 "$fa_text")
    [ -z "$fa_p99" ] || bench_add p99 "$2" "$fa_p99"
    [ ! -f "$TEST_DIR/$1.memory" ] || {
        bench_add memory "$2" "$(sort -n "$TEST_DIR/$1.memory" | tail -n 1 | cut -d ' ' -f 1)"
        bench_add agents "$2" "$(cut -d ' ' -f 2 "$TEST_DIR/$1.memory" | sort -n | tail -n 1)"
    }
}

flush_peak_pid=
flush_peak_end()
{
    [ -z "$flush_peak_pid" ] || kill "$flush_peak_pid" 2>/dev/null || true
    flush_peak_pid=
}

flush_good()
{
    flood_send good --rate 5 --time "$FLOOD_TIME" --rcpt 'user%d@good%d.invalid' --cycle 5
}

# flush_one INSTANCES DEAD_DOMAINS EACH BEFORE|AFTER
flush_one()
{
    FLOOD=$1
    rm -f "$TEST_DIR"/*.memory
    flood_create
    flood_put dead --count $(($2 * $3)) --rcpt 'user%d@dead%d.invalid' --cycle "$2"
    flood_age 3600
    if [ "$4" = before ]; then
        flush_good
        sleep 2
        flood_flush
    else
        flood_flush
        wait_for 20 flood_taken || fail 'the flush was not taken up'
        flush_good
    fi
    flush_peak &
    flush_peak_pid=$!
    flood_sent
}

flush_ours()
{
    echo 0 >"$MEMORY_GROUP/memory.max_usage_in_bytes"
    flush_one 'ours calm' "$@"
    flush_add calm calm
    wait_for "$FLOOD_GRACE" flood_delivered_all good || true
    flush_add ours headroom
    flush_peak_end
    bench_add 'group' headroom "$(($(cat "$MEMORY_GROUP/memory.max_usage_in_bytes") * 100 / FLUSH_LIMIT / 1048576))"
    flood_heal 90
    flood_end
}

# flush_stock INSTANCE DEAD_DOMAINS EACH BEFORE|AFTER: what is not delivered by then is when the dead let go.
flush_stock()
{
    flush_one "$@"
    flush_add "$1" "$1"
    flush_peak_end
    flood_each flood_end_one
}

flush()
{
    bench "$1: $2 x $3 deferred messages, 30 s each; 5 good messages a second for $FLOOD_TIME s, $4 the flush; headroom in a group" \
        "of $FLUSH_LIMIT MB, beside it calm: stock without the flood; then stock with a process limit of 100, and of 500;" \
        "$FLUSH_ROUNDS rounds"
    shift
    AT_EXIT="flush_peak_end; $AT_EXIT"
    memory_create "$TEST_DIR/none" 'inet:[127.0.0.1]:10083'
    # It only gives the groups their place; nothing runs in it.
    mkdir -p "$TEST_DIR/none/queue/pid"
    : >"$TEST_DIR/none/queue/pid/master.pid"
    memory_limit "${FLUSH_LIMIT}M"
    memory_watch_start "$TEST_DIR/watch"
    flush_round=1
    while [ "$flush_round" -le "$FLUSH_ROUNDS" ]; do
        bench_round "$flush_round"
        flush_ours "$@"
        flush_stock stock "$@"
        flush_stock stock500 "$@"
        flush_round=$((flush_round + 1))
    done
    bench_add 'OOM kills' headroom $(($(memory_watch_max "$TEST_DIR/watch" 7) + $(memory_watch_max "$TEST_DIR/watch" 3)))
    bench_value 'good mail' headroom '% delivered' '>= 100'
    bench_value 'good mail' stock '% delivered' ''
    bench_value 'good mail' stock500 '% delivered' ''
    bench_value p99 headroom s '<= 0.25'
    bench_value p99 calm s '' 'the same mail without the flood'
    bench_value p99 stock s '' 'of what was delivered'
    bench_value p99 stock500 s '' 'of what was delivered'
    bench_value p50 headroom s ''
    bench_value group headroom '% of its limit' '<= 100' 'peak, Postfix and pool'
    bench_value 'OOM kills' headroom kills '<= 0'
    bench_value memory headroom MB '' 'unshared, of the agents'
    bench_value memory stock MB '' 'unshared, of the agents'
    bench_value memory stock500 MB '' 'unshared, of the agents'
    bench_value agents headroom processes ''
    bench_value agents stock processes ''
    bench_value agents stock500 processes ''
    bench_end
}
