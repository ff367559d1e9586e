#!/bin/sh
# A mistake in the configuration never stops mail: without a good one before, the defaults hold; with one, that one stays.
# It is said with file, line and column. A key that is not known is said with the nearest one.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
# A comma too many, in line 3, column 30.
configure '{
    "defaults": {
        "workers": {"max": 9},
    }
}'
begin 'set slow slow 0.2'

started()
{
    [ "$(said ' starts: service lmtp-test')" -ge "$1" ]
}
# start_line N: the Nth
start_line()
{
    wait_for 10 started "$1" || fail "no start line $1"
    grep ' starts: service lmtp-test' "$(postfix_log "$p")" | sed -n "$1p"
}

say 'broken before the first start'
send first 100
drain 20 || fail 'mail does not flow with the defaults'
case $(start_line 1) in
*'workers 1 to 500 (default), at most 2000 requests wait, configuration from the defaults'*) ;;
*) fail "start line: $(start_line 1)" ;;
esac
expect_said 'warnings' 'headroom\[.*warning: .*headroom\.json' 1
expect_said 'where' "warning: $p/etc/headroom\.json:3:30: " 1

say 'good'
configure '{"defaults": {"workers": {"max": 3}}}'
postfix_reload "$p"
send second 20
case $(start_line 2) in
*'workers 1 to 3 (workers.max in headroom.json), '*) ;;
*) fail "start line: $(start_line 2)" ;;
esac
drain 20 || fail 'mail does not flow'
expect_said 'warnings' 'headroom\[.*warning: .*headroom\.json' 1

say 'broken again: the last good one stays'
configure '{"defaults": {"workers": {"max": 3 "min": 1}}}'
postfix_reload "$p"
watch_workers "$TEST_DIR/most"
send third 60 --rcpt 'slow%d@good%d.invalid' --cycle 20
case $(start_line 3) in
*'workers 1 to 3 (workers.max in headroom.json), '*) ;;
*) fail "start line: $(start_line 3)" ;;
esac
drain 30 || fail 'mail does not flow with the last good configuration'
kill "$watcher"
expect 'most workers' "$(cat "$TEST_DIR/most")" 3
expect_said 'where' "warning: $p/etc/headroom\.json:1:35: " 1

say 'a wrong value, and keys that nobody knows'
configure '{"defaults": {"workers": {"max": -2}}}'
postfix_reload "$p"
send fourth 20
case $(start_line 4) in
*'workers 1 to 3 (workers.max in headroom.json), '*) ;;
*) fail "start line: $(start_line 4)" ;;
esac
expect_said 'where' "warning: $p/etc/headroom\.json:1:34: .*workers\.max" 1
configure '{"defaults": {"worker": {"max": 3}, "waiting": {"mx": 7}, "agent": "lmtp"}}'
postfix_reload "$p"
send fifth 20
case $(start_line 5) in
*'workers 1 to 500 (default), '*) ;;
*) fail "start line: $(start_line 5)" ;;
esac
expect_said 'near miss of a group' 'warning: .*headroom\.json:1:15: .*"\{0,1\}worker"\{0,1\}.*workers' 1
expect_said 'near miss of a key' 'warning: .*headroom\.json:1:49: .*mx.*waiting\.max' 1
drain 20 || fail 'mail does not flow'
expect 'after all' "$(accounts)" 'sent 220, delivered 220, queued 0, bounced 0, lost 0, doubled 0'
calm
