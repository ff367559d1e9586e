# shellcheck shell=sh
# A private, disposable Postfix, for tests, the demonstration and the benchmarks. Sourced after test.sh. Needs root.
#
# Every function takes the instance's directory DIR first; an instance's state is in its directory, so several can run
# side by side. /etc/postfix is not read (but postfix-files and dynamicmaps) and never changed.
#
#     postfix_create DIR NEXTHOP [MAIN_CF_LINE...]   directories, main.cf, master.cf; nothing runs yet
#     postfix_service DIR NAME [TEXT]                put (or replace) a master.cf entry, TEXT in full, any number of
#                                                    lines; without TEXT the entry is taken out
#     postfix_main DIR LINE...                       set parameters of main.cf
#     postfix_start DIR, postfix_reload DIR, postfix_stop DIR
#     postfix_address DIR                            where its smtpd listens, ADDRESS:PORT
#     postfix_master_pid DIR, postfix_running DIR
#     postfix_processes DIR, postfix_pids DIR NAME   pids of all its processes, of those with this name
#     postfix_count DIR [QUEUE...]                   queue files
#     postfix_flush DIR                              every deferred message now
#     postfix_wait_empty DIR SECONDS
#     postfix_hold DIR                               from now on mail is accepted, but put aside (into hold)
#     postfix_release DIR                            the end of that; what was put aside is deferred mail now: flush it
#     postfix_age DIR SECONDS                        makes every queued message that much older
#     postfix_log DIR                                the name of its log file
#
# The transport under test is called `lmtp-test` and its command is $AGENT; NEXTHOP is where it delivers, for instance
# inet:[127.0.0.1]:10083. Every remote domain goes there, as on a relay. postfix_service DIR lmtp-test "TEXT" replaces
# the line. A file DIR/etc/headroom.json is the supervisor's configuration.

# Keys of a configuration with which no stall counts: other tests may stall the machine.
# shellcheck disable=SC2034
unpressed='"pressure": {"hold": 100, "target": 100, "full": 100}'

# By its defaults: the tests do not go by how this machine is set up, or whether it is.
postfix_daemons=$(postconf -dh daemon_directory)

# Every instance gets an address of its own in 127.64.0.0/10, made from its directory's name.
postfix_make_address()
{
    # shellcheck disable=SC2046
    set -- $(printf %s "$1" | cksum)
    echo "127.$((64 + $1 % 64)).$(($1 / 64 % 256)).$(($1 / 16384 % 254 + 1))"
}

