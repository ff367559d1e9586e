#!/bin/sh
# headroomctl as a person uses it: status open, short of memory, shedding and not running; destinations in a flood
# with dead domains; check with a sound and with a broken file; history and plot out of a journal; watch in a terminal;
# metrics. And what the journal has of it: few lines, all fields, no domain.
# waits

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/journald.sh"
. "$LIBRARY/headroom.sh"

ctl()
{
    "$BUILD/headroomctl" -c "$p/etc" "$@"
}

# ctl_exit STATUS ARGUMENT...: ends so; standard output is in $TEST_DIR/out, errors in $TEST_DIR/err.
ctl_exit()
{
    ctl_wanted=$1
    shift
    ctl_got=0
    ctl "$@" >"$TEST_DIR/out" 2>"$TEST_DIR/err" || ctl_got=$?
    [ "$ctl_got" -eq "$ctl_wanted" ] ||
        fail "headroomctl $*: status $ctl_got, wanted $ctl_wanted: $(cat "$TEST_DIR/out" "$TEST_DIR/err")"
}

# shows PATTERN...: each is in the last output
shows()
{
    for shows_pattern in "$@"; do
        grep -q -e "$shows_pattern" "$TEST_DIR/out" ||
            fail "no '$shows_pattern' in: $(cat "$TEST_DIR/out" "$TEST_DIR/err")"
    done
}

status_shows()
{
    ctl status "$SERVICE" 2>/dev/null | grep -q -e "$1"
}

journald_start
scene
metrics=$TEST_DIR/metrics
install -d -o postfix "$metrics"

say 'before it was ever started'
# Memory is short only where it is said.
configure "{\"defaults\": {\"workers\": {\"max\": 30}, \"waiting\": {\"max\": 100}, $unpressed, \"metrics\": {\"textfile\": \"$metrics/%s.prom\"}}}"
ctl_exit 3 status "$SERVICE"
grep -q 'has written no status yet' "$TEST_DIR/err" || fail "no cure: $(cat "$TEST_DIR/err")"
expect 'lines of the error' "$(wc -l <"$TEST_DIR/err")" 1
ctl_exit 0 check
shows "^ok .*service $SERVICE runs headroom" "^ok .*$p/etc/headroom.json can be used" '^ok .*service retry' \
    '^ok .*/lmtp is there' '^ok .*data_directory' '^[a-z]* *memory group.*seen from this shell' 'memory pressure' \
    '^  workers.max  *30  *(workers.max in headroom.json)$' "^  waiting.time  *\"5m\"  *(default)" '^0 wrong'

# A service of which headroomctl knows nothing says what to do next.
ctl_exit 3 status nowhere
grep -q 'no service nowhere in master.cf' "$TEST_DIR/err" || fail "$(cat "$TEST_DIR/err")"
ctl_exit 3 status retry
grep -q 'service retry runs error, not headroom' "$TEST_DIR/err" || fail "$(cat "$TEST_DIR/err")"

say 'completion'
# complete WORD...: what bash offers for the last one.
completed()
{
    PATH="$BUILD:$PATH" MAIL_CONFIG="$p/etc" bash -c '. "$0"; COMP_WORDS=(headroomctl "$@"); COMP_CWORD=$#
        _headroomctl; printf "%s\n" "${COMPREPLY[*]}"' "${0%/*}/../../packaging/headroomctl.bash" "$@" 2>&1
}
expect 'verbs' "$(completed '' | tr ' ' '\n' | sort | tr '\n' ' ')" \
    "$("$BUILD/headroomctl" -h | sed -n 's/^  \([a-z][a-z]*\)  *.*[]A-Z]$/\1/p' | sort | tr '\n' ' ')"
expect 'verb' "$(completed -c /tmp des)" destinations
expect 'option' "$(completed status --j)" --json
expect 'service' "$(completed watch lm)" "$SERVICE"
expect 'transport' "$(completed setup --apply '')" "$SERVICE"
expect 'for' "$(completed hold a.invalid f)" for

