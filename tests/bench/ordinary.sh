#!/bin/sh
# Ordinary mail, to healthy servers: what everybody has on a normal day. Here headroom must not be worse than stock lmtp.
# BENCH_CASES is an extended regular expression of the names of cases, BENCH_PHASES what is run of cold, warm, reload, BENCH_ROUNDS
# how many rounds each has.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-3}
phases=${BENCH_PHASES:-cold warm reload}

bench "ordinary mail, each case beside stock lmtp; $rounds rounds of each, in turn: cold (after a start, nothing was ever seen)," \
    "then again, then after a reload; seconds from the flush to the last delivery (p50, p99: to so many of all)," \
    "what the server saw, what the agents took"

# A case is NAME|SERVER|MAIN.CF|MAILGEN: how the server treats everybody, lines more of main.cf, the mail.
cases() {
    grep -E "${BENCH_CASES:-.}" <<'C'
group|ok 0|wide|--count 300 --size 2000 --rcpt user%d@good%d.invalid*20 --cycle 60
group, defaults|ok 0|default|--count 300 --size 2000 --rcpt user%d@good%d.invalid*20 --cycle 60
large group|ok 0|wide|--count 40 --size 1000000 --rcpt user%d@good%d.invalid*20 --cycle 60
slow group|ok 0.2|wide|--count 100 --size 2000 --rcpt user%d@good%d.invalid*40 --cycle 40
burst|ok 0.15|default|--count 300 --rcpt user%d@one.invalid
burst, limit 100|ok 0.15|limit|--count 300 --rcpt user%d@one.invalid
slow|ok 4|wide|--count 200 --rcpt user%d@good%d.invalid --cycle 20
slow, few|ok 4|wide|--count 20 --rcpt user%d@good%d.invalid --cycle 20
slow site|ok 2|default|--count 100 --rcpt user%d@one.invalid
fallback|ok 0|fallback|--count 60 --rcpt user%d@one.invalid
own queue|queue 0.1|wide|--count 300 --rcpt user%d@one.invalid
many|ok 0|wide|--count 2000 --sessions 8 --rcpt user%d@good%d.invalid --cycle 50
C
}

create()
{
    set -- "$1" "127.0.0.1:$2" "$3" 'smtpd_data_restrictions = check_client_access static:HOLD'
    wide='default_destination_concurrency_limit = 10000'
    case $settings in
    wide) set -- "$@" "$wide" 'initial_destination_concurrency = 10000' ;;
    limit) set -- "$@" 'default_destination_concurrency_limit = 100' 'default_process_limit = 500' ;;
    fallback)
        # The primary hangs for six seconds, and then the other one takes the message.
        port=$((${2#*:} + 10))
        sink_start "$TEST_DIR/$1.primary" "127.0.0.1:$port" 'set ok dead 6'
        set -- "$@" "$wide" 'initial_destination_concurrency = 10000' \
            "default_transport = lmtp-test:inet:[127.0.0.1]:$port" "lmtp_fallback_relay = [127.0.0.1]:${2#*:}"
        ;;
    esac
    bench_instance "$@"
    postfix_start "$TEST_DIR/$1"
    # shellcheck disable=SC2086
    [ "$server" = 'ok 0' ] || sink_tell "$TEST_DIR/$1.sink" set ok slow ${server#* }
}

# As it is before the mail is released: cold, warm, reload.
prepare()
{
    case $phase in
    cold)
        postfix_stop "$TEST_DIR/$1" || fail "$1 left something behind"
        rm -f "$TEST_DIR/$1"/data/headroom.*/learned
        postfix_start "$TEST_DIR/$1"
        ;;
    reload)
        postfix_reload "$TEST_DIR/$1"
        sleep 1
        ;;
    esac
}

# What the agents take, with all of Headroom's processes: shared memory by its share. KiB, again and again.
look()
{
    while :; do
        for pid in $(postfix_pids "$TEST_DIR/$1" lmtp) $(postfix_pids "$TEST_DIR/$1" headroom); do
            cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
        done | awk '$1 == "Pss:" { sum += $2 } END { print sum + 0 }'
        sleep 0.2
    done
}

# one NAME ROUND: puts mail aside, and has it delivered at once
one()
{
    d=$TEST_DIR/$1
    s=$d.sink
    all="$name, $phase"
    # shellcheck disable=SC2086
    bench_send "$1" "$phase$2" $mail
    prepare "$1"
    postsuper -c "$d/etc" -H ALL 2>>"$d/start.log"
    messages=$(sink_value "$s" messages)
    connections=$(sink_value "$s" connections)
    had=$(wc -l <"$s/delivered")
    start=$(date +%s.%N)
    postfix_flush "$d"
    wait_for 120 bench_delivered "$1" "$(wc -l <"$d.sent")" || fail "$all: $1 did not deliver all in 120 s"
    bench_add "$all" "$1" "$(bench_since "$start" "$1")"
    tail -n "+$((had + 1))" "$s/delivered" | awk -v start="$start" '{ print $1 - start }' | sort -n >"$d.waits"
    for percent in 50 99; do
        bench_add "$all, p$percent" "$1" "$(awk -v part="$percent" '{ all[NR] = $1 } END { print all[int((NR * part + 99) / 100)] }' "$d.waits")"
    done
    bench_add "$all, transactions" "$1" "$(($(sink_value "$s" messages) - messages))"
    bench_add "$all, sessions" "$1" "$(($(sink_value "$s" connections) - connections))"
    postfix_wait_empty "$d" 10 || fail "$all: mail was left in $1"
}

# Nothing is under way any more.
over()
{
    [ -z "$(find "$TEST_DIR/$1/queue/active" "$TEST_DIR/$1/queue/incoming" -type f)" ]
}

half()
{
    [ "$(sink_value "$TEST_DIR/$1.sink" delivered)" -ge 150 ] || over "$1"
}

# full NAME ROUND: the server delivers one after the other, lets 30 wait, and has no place for more.
full()
{
    d=$TEST_DIR/$1
    s=$d.sink
    rm -f "$d"/data/headroom.*/learned
    # shellcheck disable=SC2086
    bench_send "$1" "full$2" $mail
    sink_tell "$s" set ok slow "${server#* }"
    sink_tell "$s" queue 30
    refused=$(sink_value "$s" refused)
    parked=0
    postsuper -c "$d/etc" -H ALL 2>>"$d/start.log"
    postfix_flush "$d"
    sleep 1
    wait_for 60 half "$1" || fail "$name: $1 did not deliver half"
    until over "$1"; do
        now=$(sink_value "$s" ok.holding)
        [ "$now" -le "$parked" ] || parked=$now
        sleep 0.5
    done
    bench_add "$name, refused" "$1" "$(($(sink_value "$s" refused) - refused))"
    bench_add "$name, waiting there" "$1" "$parked"
    sink_tell "$s" heal
    postfix_flush "$d"
    wait_for 60 bench_delivered "$1" "$(wc -l <"$d.sent")" || fail "$name: $1 did not deliver all"
}

looked()
{
    case $name in
    group*) ;;
    *) return 1 ;;
    esac
}

