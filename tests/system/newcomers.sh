#!/bin/sh
# 500 messages, each to a healthy domain that was never seen, ten agents, and a waiting room for 60 of them: all are delivered,
# none is deferred, and none stands aside while agents are idle.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
STOCK_TOO=1
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

scene
configure '{"defaults": {"waiting": {"max": 60}, "pressure": {"hold": 100, "target": 100, "full": 100}}}'
postfix_service "$p" lmtp-test "lmtp-test unix - - n - 10 $AGENT"
begin 'set ok ok 0.2'
before=$(milliseconds)
send new 500 --rcpt 'user%d@new%d.invalid' --cycle 500
wait_for 40 settled 500 || fail "not delivered: $(accounts)"
say "delivered in $(($(milliseconds) - before)) ms"
expect 'deferred' "$(said 'status=deferred')" 0
calm
