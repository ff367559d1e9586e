# shellcheck shell=sh
# What the benchmarks share. A benchmark begins with
#     . "${0%/*}/../lib/bench.sh"
# and then runs in namespaces of its own, as a system test does (tests/run), with test.sh and postfix.sh sourced.
#
#     bench TEXT...                        what is run, in words: printed and kept; so is the version of Postfix
#     bench_round N                        a line of progress, with the machine's load; the load is kept
#     bench_add METRIC VARIANT VALUE       one round's figure of stock, headroom, or another variant
#     bench_ratio METRIC UNIT GOAL [TEXT]  shows the metric and, as its result, headroom's figure divided by stock's of the
#                                          same round: "bench_ratio rate msg/s '>= 1.0'"; GOAL '' for none
#     bench_value METRIC VARIANT UNIT GOAL [TEXT]   shows one variant's figure, which is itself the result
#     bench_so_far                         prints what is shown since the last time, writes $BUILD/bench/NAME.json
#     bench_end                            the same, at the end
#     bench_instance NAME ADDRESS:PORT|PATH COMMAND [MAIN_CF_LINE...]   a Postfix and an LMTP server, in $TEST_DIR/NAME
#                                          and $TEST_DIR/NAME.sink, with this command as its transport; not started yet
#     bench_send NAME PREFIX MAILGEN_ARG...         mail to it, remembered in $TEST_DIR/NAME.sent
#     bench_turn ROUND COMMAND [WORD...]   COMMAND stock ROUND WORD..., and the same of headroom; who comes first changes
#     bench_delivered NAME COUNT           true when its server has taken so many recipients
#     bench_since TIME NAME                seconds from TIME (date +%s.%N) to its last delivery
#     bench_cpu PID...                     microseconds of CPU that these processes have used, all threads
#     bench_cpu_reaped PID...              the same of their children that ended
#     bench_family NAME                    the supervisor's processes in that instance: $parent, $dispatcher, $workers
#     bench_stop NAME                      stops it; everything must have been delivered once
#
# Of several rounds the median counts; the least and the most are shown beside it. Rounds of stock and headroom alternate,
# so that what else the machine does falls on both. A missed goal is said, in words and in the JSON; it does not fail the
# run, because the machine may be busy.
#
# BENCH_ROUNDS and BENCH_MESSAGES in the environment change how many; smaller runs are for looking, not for the record.
# STARTS is workers.start (exec, auto, fork) where a benchmark has no configuration of its own.

if [ -z "${TEST_ISOLATED:-}" ]; then
    [ "$(id -u)" -eq 0 ] || {
        echo 'The benchmarks start a private Postfix, and that needs root.' >&2
        exit 1
    }
    TEST_ISOLATED=1 exec unshare --pid --fork --kill-child=KILL --mount-proc --propagation private --net --ipc \
        sh -c 'ip link set lo up || exit 1; "$@"; exit $?' bench sh "$0"
fi

LIBRARY=$(cd "${0%/*}/../lib" && pwd)
# shellcheck source=tests/lib/test.sh
. "$LIBRARY/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"

bench_name=$(basename "$0" .sh)
bench_values=$TEST_DIR/bench.values
bench_shows=$TEST_DIR/bench.shows
[ "$AGENT" = headroom ] || fail 'headroom is not built'

bench()
{
    # Stock is not the same in all: from 3.9 on qmgr(8) does not throttle a whole transport for one agent that crashed.
    bench_text="$*"
    : >"$bench_values"
    : >"$bench_shows"
    bench_shown=0
    bench_loads=$(cut -d " " -f 1 /proc/loadavg)
    printf '%s: %s\nstock is that of Postfix %s\n' "$bench_name" "$bench_text" "$(postconf -dh mail_version)"
}

bench_round()
{
    bench_load=$(cut -d ' ' -f 1 /proc/loadavg)
    bench_loads="$bench_loads $bench_load"
    say "round $1, load $bench_load"
}

# Fields are separated by tabs.
bench_add()
{
    printf '%s\t%s\t%s\n' "$@" >>"$bench_values"
}

bench_ratio()
{
    printf 'ratio\t%s\theadroom\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$bench_shows"
}

bench_value()
{
    printf 'value\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${5:-}" >>"$bench_shows"
}