say 'a sound service'
begin 'set slow slow 0.1'
send plain 60
postfix_wait_empty "$p" 30 || fail 'not delivered'
wait_for 5 status_shows 'moves: 60 delivered' || fail "status: $(ctl status)"
ctl_exit 0 status
cat "$TEST_DIR/out"
shows "^$SERVICE: OPEN since [0-9:]* ([0-9]* s): " 'Cause  *nothing is held up' 'Limit .* of at most 30' \
    'Deferred  *nothing by us since' 'Memory .* available' 'unshared' 'Pressure '
ctl_exit 0 status --json
"$BUILD/lib/json_get" 0.status.totals.delivered <"$TEST_DIR/out" >"$TEST_DIR/value"
expect 'delivered, for programs' "$(cat "$TEST_DIR/value")" 60
expect 'running, for programs' "$("$BUILD/lib/json_get" 0.running <"$TEST_DIR/out")" true
expect 'rights of the snapshot' "$(stat -c '%a %U' "$p/data/headroom.$SERVICE/status.json")" '600 postfix'
ctl_exit 0 destinations
shows 'no destination is slow'
ctl_exit 0 check
shows "service $SERVICE runs since"
! grep -q 'seen from this shell' "$TEST_DIR/out" || fail 'the memory group is not looked for where master is'
setpriv --reuid=nobody --regid=nogroup --clear-groups "$p/daemon/headroomctl" -c "$p/etc" status "$SERVICE" \
    >"$TEST_DIR/out" 2>"$TEST_DIR/err" && fail 'nobody may see the state'
grep -q 'run this as root or postfix' "$TEST_DIR/err" || fail "no cure: $(cat "$TEST_DIR/err")"

for verb in "history $SERVICE" "plot $SERVICE"; do
    # shellcheck disable=SC2086
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$p/daemon/headroomctl" -c "$p/etc" $verb \
        >"$TEST_DIR/out" 2>"$TEST_DIR/err" && fail "nobody may see, with $verb"
    grep -q 'run this as root or postfix' "$TEST_DIR/err" || fail "$verb, no cure: $(cat "$TEST_DIR/err")"
done

say 'what other services left, and words too many'
# In master.cf, but it has never run: nothing is wrong with that. The first of the two.
postfix_service "$p" a-new "a-new unix - - n - - headroom"
ctl_exit 0 status --json
"$BUILD/lib/json_get" 0.status.service <"$TEST_DIR/out" >"$TEST_DIR/value" || fail "no JSON: $(cat "$TEST_DIR/out")"
expect 'the one that never ran' "$(cat "$TEST_DIR/value")" a-new
expect 'waits' "$("$BUILD/lib/json_get" 0.waits_for_mail <"$TEST_DIR/out")" true
expect 'waits' "$("$BUILD/lib/json_get" 1.waits_for_mail <"$TEST_DIR/out")" false
ctl_exit 0 status a-new
shows '^a-new: WAITS FOR MAIL; master(8) starts it'
expect 'lines of the one that never ran' "$(wc -l <"$TEST_DIR/out")" 1
mkdir "$p/data/headroom.a-new"
# Its snapshot is another's.
cp "$p/data/headroom.$SERVICE/status.json" "$p/data/headroom.a-new/"
ctl_exit 3 status a-new
grep -q 'a-new/status.json cannot be read (damaged, or of another service)' "$TEST_DIR/err" ||
    fail "a snapshot of another service: $(cat "$TEST_DIR/out" "$TEST_DIR/err")"
# Taken out of master.cf: it is neither running nor missed.
postfix_service "$p" a-new
ctl_exit 0 status
ctl_exit 0 watch -n 1
rm -r "$p/data/headroom.a-new"
for words in "history $SERVICE x" "plot $SERVICE x" "watch -n 1 $SERVICE x" 'watch -n -1'; do
    # shellcheck disable=SC2086
    ctl_exit 4 $words
