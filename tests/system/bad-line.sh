#!/bin/sh
# A line in master.cf that cannot be used: the reason is in Postfix's own log, mail waits, and flows when the line is mended.
# waits

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
cannot()
{
    [ "$(said "postfix/headroom\[[0-9]*\]: fatal: cannot run: .*$1")" -ge 1 ]
}

say 'a setting without a name'
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - - headroom -o =x'
begin
send waits 20
wait_for 10 cannot 'missing attribute name' || fail 'a setting without a name is not said'

say 'an option that there is not'
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - - headroom -Q'
postfix_reload "$p"
postfix_flush "$p"
wait_for 10 cannot '-Q: unknown option' || fail 'an unknown option is not said'

say 'its lock cannot be had'
postfix_service "$p" lmtp-test 'lmtp-test unix - - n - - headroom'
rm -f "$p/queue/pid/headroom.lmtp-test"
mkdir "$p/queue/pid/headroom.lmtp-test"
postfix_reload "$p"
postfix_flush "$p"
wait_for 10 cannot 'lock .*pid/headroom.lmtp-test: Is a directory' || fail 'a directory in the place of its lock is not said'
ended_in_order()
{
    [ "$(said "master.*warning: process $p/daemon/headroom pid [0-9]* exit status 1")" -ge 1 ]
}
wait_for 5 ended_in_order || fail 'it did not end'
expect_said 'crashes' "master.*process $p/daemon/headroom pid [0-9]* killed by signal" 0
rmdir "$p/queue/pid/headroom.lmtp-test"

say 'mended'
postfix_reload "$p"
drain 20 || fail 'mail does not flow'
expect 'after all' "$(accounts)" 'sent 20, delivered 20, queued 0, bounced 0, lost 0, doubled 0'
