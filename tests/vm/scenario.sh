#!/bin/sh
# scenario.sh machine|container: what an operator does with the package, in a system of its own with systemd: installs it,
# puts Headroom into Debian's own Postfix, lives with it, upgrades it, forgets it at its removal, purges it. In a machine
# with pure cgroup v2 also what the memory group is for. Run by tests/vm/run, never on a machine that is needed.

kind=$1
# shellcheck source-path=SCRIPTDIR source=../lib/test.sh
. "${0%/*}/../lib/test.sh"

# On Debian 12 postfix.service only stands for its instances, and the daemons are those of the first. From Debian 13 on it runs
# them itself.
unit=postfix.service
group=/sys/fs/cgroup/system.slice/$unit
masked=/etc/systemd/system/postfix.service.d
case $(systemctl show -P ExecStart $unit) in
*/true*)
    unit=postfix@-.service
    group=/sys/fs/cgroup/system.slice/system-postfix.slice/$unit
    masked=/etc/systemd/system/postfix@.service.d
    ;;
esac
pool=$group/headroom-lmtp
server=$TEST_DIR/server
# The emulated machine is slow, and slower where others use its processors; tests/vm/machine.sh bounds it as a whole.
patience=90
[ "$kind" != machine ] || patience=300

show()
{
    [ "${test_status:-0}" -eq 0 ] || journalctl --no-pager -n 60 -o short-monotonic
}
AT_EXIT='show;'

# Figures of the run, at its end.
read -r began _ </proc/uptime
step()
{
    say "== $*"
}

# journal FROM MATCH...: the lines since FROM (a count of seconds since 1970).
now()
{
    date +%s
}
journal()
{
    journal_since=$1
    shift
    journalctl -q --no-pager -o cat --since "@$journal_since" "$@"
}
journal_has()
{
    journal_text=$1
    shift
    journal "$@" | grep -q -e "$journal_text"
}

# Mail: each message has one recipient, which names it.
messages=0
send()
{
    printf 'Subject: test\nMessage-ID: <%s>\n\ntext\n' "$1" | sendmail -i -f sender@guest.invalid "$1"
}
arrived()
{
    [ "$(lines "$server/delivered" " $1 ")" -ge 1 ]
}
once()
{
    wait_for "$patience" arrived "$1" || fail "$1 did not arrive: $(postqueue -p | tail -n 5)"
    expect "deliveries of $1" "$(lines "$server/delivered" " $1 ")" 1
}
deliver()
{
    messages=$((messages + 1))
    send "good$messages@example.invalid"
    once "good$messages@example.invalid"
}
# hold: a message that an agent is busy with, from now until release.
hold()
{
    messages=$((messages + 1))
    held=slow$messages@example.invalid
    send "$held"
    wait_for "$patience" holding || fail "no agent took $held"
}
holding()
{
    [ "$(sink_value "$server" slow.holding)" -ge 1 ]
}
release()
{
    sink_tell "$server" release >/dev/null
    once "$held"
}
# named: every file that is called after headroom where a package, or what it runs, leaves one. The container's root is this
# machine's, whose tree may lie anywhere, and change.
named()
{
    find /etc /usr /var -xdev -path "$TEST_DIR" -prune -o -name '*headroom*' -print | sort
}
files()
{
    cksum /etc/postfix/main.cf /etc/postfix/master.cf
}
# ctl STATUS ARGUMENT...: headroomctl ends so; STATUS is a pattern of the shell.
ctl()
{
    ctl_wanted=$1
    shift
    ctl_got=0
    headroomctl "$@" >"$TEST_DIR/ctl" 2>&1 || ctl_got=$?
    # shellcheck disable=SC2254
    case $ctl_got in
    $ctl_wanted) ;;
    *) fail "headroomctl $*: status $ctl_got: $(cat "$TEST_DIR/ctl")" ;;
    esac
}
presses()
{
    headroomctl status lmtp | grep -q -e SHRINK -e SHED
}
stopped()
{
    [ "$(systemctl show -P ActiveState $unit)" = inactive ]
}
# content WHEN: `postfix check` finds nothing; it speaks to the log.
content()
{
    content_since=$(now)
    postfix check || fail "postfix check $1"
    ! journal "$content_since" -t postfix/postfix-script | grep -e warning || fail "postfix check $1"
}
headroom_parent()
{
    pgrep -o -x headroom
}
master()
{
    tr -d ' ' </var/spool/postfix/pid/master.pid
}
# package WHAT COMMAND...: dpkg, while an agent is busy with a message: Postfix is left alone, and the message arrives once.
package()
{
    package_what=$1
    shift
    hold
    package_master=$(master)
    package_agents=$(pgrep -x lmtp)
    "$@" >"$TEST_DIR/dpkg" 2>&1 || fail "$(cat "$TEST_DIR/dpkg")"
    expect "master after the $package_what" "$(master)" "$package_master"
    expect "agents after the $package_what" "$(pgrep -x lmtp)" "$package_agents"
    release
}
restart()
{
    timeout $patience systemctl restart postfix || fail "systemctl restart postfix: $(systemctl status $unit)"
    systemctl -q is-active $unit || fail "$unit does not run"
}

