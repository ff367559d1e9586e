/* The law of pressure, and the four modes: what enters and what leaves each. */

#include "tests/unit/limit_scene.h"

Test(limit, begins_open_and_lets_some_start)
{
    struct scene s;
    scene_begin(&s);
    scene_step(&s, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_geq(s.decision.limit, 16);
    cr_assert_leq(s.decision.limit, 100, "a first burst of %u is not a gentle start",
                  s.decision.limit);
    cr_assert_gt(s.decision.start, 0);
    cr_assert_not(s.decision.shed);
}

/* After a reload: what a predecessor had, as far as memory and `max` go; less than the usual start is none. */
Test(limit, begins_where_a_predecessor_was)
{
    struct scene s;

    scene_begin(&s);
    limit_resume(&s.settings, &s.state, 240);
    scene_step(&s, 0);
    cr_assert_eq(s.decision.limit, 240);
    limit_resume(&s.settings, &s.state, 7);
    scene_step(&s, 1);
    cr_assert_eq(s.decision.limit, 240);
    limit_resume(&s.settings, &s.state, UINT32_MAX);
    scene_step(&s, 1);
    cr_assert_eq(s.decision.limit, s.settings.max);
}

Test(limit, grows_only_while_half_of_it_is_busy)
{
    struct scene s;
    scene_begin(&s);
    scene_step(&s, 1);
    unsigned first = s.decision.limit;
    scene_workers(&s, first, first / 2 - 1, 2 * MIB);
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_eq(s.decision.limit, first);
    scene_workers(&s, first, first / 2 + 1, 2 * MIB);
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_gt(s.decision.limit, first);
}

/* Lanes have shares of L, the unknown a quarter: L must not stay where it is because they cannot use half of it. */
Test(limit, grows_while_those_that_wait_have_no_share_left)
{
    struct scene s;
    scene_begin(&s);
    scene_step(&s, 1);
    unsigned first = s.decision.limit;
    scene_workers(&s, first, first / 4, 2 * MIB);
    s.demand.waiting = 300;
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_eq(s.decision.limit, first, "they may start, and that is enough");
    s.demand.barred = true;
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_gt(s.decision.limit, first);
    /* One dead destination may have few, whatever L is. */
    first = s.decision.limit;
    scene_workers(&s, first, 2, 2 * MIB);
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_eq(s.decision.limit, first);
}

Test(limit, reaches_5000_on_a_large_machine_within_a_minute)
{
    struct scene s;
    int seconds = 0;
    scene_begin(&s);
    s.settings.max = 6000;
    s.sample.total = 64000 * MIB;
    for (scene_step(&s, 1); s.demand.live < 5000 && seconds < 300; seconds++) {
        unsigned more = limit_take(&s.state, 6000);
        s.sample.available = 60000 * MIB - 2 * MIB * s.demand.live;
        scene_workers(&s, s.demand.live + more, s.demand.live + more, 2 * MIB);
        scene_step(&s, 1);
    }
    cr_assert_leq(seconds, 60, "took %d s", seconds);
}

Test(limit, stops_at_max_and_says_so)
{
    struct scene s;
    scene_begin(&s);
    s.settings.max = 50;
    scene_grow(&s, 50);
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_eq(s.decision.limit, 50);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_MAX);
    cr_assert_str_eq(s.decision.reason.key, "workers.max");
    cr_assert_eq(s.decision.start, 0);
}

/* The same ten seconds in ticks of different length. */
static double after_ten(double tick, double some)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    s.state.law = 200;
    if (some > 0)
        scene_workers(&s, 400, 400, 2 * MIB); /* so that half of the living is no bound */
    scene_run(&s, 10, tick, some, 0);
    return s.state.law;
}

Test(limit, does_not_depend_on_how_often_it_is_called)
{
    static const double some[] = {0.0, 0.02, 0.06};
    for (unsigned i = 0; i < 3; i++) {
        double slow = after_ten(2, some[i]);
        double normal = after_ten(1, some[i]);
        double fast = after_ten(0.1, some[i]);
        cr_assert_float_eq(slow / normal, 1.0, 0.05, "%f: %f in 2 s, %f in 1 s", some[i], slow,
                           normal);
        cr_assert_float_eq(fast / normal, 1.0, 0.05, "%f: %f in 0.1 s, %f in 1 s", some[i], fast,
                           normal);
    }
}

Test(limit, a_long_gap_is_not_growth)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    unsigned before = s.decision.limit;
    scene_workers(&s, before, before, 2 * MIB);
    scene_step(&s, 3600);
    cr_assert_leq(s.decision.limit, before * 3 / 2);
}