done

say 'metrics'
wait_for 15 test -s "$metrics/$SERVICE.prom" || fail 'no metrics'
grep -q "^headroom_workers_max{service=\"$SERVICE\"} 30$" "$metrics/$SERVICE.prom" || fail "$(cat "$metrics/$SERVICE.prom")"
expect 'rights of the metrics' "$(stat -c %a "$metrics/$SERVICE.prom")" 644
expect 'files beside it' "$(ls -A "$metrics")" "$SERVICE.prom"
promtool=${PROMTOOL:-$(command -v promtool || true)}
if [ -n "$promtool" ]; then
    "$promtool" check metrics <"$metrics/$SERVICE.prom" || fail "promtool finds fault"
    (cd "${0%/*}/../../packaging/monitoring" && "$promtool" test rules headroom.rules.test.yml) || fail 'the alerts'
fi

say 'what fails, and why'
# With a reply that has no DSN: the reason is in the defer log. With one: in the reply.
send fails 1 --rcpt defer@fails.invalid
send busy 1 --rcpt busy@busy.invalid
destinations_show()
{
    ctl destinations "$SERVICE" >"$TEST_DIR/out" 2>&1 && grep -A 1 "^$1" "$TEST_DIR/out" | grep -q "$2"
}
wait_for 15 destinations_show fails.invalid '[0-9] failed since .*: 4.* said: 451 ' || fail "why: $(cat "$TEST_DIR/out")"
wait_for 15 destinations_show busy.invalid '[0-9] failed since .*: 4.* said: 421 ' || fail "why: $(cat "$TEST_DIR/out")"
cat "$TEST_DIR/out"
shows '^    -> the server is busy'
ctl_exit 0 status --json
"$BUILD/lib/json_get" 0.status.destinations.0.reason <"$TEST_DIR/out" >"$TEST_DIR/value"
grep -q ' said: 4[25]1 ' "$TEST_DIR/value" || fail "the reason, for programs: $(cat "$TEST_DIR/value")"
expect 'advice, for programs' "$("$BUILD/lib/json_get" 0.advice.0.destination <"$TEST_DIR/out")" busy.invalid
expect 'limits, for programs' "$("$BUILD/lib/json_get" 0.limits.0.most <"$TEST_DIR/out")" 30
ctl_exit 0 busy
shows 'no delivery runs for longer than 10 min'
ctl_exit 4 busy --longer=soon
# qmgr(8) has moved both a moment after the replies were seen. Their times are set by hand: in 1000 s.
deferred_are()
{
    [ "$(find "$p/queue/deferred" -type f | wc -l)" = "$1" ]
}
wait_for 15 deferred_are 2 || fail "deferred: $(find "$p/queue/deferred" -type f)"
find "$p/queue/deferred" -type f -exec touch -d '1000 seconds' {} +
ctl_exit 0 retries
cat "$TEST_DIR/out"
shows '^2 deferred messages in .*/queue, of all transports' '^  next queue run  *0$' '^  from [0-9:]*  *2  ####*$' \
    '^At most 2 (100.0 %) ' "^$SERVICE: Headroom itself deferred 0 requests since"
ctl_exit 0 retries --json "$SERVICE"
expect 'retries, for programs' "$("$BUILD/lib/json_get" peak.messages <"$TEST_DIR/out")" 2
ctl_exit 0 status
shows "^ *in Postfix's queue are 2 deferred messages, of all transports: headroomctl retries"
sink_tell "$s" set defer ok
sink_tell "$s" set busy ok
postfix_flush "$p"
postfix_wait_empty "$p" 30 || fail 'what had failed is not delivered'