if [ "$kind" = container ]; then
    step "Debian's Postfix, set up anew"
    rm -f /etc/postfix/main.cf /etc/postfix/master.cf /etc/postfix/headroom.json
    printf '%s\n' 'postfix postfix/main_mailer_type select Local only' \
        'postfix postfix/mailname string guest.invalid' | debconf-set-selections
    DEBIAN_FRONTEND=noninteractive dpkg-reconfigure postfix >"$TEST_DIR/reconfigure" 2>&1 ||
        fail "$(cat "$TEST_DIR/reconfigure")"
fi
mkdir -p "$server"
sink_start "$server" 127.0.0.1:10024 'set slow slow 900'
postconf -e 'default_transport = lmtp:inet:[127.0.0.1]:10024' 'notify_classes ='
restart
deliver
journal_has 'postfix/lmtp.*good1@.*status=sent' "${began%.*}" -b -o short -u $unit || fail 'stock Postfix does not log'

step 'the package changes nothing, and Postfix is content with it'
named >"$TEST_DIR/named"
before=$(files)
since=$(now)
package installation dpkg -i /in/headroom.deb
expect 'main.cf and master.cf' "$(files)" "$before"
content 'before headroom runs'
if [ "$kind" = container ]; then
    # It ends at the first manual page of Postfix that is not there, as in the machine; and is slow.
    chmod 700 /usr/lib/postfix/sbin/headroom
    postfix set-permissions >"$TEST_DIR/permissions" 2>&1 || fail "$(cat "$TEST_DIR/permissions")"
    expect 'postfix set-permissions' "$(cat "$TEST_DIR/permissions")" ''
    expect 'mode of headroom' "$(stat -c %a /usr/lib/postfix/sbin/headroom)" 755
fi
journalctl --list-catalog 2>/dev/null | grep -q 'Headroom' || fail 'the catalog is not in the database'
deliver

step 'without the drop-in it observes, and says how to delegate'
mkdir -p $masked
ln -s /dev/null $masked/headroom.conf
systemctl daemon-reload
postconf -M lmtp/unix="lmtp unix - - y - - headroom"
restart
deliver
pgrep -x headroom >/dev/null || fail 'headroom does not run'
wait_for 10 journal_has 'memory group: observe' "$since" HEADROOM_EVENT=group ||
    fail "no word about the memory group: $(journal "$since" -t postfix/headroom)"
[ "$kind" != machine ] || journal_has 'Delegate=memory' "$since" HEADROOM_EVENT=group || fail 'no advice to delegate'

content 'with headroom'

step 'with the drop-in'
rm -r $masked
systemctl daemon-reload
since=$(now)
if [ "$kind" = machine ] && [ $unit != postfix.service ]; then
    # systemd hands the group of a running unit over, too. Where the unit protects its groups, only a restart opens them.
    systemctl reload postfix
    deliver
    journal_has 'memory group: unit' "$since" HEADROOM_EVENT=group ||
        fail "not in unit mode after a reload: $(journal "$since" HEADROOM_EVENT=group)"
