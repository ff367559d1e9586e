#!/bin/sh
# 300 requests in flight at once, with the limit of open files raised by the supervisor itself; and, when it cannot be
# raised, waiting instead of dying.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
# The supervisor alone gets the limits that the file says; Postfix's own processes need theirs.
mkdir "$p/daemon/real"
mv "$p/daemon/headroom" "$p/daemon/real/headroom"
cat >"$p/daemon/headroom" <<H
#!/bin/sh
. '$TEST_DIR/limits'
exec '$p/daemon/real/headroom' "\$@"
H
chmod 755 "$p/daemon/headroom"
# As long as 300 workers; the destination is the next hop, so that its window is for all.
configure '{"defaults": {"workers": {"max": 320, "limit": "fixed"}, "waiting": {"max": 500}, "destination": {"slow_after": "1h"}}}'
echo 'ulimit -n 4096; ulimit -Sn 100' >"$TEST_DIR/limits"
begin
open_files()
{
    sed -n 's/^Max open files *\([0-9]*\) .*/\1/p' "/proc/$(dispatcher)/limits"
}
in_flight()
{
    [ "$(sink_holding "$s")" -ge "$1" ]
}
held()
{
    held_now=$(find "/proc/$(dispatcher)/fd" -lname "$p/queue/active/*" | wc -l)
    [ "$held_now" -ge "$1" ]
}

say 'known destinations'
send known 2000 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
wait_for 40 settled 2000 || fail "not delivered: $(accounts)"
expect 'limit of open files' "$(open_files)" 4096
first="$(parent) $(dispatcher)"

say '300 at once'
sink_tell "$s" set ok slow 20
send slow 300 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
wait_for 10 held 300 || fail "only $held_now requests are held"
wait_for 20 in_flight 200 || fail "only $(sink_holding "$s") deliveries at once"
sink_tell "$s" heal
postfix_wait_empty "$p" 30 || fail 'not delivered'
expect 'after 300' "$(accounts)" 'sent 2300, delivered 2300, queued 0, bounced 0, lost 0, doubled 0'
expect 'the supervisor' "$(parent) $(dispatcher)" "$first"

say 'with 160 descriptors at most'
echo 'ulimit -n 160' >"$TEST_DIR/limits"
configure '{"defaults": {"workers": {"max": 40, "limit": "fixed"}, "waiting": {"max": 500}}}'
postfix_reload "$p"
sink_tell "$s" set ok slow 0.3
send few 300 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
wait_for 10 in_flight 10 || fail 'nothing is delivered'
expect 'limit of open files' "$(open_files)" 160
first="$(parent) $(dispatcher)"
postfix_wait_empty "$p" 40 || fail 'not delivered'
expect 'after that' "$(accounts)" 'sent 2600, delivered 2600, queued 0, bounced 0, lost 0, doubled 0'
expect 'the supervisor' "$(parent) $(dispatcher)" "$first"
[ "$(said 'limit of open files allows')" -eq 1 ] || fail 'it was not said'

say 'with 72 descriptors, fewer than it has workers for'
echo 'ulimit -n 72' >"$TEST_DIR/limits"
postfix_reload "$p"
send fewer 100 --sessions 8 --rcpt 'user%d@good%d.invalid' --cycle 50
wait_for 20 in_flight 1 || fail 'nothing is delivered'
first="$(parent) $(dispatcher)"
postfix_wait_empty "$p" 60 || fail 'not delivered'
expect 'after that' "$(accounts)" 'sent 2700, delivered 2700, queued 0, bounced 0, lost 0, doubled 0'
expect 'the supervisor' "$(parent) $(dispatcher)" "$first"
calm
