#!/bin/sh
# chroot.sh ROOT COMMAND...: runs COMMAND in a root of tests/vm/root.sh, on this machine's kernel, in this tree, which is
# /headroom there. What COMMAND writes elsewhere is in memory, and gone at its end. Needs root.
set -eu

# Mounts that go away with this process.
if [ -z "${CHROOT_INSIDE:-}" ]; then
    CHROOT_INSIDE=1 exec unshare -m --propagation private "$0" "$@"
fi
unset CHROOT_INSIDE
lower=$(realpath "$1")
tree=$(cd "${0%/*}/../.." && pwd)
shift
# The mount point is hidden from others; nothing is ever removed recursively where this machine can be seen.
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
root=/mnt/root
mount -t overlay -o "lowerdir=$lower,upperdir=/mnt/upper,workdir=/mnt/work" overlay $root
mkdir -p $root/headroom
mount --bind "$tree" $root/headroom
mount --rbind /dev $root/dev
mount --rbind /sys $root/sys
mount -t proc proc $root/proc
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mount -t tmpfs -o mode=755 tmpfs $root/run
# Not this machine's: what is set up for it may not be there.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    ${AGENT:+AGENT="$AGENT"} chroot $root sh -c 'cd /headroom && exec "$@"' sh "$@"
