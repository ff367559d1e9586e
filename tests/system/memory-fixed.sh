#!/bin/sh
# An operator who wants a number gets it: with "limit": "fixed" there are workers.max workers, whatever memory says. The
# same shortage without it: workers.min of them, and mail goes on all the same.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

memory_create "$p" 'inet:[127.0.0.1]:10083'
memory_hide_stall
# No machine has so much: there is never headroom.
short='"memory": {"min_available": "10000G"}, "destination": {"slow_after": "1h"}, "shed": {"after": "1h"}'
memory_config "$p" "{\"workers\": {\"limit\": \"fixed\", \"max\": 20}, $short}"
sink_start "$s" 127.0.0.1:10083 'set silent ok'
memory_watch_start "$watch"
memory_in postfix_start "$p"
memory_warm "$p" "$s" 20 4
sink_tell "$s" set silent silent
memory_load "$p" 100 20
wait_for 10 memory_at_least 20 || fail "only $(memory_pool_processes) workers after 10 s"
sleep 2

say "fixed at 20: $(memory_pool_processes) workers, at most $(memory_watch_max "$watch" 4)"
expect 'workers' "$(memory_pool_processes), at most $(memory_watch_max "$watch" 4)" '20, at most 20'
memory_drain "$p" "$s" 30
postfix_stop "$p" || fail 'Postfix left something behind'

memory_config "$p" "{\"workers\": {\"min\": 2, \"max\": 20}, $short}"
sink_tell "$s" set silent ok
memory_in postfix_start "$p"

memory_warm "$p" "$s" 20 4
sink_tell "$s" set silent slow 1
begin=$(now)
memory_load "$p" 10 20 least
postfix_wait_empty "$p" 30 || fail 'workers.min workers did not deliver 10 messages of 1 s each in 30 s'
say "without headroom and not fixed: at most $(memory_watch_max "$watch" 4 "$begin") workers, 10 messages in $begin to $(now)"
expect 'workers' "$(memory_watch_max "$watch" 4 "$begin")" 2
memory_accounts "$p" "$s" || fail 'mail was lost or doubled'
memory_end "$p" "$s"
