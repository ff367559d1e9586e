/* supervisor/limit/growth.c: when one more worker helps, and when it would only wait for a CPU. */

#include "supervisor/limit/growth.h"

#include <criterion/criterion.h>

#define MS UINT64_C(1000)

/* Workers come back every `interval` for two seconds, and the dispatcher is runnable `percent` of the time. -> the time after that */
static uint64_t run(struct growth *growth, uint64_t interval, unsigned percent)
{
    uint64_t begin = 5000 * MS;
    uint64_t now = begin;

    while (now < begin + 2000 * MS) {
        now += interval;
        growth_returned(growth, now);
        growth_helps(growth, 1, now);
        if (growth_wants_sample(growth, now))
            growth_sample(growth, 77 + (now - begin) * percent / 100, now);
    }
    return now;
}

Test(growth, of_nothing_known_it_helps)
{
    struct growth growth = {0};

    cr_expect(growth_helps(&growth, 1, 0));
    cr_expect(growth_helps(&growth, 1000, 7000 * MS));
}

Test(growth, a_burst_against_a_slow_server_grows)
{
    struct growth growth = {0};
    /* Ten workers, each delivery takes 50 ms, the CPU is idle. */
    uint64_t now = run(&growth, 5 * MS, 5);

    cr_expect(growth_helps(&growth, 40, now));
    cr_expect(growth_helps(&growth, 2, now));
}

Test(growth, a_crowded_machine_does_not_grow)
{
    struct growth growth = {0};
    /* Eight workers, a fast server: 1600 deliveries a second are all that two CPUs do. */
    uint64_t now = run(&growth, 625, 50);

    cr_expect_not(growth_helps(&growth, 42, now));
    cr_expect_not(growth_helps(&growth, 1, now));
    /* What does not come to its turn for long gets its worker also then. */
    cr_expect(growth_helps(&growth, 1000, now));
}

Test(growth, the_same_with_cpu_to_spare_grows)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 10);

    cr_expect(growth_helps(&growth, 42, now));
}

Test(growth, one_that_is_served_at_once_needs_no_other)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 10);

    cr_expect_not(growth_helps(&growth, 1, now));
}

/* All workers hang from one moment to the next, whatever was before. */
Test(growth, when_none_comes_back_it_grows_soon)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 50);

    cr_expect_not(growth_helps(&growth, 42, now));
    for (unsigned i = 1; i <= 12; i++)
        growth_helps(&growth, 42, now + 8 * MS * i);
    cr_expect(growth_helps(&growth, 42, now + 101 * MS));
    cr_expect(growth_helps(&growth, 1, now + 101 * MS));
}

/* The load of the past says nothing: after a pause the first sample has no beginning. */
Test(growth, a_sample_ages)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 5 * MS, 90);

    cr_expect_not(growth_helps(&growth, 10, now));
    now += 3000 * MS;
    for (unsigned i = 0; i < GROWTH_RETURNS; i++) {
        growth_returned(&growth, now += 5 * MS);
        growth_helps(&growth, 1, now);
    }
    growth_sample(&growth, 10000 * MS, now);
    cr_expect(growth_helps(&growth, 10, now));
}

Test(growth, samples_are_not_wanted_all_the_time)
{
    struct growth growth = {0};

    cr_expect(growth_wants_sample(&growth, 0));
    growth_sample(&growth, 5, 1000 * MS);
    cr_expect_not(growth_wants_sample(&growth, 1001 * MS));
    cr_expect(growth_wants_sample(&growth, 1020 * MS));
}

/* After a pause the idle ones get work first; when they do not come back at once, others are started. */
Test(growth, a_new_burst_waits_for_those_that_were_idle)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 10) + 10000 * MS;

    cr_expect_not(growth_helps(&growth, 42, now));
    cr_expect_not(growth_helps(&growth, 42, now + 4 * MS));
    cr_expect(growth_helps(&growth, 42, now + 8 * MS));
}

/* Those that end of themselves together are replaced together, however crowded the machine is; but no more than they were. */
Test(growth, the_ended_are_replaced)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 50);

    for (unsigned i = 0; i < 3; i++)
        growth_ended(&growth, now);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(growth_helps(&growth, 42, now + 20 * MS));
    cr_expect_not(growth_helps(&growth, 42, now + 20 * MS));
}

/* Nothing waited when they ended: whether so many are needed again is judged when something does. */
Test(growth, those_that_ended_long_ago_are_not)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 50);

    growth_ended(&growth, now);
    cr_expect_not(growth_helps(&growth, 1, now + 101 * MS));
}

/* Nothing can be said of no time at all; what was known of the load is gone, so the next sample begins anew. */
Test(growth, two_samples_at_the_same_time)
{
    struct growth growth = {0};
    uint64_t now = run(&growth, 625, 50);

    cr_expect_not(growth_helps(&growth, 42, now));
    growth_sample(&growth, 0, now);
    growth_sample(&growth, 5000 * MS, now);
    cr_expect(growth_helps(&growth, 42, now), "no load is known");
}
