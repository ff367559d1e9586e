#!/bin/sh
# The n-th call fails, once or from then on, in the dispatcher, in the parent and before there are two, while a real Postfix
# delivers; and each is killed at its n-th call. Whatever fails: all mail is delivered in the end, once (but for a process
# that was killed), nothing hangs, SIGTERM ends the supervisor, and few lines say what happened.
#
# One short scene for each fault: six recipients in three domains, then SIGTERM. Which calls there are is counted in a run
# in which nothing fails. First and last of each, then what lies between, for $FAULTS_TIME seconds (150); FAULTS_FULL=1:
# all of them. FAULTS="ROLE CLASS NUMBER ACTION once|on": this one. $FAULTS_LANES (4) private Postfix instances side by side.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
. "$LIBRARY/headroom.sh"

[ -x "$BUILD/fault/headroom" ] || fail "make check-faults builds $BUILD/fault"
lanes=${FAULTS_LANES:-4}
seconds=${FAULTS_TIME:-150}
base=$TEST_DIR
mkdir "$base/result"

# lane NUMBER: from here on $p, $s, $sent are its own.
lane()
{
    p=$base/postfix$1
    s=$base/sink$1
    sent=$base/sent$1
    SINK=127.0.0.1:$((10090 + $1))
    plan=$p/fault
    mkdir -p "$p"
    install -d -o postfix "$p/metrics"
    : >"$sent"
    postfix_create "$p" "inet:[127.0.0.1]:$((10090 + $1))" 'service_throttle_time = 1s' 'max_use = 2'
    cp "$BUILD/fault/headroom" "$BUILD/fault/headroom-template.so" "$p/daemon/"
    configure "{\"defaults\": {\"workers\": {\"max\": 20, \"start\": \"fork\"}, \"metrics\": {\"textfile\": \"$p/metrics/headroom.prom\"}}}"
    begin
}

deliveries()
{
    wc -l <"$s/delivered" 2>/dev/null || echo 0
}

# delivered: recipients of this scene's mail that are delivered; twice counts once. What a scene with a kill has left comes later.
delivered()
{
    grep -F " delivered <$tag." "$s/delivered" 2>/dev/null | cut -d " " -f 3,4 | sort -u | wc -l
}

delivered_all()
{
    [ "$(delivered)" -ge "$1" ]
}

mail()
{
    mailgen --to "$(postfix_address "$p")" --prefix "$tag" --sent "$sent" --count 2 --sessions 2 \
        --rcpt 'user%d@good%d.invalid*3' --cycle 3 >"$p/mailgen" || problem "mailgen: $(cat "$p/mailgen")"
}

# Without a fault; the supervisor ends as it does in a scene.
clean()
{
    tag=clean$(deliveries)
    mail
    wait_for 60 delivered_all 6 || fail "a run without a fault: $(accounts)"
    over
}

over()
{
    over_parent=$(parent)
    [ -n "$over_parent" ] || return 0
    kill -TERM "$over_parent" 2>/dev/null || return 0
    within 10000 gone "$over_parent" || {
        problem "SIGTERM did not end $over_parent"
        postfix_pids "$p" headroom | xargs -r kill -KILL
    }
}

problem()
{
    problems="$problems; $*"
}

# plan ROLE CLASS NUMBER ACTION once|on; hits, off
plan()
{
    : >"$p/fault-template"
    chmod 666 "$p/fault-template"
    case $1 in
    template) echo "$3" >"$p/fault-template" ;;
    *) faults "$plan" "$@" ;;
    esac
}

hits()
{
    case $1 in
    template) [ -s "$p/fault-template" ] || echo 1 ;;
    *) faults "$plan" hits | grep -v '^0' ;;
    esac
}

off()
{
    faults "$plan" off
    rm -f "$p/fault-template"
}

forked()
{
    [ "$(said 'workers are forked')" -gt "$1" ]
}

