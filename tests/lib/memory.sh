# shellcheck shell=sh
# Memory groups for the system tests. Sourced after test.sh and postfix.sh.
#
# The private Postfix, and so the supervisor and its pool, is started in a group of the test's own below the test's: a v1
# memory group and a cgroup2 group of the same place in the tree. A limit on it is what a limit on Postfix's unit would be.
# All of it is removed at the end of the test, whatever the end is; what a test left that was killed is removed by the next.
#
#     memory_create DIR NEXTHOP [MAIN_CF_LINE...]   as postfix_create, and the groups; skips where there can be none
#     memory_config DIR JSON                        the supervisor's configuration (keys as in "defaults")
#     memory_limit SIZE                             of the test's group: bytes, K, M or G, or -1
#     memory_hide_stall                             hides the machine's own stall, to which other tests may add; the pool's is seen
#     memory_in COMMAND...                          runs it in the test's groups ("memory_in postfix_start DIR")
#     memory_enter, memory_enter_pool               moves the shell itself: "(memory_enter_pool; exec COMMAND) &"
#     memory_pool                                   directory of the pool's v1 group, "" without one
#     memory_pool_pids                              the workers in it, without the one that forks them
#     memory_unshared                               unshared memory of each pid on standard input in KiB, one a line
#     memory_watch_start FILE                       appends a line every 250 ms (memory_watch.c), to FILE
#     memory_watch_max FILE COLUMN [FROM [TO]]      the largest figure in a column, within these times
#     memory_watch_table FILE                       a line each second, for people
#     memory_warm DIR SINK DOMAINS EACH             so much mail to silent0.invalid and so on, all delivered before it returns
#     memory_begin JSON DOMAINS EACH [LIMIT]        all of that, no stall seen: an instance in $p, its server in $s, watched, and warm
#     memory_load DIR N DOMAINS [PREFIX]            sends so much more to them
#     memory_fit KIB                                how many workers fit, by the unshared memory of those that there are
#     memory_others DIR, memory_expect_alive PID... the instance without its pool; that these still run
#     memory_drain DIR SINK SECONDS                 heals the server: all is delivered, nothing lost
#     memory_neighbour LIMIT_MB LEFT_MB            a process ($neighbour) that takes so much ($takes) that LEFT_MB of what the limit
#                                                   lets the pool use are left, by the kernel's figures; at $taken it had it
#     memory_beside                                 MB that the test's group needs without the pool
#     memory_delivered SINK FROM TO                 deliveries between two times (date +%s.%N)
#     memory_end DIR SINK                           stops: nothing is left
#     headroom_lines DIR [PATTERN]                  the supervisor's lines in the log
#
# $MEMORY_GROUP and $MEMORY_UNIFIED are the groups' directories. $p, $s and $watch are where a test with one instance has it, its
# LMTP server and what is watched.

# shellcheck disable=SC2034
p=$TEST_DIR/postfix s=$TEST_DIR/sink watch=$TEST_DIR/watch
memory_v1=/sys/fs/cgroup/memory
memory_v2=/sys/fs/cgroup/unified

# memory_own CONTROLLER: the own group in that tree; the cgroup2 tree has the empty name.
memory_own()
{
    sed -n "s/^[0-9]*:$1:\\(.*\\)/\\1/p" /proc/self/cgroup | sed 's:^/$::'
}

memory_create()
{
    [ "$(id -u)" -eq 0 ] || skip 'memory groups need root'
    [ -w "$memory_v1/memory.limit_in_bytes" ] || [ -f "$memory_v1/memory.usage_in_bytes" ] ||
        skip "needs a hybrid machine: no v1 memory controller at $memory_v1"
    [ -f "$memory_v2/cgroup.controllers" ] || skip "needs a hybrid machine: no cgroup2 tree at $memory_v2"
    memory_name=headroom-test.$(basename "$TEST_DIR").$(printf %s "$TEST_DIR" | cksum | cut -d ' ' -f 1)
    MEMORY_GROUP=$memory_v1$(memory_own memory)/$memory_name
    MEMORY_UNIFIED=$memory_v2$(memory_own '')/$memory_name
    # Left by tests that were killed: old ones in which nothing runs (others cannot be removed).
    find "${MEMORY_GROUP%/*}" "${MEMORY_UNIFIED%/*}" -maxdepth 1 -name 'headroom-test.*' -mmin +15 2>/dev/null |
        while read -r memory_stale; do
            memory_remove "$memory_stale" || true
        done
    memory_another "$@"
    mkdir "$MEMORY_GROUP" 2>/dev/null || skip "no memory group can be made in ${MEMORY_GROUP%/*}"
    AT_EXIT="$AT_EXIT memory_close;"
    mkdir "$MEMORY_UNIFIED" 2>/dev/null || skip "no cgroup2 group can be made in ${MEMORY_UNIFIED%/*}"
}