bench_write()
{
    mkdir -p "$BUILD/bench"
    # The lines to show come second; the figures of all rounds first.
    awk -F '\t' -v json="$BUILD/bench/$bench_name.json" -v name="$bench_name" -v text="$bench_text" -v loads="$bench_loads" \
        -v at="$(date -u +%Y-%m-%dT%H:%M:%SZ)" -v cpus="$(nproc)" -v kernel="$(uname -r)" -v shown="$bench_shown" -v last="$1" \
        -v postfix="$(postconf -dh mail_version)" -f "$LIBRARY/bench.awk" "$bench_values" "$bench_shows"
    bench_shown=$(wc -l <"$bench_shows")
}

# Of a run that is cut off this is kept.
bench_so_far()
{
    bench_write 0
}

bench_end()
{
    bench_write 1
}

bench_instance()
{
    bi_name=$1
    bi_listen=$2
    bi_command=$3
    shift 3
    sink_start "$TEST_DIR/$bi_name.sink" "$bi_listen"
    case $bi_listen in
    */*) bi_nexthop=unix:$bi_listen && chmod 666 "$bi_listen" ;;
    *) bi_nexthop="inet:[${bi_listen%:*}]:${bi_listen#*:}" ;;
    esac
    postfix_create "$TEST_DIR/$bi_name" "$bi_nexthop" \
        'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' 'queue_run_delay = 300s' "$@"
    postfix_service "$TEST_DIR/$bi_name" lmtp-test "lmtp-test unix - - n - $bi_command"
    # A benchmark with a configuration of its own replaces this.
    [ -z "${STARTS:-}" ] ||
        printf '{"defaults": {"workers": {"start": "%s"}}}\n' "$STARTS" >"$TEST_DIR/$bi_name/etc/headroom.json"
    : >"$TEST_DIR/$bi_name.sent"
}

bench_send()
{
    bs_name=$1
    bs_prefix=$2
    shift 2
    mailgen --to "$(postfix_address "$TEST_DIR/$bs_name")" --prefix "$bs_prefix" --sent "$TEST_DIR/$bs_name.sent" "$@" \
        >"$TEST_DIR/$bs_name.mailgen" 2>&1 || fail "not all mail was accepted: $(tail -n 1 "$TEST_DIR/$bs_name.mailgen")"
}

bench_turn()
{
    bt_round=$1
    bt_command=$2
    shift 2
    for bt_name in $([ $((bt_round % 2)) -eq 1 ] && echo 'stock headroom' || echo 'headroom stock'); do
        "$bt_command" "$bt_name" "$bt_round" "$@"
    done
}

bench_delivered()
{
    [ "$(sink_value "$TEST_DIR/$1.sink" delivered)" -ge "$2" ]
}

bench_since()
{
    tail -n 1 "$TEST_DIR/$2.sink/delivered" | awk -v start="$1" '{ print $1 - start }'
}

bench_cpu()
{
    for bc_pid in "$@"; do
        cat "/proc/$bc_pid/task"/*/schedstat 2>/dev/null || true
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum / 1000 }'
}

# What ended and was waited for: workers end after max_use requests.
bench_cpu_reaped()
{
    for bc_pid in "$@"; do
        sed 's/.*) //' "/proc/$bc_pid/stat" 2>/dev/null || true
    done | awk -v tick="$(getconf CLK_TCK)" '{ sum += $14 + $15 } END { printf "%.0f\n", sum * 1000000 / tick }'
}

# For the benchmarks.
# shellcheck disable=SC2034
bench_family()
{
    parent=
    dispatcher=
    workers=
    bf_all=$(postfix_pids "$TEST_DIR/$1" headroom)
    for bf_pid in $bf_all; do
        bf_above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$bf_pid/status")
        case " $(echo "$bf_all" | tr '\n' ' ')" in
        *" $bf_above "*) dispatcher=$bf_pid ;;
        *) parent=$bf_pid ;;
        esac
    done
    workers=$(postfix_pids "$TEST_DIR/$1" lmtp | tr '\n' ' ')
}

bench_stop()
{
    postfix_wait_empty "$TEST_DIR/$1" 30 || fail "mail was left in $1"
    postfix_stop "$TEST_DIR/$1" || fail "$1 left something behind"
    sink_stop "$TEST_DIR/$1.sink" || fail "the LMTP server of $1 ended badly"
    bs_text=$(account --sent "$TEST_DIR/$1.sent" --log "$TEST_DIR/$1.sink/delivered" --queue "$TEST_DIR/$1/queue") ||
        fail "$1: $bs_text"
    say "$1: $bs_text"
}
