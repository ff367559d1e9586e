/* supervisor/dispatcher/router.c: a client or a worker goes, and deferrals. See router_harness.h. */

#include "tests/unit/router_harness.h"

/* --- the client goes, in each state ------------------------------------------------------------------ */

/* The only worker has AAA of one client, and BBB of another waits. */
static int one_waits(int *has, int *waits, int *worker)
{
    int number;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    *has = ask("AAA");
    *worker = serve(number, "AAA");
    *waits = ask("BBB");
    UNTIL(waiting() == 1);
    return number;
}

Test(router, the_client_goes_while_it_waits)
{
    int one, two, busy, number = one_waits(&one, &two, &busy);

    close(two);
    UNTIL(waiting() == 0);
    cr_expect_not(locked("BBB"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    settle_down();
    cr_expect_not(peer_connected(t.process[number].listening));
    expect_empty();
}

/* A signal ends it: who waits is answered, and what a worker has is its own affair. */
Test(router, the_end_by_a_signal)
{
    int one, two, busy;

    (void)one_waits(&one, &two, &busy);
    router_end_waiting(&t.router);
    expect_answer(two, WIRE_REPLY_DEFERRED);
    cr_expect_not(locked("BBB"));
    cr_expect(locked("AAA"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

Test(router, the_client_goes_while_its_worker_is_called)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = taken(number);
    close(fd);
    peer_expect_end(connection);
    cr_expect_eq(pool()->count[WORKER_IDLE], 1);
    expect_empty();
    fd = ask("BBB");
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
}

/* Its bytes have left: a delivery is never cut short. */
Test(router, the_client_goes_while_it_is_delivered)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    close(fd);
    settle_down();
    cr_expect(peer_quiet(connection));
    cr_expect(locked("AAA"));
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_not(locked("AAA"));
    expect_empty();
}

/* A request of which the worker has taken a piece. */
Test(router, the_client_goes_while_its_request_is_written)
{
    static char text[600000];
    size_t at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");
    struct wire bytes;
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    bytes = wire(text);
    message("E5825A72641");
    fd = peer_dial();
    peer_expect(fd, WIRE_GREETING);
    for (size_t sent = 0; sent < bytes.len;) {
        ssize_t more = send(fd, bytes.bytes + sent, bytes.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += more > 0 ? (size_t)more : 0;
        turn();
    }
    connection = greets(number);
    settle_down();
    close(fd);
    settle_down();
    cr_expect_eq(held(), 1);
    peer_expect_bytes(connection, bytes.bytes, bytes.len);
    settle_down();
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.totals.delivered, 1);
    expect_empty();
    wire_free(&bytes);
}

/* --- the worker goes --------------------------------------------------------------------------------- */

/* A worker's end, closed when the next request is about to be written; -1: none. */
static int closes_first = -1;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (closes_first >= 0 && (flags & MSG_DONTWAIT)) {
        close(closes_first);
        closes_first = -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* Between its greeting and our first byte: another one gets the request, which nobody has had. */
Test(router, a_worker_goes_before_the_first_byte)
{
    int number, other, fd;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    closes_first = greets(number);
    UNTIL(closes_first < 0);
    cr_expect_eq(waiting(), 1);
    cr_expect(locked("AAA"));
    dies(number, -1, SIGKILL);
    other = started();
    /* A new one, too. */
    closes_first = greets(other);
    UNTIL(closes_first < 0);
    dies(other, -1, SIGKILL);
    reply(serve(started(), "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.lost, 0);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_eq(said.times[COMPLAINT_LOST], 0);
    expect_empty();
}

/* The first one, before its greeting was read: clients are greeted, and another is started for them. */
Test(router, the_first_worker_greets_and_goes_at_once)
{
    int number, fd, connection;

    launch(2, CONFIG_LIMIT_FIXED);
    fd = peer_dial();
    number = started();
    connection = taken(number);
    peer_say(connection, WIRE_GREETING);
    dies(number, connection, 1);
    peer_expect(fd, WIRE_GREETING);
    close(fd);
    fd = ask("AAA");
    reply(serve(started(), "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* With the request: nobody else gets it, and qmgr(8) tries again. */
Test(router, a_worker_is_lost)
{
    int number, fd, connection;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    dies(number, connection, SIGKILL);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    settle_down();
    cr_expect_eq(t.totals.lost, 1);
    cr_expect_eq(said.times[COMPLAINT_LOST], 1);
    cr_expect(strstr(said.last, "AAA: worker 1000 ended with it (signal 9)"), "%s", said.last);
    cr_expect_eq(t.totals.failed, 0);
    expect_empty();
}

/* Before a byte: another one gets it. */
Test(router, a_worker_vanishes)
{
    int number, fd, other;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    dies(number, taken(number), 0);
    other = started();
    cr_expect(peer_quiet(fd));
    reply(serve(other, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.lost, 0);
    expect_empty();
}

/* The news of a lost worker and the hang-up of its client in one batch. */
static void worker_and_client_go(bool client_first)
{
    int number, fd, connection;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    settle_down();
    if (client_first)
        close(fd);
    dies(number, connection, 0);
    if (!client_first)
        close(fd);
    turn();
    expect_empty();
    cr_expect_not(locked("AAA"));
    cr_expect_eq(t.totals.lost, 1);
    fd = ask("BBB");
    number = started();
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

Test(router, client_and_worker_go_together)
{
    worker_and_client_go(true);
}

Test(router, worker_and_client_go_together)
{
    worker_and_client_go(false);
}

/* --- deferrals --------------------------------------------------------------------------------------- */

/* Memory ends while one runs and one waits, until that is to be deferred. Returns qmgr's end of it. */
static int shed(void)
{
    int number, fd;

    launch(4, CONFIG_LIMIT_MEMORY);
    number = first_worker();
    ask("AAA");
    serve(number, "AAA");
    available(1);
    later(2 * SECOND);
    fd = ask("BBB");
    for (unsigned i = 0; i < 200 && retry_pending(t.router.retry) == 0; i++)
        later(SECOND / 4);
    cr_assert_eq(retry_pending(t.router.retry), 1, "nothing is deferred");
    cr_expect_eq(regulator_view(t.router.regulator).decision->mode, LIMIT_SHED);
    return fd;
}

/* retry(8) gets the request with the reason in the place of the nexthop. Returns the connection. */
static int retry_serves(void)
{
    static const char cause[] = "nexthop|4.3.2 delivery deferred: this system is short of memory (";
    int connection = peer_accept(t.retry);
    char bytes[4096];
    ssize_t got = 0;
    char *at;
    struct wire want = wire(cause);

    peer_say(connection, WIRE_GREETING);
    UNTIL((got = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT)) > 0);
    at = memmem(bytes, (size_t)got, want.bytes, want.len);
    wire_free(&want);
    cr_assert_not_null(at);
    cr_expect(memmem(bytes, (size_t)got, "BBB", 4));
    return connection;
}

Test(router, a_request_is_deferred_without_memory)
{
    int fd = shed();
    int connection = retry_serves();

    settle_down();
    cr_expect(peer_quiet(fd));
    cr_expect(locked("BBB"));
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(t.totals.deferred_memory, 1);
    cr_expect_eq(t.totals.deferred_full + t.totals.deferred_slow, 0);
    cr_expect_eq(t.totals.unrecorded, 0);
    cr_expect_eq(t.totals.failed, 0);
}

Test(router, a_request_is_deferred_without_retry)
{
    int fd = shed();
    int connection = retry_serves();

    close(connection);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(t.totals.unrecorded, 1);
    cr_expect_not(locked("BBB"));
}

Test(router, the_client_goes_while_it_is_deferred)
{
    int fd = shed();
    int connection = retry_serves();

    close(fd);
    settle_down();
    cr_expect(locked("BBB"));
    reply(connection, WIRE_REPLY_DSN);
    settle_down();
    cr_expect_not(locked("BBB"));
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(held(), 1, "the other one runs");
}

/* The same on the way to retry(8). */
Test(router, a_clock_that_jumps_in_a_deferral)
{
    int fd = shed();
    int connection;

    t.jump[IN_PREPARE] = t.jump[IN_RETRY] = 3 * SECOND;
    connection = retry_serves();
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.jump[IN_RETRY], 0);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_gt(t.due, peer_loop.now);
}

/* --- at the end of its lifetime ---------------------------------------------------------------------- */

/* The message that waits for retry(8) is too old for a deferral from now on. */
static void grows_old(void)
{
    t.postconf.maximal_queue_lifetime = t.postconf.bounce_queue_lifetime = 1;
}

/* retry(8) reads the next request. Returns the connection. */
static int retry_gets(void)
{
    int connection = peer_greet(t.retry);
    char bytes[4096];

    UNTIL(recv(connection, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
    return connection;
}

/*
 * Two of four are at retry(8). Of the others, one waits on and is delivered, since qmgr(8) would
 * bounce it; one has no client any more, and must not run: the next qmgr(8) asks for it again.
 */
Test(router, a_deferral_that_comes_too_late)
{
    static const char *const names[] = {"BBB", "CCC", "DDD", "EEE", "FFF"};
    int fd[5], number, one, busy, first, second;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask("AAA");
    busy = serve(number, "AAA");
    for (unsigned i = 0; i < 5; i++)
        fd[i] = ask(names[i]);
    UNTIL(waiting() == 5);
    /* Victims leave in a hurry. */
    t.router.room.clients_max = 1;
    UNTIL(retry_pending(t.router.retry) == 4);
    first = retry_gets();
    second = retry_gets();
    grows_old();
    close(fd[1]);
    settle_down();
    reply(first, WIRE_REPLY_DSN);
    UNTIL(waiting() == 2);
    cr_expect(locked("DDD"));
    cr_expect_eq(parts_view(t.router.parts).requests, 1, "one is kept that may be deferred");
    reply(second, WIRE_REPLY_DSN);
    reply(retry_gets(), WIRE_REPLY_DSN);
    settle_down();
    cr_expect_not(locked("CCC"));
    cr_expect_not(peer_connected(t.retry), "more is sent to retry(8)");
    cr_expect_eq(t.totals.deferred, 3);
    t.automatic = true;
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    UNTIL(t.delivered == 2);
    expect_answer(fd[2], WIRE_REPLY_DONE);
    expect_empty();
}

/* They neither wait nor are at retry(8) for minutes: who hangs up is forgotten, the others leave when places are few. */
Test(router, victims_of_a_full_room)
{
    static const char *const names[] = {"BBB", "CCC", "DDD", "EEE"};
    int fd[4], number;
    char text[4096];

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    ask("AAA");
    serve(number, "AAA");
    for (unsigned i = 0; i < 4; i++) {
        snprintf(text, sizeof text,
                 "flags|" WIRE_FLAGS "|queue_name|active|queue_id|%s|" WIRE_NEXTHOP
                 "smtputf8|0|" WIRE_SENDER WIRE_TIME_RETRY WIRE_CLIENT
                 "recipient_count|1||" WIRE_USER1,
                 names[i]);
        fd[i] = ask_with(names[i], text);
    }
    UNTIL(waiting() == 4);
    t.router.room.waiting_max = 1;
    UNTIL(waiting() == 1);
    settle_down();
    cr_expect_eq(retry_pending(t.router.retry), 0);
    cr_expect(locked("CCC"));
    close(fd[3]);
    UNTIL(!locked("EEE"));
    t.router.room.clients_max = 1;
    for (unsigned i = 0; i < 2; i++)
        reply(retry_gets(), WIRE_REPLY_DSN);
    expect_answer(fd[2], WIRE_REPLY_DSN);
    expect_answer(fd[1], WIRE_REPLY_DSN);
    settle_down();
    cr_expect_not(peer_connected(t.retry), "more is sent to retry(8)");
    cr_expect_eq(waiting(), 1);
    cr_expect_eq(t.totals.deferred_full, 2);
}

/* Its age is in a layout that is not known: deferring it could bounce it. */
Test(router, an_unknown_age)
{
    static const char text[] =
        "flags|" WIRE_FLAGS "|queue_name|active|queue_id|BBB|nexthop|n|sender|s@s|"
        "time|Zm9v|recipient_count|1||" WIRE_USER1;
    int number;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    ask("AAA");
    serve(number, "AAA");
    cr_expect_not(t.router.age_unknown);
    ask_with("BBB", text);
    UNTIL(waiting() == 1);
    cr_expect(t.router.age_unknown, "it is logged");
    cr_expect_eq(parts_view(t.router.parts).requests, 0, "it may be deferred");
}
