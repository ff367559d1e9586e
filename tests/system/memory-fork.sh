#!/bin/sh
# No process more may be started (pids.max, TasksMax=): that is taken as no headroom and said, workers go on, and the pool
# grows again when it may.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

pids=/sys/fs/cgroup/pids
memory_create "$p" 'inet:[127.0.0.1]:10083'
pids=$pids$(memory_own pids)/$memory_name
mkdir "$pids" 2>/dev/null || skip "needs the v1 pids controller, to make $pids"
AT_EXIT="$AT_EXIT wait_for 5 rmdir '$pids';"
# What other tests do to the machine's memory is not this one's.
memory_config "$p" '{"pressure": {"hold": 90, "target": 95, "full": 100}, "destination": {"slow_after": "1h"}}'
sink_start "$s" 127.0.0.1:10083 'set silent ok'
memory_watch_start "$watch"
memory_in postfix_start "$p"
memory_warm "$p" "$s" 20 4
wait_for 5 memory_at_least 1 || fail 'no worker'
# All of the supervisor, the workers that there are, and the process that forks them: five more may be started.
for pid in $(postfix_pids "$p" headroom) $(cat "$(memory_pool)/cgroup.procs"); do
    echo "$pid" >"$pids/cgroup.procs"
done
before=$(memory_pool_processes)
echo $(($(cat "$pids/pids.current") + 5)) >"$pids/pids.max"
sink_tell "$s" set silent silent
memory_load "$p" 100 20
wait_for 20 headroom_said "$p" 'could not be started' || fail 'the line was not written within 20 s'
sleep 3
headroom_lines "$p" 'could not be started'
say "$before workers and room for 5: $(memory_pool_processes), at most $(memory_watch_max "$watch" 4)"
# The one that forks is ended when it cannot, and leaves its place.
expect 'processes' "$(cat "$pids/pids.current")" "$(cat "$pids/pids.max")"
[ "$(memory_pool_processes)" -ge $((before + 5)) ] || fail "only $(memory_pool_processes) workers"
# Nothing was lost, and nobody was throttled.
expect 'accounts' "$(memory_accounts "$p" "$s")" \
    'sent 180, delivered 80, queued 100, bounced 0, lost 0, doubled 0'
expect 'lines of master and qmgr' "$(lines "$(postfix_log "$p")" 'throttl\|warning: .*transport')" 0
[ "$(headroom_lines "$p" 'could not be started\|cannot start' | wc -l)" -le 3 ] || fail 'said too often'
echo max >"$pids/pids.max"
raised=$(now)
# It does not try anew each second: the limit on processes is likely to stay.
wait_for 60 memory_at_least $((before + 7)) || fail "only $(memory_pool_processes) workers 60 s after the limit went"
say "limit gone: $(memory_pool_processes) workers after $(echo "$(now) $raised" | awk '{ print $1 - $2 }') s"
memory_drain "$p" "$s" 30
memory_end "$p" "$s"
