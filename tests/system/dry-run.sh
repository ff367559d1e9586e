#!/bin/sh
# A dry run does what stock does and counts what headroom would do. Side by side with stock, at four processes: mail to dead domains,
# good mail that comes behind it, and messages for dead and good domains together. The logs of deliveries are the same, recipient
# by recipient, the good mail waits as long, nothing is split; and the counts are not 0. Then memory is short: four workers go
# on where one would be allowed, nothing is deferred, and the front door stays open.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/journald.sh
. "$LIBRARY/journald.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'

# create NAME PORT COMMAND
create()
{
    sink_start "$TEST_DIR/$1.sink" "127.0.0.1:$2" 'set dead dead 0.4'
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" 'default_destination_concurrency_limit = 10000' \
        'initial_destination_concurrency = 10000' 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' \
        'queue_run_delay = 300s'
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - 4 $3"
    postfix_start "$TEST_DIR/$1"
}

# put NAME PREFIX MAILGEN_ARG...
put()
{
    put_name=$1 put_prefix=$2
    shift 2
    mailgen --to "$(postfix_address "$TEST_DIR/$put_name")" --prefix "$put_prefix" --sent "$TEST_DIR/$put_name.sent" "$@"
}

# log_has NAME COUNT PATTERN
log_has()
{
    [ "$(lines "$(postfix_log "$TEST_DIR/$1")" "$3")" -ge "$2" ]
}

# says COUNT PATTERN: so many lines of ours
says()
{
    journald_show -o cat --output-fields=MESSAGE HEADROOM_SERVICE=lmtp-test >"$TEST_DIR/lines"
    [ "$(lines "$TEST_DIR/lines" "$2")" -ge "$1" ]
}

# told NAME: recipient, dsn, status and text of all deliveries.
told()
{
    sed -n 's/.* to=<\([^>]*\)>.* \(dsn=[^,]*\), \(status=.*\)/\1 \2 \3/p' "$(postfix_log "$TEST_DIR/$1")" |
        sed "s/127\.0\.0\.1:[0-9]*//; s/ as [0-9A-F]*//" | sort
}

# before_good NAME: how many deliveries had ended before the first good one
before_good()
{
    sed -n '/to=<.*status=/{ /@good/q; p; }' "$(postfix_log "$TEST_DIR/$1")" | wc -l
}

# total NAME: a counter of ours
total()
{
    headroomctl status --json | json_get "0.status.totals.$1"
}

headroomctl()
{
    "$BUILD/headroomctl" -c "$TEST_DIR/ours/etc" "$@"
}

json_get()
{
    "$BUILD/lib/json_get" "$@"
}

journald_start
create stock 10084 lmtp
mkdir -p "$TEST_DIR/ours/etc"
printf '{"defaults": {"dry_run": true, "destination": {"backlog": 2, "slow_after": 0.2}, %s}}\n' "$unpressed" \
    >"$TEST_DIR/ours/etc/headroom.json"
create ours 10083 headroom
for name in stock ours; do
    put "$name" dead --count 30 --rcpt 'user%d@dead%d.invalid' --cycle 6
    wait_for 20 log_has "$name" 30 'qmgr.*(queue active)' || fail "$name: not all of the dead mail is in hand"
    put "$name" mixed --count 2 --rcpt 'user%d@dead%d.invalid*2' --rcpt 'user%d@good%d.invalid*3'
    wait_for 20 log_has "$name" 32 'qmgr.*(queue active)' || fail "$name: the mixed mail is not in hand"
    put "$name" good --count 10 --rcpt 'user%d@good%d.invalid' --cycle 10
done
for name in stock ours; do
    wait_for 60 log_has "$name" 50 'to=<.*status=' || fail "$name: $(lines "$(postfix_log "$TEST_DIR/$name")" 'to=<.*status=') of 50 were tried"
    told "$name" >"$TEST_DIR/$name.told"
    say "$name: $(before_good "$name") of 30 dead ones were over before the first good one, $(sink_value "$TEST_DIR/$name.sink" messages) transactions"
    # Four are under way at a time.
    [ "$(before_good "$name")" -ge 26 ] || fail "$name: good mail went before dead mail"
done
diff "$TEST_DIR/stock.told" "$TEST_DIR/ours.told" || fail 'the deliveries are not as by stock'
expect 'transactions' "$(sink_value "$TEST_DIR/ours.sink" messages)" "$(sink_value "$TEST_DIR/stock.sink" messages)"
for name in stock ours; do
    say "$name: $(sink_value "$TEST_DIR/$name.sink" connections) connections"
done
# Whether a connection may be used again is decided when a process takes the request, as with stock, not when it came.
[ "$(sink_value "$TEST_DIR/ours.sink" connections)" -le $(($(sink_value "$TEST_DIR/stock.sink" connections) + 8)) ] ||
    fail "connections are not used again as by stock"
