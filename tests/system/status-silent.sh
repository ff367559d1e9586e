#!/bin/sh
# A dispatcher that is stopped does not answer: status, watch and JSON say so at once, in the past tense, and exit with 3. When
# it goes on, they say what is so again; when it is killed, as the screen advises, no mail is lost.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

# ctl_exit STATUS ARGUMENT...: ends so; its output is in $TEST_DIR/out.
ctl_exit()
{
    ctl_wanted=$1
    shift
    ctl_got=0
    "$BUILD/headroomctl" -c "$p/etc" "$@" >"$TEST_DIR/out" 2>&1 || ctl_got=$?
    [ "$ctl_got" -eq "$ctl_wanted" ] ||
        fail "headroomctl $*: status $ctl_got, wanted $ctl_wanted: $(cat "$TEST_DIR/out")"
}

shows()
{
    for shows_pattern in "$@"; do
        grep -q -e "$shows_pattern" "$TEST_DIR/out" || fail "no '$shows_pattern' in: $(cat "$TEST_DIR/out")"
    done
}

value()
{
    "$BUILD/lib/json_get" "$1" <"$TEST_DIR/out"
}

status_is()
{
    "$BUILD/headroomctl" -c "$p/etc" status >"$TEST_DIR/out" 2>&1
    [ $? -eq "$1" ]
}

scene
configure "{\"defaults\": {$unpressed}}"
begin
send known 20
wait_for 20 settled 20 || fail "not delivered: $(accounts)"
wait_for 5 status_is 0 || fail "status: $(cat "$TEST_DIR/out")"
ctl_exit 0 status --json
expect 'answering' "$(value 0.answering)" true

say 'stopped, with mail in hand'
sink_tell "$s" set ok slow 5
send held 20
wait_for 10 sh -c "grep -q '\"busy\": *[1-9]' '$p/data/headroom.$SERVICE/status.json'" || fail 'nothing is in delivery'
pid=$(dispatcher)
kill -STOP "$pid"
AT_EXIT="kill -CONT $pid 2>/dev/null; $AT_EXIT"
wait_for 2 status_is 3 || fail "status: $(cat "$TEST_DIR/out")"
cat "$TEST_DIR/out"
shows "^$SERVICE: NOT ANSWERING; what follows was true at" "$pid, the dispatcher, is stopped" "kill -CONT $pid" 'State *was OPEN since'
# Nothing is said in the present tense.
if grep -q -e 'moves' -e 'nothing is held up' -e '^  Cause' -e '^  Trend' -e 'OPEN since [0-9:]* (' "$TEST_DIR/out"; then
    fail "the present tense: $(cat "$TEST_DIR/out")"
fi
ctl_exit 3 status --json
expect 'running' "$(value 0.running)" true
expect 'answering' "$(value 0.answering)" false
ctl_exit 3 watch -n 1
shows " $SERVICE not answering$"

say 'it goes on'
kill -CONT "$pid"
wait_for 5 status_is 0 || fail "status: $(cat "$TEST_DIR/out")"

say 'killed, as the screen says'
kill -STOP "$pid"
send late 5
kill -KILL "$pid"
sink_tell "$s" heal
another()
{
    [ -n "$(dispatcher)" ] && [ "$(dispatcher)" != "$pid" ]
}
wait_for 90 another || fail "no new dispatcher: $(tail -n 20 "$(postfix_log "$p")")"
drain 120 || fail "not drained: $(accounts)"
accounts | tee "$TEST_DIR/accounts"
grep -q 'lost 0, doubled 0' "$TEST_DIR/accounts" || fail 'lost'
