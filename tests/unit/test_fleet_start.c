/* supervisor/dispatcher/fleet_start.c, and what the parent says. See fleet_harness.h. */

#include "tests/unit/fleet_harness.h"

/* --- starts that fail --------------------------------------------------------------------------- */

/* One second, then two, and so on; each reason is said once, until one succeeds. */
Test(fleet, back_off)
{
    unsigned pause = 1;

    for (unsigned i = 0; i < 8; i++) {
        tell(CHANNEL_FAILED, spawn(), 0, ENOENT);
        settle_down();
        cr_expect_eq(fleet_view(t.fleet).start_after - peer_loop.now <= pause * SECOND, true);
        cr_expect_gt(fleet_view(t.fleet).start_after + SECOND / 10, peer_loop.now + pause * SECOND);
        cr_expect_str_eq(fleet_view(t.fleet).start_error, strerror(ENOENT));
        later(pause * SECOND);
        pause = pause * 2 > 60 ? 60 : pause * 2;
    }
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, strerror(ENOENT)));
    cr_expect_eq(t.events, 0);
    tell(CHANNEL_FAILED, spawn(), 0, EACCES);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 2, "another reason");
    idle();
    cr_expect_str_eq(fleet_view(t.fleet).start_error, "");
    cr_expect_eq(fleet_view(t.fleet).start_after, 0);
    later(60 * SECOND);
    tell(CHANNEL_FAILED, spawn(), 0, EACCES);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 3);
    cr_expect_leq(fleet_view(t.fleet).start_after, peer_loop.now + SECOND, "from the beginning");
}

/* As on a full disk, where those succeed whose socket is there already. */
Test(fleet, starts_that_fail_to_and_fro_are_counted)
{
    for (unsigned i = 0; i < 10; i++) {
        tell(CHANNEL_FAILED, spawn(), 0, ENOSPC);
        settle_down();
        cr_expect_str_eq(fleet_view(t.fleet).start_error, strerror(ENOSPC), "status has it");
        dies(idle(), -1, 0);
        settle_down();
        cr_expect_str_eq(fleet_view(t.fleet).start_error, "");
        later(SECOND);
    }
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect_eq(said.counted[COMPLAINT_START], 9);
    /* For good: that is said, once. */
    for (unsigned pause = 1; pause < 32; pause *= 2) {
        tell(CHANNEL_FAILED, spawn(), 0, ENOSPC);
        settle_down();
        later(pause * SECOND);
    }
    cr_expect_eq(said.times[COMPLAINT_START], 2);
    cr_expect_eq(said.counted[COMPLAINT_START], 10);
}

/* No memory or no process for it: the limit judges that, and there is no pause. */
Test(fleet, a_fork_that_fails)
{
    static const int errors[] = {EAGAIN, ENOMEM};

    for (unsigned i = 0; i < 2; i++) {
        int number = spawn();

        forget_events();
        tell(CHANNEL_FAILED, number, 0, errors[i]);
        settle_down();
        EXPECT_EVENTS(number, FLEET_FORK_FAILED);
        cr_expect_eq(fleet_view(t.fleet).start_after, 0);
        cr_expect_eq(said.times[COMPLAINT_START], 0);
        expect_count(WORKER_FREE, MAX);
    }
}

