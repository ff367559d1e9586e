#!/bin/sh
# nspawn.sh [-t SECONDS] [-r ROOT] INPUT: boots this machine's own root, or a ROOT of tests/vm/root.sh, with systemd as its
# first process, in a container, on an overlay in memory, so that nothing is written to it; /in gets the directory INPUT, and
# `sh ./command` runs in it as root. Prints its output, ends with its status; 124 after SECONDS. The container has memory
# groups of its own, no network but loopback, no D-Bus to this machine, and only the units that Postfix needs. Needs root
# and systemd-container.
set -eu

limit=120
lower=/
while getopts t:r: option; do
    case $option in
    t) limit=$OPTARG ;;
    r) lower=$(realpath "$OPTARG") ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
input=$(realpath "$1")

# Mounts that go away with this process.
if [ -z "${NSPAWN_INSIDE:-}" ]; then
    NSPAWN_INSIDE=1 exec unshare -m --propagation private "$0" -t "$limit" -r "$lower" "$input"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/nspawn.XXXXXX")
name=headroom-$$
# Nothing is removed recursively: the machine's own root can be seen below $work.
# shellcheck disable=SC2317
cleanup()
{
    for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ -d "$tree/$name" ] || continue
        [ ! -e "$tree/$name/cgroup.kill" ] || echo 1 >"$tree/$name/cgroup.kill"
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            find "$tree/$name" -depth -type d -exec rmdir {} + 2>/dev/null && break
            sleep 0.1
        done
    done
    umount -R "$work/memory/root" "$work/memory" 2>/dev/null || :
    rm -f "$work/errors" "$work/output"
    rmdir "$work/memory" "$work" || :
}
trap cleanup EXIT
mkdir "$work/memory"
mount -t tmpfs -o mode=755 tmpfs "$work/memory"
root=$work/memory/root
mkdir "$root" "$work/memory/upper" "$work/memory/work" "$work/memory/out"
mount -t overlay -o "lowerdir=$lower,upperdir=$work/memory/upper,workdir=$work/memory/work" overlay "$root"

# This machine's own services are not wanted there, and its journal and state are not its own.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/*.requires "$units"/*.service "$units"/*.d "$root/var/log/journal"
mkdir -p "$units/basic.target.wants" "$root/in" "$root/out" "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/test.conf"
ln -sf /lib/systemd/system/basic.target "$units/default.target"
for unit in console-getty.service systemd-resolved.service systemd-networkd.service systemd-logind.service \
    systemd-timesyncd.service; do
    ln -sf /dev/null "$units/$unit"
done
cat >"$root/usr/local/sbin/guest" <<'G'
#!/bin/sh
exec </dev/null >/out/live 2>&1
cd /in
sh ./command
echo "status $?"
systemctl poweroff --force --force >/dev/null 2>&1
G
chmod 755 "$root/usr/local/sbin/guest"
printf '[Service]\nExecStart=/usr/local/sbin/guest\n' >"$units/guest.service"
ln -sf ../guest.service "$units/basic.target.wants/guest.service"

# From 256 on systemd does not start where there is cgroup v1.
[ "$lower" = / ] || export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# Groups of its own: in the one tree of cgroup v2, or in each of those that systemd uses where there are several.
enter()
{
    for tree in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/memory /sys/fs/cgroup; do
        [ -e "$tree/cgroup.procs" ] || continue
        mkdir -p "$tree/$name"
        sh -c 'echo $PPID >"$0/cgroup.procs"' "$tree/$name"
    done
}
# The console of such a container is no device; output comes through a pipe with a name.
mkfifo "$work/memory/out/live"
sed -u 's,\r$,,' <"$work/memory/out/live" | tee "$work/output" &
exec 3>"$work/memory/out/live"
(
    enter
    exec timeout -k 5 "$limit" systemd-nspawn -q -D "$root" --boot --register=no --keep-unit -M "$name" \
        --private-network --console=pipe --link-journal=no --bind-ro="$input":/in --bind="$work/memory/out":/out \
        --kill-signal=SIGKILL </dev/null >"$work/errors" 2>&1 3>&-
) || echo "ended with $?" >>"$work/errors"
exec 3>&-
wait
status=$(sed -n 's/^status \([0-9]*\)$/\1/p' "$work/output" | tail -n 1)
if [ -z "$status" ]; then
    tail -n 30 "$work/errors" >&2
    grep -q 'ended with 124' "$work/errors" && exit 124
    exit 125
fi
exit "$status"
