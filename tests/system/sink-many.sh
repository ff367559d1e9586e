#!/bin/sh
# The LMTP server of the tests with as many connections at once as there may be, up to 20,000: all are open together, none
# is greeted before the last has come, and each delivers its message. Postfix's smtp-source is the other end.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"

s=$TEST_DIR/sink
# The server's own descriptors, and those of smtp-source that are not connections.
spare=100

many=$(prlimit --pid $$ --nofile --output HARD --noheadings | tr -d ' ')
prlimit --pid $$ --nofile="$many:$many"
if [ "$many" = unlimited ] || [ "$many" -gt $((20000 + spare)) ]; then
    many=20000
else
    many=$((many - spare))
fi
[ "$many" -ge 1000 ] || skip "a process may have only $many open files"
# Each needs a port of its own; other tests are in other network namespaces.
echo '1024 65000' >/proc/sys/net/ipv4/ip_local_port_range || skip 'the range of ports cannot be set'

sink_start "$s" 127.0.0.1:10083 'greet-delay 600'
smtp-source -L -s "$many" -m "$many" -f sender@sender.invalid -t user@good.invalid 127.0.0.1:10083 >"$TEST_DIR/source" 2>&1 &
source_pid=$!
open()
{
    [ "$(sink_value "$s" open)" -eq "$many" ]
}
wait_for 100 open || fail "$(sink_value "$s" open) of $many connections came: $(tail -n 1 "$TEST_DIR/source")"
expect 'messages before the greeting' "$(sink_value "$s" messages)" 0
sink_tell "$s" heal >/dev/null
wait "$source_pid" || fail "smtp-source: $(tail -n 1 "$TEST_DIR/source")"
expect 'connections' "$(sink_value "$s" connections)" "$many"
expect 'delivered' "$(sink_value "$s" delivered)" "$many"
expect 'lines of its log' "$(lines "$s/delivered" ' delivered ')" "$many"
sink_stop "$s" || fail 'the LMTP server ended badly'
say "$many connections at once"