say 'hold and release'
ctl_exit 0 hold
shows '^no destination is held'
ctl_exit 0 hold Held.invalid for 1h "$SERVICE"
shows "^held.invalid is held by root since [0-9:]* until [-0-9: ]*, for $SERVICE\$"
grep -q 'held.invalid is not among what headroomctl destinations shows' "$TEST_DIR/err" || fail "no doubt: $(cat "$TEST_DIR/err")"
ctl_exit 4 hold held.invalid for ever
ctl_exit 4 hold 'held.invalid x'
ctl_exit 4 hold held.invalid for 1h nowhere
ctl_exit 4 release other.invalid
held_said()
{
    [ "$(journald_show -q -o cat HEADROOM_EVENT=holds | grep -c 'held by an operator: 1;')" -ge "$1" ]
}
wait_for 15 held_said 1 || fail 'it is not held'
send held 5 --rcpt 'user%d@held.invalid'
held_wait()
{
    ctl destinations "$SERVICE" >"$TEST_DIR/out" 2>&1 && grep -q "^held.invalid [a-z -]*[0-9:]*  *0  *$1 " "$TEST_DIR/out"
}
wait_for 15 held_wait 5 || fail "held: $(cat "$TEST_DIR/out")"
shows "^held.invalid is held by root since"
wait_for 15 status_shows 'Cause  *an operator: 5 of 5 waiting are for destinations that are held' || fail "status: $(ctl status)"
send beside 5
beside()
{
    [ "$(lines "$s/delivered" ' <beside')" -ge 5 ]
}
wait_for 15 beside || fail 'mail to others does not go on'
# Over a reload, too: what waited comes back from qmgr(8), and one more.
postfix_reload "$p"
send held-more 1 --rcpt 'user%d@held.invalid'
wait_for 15 held_said 2 || fail 'it is not held after a reload'
postfix_flush "$p"
wait_for 80 held_wait 6 || fail "after a reload: $(cat "$TEST_DIR/out")"
expect 'held and delivered' "$(lines "$s/delivered" 'held.invalid')" 0
status_shows 'Deferred  *nothing by us' || fail "status: $(ctl status)"
ctl_exit 0 release held.invalid
postfix_wait_empty "$p" 30 || fail 'what was released is not delivered'
expect 'released' "$(lines "$s/delivered" 'held.invalid')" 6

say 'dead domains'
for dead in 1 2 3; do
    send "dead$dead" 60 --rcpt "silent%d@dead$dead.invalid"
done
stuck()
{
    ctl destinations | grep -q 'dead1.invalid  *\(dead\|first\|passed\|unknown\)  *.* [1-9][0-9]* '
}
wait_for 20 stuck || fail "destinations: $(ctl destinations)"
wait_for 20 status_shows 'the other side' || fail "status: $(ctl status)"
ctl status
ctl_exit 0 destinations
cat "$TEST_DIR/out"
shows dead1.invalid dead2.invalid dead3.invalid
ctl_exit 0 busy --longer=5s "$SERVICE"
# shellcheck disable=SC2046
set -- $(sed -n '/@*dead1.invalid$/{p;q;}' "$TEST_DIR/out")
expect 'the agent of a long delivery' "$(cat "/proc/$2/comm")" lmtp
# What is reached, in the same moment: the lane that these are in.
ctl_exit 0 status --limits
cat "$TEST_DIR/out"
shows '^. workers  *[0-9]* *30 ' '^\* .*[0-9]  ' '^  descriptors of headroom  *[1-9]' '^  active queue of Postfix  *[1-9][0-9]* *20000 ' \
    '^    requests of this service  *[1-9]'
[ -f "$p/queue/active/$1" ] || fail "no such message: $(cat "$TEST_DIR/out")"
wait_for 15 grep -q '^headroom_requests_waiting.* [1-9]' "$metrics/$SERVICE.prom" || fail 'nothing waits in the metrics'
if grep -q invalid "$metrics/$SERVICE.prom"; then
    fail 'domains in the metrics'
fi

wait_for 20 status_shows "Deferred .* too many wait [1-9]" || fail "status: $(ctl status)"

