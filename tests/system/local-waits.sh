#!/bin/sh
# local(8) is the client (mailbox_transport), with more deliveries than there are workers, when Postfix is reloaded. A new qmgr(8)
# moves the queue files from active/ to incoming/, where no agent finds them, and what is locked is set aside for a minute: stock
# answers all of its backlog with the bare deferral then. So is what waits here, and not before: an old qmgr(8), whom master(8) tells
# a moment later than us, would defer it for minutes, up to 20 of 20. Nothing is deferred, lost or done twice.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/local.sh
. "$LIBRARY/local.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'
workers=4
count=24

accounts()
{
    account --sent "$TEST_DIR/$1.sent" --log "$TEST_DIR/$1.sink/delivered" --queue "$TEST_DIR/$1/queue" 2>&1 | head -n 1
}

arrived()
{
    accounts "$1" | sed 's/.*delivered \([0-9]*\),.*/\1/'
}

# delivered NAME COUNT
delivered()
{
    [ "$(arrived "$1")" -ge "$2" ]
}

# quiet NAME: nothing is under way
quiet()
{
    [ "$(sink_holding "$TEST_DIR/$1.sink")" -eq 0 ] && [ "$(postfix_count "$TEST_DIR/$1" active)" -eq 0 ]
}

# back NAME: those that are set aside are brought back, again and again, until the queue is empty
back()
{
    back_tries=0
    postfix_flush "$TEST_DIR/$1"
    until wait_for 3 postfix_empty "$TEST_DIR/$1"; do
        back_tries=$((back_tries + 1))
        [ "$back_tries" -lt 30 ] || return 1
        postfix_flush "$TEST_DIR/$1"
    done
}

# ended NAME TEXT: nothing is under way, nothing was deferred; stock has been seen with two in active/ for longer
ended()
{
    wait_for 20 quiet "$1" || [ "$1" = stock ] || fail "$1: still under way: $(accounts "$1")"
    say "$1, $2: $(arrived "$1") delivered, $(postfix_count "$TEST_DIR/$1" incoming) set aside"
    [ "$1" = stock ] || expect "$2: deferred" "$(postfix_count "$TEST_DIR/$1" deferred)" 0
}

# all NAME COUNT
all()
{
    back "$1" || fail "$1: in the queue: $(postfix_count "$TEST_DIR/$1")"
    expect "$1" "$(accounts "$1")" "sent $2, delivered $2, queued 0, bounced 0, lost 0, doubled 0"
}

local_create stock 10084 lmtp $workers - 'set ok slow 1'
local_create ours 10083 headroom $workers - 'set ok slow 1'
for name in stock ours; do
    postfix_start "$TEST_DIR/$name"
    local_put "$name" first 1 user 40
    wait_for 20 delivered "$name" 1 || fail "$name: nothing was delivered"
done
total=1
for round in 1 2 3; do
    for name in stock ours; do
        local_put "$name" "round$round" $count user 40
    done
    total=$((total + count))
    for name in stock ours; do
        # All workers are busy, and each message that is left has a local(8).
        wait_for 20 local_full "$name" $workers $((count - workers)) ||
            fail "$name: only $(sink_holding "$TEST_DIR/$name.sink") deliveries at once"
        postfix_reload "$TEST_DIR/$name"
    done
    for name in stock ours; do
        ended "$name" "reload $round"
    done
    for name in stock ours; do
        all "$name" $total
    done
done
for name in stock ours; do
    postfix_stop "$TEST_DIR/$name" || fail 'Postfix left something behind'
    sink_stop "$TEST_DIR/$name.sink" || fail 'the LMTP server ended badly'
done
