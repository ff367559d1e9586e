#!/bin/sh
# The agent is missing, is no program, ends at once: mail waits without being deferred or bounced, it is said once for each
# change, nothing is started in a loop, and mail flows when it is mended.
# waits

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

agent()
{
    configure "{\"defaults\": {\"agent\": \"$1\"}}"
}
scene
agent nothere
begin
cannot()
{
    [ "$(said "error: cannot start $p/daemon/$1: $2")" -ge 1 ]
}
queued()
{
    [ "$(postfix_count "$p" incoming active)" -eq "$1" ]
}
# A message that just goes from one queue to the other may be counted twice.
expect_queued()
{
    wait_for 5 queued "$1" || fail "in the queue: $(postfix_count "$p" incoming active), wanted $1"
}
waits()
{
    expect_queued "$1"
    expect 'deferred' "$(postfix_count "$p" deferred)" 0
    expect_said 'delivery lines' 'status=' 0
}

say 'there is no such program'
send waits 30
wait_for 10 cannot nothere 'No such file or directory; mail waits' || fail 'a missing agent is not said'

say 'it is no program'
echo text >"$p/daemon/noprogram"
agent noprogram
postfix_reload "$p"
wait_for 10 cannot noprogram 'Permission denied; mail waits' || fail 'a file that is no program is not said'

say 'it ends at once'
cat >"$p/daemon/ends" <<A
#!/bin/sh
echo >>'$TEST_DIR/starts'
exit 3
A
chmod 755 "$p/daemon/ends"
agent ends
postfix_reload "$p"
wait_for 10 cannot ends 'it ended with exit status 3 before it was ready; mail waits' || fail 'its end is not said'
# How often it is started in six seconds is what is looked for: after 1, 2 and 4 s, and no more than eight at a time.
before=$(wc -l <"$TEST_DIR/starts")
sleep 6
after=$(wc -l <"$TEST_DIR/starts")
say "started $before times at once, $((after - before)) times in the next 6 s"
[ "$after" -gt "$before" ] || fail 'it was not tried again'
[ "$((after - before))" -le 24 ] && [ "$before" -le 8 ] || fail 'it is started in a loop'
waits 30
expect_said 'lines about it' 'cannot start' 3
expect_said 'supervisors' ' starts: service lmtp-test' 3

say 'it is mended while the supervisor runs'
cp -p "$p/daemon/lmtp" "$p/daemon/good"
mkdir "$p/daemon/real"
cp -p "$p/daemon/lmtp" "$p/daemon/real/lmtp"
printf '#!/bin/sh\nexec %s "$@"\n' "'$p/daemon/real/lmtp'" >"$p/daemon/ends.new"
chmod 755 "$p/daemon/ends.new"
mv "$p/daemon/ends.new" "$p/daemon/ends"
again()
{
    [ "$(said 'headroom\[.*: ends starts again')" -eq 1 ]
}
wait_for 20 again || fail 'it does not start again'
drain 20 || fail 'mail does not flow'

say 'missing again, and mended by a reload'
agent nothere
postfix_reload "$p"
send later 30
not_there_again()
{
    [ "$(said "error: cannot start $p/daemon/nothere: No such file")" -ge 2 ]
}
wait_for 10 not_there_again || fail 'a missing agent is not said'
expect_queued 30
agent lmtp
postfix_reload "$p"
drain 20 || fail 'mail does not flow'
expect 'after all' "$(accounts)" 'sent 60, delivered 60, queued 0, bounced 0, lost 0, doubled 0'
expect_said 'none was deferred' 'status=deferred' 0
calm
