#!/bin/sh
# How long one message takes from the active queue to the end of its delivery, when nothing else is going on.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_ROUNDS:-5}
messages=${BENCH_MESSAGES:-300}

bench "one message at a time on idle instances, $messages in $((messages / 10)) s to each of stock lmtp and headroom, at the same time" \
    "and half a beat apart; the time from the active queue to the end of the delivery, in the agent's own log" \
    "(the last three of delays=); $rounds rounds; then the first message after a pause in which all agents have ended"

# In microseconds: postconf(5), delay_logging_resolution_limit.
for each in stock headroom; do
    case $each in
    stock) bench_instance stock 127.0.0.1:10083 '100 lmtp' 'delay_logging_resolution_limit = 6' ;;
    headroom) bench_instance headroom 127.0.0.1:10084 '100 headroom' 'delay_logging_resolution_limit = 6' ;;
    esac
    postfix_start "$TEST_DIR/$each"
    bench_send "$each" warm --count 20 --rcpt 'user%d@good.invalid'
    postfix_wait_empty "$TEST_DIR/$each" 10
done

# one NAME ROUND: sends, in the background
one()
{
    lines "$(postfix_log "$TEST_DIR/$1")" 'status=sent' >"$TEST_DIR/$1.before"
    bench_send "$1" "r$2" --rate 10 --time $((messages / 10)) --sessions 1 --rcpt 'user%d@good.invalid' &
}

# sorted NAME: seconds of its last deliveries, in order
sorted()
{
    sed -n 's/.*delays=[^/]*\/\([0-9.e-]*\)\/\([0-9.e-]*\)\/\([0-9.e-]*\),.*status=sent.*/\1 \2 \3/p' \
        "$(postfix_log "$TEST_DIR/$1")" | tail -n "+$(($(cat "$TEST_DIR/$1.before") + 1))" |
        awk '{ printf "%.6f\n", $1 + $2 + $3 }' | sort -n >"$TEST_DIR/$1.times"
}

figures()
{
    postfix_wait_empty "$TEST_DIR/$1" 10 || fail "mail was left in $1"
    sorted "$1"
    expect "deliveries of $1 in the log" "$(wc -l <"$TEST_DIR/$1.times")" "$messages"
    for percent in 50 90 99; do
        bench_add "p$percent" "$1" "$(awk -v at=$(((messages * percent + 99) / 100)) 'NR == at { print $1 * 1000 }' "$TEST_DIR/$1.times")"
    done
    cat "$TEST_DIR/$1.times" >>"$TEST_DIR/$1.all"
}

round=1
while [ "$round" -le "$rounds" ]; do
    bench_round "$round"
    if [ $((round % 2)) -eq 1 ]; then
        first=stock second=headroom
    else
        first=headroom second=stock
    fi
    one "$first" "$round"
    one_pid=$!
    sleep 0.05
    one "$second" "$round"
    wait "$one_pid" "$!" || fail 'not all mail was accepted'
    figures stock
    figures headroom
    round=$((round + 1))
done

# Each agent ends after a second without mail: each message is the first after a pause.
pauses=${BENCH_PAUSES:-20}
for each in stock headroom; do
    postfix_main "$TEST_DIR/$each" 'max_idle = 1s'
    postfix_reload "$TEST_DIR/$each"
    bench_send "$each" fresh --count 3 --rcpt 'user%d@good.invalid'
    postfix_wait_empty "$TEST_DIR/$each" 10
    lines "$(postfix_log "$TEST_DIR/$each")" 'status=sent' >"$TEST_DIR/$each.before"
done
without_agent()
{
    [ -z "$(postfix_pids "$TEST_DIR/$1" lmtp)" ]
}
pause=1
while [ "$pause" -le "$pauses" ]; do
    for each in stock headroom; do
        wait_for 20 without_agent "$each" || fail "an agent of $each stays"
        bench_send "$each" "p$pause" --count 1 --rcpt 'user%d@good.invalid'
        postfix_wait_empty "$TEST_DIR/$each" 10 || fail "mail was left in $each"
    done
    pause=$((pause + 1))
done
for each in stock headroom; do
    sorted "$each"
    expect "deliveries of $each in the log" "$(wc -l <"$TEST_DIR/$each.times")" "$pauses"
    [ "$pauses" -eq 0 ] || bench_add 'after a pause' "$each" "$(awk -v at=$(((pauses + 1) / 2)) 'NR == at { print $1 * 1000 }' "$TEST_DIR/$each.times")"
done

# Of all rounds together: a hundredth of one round is few messages.
for each in stock headroom; do
    bench_add 'p99 of all' "$each" "$(sort -n "$TEST_DIR/$each.all" | awk -v at=$(((messages * rounds * 99 + 99) / 100)) 'NR == at { print $1 * 1000 }')"
    bench_stop "$each"
done
bench_ratio p99 ms '<= 1.2'
bench_ratio 'p99 of all' ms ''
bench_ratio p90 ms ''
bench_ratio p50 ms ''
[ "$pauses" -eq 0 ] || bench_ratio 'after a pause' ms '<= 1.1'
bench_end
