#!/bin/sh
# The memory of requests that wait, and of the supervisor when nothing does.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

messages=${BENCH_MESSAGES:-10000}
# Two descriptors for each that waits.
# dash has it, and so have all shells of today.
# shellcheck disable=SC3045
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC3045
fit=$((($(ulimit -n) - 200) / 2))
[ "$messages" -le "$fit" ] || messages=$fit

bench "$messages messages to 1000 domains whose server does not answer, four workers: all the others wait;" \
    "unshared memory by smaps_rollup, the kernel's by the memory group of the whole instance, qmgr(8) and its ends included"

d=$TEST_DIR/headroom
memory_create "$d" 'inet:[127.0.0.1]:10084'
postfix_main "$d" 'initial_destination_concurrency = 20000' \
    'default_destination_concurrency_limit = 20000' 'qmgr_message_active_limit = 20000' \
    'qmgr_message_recipient_limit = 40000'
sink_start "$TEST_DIR/headroom.sink" 127.0.0.1:10084 'set silent ok'
: >"$TEST_DIR/headroom.sent"
memory_config "$d" "{\"workers\": {\"max\": 4}, \"waiting\": {\"max\": $((messages + 100))}, \"destination\": {\"slow_after\": \"1h\"}}"
memory_in postfix_start "$d"
bench_send headroom warm --count 20 --rcpt 'user%d@silent%d.invalid' --cycle 20
postfix_wait_empty "$d" 20 || fail 'the first mail was not delivered'
bench_family headroom

# unshared PID...: KiB
unshared()
{
    printf '%s\n' "$@" | memory_unshared | awk '{ sum += $1 } END { print sum + 0 }'
}

descriptors()
{
    find "/proc/$dispatcher/fd" -mindepth 1 | wc -l
}

held()
{
    [ "$(descriptors)" -ge $((2 * (messages - 4))) ]
}

idle=$(unshared "$parent" "$dispatcher")
before=$(unshared "$dispatcher")
kernel=$(cat "$MEMORY_GROUP/memory.kmem.usage_in_bytes" 2>/dev/null || echo 0)
bench_round 1
sink_tell "$TEST_DIR/headroom.sink" set silent silent
bench_send headroom wait --count "$messages" --sessions 16 --rcpt 'user%d@silent%d.invalid' --cycle 1000
wait_for 60 held || fail "only $(descriptors) descriptors are open"
say "$(descriptors) descriptors are open in the dispatcher"
after=$(unshared "$dispatcher")
kernel_after=$(cat "$MEMORY_GROUP/memory.kmem.usage_in_bytes" 2>/dev/null || echo 0)
bench_add 'a waiting request' headroom "$(echo "$before $after" | awk -v n="$messages" '{ print ($2 - $1) * 1024 / n }')"
bench_add 'kernel, a waiting request' headroom "$(echo "$kernel $kernel_after" | awk -v n="$messages" '{ print ($2 - $1) / n }')"
bench_add 'idle pair' headroom "$idle"
sink_tell "$TEST_DIR/headroom.sink" heal
postfix_wait_empty "$d" 120 || fail 'mail was left'
bench_add 'dispatcher afterwards' headroom "$(unshared "$dispatcher")"
bench_stop headroom
bench_value 'a waiting request' headroom bytes '<= 4096' 'dispatcher'
bench_value 'kernel, a waiting request' headroom bytes ''
bench_value 'idle pair' headroom KiB '<= 2048' 'parent and dispatcher, unshared'
bench_value 'dispatcher afterwards' headroom KiB '' 'when all is delivered'
bench_end
