#!/bin/sh
# A neighbour leaves the pool no room at all: after shed.after what waits is deferred through retry(8), with 4.3.2 and the
# reason in the queue and the log; what is being delivered is not touched, mail at the end of its lifetime is not deferred.
# SHED is left by itself when memory is back. Without retry(8) mail is deferred all the same, and one line says why.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/memory.sh
. "$LIBRARY/memory.sh"

limit=300
# A neighbour takes all that the pool could have and 3 MB more, so that L is at workers.min.
short=-3

reason='4\.3\.2.*delivery deferred: this system is short of memory (working set [0-9.]*M is [^)]*)'
# The supervisor's deferrals, as Postfix logs them.
told_deferred()
{
    lines "$(postfix_log "$p")" 'postfix/error.*dsn=4\.3\.2, status=deferred (delivery deferred: this system is short of memory'
}
at_least_deferred()
{
    [ "$(told_deferred)" -ge "$1" ]
}

memory_create "$p" 'inet:[127.0.0.1]:10083' 'maximal_backoff_time = 100s' 'minimal_backoff_time = 100s' 'queue_run_delay = 100s'
memory_hide_stall
memory_config "$p" '{"workers": {"min": 1, "max": 6}, "shed": {"after": 2, "grace": 1}, "destination": {"slow_after": "1h"}}'
# A front door beside the usual one, as headroomctl(8) has it.
door=$(postfix_address "$p")
door=${door%:*}:2526
postfix_service "$p" door "$door inet n - n - - smtpd
  -o { smtpd_client_restrictions = check_policy_service unix:private/headroom-policy }"
postfix_service "$p" headroom-policy "headroom-policy unix - n n - 0 spawn
  user=nobody argv=$BUILD/headroomctl policy"
# knock: one message at the front door; says what it says.
knock()
{
    mailgen --to "$door" --prefix knock --sent "$TEST_DIR/knocked" --count 1 --rcpt 'user%d@silent%d.invalid' >>"$TEST_DIR/knock" 2>&1 || :
    lines "$(postfix_log "$p")" 'smtpd.*reject: RCPT.*450 4\.3\.2 .*This system is short of memory; try again later'
}
sink_start "$s" 127.0.0.1:10083 'set silent ok'
memory_limit "${limit}M"
memory_watch_start "$watch"
memory_in postfix_start "$p"
# Three messages that have a minute left of their five days, put aside until later.
postfix_hold "$p"
mailgen --to "$(postfix_address "$p")" --prefix old --sent "$TEST_DIR/sent" --count 3 --rcpt 'user%d@silent%d.invalid' --cycle 3
expect 'put aside' "$(postfix_count "$p" hold)" 3
postfix_main "$p" 'smtpd_data_restrictions ='
postfix_stop "$p"
postfix_age "$p" $((5 * 86400 - 60))
old=$(find "$p/queue/hold" -type f -exec basename {} \; | tr '\n' ' ')
memory_in postfix_start "$p"
mailgen --to "$(postfix_address "$p")" --prefix warm --sent "$TEST_DIR/sent" --count 40 --rcpt 'user%d@silent%d.invalid' --cycle 10
postfix_deliver_forty()
{
    [ "$(lines "$s/delivered" ' delivered ')" -eq 40 ]
}
wait_for 20 postfix_deliver_forty || fail 'the first mail was not delivered'

say 'six are being delivered, 20 and the old ones wait'
sink_tell "$s" set silent silent
memory_load "$p" 6 10
wait_for 10 holding 6 || fail 'six are not being delivered'
postsuper -c "$p/etc" -H ALL 2>>"$TEST_DIR/postsuper"
postqueue -c "$p/etc" -f
wait_for 10 grep -q "qmgr.*${old%% *}: .*queue active" "$(postfix_log "$p")" || fail 'the old mail did not get active'
memory_load "$p" 20 10 more
memory_neighbour "$limit" "$short"
full=$(now)
# It takes half a minute over all of them.
wait_for 25 at_least_deferred 4 || fail "only $(told_deferred) of 20 were deferred within 25 s"
say "deferred within $(memory_since "$full" "$(now)") s of the shortage"
expect 'turned away at the front door' "$(knock)" 1
sleep 1
expect 'being delivered' "$(sink_value "$s" silent.holding), given up $(sink_value "$s" abandoned)" '6, given up 0'
postqueue -c "$p/etc" -j >"$TEST_DIR/queue"
reasons=$(lines "$TEST_DIR/queue" 'delay_reason.*delivery deferred: this system is short of memory (working set ')
deferred=$(told_deferred)
say "$deferred deferred, $reasons reasons in the queue"
[ "$reasons" -ge 4 ] && [ "$reasons" -le "$deferred" ] || fail 'the queue does not show the reasons'
for id in $old; do
    expect "deferrals and bounces of old mail $id" "$(lines "$(postfix_log "$p")" ": $id: .*status=\\(deferred\\|bounced\\)")" 0
