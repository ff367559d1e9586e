#!/bin/sh
# What a worker costs: memory of a busy one, and CPU of a start, forked and executed, beside stock lmtp.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

workers_most=${BENCH_WORKERS:-50}
messages=${BENCH_MESSAGES:-5000}
starts=${BENCH_STARTS:-500}

bench "$messages messages through $workers_most agents, then all of them hold one: memory by smaps_rollup, of the pool with" \
    "the process that forks; $starts starts one after another, until the greeting: wall, and CPU of the new process"

# held NAME
held()
{
    [ "$(sink_value "$TEST_DIR/$1.sink" ok.holding)" -ge "$workers_most" ]
}

# agents NAME: pids of the agents.
agents()
{
    postfix_pids "$TEST_DIR/$1" lmtp
}

# memory NAME FIELD: kB of each process, one a line; pids on standard input.
memory()
{
    while read -r memory_pid; do
        awk -v field="^$1" '$1 ~ field { sum += $2 } END { print sum }' "/proc/$memory_pid/smaps_rollup"
    done
}

port=10084
for variant in stock exec fork; do
    d=$TEST_DIR/$variant
    [ "$variant" = stock ] && command="$workers_most lmtp" || command="$workers_most headroom"
    bench_instance "$variant" "127.0.0.1:$port" "$command" 'initial_destination_concurrency = 1000' \
        'default_destination_concurrency_limit = 1000' 'max_use = 100000'
    [ "$variant" = stock ] || cat >"$d/etc/headroom.json" <<END
{"defaults": {"workers": {"max": $workers_most, "limit": "fixed", "start": "$variant"}, "destination": {"slow_after": "1h"}}}
END
    postfix_start "$d"
    bench_round "$variant"
    sink_tell "$d.sink" set ok slow 0.05
    bench_send "$variant" many --count "$messages" --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
    wait_for 300 bench_delivered "$variant" "$messages" || fail "$variant: not all $messages were delivered"
    sink_tell "$d.sink" set ok silent
    # Those that were executed before there was one that forks are replaced, and all hold one message.
    if [ "$variant" = fork ]; then
        agents "$variant" | head -n 4 | xargs kill
    fi
    bench_send "$variant" held --count "$workers_most" --rcpt 'user%d@good%d.invalid' --cycle 50
    wait_for 60 held "$variant" || fail "$variant: $(sink_value "$d.sink" ok.holding) hold a message"
    bench_add private "$variant" "$(agents "$variant" | memory Private_ | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }')"
    bench_add pool "$variant" "$( (agents "$variant" && postfix_pids "$d" lmtp-template) | memory Pss: | awk '{ sum += $1 } END { print sum }')"
    sink_tell "$d.sink" heal
    postfix_wait_empty "$d" 60 || fail "$variant: mail was left"

    bench_stop "$variant"
    port=$((port + 1))
done

# What exists while agents are started: a queue and its configuration.
d=$TEST_DIR/stock
mkdir "$TEST_DIR/starts"
(cd "$TEST_DIR/starts" && MAIL_CONFIG=$d/etc worker_start "$BUILD/headroom-template.so" "$d/daemon/lmtp" "$starts") \
    >"$TEST_DIR/started" || fail 'agents do not start'
while read -r how wall cpu; do
    bench_add 'start, wall' "$how" "$wall"
    bench_add 'start, CPU' "$how" "$cpu"
done <"$TEST_DIR/started"

for variant in stock exec fork; do
    [ "$variant" = fork ] && goal='<= 550' || goal=''
    bench_value private "$variant" kB "$goal" "median of $workers_most busy agents ($variant)"
    bench_value pool "$variant" kB '' "proportional size of all of them ($variant)"
done
bench_value 'start, wall' executed us ''
bench_value 'start, wall' forked us '<= 2000'
bench_value 'start, CPU' executed us ''
bench_value 'start, CPU' forked us '<= 1000'
bench_end