postfix_create()
{
    pf_dir=$(realpath -m "$1")
    pf_nexthop=$2
    shift 2
    mkdir -p "$pf_dir/etc" "$pf_dir/queue" "$pf_dir/data" "$pf_dir/daemon" "$pf_dir/master.d"
    chmod 755 "$pf_dir" "$pf_dir/etc" "$pf_dir/queue" "$pf_dir/daemon"
    chown postfix "$pf_dir/data"
    chmod 700 "$pf_dir/data"
    # master(8) can only start programs of one directory: copies of the real ones, and ours beside them. With symbolic
    # links instead, every start has a warning for each.
    cp -a "$postfix_daemons/." "$pf_dir/daemon/"
    for pf_file in "$BUILD"/headroom*; do
        [ ! -f "$pf_file" ] || [ ! -x "$pf_file" ] || install -o root -g root -m 755 "$pf_file" "$pf_dir/daemon/"
    done
    pf_address=$(postfix_make_address "$pf_dir")
    echo "$pf_address:2525" >"$pf_dir/address"
    cat >"$pf_dir/etc/main.cf" <<M
compatibility_level = 3.6
queue_directory = $pf_dir/queue
data_directory = $pf_dir/data
daemon_directory = $pf_dir/daemon
command_directory = $(postconf -dh command_directory)
shlib_directory = $(postconf -dh shlib_directory)
meta_directory = $(postconf -dh meta_directory)
mail_owner = postfix
setgid_group = postdrop
syslog_name = postfix
maillog_file = $pf_dir/maillog
maillog_file_prefixes = $pf_dir
myhostname = test.invalid
mydomain = test.invalid
myorigin = test.invalid
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
smtp_dns_support_level = disabled
default_transport = lmtp-test:$pf_nexthop
relay_transport = lmtp-test:$pf_nexthop
notify_classes =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 1s
service_throttle_time = 2s
M
    postfix_service "$pf_dir" smtpd "$pf_address:2525 inet n - n - - smtpd"
    postfix_service "$pf_dir" pickup 'pickup unix n - n 60 1 pickup'
    postfix_service "$pf_dir" cleanup 'cleanup unix n - n - 0 cleanup'
    postfix_service "$pf_dir" qmgr 'qmgr unix n - n 300 1 qmgr'
    postfix_service "$pf_dir" rewrite 'rewrite unix - - n - - trivial-rewrite'
    postfix_service "$pf_dir" bounce 'bounce unix - - n - 0 bounce'
    postfix_service "$pf_dir" defer 'defer unix - - n - 0 bounce'
    postfix_service "$pf_dir" trace 'trace unix - - n - 0 bounce'
    postfix_service "$pf_dir" verify 'verify unix - - n - 1 verify'
    postfix_service "$pf_dir" flush 'flush unix n - n 1000? 0 flush'
    postfix_service "$pf_dir" proxymap 'proxymap unix - - n - - proxymap'
    postfix_service "$pf_dir" showq 'showq unix n - n - - showq'
    postfix_service "$pf_dir" error 'error unix - - n - - error'
    postfix_service "$pf_dir" retry 'retry unix - - n - - error'
    postfix_service "$pf_dir" discard 'discard unix - - n - - discard'
    postfix_service "$pf_dir" anvil 'anvil unix - - n - 1 anvil'
    postfix_service "$pf_dir" scache 'scache unix - - n - 1 scache'
    postfix_service "$pf_dir" postlog 'postlog unix-dgram n - n - 1 postlogd'
    postfix_service "$pf_dir" lmtp-test "lmtp-test unix - - n - - $AGENT"
    postfix_main "$pf_dir" 'in_flow_delay = 0' "$@"
    case $AT_EXIT in
    *"postfix_stop '$pf_dir'"*) ;;
    *) AT_EXIT="$AT_EXIT postfix_stop '$pf_dir';" ;;
    esac
}