say 'watch'
ctl_exit 0 watch -n 2
expect 'lines without a terminal' "$(grep -c "$SERVICE OPEN limit" "$TEST_DIR/out")" 2
if grep -q "$(printf '\033')" "$TEST_DIR/out"; then
    fail 'sequences for a terminal in a file'
fi
if command -v tmux >/dev/null; then
    pane()
    {
        tmux -S "$TEST_DIR/tmux" "$@"
    }
    pane_shows()
    {
        pane capture-pane -p -t watch | grep -q -e "$1"
    }
    AT_EXIT="tmux -S '$TEST_DIR/tmux' kill-server 2>/dev/null; $AT_EXIT"
    LC_ALL=C.UTF-8 pane -u -f /dev/null new-session -d -s watch -x 100 -y 30 sh
    pane send-keys -t watch "LC_ALL=C.UTF-8 $BUILD/headroomctl -c $p/etc watch" Enter
    wait_for 15 pane_shows '^  waiting .*|.*[▁▂▃▄▅▆▇█][▁▂▃▄▅▆▇█]' || fail "the terminal: $(pane capture-pane -p -t watch)"
    pane capture-pane -p -t watch
    pane_shows "^$SERVICE: OPEN since" || fail 'no state in the terminal'
    pane resize-window -t watch -x 60 -y 12
    wait_for 5 pane_shows '^  q ends' || fail "smaller: $(pane capture-pane -p -t watch)"
    # The state stays in the first row, and in view, when everything is too wide: rows end between words.
    pane resize-window -t watch -x 20 -y 12
    narrow()
    {
        [ "$(pane capture-pane -p -t watch | sed -n '1p;12p')" = "$(printf '%s\n  q ends; every seco' "$SERVICE: OPEN")" ]
    }
    wait_for 5 narrow || fail "20 columns: $(pane capture-pane -p -t watch)"
    pane send-keys -t watch q
    # The other screen is gone, and the terminal shows again what is typed.
    pane send-keys -t watch 'echo "<$?>"' Enter
    wait_for 5 pane_shows '<0>' || fail "after q: $(pane capture-pane -p -t watch)"
    ! pane_shows 'q ends' || fail 'the screen of watch is still there'
else
    say 'no tmux: left out'
fi

say 'no memory'
configure '{"defaults": {"workers": {"max": 30}, '"$unpressed"', "memory": {"min_available": "60000G"}, "shed": {"after": "6s", "grace": "1h"}, "status": {"public": true}}}'
ctl_exit 0 check
shows 'was changed after service' 'memory.min_available *"60000G"'
# Otherwise the workers of before count, and are at the limit, until they have finished.
sink_tell "$s" heal
postfix_flush "$p"
postfix_wait_empty "$p" 60 || fail "what is well again is not delivered"
sink_tell "$s" set silent silent
postfix_reload "$p"
send more 50 --rcpt 'silent%d@dead%d.invalid' --cycle 30
wait_for 20 status_shows ': HOLD since' || fail "status: $(ctl status)"
ctl_exit 1 status
cat "$TEST_DIR/out"
shows "^$SERVICE: HOLD since .*memory available [0-9.]*[MG] is below memory.min_available" \
    'Cause  *us: memory keeps the limit at 1 (memory.min_available)' 'Last changes' '^  [0-9:]* HOLD '
wait_for 30 status_shows ': SHED since' || fail "status: $(ctl status)"
ctl_exit 2 status
# For those who may not see more.
got=0
setpriv --reuid=nobody --regid=nogroup --clear-groups "$p/daemon/headroomctl" -c "$p/etc" status >"$TEST_DIR/out" 2>&1 || got=$?
cat "$TEST_DIR/out"
expect 'status for everybody' "$got" 2
shows "^$SERVICE: SHED, [0-9]* s ago; this is what everybody may see" '^  delivered [0-9]' '^  since 20[0-9-]* [0-9:]*$' '^  reason memory available'
! grep -q 'invalid' "$TEST_DIR/out" || fail 'domains'