fi
since=$(now)
restart
deliver
expect 'OOMPolicy of the unit' "$(systemctl show -P OOMPolicy $unit)" continue
expect 'Delegate of the unit' "$(systemctl show -P Delegate $unit)" yes
if [ "$kind" = machine ]; then
    journal_has 'memory group: unit' "$since" HEADROOM_EVENT=group || fail "not in unit mode: $(journal "$since" HEADROOM_EVENT=group)"
    expect 'processes in the unit itself' "$(cat $group/cgroup.procs)" ''
    grep -q -x "$(tr -d ' ' </var/spool/postfix/pid/master.pid)" $group/main/cgroup.procs || fail 'master is not in main'
    grep -q -w memory $group/cgroup.subtree_control || fail 'the memory controller is not on'
    hold
    in_pool=$(tr '\n' ' ' <$pool/cgroup.procs)
    for pid in $in_pool; do
        case $(cat /proc/"$pid"/comm) in
        lmtp | lmtp-template) ;; # a worker, or the one that forks them
        *) fail "process $pid in the pool: $(cat /proc/"$pid"/comm)" ;;
        esac
    done
    expect 'workers outside of the pool' "$(pgrep -c -x 'lmtp|lmtp-template')" "$(wc -l <$pool/cgroup.procs)"
    say "workers in the pool: $in_pool, memory of the pool: $(cat $pool/memory.current)"
    release
fi

step 'the log'
number=$messages
journal_has "postfix/lmtp.*good$number@.*status=sent\|postfix/lmtp.*slow$number@.*status=sent" "$since" -o short -u $unit ||
    fail "the delivery is not under $unit"
journal_has 'headroom .* starts: service lmtp' "$since" -u $unit HEADROOM_SERVICE=lmtp HEADROOM_EVENT=start ||
    fail 'the start is not in the journal'
journalctl -q --no-pager -x --since "@$since" HEADROOM_SERVICE=lmtp >"$TEST_DIR/explained"
for subject in 'Headroom has started for the service lmtp' 'Where the service lmtp finds its memory limits'; do
    grep -q -e "$subject" "$TEST_DIR/explained" || fail "journalctl -x does not show: $subject"
done
! grep -e '@HEADROOM' "$TEST_DIR/explained" || fail 'the catalog names a field that its line has not'

step headroomctl
# Others may press this machine's memory.
ctl '[01]' status lmtp
ctl 0 check
! grep 'systemd refuses' "$TEST_DIR/ctl" || fail 'no unit is refused'
if [ "$(systemctl show -p Type --value postfix.service)" = oneshot ]; then
    refused=/run/systemd/system/postfix.service.d
    mkdir -p $refused
    printf '[Service]\nRestart=always\n' >$refused/restart.conf
    systemctl daemon-reload
    ctl 0 check
    grep '^warning *systemd refuses postfix.service' "$TEST_DIR/ctl" || fail "the refused unit: $(cat "$TEST_DIR/ctl")"
    rm $refused/restart.conf
    systemctl daemon-reload
fi

step 'daemon-reload, reload, and an upgrade of the package, each with an agent in the middle of a delivery'
hold
old=$(headroom_parent)
systemctl daemon-reload
expect 'headroom after daemon-reload' "$(headroom_parent)" "$old"
release
echo 'an old program' >/usr/lib/postfix/sbin/headroom.old
mv /usr/lib/postfix/sbin/headroom.old /usr/lib/postfix/sbin/headroom
package upgrade dpkg -i /in/headroom.deb
expect 'headroom after the upgrade' "$(headroom_parent)" "$old"
cmp /usr/lib/headroom/headroom /usr/lib/postfix/sbin/headroom || fail 'the upgrade has not brought the new program'
hold
systemctl reload postfix
wait_for "$patience" not kill -0 "$old" || fail 'the old headroom did not end'
deliver
release
systemctl -q is-active $unit || fail 'Postfix does not run'
if [ "$kind" = machine ]; then
    expect 'memory group after it all' "$(journal "$since" HEADROOM_EVENT=group | tail -n 1 | cut -d , -f 1)" 'memory group: unit'