Test(limit, falls_the_faster_the_more_stall)
{
    double kept[3];
    static const double some[] = {0.012, 0.10, 0.90};
    for (unsigned i = 0; i < 3; i++) {
        struct scene s;
        scene_begin(&s);
        scene_grow(&s, 200);
        scene_run(&s, 1, 1, some[i], 0);
        kept[i] = s.decision.limit / 200.0;
        cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    }
    cr_assert_geq(kept[0], 0.97, "%f", kept[0]);
    cr_assert_lt(kept[1], kept[0] - 0.05);
    cr_assert_lt(kept[2], kept[1] - 0.05);
    cr_assert_geq(kept[2], 0.49, "never more than half in a second: %f", kept[2]);
}

Test(limit, waits_for_the_busy_before_it_falls_below_half_of_them)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    scene_run(&s, 30, 1, 0.9, 0);
    cr_assert_eq(s.decision.limit, 100);
    scene_workers(&s, 100, 100, 2 * MIB);
    scene_run(&s, 30, 1, 0.9, 0);
    cr_assert_eq(s.decision.limit, 50);
}

Test(limit, idle_workers_go_first)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    scene_workers(&s, 200, 30, 2 * MIB);
    scene_run(&s, 2, 1, 0.9, 0);
    cr_assert_eq(s.decision.retire, 200 - s.decision.limit);
    scene_workers(&s, 200, 195, 2 * MIB);
    scene_run(&s, 1, 1, 0.9, 0);
    cr_assert_eq(s.decision.retire, 5);
    cr_assert_eq(s.decision.start, 0);
}

Test(limit, hold_is_entered_at_hold_and_left_below_half_of_it_for_six_seconds)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_run(&s, 1, 1, 0.006, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_str_eq(s.decision.reason.key, "pressure.hold");
    cr_assert_float_eq(s.decision.reason.value, 0.006, 0.0001);
    scene_run(&s, 60, 1, 0.003, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD, "0.3 %% is not below half of 0.5 %%");
    cr_assert_eq(s.decision.limit, 100, "no growth in HOLD: %u", s.decision.limit);
    scene_run(&s, 5, 1, 0.002, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    scene_run(&s, 2, 1, 0.002, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
}

Test(limit, hold_replaces_what_ended)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_run(&s, 2, 1, 0.006, 0);
    cr_assert_eq(s.decision.start, 0);
    limit_ended(&s.state, 99);
    cr_assert_eq(limit_take(&s.state, 5), 1);
    scene_workers(&s, 90, 90, 2 * MIB);
    scene_run(&s, 1, 1, 0.006, 0);
    cr_assert_eq(s.decision.start, 10);
}

Test(limit, hold_does_not_flap)
{
    struct scene s;
    unsigned changes = 0;
    scene_begin(&s);
    scene_grow(&s, 100);
    for (int i = 0; i < 60; i++) {
        enum limit_mode mode = s.decision.mode;
        scene_run(&s, 1, 1, i % 3 == 0 ? 0.006 : 0.001, 0);
        changes += s.decision.mode != mode;
    }
    cr_assert_eq(changes, 1);
}

Test(limit, shrink_is_left_below_half_of_target_for_six_seconds)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_run(&s, 1, 1, 0.015, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    cr_assert_str_eq(s.decision.reason.key, "pressure.target");
    scene_run(&s, 30, 1, 0.006, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    scene_run(&s, 5, 1, 0.004, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    scene_run(&s, 2, 1, 0.004, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD, "0.4 %% is calm for SHRINK, not for HOLD");
    scene_run(&s, 7, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
}

Test(limit, a_short_tick_sees_the_stall_of_a_pressure_event)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    s.sample.pool.some += 50000;
    scene_step(&s, 0.1);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
}

Test(limit, a_false_event_changes_nothing)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    unsigned before = s.decision.limit;
    scene_step(&s, 0.1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_geq(s.decision.limit, before);
}

Test(limit, the_machine_counts_as_the_pool_does)
{
    struct scene s;
    scene_begin(&s);
    s.sample.available = 900 * MIB;
    scene_grow(&s, 100);
    s.sample.machine.some += 50000;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    cr_assert(s.decision.reason.machine);
}

Test(limit, growth_rests_where_a_stall_began_that_memory_does_not_explain)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    scene_run(&s, 1, 1, 0.10, 0);
    for (int i = 0; i < 25; i++) {
        scene_workers(&s, s.decision.limit, s.decision.limit, 2 * MIB);
        scene_run(&s, 1, 1, 0, 0);
    }
    cr_assert_geq(s.decision.limit, 180);
    cr_assert_lt(s.decision.limit, 200);
    for (int i = 0; i < 25; i++) {
        scene_workers(&s, s.decision.limit, s.decision.limit, 2 * MIB);
        scene_run(&s, 1, 1, 0, 0);
    }
    cr_assert_gt(s.decision.limit, 200, "and goes on after a while");
    cr_assert_lt(s.decision.limit, 240, "slowly");
    for (int i = 0; i < 60; i++) {
        scene_workers(&s, s.decision.limit, s.decision.limit, 2 * MIB);
        scene_run(&s, 1, 1, 0, 0);
    }
    cr_assert_geq(s.decision.limit, 900, "well past it the cause is gone: %u", s.decision.limit);
}

Test(limit, meeting_the_limit_is_pressure_only_while_the_working_set_is_near_it)
{
    struct scene s;
    scene_begin(&s);
    s.sample.group[0].limit = 500 * MIB;
    scene_grow(&s, 100);
    s.sample.max++;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN, "200 of 500 MB: it was page cache");
    scene_workers(&s, 100, 100, 4 * MIB + MIB / 4);
    scene_step(&s, 1);
    s.sample.high++;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_EVENT);
}

