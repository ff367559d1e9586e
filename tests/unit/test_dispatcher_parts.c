/*
 * Requests for several destinations, and what is known of a part only later: room for parts and their bytes, merged replies,
 * hang-ups, the age of a message that has waited, what is learned. See fake.h.
 */

#include <time.h>

#include "supervisor/limits.h"
#include "tests/unit/fake_round.h"

#define ARRIVAL 1795297671 /* of the captured message */

/* A retry for one recipient in each of that many domains, from the first number on; `login` in its common part. */
static struct wire split_request(const char *id, const char *login, unsigned first,
                                 unsigned domains)
{
    size_t size = 2048 + strlen(login) + (size_t)domains * 200;
    char *text = malloc(size);
    struct wire bytes;
    size_t at;

    cr_assert_not_null(text);
    at = (size_t)snprintf(text, size,
                          "flags|" WIRE_FLAGS
                          "|queue_name|active|queue_id|%s|offset|726|size|285|" WIRE_NEXTHOP
                          "smtputf8|0|" WIRE_SENDER WIRE_TIME_RETRY
                          "log_client_name|unknown|log_client_address|127.0.0.1|log_client_port|1|"
                          "log_protocol_name|ESMTP|log_helo_name|me|sasl_method||sasl_username|%s|"
                          "sasl_sender||log_ident|%s|rewrite_context|local|recipient_count|%u||",
                          id, login, id, domains);
    for (unsigned i = first; i < first + domains; i++)
        at += (size_t)snprintf(text + at, size - at,
                               "original_recipient||recipient|user@d%u.example|offset|%u|"
                               "dsn_orig_rcpt|rfc822;user@d%u.example|notify_flags|0||",
                               i, 800 + i, i);
    cr_assert_lt(at, size);
    bytes = wire(text);
    free(text);
    return bytes;
}

static void say(int fd, const struct wire *request)
{
    fake_write(fd, request->bytes, request->len);
}

/* In the place of retry(8): a socket that nobody need accept from. */
static int retry_listen(const struct fake *fake)
{
    struct sockaddr_un address;
    int fd;

    cr_assert_eq(mkdir(fake_path(fake, "private"), 0755), 0);
    fd = fake_socket(fake_path(fake, "private/retry"), SOCK_STREAM, &address);
    cr_assert_eq(listen(fd, 100), 0);
    return fd;
}

/* Clients that have not said yet what they want need a part each all the same. */
Test(dispatcher_parts, there_is_a_part_for_every_client)
{
    enum { CLIENTS = 20, DOMAINS = 23 };
    struct fake fake;
    struct wire request = split_request("AAAA99", "", 0, DOMAINS);
    int qmgr[CLIENTS], retry;
    char id[16];

    fake_prepare(&fake);
    fake.config.workers_max = 1;
    fake.config.waiting_max = 2;
    fake.descriptors = 112; /* for 23 clients, and thereby 25 parts */
    fake_start(&fake);
    retry = retry_listen(&fake);
    fake_first_worker(&fake);
    for (int i = 0; i < CLIENTS; i++)
        qmgr[i] = fake_greeted(&fake);
    fake_message(&fake, "AAAA99");
    say(qmgr[0], &request);
    fake_expect_lock(&fake, "AAAA99", true);
    wire_free(&request);
    for (int i = 1; i < CLIENTS; i++) {
        snprintf(id, sizeof id, "AAAA%02d", i);
        request = fake_request(id, 1);
        fake_message(&fake, id);
        say(qmgr[i], &request);
        fake_expect_lock(&fake, id, true);
        wire_free(&request);
    }
    for (int i = 0; i < CLIENTS; i++)
        close(qmgr[i]);
    close(retry);
    fake_end(&fake);
}

/* Every part has a copy of what is common to all recipients. Where that is too much, the request stays in one piece. */
Test(dispatcher_parts, the_bytes_of_parts_are_bounded)
{
    enum { LOGIN = 60000, DOMAINS = (int)(HELD_BYTES_MAX / LOGIN) + 1 };
    static char login[LOGIN + 1];
    struct fake fake;
    struct wire request;
    int qmgr, worker;
    unsigned number;

    memset(login, 'x', LOGIN);
    request = split_request("AAAA", login, 0, DOMAINS);
    number = fake_begin(&fake, 4);
    fake_message(&fake, "AAAA");
    qmgr = fake_greeted(&fake);
    say(qmgr, &request);
    worker = fake_serve(&fake, number);
    fake_expect_wire(worker, &request);
    fake_deliver(&fake, number, worker, qmgr);
    wire_free(&request);
    fake_end(&fake);
}

