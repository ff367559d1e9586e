#!/bin/sh
# Four servers behind one transport, stock and Headroom side by side, 20 messages a second to 10 domains behind each of two and 10
# behind the others. One refuses connections for 5 s; the socket of the second is removed and made anew; the third answers 421 to
# every greeting in these 5 s; the last refuses 30 % all the time. Headroom defers fewer than stock, none by itself, is at the full rate within two seconds after the return, and says so in
# two lines; of the last it says nothing, and delivers as much as stock.
# limit: 60

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"

[ "$AGENT" = headroom ] || skip 'build/headroom is not built'
RATE=20
BEFORE=2 # s before the servers go, and that they are away, and after
AWAY=5
AFTER=5

create()
{
    sink_start "$TEST_DIR/$1.refused" "127.0.0.1:$2"
    sink_start "$TEST_DIR/$1.removed" "$TEST_DIR/$1.socket"
    sink_start "$TEST_DIR/$1.partly" "127.0.0.1:$(($2 + 1))" 'refuse 30'
    sink_start "$TEST_DIR/$1.greeted" "127.0.0.1:$(($2 + 2))"
    printf '%s\n' "/@greeted/ lmtp-test:inet:[127.0.0.1]:$(($2 + 2))" "/@removed/ lmtp-test:unix:$TEST_DIR/$1.socket" \
        "/@partly/ lmtp-test:inet:[127.0.0.1]:$(($2 + 1))" >"$TEST_DIR/$1.map"
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" "transport_maps = regexp:$TEST_DIR/$1.map" \
        'default_destination_concurrency_limit = 10000' 'initial_destination_concurrency = 10000' \
        'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' 'queue_run_delay = 300s'
    # Each delivery connects: a cached session would not be refused.
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - 100 $3
  -o lmtp_connection_cache_on_demand=no"
    printf '{"defaults": {%s}}\n' "$unpressed" >"$TEST_DIR/$1/etc/headroom.json"
    postfix_start "$TEST_DIR/$1"
}

# mail INSTANCE PREFIX RATE: in the background
mail()
{
    mailgen --to "$(postfix_address "$TEST_DIR/$1")" --prefix "$2" --sent "$TEST_DIR/$1.$2.sent" --rate "$3" \
        --time $((BEFORE + AWAY + AFTER)) --rcpt "user%d@$2%d.invalid" --cycle 10 >"$TEST_DIR/$1.$2.mailgen" 2>&1 &
    pids="$pids $!"
}

wall()
{
    date +%s.%N
}

# deferred INSTANCE PREFIX
deferred()
{
    lines "$(postfix_log "$TEST_DIR/$1")" "to=<user[0-9]*@$2.*status=deferred"
}

# after INSTANCE PREFIX: sets $full and $p99, hundredths of a second: from the return to nine tenths of the rate in a second, and of
# what was sent two seconds after it or later.
after()
{
    # shellcheck disable=SC2046
    set -- $(awk -v back="$back" -v rate="$RATE" -v until="$AFTER" '
        { sent = $1 - $5; when = int(($1 - back) * 10) }
        when >= 0 { got[when]++ }
        sent >= back + 2 { wait[n++] = $5 }
        END {
            for (full = 0; full < until * 10 - 10; full++) {
                sum = 0
                for (i = full; i < full + 10; i++) sum += got[i]
                if (sum >= 0.9 * rate) break
            }
            for (i = 1; i < n; i++)
                for (j = i; j > 0 && wait[j - 1] > wait[j]; j--) { t = wait[j]; wait[j] = wait[j - 1]; wait[j - 1] = t }
            print full * 10, (n ? int(100 * wait[int(n * 0.99)] + 0.5) : 9999)
        }' "$TEST_DIR/$1.$2/delivered")
    full=$1 p99=$2
}

create stock 10083 lmtp
create ours 10087 headroom
log=$(postfix_log "$TEST_DIR/ours")

pids=
for name in stock ours; do
    mail "$name" refused "$RATE"
    mail "$name" removed "$RATE"
    mail "$name" greeted 10
    mail "$name" partly 10
done
sleep "$BEFORE"
say 'three of the four are away'
for name in stock ours; do
    sink_tell "$TEST_DIR/$name.refused" listen off >/dev/null
    sink_tell "$TEST_DIR/$name.removed" listen off >/dev/null
    sink_tell "$TEST_DIR/$name.greeted" refuse 100 >/dev/null
done
[ ! -e "$TEST_DIR/ours.socket" ] || fail 'the socket is still there'
sleep "$AWAY"
MAIL_CONFIG=$TEST_DIR/ours/etc "$BUILD/headroomctl" status >"$TEST_DIR/status" || true
back=$(wall)
for name in stock ours; do
    sink_tell "$TEST_DIR/$name.refused" listen on >/dev/null
    sink_tell "$TEST_DIR/$name.removed" listen on >/dev/null
    sink_tell "$TEST_DIR/$name.greeted" refuse 0 >/dev/null
done
say 'they are back'
for pid in $pids; do
    wait "$pid" || fail "not all mail was accepted: $(tail -n 1 "$TEST_DIR"/*.mailgen)"
done
nothing_under_way()
{
    postfix_count "$TEST_DIR/ours" incoming active | grep -q '^0$'
}
wait_for 20 nothing_under_way || fail "still waiting: $(postfix_count "$TEST_DIR/ours" incoming active)"

for case in refused removed greeted; do
    [ "$case" != greeted ] || RATE=10
    after stock "$case"
    stock_full=$full stock_p99=$p99 stock_deferred=$(deferred stock "$case")
    after ours "$case"
    say "$case, stock | ours: deferred $stock_deferred | $(deferred ours "$case")," \
        "hundredths of a second to the full rate $stock_full | $full, p99 of new mail $stock_p99 | $p99"
    [ "$(deferred ours "$case")" -lt $((stock_deferred * 3 / 4)) ] ||
        fail "$case: deferred $(deferred ours "$case"), stock $stock_deferred"
    # Two seconds, and as much new mail as with stock: the rest is for a busy machine, where what waited needs the processor.
    [ "$full" -le 400 ] || fail "$case: at the full rate after $full hundredths of a second"
    [ "$p99" -le $((stock_p99 + 400)) ] || fail "$case: p99 of new mail $p99, stock $stock_p99"
done
say "partly, stock | ours: deferred $(deferred stock partly) | $(deferred ours partly)"
[ "$(deferred ours partly)" -le $(($(deferred stock partly) * 3 / 2 + 10)) ] ||
    fail "partly: deferred $(deferred ours partly), stock $(deferred stock partly)"
expect 'deferred by headroom itself' "$(lines "$log" 'delivery deferred:')" 0
for hop in 'inet:\[127.0.0.1\]:10087' 'inet:\[127.0.0.1\]:10089' "unix:$TEST_DIR/ours.socket"; do
    expect "$hop does not answer" "$(lines "$log" "next hop $hop does not answer: for [12] s .* wait, and one at a time is tried")" 1
    expect "$hop answers" "$(lines "$log" "next hop $hop answers again, after")" 1
done
expect 'the one that refuses a part' "$(lines "$log" 'next hop inet:\[127.0.0.1\]:10088')" 0
# The one that refuses a part may be down for an instant, too, which the log does not tell.
grep -q 'Cause  *the other side: next hop .* does not answer since .*: no server is reached; [0-9]* waiting for it; and [23] more do not' \
    "$TEST_DIR/status" || fail "status: $(cat "$TEST_DIR/status")"
