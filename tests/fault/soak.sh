#!/bin/sh
# A real Postfix for as long as asked ($SOAK_HOURS, fractions too), with mail all the time, in a memory group of 300 MB, with
# its queue on a disk of 64 MB, and with trouble at random from $SOAK_SEED: floods, ill servers, reloads, starts; killed
# workers, templates, dispatchers, parents, retry(8); a neighbour who takes the memory, a full disk, a journald that stands
# still, held destinations, a dispatcher that gets no CPU. One trouble begins while others go on.
#
# A round is about a minute. At its end all trouble is undone: the queue becomes empty, nothing is lost or bounced, and no more
# is doubled than there were killed agents. Of every ten rounds six never end the supervisor on purpose: in these its processes
# may not grow. One line of figures a round goes to $BUILD/soak/figures.
#
# The date is not changed: no namespace has one of its own. check-world changes it.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"
# shellcheck source=tests/lib/journald.sh
. "$LIBRARY/journald.sh"

LIMIT=300
seed=${SOAK_SEED:-$(date +%s)}
length=$(awk -v hours="${SOAK_HOURS:-0.1}" 'BEGIN { printf "%d", hours * 3600000 }')
figures=$BUILD/soak/figures

tell()
{
    say "$*" | tee -a "$figures"
}

# draw N: $drawn is 0 to N - 1.
random=$seed
draw()
{
    random=$(((random * 1103515245 + 12345) % 2147483648))
    drawn=$((random / 65536 % $1))
}

# one_of WORD...
one_of()
{
    draw $#
    shift "$drawn"
    picked=$1
}

ctl()
{
    "$BUILD/headroomctl" -c "$p/etc" "$@" >>"$TEST_DIR/ctl" 2>&1 || true
}

settings()
{
    one_of auto fork exec
    configure "{\"defaults\": {\"workers\": {\"max\": 60, \"start\": \"$picked\"}, \"waiting\": {\"max\": 200}}}"
}

start()
{
    memory_in postfix_start "$p"
}

# kill_of NAME PID...: $may_double is how many deliveries a killed agent may have told nobody of.
kills=0
may_double=0
kill_of()
{
    kill_what=$1
    shift
    for kill_pid in "$@"; do
        kill -KILL "$kill_pid" 2>/dev/null || continue
        kills=$((kills + 1))
        [ "$kill_what" != worker ] || may_double=$((may_double + 1))
    done
}

# What is done once.
flood()
{
    draw 3
    send "flood$done_count" $((100 + drawn * 150)) --rcpt 'user%d@silent%d.invalid' --cycle 30 >>"$TEST_DIR/mailgen" 2>&1 || true
}
flush() { postfix_flush "$p" || true; }
workers_killed()
{
    draw 5
    # shellcheck disable=SC2046
    kill_of worker $(workers | head -n $((drawn + 1)))
}
# shellcheck disable=SC2046
template_killed() { kill_of template $(children "$(parent)" lmtp-template); }
# shellcheck disable=SC2046
retry_killed() { kill_of retry $(postfix_pids "$p" error); }
# shellcheck disable=SC2046
dispatcher_killed() { kill_of dispatcher $(dispatcher); }
# shellcheck disable=SC2046
parent_killed() { kill_of parent $(parent); }
reloaded()
{
    settings
    postfix_reload "$p" || true
}
# A stop ends the agents where they are.
restarted()
{
    may_double=$((may_double + $(workers | wc -l)))
    # One that goes on alone after a reload has no parent, who would kill it where a signal of master(8) cannot end it.
    [ "$away" = "$(dispatcher)" ] || away_end
    postfix_stop "$p" || fail 'something was left after a stop'
    start || fail 'it does not start again'
}

# What goes on until it is undone.
thief_begin()
{
    draw 12
    (memory_enter; exec memory_load take $((LIMIT - 40 - drawn * 12)) 200 >/dev/null) &
    thief=$!
}
thief_end()
{
    kill "$thief" 2>/dev/null || true
    wait "$thief" 2>/dev/null || true
}
disk_begin() { dd if=/dev/zero of="$p/queue/filler" bs=1M 2>/dev/null || true; }
disk_end() { rm -f "$p/queue/filler"; }
journald_begin() { kill -STOP "$journald_pid"; }
journald_end() { kill -CONT "$journald_pid"; }
held_begin()
{
    draw 20
    held=good$drawn.invalid
    ctl hold "$held"
}
held_end() { ctl release "$held"; }
ill_begin()
{
    one_of dead silent slow reset defer busy burst
    sink_tell "$s" set silent "$picked" >/dev/null
}
ill_end() { sink_tell "$s" set silent ok >/dev/null; }
server_begin()
{
    one_of 'listen off' 'refuse 50' 'greet-delay 3' 'set ok slow 2' 'set ok burst' 'set ok busy'
    # shellcheck disable=SC2086
    sink_tell "$s" $picked >/dev/null
}
server_end()
{
    sink_tell "$s" heal >/dev/null
    sink_tell "$s" refuse 0 >/dev/null
}
away_begin()
{
    away=$(dispatcher)
    [ -z "$away" ] || kill -STOP "$away" 2>/dev/null || true
}
away_end() { [ -z "$away" ] || kill -CONT "$away" 2>/dev/null || true; }
stuck_begin()
{
    stuck=$(children "$(parent)" lmtp-template)
    # shellcheck disable=SC2086
    [ -z "$stuck" ] || kill -STOP $stuck 2>/dev/null || true
}
# shellcheck disable=SC2086
stuck_end() { [ -z "$stuck" ] || kill -CONT $stuck 2>/dev/null || true; }

