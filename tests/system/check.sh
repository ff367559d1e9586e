#!/bin/sh
# headroomctl check sees what the running master(8) has, which headroom inherits: why the service could not start, the
# capabilities, the mounts; and lines of one name in master.cf.
# waits

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

# What the program is replaced by, and what is then in the log of master(8).
replaced()
{
    mv "$p/daemon/headroom.new" "$p/daemon/headroom"
    postfix_reload "$p"
    wait_for 10 no_supervisor || fail 'it has not ended'
    refusals=$(said 'daemon/headroom: bad command startup')
    send "replaced$refusals-" 1
    wait_for 20 refused $((refusals + 1)) || fail "master(8) does not refuse it: $(tail -n 5 "$(postfix_log "$p")")"
}
refused()
{
    [ "$(said 'daemon/headroom: bad command startup')" -ge "$1" ]
}
refused_journal()
{
    journald_show -o cat SYSLOG_IDENTIFIER=postfix/master | grep -q 'daemon/headroom: bad command startup'
}
mend()
{
    cp "$BUILD/headroom" "$p/daemon/headroom.new"
    mv "$p/daemon/headroom.new" "$p/daemon/headroom"
    postfix_reload "$p"
    drain 20 || fail 'mail does not flow'
    check_exit 0 "^ok .*service $SERVICE runs since" '^ok .*daemon/headroom runs: headroom '
    never 'could not start'
}
say 'a shared library is missing'
LC_ALL=C sed 's/libcgroup\.so\.[0-9]/libcgroup.so.X/g' "$BUILD/headroom" >"$p/daemon/headroom.new"
chmod 755 "$p/daemon/headroom.new"
replaced
check_exit 1 '^WRONG .*daemon/headroom failed: .*libcgroup.so.X: cannot open shared object' \
    "^WRONG .*could not start service $SERVICE.*exit status 127"
"$BUILD/headroomctl" -c "$p/etc" status >"$TEST_DIR/out" 2>&1 && fail "status: $(cat "$TEST_DIR/out")"
never 'WAITS FOR MAIL'
mend
say 'it ends without a word'
printf '#!/bin/sh\n[ "$*" != -V ] || exec %s -V\nkill -9 $$\n' "'$BUILD/headroom'" >"$p/daemon/headroom.new"
chmod 755 "$p/daemon/headroom.new"
replaced
check_exit 1 "^WRONG .*could not start service $SERVICE.*killed by signal 9" '^1 wrong'
mend
say 'it is not there'
ln -s nothing "$p/daemon/headroom.new"
replaced
check_exit 1 '^WRONG .*daemon/headroom: No such file' "^WRONG .*could not start service $SERVICE.*: exec .*No such file"
mend
say 'Postfix logs to the journal'
postfix_main "$p" 'maillog_file ='
postfix_stop "$p"
printf '#!/bin/sh\n[ "$*" != -V ] || exec %s -V\nexit 7\n' "'$BUILD/headroom'" >"$p/daemon/headroom.new"
chmod 755 "$p/daemon/headroom.new"
mv "$p/daemon/headroom.new" "$p/daemon/headroom"
start env
send journal- 1
wait_for 20 refused_journal || fail "master(8) does not refuse it: $(journald_show -n 5)"
check_exit 1 "^WRONG .*could not start service $SERVICE.*, at [0-9].*exit status 7" '^1 wrong'
mend
say 'there is no log to look at'
postfix_reload "$p"
wait_for 10 no_supervisor || fail 'it has not ended'
mount -t tmpfs -o mode=755 none /run/log
check_exit 0 "^warning .*the journal was not looked at (there is none on this machine): whether service $SERVICE could start"
umount /run/log
postfix_main "$p" "maillog_file = $p/maillog"
postfix_stop "$p"
start env

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
