#!/bin/sh
# master(8) as process 1, as containers have it: with -d, where it panics on a process that it does not know, and with -i. Three
# reloads and a kill of the dispatcher, each with 20 deliveries under way: master lives, and all mail arrives once. The log
# names -d.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

# Its process as it is seen from here; its own number there is 1.
inside()
{
    children_all=
    { read -r children_all <"/proc/$outside/task/$outside/children"; } 2>/dev/null || true
    echo "${children_all%% *}"
}

lives()
{
    [ -n "$(inside)" ] && grep -qsx master "/proc/$(inside)/comm"
}

# In the namespace `postfix reload` would not find it.
reload()
{
    reload_qmgr=$(postfix_pids "$p" qmgr)
    kill -HUP "$(inside)"
    wait_for 10 postfix_replaced "$reload_qmgr"
}

# hold TAG COUNT: sends so many, and waits until the server holds twenty of them
hold()
{
    sink_tell "$s" set ok slow 60
    send "$1" "$2"
    wait_for 20 under_way 20 || fail "$1: only $(sink_holding "$s") deliveries at once"
}

# run OPTION
run()
{
    scene
    rm -f "$s/delivered"
    sink_start "$s" "$SINK"
    # Makes what is missing of the queue, as `postfix start` does.
    postfix -c "$p/etc" check
    unshare --pid --fork --mount-proc --kill-child=KILL "$p/daemon/master" "$1" -c "$p/etc" >"$TEST_DIR/out" 2>&1 &
    outside=$!
    AT_EXIT="rm -f '$p/queue/pid/master.pid'; kill -KILL $outside 2>/dev/null || true; $AT_EXIT"
    mailgen --wait 20 "$(postfix_address "$p")"
    send known 100
    wait_for 30 arrived 100 || fail "$1: not delivered: $(accounts)"
    total=100
    for round in 1 2 3; do
        total=$((total + 100))
        hold "round$round" 100
        reload
        sink_tell "$s" heal
        # What cleanup(8) told the old qmgr(8) of, the new one finds in minutes.
        postfix_flush "$p"
        wait_for 60 arrived "$total" || fail "$1: not delivered: $(accounts)"
        lives || fail "$1: master has gone at reload $round: $(tail -n 3 "$(postfix_log "$p")")"
    done
    lives || fail "$1: master has gone: $(tail -n 3 "$(postfix_log "$p")")"
    say "$1: $(accounts | head -n 1)"
    expect "$1" "$(accounts | head -n 1)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
    calm
    # All that the dispatcher had is deferred, and delivered at its next attempt; what workers had begun is not done twice.
    hold killed 40
    kill -KILL "$(children "$(children "$(inside)" headroom | tail -n 1)" headroom | head -n 1)"
    sink_tell "$s" heal
    send after 40
    wait_for 60 arrived $((total + 80)) || fail "$1: not delivered after the kill: $(accounts)"
    lives || fail "$1: master has gone with the dispatcher: $(tail -n 3 "$(postfix_log "$p")")"
    if [ "$1" = -d ]; then
        [ "$(said 'master(8) is process 1 without -i')" -ge 1 ] || fail 'nothing says what -d means'
        [ "$(said 'a new process has the service; this one stays')" -ge 1 ] || fail 'nothing says who stays'
    else
        expect 'lines about -i' "$(said 'process 1 without -i')" 0
    fi
    # Its namespace ends with it. Nobody may take its number for one of this machine.
    kill -KILL "$(inside)"
    rm -f "$p/queue/pid/master.pid"
    wait "$outside" 2>/dev/null || true
    sink_stop "$s"
    rm -rf "$p"
}

run -i
run -d
