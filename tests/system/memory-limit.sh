#!/bin/sh
# A pool limited to 64 MB under 500 requests to servers that never answer: nobody is killed, there are as many workers as
# fit and no more, the rest waits, and nothing is lost. What fits is computed from the unshared memory of the workers.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

# Admission knows these servers as good ones and goes on believing it: memory alone bounds the pool.
memory_begin '{"memory": {"limit": "64M"}, "destination": {"slow_after": "1h"}}' 50 4
# shellcheck disable=SC2046
set -- $(memory_others "$p")
sink_tell "$s" set silent silent
memory_load "$p" 500 50
wait_for 20 memory_at_least 30 || fail "only $(memory_pool_processes) workers after 20 s"
# What Headroom leaves free is the limit's last tenth, and what a forked worker takes only when its first message ends: a quarter
# of what it has now.
enough()
{
    [ "$(memory_watch_max "$watch" 5)" -ge $((65536 * 6 / 10)) ]
}
wait_for 60 enough || fail 'far fewer workers than fit'
fit=$(memory_fit 65536)
# Time for the pool to grow beyond what fits, if it would.
sleep 3
say "workers now $(memory_pool_processes), unshared KiB of each:" \
    "$(memory_pool_pids | memory_unshared | sort -n | tr '\n' ' ')"
memory_watch_table "$watch"
most=$(memory_watch_max "$watch" 4)
say "workers at most $most, 64 MB hold $fit"
[ "$most" -le "$fit" ] || fail 'more workers than fit'
expect 'OOM kills' "$(memory_watch_max "$watch" 7)+$(memory_watch_max "$watch" 3)" 0+0
expect 'connections given up' "$(sink_value "$s" abandoned)" 0
expect 'accounts' "$(memory_accounts "$p" "$s")" \
    'sent 700, delivered 200, queued 500, bounced 0, lost 0, doubled 0'
memory_expect_alive "$@"
memory_drain "$p" "$s" 30
memory_end "$p" "$s"