Test(fleet, all_numbers_are_in_use)
{
    for (unsigned i = 0; i < MAX; i++)
        spawn();
    cr_expect_eq(fleet_start(t.fleet), -EAGAIN);
    cr_expect(told_nothing());
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

Test(fleet, since_when_one_starts)
{
    uint64_t first = peer_loop.now;
    int number = spawn();

    later(SECOND);
    spawn();
    cr_expect_eq(fleet_starting_since(t.fleet), first, "the oldest");
    tell(CHANNEL_FAILED, number, 0, EAGAIN);
    settle_down();
    cr_expect_geq(fleet_starting_since(t.fleet), first + SECOND);
    cr_expect_lt(fleet_starting_since(t.fleet), first + 2 * SECOND);
}

/* Somebody has removed it: it is made again, or said where it is missed. */
Test(fleet, the_directory_of_sockets_is_gone)
{
    char command[64];

    snprintf(command, sizeof command, "%s/sub", peer_directory);
    cr_assert_eq(mkdir(command, 0700), 0);
    cr_assert_eq(chdir(command), 0);
    cr_assert_eq(rmdir(command), 0);
    t.renew_result = -EACCES;
    cr_expect_eq(fleet_start(t.fleet), -EACCES);
    cr_expect_eq(t.renewed, 1);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "/the/place"), "%s", said.last);
    cr_expect(strstr(said.last, strerror(EACCES)), "%s", said.last);
    expect_count(WORKER_FREE, MAX);
    t.renew_result = 0;
    later(SECOND);
    idle();
    cr_expect_eq(t.renewed, 2);
    idle();
    cr_expect_eq(t.renewed, 2);
}

/* --- descriptors -------------------------------------------------------------------------------- */

/* At each of the four that a start needs. */
Test(fleet, without_a_descriptor_nothing_is_started)
{
    unsigned before = descriptors_open();

    for (unsigned more = 0; more < 4; more++) {
        rlim_t limit;
        int kept[4];

        for (unsigned i = 0; i < 4; i++)
            kept[i] = dup(0);
        limit = descriptors_end();
        for (unsigned i = 0; i < more; i++)
            close(kept[3 - i]);
        t.budget.descriptors_short = false;
        cr_expect_lt(fleet_start(t.fleet), 0, "with %u", more);
        cr_expect(t.budget.descriptors_short, "with %u", more);
        expect_count(WORKER_FREE, MAX);
        cr_expect_eq(said.times[COMPLAINT_START], 0);
        cr_expect_eq(fleet_view(t.fleet).start_after, 0);
        cr_expect(told_nothing());
        descriptors_again(limit);
        for (unsigned i = 0; i < 4 - more; i++)
            close(kept[i]);
        cr_expect_eq(descriptors_open(), before, "one was left open");
    }
    idle();
}

/* That there is no descriptor, or no room in epoll(7), does not mean that the worker has gone. */
Test(fleet, without_a_descriptor_nobody_is_called)
{
    int number = idle();
    rlim_t limit = descriptors_end();

    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    descriptors_again(limit);
    cr_expect(t.budget.descriptors_short);
    expect_count(WORKER_IDLE, 1);
    t.budget.descriptors_short = false;
    epoll_refuses = ENOSPC;
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    epoll_refuses = 0;
    cr_expect(t.budget.descriptors_short);
    expect_count(WORKER_IDLE, 1);
    while (peer_connected(t.process[number].listening))
        ;
    close(busy(number, 0));
}

/* --- the parent --------------------------------------------------------------------------------- */

Test(fleet, the_parent_has_gone)
{
    close(t.parent);
    turn();
    cr_assert_gt(t.events, 0);
    cr_expect_eq(t.event[0].kind, FLEET_CLOSED);
    cr_expect_eq(t.event[0].status, 0);
}

Test(fleet, the_parent_talks_nonsense)
{
    peer_send(t.parent, "nonsense", 8);
    turn();
    cr_assert_gt(t.events, 0);
    cr_expect_eq(t.event[0].kind, FLEET_CLOSED);
    cr_expect_eq(t.event[0].status, 1);
}

/* Its last news are not lost. */
Test(fleet, news_of_a_parent_that_has_gone)
{
    int number = idle();

    forget_events();
    dies(number, -1, 0);
    close(t.parent);
    turn();
    cr_assert_geq(t.events, 2);
    cr_expect_eq(t.event[0].kind, FLEET_ENDED);
    cr_expect_eq(t.event[1].kind, FLEET_CLOSED);
}

Test(fleet, news_of_a_worker_that_is_not_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_EXITED, 1, 4711, 0);
    turn();
}

Test(fleet, news_of_a_number_that_is_not_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_STARTED, MAX, 4711, 0);
    turn();
}

/* What is ours to say: it would end a worker that lives. */
Test(fleet, a_wish_of_the_parent_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_KILL, idle(), 0, 0);
    turn();
}
