/* supervisor/dispatcher/fleet.c: a worker goes, in each state. See fleet_harness.h. */

#include "tests/unit/fleet_harness.h"

/* --- a worker goes ----------------------------------------------------------------------------- */

/* With a request in hand, or half of a reply, or nonsense: it is lost. The name is told with its end. */
Test(fleet, lost_with_a_request)
{
    static const char *const replies[] = {"", "status|4.4.1|", "nonsense||",
                                          WIRE_REPLY_DONE "more|"};

    for (unsigned i = 0; i < 4; i++) {
        int number = idle();
        int connection = busy(number, i);

        forget_events();
        peer_say(connection, replies[i]);
        shutdown(connection, SHUT_WR);
        settle_down();
        EXPECT_EVENTS(number, FLEET_LOST);
        cr_expect_eq(t.event[0].work, &work[i]);
        expect_count(WORKER_LEAVING, 1);
        /* It may still deliver it: it is never ended by force. */
        later(3 * GREET_TIMEOUT);
        fleet_tick(t.fleet);
        cr_expect(told_nothing());
        dies(number, connection, SIGKILL);
        settle_down();
        EXPECT_EVENTS(number, FLEET_LOST, FLEET_ENDED);
        cr_expect_eq(t.event[1].pid, 1000 + number);
        cr_expect_eq(t.event[1].status, SIGKILL);
        cr_expect_str_eq(t.event[1].lost, "E5825A72641");
        cr_expect_not(t.event[1].retired);
        expect_count(WORKER_FREE, MAX);
    }
}

/* The next one with this number has lost nothing. */
Test(fleet, a_number_is_used_again)
{
    int number = idle();

    dies(number, busy(number, 0), SIGKILL);
    settle_down();
    cr_expect_eq(idle(), number);
    forget_events();
    dies(number, -1, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_str_eq(t.event[0].lost, "");
    cr_expect_eq(t.event[0].status, 0);
}

/* Before any byte was sent the work goes back: to another worker, perhaps. */
Test(fleet, vanished_before_a_byte_was_sent)
{
    static const char *const greetings[] = {"", "protocol|", "protocol|something_else||",
                                            WIRE_GREETING "status|"};

    for (unsigned i = 0; i < 4; i++) {
        int number = idle();
        int connection;

        forget_events();
        cr_assert_eq(fleet_call(t.fleet, &work[i]), number);
        connection = taken(number);
        peer_say(connection, greetings[i]);
        shutdown(connection, SHUT_WR);
        settle_down();
        EXPECT_EVENTS(number, FLEET_VANISHED);
        cr_expect_eq(t.event[0].work, &work[i]);
        dies(number, connection, 0);
        settle_down();
        EXPECT_EVENTS(number, FLEET_VANISHED, FLEET_ENDED);
        cr_expect_str_eq(t.event[1].lost, "");
    }
}

/* It greets, and is gone when its greeting is read: nothing is given to the dead. */
Test(fleet, vanished_behind_its_greeting)
{
    int number = idle();
    int connection;

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
    connection = taken(number);
    peer_say(connection, WIRE_GREETING);
    close(connection);
    settle_down();
    EXPECT_EVENTS(number, FLEET_VANISHED);
}

/* It goes between its greeting and our first byte: a new one, and an idle one that was called. */
Test(fleet, gone_before_the_first_byte)
{
    struct wire bytes = wire(WIRE_REQUEST);

    for (unsigned called = 0; called < 2; called++) {
        int number = called ? idle() : start();
        int connection;

        if (called)
            cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
        connection = greet(number);
        forget_events();
        close(connection);
        cr_expect_eq(fleet_give(t.fleet, number, &work[0], bytes.bytes, bytes.len, "E5825A72641"),
                     -EPIPE);
        expect_count(WORKER_LEAVING, 1);
        cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
        settle_down();
        cr_expect_eq(t.events, 0, "nothing follows");
        dies(number, -1, SIGKILL);
        settle_down();
        EXPECT_EVENTS(number, FLEET_ENDED);
        cr_expect_str_eq(t.event[0].lost, "");
        expect_count(WORKER_FREE, MAX);
    }
    wire_free(&bytes);
}

/* An idle one goes by itself after max_idle: only the end of its status channel tells. */
Test(fleet, an_idle_one_that_goes_is_not_called)
{
    int number = idle();

    close(t.process[number].status);
    settle_down();
    expect_count(WORKER_LEAVING, 1);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    /* One that nobody has told of yet does not answer the door. */
    number = idle();
    close(t.process[number].listening);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    expect_count(WORKER_LEAVING, 2);
}

/* It is busy with its last request, and says so at once by its status channel. */
Test(fleet, one_that_goes_after_its_reply_is_not_idle_again)
{
    int number = idle();
    int connection = busy(number, 0);

    forget_events();
    close(t.process[number].status);
    settle_down();
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DONE);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    expect_count(WORKER_LEAVING, 1);
    close(connection);
}

