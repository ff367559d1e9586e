# What the tests of the supervisor share: one private Postfix in $p, one LMTP server in $s on $SINK, the mail that was
# sent in $sent. Sourced after test.sh and postfix.sh. $AGENT must be headroom, but for a test that sets STOCK_TOO before: that
# judges stock lmtp with AGENT=lmtp. A test may set $SERVICE before.
#
#     scene [MAIN_CF_LINE...]   directories and files; nothing runs yet
#     configure JSON            the supervisor's configuration; for a running one, reload
#     begin [COMMAND...]        starts the LMTP server (with these commands of lmtpd.c) and Postfix
#     send PREFIX COUNT [OPTION...]       mailgen to it; default recipients user%d@good%d.invalid, 20 domains
#     accounts [OPTION...]      account.c of all that was sent
#     settled SENT              true when SENT recipients are delivered or bounced and the queue is empty
#     arrived SENT              true when SENT recipients are delivered and none is queued; a file whose recipients are all
#                               marked may stay in incoming until a new qmgr(8) looks there
#     under_way COUNT           true when the server holds so many deliveries
#     said PATTERN              lines in the mail log that match
#     kinds OF, three           log lines of recipients in .OF.invalid; whether stock and ours have three kinds
#     supervisors               pids of the supervisors that are master's children
#     parent, dispatcher        pids, of the one supervisor; empty when there is not exactly one
#     workers                   pids of its workers
#     milliseconds              a clock
#     within MS COMMAND...      as wait_for, by milliseconds, and looking more often

[ "$AGENT" = headroom ] || [ -n "${STOCK_TOO:-}" ] || skip 'build/headroom is not built'

SERVICE=${SERVICE:-lmtp-test}
SINK=127.0.0.1:10083
p=$TEST_DIR/postfix
s=$TEST_DIR/sink
sent=$TEST_DIR/sent

scene()
{
    # One next hop for everything, and qmgr holds nothing back: as on a relay.
    postfix_create "$p" "inet:[127.0.0.1]:10083" 'default_destination_concurrency_limit = 10000' \
        'initial_destination_concurrency = 10000' "$@"
    : >"$sent"
    [ -z "${STARTS:-}" ] || configure '{"defaults": {}}'
    AT_EXIT="$AT_EXIT forget_groups;"
}

# A supervisor that was killed leaves its memory group, for its successor. Here there is none after the end.
forget_groups()
{
    grep -o '/sys/fs/cgroup/[^ ,]*/headroom-[^ ,]*' "$(postfix_log "$p")" 2>/dev/null | sort -u |
        xargs -r rmdir 2>/dev/null || true
}

# $STARTS (fork, auto, exec) is put into it where it says nothing of workers.start.
configure()
{
    case ${STARTS:+$1} in
    *'"start"'*) ;;
    *'"workers": {'*) set -- "$(printf %s "$1" | sed "s/\"workers\": {/&\"start\": \"$STARTS\", /")" ;;
    *'"defaults": {}'*) set -- "$(printf %s "$1" | sed "s/\"defaults\": {/&\"workers\": {\"start\": \"$STARTS\"}/")" ;;
    *'"defaults": {'*) set -- "$(printf %s "$1" | sed "s/\"defaults\": {/&\"workers\": {\"start\": \"$STARTS\"}, /")" ;;
    esac
    printf '%s\n' "$1" >"$p/etc/headroom.json"
}

begin()
{
    sink_start "$s" "$SINK" "$@"
    postfix_start "$p"
}

send()
{
    send_prefix=$1
    send_count=$2
    shift 2
    case " $* " in
    *' --rcpt '*) ;;
    *) set -- "$@" --rcpt 'user%d@good%d.invalid' --cycle 20 ;;
    esac
    mailgen --to "$(postfix_address "$p")" --prefix "$send_prefix" --sent "$sent" --count "$send_count" "$@"
}

accounts()
{
    account --sent "$sent" --log "$s/delivered" --queue "$p/queue" "$@" 2>&1
}

settled()
{
    accounts --may-double 1000000 | grep -q "^sent $1, delivered [0-9]*, queued 0," && postfix_empty "$p"
}

arrived()
{
    accounts --may-double 1000000 | grep -q "^sent $1, delivered $1, queued 0,"
}

under_way()
{
    [ "$(sink_holding "$s")" -ge "$1" ]
}

said()
{
    lines "$(postfix_log "$p")" "$1"
}

# children PID NAME
children()
{
    children_all=
    # It does not end with a newline: the status of read says nothing.
    { read -r children_all <"/proc/$1/task/$1/children"; } 2>/dev/null || true
    for children_pid in $children_all; do
        { read -r children_name <"/proc/$children_pid/comm"; } 2>/dev/null || continue
        [ "$children_name" != "$2" ] || echo "$children_pid"
    done
}

supervisors()
{
    supervisors_master=$(postfix_master_pid "$p") || return 0
    children "$supervisors_master" headroom
}

