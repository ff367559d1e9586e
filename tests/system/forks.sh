#!/bin/sh
# Workers that are forked from an initialised stock lmtp (agents/template.h). They deliver, with log lines that cannot be
# told from those of stock lmtp, have the descriptors of an executed one, and little memory of their own. What is not safe
# is refused; whatever happens to the one that forks, mail goes on, and after the end nothing is left.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

scene 'ipc_idle = 1s' 'transport_maps = inline:{.stock.invalid=stock:inet:[127.0.0.1]:10083}'
postfix_service "$p" stock 'stock unix - - n - - lmtp'
configure '{"defaults": {"workers": {"max": 30, "start": "exec"}}}'
begin 'set slow slow 0.3'
log=$(postfix_log "$p")
total=0

template()
{
    children "$(parent)" lmtp-template
}

forking()
{
    [ "$(said 'workers are forked from process')" -ge 1 ] && [ -n "$(template)" ]
}

# fewer: kills all workers, so that others are started.
fewer()
{
    for fewer_pid in $(workers); do
        kill -KILL "$fewer_pid" 2>/dev/null || :
    done
}

# forks_again: one that forks is started with a worker, if it is time. Mail is sent until there is one.
forks_again()
{
    forks_until=$(($(milliseconds) + 10000))
    until [ -n "$(template)" ]; do
        [ "$(milliseconds)" -lt "$forks_until" ] || fail "none forks: $(grep headroom "$log" | tail -n 3)"
        fewer
        deliver again 3
    done
}

# deliver PREFIX COUNT: all of it arrives.
deliver()
{
    send "$@"
    total=$((total + $2))
    wait_for 20 settled "$total" || fail "$1: not delivered: $(accounts)"
}

# unshared PID: kB that it shares with nobody.
unshared()
{
    awk '/^Private_/ { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"
}

# own_descriptors PID: what is behind each of its descriptors, without the numbers of sockets.
own_descriptors()
{
    for fd in "/proc/$1/fd"/*; do
        printf '%s %s\n' "${fd##*/}" "$(readlink "$fd" | sed 's/\[[0-9]*\]//')"
    done | sort -n
}

say 'one is executed, all others are forked'
deliver known 100
first=$(workers | head -n 1)
# Its connections to other programs of Postfix are over: what it had before it comes last.
alone()
{
    own_descriptors "$first" | tail -n 1 | grep -q 'pipe:'
}
wait_for 10 alone || fail "descriptors of an executed worker: $(own_descriptors "$first")"
executed=$(own_descriptors "$first")
memory=$(unshared "$first")
configure '{"defaults": {"workers": {"max": 30, "start": "fork"}}}'
postfix_reload "$p"
deliver more 100
wait_for 5 forking || fail "nothing is forked: $(grep headroom "$log")"
deliver slow 100 --sessions 8 --rcpt 'slow%d@good%d.invalid' --cycle 20
forked=
for pid in $(workers); do
    [ "$(unshared "$pid")" -gt 1000 ] || forked="$forked $pid"
done
say "executed: $memory kB; forked: $(for pid in $forked; do unshared "$pid"; done | tr '\n' ' ')"
# shellcheck disable=SC2086
set -- $forked
[ "$#" -ge 5 ] || fail "$# workers with less than 1 MB of their own"
alike()
{
    [ "$(own_descriptors "$1")" = "$executed" ]
}
wait_for 5 alike "$1" || fail "descriptors of a forked worker: $(own_descriptors "$1"); executed: $executed"
expect 'its parent' "$(sed -n 's/^PPid:\t//p' "/proc/$1/status")" "$(parent)"
expect 'LD_PRELOAD in it' "$(tr '\0' '\n' <"/proc/$1/environ" | grep -c -e LD_PRELOAD -e HEADROOM)" 0
"$BUILD/headroomctl" -c "$p/etc" status "$SERVICE" | grep -q 'Starts *workers are forked' || fail 'status does not say it'

# faults PID...: page faults so far
faults()
{
    for pid in "$@"; do
        sed 's/.*) //' "/proc/$pid/stat"
    done | awk '{ sum += $8 } END { print sum }'
}