fi

step 'the line of a relay, with a second service beside the first'
cat >>/etc/postfix/master.cf <<'L'
lmtp-filtermail unix  -  -  y  -  500  lmtp
  -o syslog_name=postfix/lmtp-filtermail
  -o lmtp_header_checks=
  -o lmtp_tls_security_level=none
L
postconf -e 'default_transport = lmtp-filtermail:inet:[127.0.0.1]:10024' \
    'lmtp-filtermail_destination_concurrency_limit = 10000' 'lmtp-filtermail_initial_destination_concurrency = 10000'
expect 'warnings of postconf, stock' "$(postconf 2>&1 >/dev/null)" ''
since=$(now)
# A drop-in that systemd has not read: setup lets it.
reload_needed()
{
    systemctl show -p NeedDaemonReload --value $unit
}
systemctl show -p DropInPaths --value $unit | tr ' ' '\n' | grep '/headroom.conf$' | xargs touch
expect 'a daemon-reload is needed' "$(reload_needed)" yes
echo y | headroomctl setup --apply lmtp-filtermail >"$TEST_DIR/ctl" 2>&1 || fail "setup: $(cat "$TEST_DIR/ctl")"
sed 's/^/    /' "$TEST_DIR/ctl"
expect 'commands of setup' "$(grep -c -e '+ sed ' -e '^+ headroomctl check' -e '^+ postfix reload' -e '^+ systemctl daemon-reload$' "$TEST_DIR/ctl")" 4
expect 'a daemon-reload is needed after setup' "$(reload_needed)" no
expect 'warnings of postconf, with the second line' "$(postconf 2>&1 >/dev/null)" ''
deliver
journal_has "postfix/lmtp-filtermail/lmtp.*good$messages@.*status=sent\|postfix/lmtp-filtermail\[.*good$messages@.*status=sent" \
    "$since" -o short -u $unit || fail "the relay's delivery is not logged as ever: $(journal "$since" -o short -u $unit)"
journal_has 'starts: service lmtp-filtermail' "$since" -t postfix/lmtp-filtermail/headroom || fail 'headroom is not the one who runs it'
[ "$kind" != machine ] || [ -d $group/headroom-lmtp-filtermail ] || fail 'the second service has no group'
postconf -MX lmtp-filtermail/unix
postconf -X lmtp-filtermail_destination_concurrency_limit lmtp-filtermail_initial_destination_concurrency
postconf -e 'default_transport = lmtp:inet:[127.0.0.1]:10024'
systemctl reload postfix

