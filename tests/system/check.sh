#!/bin/sh
# headroomctl check sees what the running master(8) has, which headroom inherits: why the service could not start, the
# capabilities, the mounts; and lines of one name in master.cf.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/journald.sh
. "$LIBRARY/journald.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

# check_exit STATUS PATTERN...: check ends so, and each pattern is in its output.
check_exit()
{
    wanted=$1
    shift
    got=0
    "$BUILD/headroomctl" -c "$p/etc" check >"$TEST_DIR/out" 2>&1 || got=$?
    [ "$got" -eq "$wanted" ] || fail "check: status $got, wanted $wanted: $(cat "$TEST_DIR/out")"
    for pattern in "$@"; do
        grep -q -e "$pattern" "$TEST_DIR/out" || fail "no '$pattern' in: $(cat "$TEST_DIR/out")"
    done
}

never()
{
    ! grep -e "$1" "$TEST_DIR/out" || fail "'$1' in: $(cat "$TEST_DIR/out")"
}

line()
{
    postfix_service "$p" "$SERVICE" "$1"
}

# start COMMAND...: Postfix, by a command that execs the rest of its words.
start()
{
    "$@" postfix -c "$p/etc" start >>"$p/start.log" 2>&1 || fail "no start: $(tail -n 5 "$(postfix_log "$p")")"
    mailgen --wait 20 "$(postfix_address "$p")"
}

journald_start
scene
configure "{\"defaults\": {$unpressed}}"
sink_start "$s" "$SINK"

say 'it cannot start'
line "$SERVICE unix - - n - - headroom -Q"
start env
send waits 5
cannot()
{
    journald_show -o cat HEADROOM_EVENT=setup | grep -q 'cannot run: -Q: unknown option'
}
wait_for 10 cannot || fail 'it starts'
# Whether it pauses before its exit or has ended, it does not run.
check_exit 1 "^WRONG .*service $SERVICE could not start at .* cannot run: -Q: unknown option" '^1 wrong' "^  WRONG .* -Q"
never "service $SERVICE runs since"
sleep 1.5
check_exit 1 "^WRONG .*service $SERVICE could not start at .* cannot run: -Q: unknown option"
line "$SERVICE unix - - n - - headroom"
postfix_reload "$p"
drain 20 || fail 'mail does not flow'
journalctl --sync
check_exit 0 "^ok .*service $SERVICE runs since" '^ok .*has the capabilities that headroom needs' '^0 wrong'
never 'mounts of its own'

say 'after a reload, before the first mail'
postfix_reload "$p"
wait_for 10 no_supervisor || fail 'it has not ended'
waits()
{
    "$BUILD/headroomctl" -c "$p/etc" status >"$TEST_DIR/out" 2>&1 &&
        grep -q "^$SERVICE: WAITS FOR MAIL" "$TEST_DIR/out"
}
wait_for 5 waits || fail "status: $(cat "$TEST_DIR/out")"
send more 1
wait_for 20 settled 6 || fail "not delivered: $(accounts)"

say 'it does not answer'
pid=$(dispatcher)
kill -STOP "$pid"
check_exit 1 "^WRONG .*service $SERVICE does not answer since"
kill -CONT "$pid"

say 'two lines of a name'
line "$SERVICE unix - - n - - headroom
$SERVICE unix - - n - - lmtp"
check_exit 1 "^warning .*line [0-9]* of service $SERVICE runs headroom, but master(8) uses line [0-9]*, which runs lmtp" \
    '^WRONG .*no service in master.cf'
line "$SERVICE unix - - n - 5 headroom
$SERVICE unix - - n - - headroom"
check_exit 0 "^warning .*service $SERVICE is there twice"
line "$SERVICE unix - - n - 5 headroom
$SERVICE unix n - n - 0 lmtp"
check_exit 0 "^ok .*the public one of service $SERVICE, keeps postconf(1) from warning" 'workers.max  *5 '
never '^warning .*line'
line "$SERVICE unix - - n - 5 headroom"
# As it stands in the manual: both are changed, and the options are gone.
line "$SERVICE unix - - n - 5 lmtp -o a=b
$SERVICE unix n - n - 0 lmtp"
postconf -c "$p/etc" -F "$SERVICE/unix/command=headroom"
check_exit 0 "^warning .*lines [0-9]* and [0-9]* of service $SERVICE both run headroom"

say 'capabilities'
line "$SERVICE unix - - y - - headroom"
postfix_stop "$p"
start setpriv --bounding-set -sys_chroot
check_exit 1 '^WRONG .*the running master(8), process [0-9]*, has no CAP_SYS_CHROOT'
line "$SERVICE unix - - n - - headroom"
check_exit 0 '^ok .*has the capabilities that headroom needs'
postfix_stop "$p"

say 'mounts'
mkdir "$TEST_DIR/metrics"
chown postfix "$TEST_DIR/metrics"
configure "{\"defaults\": {$unpressed, \"metrics\": {\"textfile\": \"$TEST_DIR/metrics/%s.prom\"}}}"
# shellcheck disable=SC2016
start unshare --mount sh -c 'mount -t tmpfs -o mode=755 none "$0" && exec "$@"' "$TEST_DIR/metrics"
check_exit 1 'which has mounts of its own' "^WRONG .*$TEST_DIR/metrics, the directory of metrics.textfile, is not writable by postfix"
postfix_stop "$p"
check_exit 0 "$TEST_DIR/metrics/$SERVICE.prom is written"
