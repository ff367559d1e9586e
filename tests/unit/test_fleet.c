/* supervisor/dispatcher/fleet.c: a worker's life. See fleet_harness.h. */

#include "tests/unit/fleet_harness.h"

/* --- a worker's life --------------------------------------------------------------------------- */

Test(fleet, a_new_worker_delivers)
{
    struct wire bytes = wire(WIRE_REQUEST);
    int number = spawn(), connection;

    cr_expect_eq(fleet_view(t.fleet).greeting_length, 0);
    expect_count(WORKER_STARTING, 1);
    cr_expect_eq(fleet_starting_since(t.fleet), peer_loop.now);
    tell(CHANNEL_STARTED, number, 4711, 1);
    settle_down();
    EXPECT_EVENTS(number, FLEET_STARTED);
    cr_expect(t.event[0].renewed);
    cr_expect_eq(t.totals.started, 1);
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE, "it has not greeted");
    forget_events();
    connection = greet(number);
    EXPECT_EVENTS(number, FLEET_GREETED);
    cr_expect_null(t.event[0].work);
    cr_expect_eq(fleet_ready(t.fleet), number);
    cr_expect_eq(fleet_view(t.fleet).greeting_length, strlen(WIRE_GREETING));
    cr_expect_eq(fleet_view(t.fleet).most, 1);
    forget_events();
    cr_expect_eq(fleet_give(t.fleet, number, &work[0], bytes.bytes, bytes.len, "E5825A72641"), 0);
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
    cr_expect_eq(fleet_starting_since(t.fleet), 0);
    expect_count(WORKER_BUSY, 1);
    peer_expect(connection, WIRE_REQUEST);
    settle_down();
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DSN);
    peer_expect_end(connection);
    EXPECT_EVENTS(number, FLEET_REPLIED);
    cr_expect_eq(t.event[0].work, &work[0]);
    cr_expect_eq(t.event[0].reply, UINT32_MAX);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DSN));
    expect_count(WORKER_IDLE, 1);
    wire_free(&bytes);
}

Test(fleet, an_idle_worker_delivers)
{
    int number = idle();
    int connection;

    forget_events();
    connection = busy(number, 1);
    EXPECT_EVENTS(number, FLEET_GREETED);
    cr_expect_eq(t.event[0].work, &work[1]);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, FLEET_REPLIED);
    cr_expect_eq(t.event[1].work, &work[1]);
    cr_expect_eq(t.event[1].reply, 0);
    expect_count(WORKER_IDLE, 1);
    cr_expect_eq(t.totals.started, 1);
}

/* As a slow machine would have it. */
Test(fleet, greeting_and_reply_in_pieces)
{
    int number = start();
    int connection = taken(number);

    peer_say_slowly(connection, WIRE_GREETING);
    settle_down();
    cr_assert_eq(fleet_ready(t.fleet), number);
    fleet_release(t.fleet, number);
    close(connection);
    connection = busy(number, 1);
    forget_events();
    peer_say_slowly(connection, WIRE_REPLY_DSN);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DSN));
    close(connection);
}

/* More than the socket takes at once. */
static struct wire large_request(void)
{
    static char text[600000];
    size_t at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");

    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    return wire(text);
}

Test(fleet, a_large_request_in_pieces)
{
    struct wire bytes = large_request();
    int number = start();
    int connection = greet(number);

    forget_events();
    cr_assert_eq(fleet_give(t.fleet, number, &work[2], bytes.bytes, bytes.len, "A"), -EAGAIN);
    settle_down();
    cr_expect_eq(t.events, 0, "nothing is read");
    peer_expect_bytes(connection, bytes.bytes, bytes.len);
    settle_down();
    EXPECT_EVENTS(number, FLEET_SENT);
    cr_expect_eq(t.event[0].work, &work[2]);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, FLEET_REPLIED);
    wire_free(&bytes);
}

/* An agent may know its answer before it has read all. */
Test(fleet, a_reply_before_all_is_read)
{
    struct wire bytes = large_request();
    int number = start();
    int connection = greet(number);

    forget_events();
    cr_assert_eq(fleet_give(t.fleet, number, &work[2], bytes.bytes, bytes.len, "A"), -EAGAIN);
    peer_say(connection, WIRE_REPLY_DEFERRED);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    expect_count(WORKER_IDLE, 1);
    close(connection);
    wire_free(&bytes);
}

/* The request was withdrawn before the worker greeted. */
Test(fleet, one_that_is_called_is_released)
{
    int number = idle();
    int connection;

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
    expect_count(WORKER_CONNECTING, 1);
    connection = taken(number);
    peer_say(connection, WIRE_GREETING);
    fleet_release(t.fleet, number);
    settle_down();
    cr_expect_eq(t.events, 0);
    expect_count(WORKER_IDLE, 1);
    close(connection);
    close(busy(number, 3));
}

/* The worker is idle again when the sink learns of its reply. */
Test(fleet, the_sink_may_call_at_once)
{
    int number = idle();
    int connection = busy(number, 1);

    t.calls_again = 1;
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    connection = greet(number);
    cr_expect_eq(t.event[t.events - 1].kind, FLEET_GREETED);
    cr_expect_eq(t.event[t.events - 1].work, &work[7]);
    close(connection);
}

Test(fleet, none_is_idle)
{
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    close(busy(idle(), 0));
    cr_expect_eq(fleet_call(t.fleet, &work[1]), POOL_NONE);
}

