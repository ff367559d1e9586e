#!/bin/sh
# Where no group can be made, and where there is no pressure information, it works: with one warning, and with workers.max
# and the machine's available memory as bounds. Told to observe it does so without a warning that it had to.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

p=$TEST_DIR/postfix
s=$TEST_DIR/sink

[ -n "${TEST_ISOLATED:-}" ] || skip 'needs a mount namespace of its own: start it with tests/run'

# case_is NAME WARNINGS NOTE SETTINGS HOW: two rounds that every case has to pass; HOW starts Postfix.
case_is()
{
    say "$1"
    sink_tell "$s" heal >/dev/null
    : >"$(postfix_log "$p")"
    memory_config "$p" "{\"workers\": {\"max\": 12}, $4\"destination\": {\"slow_after\": \"1h\"}}"
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
    memory_config "$p" "{\"memory\": {\"min_available\": \"10000G\"}, $4\"shed\": {\"after\": \"1h\"}}"
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

in_place()
{
    "$@"
}

# Undone before the groups are removed.
bound=
empty=
restore()
{
    [ -z "$empty" ] || umount /sys/fs/cgroup
    for tree in $bound; do
        umount "$tree"
    done
    bound=
    empty=
}

bind_read_only()
{
    mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
}

memory_create "$p" 'inet:[127.0.0.1]:10083'
AT_EXIT="restore; $AT_EXIT"
sink_start "$s" 127.0.0.1:10083 'set silent ok'

case_is told 0 observe '"cgroup": {"mode": "observe"}, ' memory_in

# From here on nobody in this mount namespace can write a group, so the groups in which Postfix runs are entered no more.
for tree in "$memory_v1" "$memory_v2"; do
    bind_read_only "$tree" || skip "cannot bind $tree read-only"
    bound="$bound $tree"
done
case_is read-only 1 'observe.*Read-only' '' in_place

# No pressure at all, of the pool nor of the machine, and no v1 tree either.
mkdir "$TEST_DIR/empty"
mount --bind "$TEST_DIR/empty" /proc/pressure
mount -t tmpfs -o ro tmpfs /sys/fs/cgroup
empty=1
case_is nothing 1 'observe.*no group' '' in_place
restore
memory_end "$p" "$s"
