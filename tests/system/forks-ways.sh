#!/bin/sh
# What the agent is asked for is done by a forked worker as by a stock one: SASL, DSN, VERP, header checks, with and without
# a chroot, as mail_owner and as root, by lmtp and by smtp. What both say to the server and to the log is compared, line by line.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

cat >"$TEST_DIR/checks" <<'C'
/^X-Warned: (.*)/ WARN warned of $1
/^X-Replaced:/ REPLACE X-New: header
C
scene 'transport_maps = inline:{{.stock.invalid=stock:[127.0.0.1]:10083},{sender.invalid=report:[127.0.0.1]:10083}}' \
    'default_transport = lmtp-test:[127.0.0.1]:10083' 'debug_peer_list = 127.0.0.1' 'debug_peer_level = 1' 'ipc_idle = 1s'
for agent in lmtp smtp; do
    postfix_main "$p" "${agent}_sasl_auth_enable = yes" "${agent}_sasl_password_maps = static:somebody:secret" \
        "${agent}_sasl_security_options =" "${agent}_header_checks = regexp:$TEST_DIR/checks" \
        "${agent}_connection_cache_on_demand = no"
done
postfix_service "$p" report 'report unix - - n - - lmtp -o syslog_name=postfix/report'
sink_start "$s" "$SINK" 'extensions on'
log=$(postfix_log "$p")

# said_by OF: what these agents said and were told, without what differs from one delivery to the next. When a connection is
# closed depends on what comes next.
said_by()
{
    sed -n "$from,\$s|^.* postfix/$1/$agent\\[[0-9]*\\]: ||p" "$log" | grep -e '^[<>] 127' -e ': to=<' -e '^[0-9A-Za-z]*: [a-z]*: header ' |
        grep -v -e ': QUIT$' -e ': 221 ' | sed -e "s/\\.$1\\.invalid/.invalid/g" \
            -e "s/$1-/OF-/g" -e 's/^[0-9A-Za-z]*: /ID: /' -e 's/ conn_use=[0-9]*,//' \
            -e 's/ delay=[^ ]* delays=[^ ]*,/ delay=D, delays=A\/B\/C\/D,/' -e 's/SIZE=[0-9]*/SIZE=N/' -e 's/ tls=none,//' | sort -u
}
# The lines of its recipients that are to be there: two.
told()
{
    [ "$(sed -n "$from,\$p" "$log" | grep -c "postfix/$1/$agent\\[[0-9]*\\]: [0-9A-Za-z]*: to=<.*\\.$1\\.invalid>")" -ge 2 ]
}
# submit OF
submit()
{
    printf 'From: sender@sender.invalid\nSubject: test\nX-Warned: here\nX-Replaced: old\n\ntext\n' >"$TEST_DIR/message"
    sendmail -C "$p/etc" -f verp@sender.invalid -V "$1-envelope" -N success,failure -XV \
        "good@good.$1.invalid" <"$TEST_DIR/message"
    sendmail -C "$p/etc" -f verp@sender.invalid -XV "bounce1@bounce1.$1.invalid" <"$TEST_DIR/message"
}

for way in 'lmtp - n' 'lmtp - y' 'lmtp n n' 'lmtp n y' 'smtp - y' 'smtp n n'; do
    say "agent, unprivileged, chroot: $way"
    agent=${way%% *} way=${way#* }
    configure "{\"defaults\": {\"agent\": \"$agent\", \"workers\": {\"max\": 10, \"start\": \"fork\"}}}"
    postfix_service "$p" stock "stock unix - $way - - $agent -o syslog_name=postfix/stock"
    postfix_service "$p" lmtp-test "lmtp-test unix - $way - - headroom -o syslog_name=postfix/ours"
    # In a chroot the log is where postlogd(8) listens; nothing else is needed.
    if postfix_running "$p"; then
        postfix_reload "$p"
    else
        postfix_start "$p"
    fi
    send "first" 3 --rcpt 'user%d@good.ours.invalid'
    postfix_wait_empty "$p" 20 || fail 'the first mail was not delivered'
    forking()
    {
        [ "$(said 'workers are forked from process')" -ge "$ways" ]
    }
    ways=$((${ways:-0} + 1))
    wait_for 30 forking || fail "none forks: $(grep headroom "$log" | tail -n 3)"
    executed=$(children "$(parent)" "$agent")
    # shellcheck disable=SC2086
    kill $executed
    # shellcheck disable=SC2086
    wait_for 10 gone $executed || fail 'the executed ones stay'
    from=$(($(wc -l <"$log") + 1))
    submit stock
    submit ours
    wait_for 20 told stock || fail "stock: $(tail -n 5 "$log")"
    wait_for 20 told ours || fail "ours: $(tail -n 5 "$log")"
    said_by ours >"$TEST_DIR/ours"
    said_by stock >"$TEST_DIR/stock"
    diff "$TEST_DIR/stock" "$TEST_DIR/ours" || fail 'they differ'
    for pattern in '> .*AUTH PLAIN' '> .*MAIL FROM:.*ENVID=' '> .*RCPT TO:.*NOTIFY=SUCCESS,FAILURE' 'warning: header X-Warned: here' \
        'replace: header X-Replaced' 'status=sent' 'status=bounced'; do
        grep -q "$pattern" "$TEST_DIR/ours" || fail "no line $pattern in $(cat "$TEST_DIR/ours")"
    done
    for pid in $(children "$(parent)" "$agent"); do
        kb=$(awk '/^Private_/ { sum += $2 } END { print sum }' "/proc/$pid/smaps_rollup")
        [ "$kb" -lt 1200 ] || fail "worker $pid has $kb kB of its own"
    done
done
say 'connections that are used again'
for agent in lmtp smtp; do
    postfix_main "$p" "${agent}_connection_cache_on_demand = yes"
done
postfix_reload "$p"
again()
{
    [ "$(said "postfix/$1/smtp.* conn_use=")" -ge 5 ]
}
# One that keeps busy, with more at once than the destination has workers, keeps its connections.
for of in stock ours; do
    send "$of-again" 100 --sessions 8 --rcpt "user%d@again.$of.invalid"
    wait_for 20 again "$of" || fail "$of: $(said "postfix/$of/smtp.* conn_use=") of 100 deliveries over a connection that was there"
done
say "stock $(said 'postfix/stock/smtp.* conn_use='), ours $(said 'postfix/ours/smtp.* conn_use=') of 100"

# The reports of the bounces, one a way each.
verp()
{
    [ "$(grep -c " verp+bounce1=bounce1\\.$1\\.invalid@sender.invalid " "$s/delivered")" -ge 6 ]
}
wait_for 10 verp stock || fail 'no report to a VERP address, stock'
wait_for 10 verp ours || fail 'no report to a VERP address'