# arrive COUNT: that many recipients, at last. What qmgr finds locked ("skipped, still being delivered") it puts
# aside for a minute, also with stock lmtp, when a message comes back in the second in which it was deferred.
arrive()
{
    arrive_until=$(($(milliseconds) + 25000))
    until within 4000 delivered_all "$1"; do
        [ "$(milliseconds)" -lt "$arrive_until" ] || {
            problem "$(delivered) of $1 delivered"
            return 0
        }
        postfix_flush "$p"
    done
}

# one ROLE CLASS NUMBER ACTION once|on
one()
{
    problems=
    wanted=6
    tag=case$(deliveries)
    log_before=$(wc -l <"$(postfix_log "$p")")
    forked_before=$(said 'workers are forked')
    plan "$@"
    mail
    [ "$5" = once ] || within 2000 delivered_all 6 || off
    arrive 6
    if [ "$1" = template ]; then
        # It is there after the first workers; it may have died before.
        within 1000 forked "$forked_before" || true
        wanted=12
        mail
        arrive 12
    fi
    over
    hit=missed
    [ -z "$(hits "$1")" ] || hit=hit
    off
    mine=$(lines "$s/delivered" " delivered <$tag\.")
    [ "$4" = death ] || [ "$mine" -le "$wanted" ] || problem "$mine deliveries of $wanted"
    tail -n +$((log_before + 1)) "$(postfix_log "$p")" >"$p/log"
    said_ours=$(grep -c 'headroom\[' "$p/log") || true
    [ "$said_ours" -le 30 ] || problem "$said_ours lines"
    ! grep -q -e 'broken promise' -e 'Please report' -e 'panic:' "$p/log" || problem 'a promise is broken'
    # rights_return() ends the process on purpose when it would go on with the wrong rights.
    [ "$2" = rights ] || ! grep -q 'headroom.*signal 6\|headroom.*signal 11' "$p/log" || problem 'it crashed'
    if [ -n "$problems" ]; then
        {
            echo "$*: ${problems#; }"
            grep -v -e 'status=sent' -e '/smtpd\[' -e '/cleanup\[' -e '/qmgr\[' "$p/log" | tail -n 12 | sed 's/^/    /'
        } >>"$base/result/problems"
    fi
    echo "$1 $2 $3 $4 $5 $hit $said_ours" >>"$base/result/tried"
}

# What to try, the best first: the two ends of each row, then halves of what lies between.
cases()
{
    awk -v full="${FAULTS_FULL:-0}" '
    BEGIN {
        of["calls"] = "death/once"
        of["malloc"] = "ENOMEM/once ENOMEM/on"
        of["open"] = "EMFILE/once EMFILE/on EIO/once"
        of["read"] = "EIO/once EINTR/once short/once short/on"
        of["write"] = "ENOSPC/once ENOSPC/on EIO/once short/once"
        of["cgroup"] = "EIO/once EBUSY/on"
        of["send"] = "EAGAIN/once EPIPE/once ENOBUFS/once EINTR/once short/once short/on"
        of["recv"] = "EAGAIN/once EINTR/once short/once short/on"
        of["socket"] = "EMFILE/once EMFILE/on"
        of["connect"] = "EAGAIN/once ECONNREFUSED/once"
        of["bind"] = "ENOSPC/once ENOSPC/on"
        of["accept"] = "EMFILE/once EMFILE/on ECONNABORTED/once EINTR/once"
        of["fork"] = "EAGAIN/once ENOMEM/on"
        of["mkdir"] = "ENOSPC/once ENOSPC/on"
        of["rename"] = "EIO/once ENOSPC/on"
        of["unlink"] = "EIO/once"
        of["fsync"] = "EIO/once EIO/on"
        of["stat"] = "EIO/once ENOMEM/on"
        of["epoll"] = "ENOMEM/once ENOSPC/on"
        of["wait"] = "EINTR/once"
        of["kill"] = "EPERM/once"
        of["thread"] = "EAGAIN/on"
        of["rights"] = "EPERM/once EPERM/on"
    }
    function put(rank, number, action) {
        if (number < 1 || number > $3 || (key = $1 " " $2 " " number " " action) in seen)
            return
        seen[key]
        sub("/", " ", key)
        print rank, key
    }
    {
        actions = split(of[$2], action, " ")
        for (i = 1; i <= actions; i++) {
            put(1, 1, action[i])
            put(2, $3, action[i])
            for (depth = 1; 2 ^ depth <= 2 * $3; depth++)
                for (k = 1; k < 2 ^ depth; k += 2)
                    put(2 + depth, int($3 * k / 2 ^ depth + 0.5), action[i])
        }
    }' | sort -s -k 1,1n -k 2,2 | cut -d ' ' -f 2-
}