Test(limit, an_oom_kill_halves_at_once)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    s.sample.oom_kill += 3;
    scene_step(&s, 0.1);
    cr_assert_eq(s.decision.limit, 100);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_OOM);
    cr_assert_eq(s.decision.reason.value, 3);
    for (int i = 0; i < 10; i++) {
        s.sample.oom_kill++;
        scene_step(&s, 1);
    }
    cr_assert_eq(s.decision.limit, 100, "half of those that live, until fewer live");
    scene_workers(&s, 100, 100, 2 * MIB);
    s.sample.oom_kill++;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.limit, 50);
}

Test(limit, a_failed_fork_is_no_headroom)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_workers(&s, 60, 60, 2 * MIB);
    s.demand.failed = 4;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_FORK);
    cr_assert_eq(s.decision.start, 0);
    cr_assert_eq(s.decision.limit, 60);
    s.demand.failed = 0;
    scene_run(&s, 25, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_eq(s.decision.limit, 60, "no try a second: the limit on tasks is still there");
    scene_run(&s, 60, 1, 0, 0);
    cr_assert_gt(s.decision.limit, 60);
}

Test(limit, min_is_permitted_whatever_memory_says)
{
    struct scene s;
    scene_begin(&s);
    s.sample.available = 0;
    s.demand.failed = 1;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.limit, 2);
    cr_assert_eq(s.decision.start, 2);
    s.sample.oom_kill++;
    scene_run(&s, 60, 1, 0.9, 0.9);
    cr_assert_eq(s.decision.limit, 2);
    cr_assert_eq(s.decision.start, 2);
}

static void starve(struct scene *s)
{
    scene_begin(s);
    scene_workers(s, 2, 2, 2 * MIB);
    s->sample.available = 150 * MIB;
    s->demand.waiting = 10;
}

/* After a reload in want of memory the predecessor's workers are still there, and take nothing more. */
Test(limit, min_is_of_our_own_and_not_of_a_predecessor)
{
    struct scene scene;

    scene_begin(&scene);
    scene.sample.available = 10 * MIB; /* far below what is to be kept */
    scene.demand = (struct limit_demand){.live = 20, .strangers = 20, .waiting = 50};
    scene_run(&scene, 5, 1, 0, 0);
    cr_assert_eq(scene.decision.start, 2, "%u", scene.decision.start);
    scene.demand = (struct limit_demand){.live = 22, .strangers = 20, .idle = 2, .waiting = 50};
    scene_run(&scene, 5, 1, 0, 0);
    cr_assert_eq(scene.decision.start, 0, "%u", scene.decision.start);
    cr_assert_eq(scene.decision.retire, 0, "the minimum stays");
}

/* It protects what stands behind: all who deliver count. */
Test(limit, max_is_of_our_own_and_of_a_predecessor)
{
    for (int fixed = 0; fixed < 2; fixed++) {
        struct scene scene;

        scene_begin(&scene);
        scene.settings.max = 3;
        scene.settings.fixed = fixed;
        scene.demand = (struct limit_demand){.live = 2, .strangers = 2, .waiting = 50};
        scene_run(&scene, 5, 1, 0, 0);
        cr_expect_eq(scene.decision.start, 1, "%u", scene.decision.start);
        scene.demand = (struct limit_demand){.live = 5, .strangers = 5, .waiting = 50};
        scene_run(&scene, 5, 1, 0, 0);
        cr_expect_eq(scene.decision.start, 0, "%u", scene.decision.start);
        scene.demand = (struct limit_demand){.live = 0, .waiting = 50};
        scene_run(&scene, 5, 1, 0, 0);
        cr_expect_eq(scene.decision.start, 3, "%u", scene.decision.start);
    }
}

