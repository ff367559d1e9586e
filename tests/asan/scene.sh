#!/bin/sh
# headroom-template.so, built with AddressSanitizer and UBSan, inside the real lmtp, whose memory is AddressSanitizer's, too:
# some hundred deliveries over IPv4, IPv6 and unix-domain sockets, by many forks, with and without a chroot, a table that
# each opens again, and TLS prepared. Nothing is found, and no worker dies.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene 'inet_protocols = all' 'max_use = 10' \
    "transport_maps = inline:{{six.invalid=lmtp-test:inet:[::1]:10083},{unix.invalid=lmtp-test:unix:$TEST_DIR/unix}}"
log=$(postfix_log "$p")
mkdir "$p/daemon/stock"
mv "$p/daemon/lmtp" "$p/daemon/stock/"
ln -s "$(gcc -print-file-name=libasan.so)" "$p/daemon/stock/libasan.so"
cp "$BUILD/asan/agent" "$p/daemon/lmtp"
cp "$BUILD/asan/headroom-template.so" "$p/daemon/"
found=$p/daemon/found
install -d -m 1777 "$found"
configure '{"defaults": {"workers": {"max": 20, "start": "fork"}}}'
sink_start "$TEST_DIR/six" '[::1]:10083'
sink_start "$TEST_DIR/local" "$TEST_DIR/unix"
chmod 666 "$TEST_DIR/unix"

template()
{
    children "$(parent)" lmtp-template
}
delivered()
{
    cat "$s/delivered" "$TEST_DIR/six/delivered" "$TEST_DIR/local/delivered" | wc -l
}
all()
{
    [ "$(delivered)" -ge "$total" ]
}
nothing()
{
    [ -z "$(ls "$found")" ] || fail "found: $(grep -h -A 12 ERROR "$found"/* | head -n 40)"
    expect 'workers that died' "$(said 'lmtp\[[0-9]*\]: .*\(panic\|fatal\)\|ended (signal 6')" 0
}

total=0
for way in n y; do
    say "chroot: $way"
    if [ "$way" = y ]; then
        printf 'nothing.invalid nothing\n' >"$p/etc/table"
        postmap -c "$p/etc" "hash:$p/etc/table"
        postfix_main "$p" "lmtp_generic_maps = hash:$p/etc/table" 'lmtp_tls_security_level = may' \
            "transport_maps = inline:{{six.invalid=lmtp-test:inet:[::1]:10083},{unix.invalid=lmtp-test:unix:unix}}"
        sink_stop "$TEST_DIR/local"
        sink_start "$TEST_DIR/local" "$p/queue/unix"
        chmod 666 "$p/queue/unix"
        postfix_service "$p" lmtp-test "lmtp-test unix - - y - - headroom"
        postfix_reload "$p"
    else
        begin
    fi
    send first 3
    total=$((total + 3))
    wait_for 60 all || fail "not delivered: $(delivered) of $total"
    for pid in $(workers); do
        kill -KILL "$pid"
    done
    for to in good six unix; do
        send "$way-$to" 200 --sessions 8 --rcpt "user%d@$to.invalid"
    done
    total=$((total + 600))
    wait_for 120 all || fail "not delivered: $(delivered) of $total, $(tail -n 5 "$log")"
    nothing
    template=$(template)
    [ -n "$template" ] || fail "none forks: $(grep 'headroom\[' "$log")"
    grep -q libasan "/proc/$template/maps" || fail 'the template has no AddressSanitizer'
    for pid in $(workers); do
        grep -q libasan "/proc/$pid/maps" || fail "worker $pid has no AddressSanitizer"
    done
    say "$(said 'lmtp\[[0-9]*\]: .*status=sent') deliveries, $(sed -n 's/.* \(lmtp\[[0-9]*\]\): .*status=sent.*/\1/p' "$log" | sort -u | wc -l) agents"
done
postfix_stop "$p"
nothing