say 'a broken file'
configure '{"defaults": {"workers": {"max": "many"}}'
ctl_exit 1 check
shows '^WRONG .*headroom.json:[0-9]*:[0-9]*: ' 'uses the last good copy' 'workers.max  *30 '
ctl_exit 1 check "$TEST_DIR/absent.json"
shows '^WRONG .*absent.json: No such file'
echo '{"defaults": {"agent": "lmpt", "wokers": {}}}' >"$TEST_DIR/other.json"
ctl_exit 1 check "$TEST_DIR/other.json"
shows '^warning .*other.json:1:32: .*workers' '^WRONG .*/lmpt: No such file' 'cure: '

chmod g+w "$TEST_DIR/other.json"
ctl_exit 1 check "$TEST_DIR/other.json"
shows '^warning .*other.json can be written by others than root (mode 664).*; chown root and chmod go-w$'
head -c 2000000 /dev/zero >"$TEST_DIR/other.json"
ctl_exit 1 check "$TEST_DIR/other.json"
shows '^WRONG .*other.json: larger than 1 MiB'
echo '{"defaults": {"agent": "headroom"}}' >"$TEST_DIR/other.json"
ctl_exit 1 check "$TEST_DIR/other.json"
shows '^WRONG .*:1:24: agent is "headroom" but must be a delivery agent, such as lmtp'

say 'not running'
postfix_stop "$p" || fail 'something was left'
ctl_exit 3 status
shows "^$SERVICE: NOT RUNNING" 'SHED'

say 'a snapshot that somebody wrote who has taken over the dispatcher'
own=$p/data/headroom.$SERVICE/status.json
cp "$own" "$TEST_DIR/own.json"
evil='\u001b]0;title\u0007\u009b2J\r\n'
cat >"$own" <<J
{"format": 2, "version": "$evil", "service": "$SERVICE", "state": {"name": "OPEN$evil", "reason": "$evil", "key": "$evil"},
 "workers": {"why": "$evil"}, "memory": {"mode": "$evil"}, "faults": {"start_error": "$evil", "failed_starts": 1},
 "changes": [{"time": 1790000000000000, "state": "$evil", "reason": "$evil"}],
 "destinations": [{"name": "dead1.example", "lane": "dead\n*\trelay:[203.0.113.66]:25"},
  {"name": "dead2.example\n*\trelay:[203.0.113.66]:25", "lane": "dead"}, {"name": "$evil", "lane": "$evil", "waiting": 1},
  {"name": ".example", "lane": "dead"}, {"name": "-dead3.example", "lane": "dead"}, {"name": "[192.0.2.1]", "lane": "dead"},
  {"name": "dead4.example", "lane": "dead"}, {"name": "m\u00fcnchen.example", "lane": "dead"}]}
J
for words in status watch\ -n\ 1 destinations 'history --since=2020-01-01'; do
    # shellcheck disable=SC2086
    ctl $words >"$TEST_DIR/out" 2>"$TEST_DIR/err" || true
    shows .
    tr -d '\n\t -~' <"$TEST_DIR/out" | sed 's/ü//g' >"$TEST_DIR/rest"
    tr -d '\n -~' <"$TEST_DIR/err" >>"$TEST_DIR/rest"
    [ ! -s "$TEST_DIR/rest" ] || fail "$words writes to the terminal: $(od -c "$TEST_DIR/rest")"
done
cp "$TEST_DIR/own.json" "$own"

say 'the journal'
journald_show -o cat --output-fields=MESSAGE HEADROOM_SERVICE="$SERVICE" >"$TEST_DIR/lines"
# 20, and what hold and release add: a reload (end, start, group, forks) and three lines of their own.
[ "$(wc -l <"$TEST_DIR/lines")" -le 27 ] || fail "so many lines: $(cat "$TEST_DIR/lines")"
if grep -q -e 'invalid' -e '@' "$TEST_DIR/lines"; then
    fail "domains in the journal: $(cat "$TEST_DIR/lines")"
