#!/bin/sh
# Where no group can be made, and where there is no pressure information, it works: with one warning, and with workers.max
# and the machine's available memory as bounds. Told to observe it does so without a warning that it had to.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

# case_is NAME WARNINGS NOTE SETTINGS HOW: two rounds that every case has to pass; HOW starts Postfix.
case_is()
{
    say "$1"
    sink_tell "$s" heal >/dev/null
    : >"$(postfix_log "$p")"
    memory_config "$p" "{$unpressed, \"workers\": {\"max\": 12}, $4\"destination\": {\"slow_after\": \"1h\"}}"
    "$5" postfix_start "$p"
    memory_warm "$p" "$s" 20 4
    sink_tell "$s" set silent silent
    memory_load "$p" 60 20 "$1"
    wait_for 10 holding 12 || fail "$(sink_value "$s" silent.holding) of 12 workers after 10 s"
    sleep 1
    expect 'busy workers' "$(sink_value "$s" silent.holding)" 12
    expect "the pool's group" "$(memory_pool)" ''
    headroom_lines "$p" 'memory group'
    expect 'warnings' "$(headroom_lines "$p" 'warning:' | wc -l)" "$2"
    headroom_lines "$p" 'memory group' | grep -q "$3" || fail "the note does not say: $3"
    memory_drain "$p" "$s" 30
    postfix_stop "$p" || fail 'Postfix left something behind'
    # Available memory is the other bound: with less than is to be left free there is one worker, workers.min.
    memory_config "$p" "{$unpressed, \"memory\": {\"min_available\": \"10000G\"}, $4\"shed\": {\"after\": \"1h\"}}"
    "$5" postfix_start "$p"
    memory_warm "$p" "$s" 20 4
    sink_tell "$s" set silent silent
    memory_load "$p" 20 20 "$1-short"
    wait_for 10 holding 1 || fail 'workers.min worker does not work'
    sleep 2
    expect 'busy workers without available memory' "$(sink_value "$s" silent.holding)" 1
    [ -n "$(headroom_lines "$p" 'memory available .* memory.min_available')" ] || fail 'the reason was not said'
    memory_drain "$p" "$s" 40
    postfix_stop "$p" || fail 'Postfix left something behind'
}

# Starts Postfix where $mounts has been done, in a mount namespace that only it sees.
# shellcheck disable=SC2016
hidden()
{
    unshare --mount --propagation private sh -c "$mounts"' && exec postfix -c "$0" start' "$p/etc" >"$p/start.log" 2>&1 ||
        fail "Postfix did not start: $(cat "$p/start.log")"
    mailgen --wait 20 "$(postfix_address "$p")" || fail 'Postfix did not start'
}

memory_create "$p" 'inet:[127.0.0.1]:10083'
sink_start "$s" 127.0.0.1:10083 'set silent ok'

case_is told 0 observe '"cgroup": {"mode": "observe"}, ' memory_in

# The groups are there, but cannot be written.
mounts="for tree in $memory_v1 $memory_v2; do mount --bind \$tree \$tree && mount -o remount,bind,ro \$tree || exit 1; done"
case_is read-only 1 'observe.*is mounted read-only: set ProtectControlGroups=no' '' hidden

# No groups at all, and no pressure of the machine either.
mkdir "$TEST_DIR/empty"
mounts="umount -R -l /sys/fs/cgroup && mount --bind $TEST_DIR/empty /proc/pressure"
case_is nothing 1 'observe, no group, pressure from nowhere' '' hidden

# The same with the kernel's file hidden behind /dev/null, which takes what is written to it, but cannot be watched.
mounts="umount -R -l /sys/fs/cgroup && mount --bind /dev/null /proc/pressure/memory"
case_is masked 1 'observe, no group, pressure from nowhere' '' hidden
memory_end "$p" "$s"
