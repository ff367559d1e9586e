#!/bin/sh
# machine.sh [-m MIB] [-t SECONDS] IMAGE INPUT: boots the machine of image.sh in QEMU, without KVM, as /in gets the
# directory INPUT, and runs `sh ./command` in it as root. Prints its output, ends with its status; 124 after SECONDS.
# The image is not changed, so several machines may run from it at once.
set -eu

memory=1024
limit=600
while getopts m:t: option; do
    case $option in
    m) memory=$OPTARG ;;
    t) limit=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
image=$1
input=$2

work=$(mktemp -d "${TMPDIR:-/tmp}/machine.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar -C "$input" -cf "$work/input.tar" .
truncate -s %512 "$work/input.tar"
{
    timeout -k 5 "$limit" qemu-system-x86_64 -M q35 -accel tcg,thread=multi,tb-size=512 -cpu max,la57=off,pku=off \
        -smp 2 -m "$memory" -nodefaults -no-user-config -display none -no-reboot -nic none \
        -serial "file:$work/console" -chardev stdio,id=live,signal=off -serial chardev:live \
        -kernel "$image/kernel" -initrd "$image/initrd" \
        -append 'console=ttyS0 quiet mitigations=off psi=1 panic=-1 nowatchdog no_timer_check systemd.show_status=0' \
        -drive "file=$image/disk,format=raw,if=none,id=d0,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=d0 \
        -drive "file=$work/input.tar,format=raw,if=none,id=d1,readonly=on" -device virtio-blk-pci,drive=d1 \
        </dev/null 2>"$work/errors" || echo "machine: ended with $?" >>"$work/errors"
} | sed -u 's,\r$,,' | tee "$work/output"
status=$(sed -n 's/^status \([0-9]*\)$/\1/p' "$work/output" | tail -n 1)
if [ -z "$status" ]; then
    tail -n 30 "$work/console" "$work/errors" >&2
    if grep -q 'ended with 124' "$work/errors"; then
        echo "machine: no end after $limit s" >&2
        exit 124
    fi
    exit 125
fi
exit "$status"