# memory_another DIR NEXTHOP [MAIN_CF_LINE...]: one more instance, for the same groups.
memory_another()
{
    # All mail goes to one next hop: qmgr must not be what bounds it.
    postfix_create "$@" 'initial_destination_concurrency = 2000' 'default_destination_concurrency_limit = 2000'
}

memory_remove()
{
    for memory_below in "$1"/*/; do
        [ ! -d "$memory_below" ] || rmdir "$memory_below" 2>/dev/null || true
    done
    rmdir "$1" 2>/dev/null
}

# Ends what still runs in the groups and removes them.
memory_close()
{
    [ -z "${memory_watch_pid:-}" ] || kill "$memory_watch_pid" 2>/dev/null || true
    cat "$MEMORY_GROUP/cgroup.procs" "$MEMORY_GROUP"/*/cgroup.procs "$MEMORY_UNIFIED/cgroup.procs" \
        "$MEMORY_UNIFIED"/*/cgroup.procs 2>/dev/null | while read -r memory_pid; do
        kill -KILL "$memory_pid" 2>/dev/null || true
    done
    wait_for 5 memory_remove "$MEMORY_GROUP" || echo "$MEMORY_GROUP could not be removed" >&2
    wait_for 5 memory_remove "$MEMORY_UNIFIED" || echo "$MEMORY_UNIFIED could not be removed" >&2
}

memory_config()
{
    printf '{"defaults": %s}\n' "$2" >"$1/etc/headroom.json"
    chmod 644 "$1/etc/headroom.json"
}

memory_limit()
{
    echo "$1" >"$MEMORY_GROUP/memory.limit_in_bytes"
}

# 0 is the writer itself, also in a pid namespace.
memory_enter()
{
    echo 0 >"$MEMORY_GROUP/cgroup.procs"
    echo 0 >"$MEMORY_UNIFIED/cgroup.procs"
}

memory_enter_pool()
{
    memory_at=$(memory_pool)
    echo 0 >"$memory_at/cgroup.procs"
    echo 0 >"$MEMORY_UNIFIED/${memory_at##*/}/cgroup.procs"
}

memory_in()
{
    (
        memory_enter
        "$@"
    )
}

memory_pool()
{
    find "$MEMORY_GROUP" -mindepth 1 -maxdepth 1 -type d -name 'headroom-*' 2>/dev/null | head -n 1
}

memory_pool_pids()
{
    for memory_pid in $(cat "$(memory_pool)/cgroup.procs" 2>/dev/null || true); do
        { read -r memory_comm <"/proc/$memory_pid/comm"; } 2>/dev/null || continue
        case $memory_comm in
        *-template) ;;
        *) echo "$memory_pid" ;;
        esac
    done
}

memory_pool_processes()
{
    memory_pool_pids | wc -l
}

memory_unshared()
{
    while read -r memory_pid; do
        awk '/^Private_(Clean|Dirty):/ { sum += $2 } END { if (NR > 0) print sum }' \
            "/proc/$memory_pid/smaps_rollup" 2>/dev/null || true
    done
}

memory_watch_start()
{
    memory_watch 250 "$MEMORY_GROUP" >>"$1" &
    memory_watch_pid=$!
}

memory_watch_max()
{
    awk -v column="$2" -v from="${3:-0}" -v to="${4:-1e12}" \
        '$1 >= from && $1 <= to && $column > max { max = $column } END { print max + 0 }' "$1"
}

memory_watch_table()
{
    awk 'BEGIN { print "  s  processes  pool MB  group MB  OOM" }
        NR == 1 { begin = $1 }
        NR % 4 == 1 { printf "%3d %10d %8d %9d %4d\n", $1 - begin, $4, $5 / 1024, $2 / 1024, $3 + $7 }' "$1"
}

now()
{
    read -r now_up _ </proc/uptime
    echo "$now_up"
}

memory_warm()
{
    mailgen --to "$(postfix_address "$1")" --prefix warm --sent "${TEST_SENT:-$TEST_DIR/sent}" --count $(($3 * $4)) --sessions 8 \
        --rcpt 'user%d@silent%d.invalid' --cycle "$3"
    postfix_wait_empty "$1" 60 || fail 'the first mail was not delivered'
    memory_sent=$(($(wc -l <"${TEST_SENT:-$TEST_DIR/sent}")))
    expect "delivered" "$(lines "$2/delivered" " delivered ")" "$memory_sent"
}

memory_hide_stall()
{
    [ -e /proc/pressure/memory ] || return 0
    mc_line='avg10=0.00 avg60=0.00 avg300=0.00 total=0'
    printf 'some %s\nfull %s\n' "$mc_line" "$mc_line" >"$TEST_DIR/pressure"
    mount --bind "$TEST_DIR/pressure" /proc/pressure/memory
    mount -o remount,bind,ro /proc/pressure/memory
}

