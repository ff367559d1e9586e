#!/bin/sh
# Its own directory below data_directory: removed while it runs, it is made again, at the next reload where Landlock knows the old
# one only, and until then sockets are elsewhere; with no room for another socket, the workers that there are go on, and the log
# says what is full.
# waits

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
begin
no_workers()
{
    [ -z "$(workers)" ]
}
# Ends those that are there, also those that were asked for and are born only now: none is seen five times in a row.
none_comes()
{
    if no_workers; then
        none=$((none + 1))
    else
        none=0
        # One may have ended meanwhile.
        # shellcheck disable=SC2046
        kill $(workers) 2>/dev/null || true
    fi
    [ "$none" -ge 5 ]
}
workers_end()
{
    none=0
    wait_for 10 none_comes || fail 'workers do not end'
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
expect 'the supervisor' "$(parent) $(dispatcher)" "$pair"
if [ "$(said 'starts: .* Landlock [1-9]')" -gt 0 ]; then
    expect_said 'that it is gone' 'data/headroom.lmtp-test: No such file .*/private/headroom.lmtp-test; .postfix reload. makes it' 1
    postfix_reload "$p"
fi
send after 1
wait_for 20 settled 151 || fail "not delivered: $(accounts)"
expect 'its directory' "$(stat -c '%U %a' "$p/data/headroom.lmtp-test")" 'postfix 700'

# Delivered, with workers that start now. $total is what was sent so far.
total=151
flows()
{
    workers_end
    send "$1" 20
    total=$((total + 20))
    wait_for 20 settled "$total" || fail "$1: not delivered: $(accounts)"
}
# Where the sockets of its workers are that start now.
sockets_in()
{
    workers_end
    find "$p/data" "$p/queue/private" /dev/shm -type s -name 'worker.*' -delete
    flows "$1"
    find "$2" -maxdepth 1 -type s -name 'worker.*' | grep -q . || fail "$1: no socket in $2"
}
# lines_are WHAT PATTERN...: the warnings since the last call, beside one that the learned cannot be kept, which is tried once
# a minute.
lines_are()
{
    lines_what=$1
    shift
    grep 'headroom\[.* warning: ' "$(postfix_log "$p")" | tail -n +$((warnings + 1)) >"$TEST_DIR/warnings" || true
    warnings=$((warnings + $(wc -l <"$TEST_DIR/warnings")))
    sed -i '0,/\/learned: /{/\/learned: /d}' "$TEST_DIR/warnings"
    expect "$lines_what: warnings" "$(wc -l <"$TEST_DIR/warnings")" $#
    for lines_pattern in "$@"; do
        grep -q "$lines_pattern" "$TEST_DIR/warnings" || fail "$lines_what: not said: $lines_pattern: $(cat "$TEST_DIR/warnings")"
    done
}
warnings=$(said 'headroom\[.* warning: ')
own=$p/data/headroom.lmtp-test
other=$p/queue/private/headroom.lmtp-test
small=$TEST_DIR/small
small_inodes=60
status_fails="$own/status.json cannot be written: No space left on device"
# The kernel frees the inode of a removed socket a moment after its last process: full is when every inode has a name.
is_full()
{
    while true >"$small/fill-$filled"; do
        filled=$((filled + 1))
    done 2>/dev/null
    [ "$(find "$small" | wc -l)" -eq "$small_inodes" ]
}
fill()
{
    filled=0
    wait_for 10 is_full || fail "not full: $(find "$small" | wc -l)"
}
mount -t tmpfs none /dev/shm
chmod 1777 /dev/shm

say 'full while it runs, and with room again'
mkdir "$small"
mount -t tmpfs -o nr_inodes="$small_inodes" none "$small"
postfix_stop "$p"
chown postfix "$small"
chmod 700 "$small"
mount --bind "$small" "$p/data"
postfix_start "$p"
flows room
workers_end
rm -f "$own"/worker.*
fill
sockets_in full "$other"
expect 'its directory there' "$(stat -c '%U %a' "$other")" 'postfix 700'
wait_for 15 said_at_least "$status_fails" 1 || fail 'it is not said that the status cannot be written'
lines_are full "no socket of a worker can be made in $own: No space left on device; .* in $other; make room" "$status_fails"
rm -f "$small"/fill-*
sockets_in again "$own"
expect 'back' "$(said "sockets of workers are made in $own again")" 1

say 'full at the start, and no place in private'
postfix_stop "$p" || fail 'something is left'
[ ! -e "$other" ] || fail "$other is left"
rm -r "$own"
fill
true >"$other"
postfix_start "$p"
flows start
find /dev/shm/headroom.lmtp-test.* -type s -name 'worker.*' | grep -q . || fail 'no socket in memory'
sleep 2
lines_are start "$own cannot be a directory of postfix: No space left on device; mail flows without .*; make room"
rm -f "$small"/fill-*
sockets_in healed "$own"
wait_for 15 test -s "$own/status.json" || fail 'no status when there is room again'
postfix_stop "$p" || fail 'something is left'
expect 'in memory' "$(find /dev/shm -mindepth 1)" ''
rm -f "$other"

say 'it is of somebody else, and the supervisor is killed'
chown root "$own"
postfix_start "$p"
flows owner
find "$other" -type s -name 'worker.*' | grep -q . || fail "no socket in $other"
lines_are owner "$own cannot be a directory of postfix: Permission denied; .*; remove what is there"
pair="$(parent) $(dispatcher)"
# shellcheck disable=SC2086
kill -KILL $pair
wait_for 5 no_workers
flows killed
lines_are killed "$own cannot be a directory of postfix: Permission denied"
postfix_stop "$p" || fail 'something is left'
[ ! -e "$other" ] || fail "$other is left"
chown postfix "$own"

# Of a whole data_directory that is read-only stock master starts nothing: it cannot take its lock there.
say 'read-only'
mount --bind "$own" "$own"
mount -o remount,bind,ro "$own"
postfix_start "$p"
flows read-only
find "$other" -type s -name 'worker.*' | grep -q . || fail "no socket in $other"
wait_for 15 said_at_least "$own/status.json cannot be written: Read-only" 1 || fail 'status: not said'
lines_are read-only "made in $own: Read-only file system; .* in $other; mount it writable" \
    "$own/status.json cannot be written: Read-only"
expect 'after all' "$(accounts)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
calm
postfix_stop "$p" || fail 'something is left'
umount "$own" "$p/data"
