# shellcheck shell=sh
# What every system test begins with:
#     . "${0%/*}/../lib/test.sh"
#
# Sourced by POSIX shells. It gives
#     $TEST_DIR      a directory of the test's own, which the runner removes; made and removed here when run by hand
#     $BUILD         the build directory, $LIBRARY the directory of this file
#     $AGENT         the command of the delivery transport under test (default: headroom if it is built, else lmtp)
# and the functions below. A test ends with status 0, with `fail`, or with `skip`. set -eu is on.

set -eu

LIBRARY=${LIBRARY:-$(cd "${0%/*}/../lib" && pwd)}
BUILD=${BUILD:-$(cd "$LIBRARY/../.." && pwd)/build}
if [ -z "${AGENT:-}" ]; then
    AGENT=lmtp
    [ ! -x "$BUILD/headroom" ] || AGENT=headroom
fi
PATH=$BUILD/lib:$PATH
export PATH LIBRARY BUILD AGENT

# say TEXT...: a line of progress, with the seconds since the machine's start, to compare it with others.
say()
{
    read -r say_now _ </proc/uptime
    printf '%s: %s\n' "$say_now" "$*"
}

# fail TEXT...: the promise is broken.
fail()
{
    say "FAILED: $*" >&2
    exit 1
}

# skip TEXT...: this machine cannot run the test. The runner takes the last line as the reason.
skip()
{
    echo "$*"
    exit 77
}

# wait_for SECONDS COMMAND...: runs COMMAND until it succeeds; status 1 when it did not within SECONDS.
wait_for()
{
    read -r wait_until _ </proc/uptime
    wait_until=$((${wait_until%.*} + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        read -r wait_now _ </proc/uptime
        [ "${wait_now%.*}" -lt "$wait_until" ] || return 1
        sleep 0.05
    done
}

# expect WHAT ACTUAL WANTED: two texts must be the same.
expect()
{
    [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

# lines FILE PATTERN: how many lines match the basic regular expression; 0 when there is no such file.
lines()
{
    grep -c -e "$2" "$1" 2>/dev/null || true
}

# not COMMAND...: for wait_for.
not()
{
    ! "$@"
}

# sink_start DIR LISTEN [OPTION...]: starts an LMTP server (lmtpd.c) in DIR and returns when it listens. Its deliveries
# are DIR/delivered, its answer to commands is had by `sink_tell DIR COMMAND...`, its process is DIR/pid.
sink_start()
{
    sink_dir=$1
    sink_listen=$2
    shift 2
    mkdir -p "$sink_dir"
    chmod 755 "$sink_dir"
    lmtpd --listen "$sink_listen" --control "$sink_dir/control" --log "$sink_dir/delivered" \
        --stats "$sink_dir/stats" "$@" >>"$sink_dir/output" 2>&1 &
    echo $! >"$sink_dir/pid"
    wait_for 10 lmtpd --tell "$sink_dir/control" stats || {
        cat "$sink_dir/output" >&2
        fail "the LMTP server on $sink_listen did not start"
    }
}

sink_tell()
{
    sink_dir=$1
    shift
    lmtpd --tell "$sink_dir/control" "$@"
}

# sink_value DIR NAME: one figure of its statistics.
sink_value()
{
    sink_tell "$1" stats | sed -n "s/^$2 //p"
}

# sink_holding DIR: connections that wait for an answer to their message; others may be kept for the next one.
sink_holding()
{
    sink_tell "$1" stats | awk '/\.holding / { sum += $2 } END { print sum + 0 }'
}

# sink_stop DIR: ends it; its status is that of the server (a sanitizer's complaint is a failure).
sink_stop()
{
    sink_tell "$1" quit >/dev/null
    wait "$(cat "$1/pid")"
    rm -f "$1/pid"
}

if [ -z "${TEST_DIR:-}" ]; then
    TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/headroom-test.XXXXXX")
    TEST_DIR_OWN=$TEST_DIR
fi
chmod 755 "$TEST_DIR"

# Commands to run at the end of the test, whatever the end is; a library appends to it.
AT_EXIT=
test_exit()
{
    test_status=$?
    trap '' INT TERM
    set +e
    TEST_LEFT=
    eval "$AT_EXIT"
    # A test that leaves processes behind has failed, whatever else it saw.
    [ -z "$TEST_LEFT" ] || [ "$test_status" -ne 0 ] || test_status=1
    for test_pid in "$TEST_DIR"/*/pid; do
        [ ! -f "$test_pid" ] || kill "$(cat "$test_pid")" 2>/dev/null
    done
    [ -z "${TEST_DIR_OWN:-}" ] || rm -rf "$TEST_DIR_OWN"
    exit "$test_status"
}
trap test_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