postfix_service()
{
    if [ $# -gt 2 ]; then
        printf '%s\n' "$3" >"$1/master.d/$2"
    else
        rm -f "$1/master.d/$2"
    fi
    cat "$1"/master.d/* >"$1/etc/master.cf.new"
    mv "$1/etc/master.cf.new" "$1/etc/master.cf"
}

postfix_main()
{
    pf_main=$1
    shift
    postconf -c "$pf_main/etc" -e "$@"
    # Postfix waits until a file that was changed just now is a second old.
    touch -d '-10 seconds' "$pf_main/etc/main.cf"
}

postfix_address()
{
    cat "$1/address"
}

postfix_log()
{
    echo "$1/maillog"
}

postfix_master_pid()
{
    tr -d ' \n' 2>/dev/null <"$1/queue/pid/master.pid"
}

# A master(8) of another pid namespace writes a number that is somebody else's here: 1, above all, which as a process group
# is every process of the machine.
postfix_running()
{
    pf_pid=$(postfix_master_pid "$1") && [ -n "$pf_pid" ] && [ "$pf_pid" -gt 1 ] &&
        [ "$(cat "/proc/$pf_pid/comm" 2>/dev/null)" = master ]
}

postfix_start()
{
    if ! postfix -c "$1/etc" start >"$1/start.log" 2>&1; then
        # The messages of a failed start are only shown to a terminal.
        script -qec "postfix -c '$1/etc' start" /dev/null >&2 </dev/null || true
        tail -n 5 "$1/maillog" >&2 2>/dev/null || true
        return 1
    fi
    mailgen --wait 20 "$(postfix_address "$1")" || {
        tail -n 5 "$1/maillog" >&2
        return 1
    }
}

# The pids of its processes with this name (master, qmgr, smtpd, lmtp, headroom...), one a line.
postfix_pids()
{
    for pf_pid in $(postfix_processes "$1"); do
        { read -r pf_name <"/proc/$pf_pid/comm"; } 2>/dev/null || continue
        [ "$pf_name" != "$2" ] || echo "$pf_pid"
    done
}

postfix_replaced()
{
    for pf_pid in $1; do
        [ ! -e "/proc/$pf_pid" ] || return 1
    done
}

# Returns when qmgr(8) is a new one.
postfix_reload()
{
    pf_old=$(postfix_pids "$1" qmgr)
    postfix -c "$1/etc" reload >>"$1/start.log" 2>&1
    wait_for 10 postfix_replaced "$pf_old"
}

# The processes that belong to the instance: those that work in its queue directory or have it as their root, one pid
# a line. This finds also those that left master's process group.
postfix_processes()
{
    find /proc -maxdepth 2 \( -name cwd -o -name root \) -lname "$(realpath "$1")/*" 2>/dev/null |
        cut -d / -f 3 | sort -un
}

postfix_group_gone()
{
    ! kill -s 0 -- "-$1" 2>/dev/null
}

# postfix_stop DIR: as `postfix stop`, without its waiting by whole seconds. Status 1 when something was left after 5 s
# (it is named and killed), which no stock instance does.
postfix_stop()
{
    pf_stop=$(realpath -m "$1")
    postfix_running "$pf_stop" || return 0
    pf_group=$(postfix_master_pid "$pf_stop")
    postfix -c "$pf_stop/etc" abort >>"$pf_stop/start.log" 2>&1 || true
    pf_bad=0
    wait_for 5 postfix_group_gone "$pf_group" || pf_bad=1
    pf_left=$(postfix_processes "$pf_stop")
    [ "$pf_bad" -ne 0 ] || [ -n "$pf_left" ] || return 0
    for pf_pid in $pf_left; do
        echo "left behind by $pf_stop: $pf_pid $(cat "/proc/$pf_pid/comm" 2>/dev/null)" >&2
        kill -KILL "$pf_pid" 2>/dev/null || true
    done
    kill -s KILL -- "-$pf_group" 2>/dev/null || true
    # Read by test.sh.
    # shellcheck disable=SC2034
    TEST_LEFT=1
    return 1
}

postfix_count()
{
    pf_count=$1
    shift
    [ $# -gt 0 ] || set -- maildrop incoming active deferred hold
    (
        cd "$pf_count/queue" && find "$@" -type f 2>/dev/null | wc -l
    )
}

# A message that just goes from one queue to another may not be seen the first time.
postfix_empty()
{
    [ "$(postfix_count "$1")" -eq 0 ] && [ "$(postfix_count "$1")" -eq 0 ]
}

postfix_wait_empty()
{
    wait_for "$2" postfix_empty "$1" || {
        say "queue of $1: $(postfix_count "$1" incoming) incoming, $(postfix_count "$1" active) active," \
            "$(postfix_count "$1" deferred) deferred" >&2
        return 1
    }
}

postfix_flush()
{
    postqueue -c "$1/etc" -f
}

# Sets a parameter of smtpd and returns when every idle smtpd is a new one.
postfix_smtpd()
{
    postfix_main "$1" "$2"
    ! postfix_running "$1" || {
        pf_old_smtpd=$(postfix_pids "$1" smtpd)
        postfix_reload "$1"
        wait_for 10 postfix_replaced "$pf_old_smtpd"
    }
}

postfix_hold()
{
    postfix_smtpd "$1" 'smtpd_data_restrictions = check_client_access static:HOLD'
}

postfix_release()
{
    postfix_smtpd "$1" 'smtpd_data_restrictions ='
    postsuper -c "$1/etc" -H ALL 2>>"$1/start.log"
}

# Postfix keeps a message's age inside its queue file; it is rewritten while nothing runs.
postfix_age()
{
    pf_was_running=false
    if postfix_running "$1"; then
        pf_was_running=true
        postfix_stop "$1" || return 1
    fi
    queue_age "$1/queue" "$2"
    if $pf_was_running; then
        postfix_start "$1"
    fi
}
