#!/bin/sh
# image.sh SUITE DIR: makes a machine with Debian of that suite in DIR, or does nothing when one of this week's is there.
#
#     DIR/disk      ext4: systemd, Postfix as Debian sets it up ("local only"), the libraries of Headroom
#     DIR/kernel    Debian's kernel for virtual machines
#     DIR/initrd    loads the modules for the disk
#     DIR/stamp     what it was made from
#
# From Debian's packages, by name. Needs root and mmdebstrap, e2fsprogs, cpio, kmod, xz-utils.
set -eu

suite=$1
case $suite in
bookworm) libraries=libcgroup2,libcjson1,libseccomp2 ;;
*) libraries=libcgroup3,libcjson1,libseccomp2 ;;
esac
packages=systemd,systemd-sysv,postfix,$libraries,util-linux,procps
modules='virtio_pci virtio_blk'
room=300 # MiB on the disk for what the test writes

directory=$(realpath -m "$2")
# Rebuilt weekly, so that security updates are seen.
key=$(printf '%s %s %s\n' "$(date +%G-%V)" "$suite" "$(cksum <"$0")")
mkdir -p "$directory"
exec 9>"$directory/lock"
flock 9
if [ -f "$directory/stamp" ] && [ "$(cat "$directory/stamp")" = "$key" ]; then
    exit 0
fi
rm -f "$directory/stamp"
work=$(mktemp -d "$directory/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
echo "making a machine of Debian $suite in $directory"

# Kernel and a shell for the first seconds: unpacked, not installed.
mmdebstrap --quiet --variant=extract --include=linux-image-cloud-amd64,busybox-static \
    --aptopt='Acquire::Retries "3"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    "$suite" "$work/kernel" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }
[ -d "$work/kernel/lib/modules" ] || ln -s usr/lib "$work/kernel/lib"
modules_directory=$(echo "$work"/kernel/lib/modules/*)
release=${modules_directory##*/}

# Postfix asks how it is to be set up.
cat >"$work/answers" <<'A'
postfix postfix/main_mailer_type select Local only
postfix postfix/mailname string guest.invalid
A
# The hook is given the root as $1.
# shellcheck disable=SC2016
answers='chroot "$1" debconf-set-selections <"'$work/answers'"'
# dpkg takes what is excluded away before it is unpacked: half of the time and the space.
mmdebstrap --quiet --variant=essential --include="$packages" \
    --aptopt='Acquire::Retries "3"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --essential-hook="$answers" \
    "$suite" "$work/root" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }

root=$work/root
echo guest >"$root/etc/hostname"
printf '127.0.0.1 localhost guest\n' >"$root/etc/hosts"
systemd-machine-id-setup --root="$root" >/dev/null 2>&1
# As on a small machine: the journal in memory.
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system.conf.d" "$root/in"
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/test.conf"
# Debian 13's Postfix took 95 s of emulated processor to start where others use the processors; 90 s are systemd's limit.
printf '[Manager]\nDefaultTimeoutStartSec=300\n' >"$root/etc/systemd/system.conf.d/test.conf"
# What has nothing to do with mail and costs seconds here, where a process costs 50 ms.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service getty@tty1.service serial-getty@ttyS0.service systemd-logind.service \
    systemd-user-sessions.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-random-seed.service dev-hugepages.mount \
    dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service \
    modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service systemd-remount-fs.service \
    systemd-modules-load.service systemd-sysusers.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    systemd-timesyncd.service postfix-resolvconf.path getty.target; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Generators run one after another at every daemon-reload; Debian's Postfix needs its own.
find "$root/lib/systemd/system-generators" -type f ! -name 'postfix*' -delete
# Runs the test that the host puts on the second disk; its output is the second serial line.
cat >"$root/usr/local/sbin/guest" <<'G'
#!/bin/sh
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw -echo
tar -C /in -xf /dev/vdb
cd /in
sh ./command
echo "status $?"
sync
systemctl poweroff --force --force >/dev/null 2>&1
G
chmod 755 "$root/usr/local/sbin/guest"
cat >"$root/etc/systemd/system/guest.service" <<'G'
[Unit]
After=postfix.service
[Service]
ExecStart=/usr/local/sbin/guest
[Install]
WantedBy=multi-user.target
G
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../guest.service "$root/etc/systemd/system/multi-user.target.wants/guest.service"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

# The first root: modules in the order in which they need each other, then the disk.
first=$work/first
mkdir -p "$first/bin" "$first/dev" "$first/proc" "$first/sys" "$first/root" "$first/modules"
find "$work/kernel" -path '*/bin/busybox' -exec cp {} "$first/bin/" \;
depmod -b "$work/kernel" "$release"
for module in $modules; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | while read -r file; do
    name=${file##*/}
    name=${name%.xz}
    [ ! -e "$first/modules/$name" ] || continue
    case $file in
    *.xz) xz -dc "$file" >"$first/modules/$name" ;;
    *) cp "$file" "$first/modules/" ;;
    esac
    echo "$name" >>"$first/modules/order"
done
cat >"$first/init" <<'I'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
while read -r file; do $b insmod "/modules/$file"; done </modules/order
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do $b sleep 0.05; tries=$((tries + 1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /root
$b mount --move /dev /root/dev
$b umount /proc
exec $b switch_root /root /lib/systemd/systemd
I
chmod 755 "$first/init"
(cd "$first" && find . | cpio -o -H newc --quiet) >"$directory/initrd"
cp "$work"/kernel/boot/vmlinuz-* "$directory/kernel"
size=$(($(du -sm "$root" | cut -f 1) + room))
rm -f "$directory/disk"
truncate -s "${size}M" "$directory/disk"
mke2fs -q -t ext4 -O ^has_journal -m 0 -E nodiscard -d "$root" -F "$directory/disk"
printf '%s\n' "$key" >"$directory/stamp"