fi
journald_show -o export HEADROOM_EVENT=state HEADROOM_STATE=HOLD -n 1 >"$TEST_DIR/hold"
for field in SERVICE=$SERVICE LIMIT=1 'WORKERS=[0-9]' 'BUSY=[0-9]' 'WAITING=[0-9]' 'REASON=memory available' \
    'VALUE=[0-9]*$' 'THRESHOLD=64424509440000$' 'KEY=memory.min_available$' 'AVAILABLE=[0-9]' 'PRESSURE=[0-9.]*%$'; do
    grep -q "^HEADROOM_$field" "$TEST_DIR/hold" || fail "no $field in: $(cat "$TEST_DIR/hold")"
done
# Deferring is never silent, whatever the state.
grep -q "^still OPEN: .* deferred (memory 0, too many wait [1-9][0-9]*, slow or dead destination 0)" "$TEST_DIR/lines" ||
    fail "no line on what was deferred: $(cat "$TEST_DIR/lines")"
grep -q '^PRIORITY=4$' "$TEST_DIR/hold" || fail 'HOLD is no warning'
ctl_exit 0 history --since=1h
cat "$TEST_DIR/out"
shows "$SERVICE  *start " "$SERVICE  *HOLD " "$SERVICE  *SHED " "$SERVICE  *exit "
# Anybody can write such a line; journald knows that it was not us.
setpriv --reuid=nobody --regid=nogroup --clear-groups logger --journald <<'L' || true
HEADROOM_EVENT=state
HEADROOM_SERVICE=forged
MESSAGE=forged
L
journald_show -n 1 MESSAGE=forged | grep -q forged || fail 'the forged line did not arrive'
ctl_exit 0 history
if grep -q forged "$TEST_DIR/out"; then
    fail 'a forged line is believed'
fi
ctl_exit 4 history --since=whenever
ctl_exit 0 plot --since=1h -o "$TEST_DIR/plot.svg"
for word in '<svg ' '</svg>' 'Workers' 'Memory pressure' '<path fill="none" stroke="#1f5fa8" stroke-width="1.5" d="M'; do
    grep -q "$word" "$TEST_DIR/plot.svg" || fail "no $word in the drawing"
done
! command -v xmllint >/dev/null || xmllint --noout "$TEST_DIR/plot.svg" || fail 'the drawing is no XML'

say 'started again: the changes are remembered, and domains are named where that is wanted'
configure '{"defaults": {"workers": {"max": 30}, '"$unpressed"', "memory": {"min_available": "60000G"}, "shed": {"after": "4s", "grace": "1h"}, "journal": {"domains": true}}}'
chmod o+w "$p/etc/headroom.json"
postfix_start "$p"
postfix_flush "$p"
send named 5 --rcpt 'silent%d@named.invalid'
wait_for 30 status_shows ': SHED since' || fail "status: $(ctl status)"
ctl_exit 2 status
journald_show -o cat --output-fields=MESSAGE HEADROOM_EVENT=configuration >"$TEST_DIR/lines"
expect 'lines about who may write the file' "$(grep -c 'headroom.json can be written by others than root' "$TEST_DIR/lines")" 1
# Two lives, in each HOLD and SHED.
expect 'changes' "$(grep -c '^  [0-9:]* *\(HOLD\|SHED\) .*limit 1' "$TEST_DIR/out")" 4
named()
{
    journald_show -o cat --output-fields=MESSAGE HEADROOM_EVENT=state HEADROOM_STATE=SHED | grep -q 'waiting, most of them for [a-z0-9]*\.invalid'
}
wait_for 10 named || fail "no domain: $(journald_show -o cat HEADROOM_EVENT=state)"
