#!/bin/sh
# The waiting room is full of mail to a dead domain, among it messages beyond the end of their lifetime, and some that are
# half an hour before it: deferring the ones would bounce them, and of the others a part that ends later may do so. So they
# are kept, and others make room. When the domain is well again they are delivered. The lifetime is that of qmgr(8)'s line:
# one on the service's line counts for its agents only.
# limit: 200

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/flood.sh"

FLOOD=ours
FLOOD_HOLD=100
flood_line()
{
    cat <<M
lmtp-test  unix  -  -  y  -  $2  $1
  -o maximal_queue_lifetime=30d
M
}
flood_create
postfix_service "$TEST_DIR/ours" qmgr 'qmgr unix n - n 300 1 qmgr -o maximal_queue_lifetime=90m'
cat >"$TEST_DIR/ours/etc/headroom.json" <<'J'
{"defaults": {"workers": {"max": 64, "limit": "fixed"}, "waiting": {"max": 50, "time": 5}, "destination": {"backlog": 20}}}
J
log=$(postfix_log "$TEST_DIR/ours")
flood_put old --count 10 --rcpt 'over%d@dead.invalid'
postfix_stop "$TEST_DIR/ours" || fail 'something was left behind'
queue_age "$TEST_DIR/ours/queue" 3600
postfix_start "$TEST_DIR/ours"
flood_put old.b --count 10 --rcpt 'almost%d@dead.invalid'
flood_age 3600

# Victims leave one by one, the first after some seconds.
full()
{
    [ "$(lines "$log" 'status=deferred.*waiting.max')" -ge "$1" ]
}

held()
{
    [ "$(sink_value "$TEST_DIR/ours.sink" dead.holding)" -ge 1 ]
}

late()
{
    [ "$(lines "$log" 'status=deferred (.*does not answer, or is slow (destination.backlog 20, waiting.time 5 s))')" -ge "$1" ]
}

say 'young mail takes the worker that the domain may have, then the old mail comes, then much more'
flood_put young --count 30 --rcpt 'user%d@dead.invalid'
wait_for 10 held || fail 'nobody is held'
flood_flush
wait_for 10 flood_taken || fail 'the flush was not taken up'
flood_put more --count 200 --rcpt 'user%d@dead.invalid'
wait_for 20 full 1 || fail 'the waiting room was not full'
# Its first answer comes after slow_after, so it hung: from now on it is known as dead, and the rest waits for too long.
sleep 6
sink_tell "$TEST_DIR/ours.sink" release >/dev/null
wait_for 30 late 5 || fail 'nothing was deferred for waiting too long'
flood_accounts ours --prefix old --queue "$TEST_DIR/ours/queue" || fail 'old mail is lost'
expect 'old mail given up' "$(lines "$log" 'status=expired')" 0
expect 'old mail that waits' "$(flood_value queued "$(flood_accounts ours --prefix old --queue "$TEST_DIR/ours/queue")")" 20
flood_heal 60
expect 'old mail' "$(flood_accounts ours --prefix old --queue "$TEST_DIR/ours/queue")" \
    'sent 20, delivered 20, queued 0, bounced 0, lost 0, doubled 0'
flood_end