expect 'deferred by us' "$(lines "$(postfix_log "$TEST_DIR/ours")" 'postfix/error')" 0
counted()
{
    headroomctl status >"$TEST_DIR/status"
    [ $(($(total delivered) + $(total failed))) -eq 50 ] && [ "$(total would_wait_destination)" -gt 0 ] && [ "$(total would_defer_slow)" -gt 0 ] && [ "$(total would_split)" -gt 0 ]
}
wait_for 10 counted || fail "$(cat "$TEST_DIR/status")"
cat "$TEST_DIR/status"
expect 'first line' "$(head -n 1 "$TEST_DIR/status" | cut -d ';' -f 1)" 'lmtp-test: dry run: nothing is held back'
expect 'deferred' "$(total deferred)" 0
headroomctl check >"$TEST_DIR/check" || fail "$(cat "$TEST_DIR/check")"
grep -q 'service lmtp-test is a dry run: at most 4 workers' "$TEST_DIR/check" || fail "$(cat "$TEST_DIR/check")"
says 1 'starts:.*dry run: nothing is held back, at most 4 workers' || fail 'the start line does not say it'

counts="deferred $(($(total would_defer_slow) + $(total would_defer_full))), made $(total would_wait_destination) wait, split off $(total would_split)"
history_counts()
{
    headroomctl history --would lmtp-test >"$TEST_DIR/history" 2>&1
    tail -n 1 "$TEST_DIR/history" | grep -q "^since .* a dry run would have $counts\$"
}
# Most of it is in no line of the log yet.
wait_for 5 history_counts || fail "at once, wanted $counts: $(cat "$TEST_DIR/history")"
grep -q 'split off [0-9]*; since its last line in the log$' "$TEST_DIR/history" || fail "no rest: $(cat "$TEST_DIR/history")"

say 'memory is short'
# No machine has so much.
printf '{"defaults": {"dry_run": true, "memory": {"min_available": "10000G"}, "shed": {"after": 0, "grace": 0}, "status": {"public": true}, %s}}\n' "$unpressed" \
    >"$TEST_DIR/ours/etc/headroom.json"
postfix_reload "$TEST_DIR/ours"
# Lines of the process before, its last one included, count all that it would have done.
wait_for 10 history_counts || fail "wanted $counts: $(cat "$TEST_DIR/history")"
cat "$TEST_DIR/history"
! grep -q 'since its last line' "$TEST_DIR/history" || fail 'what is in the log is counted again'
sink_tell "$TEST_DIR/ours.sink" set silent silent
put ours short --count 12 --rcpt 'user%d@silent%d.invalid' --cycle 12
wait_for 20 says 1 '^dry run: now SHED' || fail 'it would not be SHED'
headroomctl history lmtp-test | grep -q 'SHED *dry run: limit' || fail "the change is not marked as one of a dry run: $(headroomctl history lmtp-test)"
holding()
{
    [ "$(sink_value "$TEST_DIR/ours.sink" silent.holding)" -eq 4 ]
}
wait_for 10 holding || fail "$(sink_value "$TEST_DIR/ours.sink" silent.holding) are being delivered, not four"
expect 'the front door' "$(head -n 1 "$TEST_DIR/ours/queue/pid/headroom-state.lmtp-test" | cut -d ' ' -f 1)" OPEN
# What everybody may see, of which the front door sees the first word, has what would be.
public()
{
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$TEST_DIR/ours/daemon/headroomctl" -c "$TEST_DIR/ours/etc" status \
        >"$TEST_DIR/public" 2>&1 && grep -q '^lmtp-test: dry run: nothing is held back; would be SHED, ' "$TEST_DIR/public"
}
wait_for 15 public || fail "for everybody: $(cat "$TEST_DIR/public")"
sink_tell "$TEST_DIR/ours.sink" heal
wait_for 20 log_has ours 12 'to=<user[0-9]*@silent.*status=sent' || fail 'not all was delivered'
shed()
{
    headroomctl status >"$TEST_DIR/status"
    [ "$(total would_defer_memory)" -ge 8 ]
}
wait_for 10 shed || fail "$(cat "$TEST_DIR/status")"
cat "$TEST_DIR/status"
expect 'deferred by us' "$(lines "$(postfix_log "$TEST_DIR/ours")" 'postfix/error')" 0
for name in stock ours; do
    postfix_flush "$TEST_DIR/$name"
    sink_tell "$TEST_DIR/$name.sink" heal
    postfix_wait_empty "$TEST_DIR/$name" 20 || fail "$name: mail was left"
    postfix_stop "$TEST_DIR/$name" || fail 'Postfix left something behind'
    sink_stop "$TEST_DIR/$name.sink" || fail 'the LMTP server ended badly'
done
says 1 'headroom ends:.*dry run: since the last line it would have deferred' || fail 'the last lines do not count'
