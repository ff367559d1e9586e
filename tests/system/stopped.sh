#!/bin/sh
# The dispatcher is off the CPU for longer than its next step is away, and goes on as soon as it is back: once inside the step
# of the limit, where the kernel's own answer takes 2.5 s (strace delays it), then at random moments, by SIGSTOP, while memory
# is short and the server takes half a second for each message. For a long run STOPS=200, and LENGTHS="0.2 3 20" for stops of
# these seconds in turn in the place of 0.3 to 3.5; RATE is the load, messages a second.
# waits
# limit: 3600

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

command -v strace >/dev/null || skip 'strace is not installed'
stops=${STOPS:-12}
lengths=${LENGTHS:-}

scene
# Sixteen executed workers do not fit: the limit is met, and steps follow each other closely.
configure '{"defaults": {"workers": {"start": "exec"}, "memory": {"limit": "16M"}, "destination": {"slow_after": "1h"}}}'
begin
send known 100
wait_for 20 settled 100 || fail "not delivered: $(accounts)"

# Only the samples of memory are read with pread(2).
delayed()
{
    grep -q 'DELAYED' "$TEST_DIR/strace"
}
pid=$(dispatcher)
strace -p "$pid" -o "$TEST_DIR/strace" -e trace=pread64 -e inject=pread64:delay_enter=2500000:when=1 2>/dev/null &
tracer=$!
AT_EXIT="kill $tracer 2>/dev/null; $AT_EXIT"
wait_for 20 delayed || fail "no sample of memory was delayed: $(cat "$TEST_DIR/strace")"
kill "$tracer"
wait "$tracer" || true
send after 1
within 1000 settled 101 || fail 'no delivery within a second after a sample that took 2.5 s'

sink_tell "$s" set ok slow 0.5
load_start "${RATE:-40}"
held()
{
    [ "$(said 'now HOLD')" -gt 0 ]
}
wait_for 15 held || fail "memory is not short: $(said .) lines, $(grep -c . "$TEST_DIR/load") of load"
delivered()
{
    lines "$s/delivered" ' delivered '
}
more_than()
{
    [ "$(delivered)" -gt "$1" ]
}
# length_of STOP: the next of $lengths, or 0.3 to 3.5 s.
length_of()
{
    if [ -n "$lengths" ]; then
        echo "$lengths" | awk -v stop="$1" '{ print $((stop - 1) % NF + 1) }'
    else
        od -An -N2 -tu2 /dev/urandom | awk '{ printf "%.2f", 0.3 + 3.2 * $1 / 65536 }'
    fi
}
stop=0
while [ "$stop" -lt "$stops" ]; do
    stop=$((stop + 1))
    # At any moment of the second between two steps.
    sleep "0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')"
    kill -STOP "$pid"
    length=$(length_of "$stop")
    sleep "$length"
    # What was under way has been delivered while the dispatcher stood still.
    before=$(delivered)
    kill -CONT "$pid"
    within 2000 more_than "$before" || fail "nothing is delivered after stop $stop of $length s"
done
expect 'dispatcher' "$(dispatcher)" "$pid"
load_stop >"$TEST_DIR/total"
sink_tell "$s" heal
drain 120 || fail "not drained: $(accounts)"
say "$stops stops, $(cat "$TEST_DIR/total") messages"
accounts | tee "$TEST_DIR/accounts"
grep -q 'lost 0, doubled 0' "$TEST_DIR/accounts" || fail 'lost or doubled'
calm
