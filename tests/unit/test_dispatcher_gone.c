/* supervisor/dispatcher/fleet.c as part of a running dispatcher: nothing is handed to a worker that is seen to have gone. See fake.h. */

#include "tests/unit/fake.h"

#include "supervisor/limit/growth.h"

/* router_leave.c waits so long. */
#define ASIDE_MS 2000

/* A tick of the dispatcher sees what hangs. */
#define TICK_MS 1000

/* It greets and is gone, which the dispatcher finds at once, before the parent tells. */
static void greet_and_go(struct fake *fake, unsigned number, int worker)
{
    fake_pause(fake);
    fake_available(fake, number, MASTER_TAKEN);
    fake_say(worker, WIRE_GREETING);
    close(worker);
    fake_closed(fake, number);
    fake_resume(fake);
}

Test(dispatcher_gone, an_idle_one_that_greets_and_goes)
{
    struct fake fake;
    unsigned number;
    int qmgr, worker;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_first_worker(&fake);
    qmgr = fake_ask(&fake, "AAAA1");
    greet_and_go(&fake, number, fake_accept(&fake, number));
    number = fake_expect_spawn(&fake);
    cr_assert(!readable(qmgr, 0), "deferred, but nobody had it");
    fake_started(&fake, number);
    worker = fake_serve(&fake, number);
    fake_expect_request(worker, "AAAA1");
    fake_say(worker, WIRE_REPLY_DONE);
    fake_expect(qmgr, WIRE_REPLY_DONE);
    fake_end(&fake);
}

Test(dispatcher_gone, a_new_one_that_greets_and_goes)
{
    struct fake fake;
    unsigned number, second;
    int qmgr, other, worker;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_first_worker(&fake);
    other = fake_ask(&fake, "AAAA0"); /* after it more than one may go there */
    worker = fake_serve(&fake, number);
    fake_expect_request(worker, "AAAA0");
    fake_say(worker, WIRE_REPLY_DONE);
    fake_released(&fake, number, worker);
    fake_expect(other, WIRE_REPLY_DONE);
    other = fake_ask(&fake, "AAAA1");
    worker = fake_serve(&fake, number);
    fake_expect_request(worker, "AAAA1"); /* and is not answered */
    qmgr = fake_ask(&fake, "AAAA2");
    second = fake_expect_spawn(&fake);
    fake_started(&fake, second);
    greet_and_go(&fake, second, fake_accept(&fake, second));
    cr_assert(!readable(qmgr, QUIET_MS), "deferred, but nobody had it");
    fake_tell(&fake, CHANNEL_EXITED, second, fake.worker[second].pid, 9);
    number = fake_expect_spawn(&fake);
    fake_started(&fake, number);
    worker = fake_serve(&fake, number);
    fake_expect_request(worker, "AAAA2");
    fake_say(worker, WIRE_REPLY_DONE);
    fake_expect(qmgr, WIRE_REPLY_DONE);
    close(other);
    fake_end(&fake);
}

/* A machine that thrashes: a turn of the loop each tenth of a second and more. Mail must not wait for those that are not there. */
Test(dispatcher_gone, all_of_them_on_a_slow_machine)
{
    struct fake fake;
    struct wire request = fake_request("AAAA1", 1);
    unsigned number;
    int qmgr, worker;

    fake_prepare(&fake);
    fake_start(&fake);
    number = fake_first_worker(&fake);
    for (unsigned i = 0; i < GROWTH_RETURNS; i++) {
        char id[16];

        snprintf(id, sizeof id, "BBBB%u", i);
        qmgr = fake_ask(&fake, id);
        worker = fake_serve(&fake, number);
        fake_expect_request(worker, id);
        fake_say(worker, WIRE_REPLY_DONE);
        fake_released(&fake, number, worker);
        fake_expect(qmgr, WIRE_REPLY_DONE);
        close(qmgr);
    }
    fake_exited(&fake, number, 0);
    poll(NULL, 0, 2 * GROWTH_LATER / 1000); /* it was long ago */
    fake_message(&fake, "AAAA1");
    qmgr = fake_greeted(&fake);
    fake_pause(&fake);
    fake_write(qmgr, request.bytes, request.len);
    for (unsigned turn = 0; turn < 10 && !readable(fake.channel, 0); turn++) {
        fake_resume(&fake);
        poll(NULL, 0, 2);
        fake_pause(&fake);
        poll(NULL, 0, 3 * GROWTH_LATER / 2000);
    }
    cr_assert(readable(fake.channel, 0), "no worker is wanted");
    fake_resume(&fake);
    close(qmgr);
    wire_free(&request);
    fake_end(&fake);
}

/* The same while the worker hangs: what waits behind it is given back when qmgr(8) has set it aside, and not as soon as it can be. */
Test(dispatcher_gone, master_goes_while_a_worker_hangs)
{
    struct fake fake;
    unsigned number;
    int has, waits, worker;

    fake_prepare(&fake);
    fake.config.workers_max = 1;
    fake.config.destination_slow_after = UINT64_C(1000) * QUIET_MS;
    fake_start(&fake);
    number = fake_first_worker(&fake);
    has = fake_ask(&fake, "AAAA1");
    worker = fake_serve(&fake, number);
    fake_expect_request(worker, "AAAA1");
    waits = fake_ask(&fake, "AAAA2");
    fake_expect_lock(&fake, "AAAA2", true);
    cr_assert(!readable(waits, TICK_MS + 3 * QUIET_MS));
    close(fake.master);
    cr_assert(readable(fake.channel, WAIT_MS), "the parent is not let go");
    cr_assert_eq(unlink(fake_path(&fake, "active/AAAA2")), 0);
    cr_assert(!readable(waits, ASIDE_MS / 2), "qmgr(8) would hand it over at once");
    fake_expect(waits, WIRE_REPLY_DEFERRED);
    fake_say(worker, WIRE_REPLY_DONE);
    fake_expect(has, WIRE_REPLY_DONE);
    cr_assert(WIFEXITED(fake_status(&fake)));
    close(waits);
    fake_remove(&fake);
}

/*
 * A reload, and a client that is not restarted: local(8). What a worker has is answered; what waits is given back when its queue file
 * was moved, as a new qmgr(8) does, and not before; a successor can begin meanwhile.
 */
Test(dispatcher_gone, master_goes_and_a_client_stays)
{
    for (int way = 0; way < 2; way++) {
        struct fake fake;
        unsigned number;
        int has, waits, worker, status;

        fake_prepare(&fake);
        fake.config.workers_max = 1;
        fake_start(&fake);
        number = fake_first_worker(&fake);
        has = fake_ask(&fake, "AAAA1");
        worker = fake_serve(&fake, number);
        fake_expect_request(worker, "AAAA1");
        waits = fake_ask(&fake, "AAAA2");
        fake_expect_lock(&fake, "AAAA2", true);
        if (way == 0)
            close(fake.master);
        else
            shutdown(fake.channel, SHUT_WR);
        cr_assert(readable(fake.channel, WAIT_MS), "the parent is not let go");
        fake_expect_end(fake.channel);
        cr_assert(!readable(waits, 3 * QUIET_MS), "the old qmgr(8) may still be there");
        cr_assert_eq(unlink(fake_path(&fake, "active/AAAA2")), 0);
        fake_expect(waits, WIRE_REPLY_DEFERRED);
        cr_assert(!readable(has, 0));
        fake_say(worker, WIRE_REPLY_DONE);
        fake_expect(has, WIRE_REPLY_DONE);
        status = fake_status(&fake);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned)status);
        close(waits);
        fake_remove(&fake);
    }
}
