/* supervisor/workers.c as part of a running dispatcher: nothing is handed to a worker that is seen to have gone. See fake.h. */

#include "tests/unit/fake.h"

#include "supervisor/dispatch.h"

/* It greets and is gone, which the dispatcher finds at once, before the parent tells. */
static void greet_and_go(struct fake *fake, unsigned number, int worker)
{
    kill(fake->dispatcher, SIGSTOP);
    fake_available(fake, number, MASTER_TAKEN);
    fake_say(worker, WIRE_GREETING);
    close(worker);
    fake_closed(fake, number);
    kill(fake->dispatcher, SIGCONT);
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
