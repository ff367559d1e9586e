#!/bin/sh
# The supervisor is killed while its workers are busy: the successor takes over their group, counts them, and stays below
# what fits; they finish, and nothing is lost.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

memory_begin '{"memory": {"limit": "48M"}, "destination": {"slow_after": "1h"}}' 50 4
sink_tell "$s" set silent silent
memory_load "$p" 300 50
wait_for 20 memory_at_least 20 || fail "only $(memory_pool_processes) workers after 20 s"
fit=$(memory_fit 49152)
group=$(memory_pool)
parent=
before=$(memory_pool_processes)
memory_pool_pids >"$TEST_DIR/first"
# Of its two processes the one that master started.
for pid in $(postfix_pids "$p" headroom); do
    [ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != "$(postfix_master_pid "$p")" ] || parent=$pid
done
say "kills $parent with $before workers busy, $fit fit"
kill -KILL "$parent"
killed=$(now)
memory_load "$p" 50 50 later
wait_for 20 grep -q 'left by a predecessor' "$(postfix_log "$p")" || fail 'no successor took over the group'
sleep 6
expect 'group' "$(memory_pool)" "$group"
# A limit not far above what is used brings a line that says how many it counts.
expect 'groups' "$(find "$MEMORY_GROUP" -mindepth 1 -type d | wc -l)" 1
there=$(memory_pool_processes)
echo $(($(cat "$group/memory.usage_in_bytes") + 3145728)) >"$group/memory.limit_in_bytes"
wait_for 10 headroom_said "$p" ' now [A-Z]' || fail 'no line'
headroom_lines "$p" ' now [A-Z]'
# Its own may come and go between the two looks; those it was left are there all along.
counted=$(headroom_lines "$p" ' now [A-Z]' | tail -n 1 | sed 's/.* \([0-9]*\) workers,.*/\1/')
[ "$counted" -ge "$before" ] || fail "it counts $counted, not the $before that it was left and its own ($there in all)"
left=$(memory_pool_pids | grep -cxFf "$TEST_DIR/first" || true)
memory_watch_table "$watch"
say "after the kill: $left of $before workers still busy, $(memory_pool_processes) processes in the group," \
    "at most $(memory_watch_max "$watch" 4 "$killed")"
[ "$left" -eq "$before" ] || fail 'workers of the predecessor did not survive'
memory_at_least $((before + 1)) || fail "the successor started no worker beside them"
[ "$(memory_watch_max "$watch" 4 "$killed")" -le "$fit" ] || fail 'more processes than fit'
expect 'OOM kills' "$(memory_watch_max "$watch" 7)+$(memory_watch_max "$watch" 3)" 0+0
expect 'connections given up' "$(sink_value "$s" abandoned)" 0
memory_drain "$p" "$s" 40
memory_end "$p" "$s"