/* A dispatcher with one worker, and a request for two destinations; that of each alone. */
struct pair {
    struct fake fake;
    unsigned number;
    int qmgr;
    struct wire part[2];
    int retry;
};

/* `waiting_max` requests may wait; more are deferred. */
static void pair_begin(struct pair *pair, unsigned waiting_max)
{
    struct wire request = split_request("AAAA", "", 0, 2);

    fake_prepare(&pair->fake);
    pair->fake.config.workers_max = 1;
    pair->fake.config.waiting_max = waiting_max;
    pair->fake.active_max = 1; /* so few that who is to be deferred is so at once */
    pair->part[0] = split_request("AAAA", "", 0, 1);
    pair->part[1] = split_request("AAAA", "", 1, 1);
    fake_start(&pair->fake);
    pair->retry = retry_listen(&pair->fake);
    pair->number = fake_first_worker(&pair->fake);
    fake_message(&pair->fake, "AAAA");
    pair->qmgr = fake_greeted(&pair->fake);
    say(pair->qmgr, &request);
    wire_free(&request);
}

/* The worker is given one of the two, `seen` until now. */
static int pair_serve(struct pair *pair, unsigned *seen)
{
    int worker = fake_serve(&pair->fake, pair->number);
    size_t length = pair->part[0].len;
    char *have = malloc(length);
    unsigned which;

    cr_assert_eq(length, pair->part[1].len);
    cr_assert_not_null(have);
    fake_read(worker, have, length);
    which = memcmp(have, pair->part[0].bytes, length) == 0 ? 0 : 1;
    cr_assert_eq(memcmp(have, pair->part[which].bytes, length), 0);
    cr_assert(!(*seen & 1U << which), "part %u was handed over twice", which);
    *seen |= 1U << which;
    free(have);
    return worker;
}

static void pair_end(struct pair *pair)
{
    wire_free(&pair->part[0]);
    wire_free(&pair->part[1]);
    close(pair->retry);
    fake_end(&pair->fake);
}

