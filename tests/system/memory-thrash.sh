#!/bin/sh
# A neighbour thrashes in a limited group of his own, and the machine has memory to spare: two bursts of slow mail are
# delivered as fast as by stock lmtp, the limit does not fall, and nothing is held, shrunk, shed or said.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

[ -r /proc/pressure/memory ] || skip 'the kernel has no PSI'
[ "$(stat -f -c %T "$TEST_DIR")" != tmpfs ] || skip 'a file in TMPDIR, a tmpfs, cannot be read from a disk'

# The machine's stall, us.
stall()
{
    sed -n 's/^some .*total=//p' /proc/pressure/memory
}

# stalled US: so much more of it than there was at $stall_begin.
stalled()
{
    [ $(($(stall) - stall_begin)) -ge "$1" ]
}

neighbour_close()
{
    [ -z "${reader:-}" ] || kill "$reader" 2>/dev/null || true
    wait_for 5 memory_remove "$neighbour_group" || echo "$neighbour_group could not be removed" >&2
}

# neighbour_start: reads a file that does not fit into his group, for ever.
neighbour_start()
{
    neighbour_group=$MEMORY_GROUP-neighbour
    mkdir "$neighbour_group"
    AT_EXIT="neighbour_close; $AT_EXIT"
    echo 24M >"$neighbour_group/memory.limit_in_bytes"
    head -c 256M /dev/zero >"$TEST_DIR/file"
    sync "$TEST_DIR/file"
    dd if="$TEST_DIR/file" of=/dev/null iflag=nocache count=0 2>/dev/null
    stall_begin=$(stall)
    (echo 0 >"$neighbour_group/cgroup.procs"; exec memory_load read "$TEST_DIR/file") &
    reader=$!
    # Half a second of stall in what may be many: the readers of other tests are the same to us.
    wait_for 30 stalled 500000 || skip 'a group that is too small makes no stall here'
}

# run NAME PORT: two bursts of 30, each of a second, to domains that are known; how long they took is in $took (ms).
run()
{
    p=$TEST_DIR/$1
    s=$TEST_DIR/sink-$1
    TEST_SENT=$TEST_DIR/sent-$1
    sink_start "$s" "127.0.0.1:$2" 'set silent slow 1'
    memory_in postfix_start "$p"
    memory_warm "$p" "$s" 10 4
    took=0
    for burst in first second; do
        burst_begin=$(date +%s%N)
        memory_load "$p" 30 10 "$burst"
        postfix_wait_empty "$p" 60 || fail "$1 has not delivered the $burst burst"
        took=$((took + ($(date +%s%N) - burst_begin) / 1000000))
        # A pool that was disturbed shows it by now, and in the next burst.
        sleep 5
    done
    say "$1: both bursts took $took ms, $(sink_value "$s" open.max) sessions at once"
    memory_accounts "$p" "$s" || fail 'mail was lost or doubled'
}

AGENT=lmtp memory_create "$TEST_DIR/stock" 'inet:[127.0.0.1]:10083'
memory_another "$TEST_DIR/headroom" 'inet:[127.0.0.1]:10084'
memory_config "$TEST_DIR/headroom" '{"memory": {"min_available": "64M"}}'
neighbour_start
run stock 10083
stock=$took
postfix_stop "$p" || fail 'stock Postfix left something behind'
sink_stop "$s" || fail 'the LMTP server ended badly'

stall_begin=$(stall)
begin=$(now)
run headroom 10084
part=$(awk -v stall=$(($(stall) - stall_begin)) -v from="$begin" -v to="$(now)" 'BEGIN { printf "%.1f", stall / (to - from) / 10000 }')
say "the machine stalled for $part % of that time"
[ "${part%.*}" -ge 1 ] || fail 'that is below pressure.target: nothing was tested'
expect 'changes of state' "$(headroom_lines "$p" ' now [A-Z]*:')" ''
expect 'deferred' "$(lines "$(postfix_log "$p")" 'status=deferred')" 0
[ "$took" -le $((stock * 11 / 10 + 500)) ] || fail "$took ms, stock $stock ms"
memory_end "$p" "$s"
