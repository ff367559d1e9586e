#ifndef TESTS_UNIT_FAKE_ROUND_H
#define TESTS_UNIT_FAKE_ROUND_H

/*
 * What most tests of a running dispatcher begin with, and what many go on with: several steps of fake.h in one. A test that
 * looks at something between two of them takes them one by one.
 */

#include "tests/unit/fake.h"

/* As it was prepared. Returns its first worker, which is idle. */
static inline unsigned fake_open(struct fake *fake)
{
    fake_start(fake);
    return fake_first_worker(fake);
}

/* By default but for the number of workers. Returns the first one, which is idle. */
static inline unsigned fake_begin(struct fake *fake, unsigned workers_max)
{
    fake_prepare(fake);
    fake->config.workers_max = workers_max;
    return fake_open(fake);
}

/* One more worker is wanted, and started. It has not greeted yet. */
static inline unsigned fake_spawn(struct fake *fake)
{
    unsigned number = fake_expect_spawn(fake);

    fake_started(fake, number);
    return number;
}

/* The worker is given exactly the request for `id` that fake_ask() sends. Returns the connection. */
static inline int fake_serve_request(const struct fake *fake, unsigned number, const char *id)
{
    int connection = fake_serve(fake, number);

    fake_expect_request(connection, id);
    return connection;
}

/* The worker has delivered: qmgr is told so and left, and the worker is idle again. Closes both connections. */
static inline void fake_deliver(const struct fake *fake, unsigned number, int connection, int qmgr)
{
    fake_say(connection, WIRE_REPLY_DONE);
    fake_expect(qmgr, WIRE_REPLY_DONE);
    fake_expect_end(qmgr);
    fake_released(fake, number, connection);
}

/* A whole request through this worker, which must be idle: it and the dispatcher are well. */
static inline void fake_round(const struct fake *fake, unsigned number, const char *id)
{
    int qmgr = fake_ask(fake, id);

    fake_deliver(fake, number, fake_serve_request(fake, number, id), qmgr);
}

#endif
