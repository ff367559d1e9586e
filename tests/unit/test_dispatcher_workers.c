/* supervisor/dispatcher/fleet.c as part of a running dispatcher: workers that start, fail, die. See fake.h. */

#include "tests/unit/fake_round.h"

#include "supervisor/dispatcher/fleet_worker.h"
#include "supervisor/limits.h"

Test(dispatcher_workers, one_that_dies_before_its_greeting_costs_nothing)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 1);
    int qmgr, second, worker;

    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_accept(&fake, number);
    second = fake_ask(&fake, "BBBB2");
    fake_expect_lock(&fake, "BBBB2", true);
    close(worker);
    fake_exited(&fake, number, 0);
    number = fake_expect_spawn(&fake);
    cr_assert(fake_locked(&fake, "AAAA1"));
    fake_started(&fake, number);
    worker =
        fake_serve_request(&fake, number, "AAAA1"); /* it came first, and has not lost its place */
    fake_deliver(&fake, number, worker, qmgr);
    close(second);
    fake_end(&fake);
}

/* It is reaped while its connection is still open somewhere, with and without a greeting read. */
Test(dispatcher_workers, one_that_is_reaped_before_its_connection_ends)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_accept(&fake, number);
    fake_exited(&fake, number, 9);
    fake_expect_end(worker);
    number = fake_spawn(&fake);
    worker = fake_serve_request(&fake, number, "AAAA1");
    fake_exited(&fake, number, 9);
    fake_expect(qmgr, WIRE_REPLY_DEFERRED);
    fake_expect_end(worker);
    fake_end(&fake);
}

/* What it said before it ended counts. */
Test(dispatcher_workers, one_that_replies_and_ends_at_once)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    for (int round = 0; round < 20; round++) {
        char id[16];

        snprintf(id, sizeof id, "AAAA%d", round);
        qmgr = fake_ask(&fake, id);
        worker = fake_serve_request(&fake, number, id);
        fake_pause(&fake); /* so that it finds all of it at once */
        fake_say(worker, WIRE_REPLY_DONE);
        close(worker);
        fake_exited(&fake, number, 0);
        fake_resume(&fake);
        fake_expect(qmgr, WIRE_REPLY_DONE);
        fake_expect_end(qmgr);
        qmgr = fake_ask(&fake, "BBBB2");
        number = fake_spawn(&fake);
        worker = fake_serve_request(&fake, number, "BBBB2");
        fake_deliver(&fake, number, worker, qmgr);
        cr_assert_eq(unlink(fake_path(&fake, "active/BBBB2")), 0);
    }
    fake_end(&fake);
}

Test(dispatcher_workers, one_that_dies_with_a_request)
{
    struct fake fake;
    unsigned number, other;
    int first, second, worker, innocent;

    number = fake_begin(&fake, 4);
    fake_round(&fake, number, "DDDD0"); /* a success: more than one at a time may go there now */
    first = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    second = fake_ask(&fake, "BBBB2");
    other = fake_spawn(&fake);
    innocent = fake_serve_request(&fake, other, "BBBB2");
    fake_deliver(&fake, other, innocent, second); /* could take it */

    fake_say(worker, "status||diag_type||"); /* the beginning of a reply is none */
    close(worker);
    fake_exited(&fake, number, 9);
    fake_expect(first, WIRE_REPLY_DEFERRED);
    fake_expect_end(first);
    cr_assert(!fake_locked(&fake, "AAAA1"));
    fake_expect_line(&fake, "AAAA1: worker 70000 ended with it (signal 9)");
    cr_assert(!readable(fake.worker[other].listening, QUIET_MS), "given to another worker");
    cr_assert(!readable(fake.channel, 0));
    fake_round(&fake, other, "CCCC3");
    fake_end(&fake);
}

Test(dispatcher_workers, a_reply_that_is_none)
{
    static const char *const bad[] = {"status|0||", WIRE_REPLY_DONE "x", WIRE_GREETING,
                                      WIRE_REPLY_NO_DSN "status|00x||", "||"};
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char id[16];

        snprintf(id, sizeof id, "AAAA%zu", i);
        qmgr = fake_ask(&fake, id);
        if (i > 0)
            number = fake_spawn(&fake);
        worker = fake_serve_request(&fake, number, id);
        fake_say(worker, bad[i]);
        fake_expect(qmgr, WIRE_REPLY_DEFERRED);
        fake_expect_end(qmgr);
        fake_expect_end(worker);
        /* It is told to go. */
        fake_expect_end(fake.worker[number].status);
        fake.worker[number].status = -1;
        fake_exited(&fake, number, 0);
    }
    fake_end(&fake);
}