Test(fleet, the_longest_idle_is_retired)
{
    int first = idle(), second, third;
    char byte;

    later(SECOND);
    second = idle();
    later(SECOND);
    third = idle();
    forget_events();
    fleet_retire(t.fleet, 2);
    expect_count(WORKER_IDLE, 1);
    expect_count(WORKER_LEAVING, 2);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), third);
    /* They are told by the end of the channel. */
    cr_expect_eq(recv(t.process[first].status, &byte, 1, MSG_DONTWAIT), 0);
    cr_expect_eq(recv(t.process[second].status, &byte, 1, MSG_DONTWAIT), 0);
    dies(first, -1, 0);
    settle_down();
    EXPECT_EVENTS(first, FLEET_ENDED);
    cr_expect(t.event[0].retired);
    fleet_retire(t.fleet, 100);
    expect_count(WORKER_IDLE, 0);
    expect_count(WORKER_CONNECTING, 1);
}

/* Idle for half a minute, beyond the minimum; those that leave do not count. */
Test(fleet, surplus_is_retired)
{
    for (unsigned i = 0; i < 4; i++)
        idle();
    close(t.process[0].status);
    settle_down();
    later(IDLE_SURPLUS - SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 3);
    later(SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 2);
    later(86400 * SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 2);
}

/* --- the parent tells of its end, in each state ------------------------------------------------- */

Test(fleet, ended_before_it_was_ready)
{
    int number = start();

    forget_events();
    dies(number, -1, 127 << 8);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "exit status 127"), "%s", said.last);
    cr_expect(strstr(said.last, "/daemons/lmtp"), "%s", said.last);
    /* As status shows it. */
    cr_expect_str_eq(fleet_view(t.fleet).start_error,
                     "it ended with exit status 127 before it was ready");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_with_a_greeting_that_was_not_read)
{
    int number = start();
    int connection = taken(number);

    forget_events();
    peer_say(connection, WIRE_GREETING);
    dies(number, connection, 0);
    settle_down();
    cr_expect_eq(t.event[t.events - 1].kind, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    cr_expect_eq(fleet_view(t.fleet).start_after, 0);
    cr_expect_eq(fleet_view(t.fleet).greeting_length, strlen(WIRE_GREETING));
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
}

Test(fleet, ended_when_it_was_ready)
{
    int number = start();

    greet(number);
    cr_assert_eq(fleet_ready(t.fleet), number);
    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_idle)
{
    int number = idle();

    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_not(t.event[0].retired);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_called)
{
    int number = idle();

    cr_assert_eq(fleet_call(t.fleet, &work[3]), number);
    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_VANISHED, FLEET_ENDED);
    cr_expect_eq(t.event[0].work, &work[3]);
    expect_count(WORKER_FREE, MAX);
}

