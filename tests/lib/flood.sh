# Floods: a relay whose every remote domain is behind one LMTP server, with much dead mail coming back at once, while good
# mail goes on. Sourced after test.sh and postfix.sh.
#
# $FLOOD names the instances of the test: `ours` has the supervisor with a pool of 64 workers, `stock` has lmtp with a
# process limit of 100, and `calm` is as stock, but gets only the good mail: what it needs is what the machine, which may
# be busy with other things, needs when nothing is wrong. All get the same mail at the same time, so that their figures can be
# compared; each has its own Postfix ($TEST_DIR/NAME), LMTP server (NAME.sink) and list of what was sent (NAME.sent).
#
#     flood_create [MAIN_CF_LINE...]        all of them, with mail put aside from now on; FLOOD=ours leaves the others out
#     flood_each FUNCTION ARG...            FUNCTION INSTANCE ARG... for each instance, one after the other
#     flood_put PREFIX MAILGEN_ARG...       mail to each of them, put aside
#     flood_age SECONDS                     what was put aside is that much older; at least a restart either way. From now
#                                           on mail is no longer put aside, and what was is deferred mail, due in an hour
#     flood_flush                           all deferred mail at once; flood_taken: has qmgr(8) taken all of it?
#     flood_send PREFIX MAILGEN_ARG...      mail to each of them, in the background, to calm only with the prefix `good`;
#                                           flood_sent waits for the end of it
#     flood_latency CASE P99 PREFIX...      prints the figures of all for the messages with these prefixes. Ours: all
#                                           must be delivered, by now or within FLOOD_GRACE (5) s, and the 99th percentile
#                                           of the latency be at most P99 seconds above that of the calm instance
#     flood_spread CASE                     prints when deferred mail is tried again: how many, in how many seconds, and
#                                           the most in any five seconds (left in $spread_INSTANCE_count, _most)
#     flood_account                         ours: every message was delivered or is in the queue, none twice
#     flood_heal SECONDS                    everybody is well; all mail is delivered within that time
#     flood_workers INSTANCE                how many different worker processes logged something
#     flood_end                             stops all, and accounts; in the log there is no throttling, and few lines of ours
#     flood_variants DEFAULT OTHER...       the variants of a case to run: only the first, or all with FLOOD_FULL=1
#
# Beside these three there can be `stock500`, as stock with a process limit of 500. FLOOD_CONFIG is the configuration of ours in
# the place of the usual one, FLOOD_IN a command that starts it (memory_in: in a memory group).
#
# The dead hold a message for $FLOOD_HOLD seconds and good mail goes on for $FLOOD_TIME: 10 and 20, or 30 and 120 with
# FLOOD_FULL=1 in the environment. $FLOOD_P99 is what good mail may take beside known floods, and $FLOOD_P50 half of it. The
# full run judges the figures that are promised. The short one is for every day and any machine, however busy: the
# hundredth part of its good mail is one message, and qmgr(8) needs a second of CPU to hand over 4000 others first; so it only
# demands that good mail does not wait for dead mail: half of it is there at once, and all of it long before the first
# dead delivery ends. What it took is printed beside stock, and measured by make bench.

FLOOD=${FLOOD:-ours stock calm}
FLOOD_GRACE=${FLOOD_GRACE:-5}
if [ -n "${FLOOD_FULL:-}" ]; then
    FLOOD_HOLD=30
    FLOOD_TIME=120
    FLOOD_P99=${FLOOD_P99:-0.25}
    FLOOD_P50=${FLOOD_P50:-0.25}
else
    FLOOD_HOLD=${FLOOD_HOLD:-10}
    FLOOD_TIME=${FLOOD_TIME:-20}
    FLOOD_P99=${FLOOD_P99:-7}
    FLOOD_P50=${FLOOD_P50:-0.5}
fi
flood_ours=127.0.0.1:10083
flood_stock=127.0.0.1:10084
flood_calm=127.0.0.1:10085
flood_stock500=127.0.0.1:10086
flood_config='{"defaults": {"workers": {"max": 64, "limit": "fixed"}}}'

flood_each()
{
    flood_function=$1
    shift
    for flood_instance in $FLOOD; do
        "$flood_function" "$flood_instance" "$@"
    done
}

# The relay's own line; only the name and the command differ.
flood_line()
{
    cat <<M
lmtp-test  unix  -  -  y  -  $2  $1
  -o syslog_name=postfix/lmtp-test
  -o lmtp_header_checks=
  -o lmtp_tls_security_level=none
M
}

flood_start()
{
    if [ "$1" = ours ]; then
        ${FLOOD_IN:-} postfix_start "$TEST_DIR/$1"
    else
        postfix_start "$TEST_DIR/$1"
    fi
}

