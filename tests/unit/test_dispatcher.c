/* supervisor/dispatcher/dispatcher.c and its files as one process: the ways of a request. See fake.h. */

#include <sys/file.h>

#include "tests/unit/fake_round.h"

Test(dispatcher, a_request_goes_through_unchanged_and_locked)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker, status[6];

    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    cr_assert(!readable(worker, 0), "more than the request");
    cr_assert(fake_locked(&fake, "AAAA1"));
    fake_say(worker, WIRE_REPLY_DSN);
    fake_expect(qmgr, WIRE_REPLY_DSN);
    fake_expect_end(qmgr);
    cr_assert(!fake_locked(&fake, "AAAA1"), "locked after the answer");
    fake_released(&fake, number, worker);

    /* master was told TAKEN and AVAIL, once, of the parent. */
    fake_read(fake.master, (char *)status, sizeof status);
    cr_assert(status[0] == getpid() && status[1] == 5 && status[2] == 0);
    cr_assert(status[3] == getpid() && status[4] == 5 && status[5] == 1);

    /* The same worker again, for the next one. */
    fake_round(&fake, number, "AAAA2");
    cr_assert(!readable(fake.master, QUIET_MS) && !readable(fake.channel, 0));
    fake_end(&fake);
}

Test(dispatcher, a_request_and_a_reply_in_single_bytes)
{
    struct wire request = fake_request("AAAA1", 1), reply = wire(WIRE_REPLY_DSN);
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    fake_message(&fake, "AAAA1");
    qmgr = fake_greeted(&fake);
    for (size_t i = 0; i < request.len; i++) {
        cr_assert(!readable(fake.worker[number].listening, 0), "chosen after %zu bytes", i);
        fake_write(qmgr, request.bytes + i, 1);
    }
    worker = fake_accept(&fake, number);
    fake_available(&fake, number, MASTER_TAKEN);
    for (size_t i = 0; i < GREETING_SIZE; i++) {
        struct wire greeting = wire(WIRE_GREETING);

        cr_assert(!readable(worker, 0), "handed over before the greeting");
        fake_write(worker, greeting.bytes + i, 1);
        wire_free(&greeting);
    }
    fake_expect_request(worker, "AAAA1");
    for (size_t i = 0; i < reply.len; i++) {
        cr_assert(!readable(qmgr, 0), "answered after %zu bytes of the reply", i);
        fake_write(worker, reply.bytes + i, 1);
    }
    fake_expect(qmgr, WIRE_REPLY_DSN);
    fake_expect_end(qmgr);
    fake_released(&fake, number, worker);
    wire_free(&request);
    wire_free(&reply);
    fake_end(&fake);
}

/* A megabyte, to a worker that reads when qmgr has gone: it still gets all of it. */
Test(dispatcher, a_large_request)
{
    struct wire request = fake_request("AAAA1", 10000);
    char *have = malloc(request.len);
    struct fake fake;
    unsigned number;
    int qmgr, worker;

    cr_assert(have && request.len > 1000000);
    number = fake_begin(&fake, 4);
    fake_message(&fake, "AAAA1");
    for (int round = 0; round < 2; round++) {
        qmgr = fake_greeted(&fake);
        fake_write(qmgr, request.bytes, request.len);
        worker = fake_serve(&fake, number);
        cr_assert(readable(worker, WAIT_MS));
        if (round == 1)
            close(qmgr);
        fake_read(worker, have, request.len);
        cr_assert_eq(memcmp(have, request.bytes, request.len), 0);
        cr_assert(fake_locked(&fake, "AAAA1"));
        fake_say(worker, WIRE_REPLY_DONE);
        if (round == 0) {
            fake_expect(qmgr, WIRE_REPLY_DONE);
            fake_expect_end(qmgr);
        }
        fake_released(&fake, number, worker);
        fake_expect_lock(&fake, "AAAA1", false);
    }
    free(have);
    wire_free(&request);
    fake_end(&fake);
}

