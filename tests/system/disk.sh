#!/bin/sh
# The disk of the queue fills up while mail waits: nothing is deferred, since no record could be written, one line says so, status
# names it, and deliveries go on, which makes room. A second line when it is over. Then it has no inode left, which is the same; and
# then it is read-only: no delivery begins, for no agent could mark what it has delivered.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

[ -n "${TEST_ISOLATED:-}" ] || skip 'needs a mount namespace of its own: start it with tests/run'

ctl()
{
    "$BUILD/headroomctl" -c "$p/etc" "$@"
}

status_shows()
{
    ctl status "$SERVICE" 2>/dev/null | grep -q -e "$1"
}

scene
mkdir "$TEST_DIR/disk"
mount -t tmpfs -o size=16m,nr_inodes=2000,mode=755 tmpfs "$TEST_DIR/disk"
cp -a "$p/queue/." "$TEST_DIR/disk/"
mount --move "$TEST_DIR/disk" "$p/queue" 2>/dev/null || mount --bind "$TEST_DIR/disk" "$p/queue"
# The files that are open for writing: a file system with such a one cannot become read-only.
mkdir -p "$p/queue/pid"
mount --bind "$p/queue/pid" "$p/queue/pid"
configure "{\"defaults\": {$unpressed, \"waiting\": {\"max\": 20}}}"
begin
ctl hold site.invalid
send first 1
postfix_wait_empty "$p" 20 || fail 'not delivered'
send held 15 --rcpt 'user%d@site.invalid'
wait_for 15 status_shows '15 waiting' || fail "status: $(ctl status)"

say 'the disk is full'
dd if=/dev/zero of="$p/queue/filler" bs=1M 2>"$TEST_DIR/dd" && fail 'it is not full'
expect_said 'lines that it is full' 'has no space or inode left: free are 0 of [1-9][0-9]* blocks and [1-9][0-9]* of [1-9][0-9]* inodes; ' 1
wait_for 15 status_shows 'Cause  *this machine: the disk of the queue is full, so nothing is deferred' || fail "status: $(ctl status)"
status_shows '^  Queue ' || fail "status: $(ctl status)"
ctl release site.invalid
postfix_wait_empty "$p" 20 || fail "not delivered with a full disk: $(ctl status)"
rm "$p/queue/filler"
expect_said 'lines that it is not any more' 'can be written to again' 1

say 'no inode is left'
mkdir "$p/queue/fillers"
seq 3000 | (cd "$p/queue/fillers" && xargs touch) 2>"$TEST_DIR/touch" && fail 'there is no end of them'
expect_said 'lines that it has no inode' 'free are [1-9][0-9]* of [1-9][0-9]* blocks and 0 of [1-9][0-9]* inodes; ' 1
rm -r "$p/queue/fillers"
expect_said 'lines that it is not any more' 'can be written to again' 2

say 'it is read-only'
ctl hold site.invalid
expect_said 'lines that it is held again' 'held by an operator: 1;' 2
send more 5 --rcpt 'user%d@site.invalid'
wait_for 15 status_shows '5 waiting' || fail "status: $(ctl status)"
delivered=$(lines "$s/delivered" ' delivered ')
readonly_is()
{
    mount -o "remount,bind,$1" "$p/queue" 2>>"$TEST_DIR/mount"
}
wait_for 10 readonly_is ro || fail "$(tail -n 1 "$TEST_DIR/mount")"
expect_said 'lines that it is read-only' 'is read-only: no agent could mark what it has delivered' 1
ctl release site.invalid
wait_for 15 status_shows 'Cause  *this machine: the queue is read-only, so no delivery begins' || fail "status: $(ctl status)"
held_are_none()
{
    ! ctl destinations "$SERVICE" | grep -q 'site.invalid is held'
}
wait_for 15 held_are_none || fail 'it is still held'
expect_said 'lines that nothing is held' 'no destination is held any more' 2
expect 'deliveries that began' "$(lines "$s/delivered" ' delivered ')" "$delivered"
readonly_is rw || fail "$(tail -n 1 "$TEST_DIR/mount")"
postfix_wait_empty "$p" 20 || fail "not delivered when it can be written to again: $(ctl status)"
expect_said 'lines that it is not any more' 'can be written to again' 3
expect 'deferred' "$(said 'status=deferred')" 0
accounts || fail 'see above'
calm
postfix_stop "$p" || fail 'something was left'