# With segments as large as those of the loopback interface it is 32 for each.
say 'they get no memory from the kernel with each message'
# shellcheck disable=SC2086
before=$(faults $forked)
deliver again 100 --sessions 8 --rcpt 'slow%d@good%d.invalid' --cycle 20
# shellcheck disable=SC2086
after=$(faults $forked)
[ $((after - before)) -lt 1000 ] || fail "$((after - before)) page faults for 100 messages"
say "$((after - before)) page faults for 100 messages"

say 'log lines as those of stock lmtp'
for of in stock ours; do
    for is in good bounce1 defer1; do
        send "$of-$is" 1 --rcpt "$is@$is.$of.invalid"
    done
done
wait_for 10 three || fail "wanted three kinds of lines each: $(kinds stock) -- $(kinds ours)"
expect 'log lines' "$(kinds ours)" "$(kinds stock)"
total=$((total + 6))
sink_tell "$s" heal
sink_tell "$s" set slow slow 0.3
postfix_flush "$p"

# gone_wrong WHAT SIGNAL: it is hit while workers are needed; those are executed, nothing is late, a new one forks later.
gone_wrong()
{
    say "$1"
    forks_again
    hit=$(template)
    fewer
    kill "-$2" "$hit"
    from=$(milliseconds)
    deliver "hit$2" 30
    took=$(($(milliseconds) - from))
    [ "$took" -lt 3000 ] || fail "30 messages took $took ms"
    wait_for 5 gone "$hit" || fail "process $hit is still there"
}
gone_wrong 'killed' KILL
gone_wrong 'stopped' STOP
forks_again

say 'main.cf changes'
old=$(template)
postfix_main "$p" 'lmtp_helo_timeout = 299s'
fewer
deliver fresh 30
wait_for 5 gone "$old" || fail 'it was not made again'

say 'the program is replaced in mid-delivery'
forks_again
old=$(template)
send slow 20 --rcpt 'slow%d@good%d.invalid' --cycle 20
total=$((total + 20))
cp -a "$p/daemon/lmtp" "$p/daemon/lmtp.new"
mv "$p/daemon/lmtp.new" "$p/daemon/lmtp"
wait_for 20 settled "$total" || fail "not delivered: $(accounts)"
fewer
deliver fresh 30
wait_for 5 gone "$old" || fail 'it was not made again'
forks_again
expect 'what forks' "$(readlink "/proc/$(template)/exe")" "$(realpath "$p/daemon/lmtp")"

say 'reload, kill of the parent, stop: nothing is left'
forks_again
old=$(template)
postfix_reload "$p"
wait_for 2 gone "$old" || fail 'it outlived a reload'
forks_again
old=$(template)
kill -STOP "$old"
kill -KILL "$(parent)"
wait_for 2 gone "$old" || fail 'it outlived the parent'
forks_again
calm

say 'a table that each worker opens again'
printf 'nothing.invalid nothing\n' >"$p/etc/table"
postmap -c "$p/etc" "hash:$p/etc/table"
postfix_main "$p" "lmtp_generic_maps = hash:$p/etc/table"
postfix_reload "$p"
deliver table 30
forks_again
deliver table 30
old=$(template)
postmap -c "$p/etc" "hash:$p/etc/table"
fewer
deliver table 30
wait_for 5 gone "$old" || fail 'it outlived a new table'

say 'a table that its user may not open again'
expect_said 'refused before' 'workers are executed, not forked.*it keeps a file open' 0
chmod 600 "$p/etc/table.db"
postfix_reload "$p"
deliver table 30
expect_said 'refused' 'workers are executed, not forked.*it keeps a file open that forks must not share (descriptor .*table.db)' 1
expect 'none forks' "$(template)" ''

all=$(postfix_processes "$p")
postfix_stop "$p"
for pid in $all; do
    gone "$pid" || fail "process $pid is left"
done
expect 'in the end' "$(accounts --may-double 60 | head -n 1)" "sent $total, delivered $((total - 2)), queued 0, bounced 2, lost 0, doubled 0"