memory_begin()
{
    memory_create "$p" 'inet:[127.0.0.1]:10083'
    memory_hide_stall
    memory_config "$p" "$1"
    sink_start "$s" 127.0.0.1:10083 'set silent ok'
    [ -z "${4:-}" ] || memory_limit "$4"
    memory_watch_start "$watch"
    memory_in postfix_start "$p"
    memory_warm "$p" "$s" "$2" "$3"
}

headroom_lines()
{
    grep ' postfix[^ ]*/headroom\[' "$(postfix_log "$1")" | grep -e "${2:-.}" || true
}

# memory_fit KIB: how many workers have room in so much, by the unshared memory of those that there are now.
memory_fit()
{
    memory_pool_pids | memory_unshared |
        awk -v all="$1" '{ sum += $1 } END { if (sum > 0) printf "%d\n", all / (sum / NR) }'
}

# Sends mail that gets no answer while `silent` is silent: as memory_warm, but N messages and no waiting.
memory_load()
{
    mailgen --to "$(postfix_address "$1")" --prefix "${4:-stuck}" --sent "${TEST_SENT:-$TEST_DIR/sent}" --count "$2" --sessions 8 \
        --rcpt 'user%d@silent%d.invalid' --cycle "$3"
}

# The instance's processes that are not in the pool.
# Those that do not end by themselves: an smtpd or a cleanup does, when it is idle or has served enough.
memory_others()
{
    memory_pool_pids | sort -n >"$TEST_DIR/pool-pids"
    postfix_processes "$1" | sort -n | grep -vxFf "$TEST_DIR/pool-pids" | while read -r memory_pid; do
        case $(cat "/proc/$memory_pid/comm" 2>/dev/null) in
        master | qmgr | headroom) echo "$memory_pid" ;;
        esac
    done
}

# memory_expect_alive PID...: these still run.
memory_expect_alive()
{
    for memory_pid in "$@"; do
        kill -0 "$memory_pid" 2>/dev/null || fail "process $memory_pid of the instance has ended"
    done
}

memory_accounts()
{
    account --sent "${TEST_SENT:-$TEST_DIR/sent}" --log "$2/delivered" --queue "$1/queue"
}

# memory_at_least N: so many in the pool.
memory_at_least()
{
    [ "$(memory_pool_processes)" -ge "$1" ]
}

memory_at_most()
{
    [ "$(memory_pool_processes)" -le "$1" ]
}

# memory_drain DIR SINK SECONDS: everybody answers, all is delivered and nothing is lost or doubled.
memory_drain()
{
    sink_tell "$2" heal >/dev/null
    # What a delivery agent had in hand when the supervisor went is in incoming: qmgr looks there again when it is told to.
    memory_tries=$(($3 / 3 + 1))
    until postfix_flush "$1" && postfix_wait_empty "$1" 3 2>/dev/null; do
        memory_tries=$((memory_tries - 1))
        [ "$memory_tries" -gt 0 ] || fail "not everything was delivered within $3 s after the end of the trouble"
    done
    memory_accounts "$1" "$2" || fail 'mail was lost or doubled'
}

# memory_end DIR SINK: nothing is left, not even the pool's group.
memory_end()
{
    postfix_stop "$1" || fail 'Postfix left something behind'
    expect 'group after the end' "$(memory_pool)" ''
    sink_stop "$2" || fail 'the LMTP server ended badly'
}

# For wait_for: the supervisor has said so.
headroom_said()
{
    [ -n "$(headroom_lines "$1" "$2")" ]
}

# headroom_last_is DIR STATE: the state that was said last.
headroom_last_is()
{
    headroom_lines "$1" ' now [A-Z]*:' | tail -n 1 | grep -q " now $2:"
}

# memory_since FROM TO: seconds between two times.
memory_since()
{
    echo "$1 $2" | awk '{ printf "%.1f", $2 - $1 }'
}

# holding N: so many wait at the silent server ($s).
holding()
{
    [ "$(sink_value "${s:?}" silent.holding)" -eq "$1" ]
}

# The working set: what the kernel can take back at any time, file pages not used lately, is room.
memory_working()
{
    echo $((($(cat "$1/memory.usage_in_bytes") - $(sed -n 's/^total_inactive_file //p' "$1/memory.stat")) / 1048576))
}

memory_beside()
{
    echo $(($(memory_working "$MEMORY_GROUP") - $(memory_working "$(memory_pool)")))
}

memory_neighbour()
{
    takes=$(($1 * 9 / 10 - $(memory_beside) - $2))
    rm -f "$TEST_DIR/taken"
    (memory_enter; exec memory_load take "$takes" 100 >"$TEST_DIR/taken") &
    neighbour=$!
    wait_for 10 grep -q taken "$TEST_DIR/taken" || fail 'the neighbour did not get its memory'
    taken=$(now)
}

# The server's log has seconds since 1970.
memory_delivered()
{
    awk -v from="$2" -v to="$3" '$2 == "delivered" && $1 >= from && $1 < to { n++ } END { print n + 0 }' "$1/delivered"
}