/* It says two things of 12 bytes for each connection, and would stop for good when nobody reads them. */
Test(fleet, a_worker_can_always_say_what_it_does)
{
    int number = idle();

    for (unsigned i = 0; i < 200; i++) {
        const struct master_status status = {.pid = 1, .generation = 8, .available = i % 2};

        cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
        for (unsigned j = 0; j < 2; j++)
            cr_assert_eq(
                send(t.process[number].status, &status, sizeof status, MSG_DONTWAIT | MSG_NOSIGNAL),
                (ssize_t)sizeof status, "connection %u: %s", i, strerror(errno));
        close(taken(number));
        fleet_release(t.fleet, number);
    }
}

/* --- it does not answer ------------------------------------------------------------------------ */

Test(fleet, one_that_does_not_greet_is_ended)
{
    int number = start();

    forget_events();
    later(GREET_TIMEOUT - SECOND);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "does not greet"));
    cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
    fleet_tick(t.fleet);
    later(2 * GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing(), "once");
    dies(number, -1, SIGKILL);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 1, "its end is no other reason");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, one_that_is_called_and_does_not_greet_is_ended)
{
    int number = idle();

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[4]), number);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    EXPECT_EVENTS(number, FLEET_VANISHED);
    cr_expect_eq(t.event[0].work, &work[4]);
    cr_expect_eq(told(CHANNEL_KILL), number);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

/* It was told to go, and does not: its place is needed. */
Test(fleet, one_that_does_not_leave_is_ended)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    later(GREET_TIMEOUT - SECOND);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing(), "once");
    dies(number, -1, SIGKILL);
    settle_down();
    expect_count(WORKER_FREE, MAX);
}

/* A busy one delivers, for as long as that takes. */
Test(fleet, a_busy_one_is_never_ended)
{
    int connection = busy(idle(), 0);

    forget_events();
    for (unsigned i = 0; i < JUMPS; i++) {
        later(jumps[i]);
        fleet_tick(t.fleet);
    }
    cr_expect(told_nothing());
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.events, 1);
}

/* The channel is full: the parent is told at a later tick, once. */
static void expect_kill_later(int number)
{
    const struct channel_message filler = {.kind = CHANNEL_KILL, .worker = MAX - 1};
    unsigned fillers = 0;

    while (channel_send(t.channel, &filler, NULL) == 0)
        fillers++;
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    later(SECOND);
    fleet_tick(t.fleet);
    for (; fillers > 0; fillers--)
        cr_assert_eq(told(CHANNEL_KILL), MAX - 1);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    fleet_tick(t.fleet);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
}

Test(fleet, a_parent_that_does_not_read)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    expect_kill_later(number);
    tell(CHANNEL_EXITED, number, 1000 + number, SIGKILL);
    settle_down();
    expect_kill_later(start());
}

/* A start that cannot be told is a failed start: nothing of it is left. */
Test(fleet, a_start_that_cannot_be_told)
{
    const struct channel_message filler = {.kind = CHANNEL_KILL, .worker = MAX - 1};

    while (channel_send(t.channel, &filler, NULL) == 0)
        ;
    cr_expect_eq(fleet_start(t.fleet), -EAGAIN);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
    expect_count(WORKER_FREE, MAX);
}

/* --- the clock ---------------------------------------------------------------------------------- */

/* It jumps in each sink: deliveries go on. */
Test(fleet, a_clock_that_jumps)
{
    for (unsigned i = 0; i < JUMPS; i++) {
        int number, connection;

        t.jump = jumps[i];
        number = idle();
        connection = busy(number, 0);
        peer_say(connection, WIRE_REPLY_DONE);
        peer_expect_end(connection);
        fleet_tick(t.fleet);
        connection = busy(number, 1);
        peer_say(connection, WIRE_REPLY_DONE);
        peer_expect_end(connection);
        t.jump = 0;
        dies(number, -1, 0);
        settle_down();
    }
    expect_count(WORKER_FREE, MAX);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

/* What is under way at the end is given back: the ends of all status channels, too. */
Test(fleet, it_ends_with_all_it_has)
{
    unsigned before = descriptors_open();
    struct fleet *fleet;
    struct fleet_config config = {.loop = &peer_loop,
                                  .budget = &t.budget,
                                  .complaints = &t.complaints,
                                  .totals = &t.totals,
                                  .max = 2,
                                  .agent = "lmtp",
                                  .directory = "/daemons",
                                  .sockets = &t.sockets,
                                  .sink = on_fleet,
                                  .context = &t};
    int ends[2], number, connection, fds[CHANNEL_DESCRIPTORS];
    struct channel_message message;

    cr_assert_eq(channel_open(ends), 0);
    config.channel = ends[0];
    cr_assert_eq(fleet_create(&fleet, &config), 0);
    cr_assert_eq(fleet_start(fleet), 0);
    cr_assert_eq(channel_receive(ends[1], &message, fds), 1);
    connection = peer_accept(fds[0]);
    peer_say(connection, WIRE_GREETING);
    settle_down();
    number = fleet_ready(fleet);
    cr_assert_neq(number, POOL_NONE);
    fleet_give(fleet, number, &work[0], "x", 1, "A");
    peer_say(connection, "status|");
    settle_down();
    fleet_destroy(fleet);
    fleet_destroy(NULL);
    close(ends[0]);
    close(ends[1]);
    close(fds[0]);
    close(fds[1]);
    close(connection);
    cr_expect_eq(descriptors_open(), before);
}
