/* supervisor/dispatcher/router.c: the way of a request. See router_harness.h. */

#include "tests/unit/router_harness.h"

/* --- the way of a request --------------------------------------------------------------------------- */

Test(router, to_a_worker_and_back)
{
    int number, fd;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.requests, 1);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_not(locked("AAA"));
    /* What the agent says of a failure is told in its words. */
    fd = ask("BBB");
    reply(serve(number, "BBB"), WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.totals.failed, 1);
    cr_expect_eq(t.totals.started, 1);
    expect_empty();
}

/* No agent could mark what it delivers: nothing begins, until the next tick finds that it can be written to again. */
Test(router, a_queue_that_is_read_only)
{
    int number, fd;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    settle_down();
    t.tick = UINT64_MAX;
    t.router.queue = -EROFS;
    fd = ask("AAA");
    for (int i = 0; i < 20; i++)
        turn();
    cr_expect_eq(parts_view(t.router.parts).waiting, 1);
    cr_expect_eq(pool_idle(fleet_view(t.router.fleet).pool), number);
    t.tick = 0;
    turn();
    cr_expect_eq(t.router.queue, 0);
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* How long it took, without the time that it waited. */
Test(router, the_time_of_a_delivery_is_learned)
{
    struct admission_memory memory;
    uint32_t cursor = 0;
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = taken(number);
    later(20 * SECOND);
    peer_say(connection, WIRE_GREETING);
    peer_expect(connection, request_of("AAA"));
    later(2 * SECOND);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_assert(admission_recall(t.router.admission, &cursor, (int64_t)peer_loop.now, &memory));
    cr_expect_str_eq(memory.key, "example.com");
    cr_expect(memory.service >= 2000000 && memory.service < 10000000, "%ld us",
              (long)memory.service);
    cr_expect_neq(memory.success_age, ADMISSION_NEVER);
}

/* The idle one has just gone, and nobody has told of it: its request waits for the next. */
Test(router, nobody_is_at_home)
{
    int number, fd, other;

    launch(MAX, CONFIG_LIMIT_FIXED);
    number = first_worker();
    settle_down();
    close(t.process[number].listening);
    fd = ask("AAA");
    other = started();
    reply(serve(other, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* Memory ends: those that have nothing to do go, all but the minimum. */
Test(router, idle_workers_go_without_memory)
{
    int first, second, one, two, busy;

    launch(4, CONFIG_LIMIT_MEMORY);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    second = started();
    reply(serve(second, "BBB"), WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    cr_expect_eq(pool()->count[WORKER_IDLE], 2);
    available(1);
    for (unsigned i = 0; i < 20 && pool()->count[WORKER_LEAVING] == 0; i++)
        later(SECOND);
    cr_expect_eq(pool()->count[WORKER_LEAVING], 1);
    cr_expect_eq(pool()->count[WORKER_IDLE], 1);
}

/* One that waits gets a worker of its own, as soon as that has greeted. */
Test(router, a_worker_is_started_for_what_waits)
{
    int first, second, one, two, busy;

    launch(MAX, CONFIG_LIMIT_FIXED);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    second = started();
    reply(serve(second, "BBB"), WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

/*
 * The second was sent before the first was answered, and begins after it: stock's would have been
 * sent then. For the third qmgr(8) has decided itself: nothing else was held when it was sent.
 */
Test(router, what_begins_after_an_answer_may_reuse_its_connection)
{
    int number, one, two, three, busy;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask_with("AAA", request_with("AAA", "3"));
    busy = greets(number);
    peer_expect(busy, request_with("AAA", "3"));
    two = ask_with("BBB", request_with("BBB", "3"));
    UNTIL(waiting() == 1);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    busy = greets(number);
    peer_expect(busy, request_with("BBB", "6147"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    three = ask_with("CCC", request_with("CCC", "3"));
    busy = greets(number);
    peer_expect(busy, request_with("CCC", "3"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(three, WIRE_REPLY_DONE);
    expect_empty();
}

/* Two for one worker: the first, before anything was answered, leaves its connection to the other. */
Test(router, what_others_wait_behind_leaves_its_connection_to_them)
{
    int number, one, two, busy;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask_with("AAA", request_with("AAA", "3"));
    two = ask_with("BBB", request_with("BBB", "3"));
    UNTIL(waiting() == 1);
    busy = greets(number);
    peer_expect(busy, request_with("AAA", "6147"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    busy = greets(number);
    peer_expect(busy, request_with("BBB", "6147"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    expect_empty();
}

/* What a predecessor's worker still has counts until it is done, whatever ends it. */
Test(router, a_request_waits_for_a_stranger)
{
    int number, other, one, two, busy, left[MAX - 1][2];

    launch(MAX, CONFIG_LIMIT_FIXED);
    number = first_worker();
    for (unsigned i = 0; i < MAX - 1; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, left[i]), 0);
        strangers_add(&t.router.strangers, left[i][0]);
    }
    later(SECOND);
    cr_expect_eq(router_demand(&t.router).live, MAX);
    cr_expect_eq(router_demand(&t.router).strangers, MAX - 1);
    one = ask("AAA");
    busy = serve(number, "AAA");
    two = ask("BBB");
    UNTIL(waiting() == 1);
    later(SECOND);
    settle_down();
    cr_expect_eq(waiting(), 1);
    cr_expect_eq(t.totals.started, 1);
    for (unsigned i = 0; i < MAX - 1; i++)
        close(left[i][1]);
    UNTIL(router_demand(&t.router).strangers == 0);
    other = started();
    reply(serve(other, "BBB"), WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

/* More than there is room for; one that is idle ends by itself, and counts no more. */
Test(router, a_stranger_that_greets_is_done)
{
    int left[2][2];

    launch(1, CONFIG_LIMIT_MEMORY);
    first_worker();
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, left[i]), 0);
        strangers_add(&t.router.strangers, left[i][0]);
    }
    later(SECOND);
    cr_expect_eq(regulator_view(t.router.regulator).decision->start, 0);
    cr_expect_eq(regulator_view(t.router.regulator).decision->limit, 1);
    peer_say(left[0][1], WIRE_GREETING);
    UNTIL(router_demand(&t.router).strangers == 1);
    close(left[1][1]);
    UNTIL(router_demand(&t.router).strangers == 0);
    close(left[0][1]);
}

/* No more than there may be: it waits, and is told why. */
Test(router, a_request_waits_for_a_worker)
{
    int number, one, two, busy, none;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask("AAA");
    busy = serve(number, "AAA");
    two = ask("BBB");
    UNTIL(waiting() == 1);
    settle_down();
    cr_expect_not(spawn_comes(&none));
    cr_expect(locked("BBB"));
    cr_expect_eq(t.router.spawn.why, t.router.runnable > 0 ? SPAWN_MAX : SPAWN_LANES);
    reply(busy, WIRE_REPLY_DONE);
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    expect_empty();
}

/* --- a retry for three domains, of which nothing is known -------------------------------------------- */

static const char *const shares[] = {
    WIRE_RETRY_COMMON "recipient_count|2||" WIRE_MANY_A WIRE_MANY_C,
    WIRE_RETRY_COMMON "recipient_count|1||" WIRE_MANY_D,
    WIRE_RETRY_COMMON "recipient_count|2||" WIRE_MANY_B WIRE_MANY_X,
};

/* Each share goes to a worker, in any order; these are their replies. */
static void split(const char *const replies[3], const char *answer)
{
    bool seen[3] = {false};
    int fd = ask_with("E2A4CA72681", WIRE_RETRY);

    UNTIL(t.totals.requests > 0);
    for (unsigned i = 0; i < 3; i++) {
        char bytes[8192];
        ssize_t got = 0;
        int connection = -1;

        for (uint64_t since = real_now(); connection < 0;) {
            int none;

            cr_assert_not(peer_late(since), "share %u", i);
            if (spawn_comes(&none))
                tell(CHANNEL_STARTED, none, 0);
            for (unsigned n = 0; n < MAX && connection < 0; n++)
                if (t.process[n].alive)
                    connection =
                        accept4(t.process[n].listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            later(SECOND / 100);
        }
        peer_say(connection, WIRE_GREETING);
        UNTIL((got = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0);
        if (got == 0) { /* it was not needed after all */
            close(connection);
            i--;
            continue;
        }
        for (unsigned n = 0; n < 3; n++) {
            struct wire want = wire(shares[n]);

            if ((size_t)got == want.len && memcmp(bytes, want.bytes, want.len) == 0) {
                cr_expect_not(seen[n], "share %u went twice", n);
                seen[n] = true;
                reply(connection, replies[n]);
                connection = -1;
            }
            wire_free(&want);
        }
        cr_assert_eq(connection, -1, "%zd bytes that are no share", got);
        if (i < 2)
            cr_expect(peer_quiet(fd), "answered with %u parts missing", 2 - i);
    }
    expect_answer(fd, answer);
    cr_expect_not(locked("E2A4CA72681"));
    expect_empty();
}

Test(router, three_shares_delivered)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DONE, WIRE_REPLY_DONE, WIRE_REPLY_DONE},
          WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.requests, 1);
    cr_expect_eq(t.totals.delivered, 3);
}

Test(router, one_share_of_three_failed)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DONE, WIRE_REPLY_DSN, WIRE_REPLY_DONE},
          WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 2);
    cr_expect_eq(t.totals.failed, 1);
}

Test(router, three_shares_failed)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DROPPED, WIRE_REPLY_DROPPED, WIRE_REPLY_DROPPED},
          WIRE_REPLY_DROPPED);
}

/* The next hop rests here: qmgr(8) need not rest it, too. */
Test(router, three_shares_that_reached_no_server)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DSN, WIRE_REPLY_DSN, WIRE_REPLY_DSN},
          WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.failed, 3);
}

/* Some wait, some run: those that wait are dropped, the other one runs to its end. */
Test(router, the_client_of_three_shares_goes)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask_with("E2A4CA72681", WIRE_RETRY);
    connection = greets(number);
    UNTIL(!peer_quiet(connection));
    cr_expect_eq(waiting(), 2);
    close(fd);
    UNTIL(waiting() == 0);
    cr_expect(locked("E2A4CA72681"));
    cr_expect_eq(held(), 1);
    peer_say(connection, WIRE_REPLY_DONE);
    close(connection);
    UNTIL(held() == 0);
    expect_empty();
    cr_expect_not(locked("E2A4CA72681"));
    close(ask("AAA"));
}

/* --- what is accepted -------------------------------------------------------------------------------- */

/* In requests, not in parts: one message to many domains is one. */
Test(router, a_split_message_does_not_fill_the_room)
{
    int number, fd, other;

    launch(1, CONFIG_LIMIT_FIXED);
    t.config.waiting_max = t.router.room.waiting_max = 2;
    number = first_worker();
    fd = ask("AAA");
    serve(number, "AAA");
    other = ask_with("E2A4CA72681", WIRE_RETRY);
    UNTIL(waiting() == 3);
    ask("BBB");
    UNTIL(waiting() == 4);
    close(fd);
    close(other);
}

/* Three wait where two may; of those that work none is deferred. Then nobody is accepted. */
Test(router, a_full_room_accepts_nobody)
{
    int number, busy, fd;

    launch(1, CONFIG_LIMIT_FIXED);
    t.config.waiting_max = t.router.room.waiting_max = 2;
    number = first_worker();
    fd = ask("000");
    reply(serve(number, "000"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    ask("AAA");
    busy = serve(number, "AAA");
    ask("BBB");
    ask("CCC");
    ask("DDD");
    UNTIL(waiting() == 3);
    cr_expect_eq(retry_pending(t.router.retry), 0);
    fd = peer_dial();
    settle_down();
    cr_expect(peer_quiet(fd), "it is accepted");
    reply(busy, WIRE_REPLY_DONE);
    peer_expect(fd, WIRE_GREETING);
}

/* --- promises ---------------------------------------------------------------------------------------- */

/* A sink that is entered from within another one: the state that it finds may be half done. */
Test(router, nested_sinks_abort, .signal = SIGABRT)
{
    launch(1, CONFIG_LIMIT_FIXED);
    t.nested = true;
    later(2 * SECOND);
}

Test(router, the_parent_goes)
{
    launch(1, CONFIG_LIMIT_FIXED);
    close(t.parent);
    settle_down();
    cr_expect(t.router.closed);
    cr_expect_eq(t.router.status, 0);
}

/* --- many, and a clock that jumps --------------------------------------------------------------------- */

/* So many at once through a few workers: each is answered once, and delivered once. */
static void burst(unsigned count)
{
    struct wire want = wire(WIRE_REPLY_DONE);
    int fd[64];
    char id[16];

    cr_assert_leq(count, 64);
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof id, "A%u", i);
        message(id);
        fd[i] = peer_dial();
        peer_say(fd[i], request_of(id));
    }
    for (unsigned i = 0; i < count; i++)
        peer_expect(fd[i], WIRE_GREETING);
    for (unsigned i = 0; i < count; i++)
        expect_answer(fd[i], WIRE_REPLY_DONE);
    wire_free(&want);
}

Test(router, a_burst_of_64)
{
    launch(MAX, CONFIG_LIMIT_FIXED);
    t.automatic = true;
    burst(64);
    cr_expect_eq(t.delivered, 64);
    cr_expect_eq(t.totals.requests, 64);
    cr_expect_eq(t.totals.delivered, 64);
    cr_expect_eq(t.totals.failed + t.totals.lost + t.totals.deferred + t.totals.refused, 0);
    cr_expect_leq(t.totals.started, MAX);
    expect_empty();
}

/* The dispatcher is away in each handler in turn, and others are not. It goes on delivering within a second. */
Test(router, a_clock_that_jumps_in_each_handler)
{
    launch(MAX, CONFIG_LIMIT_FIXED);
    t.automatic = true;
    burst(3);
    for (enum place place = IN_CLIENT; place <= IN_DEMAND; place++)
        for (unsigned i = 0; i < JUMPS; i++) {
            uint64_t begin;

            if (place == IN_RETRY)
                continue; /* nothing is deferred here */
            t.jump[place] = jumps[i];
            if (place == IN_STEP || place == IN_DEMAND)
                later(SECOND);
            begin = real_now();
            burst(3);
            cr_expect_lt(real_now() - begin, SECOND, "place %d, %lu us", (int)place,
                         (unsigned long)jumps[i]);
            cr_expect_eq(t.jump[place], 0, "it did not jump");
            expect_empty();
        }
    cr_expect_eq(t.totals.failed + t.totals.lost + t.totals.deferred + t.totals.refused, 0);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}