flood_create_one()
{
    fc_name=$1
    fc_postfix=$TEST_DIR/$fc_name
    shift
    case $fc_name in
    ours) fc_listen=$flood_ours ;;
    stock) fc_listen=$flood_stock ;;
    calm) fc_listen=$flood_calm ;;
    stock500) fc_listen=$flood_stock500 ;;
    esac
    sink_start "$TEST_DIR/$fc_name.sink" "$fc_listen" "set dead dead $FLOOD_HOLD" "set deadrcpt deadrcpt $FLOOD_HOLD"
    postfix_create "$fc_postfix" "inet:[${fc_listen%:*}]:${fc_listen#*:}" \
        'lmtp-test_destination_concurrency_limit = 10000' \
        'lmtp-test_initial_destination_concurrency = 10000' \
        'lmtp_destination_concurrency_limit = 10000' \
        'initial_destination_concurrency = 10000' \
        'default_destination_concurrency_limit = 10000' \
        'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' 'queue_run_delay = 300s' \
        'transport_retry_time = 60s' 'service_throttle_time = 60s' \
        'smtpd_data_restrictions = check_client_access static:HOLD' "$@"
    if [ "$fc_name" = stock500 ]; then
        postfix_service "$fc_postfix" lmtp-test "$(flood_line lmtp 500)"
    elif [ "$fc_name" != ours ]; then
        postfix_service "$fc_postfix" lmtp-test "$(flood_line lmtp 100)"
    else
        postfix_service "$fc_postfix" lmtp-test "$(flood_line "$AGENT" 500)"
        printf '%s\n' "${FLOOD_CONFIG:-$flood_config}" >"$fc_postfix/etc/headroom.json"
    fi
    # Nothing is put aside in the calm one, so it need not be started anew either.
    [ "$fc_name" != calm ] || postfix_main "$fc_postfix" 'smtpd_data_restrictions ='
    flood_start "$fc_name"
}

flood_create()
{
    [ "$AGENT" = headroom ] || skip 'headroom is not built'
    for fc_name in $FLOOD; do
        rm -rf "${TEST_DIR:?}/$fc_name" "$TEST_DIR/$fc_name".*
    done
    flood_each flood_create_one "$@"
}

flood_mailgen()
{
    fm_name=$1
    fm_prefix=$2
    shift 2
    mailgen --to "$(postfix_address "$TEST_DIR/$fm_name")" --prefix "$fm_prefix" --sent "$TEST_DIR/$fm_name.sent" "$@" \
        >>"$TEST_DIR/$fm_name.mailgen" 2>&1
}

flood_put()
{
    fp_pids=
    for fp_name in $FLOOD; do
        [ "$fp_name" != calm ] || continue
        flood_mailgen "$fp_name" "$@" --sessions 8 &
        fp_pids="$fp_pids $!"
    done
    for fp_pid in $fp_pids; do
        wait "$fp_pid" || fail "not all mail was accepted: $(tail -n 1 "$TEST_DIR"/*.mailgen)"
    done
}

flood_age_one()
{
    [ "$1" != calm ] || return 0
    fa_postfix=$TEST_DIR/$1
    postfix_stop "$fa_postfix" || fail "$1 left something behind"
    [ "$2" -eq 0 ] || queue_age "$fa_postfix/queue" "$2"
    postfix_main "$fa_postfix" 'smtpd_data_restrictions ='
    # Not due before the flush, which does not ask: qmgr(8) looks through deferred mail as it starts, too.
    find "$fa_postfix/queue/hold" -type f -exec touch -d '+1 hour' {} +
    flood_start "$1"
    postsuper -c "$fa_postfix/etc" -H ALL 2>>"$fa_postfix/start.log"
}

flood_age()
{
    flood_each flood_age_one "$1"
}

flood_flush_one()
{
    postfix_flush "$TEST_DIR/$1"
}

flood_flush()
{
    flood_each flood_flush_one
}

flood_taken()
{
    for ft_name in $FLOOD; do
        [ "$(postfix_count "$TEST_DIR/$ft_name" deferred)" -eq 0 ] || return 1
    done
}

FLOOD_SENDING=
flood_send()
{
    for fs_name in $FLOOD; do
        [ "$fs_name" != calm ] || [ "$1" = good ] || continue
        flood_mailgen "$fs_name" "$@" &
        FLOOD_SENDING="$FLOOD_SENDING $!"
    done
}

flood_sent()
{
    for fs_pid in $FLOOD_SENDING; do
        wait "$fs_pid" || fail "not all mail was accepted: $(tail -n 1 "$TEST_DIR"/*.mailgen)"
    done
    FLOOD_SENDING=
}

# flood_accounts INSTANCE OPTION...
flood_accounts()
{
    fa_name=$1
    shift
    account --sent "$TEST_DIR/$fa_name.sent" --log "$TEST_DIR/$fa_name.sink/delivered" "$@"
}

# flood_value NAME TEXT: the number behind NAME in "NAME NUMBER, ...".
flood_value()
{
    printf '%s\n' "$2" | sed -n "s/.*\\<$1 \\([0-9.]*\\).*/\\1/p" | head -n 1
}

flood_delivered_all()
{
    fd_text=$(flood_accounts ours --prefix "$1" --queue "$TEST_DIR/ours/queue")
    [ "$(flood_value sent "$fd_text")" = "$(flood_value delivered "$fd_text")" ]
}

