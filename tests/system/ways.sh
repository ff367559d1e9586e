#!/bin/sh
# The commands with which README, manual and the package's removal change the line in master.cf, as they stand there: options,
# the chroot column, and a public line of the same name stay as they are, mail flows with headroom and with stock lmtp again.

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
commands <"$root/README" >"$TEST_DIR/readme"
sed 's/\\e/\\/g' "$root/packaging/headroom.8" | commands >"$TEST_DIR/manual"
expect 'commands of README' "$(wc -l <"$TEST_DIR/readme")" 2
expect 'commands of the manual' "$(wc -l <"$TEST_DIR/manual")" 3

# by FILE N SERVICE: the Nth command, for that service.
by()
{
    sed -n "$2{s/(lmtp/($3/;p;}" "$TEST_DIR/$1" >"$TEST_DIR/command"
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
for from in readme manual; do
    say "$from"
    sed 's/@//' "$TEST_DIR/lines" >"$p/etc/master.cf"
    by "$from" 1 lmtp
    sed 's/@lmtp/headroom/' "$TEST_DIR/lines" | cmp - "$p/etc/master.cf" || fail "$from, in: $(cat "$p/etc/master.cf")"
    by "$from" 2 lmtp
    sed 's/@//' "$TEST_DIR/lines" | cmp - "$p/etc/master.cf" || fail "$from, out: $(cat "$p/etc/master.cf")"
done
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

say 'in and out, with mail'
postfix_service "$p" lmtp-test
postfix_service "$p" lmtp 'lmtp unix - - n - 7 lmtp -o syslog_name=postfix/mine
lmtp unix n - n - 0 lmtp'
begin
send stock 20
wait_for 20 settled 20 || fail "not delivered: $(accounts)"
by readme 1 lmtp
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
expect 'in the end' "$(accounts)" 'sent 60, delivered 60, queued 0, bounced 0, lost 0, doubled 0'
calm