/* What a stock agent answers with status -1, and goes on. */
Test(dispatcher, what_is_refused)
{
    static const char *const bad[] = {"W", "flags|3|flags|3|", "|", "queue_id|../../x|",
                                      (WIRE_HEAD "recipient_count|0||")};
    struct wire request = fake_request("AAAA1", 1), absent = fake_request("BBBB2", 1);
    struct fake fake;
    int qmgr, lock;

    fake_begin(&fake, 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qmgr = fake_greeted(&fake);
        fake_say(qmgr, bad[i]);
        shutdown(qmgr, SHUT_WR);
        fake_expect(qmgr, WIRE_REPLY_DEFERRED);
        fake_expect_end(qmgr);
    }
    qmgr = fake_greeted(&fake); /* no queue file */
    fake_write(qmgr, absent.bytes, absent.len);
    fake_expect(qmgr, WIRE_REPLY_DEFERRED);
    fake_expect_end(qmgr);

    fake_message(&fake, "AAAA1");
    lock = open(fake_path(&fake, "active/AAAA1"), O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(lock, LOCK_EX), 0);
    qmgr = fake_greeted(&fake);
    fake_write(qmgr, request.bytes, request.len);
    fake_expect(qmgr, WIRE_REPLY_DEFERRED);
    fake_expect_end(qmgr);
    close(lock);

    qmgr = fake_greeted(&fake); /* bytes behind the end */
    request.bytes = realloc(request.bytes, request.len + 1);
    cr_assert_not_null(request.bytes);
    request.bytes[request.len] = 'x';
    fake_write(qmgr, request.bytes, request.len + 1);
    fake_expect(qmgr, WIRE_REPLY_DEFERRED);
    fake_expect_end(qmgr);
    cr_assert(!fake_locked(&fake, "AAAA1"));

    qmgr = fake_greeted(&fake); /* changed its mind */
    close(qmgr);
    /* None of these came near a worker. */
    cr_assert(!readable(fake.channel, 0) && !readable(fake.worker[0].listening, QUIET_MS));
    wire_free(&request);
    wire_free(&absent);
    fake_end(&fake);
}

Test(dispatcher, qmgr_hangs_up_while_it_waits)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 1);
    int first, second, third, worker;

    first = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    second = fake_ask(&fake, "BBBB2");
    third = fake_ask(&fake, "CCCC3");
    fake_expect_lock(&fake, "BBBB2", true);
    fake_expect_lock(&fake, "CCCC3", true);
    close(second);
    fake_expect_lock(&fake, "BBBB2", false);
    fake_deliver(&fake, number, worker, first);
    worker = fake_serve_request(&fake, number, "CCCC3");
    fake_deliver(&fake, number, worker, third);
    cr_assert(!readable(fake.worker[number].listening, QUIET_MS), "the dropped one runs");
    fake_end(&fake);
}

Test(dispatcher, qmgr_hangs_up_while_it_connects)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_accept(&fake, number);
    fake_available(&fake, number, MASTER_TAKEN);
    close(qmgr);
    fake_released(&fake, number, worker);
    fake_expect_lock(&fake, "AAAA1", false);
    fake_round(&fake, number, "BBBB2");
    fake_end(&fake);
}

/* The worker is connected to for this request, which is then withdrawn, and has accepted nothing of it. */
static void withdraw(struct fake *fake, unsigned number, const char *id)
{
    int qmgr = fake_ask(fake, id);

    fake_expect_lock(fake, id, true);
    cr_assert(readable(fake->worker[number].listening, WAIT_MS), "nobody connects for %s", id);
    close(qmgr);
    fake_expect_lock(fake, id, false);
}

/* Two connections wait for the worker then: that of a withdrawn request, which it has done with here, and the one for `id`. */
static int ask_after_withdrawn(struct fake *fake, unsigned number, const char *id)
{
    int qmgr, worker;

    withdraw(fake, number, "AAAA1");
    qmgr = fake_ask(fake, id);
    worker = fake_accept(fake, number);
    fake_available(fake, number, MASTER_TAKEN);
    fake_released(fake, number, worker);
    return qmgr;
}

Test(dispatcher, qmgr_hangs_up_and_the_worker_is_used_again_at_once)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    qmgr = ask_after_withdrawn(&fake, number, "BBBB2");
    worker = fake_serve_request(&fake, number, "BBBB2");
    fake_deliver(&fake, number, worker, qmgr);
    fake_end(&fake);
}

/* The same, and the dropped one was the last that it took (max_use): the other runs elsewhere. */
Test(dispatcher, qmgr_hangs_up_and_the_worker_ends_after_it)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    qmgr = ask_after_withdrawn(&fake, number, "BBBB2");
    cr_assert(readable(fake.worker[number].listening, WAIT_MS), "nobody connects again");
    fake_exited(&fake, number, 0);
    cr_assert(fake_locked(&fake, "BBBB2"));
    number = fake_spawn(&fake);
    worker = fake_serve_request(&fake, number, "BBBB2");
    fake_deliver(&fake, number, worker, qmgr);
    cr_assert(!readable(fake.channel, QUIET_MS), "one more worker for it");
    fake_end(&fake);
}

