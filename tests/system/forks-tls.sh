#!/bin/sh
# Workers that are forked deliver over TLS, and as the agent smtp: the one that forks has talked to tlsmgr(8) and waits
# until that connection has closed; the random numbers of two forks differ; sessions that tlsmgr(8) keeps are used again as
# often as by stock smtp; a new certificate makes a new one.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene 'default_transport = lmtp-test:[127.0.0.1]:10025' 'smtp_tls_security_level = encrypt' 'ipc_idle = 1s' \
    "smtp_tls_session_cache_database = btree:$p/data/smtp_scache" 'smtp_connection_cache_on_demand = no' \
    'smtp_tls_loglevel = 2' "smtp_tls_CAfile = $p/etc/cert.pem" 'transport_maps = inline:{.stock.invalid=stock:[127.0.0.1]:10025}'
postfix_service "$p" stock 'stock unix - - n - - smtp -o syslog_name=postfix/stock'
postfix_service "$p" tlsmgr 'tlsmgr unix - - n 1000? 1 tlsmgr'
# What arrives over TLS is thrown away.
postfix_service "$p" server "127.0.0.1:10025 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_tls_cert_file=$p/etc/cert.pem -o smtpd_tls_key_file=$p/etc/key.pem
  -o smtpd_tls_loglevel=3 -o syslog_name=postfix/server -o content_filter=discard:"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$p/etc/key.pem" -out "$p/etc/cert.pem" -days 2 \
    -subj /CN=test.invalid 2>/dev/null || skip 'openssl makes no certificate'
configure '{"defaults": {"agent": "smtp", "workers": {"max": 20, "start": "fork"}}}'
begin
log=$(postfix_log "$p")

template()
{
    children "$(parent)" smtp-template
}
forking()
{
    [ -n "$(template)" ] && [ "$(said 'workers are forked from process')" -ge 1 ]
}
forking_again()
{
    [ -n "$(template)" ] && [ "$(said 'workers are forked from process')" -ge 2 ]
}
sent_over_tls()
{
    [ "$(said 'smtp\[[0-9]*\]: .*status=sent')" -ge "$1" ]
}

say 'the first, and the connection to tlsmgr'
send first 1
wait_for 10 sent_over_tls 1 || fail "not delivered: $(tail -n 5 "$log")"
wait_for 15 forking || fail "none forks: $(grep headroom "$log")"

say 'many'
send many 300 --sessions 8
wait_for 60 sent_over_tls 301 || fail "not delivered: $(said 'status=sent')"
# The greeting of TLS: six bytes, then the client's random number, of which ten bytes stand in the same line.
sed -n 's/.*smtpd\[[0-9]*\]: 0000 01 00 .. .. 03 03 \([0-9a-f |]\{29\}\).*/\1/p' "$log" >"$TEST_DIR/randoms"
randoms=$(wc -l <"$TEST_DIR/randoms")
[ "$randoms" -ge 100 ] || fail "$randoms random numbers in the log"
expect 'random numbers that are there twice' "$(sort "$TEST_DIR/randoms" | uniq -d)" ''
forked=0
for pid in $(children "$(parent)" smtp); do
    kb=$(awk '/^Private_/ { sum += $2 } END { print sum }' "/proc/$pid/smaps_rollup")
    [ "$kb" -ge 1500 ] || forked=$((forked + 1))
    echo "$pid: $kb kB"
done
[ "$forked" -ge 5 ] || fail "$forked forked workers"
say "$randoms TLS sessions, $forked forked workers"
calm

# resumed OF: lines about the sessions of these agents, without what differs from one delivery to the next, and how many
# there are of each. The first session of a destination is new.
resumed()
{
    sed -n "$from,\$s|^.* postfix/$1smtp\\[[0-9]*\\]: ||p" "$log" |
        grep -e 'TLS connection established' -e 'session .* from' -e 'Reusing old session' |
        sed 's/lmtp-test&/stock\&/' | sort | uniq -c
}
stock_sent()
{
    [ "$(said 'postfix/stock/smtp.*status=sent')" -ge "$1" ]
}
say 'sessions from the cache, beside stock'
send first 1 --rcpt 'user@good.stock.invalid'
wait_for 10 stock_sent 1 || fail "stock has not delivered: $(tail -n 5 "$log")"
from=$(($(wc -l <"$log") + 1))
send stock 30 --rcpt 'user%d@good.stock.invalid'
send ours 30
wait_for 20 stock_sent 31 || fail "stock: $(said 'postfix/stock/smtp.*status=sent')"
wait_for 20 sent_over_tls 362 || fail "not delivered: $(said 'status=sent')"
resumed '' >"$TEST_DIR/ours"
resumed stock/ >"$TEST_DIR/stock"
diff "$TEST_DIR/stock" "$TEST_DIR/ours" || fail 'they differ'
grep '^ *30 .*Reusing old session' "$TEST_DIR/ours" || fail "not 30 times: $(cat "$TEST_DIR/ours")"

say 'a new certificate'
old=$(template)
touch "$p/etc/cert.pem"
for pid in $(children "$(parent)" smtp); do
    kill -KILL "$pid"
done
send new 20
wait_for 20 sent_over_tls 382 || fail "not delivered: $(said 'status=sent')"
wait_for 5 gone "$old" || fail 'it still forks'

say 'TLS where the server offers it'
postfix_main "$p" 'smtp_tls_security_level = may'
postfix_reload "$p"
send may 20
wait_for 20 sent_over_tls 402 || fail "not delivered: $(said 'status=sent')"
wait_for 30 forking_again || fail "none forks: $(grep 'headroom\[' "$log")"
from=$(($(wc -l <"$log") + 1))
send may 20
wait_for 20 sent_over_tls 422 || fail "not delivered: $(said 'status=sent')"
[ "$(resumed '' | grep -c 'Trusted TLS connection')" -ge 1 ] || fail 'not over TLS'
calm
