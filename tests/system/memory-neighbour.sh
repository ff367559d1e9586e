#!/bin/sh
# A neighbour in the group that Postfix shares takes memory and gives it back: the pool falls within 2 s, idle workers go
# and busy ones do not; and within 30 s of calm there is 90 % again of the workers and of the rate.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

limit=260

# Executed ones: what the neighbour leaves is measured in their size.
memory_begin '{"workers": {"max": 24, "start": "exec"}, "destination": {"slow_after": "1h"}}' 20 4 "${limit}M"

say 'half busy, half idle'
sink_tell "$s" set silent slow 1
memory_load "$p" 60 20 first
wait_for 20 memory_at_least 24 || fail 'the pool did not grow to 24'
postfix_wait_empty "$p" 20 || fail 'mail was left'
sink_tell "$s" set silent silent
memory_load "$p" 10 10 busy
wait_for 10 holding 10 || fail 'ten are not busy'
before=$(memory_pool_processes)
memory_neighbour "$limit" 20
wait_for 2 memory_at_most 16 || fail "$(memory_pool_processes) of $before workers 2 s after the neighbour took $takes MB"
say "neighbour has $takes MB: $before workers fell to $(memory_pool_processes) within $(memory_since "$taken" "$(now)") s"
sleep 3
expect 'busy ones' "$(sink_value "$s" silent.holding), given up $(sink_value "$s" abandoned)" '10, given up 0'
memory_at_least 10 || fail 'a busy worker was ended'
kill "$neighbour"
sink_tell "$s" heal
postfix_wait_empty "$p" 20 || fail 'mail was left'
wait_for 60 headroom_last_is "$p" OPEN || fail 'OPEN was not reached'

say 'all busy'
sink_tell "$s" set silent slow 1
memory_load "$p" 1300 20 rate
wait_for 20 memory_at_least 24 || fail 'the pool did not grow to 24 again'
begin=$(date +%s.%N)
sleep 4
end=$(date +%s.%N)
before=$(memory_pool_processes)
rate=$(($(memory_delivered "$s" "$begin" "$end") / 4))
memory_neighbour "$limit" 20
# Two seconds as before, and a delivery takes one; none is ended for it.
wait_for 3 memory_at_most 16 || fail "$(memory_pool_processes) of $before workers 3 s after the neighbour took $takes MB"
fell=$(memory_since "$taken" "$(now)")
sleep 2
low=$(memory_pool_processes)
kill "$neighbour"
calm=$(now)
wait_for 30 memory_at_least $((before * 9 / 10)) || fail "only $(memory_pool_processes) of $before workers after 30 s of calm"
back=$(memory_since "$calm" "$(now)")
rate_is_back()
{
    begin=$(date +%s.%N)
    sleep 4
    end=$(date +%s.%N)
    again=$(($(memory_delivered "$s" "$begin" "$end") / 4))
    [ $((again * 10)) -ge $((rate * 9)) ]
}
wait_for 26 rate_is_back || fail "$again/s, before $rate/s: the rate is not back to 90 % after 30 s of calm"
memory_watch_table "$watch"
headroom_lines "$p" ' now \| still '
say "$before workers, $rate/s; neighbour $takes MB: at most 16 after $fell s, $low 2 s later; $(memory_pool_processes) workers after $back s of calm, $again/s"
expect 'given up' "$(sink_value "$s" abandoned)" 0
expect 'OOM kills' "$(memory_watch_max "$watch" 7)+$(memory_watch_max "$watch" 3)" 0+0
memory_drain "$p" "$s" 40
memory_end "$p" "$s"