Test(limit, shed_is_entered_after_ten_seconds_without_headroom_and_left_after_fifteen_with)
{
    struct scene s;
    starve(&s);
    scene_run(&s, 10, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_not(s.decision.shed);
    scene_run(&s, 3, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHED);
    cr_assert(s.decision.shed);
    cr_assert_str_eq(s.decision.reason.key, "memory.min_available");
    scene_run(&s, 600, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHED);
    s.sample.available = 1000 * MIB;
    scene_run(&s, 14, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_SHED);
    scene_run(&s, 2, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_not(s.decision.shed);
    cr_assert_gt(s.decision.start, 0);
}

Test(limit, nothing_is_shed_while_nothing_waits)
{
    struct scene s;
    starve(&s);
    s.demand.waiting = 0;
    scene_run(&s, 120, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
}

Test(limit, a_moment_of_headroom_begins_the_ten_seconds_again)
{
    struct scene s;
    starve(&s);
    scene_run(&s, 8, 1, 0, 0);
    s.sample.available = 1000 * MIB;
    scene_run(&s, 1, 1, 0, 0);
    s.sample.available = 150 * MIB;
    scene_run(&s, 8, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
}

Test(limit, shed_is_entered_by_full_stall_over_two_seconds)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_run(&s, 10, 1, 0.09, 0.09);
    cr_assert_eq(s.decision.mode, LIMIT_SHRINK);
    scene_run(&s, 2, 1, 0.12, 0.12);
    cr_assert_eq(s.decision.mode, LIMIT_SHED);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_FULL);
    scene_run(&s, 30, 1, 0.06, 0.06);
    cr_assert_eq(s.decision.mode, LIMIT_SHED, "6 %% is not below half of 10 %%");
    scene_run(&s, 18, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
}

Test(limit, asks_to_be_called_sooner_while_memory_is_short)
{
    struct scene s;
    scene_begin(&s);
    cr_assert_float_eq(scene_step(&s, 1).next, 1.0, 0.001);
    s.sample.available = 150 * MIB;
    cr_assert_lt(scene_step(&s, 1).next, 0.5);
}

Test(limit, fixed_is_max_whatever_memory_says)
{
    struct scene s;
    scene_begin(&s);
    s.settings.fixed = true;
    s.settings.max = 300;
    s.sample.available = 0;
    scene_workers(&s, 40, 40, 20 * MIB);
    scene_run(&s, 30, 1, 0.9, 0.9);
    cr_assert_eq(s.decision.limit, 300);
    cr_assert_eq(s.decision.start, 260);
    cr_assert_eq(s.decision.retire, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_FIXED);
    cr_assert_str_eq(s.decision.reason.key, "workers.limit");
    s.demand.failed = 9;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.start, 1, "forks fail: one try is enough");
}

/* A dry run: L is found as ever, and as many workers as stock has are started; none is retired. */
Test(limit, dry_run_starts_what_stock_would)
{
    struct scene s;
    scene_begin(&s);
    s.settings.stock = 50;
    scene_workers(&s, 30, 10, 2 * MIB);
    scene_step(&s, 1);
    s.sample.available = 150 * MIB;
    scene_run(&s, 5, 1, 0, 0);
    cr_expect_eq(s.decision.mode, LIMIT_HOLD);
    cr_expect_lt(s.decision.limit, 30);
    cr_expect_eq(s.decision.start, 20);
    cr_expect_eq(s.decision.retire, 0);
    cr_expect_eq(limit_take(&s.state, 100), 20);
    limit_ended(&s.state, 49);
    cr_expect_eq(limit_take(&s.state, 100), 1, "the place of one that ended is free");
    s.settings.fixed = true;
    s.settings.max = 10;
    scene_step(&s, 1);
    cr_expect_eq(s.decision.limit, 10);
    cr_expect_eq(s.decision.start, 20);
}

Test(limit, a_smaller_max_holds_at_the_next_step)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    s.settings.max = 20;
    scene_workers(&s, 200, 10, 2 * MIB);
    scene_step(&s, 1);
    cr_assert_eq(s.decision.limit, 20);
    cr_assert_eq(s.decision.retire, 180);
}

Test(limit, a_moment_of_stall_is_not_answered_with_a_half)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    scene_run(&s, 0.75, 0.75, 1.0, 0);
    cr_assert_lt(s.decision.limit, 140);
    cr_assert_geq(s.decision.limit, 118, "a half in a second is 119 after 3/4 of one");
}

Test(limit, a_clock_that_goes_back_changes_nothing)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 100);
    scene_workers(&s, 100, 100, 2 * MIB);
    unsigned before = s.decision.limit;
    s.sample.time -= 5000000;
    s.decision = limit_step(&s.settings, &s.state, &s.sample, &s.demand);
    cr_assert_eq(s.decision.limit, before);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
}
