#!/bin/sh
# All workers are killed at once, by cgroup.kill of the pool's group, as systemd-oomd or a person would: while they deliver, while
# they start, and again and again. The supervisor goes on, what they had in hand is deferred and delivered later, workers
# are back within a second, the limit stays, five lines say it, and nobody is throttled.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

BUSY=40
scene
configure "{\"defaults\": {$unpressed, \"workers\": {\"max\": $BUSY}, \"destination\": {\"slow_after\": \"1h\"}}}"
begin
log=$(postfix_log "$p")
total=0

# post PREFIX COUNT
post()
{
    send "$1" "$2" >"$TEST_DIR/mailgen" || fail "mailgen: $(cat "$TEST_DIR/mailgen")"
    total=$((total + $2))
}
# The last decision is in the file at the latest a second after it.
limit()
{
    "$BUILD/headroomctl" -c "$p/etc" status --json | json_get 0.status.state.limit
}
holding()
{
    [ "$(sink_value "$s" ok.holding)" -ge "$1" ]
}
delivered()
{
    [ "$(lines "$s/delivered" " delivered <$1")" -ge "$2" ]
}
# A worker that was not there before, and not the moment of a process that is killed at once.
another()
{
    for another_pid in $(workers); do
        case " $killed " in
        *" $another_pid "*) ;;
        *) return 0 ;;
        esac
    done
    return 1
}
# What headroom says from here on.
mark()
{
    marked=$(wc -l <"$log")
}
since_mark()
{
    tail -n "+$((marked + 1))" "$log" | grep ' postfix[^ ]*/headroom\[' || true
}
kill_pool()
{
    killed=$(workers | tr '\n' ' ')
    echo 1 >"$pool/cgroup.kill"
}
back()
{
    within 1000 another || fail "a second later there is no worker: $(since_mark)"
}

# Known destinations have as many workers as they like.
post known 200
wait_for 30 settled "$total" || fail "not delivered: $(accounts)"
pool=$(sed -n 's/.*memory group: .* pressure from \(\/[^,; ]*headroom-[^,; ]*\).*/\1/p' "$log" | head -n 1)
[ -w "$pool/cgroup.kill" ] || skip "needs a cgroup2 group with cgroup.kill: '$pool' has none"
pair="$(parent) $(dispatcher)"

say "$BUSY at once deliver, then none is left"
sink_tell "$s" set ok silent >/dev/null
post busy "$BUSY"
wait_for 20 holding "$BUSY" || fail "$(sink_value "$s" ok.holding) deliveries at once"
limit_before=$(limit)
sink_tell "$s" set ok ok >/dev/null
mark
kill_pool
# Nothing waits when all that there was is deferred, and no worker is needed then.
post after 5
back
wait_for 5 delivered after 5 || fail "$(lines "$s/delivered" ' delivered <after') of 5 are delivered; $(since_mark)"
wait_for 20 settled "$total" || fail "not delivered: $(accounts --may-double $BUSY)"
all_said()
{
    [ "$(since_mark | sed -n 's/.* \([0-9]*\) more workers ended with a request.*/\1/p')" = $((BUSY - 4)) ]
}
wait_for 5 all_said || fail "not all that was lost is said: $(since_mark)"
since_mark
expect 'lines about it' "$(since_mark | grep -c ' ended with ')" 5
# Where others use the processors, the process that forks may be late; and no more is said.
[ "$(since_mark | wc -l)" -le 8 ] || fail "$(since_mark | wc -l) lines"
expect 'messages in hand' "$(since_mark | grep -c 'ended with it (signal 9); it is deferred and will be tried again')" 4
# It is not less: an OOM kill would have halved it.
[ "$(limit)" -ge "$limit_before" ] || fail "the limit was $limit_before and is $(limit)"

say 'five times within a second, while it delivers, starts workers, and rests'
mark
load_start 100
for kill in 1 2 3 4 5; do
    kill_pool
    back
done
kill_pool
back
load_stop
drain 30 || fail "mail does not flow: $(since_mark)"
wait_for 20 postfix_empty "$p" || fail 'not everything is delivered'
since_mark
[ "$(since_mark | wc -l)" -le 5 ] || fail "$(since_mark | wc -l) lines about it"
[ "$(limit)" -ge "$limit_before" ] || fail "the limit was $limit_before and is $(limit)"
# All are idle now: nothing is lost, so nothing is said, but perhaps that the one that forks was killed again.
mark
kill_pool
post idle 20
wait_for 10 delivered idle 20 || fail "mail does not flow: $(since_mark)"
expect 'lines about idle ones' "$(since_mark | grep -v ': workers are \(executed\|forked\)')" ''
expect 'the supervisor' "$(parent) $(dispatcher)" "$pair"
calm

say 'a successor that finds the group as it is'
kill -KILL "$(parent)"
wait_for 5 no_supervisor
post successor 20
wait_for 20 delivered successor 20 || fail "mail does not flow: $(since_mark)"
expect_said 'starts that failed' 'cannot start' 0
accounts --may-double 1000 >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
say "$(head -n 1 "$TEST_DIR/accounts")"
postfix_stop "$p" || fail 'something is left'
[ ! -d "$pool" ] || fail "$pool is left"
