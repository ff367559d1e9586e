#!/bin/sh
# The commands with which the manual, `headroomctl setup` and the package's removal change the line in master.cf, as they stand
# there: options, the chroot column, and a public line of the same name stay as they are, mail flows with headroom and with stock
# lmtp again.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"
# shellcheck source=tests/lib/headroom.sh
. "$LIBRARY/headroom.sh"

root=$(cd "${0%/*}/../.." && pwd)
SERVICE=lmtp
scene 'default_transport = lmtp:inet:[127.0.0.1]:10083'

# The commands of a text that call sed, one a line, with the test's master.cf for the machine's.
commands()
{
    sed -e ':again' -e '/\\$/N; s/\\\n *//; t again' | sed -n 's/^ *\(sed -i\.bak .*\)/\1/p' |
        sed "s|/etc/postfix/master\.cf|$p/etc/master.cf|"
}
sed 's/\\e/\\/g' "$root/packaging/headroom.8" | commands >"$TEST_DIR/manual"
expect 'commands of the manual' "$(wc -l <"$TEST_DIR/manual")" 3

# by N SERVICE: the Nth command, for that service.
by()
{
    sed -n "$1{s/(lmtp/($2/;p;}" "$TEST_DIR/manual" >"$TEST_DIR/command"
    sh -e "$TEST_DIR/command"
}

# What master.cf may have, and what is to be changed in it: the word behind the mark.
cat >"$TEST_DIR/lines" <<'L'
lmtp      unix  -       -       y       -       -       @lmtp
one unix - - n - 10 lmtp -o a=b
lmtp unix  n  -  y  -  0  lmtp
lmtp-x	unix	-	-	-	-	-	lmtp
  -o syslog_name=postfix/lmtp
smtp inet n - y - - smtpd
  -o content_filter=lmtp:unix:private/lmtp
L
say 'the manual'
sed 's/@//' "$TEST_DIR/lines" >"$p/etc/master.cf"
by 1 lmtp
sed 's/@lmtp/headroom/' "$TEST_DIR/lines" | cmp - "$p/etc/master.cf" || fail "in: $(cat "$p/etc/master.cf")"
by 2 lmtp
sed 's/@//' "$TEST_DIR/lines" | cmp - "$p/etc/master.cf" || fail "out: $(cat "$p/etc/master.cf")"
grep -q '\^(lmtp-filtermail' "$TEST_DIR/manual" || fail 'the manual has no command for a relay'
cat >"$p/etc/master.cf" <<'L'
lmtp-filtermail unix  -  -  y  -  500  lmtp
  -o lmtp_header_checks=
lmtp-filtermail unix  n  -  y  -  0  lmtp
L
sh -e <<C
$(sed -n 3p "$TEST_DIR/manual")
C
expect 'lines of a relay' "$(tr -s ' \n' ' ' <"$p/etc/master.cf")" \
    'lmtp-filtermail unix - - y - 500 headroom -o lmtp_header_checks= lmtp-filtermail unix n - y - 0 lmtp '

say 'headroomctl setup'
PATH=$BUILD:$PATH
cat >"$p/etc/master.cf" <<'L'
lmtp unix n - - - - lmtp
lmtp unix - - - - - smtp
  -v
smtp inet n - y - - smtpd
lmtp  unix  -  -  n  -  9  lmtp -o a=b
  -v
# a comment

  -o c=d
lmtp.x unix - - n - - lmtp
lmtp	unix	-	-	y	-	5	lmtp
# -o not=this
	-o syslog_name=f
L
postfix_main "$p" 'lmtp.x_destination_concurrency_limit = 7'
for service in lmtp lmtp.x; do
    cp "$p/etc/master.cf" "$TEST_DIR/before"
    headroomctl -c "$p/etc" setup "$service" >"$TEST_DIR/out" 2>&1 || fail "setup: $(cat "$TEST_DIR/out")"
    cmp "$TEST_DIR/before" "$p/etc/master.cf" || fail 'it has changed the file'
    # Postfix does not run: the last command of each half is check, or sed.
    sed '/^# To take it out/,$d; s/&&$//; /^headroomctl /d' "$TEST_DIR/out" | sh -e
done
cat "$TEST_DIR/out"
cat >"$TEST_DIR/wanted" <<'L'
lmtp unix n - - - - lmtp
#lmtp unix - - - - - smtp
#  -v
smtp inet n - y - - smtpd
#lmtp  unix  -  -  n  -  9  lmtp -o a=b
#  -v
## a comment
#
#  -o c=d
lmtp.x unix - - n - - headroom
lmtp	unix	-	-	y	-	5	headroom
# -o not=this
	-o syslog_name=f
