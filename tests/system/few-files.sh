#!/bin/sh
# 4096 open files, the kernel's default, allow fewer requests than waiting.max: a flood fills three quarters of them, some of
# it leaves, and good mail that comes after it is delivered at once.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

# good PREFIX: ten messages, which must be there within 10 s of being sent.
delivered()
{
    [ "$(lines "$s/delivered" ' delivered .*@good')" -ge "$1" ]
}
good()
{
    already=$(lines "$s/delivered" ' delivered .*@good')
    began=$(milliseconds)
    send "$1" 10
    wait_for 10 delivered $((already + 10)) || {
        "$BUILD/headroomctl" -c "$p/etc" status || true
        fail "$1: only $(($(lines "$s/delivered" ' delivered .*@good') - already)) of 10 behind the flood"
    }
    say "$1: ten good messages behind the flood were there after $(($(milliseconds) - began)) ms"
}

# deferred CAUSE: something left the room for it.
deferred()
{
    said_at_least "too much mail waits for this destination ([0-9]* wait$1)" 1
}

scene 'minimal_backoff_time = 600s' 'maximal_backoff_time = 600s'
configure '{"defaults": {"workers": {"max": 64, "limit": "fixed"}}}'
prlimit --pid $$ --nofile=4096
begin 'set dead dead 60'
send warm 40
wait_for 20 delivered 40 || fail 'the first mail was not delivered'
bound=$(sed -n 's/.* at most \([0-9]*\) requests wait, .*/\1/p' "$(postfix_log "$p")" | head -n 1)
say "with 4096 open files at most $bound requests wait"
[ "$bound" -lt 2000 ] || fail 'the line at the start tells waiting.max'
send files 2200 --sessions 20 --rcpt 'user%d@dead.invalid'
wait_for 60 deferred ', which is what open files allow' || fail "the room was never full: $(postfix_count "$p" active) active"
good files-good

sink_tell "$s" heal
drain 100 || fail 'not all was delivered after the dead were well'
accounts || fail 'mail was lost or doubled'
calm
