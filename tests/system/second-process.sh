#!/bin/sh
# Two supervisors for one service at the same time: the second steps aside and does no harm, and master does not start one
# after the other.
#
# The race: while the first has not accepted anything yet, because its first worker is slow to start, master is told in
# its name that it is taken (poke.c). A connection waits on the socket, so master starts another.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene
configure '{"defaults": {"workers": {"max": 10, "limit": "fixed"}}}'
# The agent waits before it starts, as long as the file is there.
mkdir "$p/daemon/real"
mv "$p/daemon/lmtp" "$p/daemon/real/lmtp"
cat >"$p/daemon/lmtp" <<A
#!/bin/sh
while [ -e '$TEST_DIR/slow' ]; do sleep 0.05; done
exec '$p/daemon/real/lmtp' "\$@"
A
chmod 755 "$p/daemon/lmtp"
: >"$TEST_DIR/slow"
begin

# Every supervisor that master ever starts, one line each.
: >"$TEST_DIR/pids"
(
    trap - EXIT
    while [ -d "$p/queue" ]; do
        for pid in $(supervisors); do
            grep -q "^$pid\$" "$TEST_DIR/pids" || echo "$pid" >>"$TEST_DIR/pids"
        done
        sleep 0.02
    done
) &
watcher=$!
AT_EXIT="kill $watcher 2>/dev/null; $AT_EXIT"
count()
{
    [ "$(wc -l <"$TEST_DIR/pids")" -ge "$1" ]
}
both()
{
    [ "$(supervisors | wc -l)" -eq 2 ]
}
starts_worker()
{
    [ -n "$(dispatcher)" ] && [ "$(children "$(parent)" lmtp | wc -l)" -ge 1 ]
}
# The agent's shell is called lmtp too.
send before 50
wait_for 10 starts_worker || fail 'no supervisor with a worker'
first=$(parent)
first_dispatcher=$(dispatcher)
poke taken "$first"
wait_for 5 both || fail 'master did not start a second process: the race was not forced'
second=$(supervisors | grep -v "^$first\$")
say "supervisors $first and $second at the same time"

rm "$TEST_DIR/slow"
postfix_wait_empty "$p" 4 || fail 'mail does not flow while there are two'
both || fail 'the second was gone before mail flowed: nothing was shown'
send during 100
postfix_wait_empty "$p" 4 || fail 'mail does not flow while there are two'
! flock -n "$p/queue/pid/headroom.lmtp-test" true || fail 'nobody holds the lock'
# It is the parent's to give back; and of master(8)'s pipes the dispatcher has no need.
find "/proc/$first_dispatcher/fd" -printf '%l %f\n' >"$TEST_DIR/fds"
expect 'seccomp of the dispatcher' "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$first_dispatcher/status")" 2
expect 'no new privileges' "$(awk '$1 == "NoNewPrivs:" { print $2 }' "/proc/$first_dispatcher/status")" 1
# Of the parent and of what it starts, where the unit lets it give them up.
for pid in "$first" $(workers); do
    [ -e /sys/fs/selinux/enforce ] ||
        expect 'no new privileges' "$(awk '$1 == "NoNewPrivs:" { print $2 }' "/proc/$pid/status")" 1
    expect 'capabilities' "$(awk '$1 == "CapBnd:" { print $2 }' "/proc/$pid/status")" 00000000000400e6
done
expect_said 'rights that are kept' 'are not given up' 0
expect_said 'how it is confined' 'configuration from the file, confined by seccomp, \(Landlock [1-9]\|no Landlock\)' 1
! grep -e '/pid/headroom[.]' -e '^pipe:' "$TEST_DIR/fds" || fail 'these are open in the dispatcher'
wait_for 10 gone "$second" || fail 'the second does not step aside'
expect_said 'what it says' "headroom\[$second\]: another process runs service lmtp-test" 1
send after 100
postfix_wait_empty "$p" 10 || fail 'mail does not flow after the second has gone'
expect 'all of them' "$(accounts)" 'sent 250, delivered 250, queued 0, bounced 0, lost 0, doubled 0'
expect 'the first' "$(parent) $(dispatcher)" "$first $first_dispatcher"
expect 'supervisors that master started' "$(wc -l <"$TEST_DIR/pids")" 2
expect_said 'first lines' ' starts: service lmtp-test' 1
calm

say 'the same after the first has died: the second takes over'
kill -KILL "$first"
: >"$TEST_DIR/slow"
send again 50
wait_for 10 count 3 || fail 'master did not start a fresh one'
wait_for 10 starts_worker || fail 'no supervisor with a worker'
third=$(parent)
poke taken "$third"
wait_for 5 both || fail 'master did not start a second process'
fourth=$(supervisors | grep -v "^$third\$")
kill -KILL "$third"
rm "$TEST_DIR/slow"
postfix_wait_empty "$p" 10 || fail 'mail does not flow'
expect 'who is left' "$(parent)" "$fourth"
expect 'all of them' "$(accounts)" 'sent 300, delivered 300, queued 0, bounced 0, lost 0, doubled 0'