# Both of these run on one processor: the kernel judges each for itself whether the group is stalled as a whole there.
# eat MIB: a process in the pool's group that uses so much memory over and over.
eat()
{
    taskset -c 1 sh -c 'echo $$ >'$pool'/cgroup.procs; exec dd if=/dev/zero of=/dev/null bs='"$1"'M' >/dev/null 2>&1 &
    eater=$!
}
# spin: a process in the pool's group that never waits, so that the group is never stalled as a whole.
spin()
{
    taskset -c 1 sh -c 'echo $$ >'$pool'/cgroup.procs; while :; do :; done' &
    spinner=$!
}
if [ "$kind" = machine ]; then
    step 'pressure from memory.high while another process of the pool runs: SHRINK; when all of it waits: SHED; and back'
    deliver # it runs only while there is mail
    since=$(now)
    spin
    echo 32M >$pool/memory.high
    eat 80
    wait_for "$patience" journal_has . "$since" HEADROOM_EVENT=state HEADROOM_STATE=SHRINK ||
        fail "no SHRINK: $(cat $pool/memory.pressure) $(journal "$since" HEADROOM_SERVICE=lmtp)"
    wait_for "$patience" presses || fail "headroomctl status does not show it: $(headroomctl status lmtp)"
    kill -KILL "$spinner"
    wait "$spinner" 2>/dev/null || :
    wait_for "$patience" journal_has . "$since" HEADROOM_EVENT=state HEADROOM_STATE=SHED ||
        fail "no SHED: $(cat $pool/memory.pressure) $(journal "$since" HEADROOM_SERVICE=lmtp)"
    kill -KILL "$eater"
    wait "$eater" 2>/dev/null || :
    echo max >$pool/memory.high
    wait_for "$patience" journal_has . "$since" HEADROOM_EVENT=state HEADROOM_STATE=OPEN ||
        fail "not OPEN again: $(cat $pool/memory.pressure) $(journal "$since" HEADROOM_SERVICE=lmtp)"
    journal "$since" HEADROOM_SERVICE=lmtp | sed 's/^/    /'
    deliver

    step 'an OOM kill in the pool'
    since=$(now)
    echo 24M >$pool/memory.max
    eat 64
    wait "$eater" 2>/dev/null || :
    expect 'kills' "$(sed -n 's/^oom_kill //p' $pool/memory.events)" 1
    echo max >$pool/memory.max
    systemctl -q is-active $unit || fail "an OOM kill has stopped Postfix: $(systemctl status $unit)"
    deliver
    journal "$since" HEADROOM_SERVICE=lmtp | sed 's/^/    /'
    systemctl -q is-active $unit || fail 'an OOM kill has stopped Postfix'
fi

step 'systemctl stop leaves nothing'
hold
systemctl stop postfix
# The daemons' unit is only part of the one that was stopped: nobody waited for it.
wait_for "$patience" stopped || fail "$unit is $(systemctl show -P ActiveState $unit)"
for name in master headroom lmtp lmtp-template qmgr; do
    ! pgrep -x $name >/dev/null || fail "$name is left"
done
[ ! -d $group ] || fail "$group is left"
ctl 3 status lmtp
sink_tell "$server" heal >/dev/null
restart
postqueue -f
wait_for "$patience" arrived "$held" || fail "$held was lost by the stop"

step 'removed while master.cf names it: mail waits, and the printed command brings it'
sink_tell "$server" set slow slow 900 >/dev/null
# After a bad start master(8) waits before it tries again: a minute, here less. The cure has to be over before that. A child
# of master that could not be exec'ed still has all of master's descriptors in the second before it ends; a reload in that
# second is not seen by the old qmgr, which then takes the new one's wake-up, ends, and is woken again after five minutes.
postconf -e 'service_throttle_time = 40s'
before=$(files)
package removal dpkg -r headroom
expect 'main.cf and master.cf' "$(files)" "$before"
grep -q 'master.cf still names headroom as the command of lmtp' "$TEST_DIR/dpkg" || fail "no word of it: $(cat "$TEST_DIR/dpkg")"
since=$(now)
systemctl reload postfix
messages=$((messages + 1))
send "good$messages@example.invalid"
wait_for "$patience" journal_has 'bad command startup' "$since" -u $unit || fail 'what does master do?'
sed -n 's/^headroom:   //p' "$TEST_DIR/dpkg" >"$TEST_DIR/cure"
sed 's/^/    /' "$TEST_DIR/cure"
expect 'commands of the cure' "$(wc -l <"$TEST_DIR/cure")" 2
sh -e "$TEST_DIR/cure"
once "good$messages@example.invalid"
expect 'the line in master.cf' "$(postconf -M lmtp/unix | tr -s ' ')" 'lmtp unix - - y - - lmtp'

step purge
dpkg -P headroom >"$TEST_DIR/dpkg" 2>&1 || fail "$(cat "$TEST_DIR/dpkg")"
left=$(named | comm -13 "$TEST_DIR/named" -)
expect 'files of headroom' "$left" ''
deliver

read -r ended _ </proc/uptime
say "all seen, in $((${ended%.*} - ${began%.*})) s of the system's time"