parent()
{
    parent_all=$(supervisors)
    case $parent_all in
    *[!0-9]*) ;;
    *) printf %s "$parent_all" ;;
    esac
}

dispatcher()
{
    dispatcher_parent=$(parent)
    # A worker is called headroom too until it becomes lmtp; the dispatcher came before all of them.
    [ -z "$dispatcher_parent" ] || children "$dispatcher_parent" headroom | head -n 1
}

workers()
{
    workers_parent=$(parent)
    [ -z "$workers_parent" ] || children "$workers_parent" lmtp
}

milliseconds()
{
    read -r milliseconds_up _ </proc/uptime
    echo "${milliseconds_up%.*}${milliseconds_up#*.}0"
}

within()
{
    within_until=$(($(milliseconds) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(milliseconds)" -lt "$within_until" ] || return 1
        sleep 0.01
    done
}

# gone PID...
gone()
{
    for gone_pid in "$@"; do
        [ ! -e "/proc/$gone_pid" ] || return 1
    done
}

# What must never be in the log: master or qmgr punishing the transport, or a broken promise of ours.
calm()
{
    calm_found=$(grep -e 'throttling' -e 'mail transport unavailable' -e 'unknown mail transport error' \
        -e 'broken promise' -e 'Please report this' -e 'panic:' -e 'fatal:' "$(postfix_log "$p")" | head -n 5) || true
    [ -z "$calm_found" ] || fail "in the log: $calm_found"
}

# The worker processes, counted again and again in the background; the most is in FILE.
watch_workers()
{
    (
        trap - EXIT
        most=0
        while [ -d "$p/queue" ]; do
            count=0
            for watched in $(workers); do
                [ -z "$watched" ] || count=$((count + 1))
            done
            [ "$count" -le "$most" ] || {
                most=$count
                echo "$most" >"$1.new"
                mv "$1.new" "$1"
            }
            sleep 0.02
        done
    ) &
    watcher=$!
    echo 0 >"$1"
    AT_EXIT="kill $watcher 2>/dev/null; $AT_EXIT"
}

# ended COUNT: so many supervisors have written their last line.
ended()
{
    [ "$(said 'headroom ends: ')" -ge "$1" ]
}

no_supervisor()
{
    [ -z "$(supervisors)" ]
}

# load_start RATE: so many messages a second to the twenty domains, until load_stop. What is accepted in the last moment
# may be missing in $sent: account.c says "of unknown mail" then, in a line of its own.
load_start()
{
    mailgen --to "$(postfix_address "$p")" --prefix load --sent "$sent" --rate "$1" --time 250 \
        --rcpt 'user%d@good%d.invalid' --cycle 20 >"$TEST_DIR/load" 2>&1 &
    load_pid=$!
    AT_EXIT="kill $load_pid 2>/dev/null; $AT_EXIT"
}

load_stop()
{
    # It may have come to its end.
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" || true
    wc -l <"$sent"
}

# drain SECONDS: the queue becomes empty. After a reload qmgr puts what a worker still has in hand aside for a minute ("skipped,
# still being delivered"), as with stock lmtp; a flush brings it back.
drain()
{
    drain_until=$(($(milliseconds) + $1 * 1000))
    postfix_flush "$p"
    until wait_for 3 postfix_empty "$p"; do
        [ "$(milliseconds)" -lt "$drain_until" ] || {
            say "in the queue: $(postfix_count "$p")" >&2
            return 1
        }
        postfix_flush "$p"
    done
}

# expect_said WHAT PATTERN COUNT: so many lines in the log, which may come a moment later than what they tell of.
said_at_least()
{
    [ "$(said "$1")" -ge "$2" ]
}
expect_said()
{
    wait_for 5 said_at_least "$2" "$3" || true
    expect "$1" "$(said "$2")" "$3"
}

# kinds OF: the log lines of its recipients, without what differs from one delivery to the next. A connection that is used
# again has conn_use=, and from Postfix 3.11 on any other one has tls=.
kinds()
{
    grep "to=<[^>]*\.$1\.invalid>" "$(postfix_log "$p")" | sed \
        -e 's/^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]\{8\}/TIME/' \
        -e "s/\.$1\.invalid/.invalid/g" \
        -e 's/\[[0-9]*\]: [0-9A-Za-z]*:/[PID]: ID:/' \
        -e 's/ conn_use=[0-9]*,//' -e 's/ tls=none,//' \
        -e 's/ delay=[0-9.]*, delays=[0-9.]*\/[0-9.]*\/[0-9.]*\/[0-9.]*,/ delay=D, delays=A\/B\/C\/D,/' | sort -u
}
# three: stock's recipients and ours have three kinds of lines each
three()
{
    [ "$(kinds stock | wc -l)" -eq 3 ] && [ "$(kinds ours | wc -l)" -eq 3 ]
}
