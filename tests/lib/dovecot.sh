# shellcheck shell=sh
# A real Dovecot behind, for the benchmarks. Sourced after bench.sh.
#
#     dovecot_needed               ends the benchmark, and says why, where there is no Dovecot
#     dovecot_start NAME PORT [CONFIGURATION_LINE...]   its LMTP server on that port of 127.0.0.1 and on the socket $dovecot_socket;
#                                  to be started again by dovecot_again NAME
#     dovecot_stop NAME            and forgets its mail; dovecot_halt NAME: keeps it, to be started again
#     dovecot_pids NAME            all its processes
#     dovecot_sessions NAME        so many connections it has had
#     dovecot_empty NAME           forgets the mail
#
# DOVECOT_ROOT names a root file system that has one, where this one does not.

root=${DOVECOT_ROOT:-}

dovecot_needed()
{
    [ -x "$root/usr/sbin/dovecot" ] && return
    echo "$(basename "$0" .sh) is not run: there is no $root/usr/sbin/dovecot. Install dovecot-lmtpd, or name a root that has it in" \
        'DOVECOT_ROOT: mmdebstrap --variant=apt --include=dovecot-lmtpd bookworm DIRECTORY'
    exit 0
}

dovecot_home()
{
    home=/tmp/headroom-bench-$$-$1
}

# dovecot_run WORD...: Dovecot, where it is; its files are in $home, seen from its root
dovecot_run()
{
    if [ -n "$root" ]; then chroot "$root" /usr/sbin/dovecot -c "$home/dovecot.conf" "$@"; else dovecot -c "$home/dovecot.conf" "$@"; fi
}

dovecot_start()
{
    dovecot_home "$1"
    dovecot_port=$2
    mkdir -p "$root$home/mail"
    chown mail:mail "$root$home/mail"
    cat >"$root$home/dovecot.conf" <<D
base_dir = $home/run
state_dir = $home/state
log_path = $home/log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$home/mail/%2.20Nn allow_all_users=yes
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $dovecot_port
  }
  unix_listener lmtp {
    mode = 0666
  }
}
D
    shift 2
    [ $# -eq 0 ] || printf '%s\n' "$@" >>"$root$home/dovecot.conf"
    # For the benchmarks.
    # shellcheck disable=SC2034
    dovecot_socket=$root$home/run/lmtp
    AT_EXIT="$AT_EXIT dovecot_stop ${home##*-};"
    dovecot_run
}

dovecot_again()
{
    dovecot_home "$1"
    dovecot_run
}

dovecot_halt()
{
    dovecot_home "$1"
    [ ! -d "$root$home" ] || dovecot_run stop || true
}

dovecot_stop()
{
    dovecot_halt "$1"
    rm -rf "$root$home"
}

dovecot_pids()
{
    dovecot_home "$1"
    dovecot_master=$(cat "$root$home/run/master.pid")
    echo "$dovecot_master"
    pgrep -P "$dovecot_master"
}

dovecot_sessions()
{
    dovecot_home "$1"
    lines "$root$home/log" 'Connect from'
}

dovecot_empty()
{
    dovecot_home "$1"
    rm -rf "$root$home/mail/"*
}
