#!/bin/sh
# Ordinary mail, to healthy servers: what everybody has on a normal day. Here headroom must not be worse than stock lmtp.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-3}

bench "ordinary mail, each case beside stock lmtp; $rounds rounds of each, in turn, the first of them with a supervisor that" \
    "has seen nothing; seconds from the flush to the last delivery, and what the server saw"

# A case is NAME|SERVER|MAIN.CF|MAILGEN: how the server treats everybody, a line more of main.cf, the mail.
wide='default_destination_concurrency_limit = 10000'
cases() {
    cat <<'C'
group|ok 0|wide|--count 300 --size 2000 --rcpt user%d@good%d.invalid*20 --cycle 60
large group|ok 0|wide|--count 40 --size 1000000 --rcpt user%d@good%d.invalid*20 --cycle 60
slow group|ok 0.2|wide|--count 100 --size 2000 --rcpt user%d@good%d.invalid*40 --cycle 40
burst|ok 0.15|default|--count 300 --rcpt user%d@one.invalid
slow|ok 4|wide|--count 200 --rcpt user%d@good%d.invalid --cycle 20
slow site|ok 2|default|--count 100 --rcpt user%d@one.invalid
many|ok 0|wide|--count 2000 --sessions 8 --rcpt user%d@good%d.invalid --cycle 50
C
}

create()
{
    set -- "$1" "$2" "$3" 'smtpd_data_restrictions = check_client_access static:HOLD'
    if [ "$settings" = wide ]; then
        bench_instance "$@" "$wide" 'initial_destination_concurrency = 10000'
    else
        bench_instance "$@"
    fi
    postfix_start "$TEST_DIR/$1"
    # shellcheck disable=SC2086
    [ "$server" = 'ok 0' ] || sink_tell "$TEST_DIR/$1.sink" set ok slow ${server#ok }
}

# one NAME ROUND: puts mail aside, and has it delivered at once
one()
{
    d=$TEST_DIR/$1
    # shellcheck disable=SC2086
    bench_send "$1" "r$2" $mail
    postsuper -c "$d/etc" -H ALL 2>>"$d/start.log"
    before=$(sink_value "$d.sink" messages)
    connected=$(sink_value "$d.sink" connections)
    start=$(date +%s.%N)
    postfix_flush "$d"
    wait_for 120 bench_delivered "$1" "$(wc -l <"$d.sent")" || fail "$name: $1 did not deliver all in 120 s"
    took=$(bench_since "$start" "$1")
    bench_add "$name" "$1" "$took"
    bench_add "$name, transactions" "$1" "$(($(sink_value "$d.sink" messages) - before))"
    bench_add "$name, sessions" "$1" "$(($(sink_value "$d.sink" connections) - connected))"
    [ "$2" -gt 1 ] || bench_add "$name, first" "$1" "$took"
    postfix_wait_empty "$d" 10 || fail "$name: mail was left in $1"
}

cases >"$TEST_DIR/cases"
while IFS='|' read -r name server settings mail <&3; do
    create stock 127.0.0.1:10083 '- lmtp'
    create headroom 127.0.0.1:10084 '- headroom'
    round=1
    while [ "$round" -le "$rounds" ]; do
        bench_round "$round of $name"
        bench_turn "$round" one
        round=$((round + 1))
    done
    for each in stock headroom; do
        bench_add "$name, deferred" "$each" "$(lines "$(postfix_log "$TEST_DIR/$each")" 'status=deferred')"
        bench_stop "$each"
        rm -rf "${TEST_DIR:?}/$each" "$TEST_DIR/$each.sink" "$TEST_DIR/$each.sent"
    done
    bench_ratio "$name" s '<= 1.1'
    case $name in
    *group) bench_ratio "$name, transactions" '' '<= 1.1' ;;
    esac
    bench_ratio "$name, first" s '' 'a supervisor that has seen nothing'
    bench_ratio "$name, sessions" '' ''
    bench_value "$name, deferred" headroom messages '<= 0'
done 3<"$TEST_DIR/cases"
bench_end
