#!/bin/sh
# The OOM killer takes a worker that is delivering: the line says so, with what the group used and may use; the message is
# deferred and delivered later, the others go on, and nobody is throttled for it.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

# What is reclaimed before the kill is a stall, too: the kill is what it is about.
memory_begin "{$unpressed"', "memory": {"limit": "64M"}, "destination": {"slow_after": "1h"}}' 10 6
sink_tell "$s" set silent silent
# Not more: whatever takes memory may be killed, too, and each kill halves the limit. One place has to be left.
memory_load "$p" 2 2
wait_for 10 holding 2 || {
    sink_tell "$s" stats >&2
    fail 'the two did not reach the server'
}
# The victim is chosen: a worker that has a connection to the server. The root of all kills is that something in the group
# takes more than there is.
victim=
for pid in $(memory_pool_pids); do
    if ss -tnpH state established 'dport = :10083' | grep -q "pid=$pid,"; then
        victim=$pid
    fi
done
[ -n "$victim" ] || fail 'no worker is connected to the server'
echo 1000 >"/proc/$victim/oom_score_adj"
pool=$(memory_pool)
free=$(((65536 - $(cat "$pool/memory.usage_in_bytes") / 1024) / 1024))
(memory_enter_pool; exec memory_load take $((free + 1)) >/dev/null) &
load=$!
wait_for 10 headroom_said "$p" "worker $victim ended" || fail 'the loss of the worker was not said within 10 s'
kill "$load" 2>/dev/null || true
headroom_lines "$p" 'ended with it\|now '
line=$(headroom_lines "$p" "worker $victim ended" | tail -n 1)
say "OOM kills in the group: $(sed -n 's/^oom_kill //p' "$pool/memory.oom_control")"
[ "$(sed -n 's/^oom_kill //p' "$pool/memory.oom_control")" -gt 0 ] || fail 'there was no OOM kill'
case $line in
*'killed for want of memory'*'of 64M'*) ;;
*) fail 'the line does not say want of memory, usage and limit' ;;
esac
# Others go on, at once.
begin=$(now)
mailgen --to "$(postfix_address "$p")" --prefix others --sent "$TEST_DIR/sent" --count 20 --rcpt 'user%d@ok%d.invalid' --cycle 4
others_delivered()
{
    [ "$(lines "$s/delivered" ' delivered <others')" -eq 20 ]
}
wait_for 10 others_delivered || fail 'other mail was held up'
say "20 others were delivered in $(memory_since "$begin" "$(now)") s"
expect 'connections that ended' "$(sink_value "$s" abandoned)" 1
expect 'lines of master and qmgr' "$(lines "$(postfix_log "$p")" 'throttl\|process.*killed\|warning: .*transport')" 0
wait_for 10 headroom_said "$p" 'now SHRINK: the kernel killed' || fail 'the kill did not make the pool shrink'
memory_drain "$p" "$s" 30
memory_end "$p" "$s"
