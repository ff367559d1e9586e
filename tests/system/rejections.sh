#!/bin/sh
# What a server rejects, and a server that dies while it answers: headroom's log has word for word what stock's has, recipient by
# recipient, and nothing more is sent twice. 452 for the third and later of 50 recipients; a connection that is closed after the
# second of three final replies, with one domain and with three.

# shellcheck source=tests/lib/test.sh
. "${0%/*}/../lib/test.sh"
# shellcheck source=tests/lib/postfix.sh
. "$LIBRARY/postfix.sh"

# told NAME: recipient, dsn, status and text of all deliveries since the last call.
told()
{
    tail -n "+$(($(cat "$TEST_DIR/$1.told" 2>/dev/null || echo 0) + 1))" "$(postfix_log "$TEST_DIR/$1")" |
        sed -n 's/.* to=<\([^>]*\)>.* \(dsn=[^,]*\), \(status=.*\)/\1 \2 \3/p' | sort
    wc -l <"$(postfix_log "$TEST_DIR/$1")" >"$TEST_DIR/$1.told"
}

# ended NAME COUNT: so many deliveries were told in all.
ended()
{
    [ "$(lines "$(postfix_log "$TEST_DIR/$1")" ' to=<.*status=')" -ge "$2" ]
}

# scene NAME PREFIX COMMAND COUNT PATTERN...: one message to COUNT recipients while the server does so; then all that is left is tried again.
scene()
{
    scene_name=$1 scene_prefix=$2 scene_command=$3 scene_recipients=$4
    scene_told=$(lines "$(postfix_log "$TEST_DIR/$1")" ' to=<.*status=')
    shift 4
    # shellcheck disable=SC2086
    sink_tell "$TEST_DIR/$scene_name.sink" $scene_command
    scene_list=
    for each; do
        scene_list="$scene_list --rcpt $each"
    done
    # shellcheck disable=SC2086
    mailgen --to "$(postfix_address "$TEST_DIR/$scene_name")" --prefix "$scene_prefix" --sent "$TEST_DIR/$scene_name.sent" $scene_list
    wait_for 10 ended "$scene_name" $((scene_told + scene_recipients)) || fail "$scene_name, $scene_prefix: not all were tried"
    told "$scene_name" >"$TEST_DIR/$scene_name.$scene_prefix"
    sink_tell "$TEST_DIR/$scene_name.sink" heal
    postfix_flush "$TEST_DIR/$scene_name"
    postfix_wait_empty "$TEST_DIR/$scene_name" 10 || fail "$scene_name, $scene_prefix: mail was left"
    told "$scene_name" >"$TEST_DIR/$scene_name.$scene_prefix.again"
    grep -o ' delivered .*@.* ' "$TEST_DIR/$scene_name.sink/delivered" | sed 's/.* \([^ ]*@\)/\1/' | sort | uniq -c \
        >"$TEST_DIR/$scene_name.$scene_prefix.copies"
}

for name in stock ours; do
    [ "$name" = ours ] || AGENT=lmtp
    [ "$name" = stock ] || AGENT=headroom
    # Nothing is tried again by itself.
    postfix_create "$TEST_DIR/$name" 'inet:[127.0.0.1]:10083' 'maximal_backoff_time = 100s' 'minimal_backoff_time = 100s' 'queue_run_delay = 100s'
    sink_start "$TEST_DIR/$name.sink" 127.0.0.1:10083
    postfix_start "$TEST_DIR/$name"
    scene "$name" many 'recipients 2' 50 'user%d@crowd.invalid*50'
    scene "$name" one 'replies 2' 3 a@one.invalid b@one.invalid c@one.invalid
    scene "$name" three 'replies 2' 3 a@red.invalid b@green.invalid c@blue.invalid
    scene "$name" proven 'replies 2' 3 d@red.invalid e@green.invalid f@blue.invalid
    postfix_stop "$TEST_DIR/$name" || fail "$name left something behind"
    sink_stop "$TEST_DIR/$name.sink"
done
expect 'stock: recipients deferred of fifty' "$(lines "$TEST_DIR/stock.many" 'status=deferred .*452 4\.5\.3 too many recipients')" 48
expect 'stock: recipients deferred of three' "$(lines "$TEST_DIR/stock.one" 'status=deferred .*lost connection')" 1
for each in many one three proven; do
    for what in "$each" "$each.again" "$each.copies"; do
        diff "$TEST_DIR/stock.$what" "$TEST_DIR/ours.$what" || fail "$what: not as with stock"
    done
    say "$each: $(wc -l <"$TEST_DIR/ours.$each") deliveries as with stock, $(wc -l <"$TEST_DIR/ours.$each.again") again"
done
