#!/bin/sh
# root.sh SUITE[+ARCHITECTURE] DIR PACKAGE...: makes DIR/root, a Debian of that suite with these packages, of this machine's
# architecture and a second one, or does nothing when one of this week's is there. For tests/vm/chroot.sh and tests/vm/nspawn.sh, which do not change it. Needs root and mmdebstrap.
set -eu

suite=${1%+*}
architectures=$(dpkg --print-architecture)
[ "$suite" = "$1" ] || architectures=$architectures,${1#*+}
directory=$(realpath -m "$2")
shift 2
# Rebuilt weekly, so that security updates are seen.
key=$(printf '%s %s %s %s\n' "$(date +%G-%V)" "$suite $architectures" "$*" "$(cksum <"$0")")
mkdir -p "$directory"
exec 9>"$directory/lock"
flock 9
if [ -f "$directory/stamp" ] && [ "$(cat "$directory/stamp")" = "$key" ]; then
    exit 0
fi
rm -rf "$directory/stamp" "$directory/root" "$directory/new"
echo "making a root of Debian $suite ($architectures) in $directory"
# Postfix asks how it is to be set up; nothing is to be set up, the tests bring their own.
printf 'postfix postfix/main_mailer_type select No configuration\n' >"$directory/answers"
# The list of sid is valid for a week; a mirror that stopped before that still has the packages.
valid='APT::Install-Recommends "false"'
[ "$suite" != sid ] || valid='Acquire::Check-Valid-Until "false"'
# The hook is given the root as $1.
# shellcheck disable=SC2016
mmdebstrap --quiet --variant=apt --architectures="$architectures" --include="$(echo "$*" | tr ' ' ,)" --aptopt="$valid" \
    --aptopt='Acquire::Retries "3"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --essential-hook='chroot "$1" debconf-set-selections <"'"$directory/answers"'"' \
    "$suite" "$directory/new" >"$directory/log" 2>&1 || { tail -n 30 "$directory/log" >&2; exit 1; }
mv "$directory/new" "$directory/root"
printf '%s\n' "$key" >"$directory/stamp"