/* A process that it left behind may have its end of the connection open. */
Test(fleet, ended_when_it_was_busy)
{
    int number = idle();
    int connection = busy(number, 3);

    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, SIGSEGV);
    settle_down();
    EXPECT_EVENTS(number, FLEET_LOST, FLEET_ENDED);
    cr_expect_eq(t.event[0].work, &work[3]);
    cr_expect_str_eq(t.event[1].lost, "E5825A72641");
    expect_count(WORKER_FREE, MAX);
    peer_expect_end(connection);
}

/* What it said before its end counts. */
Test(fleet, ended_behind_its_reply)
{
    int number = idle();
    int connection = busy(number, 3);

    forget_events();
    peer_say(connection, WIRE_REPLY_DONE);
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED, FLEET_ENDED);
    cr_expect_eq(t.event[0].reply, 0);
    cr_expect_str_eq(t.event[1].lost, "");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_told_to_go)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    forget_events();
    dies(number, -1, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect(t.event[0].retired);
    expect_count(WORKER_FREE, MAX);
}

/* --- a hang-up and the news of the end in one batch, in both orders ----------------------------- */

struct batch {
    const char *says; /* on its connection, before it hangs up */
    bool called;      /* an idle one that is called; else a new one */
    bool given;
    unsigned events;
    enum fleet_kind kinds[2];
    const char *lost;
    unsigned complaints;
};

static const struct batch batches[] = {
    {WIRE_REPLY_DONE, true, true, 2, {FLEET_REPLIED, FLEET_ENDED}, "", 0},
    {"", true, true, 2, {FLEET_LOST, FLEET_ENDED}, "E5825A72641", 0},
    {"status|", true, true, 2, {FLEET_LOST, FLEET_ENDED}, "E5825A72641", 0},
    {WIRE_GREETING, true, false, 2, {FLEET_VANISHED, FLEET_ENDED}, "", 0},
    {"", true, false, 2, {FLEET_VANISHED, FLEET_ENDED}, "", 0},
    {WIRE_GREETING, false, false, 1, {FLEET_ENDED}, "", 0},
    {"", false, false, 1, {FLEET_ENDED}, "", 1},
};

static void batch(const struct batch *want, bool hang_up_first)
{
    int number = want->called ? idle() : start();
    unsigned complaints = said.times[COMPLAINT_START];
    int connection;

    if (want->given) {
        connection = busy(number, 5);
    } else {
        if (want->called)
            cr_assert_eq(fleet_call(t.fleet, &work[5]), number);
        connection = taken(number);
    }
    settle_down();
    forget_events();
    if (!hang_up_first)
        tell(CHANNEL_EXITED, number, 1000 + number, 0);
    peer_say(connection, want->says);
    close(connection);
    close(t.process[number].listening);
    close(t.process[number].status);
    if (hang_up_first)
        tell(CHANNEL_EXITED, number, 1000 + number, 0);
    turn();
    settle_down();
    expect_events(number, want->events, want->kinds);
    if (want->events == 2)
        cr_expect_eq(t.event[0].work, &work[5]);
    cr_expect_str_eq(t.event[want->events - 1].lost, want->lost);
    cr_expect_eq(said.times[COMPLAINT_START] - complaints, want->complaints, "%s",
                 hang_up_first ? "hang-up first" : "end first");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, hang_up_and_end_in_one_batch)
{
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        batch(&batches[i], true);
}

Test(fleet, end_and_hang_up_in_one_batch)
{
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        batch(&batches[i], false);
}

/* All of the group was killed: that says nothing of the program, unless it goes on and on. */
Test(fleet, killed_before_it_was_ready)
{
    for (unsigned i = 0; i < POOL_KILLS_MOST; i++) {
        int number = start();

        forget_events();
        dies(number, -1, SIGKILL);
        settle_down();
        EXPECT_EVENTS(number, FLEET_ENDED);
        cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
        later(SECOND / 10);
        cr_expect_leq(fleet_view(t.fleet).start_after, peer_loop.now);
    }
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    dies(start(), -1, SIGKILL);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "it ended with signal 9 before it was ready"), "%s", said.last);
    expect_count(WORKER_FREE, MAX);
}
