#!/bin/sh
# What a worker costs, forked and executed, beside stock lmtp: memory of a busy one and of a pool, CPU of a start and of a
# delivery, and how many a small memory group takes. BENCH_PARTS is what is run of pool, large, cpu, group, starts.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

parts=${BENCH_PARTS:-pool large cpu group starts}
workers_most=${BENCH_WORKERS:-50}
large_most=${BENCH_LARGE:-200}
messages=${BENCH_MESSAGES:-5000}
starts=${BENCH_STARTS:-500}
rounds=${BENCH_ROUNDS:-3}
port=10084

bench "$messages messages through $workers_most agents, then all of them hold one: memory by smaps_rollup, of the pool with" \
    "the process that forks; the same with $large_most agents; CPU of all processes of an instance for $messages messages," \
    "$rounds rounds; agents in a memory group of 128 MB with Postfix in it; $starts starts one after another, until the" \
    "greeting: wall, and CPU of the new process"

# held NAME COUNT
held()
{
    [ "$(sink_value "$TEST_DIR/$1.sink" ok.holding)" -ge "$2" ]
}

# agents NAME: pids of the agents.
agents()
{
    postfix_pids "$TEST_DIR/$1" lmtp
}

# memory FIELD: kB of each process, one a line; pids on standard input.
memory()
{
    while read -r memory_pid; do
        awk -v field="^$1" '$1 ~ field { sum += $2 } END { print sum }' "/proc/$memory_pid/smaps_rollup"
    done
}

# instance NAME VARIANT COUNT [MAIN_CF_LINE...]: runs, with at most so many agents.
instance()
{
    name=$1 variant=$2 count=$3
    shift 3
    [ "$variant" = stock ] && command="$count lmtp" || command="$count headroom"
    bench_instance "$name" "127.0.0.1:$port" "$command" 'initial_destination_concurrency = 1000' \
        'default_destination_concurrency_limit = 1000' "$@"
    [ "$variant" = stock ] || cat >"$TEST_DIR/$name/etc/headroom.json" <<END
{"defaults": {"workers": {"max": $count, "limit": "fixed", "start": "$variant"}, "destination": {"slow_after": "1h"}}}
END
    postfix_start "$TEST_DIR/$name"
    port=$((port + 1))
}

# pool METRIC COUNT: memory of so many agents, each variant.
pool()
{
    metric=$1 agents_most=$2
    for variant in stock exec fork; do
        name=$metric-$variant
        instance "$name" "$variant" "$agents_most" 'max_use = 100000'
        d=$TEST_DIR/$name
        bench_round "$name"
        sink_tell "$d.sink" set ok slow 0.05
        bench_send "$name" many --count "$messages" --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
        wait_for 300 bench_delivered "$name" "$messages" || fail "$name: not all $messages were delivered"
        sink_tell "$d.sink" set ok silent
        # Those that were executed before there was one that forks are replaced, and all hold one message.
        if [ "$variant" = fork ]; then
            agents "$name" | head -n 4 | xargs kill
        fi
        bench_send "$name" held --count "$agents_most" --rcpt 'user%d@good%d.invalid' --cycle 50
        wait_for 60 held "$name" "$agents_most" || fail "$name: $(sink_value "$d.sink" ok.holding) hold a message"
        bench_add "$metric private" "$variant" \
            "$(agents "$name" | memory Private_ | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }')"
        bench_add "$metric" "$variant" \
            "$( (agents "$name" && postfix_pids "$d" lmtp-template) | memory Pss: | awk '{ sum += $1 } END { print sum }')"
        sink_tell "$d.sink" heal
        postfix_wait_empty "$d" 60 || fail "$name: mail was left"
        bench_stop "$name"
    done
}

# all_cpu NAME: microseconds of its processes and of those that they waited for.
all_cpu()
{
    postfix_processes "$TEST_DIR/$1" | while read -r cpu_pid; do
        sed 's/.*) //' "/proc/$cpu_pid/stat" 2>/dev/null || true
    done | awk -v tick="$(getconf CLK_TCK)" '{ sum += $12 + $13 + $14 + $15 } END { printf "%.0f", sum * 1000000 / tick }'
}