ONCE='flood flood flood flush workers_killed workers_killed template_killed retry_killed'
ENDS='reloaded reloaded dispatcher_killed parent_killed restarted'
LASTING='disk thief journald held ill ill server away stuck'

going=
away=
undo()
{
    for undo_what in $going; do
        "${undo_what}_end"
    done
    going=
}

# toggle WHAT: begins, or ends when it goes on. With three the one that began first ends.
toggle()
{
    case " $going " in
    *" $1 "*)
        "${1}_end"
        going=$(printf '%s\n' "$going" | sed "s/ $1\$//; s/ $1 / /")
        ;;
    *)
        "${1}_begin"
        going="$going $1"
        ;;
    esac
    # shellcheck disable=SC2086
    set -- $going
    [ $# -le 2 ] || toggle "$1"
}

# step: one thing happens.
step()
{
    # shellcheck disable=SC2086
    if [ "$ends" = 1 ]; then
        one_of $ONCE $ENDS $LASTING
    else
        one_of $ONCE $LASTING
    fi
    done_count=$((done_count + 1))
    echo "$picked" >>"$TEST_DIR/done"
    history="$history $picked"
    case " $LASTING " in
    *" $picked "*) toggle "$picked" ;;
    *) "$picked" ;;
    esac
    draw 40
    sleep "$((drawn / 10)).$((drawn % 10))"
}

# process NAME PID: remembers what it holds, and says it.
process()
{
    [ -n "$2" ] || return 0
    process_memory=$(echo "$2" | memory_unshared)
    process_open=$(find "/proc/$2/fd" -mindepth 1 2>/dev/null | wc -l)
    echo "$1 $2 ${process_memory:-0} $process_open" >>"$TEST_DIR/processes"
    printf ', %s %s kB %s open' "$1" "${process_memory:-0}" "$process_open"
}

no_workers()
{
    [ -z "$(workers)" ]
}

oom_kills()
{
    cat "$MEMORY_GROUP/memory.oom_control" "$MEMORY_GROUP"/*/memory.oom_control 2>/dev/null |
        awk '$1 == "oom_kill" { sum += $2 } END { print sum + 0 }'
}

# settle: all trouble is over; is all well?
settle()
{
    undo
    wait "$load_pid" || true
    sink_tell "$s" heal >/dev/null
    drain 180 || fail "the queue does not become empty: $(accounts --may-double 1000000)"
    killed_oom=$(oom_kills)
    accounts --may-double $((may_double + killed_oom)) >"$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
    grep -q "^sent \([0-9]*\), delivered \1, queued 0, bounced 0, lost 0, " "$TEST_DIR/accounts" || fail "$(cat "$TEST_DIR/accounts")"
    found=$(grep -e 'broken promise' -e 'Please report' -e 'panic:' -e 'headroom.*signal \(6\|11\|14\|31\)' "$(postfix_log "$p")") || true
    [ -z "$found" ] || fail "in the log: $found"
    # Idle workers end after max_idle: then all rounds can be compared.
    wait_for 60 no_workers || fail "workers do not end: $(workers)"
    tell "round $round: $(head -n 1 "$TEST_DIR/accounts") (explained $may_double, OOM $killed_oom), $kills kills$(
        process parent "$(parent)"
        process dispatcher "$(dispatcher)"
        process template "$(children "$(parent)" lmtp-template)"):$history"
}

# No process has grown in its life by more than a quarter and 4 MB, or by two descriptors. A dispatcher touches its tables as
# mail comes: one that was measured before its first flood had 1.7 MB, 3.9 MB after it, and less in the rounds that followed.
grown()
{
    awk '{ key = $1 " " $2 }
        !(key in memory) { memory[key] = $3; open[key] = $4 }
        $3 > memory[key] * 1.25 + 4096 { print key ": " memory[key] " kB, then " $3 }
        $4 > open[key] + 2 { print key ": " open[key] " descriptors, then " $4 }' "$TEST_DIR/processes"
}

mkdir -p "$BUILD/soak"
: >"$figures"
tell "SOAK_SEED=$seed, for $((length / 1000)) s"
journald_start
memory_create "$p" 'inet:[127.0.0.1]:10083' 'max_idle = 5s' 'minimal_backoff_time = 5s' 'maximal_backoff_time = 20s' \
    'queue_run_delay = 5s' 'message_size_limit = 100000'
mkdir "$TEST_DIR/disk"
mount -t tmpfs -o size=64m,mode=755 tmpfs "$TEST_DIR/disk"
cp -a "$p/queue/." "$TEST_DIR/disk/"
mount --move "$TEST_DIR/disk" "$p/queue" 2>/dev/null || mount --bind "$TEST_DIR/disk" "$p/queue"
memory_limit "${LIMIT}M"
settings
: >"$sent"
sink_start "$s" "$SINK"
start

begun=$(milliseconds)
round=0
done_count=0
while [ $(($(milliseconds) - begun)) -lt "$length" ]; do
    ends=$((round % 10 < 4))
    round=$((round + 1))
    history=
    round_end=$(($(milliseconds) + 45000))
    mailgen --to "$(postfix_address "$p")" --prefix "round$round" --sent "$sent" --rate 8 --time 45 \
        --rcpt 'user%d@good%d.invalid' --cycle 20 >>"$TEST_DIR/mailgen" 2>&1 &
    load_pid=$!
    while [ "$(milliseconds)" -lt "$round_end" ]; do
        step
    done
    settle
done
[ -z "$(grown)" ] || fail "it grew: $(grown)"
tell "$round rounds, $kills kills; $(sort "$TEST_DIR/done" | uniq -c | awk '{ printf "%s%d %s", (NR > 1 ? ", " : ""), $1, $2 }')"
memory_end "$p" "$s"