Test(dispatcher_parts, replies_are_merged)
{
    static const struct {
        const char *reply[2];
        const char *merged;
    } cases[] = {
        {{WIRE_REPLY_DONE, WIRE_REPLY_DONE}, WIRE_REPLY_DONE},
        {{WIRE_REPLY_DONE, WIRE_REPLY_DSN}, WIRE_REPLY_DEFERRED},
        {{WIRE_REPLY_DSN, WIRE_REPLY_DONE}, WIRE_REPLY_DEFERRED},
        {{WIRE_REPLY_DSN, WIRE_REPLY_DEFERRED}, WIRE_REPLY_DEFERRED},
        {{WIRE_REPLY_DSN, WIRE_REPLY_DSN}, WIRE_REPLY_DSN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair pair;
        unsigned seen = 0;

        pair_begin(&pair, 100);
        for (int turn = 0; turn < 2; turn++) {
            int worker = pair_serve(&pair, &seen);

            cr_assert(fake_locked(&pair.fake, "AAAA"));
            cr_assert(!readable(pair.qmgr, 0), "answered before all parts have ended");
            fake_say(worker, cases[i].reply[turn]);
            fake_released(&pair.fake, pair.number, worker);
        }
        fake_expect(pair.qmgr, cases[i].merged);
        fake_expect_lock(&pair.fake, "AAAA", false);
        close(pair.qmgr);
        pair_end(&pair);
    }
}

Test(dispatcher_parts, qmgr_hangs_up_while_one_runs_and_one_waits)
{
    struct pair pair;
    unsigned seen = 0;
    int worker, qmgr;

    pair_begin(&pair, 100);
    worker = pair_serve(&pair, &seen);
    close(pair.qmgr);
    cr_assert(!readable(worker, QUIET_MS), "the worker was interrupted");
    cr_assert(fake_locked(&pair.fake, "AAAA"));
    fake_say(worker, WIRE_REPLY_DONE);
    fake_released(&pair.fake, pair.number, worker);
    fake_expect_lock(&pair.fake, "AAAA", false);
    /* The next one that runs is the next request. */
    qmgr = fake_ask(&pair.fake, "BBBB");
    worker = fake_serve_request(&pair.fake, pair.number, "BBBB");
    close(worker);
    close(qmgr);
    pair_end(&pair);
}

/* One part is on its way through retry(8), the other one runs. */
Test(dispatcher_parts, qmgr_hangs_up_while_one_runs_and_one_is_deferred)
{
    struct pair pair;
    unsigned seen = 0;
    int worker, retry, second;

    pair_begin(&pair, 1);
    worker = pair_serve(&pair, &seen);
    second = fake_ask(&pair.fake, "BBBB");
    cr_assert(readable(pair.retry, WAIT_MS), "nothing is deferred");
    retry = accept(pair.retry, NULL, NULL);
    close(pair.qmgr);
    close(second);
    fake_say(worker, WIRE_REPLY_DONE);
    fake_released(&pair.fake, pair.number, worker);
    fake_say(retry, WIRE_GREETING);
    cr_assert(readable(retry, WAIT_MS), "nothing is asked of retry");
    fake_say(retry, WIRE_REPLY_DEFERRED);
    fake_expect_lock(&pair.fake, "AAAA", false);
    fake_expect_lock(&pair.fake, "BBBB", false);
    close(retry);
    close(worker);
    pair_end(&pair);
}

/* Young enough to be deferred when it came, it is so no more after it has waited: qmgr(8) would bounce it then. */
Test(dispatcher_parts, nothing_is_deferred_that_became_too_old_while_it_waited)
{
    struct fake fake;
    unsigned number;
    int first, second, third, worker;

    fake_prepare(&fake);
    fake.config.workers_max = 1;
    fake.config.waiting_max = 1;
    fake.lifetime = (int)(time(NULL) + 2 - ARRIVAL);
    number = fake_open(&fake);
    first = fake_ask(&fake, "AAAA");
    worker = fake_serve_request(&fake, number, "AAAA");
    second = fake_ask(&fake, "BBBB");
    fake_expect_lock(&fake, "BBBB", true);
    /* What is waited for is the wall clock. */
    while (time(NULL) < ARRIVAL + fake.lifetime)
        poll(NULL, 0, 20);
    third = fake_ask(&fake, "CCCC");
    fake_expect_lock(&fake, "CCCC", true);
    cr_assert(!readable(second, QUIET_MS), "it is deferred");
    cr_assert(!readable(third, 0));
    fake_deliver(&fake, number, worker, first);
    worker = fake_serve(&fake, number);
    fake_say(worker, WIRE_REPLY_DONE);
    close(second);
    close(third);
    close(worker);
    fake_end(&fake);
}

/* After a restart a destination that delivered may have more than one at a time; a new one may not. */
Test(dispatcher_parts, what_was_learned_survives_a_restart)
{
    for (int restarted = 0; restarted < 2; restarted++) {
        struct fake fake;
        unsigned number;
        int first, second, worker;

        /* Half of two is one. */
        number = fake_begin(&fake, 2);
        if (restarted) {
            first = fake_ask(&fake, "AAAA");
            worker = fake_serve_request(&fake, number, "AAAA");
            fake_say(worker, WIRE_REPLY_DONE);
            fake_expect(first, WIRE_REPLY_DONE);
            close(worker);
            close(first);
            fake_closed(&fake, number);
            close(fake.master);
            cr_assert_eq(fake_status(&fake), 0);
            close(fake.channel);
            cr_assert_eq(unlink(fake.service.sun_path), 0);
            fake_launch(&fake);
            number = fake_first_worker(&fake);
        }
        first = fake_ask(&fake, "BBBB");
        worker = fake_serve_request(&fake, number, "BBBB");
        second = fake_ask(&fake, "CCCC");
        fake_expect_lock(&fake, "CCCC", true);
        if (restarted)
            fake_expect_spawn(&fake);
        else
            cr_assert(!readable(fake.channel, QUIET_MS), "a new destination has two at once");
        close(worker);
        close(first);
        close(second);
        fake_end(&fake);
    }
}
