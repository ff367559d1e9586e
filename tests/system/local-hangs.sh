#!/bin/sh
# local(8) is the client (mailbox_transport), few workers, all of them and all of local(8) have mail that hangs when Postfix is
# reloaded. With stock qmgr(8) sets all of it aside for a minute, because local(8) has its answer only when a worker comes back; then
# good mail passes. What waits here is not given back sooner: qmgr(8) would hand it over at once, and good mail would be late by as
# many rounds as it has.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'
workers=4
dead=24
good=40
hangs=12

# create NAME PORT COMMAND
create()
{
    sink_start "$TEST_DIR/$1.sink" "127.0.0.1:$2" "set dead dead $hangs"
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" 'mydestination = test.invalid' \
        "mailbox_transport = lmtp-test:inet:[127.0.0.1]:$2" 'local_destination_concurrency_limit = 100' \
        'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' 'queue_run_delay = 300s'
    postfix_service "$TEST_DIR/$1" local "local unix - n n - $dead local"
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - $workers $3"
    printf '{ "defaults": { "destination": { "slow_after": 0.5 } } }\n' >"$TEST_DIR/$1/etc/headroom.json"
    postfix_start "$TEST_DIR/$1"
    : >"$TEST_DIR/$1.sent"
}

# put NAME USER COUNT
put()
{
    mailgen --to "$(postfix_address "$TEST_DIR/$1")" --prefix "$2" --sent "$TEST_DIR/$1.sent" --count "$3" \
        --rcpt "$2%d@test.invalid" --cycle 1
}

# full NAME: all workers are busy, and each message has a local(8)
full()
{
    [ "$(sink_holding "$TEST_DIR/$1.sink")" -ge "$workers" ] &&
        [ "$(postfix_pids "$TEST_DIR/$1" local | wc -l)" -ge "$dead" ]
}

# passed NAME: how many good ones were delivered
passed()
{
    lines "$TEST_DIR/$1.sink/delivered" ' delivered .*good'
}

all_passed()
{
    [ "$(passed "$1")" -ge "$good" ]
}

create stock 10084 lmtp
create ours 10083 headroom
for name in stock ours; do
    put "$name" dead $dead
    wait_for 10 full "$name" || fail "$name: only $(sink_holding "$TEST_DIR/$name.sink") deliveries at once"
done
for name in stock ours; do
    put "$name" good $good
done
# They hang when they have run for slow_after and the next tick has seen it.
wait_for 2 false || :
for name in stock ours; do
    expect "$name: hang" "$(sink_holding "$TEST_DIR/$name.sink")" "$workers"
    postfix_reload "$TEST_DIR/$name"
done
# A round of those that hang, and most of a second one.
for name in stock ours; do
    wait_for $((2 * hangs - 4)) all_passed "$name" || :
    say "$name: $(passed "$name") of $good good ones passed, $(postfix_count "$TEST_DIR/$name" incoming) set aside"
done
expect 'stock' "$(passed stock)" "$good"
expect 'ours' "$(passed ours)" "$good"
for name in stock ours; do
    postfix_stop "$TEST_DIR/$name" || fail 'Postfix left something behind'
    sink_stop "$TEST_DIR/$name.sink" || fail 'the LMTP server ended badly'
done