retry     unix  -       -       n       -       -       error
lmtp.x unix n - n - 0 lmtp
L
diff "$TEST_DIR/wanted" "$p/etc/master.cf" || fail 'in'
postconf -c "$p/etc" -n 2>"$TEST_DIR/out" >/dev/null
[ ! -s "$TEST_DIR/out" ] || fail "postconf warns: $(cat "$TEST_DIR/out")"
# With a file of its own, which lmtp does not know.
sed -i 's/-o syslog_name=f/-o syslog_name=f -C \/x.json -o ipc_timeout=9/' "$p/etc/master.cf" "$TEST_DIR/wanted"
headroomctl -c "$p/etc" setup --out lmtp >"$TEST_DIR/out" 2>&1 || fail "setup: $(cat "$TEST_DIR/out")"
sh -e "$TEST_DIR/out"
sed -e 's/\(^lmtp	.*\)headroom/\1lmtp/' -e 's| -C /x.json||' "$TEST_DIR/wanted" | diff - "$p/etc/master.cf" || fail 'out'
setup_fails()
{
    ! headroomctl -c "$p/etc" setup ${1:+"$1"} >"$TEST_DIR/out" 2>&1 || fail "setup $1: $(cat "$TEST_DIR/out")"
    grep -q "$2" "$TEST_DIR/out" || fail "no '$2' in: $(cat "$TEST_DIR/out")"
}
setup_fails '' '2 lines run lmtp or headroom; name one'
setup_fails smtp 'no line `smtp unix'
printf '%s\n' 'lmtp unix - - n - - lmtp' 'p unix n - n - - lmtp' 'q unix - - n - - pipe' 'r unix - - n -' '  - lmtp' >"$p/etc/master.cf"
setup_fails p 'line 2 of .*: service p is public'
setup_fails q 'line 3 of .*: service q runs pipe'
setup_fails r 'line 4 of .* has a form of its own'

say 'in and out, with mail'
postfix_service "$p" lmtp-test
postfix_service "$p" lmtp 'lmtp unix - - n - 7 lmtp -o syslog_name=postfix/mine
lmtp unix n - n - 0 lmtp'
begin
send stock 20
wait_for 20 settled 20 || fail "not delivered: $(accounts)"
by 1 lmtp
postfix_reload "$p"
send ours 20
wait_for 20 settled 40 || fail "not delivered: $(accounts)"
expect_said 'start' ' starts: service lmtp, .*workers 1 to 7 (process limit' 1
expect_said 'options of the line' 'postfix/mine/lmtp\[[0-9]*\]: .*status=sent' 40
if grep -q 'unused parameter' "$(postfix_log "$p")"; then
    fail 'postconf warns'
fi

say 'the removal of the package'
# One instance of Postfix: the test's.
mkdir "$TEST_DIR/bin"
printf '#!/bin/sh\necho "- - y %s"\n' "$p/etc" >"$TEST_DIR/bin/postmulti"
chmod 755 "$TEST_DIR/bin/postmulti"
PATH="$TEST_DIR/bin:$PATH" sh "$root/packaging/debian/headroom.prerm" remove 2>"$TEST_DIR/said"
cat "$TEST_DIR/said"
sed -n 's/^headroom:  *\(sed .*\)/\1/p' "$TEST_DIR/said" >"$TEST_DIR/command"
expect 'commands' "$(wc -l <"$TEST_DIR/command")" 1
sh -e "$TEST_DIR/command"
expect 'lines afterwards' "$(grep -c '^lmtp unix .* lmtp' "$p/etc/master.cf")" 2
postfix_reload "$p"
send again 20
wait_for 20 settled 60 || fail "not delivered: $(accounts)"
expect_said 'options of the line' 'postfix/mine/lmtp\[[0-9]*\]: .*status=sent' 60
expect_said 'starts' ' starts: service lmtp,' 1

say 'setup --apply'
postfix_service "$p" retry
postfix_service "$p" lmtp 'lmtp unix - - n - 7 lmtp -o syslog_name=postfix/mine'
postfix_main "$p" 'lmtp_destination_concurrency_limit = 50'
apply()
{
    echo "$1" | headroomctl -c "$p/etc" setup --apply ${2:+"$2"} >"$TEST_DIR/out" 2>&1
}
cp "$p/etc/master.cf" "$TEST_DIR/before"
! apply n || fail 'a no is a failure, for a program'
cmp "$TEST_DIR/before" "$p/etc/master.cf" || fail 'it was done without a yes'
apply y || fail "setup: $(cat "$TEST_DIR/out")"
cat "$TEST_DIR/out"
grep -q '^headroom is in' "$TEST_DIR/out" || fail 'it does not say so'
headroomctl -c "$p/etc" check --quiet >"$TEST_DIR/out" 2>&1 || fail "check: $(cat "$TEST_DIR/out")"
# What this machine has is said on another line, whatever setup does.
! grep -v -e '^warning *memory group: ' -e 'pressure' "$TEST_DIR/out" || fail 'check is not silent'
send set-up 20
wait_for 20 settled 80 || fail "not delivered: $(accounts)"
expect_said 'starts' ' starts: service lmtp,' 2
apply y --out || fail "setup --out: $(cat "$TEST_DIR/out")"
send taken-out 20
wait_for 20 settled 100 || fail "not delivered: $(accounts)"
expect_said 'options of the line' 'postfix/mine/lmtp\[[0-9]*\]: .*status=sent' 100
expect_said 'starts' ' starts: service lmtp,' 2
if grep -q 'unused parameter' "$(postfix_log "$p")"; then
    fail 'postconf warns'
fi
expect 'in the end' "$(accounts)" 'sent 100, delivered 100, queued 0, bounced 0, lost 0, doubled 0'
calm
