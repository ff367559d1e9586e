#!/bin/sh
# The line of a relay in master.cf, with all its options, in the jail: the word lmtp becomes headroom and nothing else
# changes. Then other columns and words, and what of them the workers are given.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
SERVICE=lmtp-filtermail
. "$LIBRARY/headroom.sh"

line()
{
    postfix_service "$p" lmtp-filtermail "lmtp-filtermail unix  -  -  y  -  500  $1
  -o syslog_name=postfix/lmtp-filtermail
  -o lmtp_header_checks=
  -o lmtp_tls_security_level=none"
}

scene 'default_transport = lmtp-filtermail:inet:[127.0.0.1]:10083' \
    'lmtp-filtermail_destination_concurrency_limit = 10000' \
    'lmtp-filtermail_initial_destination_concurrency = 10000'
line lmtp
begin

say 'stock lmtp'
send stock 100
drain 20 || fail 'stock lmtp did not deliver'

say 'one word in master.cf, and a reload'
line headroom
postfix_reload "$p"
send ours 100
drain 20 || fail 'headroom did not deliver'
expect 'both' "$(accounts)" 'sent 200, delivered 200, queued 0, bounced 0, lost 0, doubled 0'
expect_said 'lines of the workers' 'postfix/lmtp-filtermail/lmtp\[.*status=sent' 200
expect_said 'its own name' 'postfix/lmtp-filtermail/headroom\[.* starts: service lmtp-filtermail, agent lmtp, ' 1
first=$(workers | head -n 1)
[ "$(readlink "/proc/$first/root")" = "$p/queue" ] || fail 'the workers are not in the jail'

say 'and back'
line lmtp
postfix_reload "$p"
send back 100
drain 20 || fail 'stock lmtp did not deliver after the way back'
within 1000 no_supervisor || fail 'the supervisor is still there'

# column UNPRIV CHROOT LIMIT WANTED USER [WORD...]: the worker's command line and its user
round=0
column()
{
    unpriv=$1 chroot=$2 limit=$3 wanted=$4 user=$5
    shift 5
    round=$((round + 1))
    say "unpriv $unpriv, chroot $chroot, limit $limit, words: $*"
    postfix_service "$p" lmtp-filtermail "lmtp-filtermail unix - $unpriv $chroot - $limit headroom $*"
    postfix_reload "$p"
    send "columns$round" 20
    drain 20 || fail 'not delivered'
    worker=$(workers | head -n 1)
    [ -n "$worker" ] || fail 'no worker'
    expect 'command line' "$(tr '\0' '|' <"/proc/$worker/cmdline")" "$wanted"
    expect 'user of the worker' "$(stat -c %U "/proc/$worker")" "$user"
    expect 'user of the parent' "$(stat -c %u "/proc/$(parent)/fd")" 0
    expect 'user of the dispatcher' "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$(dispatcher)/status")" \
        "$(id -u postfix | sed 's/.*/&\t&\t&\t&/')"
    expect 'privileges of the dispatcher' "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$(dispatcher)/status")" 1
}

own='lmtp|-l|-n|lmtp-filtermail|-t|unix|'
column n n 0 "$own" root
column y n 1 "$own-u|" postfix
column y y 500 "$own-u|-c|" postfix
column - n - "$own-u|-v|" postfix -v
column - n 5 "$own-u|-o|lmtp_connect_timeout = 7s|-v|-o|lmtp_helo_timeout=8s|flags=DORX|" postfix \
    '-o { lmtp_connect_timeout = 7s } -v -o lmtp_helo_timeout=8s flags=DORX'
expect 'all of them' "$(accounts)" 'sent 400, delivered 400, queued 0, bounced 0, lost 0, doubled 0'
calm