/* One that accepts nothing while request after request is withdrawn takes no connection any more: it is told to go. */
Test(dispatcher, qmgr_hangs_up_again_and_again_on_a_worker_that_is_stopped)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4), other;
    char id[16];
    int qmgr, worker;

    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "AAAA%d", i);
        withdraw(&fake, number, id);
    }
    qmgr = fake_ask(&fake, "BBBB2");
    other = fake_spawn(&fake);
    fake_expect_end(fake.worker[number].status);
    fake.worker[number].status = -1;
    worker = fake_serve_request(&fake, other, "BBBB2");
    fake_deliver(&fake, other, worker, qmgr);
    fake_exited(&fake, number, 0);
    fake_round(&fake, other, "CCCC3");
    fake_end(&fake);
}

Test(dispatcher, qmgr_hangs_up_while_it_runs)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    close(qmgr);
    cr_assert(!readable(worker, QUIET_MS), "the worker was interrupted");
    cr_assert(fake_locked(&fake, "AAAA1"));
    fake_say(worker, WIRE_REPLY_DONE);
    fake_released(&fake, number, worker);
    fake_expect_lock(&fake, "AAAA1", false);
    fake_end(&fake);
}

/*
 * Two may wait. The messages of these requests are too old to be deferred, so they take no place, and a fourth and a fifth are
 * taken in as well: they would stop the transport otherwise.
 */
Test(dispatcher, what_may_not_be_deferred_takes_no_place)
{
    struct fake fake;
    unsigned number;
    int first, second, third, fourth, fifth, worker;

    fake_prepare(&fake);
    fake.config.workers_max = 1;
    fake.config.waiting_max = 2;
    fake.lifetime = 1;
    number = fake_open(&fake);
    first = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    second = fake_ask(&fake, "BBBB2");
    third = fake_ask(&fake, "CCCC3");
    fake_expect_lock(&fake, "CCCC3", true);
    fourth = fake_ask(&fake, "DDDD4");
    fake_expect_lock(&fake, "DDDD4", true);
    fifth = fake_connect(&fake);
    fake_expect(fifth, WIRE_GREETING);
    fake_deliver(&fake, number, worker, first);
    fake_serve_request(&fake, number, "BBBB2"); /* in order of arrival */
    close(fifth);
    close(fourth);
    close(second);
    close(third);
    fake_end(&fake);
}

Test(dispatcher, every_end)
{
    for (int way = 0; way < 5; way++) {
        struct fake fake;
        int qmgr, status;

        fake_begin(&fake, 4);
        qmgr = fake_ask(&fake, "AAAA1");
        fake_expect_lock(&fake, "AAAA1", true);
        if (way == 0)
            close(fake.master);
        else if (way == 1)
            close(fake.channel);
        else if (way == 2)
            shutdown(fake.channel, SHUT_RDWR);
        else if (way == 3)
            kill(fake.dispatcher, SIGTERM);
        else
            cr_assert_eq(write(fake.channel, "nonsense", 8), 8);
        /* qmgr(8) ends with master. */
        if (way < 3)
            close(qmgr);
        status = fake_status(&fake);
        cr_assert(WIFEXITED(status), "way %d: %#x", way, (unsigned)status);
        cr_assert_eq(WEXITSTATUS(status), way == 4 ? EXIT_FAILURE : EXIT_SUCCESS, "way %d", way);
        /* Nothing is invented on the way out. */
        if (way >= 3)
            fake_expect_end(qmgr);
        cr_assert(!fake_locked(&fake, "AAAA1"));
        fake_remove(&fake);
    }
}

/* With the pace of its domain, whatever makes the destination; by that of the others it would wait an hour. */
Test(dispatcher, the_second_start_to_a_paced_domain_waits)
{
    static const uint32_t keys[] = {CONFIG_DESTINATION_RECIPIENT_DOMAIN,
                                    CONFIG_DESTINATION_RECIPIENT};
    const int64_t pace_ms = 200;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct fake fake;
        unsigned number;
        int64_t before;

        fake_prepare(&fake);
        fake.config.destination_key = keys[i];
        fake.config.destination_pace = UINT64_C(3600000000);
        fake.config.destination_paces.count = 1;
        fake.config.destination_paces.of[0] =
            (struct config_pace){.domain = "example.com", .pace = (uint64_t)pace_ms * 1000};
        number = fake_open(&fake);
        before = fake_now_ms();
        for (int round = 0; round < 2; round++) {
            const char *id = round == 0 ? "AAAA1" : "BBBB2";
            int qmgr = fake_ask(&fake, id);
            int worker = fake_serve_request(&fake, number, id);

            cr_assert_geq(fake_now_ms() - before, round * pace_ms, "too soon");
            fake_deliver(&fake, number, worker, qmgr);
        }
        fake_end(&fake);
    }
}
