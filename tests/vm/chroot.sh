#!/bin/sh
# chroot.sh [-q] ROOT COMMAND...: runs COMMAND in a root of tests/vm/root.sh, on this machine's kernel, in this tree, which is
# /headroom there. What COMMAND writes elsewhere is in memory, and gone at its end. Needs root.
#
#     -q   programs for arm64 are run by ROOT's qemu-user; in a user namespace of its own, which has binary formats of its own
#          (Linux 6.7)
set -eu

# Mounts that go away with this process.
if [ -z "${CHROOT_INSIDE:-}" ]; then
    enter=
    if [ "$1" = -q ]; then
        # All users are there, with their numbers: what is written from outside, before anything runs in it.
        unshare -U sleep 5 &
        while [ "$(readlink /proc/$!/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do
            sleep 0.01
        done
        echo '0 0 4294967295' >/proc/$!/uid_map
        echo '0 0 4294967295' >/proc/$!/gid_map
        enter="nsenter -U -t $! -S 0 -G 0"
    fi
    # shellcheck disable=SC2086
    CHROOT_INSIDE=1 exec $enter unshare -m --propagation private "$0" "$@"
fi
unset CHROOT_INSIDE
foreign=false
if [ "$1" = -q ]; then
    foreign=true
    shift
fi
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
if $foreign; then
    mount --rbind /proc $root/proc
    mkdir /mnt/formats
    mount -t binfmt_misc none /mnt/formats
    # The first bytes of an ELF file: 64 bits, little endian, a program or a shared object, for machine 183.
    elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":arm64:M::$elf:$mask:/usr/bin/qemu-aarch64:" >/mnt/formats/register
else
    mount -t proc proc $root/proc
fi
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mount -t tmpfs -o mode=755 tmpfs $root/run
# Not this machine's: what is set up for it may not be there.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    ${AGENT:+AGENT="$AGENT"} ${STARTS:+STARTS="$STARTS"} ${AGAIN:+AGAIN="$AGAIN"} chroot $root sh -c 'cd /headroom && exec "$@"' sh "$@"
