/* Stall of the machine that is not ours, or may be: limit_foreign.c. */

#include "tests/unit/limit_scene.h"

/* `seconds` in which the pool does what L allows, beside a stall of the machine alone. Counts changes of the mode. */
static unsigned beside(struct scene *s, int seconds, double some, unsigned most)
{
    unsigned changes = 0;

    for (int i = 0; i < seconds; i++) {
        enum limit_mode mode = s->decision.mode;
        unsigned live = s->decision.limit < most ? s->decision.limit : most;
        s->sample.machine.some += (uint64_t)(some * 1e6);
        s->sample.machine.full += (uint64_t)(some * 1e6);
        scene_workers(s, live, live, 2 * MIB);
        scene_step(s, 1);
        changes += s->decision.mode != mode;
    }
    return changes;
}

/* Seen: "SHRINK: memory stall of the machine 5.8 %, limit 1" with 22.5 of 23.5 GiB available. */
Test(limit_foreign, a_neighbour_beside_an_idle_pool_changes_nothing)
{
    struct scene s;
    scene_begin(&s);
    scene_step(&s, 1);
    unsigned first = s.decision.limit;
    cr_assert_eq(beside(&s, 60, 0.058, 1), 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_eq(s.decision.limit, first);
}

Test(limit_foreign, a_pool_grows_beside_a_neighbour_as_without_one)
{
    struct scene alone;
    struct scene s;
    scene_begin(&alone);
    scene_begin(&s);
    s.sample.machine.recent = 0.4;
    for (int i = 0; i < 60; i++) {
        beside(&alone, 1, 0, 1000);
        cr_assert_eq(beside(&s, 1, i % 2 == 0 ? 0.5 : 0.3, 1000), 0);
        cr_assert_eq(s.decision.limit, alone.decision.limit);
    }
    cr_assert_eq(s.decision.limit, 1000);
}

Test(limit_foreign, a_neighbour_who_begins_beside_a_busy_pool_changes_nothing)
{
    struct scene s;
    scene_begin(&s);
    beside(&s, 120, 0, 200);
    unsigned before = s.decision.limit;
    cr_assert_eq(beside(&s, 120, 0.9, 200), 0);
    cr_assert_geq(s.decision.limit, before);
    cr_assert_not(s.decision.shed);
}

/* It may be ours: a server in a group of its own is the only thing that says so. */
Test(limit_foreign, a_stall_that_growth_brought_stops_it)
{
    struct scene s;
    scene_begin(&s);
    beside(&s, 15, 0, 1000);
    unsigned before = s.decision.limit;
    beside(&s, 1, 0.10, 1000);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    cr_assert(s.decision.reason.machine);
    cr_assert_lt(s.decision.limit, before);
    /* And it ends, with fewer workers: ours it was, and growth rests below. */
    beside(&s, 30, 0, 1000);
    cr_assert_leq(s.decision.limit, before);
}

Test(limit_foreign, fewer_workers_that_make_no_difference_acquit_the_pool)
{
    struct scene s;
    int seconds = 0;
    scene_begin(&s);
    beside(&s, 15, 0, 1000);
    unsigned before = s.decision.limit;
    for (; seconds < 60 && (seconds == 0 || s.decision.mode != LIMIT_OPEN); seconds++) {
        beside(&s, 1, 0.10, 1000);
        cr_assert_geq(s.decision.limit, 32);
    }
    cr_assert_leq(seconds, 20, "took %d s", seconds);
    cr_assert_geq(s.decision.limit, before * 9 / 10);
    cr_assert_eq(beside(&s, 30, 0.10, 1000), 0, "once is enough");
    cr_assert_eq(s.decision.limit, 1000);
}

Test(limit_foreign, a_stall_of_the_pool_counts_whoever_else_stalls)
{
    struct scene s;
    scene_begin(&s);
    beside(&s, 60, 0.5, 100);
    s.sample.pool.some += 50000;
    cr_assert_eq(beside(&s, 1, 0.5, 100), 1);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
}

Test(limit_foreign, a_stall_with_little_memory_available_counts)
{
    struct scene s;
    scene_begin(&s);
    beside(&s, 60, 0.5, 100);
    s.sample.available = 700 * MIB; /* above the floor, and less than an eighth of the machine */
    beside(&s, 1, 0.5, 100);
    cr_assert_eq(s.decision.mode, LIMIT_SHED, "half of the time all waited");
}
