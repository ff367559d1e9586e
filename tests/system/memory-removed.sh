#!/bin/sh
# Somebody removes the pool's memory group while it is empty (an idle worker ends by itself after a while): it is said, and the
# group is made again with its limit, so that the pool stays within it.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

memory_begin '{"memory": {"limit": "48M"}, "destination": {"slow_after": "1h"}}' 50 4
group=$(memory_pool)
[ -n "$group" ] || fail 'no group'
# Nobody starts another while there is no mail.
# shellcheck disable=SC2046
kill $(cat "$group/cgroup.procs")
wait_for 5 rmdir "$group" || fail 'the group is not empty'
wait_for 5 rmdir "$MEMORY_UNIFIED/${group##*/}" || fail 'the cgroup2 group is not empty'
wait_for 5 headroom_said "$p" "warning: memory group $group was removed by somebody else" || fail 'it is not said'

# The second of the two cannot be made: that is tried again, and it is said when it could be.
echo 0 >"$MEMORY_UNIFIED/cgroup.max.descendants"
send_one()
{
    mailgen --to "$(postfix_address "$p")" --prefix one --sent "$TEST_DIR/sent" --rcpt "one@silent1.invalid"
    postfix_wait_empty "$p" 10 || fail 'not delivered'
}
send_one
headroom_said "$p" "warning: memory group $group was removed .* cannot be made again" || fail 'that it cannot be made is not said'
send_one
expect 'lines about it' "$(headroom_lines "$p" 'cannot be made again' | wc -l)" 1
echo max >"$MEMORY_UNIFIED/cgroup.max.descendants"
back()
{
    for pid in $(postfix_pids "$p" lmtp); do
        kill "$pid" 2>/dev/null || true
    done
    send_one
    headroom_said "$p" "memory group $group is there again"
}
wait_for 10 back || fail 'it is not made again'
[ -d "$MEMORY_UNIFIED/${group##*/}" ] || fail 'the cgroup2 group is not there'

sink_tell "$s" set silent silent
memory_load "$p" 300 50
wait_for 20 memory_at_least 15 || fail "only $(memory_pool_processes) workers in the group"
expect 'limit' "$(cat "$group/memory.limit_in_bytes")" 50331648
fit=$(memory_fit 49152)
# Time for the pool to grow beyond what fits, if it would.
sleep 5
# The pool may grow between the two looks.
all_in_group()
{
    there=$(postfix_pids "$p" lmtp | wc -l)
    [ "$(memory_pool_processes)" -eq "$there" ]
}
wait_for 30 all_in_group || fail "$there workers, $(memory_pool_processes) of them in the group"
say "$there workers, $(memory_pool_processes) of them in the group; $fit fit"
[ "$there" -le "$fit" ] || fail 'more workers than fit'
expect 'OOM kills' "$(memory_watch_max "$watch" 7)+$(memory_watch_max "$watch" 3)" 0+0
expect 'lines about it' "$(headroom_lines "$p" 'was removed' | wc -l)" 2
memory_drain "$p" "$s" 30
memory_end "$p" "$s"
