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
# shellcheck source=tests/lib/local.sh
. "$LIBRARY/local.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'
workers=4
dead=24
good=40
hangs=12

# create NAME PORT COMMAND
create()
{
    local_create "$1" "$2" "$3" "$workers" "$dead" "set dead dead $hangs"
    printf '{ "defaults": { "destination": { "slow_after": 0.5 } } }\n' >"$TEST_DIR/$1/etc/headroom.json"
    postfix_start "$TEST_DIR/$1"
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
    local_put "$name" dead $dead dead 1
    # All workers are busy, and each message has a local(8).
    wait_for 10 local_full "$name" $workers $dead || fail "$name: only $(sink_holding "$TEST_DIR/$name.sink") deliveries at once"
done
for name in stock ours; do
    local_put "$name" good $good good 1
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