done
grep -m 1 "postfix/error.*$reason" "$(postfix_log "$p")" || grep -m 1 'postfix/error.*deferred' "$(postfix_log "$p")"
head -n 1 "$TEST_DIR/queue"
kill "$neighbour"
calm=$(now)
wait_for 60 headroom_last_is "$p" OPEN || fail 'OPEN was not reached within 60 s of calm'
say "OPEN after $(memory_since "$calm" "$(now)") s of calm"
wait_for 10 grep -q '^OPEN ' "$p/queue/pid/headroom-state.lmtp-test" || fail 'the front door was not told'
expect 'turned away at the front door, and after it' "$(knock)" 1
touch "$p/etc/headroom.closed"
knock >/dev/null
rm "$p/etc/headroom.closed"
expect 'turned away by hand' "$(lines "$(postfix_log "$p")" 'smtpd.*reject: RCPT.*450 4\.3\.2 .*This system takes no mail')" 1
headroom_lines "$p" ' now \| still '
[ -n "$(headroom_lines "$p" ' now SHED')" ] || fail 'SHED was not said'
# Back in OPEN the lines have what the time since was like: each deferral that Postfix logged, and none of another kind.
headroom_lines "$p" ' now OPEN:.*; it was not open for ' | sed 's/.*; it was not open for //' >"$TEST_DIR/totals"
# Two at most are with retry(8) at that moment: they count when it has answered.
sed 's/.* \([0-9]*\) deferred (memory \([0-9]*\),.*/\1 \2/' "$TEST_DIR/totals" |
    awk -v told="$(told_deferred)" '{ all += $1; memory += $2 } END { exit !(all == memory && all <= told && all >= told - 2) }' ||
    fail "deferrals in the totals, of $(told_deferred): $(cat "$TEST_DIR/totals")"
expect 'totals of another kind' \
    "$(grep -v -c ', 0 failed by workers, .*, too many wait 0, slow or dead destination 0), 0 lost$' "$TEST_DIR/totals")" 0
expect 'OOM kills' "$(memory_watch_max "$watch" 7)+$(memory_watch_max "$watch" 3)" 0+0
memory_drain "$p" "$s" 30
# What an operator's mtail makes of these lines.
mtail=${MTAIL:-$(command -v mtail || true)}
[ -z "$mtail" ] || expect 'deferrals that mtail counts' "$("$mtail" --one_shot --one_shot_format=prometheus --logs "$(postfix_log "$p")" \
    --progs "${0%/*}/../../packaging/monitoring/headroom.mtail" | sed -n 's/^headroom_log_deferred_total{.*} //p')" "$(told_deferred)"

recorded=$(told_deferred)
say 'without retry(8)'
postfix_stop "$p" || fail 'Postfix left something behind'
postfix_service "$p" retry
sink_tell "$s" set silent ok
memory_in postfix_start "$p"
mailgen --to "$(postfix_address "$p")" --prefix again --sent "$TEST_DIR/sent" --count 40 --rcpt 'user%d@silent%d.invalid' --cycle 10
postfix_wait_empty "$p" 20 || fail 'mail was left'
sink_tell "$s" set silent silent
memory_load "$p" 26 10 bare
wait_for 10 holding 6 || fail 'six are not being delivered'
memory_neighbour "$limit" "$short"
bare()
{
    [ "$(postfix_count "$p" deferred)" -ge 4 ]
}
wait_for 25 bare || fail "only $(postfix_count "$p" deferred) of 20 were deferred without retry(8)"
sleep 1
headroom_lines "$p" 'service retry'
expect 'lines about retry(8)' "$(headroom_lines "$p" 'service retry' | wc -l)" 1
expect "deferred with a record" "$(told_deferred)" "$recorded"
kill "$neighbour"
memory_drain "$p" "$s" 30
memory_end "$p" "$s"
