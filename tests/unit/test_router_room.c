/* supervisor/dispatcher/router_defer.c, router_leave.c: what is said when there is no room, and the last turns. */

#include "tests/unit/router_harness.h"

/* --- the last turns ------------------------------------------------------------------------------------- */

/* A worker greets when a successor has the service: it gets no request, and goes. */
Test(router_room, a_worker_that_greets_at_the_end, .fini = teardown)
{
    int first, second, one, two, busy;

    launch(MAX, CONFIG_LIMIT_FIXED);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    second = started();
    router_leave(&t.router);
    settle_down();
    cr_expect(peer_quiet(two));
    cr_assert_eq(unlink("active/BBB"), 0);
    expect_answer(two, WIRE_REPLY_DEFERRED);
    peer_expect_end(greets(second));
    UNTIL(pool()->count[WORKER_STARTING] == 0);
    cr_expect_eq(pool()->count[WORKER_IDLE], 0);
    cr_expect_eq(pool()->count[WORKER_LEAVING], 1);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

/* master(8) has gone, and no new qmgr(8) comes. */
Test(router_room, what_waits_when_no_qmgr_comes, .fini = teardown)
{
    int first, one, two, busy;

    launch(1, CONFIG_LIMIT_FIXED);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    UNTIL(waiting() == 1);
    router_leave(&t.router);
    for (unsigned i = 0; i < 29; i++)
        later(SECOND);
    cr_expect(peer_quiet(two));
    later(2 * SECOND);
    expect_answer(two, WIRE_REPLY_DEFERRED);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

/* --- why there is no room --------------------------------------------------------------------------------- */

/* A retry to a destination of which nothing is known, that is a victim of a full room. */
static int retries(const char *id)
{
    static char text[4096];

    snprintf(text, sizeof text,
             "flags|" WIRE_FLAGS "|queue_name|active|queue_id|%s|" WIRE_NEXTHOP
             "smtputf8|0|" WIRE_SENDER WIRE_TIME_RETRY WIRE_CLIENT "recipient_count|1||" WIRE_USER1,
             id);
    return ask_with(id, text);
}

/* What retry(8) is told of the first that leaves. */
static void expect_reason(const char *reason)
{
    int connection = peer_greet(t.retry);
    static char bytes[4096];
    ssize_t got = -1;

    UNTIL((got = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT)) > 0);
    cr_expect_not_null(memmem(bytes, (size_t)got, reason, strlen(reason)), "%s", reason);
}

/* One runs, and so many wait. Returns the bytes of each of these. */
static uint64_t fill(unsigned count)
{
    char id[16];
    int number;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    ask("AAA");
    serve(number, "AAA");
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof id, "B%02u", i);
        retries(id);
    }
    UNTIL(waiting() == count);
    return parts_view(t.router.parts).bytes / count;
}

Test(router_room, the_room_is_full_by_number, .fini = teardown)
{
    fill(3);
    t.router.room.waiting_max = t.config.waiting_max = 1;
    settle_down();
    later(10 * SECOND);
    expect_reason("4.4.5 delivery deferred: too much mail waits for this destination "
                  "(waiting.max 1)");
}

/* Beside many bytes, but these are not what leaves no room. */
Test(router_room, the_room_is_full_by_number_first, .fini = teardown)
{
    uint64_t each = fill(11);

    t.router.room.bytes_max = each * 1000 / 65;
    t.router.room.waiting_max = t.config.waiting_max = 10;
    settle_down();
    later(10 * SECOND);
    expect_reason("(waiting.max 10)");
}

Test(router_room, the_room_is_full_by_open_files, .fini = teardown)
{
    fill(3);
    t.router.room.clients_max = 3;
    expect_reason("(2 wait, which is what open files allow)");
}

Test(router_room, the_room_is_full_by_bytes, .fini = teardown)
{
    fill(3);
    t.router.room.bytes_max = 1000;
    expect_reason("(0 MB of recipients wait)");
}

/* They have grown old meanwhile: qmgr(8) would bounce what is deferred, so all of them wait on. */
Test(router_room, victims_that_are_too_old, .fini = teardown)
{
    fill(3);
    t.postconf.maximal_queue_lifetime = t.postconf.bounce_queue_lifetime = 1;
    t.router.room.waiting_max = t.config.waiting_max = 1;
    UNTIL(parts_view(t.router.parts).requests == 1);
    later(1200 * SECOND);
    settle_down();
    cr_expect_eq(held(), 4);
    cr_expect_eq(waiting(), 3);
    cr_expect_eq(retry_pending(t.router.retry), 0);
    cr_expect_not(peer_connected(t.retry));
}

/* Nobody is accepted while requests hold as much as they may. */
Test(router_room, no_place_for_more_bytes, .fini = teardown)
{
    launch(1, CONFIG_LIMIT_FIXED);
    first_worker();
    cr_expect_gt(router_places(&t.router), 0);
    t.budget.held = HELD_BYTES_MAX;
    cr_expect_eq(router_places(&t.router), 0);
    t.budget.held = 0;
}

/* --- no CPU for one more ---------------------------------------------------------------------------------- */

/* The dispatcher has been runnable for so long. */
static void runnable(unsigned milliseconds)
{
    char text[64];

    snprintf(text, sizeof text, "%u000000 0 1\n", milliseconds);
    put("schedstat", text);
}

static bool wanted(void)
{
    int number;

    return spawn_comes(&number);
}

/* Workers come back quickly, and somebody is always in front: one more would only wait for a CPU. */
Test(router_room, a_crowded_machine_starts_no_worker, .fini = teardown)
{
    int number, fd;
    char id[16];

    launch(MAX, CONFIG_LIMIT_FIXED);
    runnable(0);
    t.router.schedstat = open("schedstat", O_RDONLY | O_CLOEXEC);
    cr_assert_geq(t.router.schedstat, 0);
    number = first_worker();
    for (unsigned i = 0; i < GROWTH_RETURNS; i++) {
        snprintf(id, sizeof id, "A%02u", i);
        fd = ask(id);
        reply(serve(number, id), WIRE_REPLY_DONE);
        expect_answer(fd, WIRE_REPLY_DONE);
    }
    settle_down();
    later(SECOND);
    ask("BBB");
    serve(number, "BBB");
    ask("CCC");
    UNTIL(waiting() == 1);
    for (unsigned i = 1; i <= 4; i++) {
        runnable(10 * i);
        later(10 * SECOND / 1000);
        cr_expect_not(wanted(), "after %u ms", 10 * i);
    }
    /* The CPU is idle from now on. */
    for (unsigned i = 0; i < 4; i++)
        later(10 * SECOND / 1000);
    cr_expect(wanted());
    close(t.router.schedstat);
}

/* Somebody had removed the memory group: its new limit is looked at before one more is started. */
Test(router_room, a_group_that_was_made_again, .fini = teardown)
{
    int number;
    unsigned before;

    launch(MAX, CONFIG_LIMIT_MEMORY);
    UNTIL(spawn_comes(&number));
    settle_down();
    t.tick = UINT64_MAX;
    before = t.stepped;
    tell(CHANNEL_STARTED, number, 0);
    settle_down();
    cr_expect_eq(t.stepped, before);
    tell(CHANNEL_EXITED, number, 0);
    UNTIL(spawn_comes(&number));
    before = t.stepped;
    tell(CHANNEL_STARTED, number, 1);
    settle_down();
    cr_expect_eq(t.stepped, before + 1);
}