# Every lane takes the next one that nobody has taken.
take()
{
    (
        flock 9
        read -r taken <"$base/result/at"
        echo $((taken + 1)) >"$base/result/at"
        sed -n "$((taken + 1))p" "$base/result/cases"
    ) 9>"$base/result/lock"
}

work()
{
    trap - EXIT
    while [ "$(milliseconds)" -lt "$until_time" ]; do
        next=$(take)
        [ -n "$next" ] || return 0
        # shellcheck disable=SC2086
        one $next
    done
}

number=1
while [ "$number" -le "$lanes" ]; do
    lane "$number"
    clean
    number=$((number + 1))
done
# Only the counts are of interest.
faults "$plan" start calls 4000000000 EIO once
clean
faults "$plan" counts >"$base/result/counts"
# Nobody counts these.
echo 'template calls 100' >>"$base/result/counts"
if [ -n "${FAULTS:-}" ]; then
    echo "$FAULTS" >"$base/result/cases"
else
    cases <"$base/result/counts" >"$base/result/cases"
fi
echo 0 >"$base/result/at"
[ "${FAULTS_FULL:-0}" = 0 ] || seconds=100000
until_time=$(($(milliseconds) + seconds * 1000))
: >"$base/result/problems"
number=1
working=
while [ "$number" -le "$lanes" ]; do
    (
        p=$base/postfix$number
        s=$base/sink$number
        sent=$base/sent$number
        plan=$p/fault
        work
    ) &
    working="$working $!"
    number=$((number + 1))
done
for pid in $working; do
    wait "$pid" || fail "lane $pid"
done

number=1
while [ "$number" -le "$lanes" ]; do
    p=$base/postfix$number
    s=$base/sink$number
    sent=$base/sent$number
    total=$(wc -l <"$sent")
    drain 30 || fail "lane $number: $(accounts)"
    accounts --may-double 1000 >"$p/accounts" || cat "$p/accounts" >>"$base/result/problems"
    say "lane $number: $(head -n 1 "$p/accounts")"
    case $(head -n 1 "$p/accounts") in
    "sent $total, delivered $total, queued 0, bounced 0, lost 0, "*) ;;
    *) echo "lane $number: $(cat "$p/accounts")" >>"$base/result/problems" ;;
    esac
    number=$((number + 1))
done
{
    echo "of $(wc -l <"$base/result/cases") faults $(wc -l <"$base/result/tried") were tried, $(lines "$base/result/tried" ' hit ') hit"
    echo 'role        call     fails with    often  tried  reached  most lines'
    awk '{ key = sprintf("%-11s %-8s %-13s %-5s", $1, $2, $4, $5); tried[key]++; hit[key] += $6 == "hit"
           if ($7 > most[key]) most[key] = $7 }
        END { for (key in tried) printf "%s %6d %8d %11d\n", key, tried[key], hit[key], most[key] }' \
        "$base/result/tried" | sort
} | tee "$BUILD/fault/table"
if [ -s "$base/result/problems" ]; then
    cat "$base/result/problems"
    fail "$(lines "$base/result/problems" '^[a-z]') faults were felt"
fi