# One round of a variant that runs, with what its name says.
delivery()
{
    bench_send "$1" "r$2" --count 200 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
    postfix_wait_empty "$TEST_DIR/$1" 60 || fail "$1: mail was left"
    before=$(all_cpu "$1")
    bench_send "$1" "many$2" --count "$messages" --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
    postfix_wait_empty "$TEST_DIR/$1" 300 || fail "$1: mail was left"
    bench_add 'delivery, CPU' "${1#cpu-}" "$((($(all_cpu "$1") - before) / messages))"
}

# small VARIANT: agents that a group of 128 MB takes, when each holds a message. In a shell of its own: memory.sh makes one
# group for each test.
small()
{
    TEST_DIR=$TEST_DIR/group-$1
    mkdir "$TEST_DIR"
    # shellcheck source=tests/lib/memory.sh
    . "$LIBRARY/memory.sh"
    memory_begin "{\"workers\": {\"start\": \"$1\"}, \"destination\": {\"slow_after\": \"1h\"}}" 50 4 128M
    sink_tell "$s" set silent silent
    memory_load "$p" 500 50
    # The pool grows in steps: until it has not for ten seconds.
    grown=0
    until [ "$(memory_watch_max "$watch" 4)" -eq "$grown" ]; do
        grown=$(memory_watch_max "$watch" 4)
        sleep 10
    done
    bench_add 'in 128 MB' "$1" "$(postfix_pids "$p" lmtp | wc -l)"
    bench_add 'OOM kills' "$1" "$(($(memory_watch_max "$watch" 7) + $(memory_watch_max "$watch" 3)))"
    memory_drain "$p" "$s" 60
    memory_end "$p" "$s"
    memory_close
    umount /proc/pressure/memory 2>/dev/null || true
}

has()
{
    case " $parts " in
    *" $1 "*) ;;
    *) return 1 ;;
    esac
}

if has pool; then
    pool pool "$workers_most"
fi
if has large; then
    pool large "$large_most"
fi

if has cpu; then
    # max_use as it comes, and one that ends no worker.
    instance cpu-stock stock 50
    instance cpu-exec exec 50
    instance cpu-fork fork 50
    instance cpu-exec-long exec 50 'max_use = 10000'
    instance cpu-fork-long fork 50 'max_use = 10000'
    round=1
    while [ "$round" -le "$rounds" ]; do
        bench_round "$round"
        for variant in stock exec fork exec-long fork-long; do
            delivery "cpu-$variant" "$round"
        done
        round=$((round + 1))
    done
    for variant in stock exec fork exec-long fork-long; do
        bench_stop "cpu-$variant"
    done
fi

if has group; then
    (small exec)
    (small fork)
fi

if has starts; then
    # What exists while agents are started: a queue and its configuration.
    instance starts stock 1
    d=$TEST_DIR/starts
    mkdir "$TEST_DIR/started.d"
    (cd "$TEST_DIR/started.d" && MAIL_CONFIG=$d/etc worker_start "$BUILD/headroom-template.so" "$d/daemon/lmtp" "$starts") \
        >"$TEST_DIR/started" || fail 'agents do not start'
    while read -r how wall cpu; do
        bench_add 'start, wall' "$how" "$wall"
        bench_add 'start, CPU' "$how" "$cpu"
    done <"$TEST_DIR/started"
    postfix_stop "$d"
fi

# goal VARIANT GOAL
goal()
{
    [ "$1" != fork ] || echo "$2"
}

for variant in stock exec fork; do
    ! has pool || bench_value 'pool private' "$variant" kB "$(goal "$variant" '<= 550')" "median of $workers_most busy agents ($variant)"
done
for variant in stock exec fork; do
    ! has pool || bench_value pool "$variant" kB '' "proportional size of all of them ($variant)"
done
for variant in stock exec fork; do
    ! has large || bench_value large "$variant" kB "$(goal "$variant" '<= 110000')" "proportional size of $large_most ($variant)"
done
for variant in stock exec fork exec-long fork-long; do
    ! has cpu || bench_value 'delivery, CPU' "$variant" us '' "the whole instance ($variant)"
done
for variant in exec fork; do
    ! has group || bench_value 'in 128 MB' "$variant" workers "$(goal "$variant" '>= 150')" "each holds a message ($variant)"
done
for variant in exec fork; do
    ! has group || bench_value 'OOM kills' "$variant" '' '<= 0'
done
if has starts; then
    bench_value 'start, wall' executed us ''
    bench_value 'start, wall' forked us '<= 2000'
    bench_value 'start, CPU' executed us ''
    bench_value 'start, CPU' forked us '<= 1000'
fi
bench_end