# memory NAME: the most while mail is delivered once more.
memory()
{
    look "$1" >"$TEST_DIR/$1.memory" &
    looker=$!
    phase=look
    one "$1" 1
    kill "$looker"
    wait "$looker" || true
    bench_add "$name, memory" "$1" "$(sort -n "$TEST_DIR/$1.memory" | tail -n 1)"
}

show()
{
    if [ "$name" = 'own queue' ]; then
        bench_ratio "$name, refused" messages ''
        bench_value "$name, refused" headroom messages '<= 30'
        bench_value "$name, waiting there" headroom 'in the second half' '<= 4'
        return
    fi
    for phase in $phases; do
        goal='<= 1.1'
        all="$name, $phase"
        case $name in
        *group*)
            # Domains that were never seen are tried four at a time.
            [ "$phase" != cold ] || goal='<= 2.0'
            bench_ratio "$all, transactions" '' "$goal"
            bench_ratio "$all, sessions" '' ''
            ;;
        burst*)
            bench_ratio "$all, p50" s '<= 1.1'
            bench_ratio "$all, p99" s '<= 1.1'
            continue
            ;;
        esac
        bench_ratio "$all" s "$goal"
    done
    ! looked || bench_ratio "$name, memory" KiB '<= 1.0'
    bench_value "$name, deferred" headroom messages '<= 0'
}

cases >"$TEST_DIR/cases"
while IFS='|' read -r name server settings mail <&3; do
    create stock 10083 '- lmtp'
    create headroom 10084 '- headroom'
    round=1
    while [ "$round" -le "$rounds" ]; do
        bench_round "$round of $name"
        if [ "$name" = 'own queue' ]; then
            bench_turn "$round" full
        else
            for phase in $phases; do
                bench_turn "$round" one
            done
        fi
        round=$((round + 1))
    done
    for each in stock headroom; do
        ! looked || memory "$each"
        bench_add "$name, deferred" "$each" "$(lines "$(postfix_log "$TEST_DIR/$each")" 'status=deferred')"
        bench_stop "$each"
        [ "$settings" != fallback ] || sink_stop "$TEST_DIR/$each.primary"
        rm -rf "${TEST_DIR:?}/$each" "$TEST_DIR/$each".*
    done
    show
    bench_so_far
done 3<"$TEST_DIR/cases"
bench_end
