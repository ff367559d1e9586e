#!/bin/sh
# Its own directory below data_directory: removed while it runs, it is made again; with no room for another socket, the workers
# that there are go on, and the log says what is full.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
begin
no_workers()
{
    [ -z "$(workers)" ]
}
workers_end()
{
    # shellcheck disable=SC2046
    kill $(workers)
    wait_for 5 no_workers || fail 'workers do not end'
}
send before 50
wait_for 20 settled 50 || fail "not delivered: $(accounts)"
pair="$(parent) $(dispatcher)"

say 'removed, with idle workers, and again without'
rm -rf "$p/data/headroom.lmtp-test"
send removed 50
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
rm -rf "$p/data/headroom.lmtp-test"
workers_end
send again 50
wait_for 20 settled 150 || fail "not delivered: $(accounts)"
expect 'its directory' "$(stat -c '%U %a' "$p/data/headroom.lmtp-test")" 'postfix 700'
expect 'the supervisor' "$(parent) $(dispatcher)" "$pair"

say 'full'
mkdir "$TEST_DIR/small"
mount -t tmpfs -o nr_inodes=60 none "$TEST_DIR/small"
postfix_stop "$p"
chown postfix "$TEST_DIR/small"
chmod 700 "$TEST_DIR/small"
mount --bind "$TEST_DIR/small" "$p/data"
postfix_start "$p"
send room 20
wait_for 20 settled 170 || fail "not delivered: $(accounts)"
workers_end
rm -f "$p"/data/headroom.lmtp-test/worker.*
filled=0
while true >"$TEST_DIR/small/fill-$filled"; do
    filled=$((filled + 1))
done 2>/dev/null
send full 20
full()
{
    [ "$(said "cannot start .*/lmtp: no socket for it in $p/data/headroom.lmtp-test: No space left on device; mail waits")" -ge 1 ]
}
wait_for 10 full || fail 'it is not said'
rm -f "$TEST_DIR"/small/fill-*
drain 20 || fail 'mail does not flow'
expect 'after all' "$(accounts)" 'sent 190, delivered 190, queued 0, bounced 0, lost 0, doubled 0'
calm
postfix_stop "$p" || fail 'something is left'
umount "$p/data"
