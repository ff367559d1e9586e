#!/bin/sh
# A process limit that somebody chose in Postfix's own files protects what stands behind: never more deliveries at a time at the server than
# the process limit column says, else default_process_limit of main.cf, unless workers.max is set; and the line at the start,
# status and check say which of them holds.
# waits

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

# chosen WHAT MOST TEXT: of 100 messages at once, each of which the server holds for 0.2 s, it has MOST at a time. Counted is
# what it works on: it may accept a connection before it reads the QUIT of the one before, which lmtp does not wait for.
chosen()
{
    # Its figures begin anew.
    sink_stop "$s"
    sink_start "$s" "$SINK" 'set ok slow 0.2'
    starts=$((${starts:-0} + 1))
    postfix_reload "$p"
    send "m$starts-" 100
    wait_for 60 settled $((100 * starts)) || fail "$1: not delivered: $(accounts)"
    expect "$1: deliveries at a time" "$(sink_value "$s" ok.holding.max)" "$2"
    expect_said "$1: start line" "starts: service $SERVICE, .* to $2 ($3)" 1
    "$BUILD/headroomctl" -c "$p/etc" status >"$TEST_DIR/out" || fail "$1: $(cat "$TEST_DIR/out")"
    grep -q "of at most $2 ($3)" "$TEST_DIR/out" || fail "$1: $(cat "$TEST_DIR/out")"
    "$BUILD/headroomctl" -c "$p/etc" check >"$TEST_DIR/out" || fail "$1: $(cat "$TEST_DIR/out")"
    grep -q "^  workers.max  *$2  *($3)" "$TEST_DIR/out" || fail "$1: $(cat "$TEST_DIR/out")"
}

line()
{
    postfix_service "$p" "$SERVICE" "$1"
}

column='process limit column of master.cf'
scene
configure "{\"defaults\": {$unpressed}}"
begin
line "$SERVICE unix - - n - 2 headroom"
chosen 'limit 2' 2 "$column"
# As master(8) reads it: the last of two equal lines, and comments within one.
line "$SERVICE unix - - n - 3 headroom
$SERVICE unix - - n
# not 4
  - 10
  headroom"
chosen 'limit 10' 10 "$column"
# 0 is no limit, and the public line is another service.
postfix_main "$p" 'default_process_limit = 10'
line "$SERVICE unix - - n - - headroom
$SERVICE unix n - n - 0 lmtp"
chosen 'default_process_limit' 10 'default_process_limit of main.cf'
line "$SERVICE unix - - n - 2 headroom"
configure "{\"defaults\": {\"workers\": {\"max\": 20}, $unpressed}}"
chosen 'workers.max' 20 'workers.max in headroom.json'

# Across reloads, too, the workers that finish what they have count: at a server of 2, ten times with two deliveries of half a
# second in hand and mail that waits.
configure "{\"defaults\": {$unpressed}}"
sink_stop "$s"
sink_start "$s" "$SINK" 'set ok slow 0.5'
postfix_reload "$p"
send reload- 60
holds_two()
{
    [ "$(sink_value "$s" ok.holding)" -eq 2 ]
}
for _ in 1 2 3 4 5 6 7 8 9 10; do
    within 10000 holds_two || fail "$(sink_value "$s" ok.holding) deliveries at a time before a reload"
    postfix_reload "$p"
done
sink_tell "$s" set ok slow 0.1
drain 30 && settled 460 || fail "reloads: not delivered: $(accounts)"
expect 'reloads: deliveries at a time' "$(sink_value "$s" ok.holding.max)" 2
expect 'in the end' "$(accounts)" 'sent 460, delivered 460, queued 0, bounced 0, lost 0, doubled 0'
calm
