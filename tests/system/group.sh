#!/bin/sh
# Group mail: messages with 20 recipients in 20 of 60 healthy domains behind one server. Domains that deliver stay together, as with
# stock: as many transactions, nothing deferred. Never seen before: at most twice as many. One of the twenty dies in the middle:
# after its first seconds the others get theirs as if it were not there, in at most two transactions a message.
# limit: 150

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/flood.sh
. "$LIBRARY/flood.sh"

COUNT=150
# No stall counts: other tests may stall the machine.
FLOOD_CONFIG="{\"defaults\": {$unpressed}}"

# served NAME COUNT: so many recipients, and the queue is empty.
served()
{
    [ "$(sink_value "$TEST_DIR/$1.sink" delivered)" -ge "$2" ] && postfix_empty "$TEST_DIR/$1"
}

# run NAME PREFIX: COUNT messages at once. Sets $NAME_PREFIX_messages, _sessions and _time, in hundredths of a second.
run()
{
    run_sink=$TEST_DIR/$1.sink
    run_want=$(($(sink_value "$run_sink" delivered) + 20 * COUNT))
    run_messages=$(sink_value "$run_sink" messages)
    run_sessions=$(sink_value "$run_sink" connections)
    read -r run_since _ </proc/uptime
    flood_mailgen "$1" "$2" --count "$COUNT" --sessions 8 --rcpt 'user%d@good%d.invalid*20' --cycle 61 --size 2000
    wait_for 60 served "$1" "$run_want" || fail "$1 $2: $(flood_figures "$1" "$2")"
    read -r run_until _ </proc/uptime
    run_messages=$(($(sink_value "$run_sink" messages) - run_messages))
    run_sessions=$(($(sink_value "$run_sink" connections) - run_sessions))
    run_time=$((${run_until%.*}${run_until#*.} - ${run_since%.*}${run_since#*.}))
    eval "$1_$2_messages=$run_messages $1_$2_sessions=$run_sessions $1_$2_time=$run_time"
    say "$1 $2: $run_messages transactions in $run_sessions sessions, $run_time hundredths of a second"
}

# at_most WHAT VALUE BOUND
at_most()
{
    [ "$2" -le "$3" ] || fail "$1: $2, more than $3"
}

for name in stock ours; do
    FLOOD=$name
    # The defaults of Postfix.
    flood_create 'smtpd_data_restrictions =' 'default_destination_concurrency_limit = 20' \
        'lmtp-test_destination_concurrency_limit = 20' 'lmtp-test_initial_destination_concurrency = 5' 2>>"$TEST_DIR/create"
    run "$name" cold
    run "$name" warm
    expect "$name: deferred" "$(lines "$(postfix_log "$TEST_DIR/$name")" 'status=deferred')" 0
    flood_text=$(flood_accounts "$name" --queue "$TEST_DIR/$name/queue") || fail "$name: $flood_text"
    [ "$name" = ours ] || flood_end_one "$name"
done
# shellcheck disable=SC2154
{
    at_most 'transactions, never seen' "$ours_cold_messages" $((2 * stock_cold_messages))
    at_most 'transactions, proven' "$ours_warm_messages" $((stock_warm_messages * 11 / 10))
    # A new session is 30 ms of a busy machine at most; what matters is that it is not one for each domain.
    at_most 'sessions, proven' "$ours_warm_sessions" $((stock_warm_sessions + COUNT / 2))
    at_most 'time, proven' "$ours_warm_time" $((stock_warm_time * 2 + 100))
}

# 19 go on, and one that delivered until now hangs: known after slow_after (5 s) and twice what all take, while 4 messages a second come.
# As on a relay: with 20 at a time qmgr(8) itself would wait for the dead one's recipients.
postfix_main "$TEST_DIR/ours" 'lmtp-test_destination_concurrency_limit = 10000' 'lmtp-test_initial_destination_concurrency = 10000'
postfix_reload "$TEST_DIR/ours"
sink=$TEST_DIR/ours.sink
sink_tell "$sink" set dead ok >/dev/null
flood_mailgen ours last --count 2 --rcpt 'user%d@good%d.invalid*19' --cycle 61 --rcpt 'user%d@dead.invalid'
wait_for 20 postfix_empty "$TEST_DIR/ours" || fail 'not delivered before it died'
sink_tell "$sink" set dead deadrcpt 30 >/dev/null
flood_mailgen ours dying --rate 4 --time 11 --rcpt 'user%d@good%d.invalid*19' --cycle 61 --rcpt 'user%d@dead.invalid'
# Each of the others has delivered alone by now.
messages=$(sink_value "$sink" messages)
before=$(lines "$sink/delivered" '<known.*@good')
flood_mailgen ours known --rate 4 --time 5 --rcpt 'user%d@good%d.invalid*19' --cycle 61 --rcpt 'user%d@dead.invalid'
known()
{
    [ "$(lines "$sink/delivered" '<known.*@good')" -ge $((before + 19 * 20)) ]
}
wait_for 3 known || fail "beside a dead one: $(flood_figures ours known)"
say "one dead: $(flood_figures ours known)"
# Attempts at the dead one end in no message.
messages=$(($(sink_value "$sink" messages) - messages))
say "one dead: $messages transactions for 20 messages"
at_most 'transactions beside a dead one' "$messages" 40
sink_tell "$sink" set dead ok >/dev/null
sink_tell "$sink" release >/dev/null
flood_heal 30
flood_end
