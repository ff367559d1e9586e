#!/bin/sh
# What `make demo` shows: a private Postfix on this machine whose transport runs headroom with at most four workers, 200
# messages through it to an LMTP server, and what that looked like. Ten seconds; nothing of it stays. Needs root.

set -eu

# In namespaces of its own: no port of this machine is taken, and whatever is started ends with it.
if [ -z "${TEST_ISOLATED:-}" ]; then
    [ "$(id -u)" -eq 0 ] || {
        echo 'make demo starts a private Postfix, and that needs root.' >&2
        exit 1
    }
    TEST_ISOLATED=1 exec unshare --pid --fork --kill-child=KILL --mount-proc --propagation private --net --ipc \
        sh -c 'ip link set lo up || exit 1; "$@"; exit $?' demo sh "$0"
fi

LIBRARY=$(cd "${0%/*}/lib" && pwd)
. "$LIBRARY/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

MESSAGES=200
WORKERS=4

title()
{
    printf '\n%s\n' "$*"
}
indented()
{
    fold -s -w 110 | sed 's/^/    /'
}
# What a process shares with nobody, in kB: ending it gives back no more than that.
private()
{
    for private_pid in "$@"; do
        sed -n 's/^Private_[A-Za-z]*: *\([0-9]*\) kB/\1/p' "/proc/$private_pid/smaps_rollup"
    done | awk '{ sum += $1 } END { printf "%d", sum }'
}

scene
configure "{\"services\": {\"lmtp-test\": {\"workers\": {\"max\": $WORKERS}}}}"

title 'A private Postfix, with this line in its master.cf:'
indented <"$p/master.d/lmtp-test"
title 'and this in its headroom.json:'
indented <"$p/etc/headroom.json"

# Each delivery takes 50 ms, so that four workers are not enough for all at once.
begin 'set ok slow 0.05' >/dev/null
watch_workers "$TEST_DIR/most"
title "$MESSAGES messages to ten domains; the LMTP server takes 50 ms for each:"
began=$(milliseconds)
send demo "$MESSAGES" --sessions 8 --rcpt 'user%d@domain%d.invalid' --cycle 10 >/dev/null
postfix_wait_empty "$p" 60 || fail 'they were not delivered in a minute'
took=$(($(milliseconds) - began))
kill "$watcher"
[ "$(accounts)" = "sent $MESSAGES, delivered $MESSAGES, queued 0, bounced 0, lost 0, doubled 0" ] ||
    fail "$(accounts)"
most=$(cat "$TEST_DIR/most")
[ "$most" -le "$WORKERS" ] || fail "$most workers"
one=$(workers | head -n 1)
awk -v messages="$MESSAGES" -v took="$took" -v most="$most" -v limit="$WORKERS" -v one="$(private "$one")" \
    -v pair="$(private "$(parent)" "$(dispatcher)")" 'BEGIN {
    printf "    delivered             %d of %d, each once\n", messages, messages
    printf "    in                    %.1f s, %d a second\n", took / 1000, messages * 1000 / took
    printf "    workers at a time     %d (workers.max is %d)\n", most, limit
    printf "    memory of a worker    %d kB that it shares with nobody (stock lmtp)\n", one
    printf "    memory of headroom    %d kB, both processes together\n", pair
}'

title 'The log line of a delivery is that of stock lmtp, written by stock lmtp:'
grep 'postfix/lmtp.*status=sent' "$(postfix_log "$p")" | head -n 1 | indented
title 'Its own first lines:'
grep 'postfix/headroom' "$(postfix_log "$p")" | head -n 2 | indented

title 'Processes:'
{
    ps -o pid,ppid,user,args -p "$(postfix_master_pid "$p")"
    printf "%s\n" "$(parent)" "$(dispatcher)" "$(workers)" | xargs ps -o pid=,ppid=,user=,args= -p
} | cut -c 1-110 | sed 's/^/    /'

postfix_stop "$p"
[ -z "$(postfix_processes "$p")" ] || fail 'something is left after the stop'
title 'Postfix is stopped and nothing is left of it.'
