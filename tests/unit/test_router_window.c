/* supervisor/dispatcher/router_window.c: what runs because qmgr(8) waits for it. See router_harness.h. */

#include "tests/unit/router_harness.h"

/* Three messages to a destination that hung and failed, and four workers. Returns the first worker. */
static int three_for_the_dead(void)
{
    int number, connection, fd;

    launch(4, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("000");
    connection = serve(number, "000");
    later(20 * SECOND);
    reply(connection, WIRE_REPLY_DEFERRED);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    ask("AAA");
    ask("BBB");
    ask("CCC");
    UNTIL(held() == 3);
    settle_down();
    return number;
}

/* They wait in turn, where qmgr(8) has places enough for all other mail. */
Test(router, what_nobody_waits_for_waits)
{
    int none;

    three_for_the_dead();
    cr_expect_geq(waiting(), 2);
    t.router.room.hop_max = 10000;
    settle_down();
    cr_expect_geq(waiting(), 2);
    cr_expect_not(spawn_comes(&none));
}

/* Good mail comes only in their place: none waits beside workers. */
Test(router, what_qmgr_waits_for_runs)
{
    three_for_the_dead();
    t.router.room.hop_max = 4;
    started();
    started();
}

/* Nor where the window of the moment was seen to be smaller than the largest. */
Test(router, what_a_seen_window_waits_for_runs)
{
    three_for_the_dead();
    t.router.room.hop_max = 10000;
    t.router.room.window = 3;
    started();
    started();
}

/* More than there are workers for, and the room is full before the window is: shares are kept. */
Test(router, what_has_no_worker_waits)
{
    int none;

    three_for_the_dead();
    ask("DDD");
    ask("EEE");
    UNTIL(held() == 5);
    t.router.room.waiting_max = 6;
    t.router.room.hop_max = 7;
    settle_down();
    cr_expect_geq(waiting(), 4);
    cr_expect_not(spawn_comes(&none));
}

/* The window is full first: one of four workers is left for good mail, until it is. */
Test(router, a_worker_is_left_for_good_mail)
{
    int none, second, third;

    three_for_the_dead();
    ask("DDD");
    ask("EEE");
    UNTIL(held() == 5);
    t.router.room.hop_max = 8;
    second = started();
    third = started();
    serve(second, "BBB");
    serve(third, "CCC");
    settle_down();
    cr_expect_eq(waiting(), 2);
    cr_expect_not(spawn_comes(&none));
    ask("FFF");
    ask("GGG");
    serve(started(), "DDD");
}
