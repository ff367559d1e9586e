# shellcheck shell=sh
# A private systemd-journald, for tests that read the journal. Sourced after test.sh, in a mount namespace of the test's
# own (tests/run gives it). Needs root; no systemd has to run.
#
#     journald_start         before anything logs: /run, /dev and /var/log/journal are the namespace's own from here on
#     journald_show ARG...   journalctl, after everything that was sent has been written
#     journald_stop          also at the end of the test by itself
#
# $JOURNALD_STORAGE is volatile by default, as on small machines.

journald_program=/lib/systemd/systemd-journald

journald_start()
{
    [ -x "$journald_program" ] || skip 'systemd-journald is not installed'
    [ -s /etc/machine-id ] || skip 'journald needs an /etc/machine-id'
    # In a namespace that is not our own, the mounts would be seen by the whole machine.
    [ -n "${TEST_ISOLATED:-}" ] || skip 'needs a mount namespace of its own: start it with tests/run'
    journald_dev=$TEST_DIR/dev
    mkdir -p "$journald_dev"
    mount -t tmpfs -o mode=755 tmpfs "$journald_dev"
    for journald_file in null zero full random urandom tty; do
        [ ! -e "/dev/$journald_file" ] || cp -a "/dev/$journald_file" "$journald_dev/"
    done
    mkdir "$journald_dev/pts" "$journald_dev/shm"
    mount --bind /dev/pts "$journald_dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$journald_dev/shm"
    ln -s pts/ptmx "$journald_dev/ptmx"
    ln -s /proc/self/fd "$journald_dev/fd"
    for journald_file in stdin:0 stdout:1 stderr:2; do
        ln -s "/proc/self/fd/${journald_file#*:}" "$journald_dev/${journald_file%:*}"
    done
    ln -s /run/systemd/journal/dev-log "$journald_dev/log"
    mount --rbind "$journald_dev" /dev
    mount -t tmpfs -o mode=755 tmpfs /run
    [ ! -d /var/log/journal ] || mount -t tmpfs -o mode=755 tmpfs /var/log/journal
    mkdir -p /run/systemd/journal /run/systemd/journald.conf.d "/run/log/journal/$(cat /etc/machine-id)"
    cat >/run/systemd/journald.conf.d/test.conf <<J
[Journal]
Storage=${JOURNALD_STORAGE:-volatile}
RuntimeMaxUse=64M
RateLimitIntervalSec=0
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToWall=no
SyncIntervalSec=1s
J
    "$journald_program" </dev/null >"$TEST_DIR/journald.log" 2>&1 &
    journald_pid=$!
    AT_EXIT="$AT_EXIT journald_stop;"
    wait_for 10 test -S /run/systemd/journal/socket -a -S /run/systemd/journal/dev-log || {
        cat "$TEST_DIR/journald.log" >&2
        fail 'journald did not start'
    }
}

journald_show()
{
    journalctl --sync 2>/dev/null || true
    journalctl --no-pager --quiet "$@"
}

journald_stop()
{
    [ -n "${journald_pid:-}" ] || return 0
    kill -TERM "$journald_pid" 2>/dev/null || true
    wait "$journald_pid" || true
    journald_pid=
}
