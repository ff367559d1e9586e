#!/bin/sh
# One message to a list of 500 domains, none of them seen before, every tenth dead, under the limit that memory gives: the
# lanes leave the unknown few workers of the limit at the start, so it has to grow for them. All that can be delivered is,
# while the first dead deliveries still hang; and nothing waits for a minute.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

good()
{
    [ "$(lines "$s/delivered" ' delivered .*@good')" -ge 450 ]
}

scene 'smtpd_recipient_limit = 1000' 'minimal_backoff_time = 300s' 'maximal_backoff_time = 300s'
configure "{\"defaults\": {$unpressed}}"
begin 'set dead dead 60'
send list 1 --rcpt 'user%d@good%d.invalid*450' --rcpt 'user%d@dead%d.invalid*50' --cycle 1000
if ! wait_for 45 good; then
    "$BUILD/headroomctl" -c "$p/etc" status || true
    fail "$(lines "$s/delivered" ' delivered .*@good') of 450 delivered"
fi
"$BUILD/headroomctl" -c "$p/etc" status || true
accounts || fail 'see above'
sink_tell "$s" heal
drain 60 || fail 'not all was delivered after the dead were well'
expect 'recipients' "$(lines "$s/delivered" ' delivered ')" 500
calm
