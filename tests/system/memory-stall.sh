#!/bin/sh
# Real stall on memory, made by a process in the pool's group that reads a file which does not fit: SHRINK is entered with
# the figure, the threshold and the key in the line, and is left when the stall is over. Mail goes on meanwhile.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

memory_create "$p" 'inet:[127.0.0.1]:10083'
# The one reader is all that runs in the group, so that its stall is `full`, too: that is another test's.
memory_config "$p" '{"memory": {"limit": "64M"}, "pressure": {"full": 100}, "destination": {"slow_after": "1h"}}'
sink_start "$s" 127.0.0.1:10083 'set silent ok'
memory_watch_start "$watch"
[ "$(stat -f -c %T "$TEST_DIR")" != tmpfs ] || skip 'a file in TMPDIR, a tmpfs, cannot be read from a disk'
file=$TEST_DIR/file
head -c 256M /dev/zero >"$file"
sync "$file"
memory_hide_stall
memory_in postfix_start "$p"
memory_warm "$p" "$s" 20 4
before=$(memory_pool_processes)

# total: microseconds of stall in the pool, as the kernel says.
total()
{
    sed -n 's/^some .*total=//p' "$MEMORY_UNIFIED"/headroom-*/memory.pressure
}

# Page cache alone, which fits after reclaim and stalls nobody: the limit is met again and again, and it is no shortage.
# Where others take the processor from reclaim it does stall: that is seen in the kernel's figure, and it is read again.
round=0
calm=false
until $calm; do
    round=$((round + 1))
    [ $round -le 8 ] || fail 'reading page cache stalled each time'
    [ -z "$(headroom_lines "$p" ' now ')" ] || wait_for 40 headroom_last_is "$p" OPEN || fail 'not OPEN'
    lines=$(headroom_lines "$p" ' now ' | wc -l)
    dd if="$file" of=/dev/null iflag=nocache count=0 2>/dev/null
    met=$(cat "$(memory_pool)/memory.failcnt")
    stall=$(total)
    (memory_enter_pool; exec dd if="$file" of=/dev/null bs=1M count=45 2>/dev/null)
    for mb in 1 2 3 4 5 6 7 8 9 10 11 12; do
        (memory_enter_pool; exec dd if="$file" of=/dev/null bs=1M count=1 skip=$((45 + mb)) 2>/dev/null)
        sleep 0.1
    done
    sleep 2
    met=$(($(cat "$(memory_pool)/memory.failcnt") - met))
    stall=$(($(total) - stall))
    say "a file was read in the group: its limit was met $met times, stall $stall us"
    [ "$stall" -ge 4000 ] || calm=true
done
[ "$met" -gt 0 ] || fail "the limit was not met"
expect "lines for page cache" "$(headroom_lines "$p" ' now ' | tail -n +$((lines + 1)))" ""

dd if="$file" of=/dev/null iflag=nocache count=0 2>/dev/null
begin=$(now)
(memory_enter_pool; exec memory_load read "$file") &
reader=$!
wait_for 15 headroom_said "$p" 'now SHRINK' || fail 'SHRINK was not entered within 15 s'
entered=$(now)
line=$(headroom_lines "$p" 'now SHRINK' | tail -n 1)
memory_load "$p" 20 20 meanwhile
postfix_wait_empty "$p" 30 || fail 'no mail was delivered in SHRINK'
stall=$(total)
sleep 1
stall=$((($(total) - stall) / 10000))
say "after $(memory_since "$begin" "$entered") s, with some stall of $stall % as the kernel says: $line"
kill "$reader"
ended=$(now)
wait_for 40 headroom_said "$p" 'now \(HOLD\|OPEN\).*' || fail 'SHRINK was not left within 40 s'
wait_for 40 headroom_last_is "$p" OPEN || fail 'OPEN was not reached within 40 s of calm'
say "left, OPEN after $(memory_since "$ended" "$(now)") s of calm; workers before $before, after $(memory_pool_processes)"
headroom_lines "$p" 'now \|still '
case $line in
*'memory stall of the pool '*'% is above pressure.target 1.0%'*) ;;
*) fail 'the line does not say stall, figure, threshold and key' ;;
esac
expect 'OOM kills' "$(memory_watch_max "$watch" 7)" 0
memory_accounts "$p" "$s" || fail 'mail was lost or doubled'
memory_end "$p" "$s"
