# What the tests with local(8) as the client share: instances beside each other, of stock lmtp and of headroom, whose
# mailbox_transport is the service lmtp-test. Sourced after test.sh and postfix.sh.
#
#     local_create NAME PORT COMMAND WORKERS LOCALS SINK    so many workers and local(8) at most (-: Postfix's defaults);
#                                                           SINK: a command of lmtpd.c; nothing is retried by itself
#     local_put NAME PREFIX COUNT USER CYCLE                mail to USER of so many
#     local_full NAME WORKERS LOCALS                        so many deliveries, and processes of local(8), are under way

local_create()
{
    sink_start "$TEST_DIR/$1.sink" "127.0.0.1:$2" "$6"
    postfix_create "$TEST_DIR/$1" "inet:[127.0.0.1]:$2" 'mydestination = test.invalid' \
        "mailbox_transport = lmtp-test:inet:[127.0.0.1]:$2" 'local_destination_concurrency_limit = 100' \
        'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s' 'queue_run_delay = 300s'
    postfix_service "$TEST_DIR/$1" local "local unix - n n - $5 local"
    postfix_service "$TEST_DIR/$1" lmtp-test "lmtp-test unix - - n - $4 $3"
    : >"$TEST_DIR/$1.sent"
}

local_put()
{
    mailgen --to "$(postfix_address "$TEST_DIR/$1")" --prefix "$2" --sent "$TEST_DIR/$1.sent" --count "$3" \
        --rcpt "$4%d@test.invalid" --cycle "$5"
}

local_full()
{
    [ "$(sink_holding "$TEST_DIR/$1.sink")" -ge "$2" ] && [ "$(postfix_pids "$TEST_DIR/$1" local | wc -l)" -ge "$3" ]
}
