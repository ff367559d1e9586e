#!/bin/sh
# local(8) is the client (mailbox_transport): it is not restarted by a reload, and what it gets no answer for it delivers
# again. 20 deliveries under way when Postfix is reloaded, twice: none is deferred and none is done twice, as with stock
# lmtp beside it. An alias to 200 users arrives once for each.

STOCK_TOO=1
. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene 'mydestination = test.invalid' \
    "mailbox_transport = lmtp-test:inet:[127.0.0.1]:10083" 'local_destination_concurrency_limit = 100' \
    "alias_maps = texthash:$p/etc/aliases"
postfix_service "$p" local 'local unix - n n - - local'
{
    printf 'everybody '
    number=0
    while [ "$number" -lt 200 ]; do
        printf 'member%d, ' "$number"
        number=$((number + 1))
    done
    echo member200
} >"$p/etc/aliases"
begin
send known 40 --rcpt 'user%d@test.invalid' --cycle 40
wait_for 30 settled 40 || fail "not delivered: $(accounts)"

sink_tell "$s" set ok slow 4
marked()
{
    accounts | grep -q "^sent $1, delivered $1, queued 0, .* doubled 0\$"
}
total=40
for round in 1 2; do
    send "round$round" 20 --rcpt 'user%d@test.invalid' --cycle 40
    total=$((total + 20))
    wait_for 10 under_way 20 || fail "only $(sink_holding "$s") deliveries at once"
    postfix_reload "$p"
    wait_for 30 arrived "$total" || fail "not delivered: $(accounts)"
    # A moment after it is delivered it is marked so.
    wait_for 10 marked "$total" || true
done
deferred=$(said 'postfix/local.* status=deferred')
say "two reloads: $(accounts | head -n 1); $deferred deferred"
expect 'after two reloads' "$(accounts | head -n 1)" "sent $total, delivered $total, queued 0, bounced 0, lost 0, doubled 0"
expect 'deferred' "$deferred" 0

sink_tell "$s" heal
before=$(lines "$s/delivered" ' delivered ')
mailgen --to "$(postfix_address "$p")" --prefix alias --sent "$TEST_DIR/alias" --count 1 --rcpt 'everybody@test.invalid'
everybody()
{
    [ "$(lines "$s/delivered" ' delivered ')" -ge $((before + 201)) ]
}
wait_for 30 everybody || fail "an alias to 201 users: $(($(lines "$s/delivered" ' delivered ') - before)) arrived"
expect 'an alias to 201 users' "$(lines "$s/delivered" ' delivered ')" $((before + 201))
[ "$AGENT" = lmtp ] || expect 'supervisors' "$(postfix_pids "$p" headroom | wc -l)" 2
calm