flood_figures()
{
    ff_text=$(flood_accounts "$1" --prefix "$2" --queue "$TEST_DIR/$1/queue" --latency || true)
    printf '%s of %s, p50 %s, p99 %s, max %s' "$(flood_value delivered "$ff_text")" "$(flood_value sent "$ff_text")" \
        "$(flood_value p50 "$ff_text")" "$(flood_value p99 "$ff_text")" "$(flood_value max "$ff_text")"
}

flood_latency()
{
    fl_case=$1
    fl_limit=$2
    shift 2
    for fl_prefix; do
        # The others' figures first: the time that ours gets to finish is not theirs.
        fl_calm=
        for fl_name in $FLOOD; do
            [ "$fl_name" != ours ] || continue
            fl_text=$(flood_figures "$fl_name" "$fl_prefix")
            say "$fl_case: $fl_name $fl_prefix: $fl_text"
            [ "$fl_name" != calm ] || fl_calm=$(flood_value p99 "$fl_text")
        done
        fl_late=
        wait_for "$FLOOD_GRACE" flood_delivered_all "$fl_prefix" || fl_late=1
        fl_text=$(flood_figures ours "$fl_prefix")
        say "$fl_case: ours $fl_prefix: $fl_text (load $(cut -d ' ' -f 1 /proc/loadavg))"
        [ -z "$fl_late" ] || fail "$fl_case: good mail was not delivered: $fl_text"
        echo "$(flood_value p99 "$fl_text") $fl_limit ${fl_calm:-0}" | awk '{ exit !($1 <= $2 + $3) }' ||
            fail "$fl_case: the 99th percentile is above $fl_limit s: $fl_text"
        echo "$(flood_value p50 "$fl_text") $FLOOD_P50 ${fl_calm:-0}" | awk '{ exit !($1 <= $2 + $3) }' ||
            fail "$fl_case: the median is above $FLOOD_P50 s: $fl_text"
    done
}

# A deferred file's modification time is the time of its next attempt.
flood_spread()
{
    for fs_name in $FLOOD; do
        [ "$fs_name" != calm ] || continue
        fs_text=$(find "$TEST_DIR/$fs_name/queue/deferred" -type f -printf '%T@\n' | sort -n | awk '
            { time[NR] = $1; while ($1 - time[first + 1] >= 5) first++; if (NR - first > most) most = NR - first }
            END { printf "%d %d %d", NR, NR ? time[NR] - time[1] + 0.5 : 0, most }')
        # shellcheck disable=SC2086
        set -- "$1" $fs_text
        say "$1: next attempts of $fs_name: $2 in $3 s, at most $4 in five seconds"
        eval "spread_${fs_name}_count=$2 spread_${fs_name}_most=$4"
    done
}

flood_account()
{
    fa_text=$(flood_accounts ours --queue "$TEST_DIR/ours/queue") || fail "ours: $fa_text"
    say "ours: $fa_text"
}

flood_heal()
{
    sink_tell "$TEST_DIR/ours.sink" heal >/dev/null
    read -r fh_until _ </proc/uptime
    fh_until=$((${fh_until%.*} + $1))
    # What was deferred in the last moment before it was seen that all is well waits for the next flush.
    until postfix_flush "$TEST_DIR/ours" && wait_for 2 postfix_empty "$TEST_DIR/ours"; do
        read -r fh_now _ </proc/uptime
        [ "${fh_now%.*}" -lt "$fh_until" ] || fail "not all mail was delivered within $1 s after everybody was well:" \
            "$(postfix_count "$TEST_DIR/ours" active) active, $(postfix_count "$TEST_DIR/ours" deferred) deferred"
    done
}

flood_workers()
{
    sed -n 's/.*\/lmtp\[\([0-9]*\)\].*/\1/p' "$(postfix_log "$TEST_DIR/$1")" | sort -u | wc -l
}

flood_end_one()
{
    postfix_stop "$TEST_DIR/$1" || fail "$1 left something behind"
    sink_stop "$TEST_DIR/$1.sink" || fail "the LMTP server of $1 ended badly"
}

flood_end()
{
    flood_each flood_end_one
    flood_account
    fe_log=$(postfix_log "$TEST_DIR/ours")
    ! grep -E ' (fatal|panic): |broken promise|Assertion' "$fe_log" || fail 'see the log'
    ! grep -E 'throttling|mail transport unavailable|unknown mail transport' "$fe_log" || fail 'the transport was throttled'
    fe_lines=$(grep -c 'postfix/headroom\[' "$fe_log") || true
    [ "$fe_lines" -le 20 ] || fail "$fe_lines lines of Headroom's own for one flood"
}

flood_variants()
{
    if [ -n "${FLOOD_VARIANTS:-}" ]; then
        echo "$FLOOD_VARIANTS"
    elif [ -n "${FLOOD_FULL:-}" ]; then
        echo "$*"
    else
        echo "$1"
    fi
}

# flood_age_of VARIANT: the seconds by which `aged` and `fresh` mail is made older.
flood_age_of()
{
    case $1 in
    aged*) echo 3600 ;;
    *) echo 0 ;;
    esac
}