Test(dispatcher_workers, one_that_ends_while_idle)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    fake_round(&fake, number, "AAAA1");
    cr_assert_eq(access(fake_path(&fake, "state/worker.0"), F_OK), 0);
    fake_closed(&fake, number); /* and is not reaped yet */
    qmgr = fake_ask(&fake, "BBBB2");
    number = fake_expect_spawn(&fake);
    cr_assert_eq(number, 1, "the number is still in use");
    fake_tell(&fake, CHANNEL_EXITED, 0, fake.worker[0].pid, 0);
    fake_started(&fake, number);
    worker = fake_serve_request(&fake, number, "BBBB2");
    fake_deliver(&fake, number, worker, qmgr);
    /* Its name stays: on a full disk there might be no room for the next one\'s. */
    cr_assert_eq(access(fake_path(&fake, "state/worker.0"), F_OK), 0);
    cr_assert(!readable(fake.channel, QUIET_MS));
    fake_end(&fake);
}

/* Fast workers on a slow machine: all that it says may be there before the parent's STARTED. */
Test(dispatcher_workers, one_that_is_faster_than_the_parent)
{
    struct fake fake;
    struct fake_worker *worker;
    unsigned number;
    int connection;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_expect_spawn(&fake);
    worker = &fake.worker[number];
    worker->pid = 70000;
    connection = fake_serve(&fake, number);
    fake_released(&fake, number, connection);
    fake_tell(&fake, CHANNEL_STARTED, number, worker->pid, 0);
    fake_round(&fake, number, "AAAA1");
    cr_assert(!readable(worker->status, QUIET_MS), "it was told to go");
    fake_end(&fake);
}

/* Nothing is decided by it, and a worker never has to wait until it is read. */
Test(dispatcher_workers, what_one_says_on_its_status_channel)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    char id[16];

    cr_assert_eq(fcntl(fake.worker[number].status, F_SETFL, O_NONBLOCK), 0);
    /* As it is with net.core.wmem_default = 16384: 21 messages. */
    cr_assert_eq(
        setsockopt(fake.worker[number].status, SOL_SOCKET, SO_SNDBUF, &(int){8192}, sizeof(int)),
        0);
    fake.worker[number].pid++;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(id, sizeof id, "A%u", i);
        fake_round(&fake, number, id);
    }
    cr_assert(!readable(fake.worker[number].status, QUIET_MS), "it was told to go");
    fake_end(&fake);
}

/* The parent cannot start one; then it can. Until then nobody is greeted. */
Test(dispatcher_workers, none_can_be_started)
{
    struct fake fake;
    unsigned number;
    int64_t failed;
    int qmgr;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_expect_spawn(&fake);
    qmgr = fake_connect(&fake);
    failed = fake_now_ms();
    fake_closed(&fake, number);
    fake_tell(&fake, CHANNEL_FAILED, number, 0, ENOENT);
    fake_expect_line(&fake, "cannot start /daemons/lmtp: No such file or directory; mail waits");
    cr_assert(!readable(qmgr, QUIET_MS), "greeted without a greeting");

    number = fake_expect_spawn(&fake);
    /* After a second, counted from the beginning of the turn in which it was told. */
    cr_assert_geq(fake_now_ms() - failed, 900, "tried again after %d ms",
                  (int)(fake_now_ms() - failed));
    fake_started(&fake, number);
    fake_released(&fake, number, fake_serve(&fake, number));
    fake_expect_line(&fake, "lmtp starts again");
    fake_expect(qmgr, WIRE_GREETING);
    fake_message(&fake, "AAAA1");
    struct wire request = fake_request("AAAA1", 1);

    fake_write(qmgr, request.bytes, request.len);
    wire_free(&request);
    fake_serve_request(&fake, number, "AAAA1");
    fake_end(&fake);
}

/* It was started, but ends before it greets. */
Test(dispatcher_workers, one_that_ends_at_its_start)
{
    struct fake fake;
    unsigned number;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_spawn(&fake);
    fake_exited(&fake, number, 0x7f00);
    fake_expect_line(&fake, "it ended with exit status 127 before it was ready; mail waits");
    cr_assert(!readable(fake.channel, QUIET_MS), "tried again at once");
    fake_end(&fake);
}

/* Not one worker for each request, but as many as may start at a time, and never too many. */
Test(dispatcher_workers, as_many_as_wait_and_as_may)
{
    struct fake fake;
    int qmgr[6], worker[4];

    fake_prepare(&fake);
    fake.config.workers_max = 4;
    fake_start(&fake);
    fake_round(&fake, fake_first_worker(&fake), "DDDD0");
    for (int i = 0; i < 6; i++) {
        char id[16];

        snprintf(id, sizeof id, "AAAA%d", i);
        qmgr[i] = fake_ask(&fake, id);
        if (i == 0) {
            worker[0] = fake_serve(&fake, 0);
        } else if (i < 4) {
            unsigned number = fake_spawn(&fake);

            worker[i] = fake_serve(&fake, number);
        } else {
            fake_expect_lock(&fake, id, true);
            continue;
        }
        fake_expect_request(worker[i], id);
    }
    cr_assert(!readable(fake.channel, QUIET_MS), "a fifth worker");
    for (int i = 0; i < 4; i++) {
        fake_say(worker[i], WIRE_REPLY_DONE);
        fake_expect(qmgr[i], WIRE_REPLY_DONE);
        fake_expect_end(qmgr[i]);
    }
    fake_end(&fake);
}

