#!/bin/sh
# One next hop for all, and Postfix's own limit of 20 deliveries at a time to it: mail behind sixty messages to a dead domain comes as
# soon as by stock, with more workers than that, with a few less, and with less than half as many. What waited for the dead domain
# would keep the places at qmgr(8).
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'

# create NAME PORT COMMAND PROCESSES
create()
{
    sink_start "$TEST_DIR/$1.sink" "127.0.0.1:$2" 'set dead dead 2'
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' \
        'queue_run_delay = 300s'
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - $4 $3"
    postfix_start "$TEST_DIR/$1"
}

# put NAME PREFIX MAILGEN_ARG...
put()
{
    put_name=$1 put_prefix=$2
    shift 2
    mailgen --to "$(postfix_address "$TEST_DIR/$put_name")" --prefix "$put_prefix" --sent "$TEST_DIR/$put_name.sent" "$@"
}

# tried NAME COUNT PATTERN
tried()
{
    [ "$(lines "$(postfix_log "$TEST_DIR/$1")" "to=<$3.*status=")" -ge "$2" ]
}

# slowest NAME: of the good mail, in seconds
slowest()
{
    sed -n 's/.*to=<user[0-9]*@good.* delay=\([0-9.]*\),.*status=sent.*/\1/p' "$(postfix_log "$TEST_DIR/$1")" | sort -n | tail -n 1
}

port=10100
for processes in 50 16 8; do
    port=$((port + 2))
    create "stock$processes" "$port" lmtp "$processes"
    mkdir -p "$TEST_DIR/ours$processes/etc"
    echo '{"defaults": {"destination": {"slow_after": 0.5}}}' >"$TEST_DIR/ours$processes/etc/headroom.json"
    create "ours$processes" "$((port + 1))" headroom "$processes"
done
pairs='stock50 ours50 stock16 ours16 stock8 ours8'
for name in $pairs; do
    put "$name" first --count 20 --rcpt 'user%d@dead.invalid'
    put "$name" dead --count 60 --first 20 --rcpt 'user%d@dead.invalid'
    put "$name" good --count 10 --rcpt 'user%d@good%d.invalid'
done
for name in $pairs; do
    wait_for 120 tried "$name" 10 'user[0-9]*@good' || fail "$name: good mail was not delivered"
    wait_for 60 tried "$name" 80 'user[0-9]*@dead' || fail "$name: dead mail was not tried"
    say "$name: the slowest good message took $(slowest "$name") s"
done
for processes in 50 16 8; do
    echo "$(slowest "ours$processes") $(slowest "stock$processes")" | awk '{ exit !($1 <= 1.3 * $2 + 2) }' ||
        fail "$processes workers: good mail was later than by stock"
    expect 'deferred by us' "$(lines "$(postfix_log "$TEST_DIR/ours$processes")" 'postfix/error')" 0
done
for name in $pairs; do
    postfix_stop "$TEST_DIR/$name" || fail 'Postfix left something behind'
    sink_stop "$TEST_DIR/$name.sink" || fail 'the LMTP server ended badly'
done
