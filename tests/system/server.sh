#!/bin/sh
# A server that is slow, never answers, resets, closes before its greeting, greets with 421, is not there: every message
# is delivered or still queued, and all of them are delivered when it is well again. AGENT=lmtp judges stock the same way.

. "${0%/*}/../lib/test.sh"
. "$LIBRARY/postfix.sh"
# shellcheck disable=SC2034
STOCK_TOO=1
. "$LIBRARY/headroom.sh"

# Sessions are not cached: what a server does at its greeting would be met by some messages only.
scene 'default_destination_concurrency_failed_cohort_limit = 100000'
postfix_service "$p" lmtp-test "lmtp-test unix - - n - - $AGENT
  -o lmtp_connect_timeout=1s -o lmtp_lhlo_timeout=1s -o lmtp_mail_timeout=1s -o lmtp_rcpt_timeout=1s
  -o lmtp_data_init_timeout=1s -o lmtp_data_xfer_timeout=1s -o lmtp_data_done_timeout=1s
  -o lmtp_connection_cache_on_demand=no"
configure '{"defaults": {"workers": {"max": 40}}}'
begin 'set slow slow 0.5'

tried()
{
    [ "$(said "$1")" -ge "$2" ]
}

# whole SENT: nothing lost, doubled or bounced
bounds()
{
    case $(accounts) in
    "sent $1, delivered "*', bounced 0, lost 0, doubled 0') ;;
    *) return 1 ;;
    esac
}
whole()
{
    # What moves from one queue to another while it is counted, is missed; what is lost, is always missed.
    wait_for 5 bounds "$1" || fail "wanted nothing lost of $1: $(accounts)"
}

say 'well, slow, silent and resetting, all at once'
send good 60 --rcpt 'user%d@good%d.invalid' --cycle 5
send slow 60 --rcpt 'slow%d@slow%d.invalid' --cycle 5
send silent 20 --rcpt 'silent%d@silent%d.invalid' --cycle 5
send reset 20 --rcpt 'reset%d@reset%d.invalid' --cycle 5
wait_for 20 tried 'to=<silent.*status=deferred.*timed out' 10 || fail 'the silent server was not noticed'
wait_for 20 tried 'to=<reset.*status=deferred.*lost connection' 10 || fail 'resets were not noticed'
wait_for 20 tried 'to=<slow.*status=sent' 60 || fail 'slow mail did not arrive'
wait_for 20 tried 'to=<user.*status=sent' 60 || fail 'good mail did not arrive'
expect 'good' "$(accounts --prefix good)" 'sent 60, delivered 60, queued 0, bounced 0, lost 0, doubled 0'
expect 'silent' "$(accounts --prefix silent)" 'sent 20, delivered 0, queued 20, bounced 0, lost 0, doubled 0'
# Not `heal`: that answers, too, what the server holds. An answer in the moment in which the agent gives up is a delivery that the
# agent does not know of, and a second one follows (RFC 1047), with stock lmtp as well.
sink_tell "$s" set silent ok
sink_tell "$s" set reset ok
sink_tell "$s" set slow ok
postfix_flush "$p"
wait_for 30 settled 160 || fail "not delivered when it was well again: $(accounts)"

say 'it closes before its greeting'
sink_tell "$s" greet-close on
send closing 40
wait_for 20 tried 'good.*status=deferred.*lost connection.*while receiving the initial server greeting' 10 ||
    fail 'closed connections were not noticed'
whole 200
sink_tell "$s" heal
postfix_flush "$p"
wait_for 30 settled 200 || fail "not delivered when it was well again: $(accounts)"

say 'it does not greet in time'
sink_tell "$s" greet-delay 30
send mute 20
wait_for 20 tried 'good.*status=deferred.*timed out while receiving the initial server greeting' 10 || fail 'a mute server was not noticed'
whole 220
sink_tell "$s" heal
postfix_flush "$p"
wait_for 30 settled 220 || fail "not delivered when it was well again: $(accounts)"

say 'it greets with 421, and then is not there at all'
sink_tell "$s" refuse 100
send busy 40
wait_for 20 tried 'good.*status=deferred.*421' 10 || fail '421 was not noticed'
sink_tell "$s" listen off
send absent 40
wait_for 20 tried 'good.*status=deferred.*Connection refused' 10 || fail 'a refused connection was not noticed'
whole 300
sink_tell "$s" heal
postfix_flush "$p"
wait_for 30 settled 300 || fail "not delivered when it was well again: $(accounts)"
expect 'after all' "$(accounts)" 'sent 300, delivered 300, queued 0, bounced 0, lost 0, doubled 0'
calm
[ "$AGENT" != headroom ] || expect_said 'supervisors that were needed' ' starts: service lmtp-test' 1