/*
 * The oldest idle workers go, and as many stay as must; those that are on their way out are not of
 * those that stay. Called directly, since half a minute is too long to wait for.
 */
Test(dispatcher_workers, the_surplus_goes_and_the_minimum_stays)
{
    struct loop loop;
    struct budget budget = {0};
    struct fleet *fleet;
    int channel[2];

    cr_assert_eq(channel_open(channel), 0);
    cr_assert_eq(loop_create(&loop), 0);
    cr_assert_eq(fleet_create(&fleet, &(struct fleet_config){.loop = &loop,
                                                             .budget = &budget,
                                                             .channel = channel[0],
                                                             .min = 2,
                                                             .max = 6}),
                 0);
    loop.now = 1;
    for (int i = 0; i < 5; i++) {
        int number = pool_start(&fleet->pool, 1);

        cr_assert_eq(pool_move(&fleet->pool, number, WORKER_IDLE, 1), 0);
    }
    loop.now = IDLE_SURPLUS;
    fleet_tick(fleet);
    cr_assert_eq(fleet->pool.count[WORKER_IDLE], 5, "none is old enough");
    loop.now = IDLE_SURPLUS + 1;
    fleet_tick(fleet);
    cr_assert_eq(fleet->pool.count[WORKER_IDLE], 2, "%u stay", fleet->pool.count[WORKER_IDLE]);
    cr_assert_eq(fleet->pool.count[WORKER_LEAVING], 3);
    fleet_destroy(fleet);
    loop_destroy(&loop);
    close(channel[0]);
    close(channel[1]);
}

/* What was said of starts since the last call. */
static void count_lines(const struct fake *fake, unsigned *fails, unsigned *again, unsigned *rest)
{
    char line[2048];
    ssize_t got;

    while ((got = recv(fake->log, line, sizeof line - 1, MSG_DONTWAIT)) > 0) {
        line[got] = '\0';
        *fails += strstr(line, "cannot start") ? 1 : 0;
        *again += strstr(line, "starts again") ? 1 : 0;
        *rest += strstr(line, " more times starts of workers began to fail") ? 1 : 0;
    }
}

/* Of two that start together one fails, again and again, as when some are killed for want of memory: few lines say so. */
Test(dispatcher_workers, starts_that_fail_between_others_that_do_not)
{
    enum { ROUNDS = 7 };
    unsigned fails = 0, again = 0, rest = 0, spawned[2];
    int qmgr[ROUNDS + 2], busy, worker;
    struct wire request = fake_request("CCCC0", 1); /* as long as the others */
    char line[2048], id[16];
    struct fake fake;

    fake_prepare(&fake);
    fake.config.workers_max = WORKERS_MAX; /* so many may start within a second */
    fake_start(&fake);
    fake_round(&fake, fake_first_worker(&fake), "DDDD0");
    qmgr[ROUNDS + 1] = fake_ask(&fake, "BBBB0");
    busy = fake_serve(&fake, 0);
    qmgr[ROUNDS] = fake_ask(&fake, "CCCC0");
    spawned[1] = fake_expect_spawn(&fake);
    for (int i = 0; i < ROUNDS; i++) {
        spawned[0] = spawned[1];
        snprintf(id, sizeof id, "AAAA%d", i);
        qmgr[i] = fake_ask(&fake, id);
        spawned[1] = fake_expect_spawn(&fake);
        fake_closed(&fake, spawned[0]);
        fake_tell(&fake, CHANNEL_FAILED, spawned[0], 0, ENOENT);
        /* Whoever is greeted twice knows that the failure was read before the other worker's greeting can be. */
        close(fake_greeted(&fake));
        close(fake_greeted(&fake));
        fake_started(&fake, spawned[1]);
        worker = fake_serve(&fake, spawned[1]);
        spawned[0] = spawned[1];
        spawned[1] = fake_expect_spawn(&fake);
        fake_read(worker, line, request.len);
        fake_say(worker, WIRE_REPLY_DONE);
        fake_expect_end(worker);
        fake_exited(&fake, spawned[0], 0);
        count_lines(&fake, &fails, &again, &rest);
    }
    /* Nobody reads while it ends, and ten lines are all that the socket takes. */
    while (readable(fake.log, QUIET_MS))
        count_lines(&fake, &fails, &again, &rest);
    close(busy);
    wire_free(&request);
    fake_end(&fake);
    count_lines(&fake, &fails, &again, &rest);
    cr_assert(fails > 0 && fails < ROUNDS, "%u lines for %d failures", fails, ROUNDS);
    cr_assert_eq(again, fails);
    cr_assert_eq(rest, 1);
    for (int i = 0; i < ROUNDS + 2; i++)
        close(qmgr[i]);
}
