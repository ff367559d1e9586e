#!/bin/sh
# The line of a relay in master.cf, with all its options, in the jail, as packaging/relay makes it in the relay's deployment:
# the word lmtp becomes headroom, and postconf is silent. Then other columns and words, and what of them the workers are given.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
SERVICE=lmtp-filtermail
. "$LIBRARY/headroom.sh"

# A checkout of the relay's deployment, as far as packaging/relay changes it.
relay=${0%/*}/../../packaging/relay
checkout=$TEST_DIR/checkout
deployment=$checkout/cmdeploy/src/cmdeploy
checkout()
{
    mkdir -p "$deployment/postfix" "$checkout/chatmaild/src/chatmaild/ini" "$TEST_DIR/package/DEBIAN"
    cat >"$deployment/postfix/master.cf.j2" <<'L'
lmtp      unix  -       -       y       -       -       lmtp
lmtp-filtermail unix  -       -       y       -       500       lmtp
  -o syslog_name=postfix/lmtp-filtermail
  -o lmtp_header_checks=
  -o lmtp_tls_security_level=none
L
    printf 'from .%s.deployer import %s\n' mtail MtailDeployer postfix PostfixDeployer >"$deployment/deployers.py"
    echo '        self.mtail_address = params.pop("mtail_address", None)' >"$checkout/chatmaild/src/chatmaild/config.py"
    echo '# mtail_address = 127.0.0.1' >"$checkout/chatmaild/src/chatmaild/ini/chatmail.ini.f"
    printf '%s\n' 'Package: headroom' 'Version: 1' 'Architecture: amd64' 'Maintainer: a <a@example.org>' 'Description: a' \
        >"$TEST_DIR/package/DEBIAN/control"
    dpkg-deb -b "$TEST_DIR/package" "$TEST_DIR/headroom.deb" >/dev/null
}

# rendered True|False: the template with the key; its `{%-` takes the end of the line before with it.
rendered()
{
    case $1 in
    True) sed -e 's/{{ "headroom" if config.headroom else "lmtp" }}/headroom/' -e '/^{%-/d' "$deployment/postfix/master.cf.j2" ;;
    False) sed -e 's/{{ "headroom" if config.headroom else "lmtp" }}/lmtp/' -e '/^{%- if/,/^{%- endif/d' \
        "$deployment/postfix/master.cf.j2" ;;
    esac
}

# deployed True|False: the lines of the transport are the rendered ones, and what the deployment asks before it restarts
# Postfix has its answer: not a word.
deployed()
{
    postfix_service "$p" lmtp-filtermail "$(rendered "$1" | sed -n '/^lmtp-filtermail/,$p')"
    # Postfix 3.9 and later warn of a parameter that the test's own main.cf has.
    expect "postconf, headroom = $1" "$(postconf -c "$p/etc" 2>&1 >/dev/null | grep -v ' parameter "disable_dns_lookups" ')" ''
}

say 'into the deployment'
checkout
rendered False >"$TEST_DIR/before"
sed 's/MtailDeployer/MtailMonitor/; /mtail/d' "$deployment/deployers.py" >"$TEST_DIR/deployers"
cp -r "$checkout" "$TEST_DIR/other"
cp "$TEST_DIR/deployers" "$TEST_DIR/other/cmdeploy/src/cmdeploy/deployers.py"
cp -r "$TEST_DIR/other" "$TEST_DIR/as-it-was"
if "$relay/apply" "$TEST_DIR/other" 2>"$TEST_DIR/said"; then
    fail 'a deployment that it does not know was changed'
fi
grep -q 'deployers.py does not have the import of MtailDeployer once' "$TEST_DIR/said" || fail "said: $(cat "$TEST_DIR/said")"
diff -r "$TEST_DIR/as-it-was" "$TEST_DIR/other" || fail 'half a change'
"$relay/apply" "$checkout" "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)=$TEST_DIR/headroom.deb"
cp -r "$checkout" "$TEST_DIR/once"
"$relay/apply" "$checkout"
diff -r "$TEST_DIR/once" "$checkout" || fail 'the second time changes something'
rendered False | cmp - "$TEST_DIR/before" || fail 'the template without the key is another'
(cd "$deployment/headroom" && sha256sum --quiet -c SHA256SUMS) || fail 'the checksums'
expect 'imports' "$(tr '\n' ' ' <"$deployment/deployers.py")" \
    'from .headroom.deployer import PostfixDeployer from .mtail.deployer import MtailDeployer '
# What deployer.py takes for granted: with Restart=always systemd refuses a unit of this type.
case $(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release) in
bookworm) unit=postfix@-.service other=postfix.service ;;
*) unit=postfix.service other= ;;
esac
for name in $unit $other; do
    mkdir -p "$TEST_DIR/units/$name.d"
    cp "$relay/restart.conf" "$TEST_DIR/units/$name.d"
done
verify()
{
    SYSTEMD_UNIT_PATH="$TEST_DIR/units:" systemd-analyze verify --man=no "$1" 2>&1 | grep -c "^$1: .*Refusing" || true
}
expect "refusals of $unit" "$(verify $unit)" 0
[ -z "$other" ] || expect "refusals of $other" "$(verify $other)" 1

scene 'default_transport = lmtp-filtermail:inet:[127.0.0.1]:10083' \
    'lmtp-filtermail_destination_concurrency_limit = 10000' \
    'lmtp-filtermail_initial_destination_concurrency = 10000'
deployed False
begin

say 'stock lmtp'
send stock 100
drain 20 || fail 'stock lmtp did not deliver'

say 'the key in its configuration, and a reload'
deployed True
postfix_reload "$p"
send ours 100
drain 20 || fail 'headroom did not deliver'
expect 'both' "$(accounts)" 'sent 200, delivered 200, queued 0, bounced 0, lost 0, doubled 0'
expect_said 'lines of the workers' 'postfix/lmtp-filtermail/lmtp\[.*status=sent' 200
expect_said 'its own name' 'postfix/lmtp-filtermail/headroom\[.* starts: service lmtp-filtermail, agent lmtp, ' 1
first=$(workers | head -n 1)
[ "$(readlink "/proc/$first/root")" = "$p/queue" ] || fail 'the workers are not in the jail'

say 'without the second line postconf speaks, and the deployment stops'
rendered True | sed '$d' >>"$TEST_DIR/one"
mkdir "$TEST_DIR/etc"
cp "$p/etc/main.cf" "$TEST_DIR/etc"
cp "$TEST_DIR/one" "$TEST_DIR/etc/master.cf"
expect 'warnings' "$(postconf -c "$TEST_DIR/etc" 2>&1 >/dev/null | grep -c 'unused parameter: lmtp-filtermail_')" 2

say 'and back'
deployed False
postfix_reload "$p"
send back 100
drain 20 || fail 'stock lmtp did not deliver after the way back'
within 5000 no_supervisor || fail 'the supervisor is still there'

# column UNPRIV CHROOT LIMIT WANTED USER [WORD...]: the worker's command line and its user
round=0
column()
{
    unpriv=$1 chroot=$2 limit=$3 wanted=$4 user=$5
    shift 5
    round=$((round + 1))
    say "unpriv $unpriv, chroot $chroot, limit $limit, words: $*"
    postfix_service "$p" lmtp-filtermail "lmtp-filtermail unix - $unpriv $chroot - $limit headroom $*"
    postfix_reload "$p"
    send "columns$round" 20
    drain 20 || fail 'not delivered'
    worker=$(workers | head -n 1)
    [ -n "$worker" ] || fail 'no worker'
    expect 'command line' "$(tr '\0' '|' <"/proc/$worker/cmdline")" "$wanted"
    expect 'user of the worker' "$(stat -c %U "/proc/$worker")" "$user"
    expect 'user of the parent' "$(stat -c %u "/proc/$(parent)/fd")" 0
    expect 'user of the dispatcher' "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$(dispatcher)/status")" \
        "$(id -u postfix | sed 's/.*/&\t&\t&\t&/')"
    expect 'privileges of the dispatcher' "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$(dispatcher)/status")" 1
}

own='lmtp|-l|-n|lmtp-filtermail|-t|unix|'
column n n 0 "$own" root
column y n 1 "$own-u|" postfix
column y y 500 "$own-u|-c|" postfix
column - n - "$own-u|-v|" postfix -v
column - n 5 "$own-u|-o|lmtp_connect_timeout = 7s|-v|-o|lmtp_helo_timeout=8s|flags=DORX|" postfix \
    '-o { lmtp_connect_timeout = 7s } -v -o lmtp_helo_timeout=8s flags=DORX'
expect 'all of them' "$(accounts)" 'sent 400, delivered 400, queued 0, bounced 0, lost 0, doubled 0'
calm
