/* The headroom: each source, each missing source, the footprint, the young, and what may be started. */

#include <string.h>

#include "tests/unit/limit_scene.h"

/* A pool of `limit` bytes with nobody in it. */
static void pool_begin(struct scene *scene, uint64_t limit)
{
    scene_begin(scene);
    scene->sample.group[0].limit = limit;
}

Test(limit_memory, a_pool_of_64_mb_holds_what_fits)
{
    struct scene s;
    unsigned most = 0;
    pool_begin(&s, 64 * MIB);
    scene_step(&s, 1);
    for (int i = 0; i < 60; i++) {
        unsigned live = s.demand.live + limit_take(&s.state, 500);
        most = live > most ? live : most;
        scene_workers(&s, live, live, 2 * MIB);
        scene_step(&s, 1);
    }
    cr_assert_leq(most, 29, "%u workers of 2 MB in nine tenths of 64", most);
    cr_assert_geq(most, 22, "only %u", most);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_POOL);
    cr_assert_str_eq(s.decision.reason.key, "memory.limit");
    s.sample.group[0].high = true;
    scene_step(&s, 1);
    cr_assert_str_eq(s.decision.reason.key, "memory.high");
}

Test(limit_memory, the_tightest_source_binds)
{
    struct scene s;
    pool_begin(&s, 1000 * MIB);
    s.sample.groups = 3;
    s.sample.group[1] =
        (struct memory_group){.known = true, .working_set = 900 * MIB, .limit = 1000 * MIB};
    s.sample.group[2] =
        (struct memory_group){.known = true, .working_set = 10 * MIB, .limit = 1000 * MIB};
    scene_run(&s, 2, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_ANCESTOR);
    cr_assert_eq(s.decision.reason.group, 1);
    cr_assert_eq(s.decision.limit, 2);
    s.sample.group[1].known = false;
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
}

Test(limit_memory, auto_leaves_200_mib_or_a_tenth)
{
    struct scene s;
    scene_begin(&s);
    s.sample.available = 201 * MIB;
    cr_assert_eq(scene_step(&s, 1).mode, LIMIT_HOLD);
    cr_assert_float_eq(s.decision.reason.threshold, 200.0 * MIB, 1);
    scene_begin(&s);
    s.sample.total = 960 * MIB;
    s.sample.available = 201 * MIB;
    cr_assert_eq(scene_step(&s, 1).mode, LIMIT_OPEN);
    s.sample.available = 90 * MIB;
    scene_step(&s, 1);
    cr_assert_float_eq(s.decision.reason.threshold, 96.0 * MIB, 1);
    scene_begin(&s);
    s.settings.min_available = 3000 * MIB;
    s.sample.available = 2999 * MIB;
    cr_assert_eq(scene_step(&s, 1).mode, LIMIT_HOLD);
    cr_assert_str_eq(s.decision.reason.key, "memory.min_available");
}

Test(limit_memory, spends_half_in_a_second_however_often_it_is_asked)
{
    for (int tick = 1; tick <= 10; tick *= 10) {
        struct scene s;
        unsigned taken = 0;
        pool_begin(&s, 100 * MIB); /* 90 usable: 45 workers of 2 MB */
        s.settings.max = 1000;
        scene_step(&s, 1);
        for (int i = 0; i < tick; i++) {
            unsigned more = limit_take(&s.state, 1000);
            taken += more;
            scene_workers(&s, taken, taken, 0);
            scene_step(&s, 0.9 / tick);
        }
        cr_assert_leq(taken, 24, "%u in %d steps", taken, tick);
        cr_assert_geq(taken, 20, "%u in %d steps", taken, tick);
    }
}

Test(limit_memory, the_young_are_counted_until_they_have_grown)
{
    struct scene s;
    unsigned live = 0;
    pool_begin(&s, 100 * MIB);
    scene_step(&s, 1);
    for (int i = 0; i < 6; i++) {
        live += limit_take(&s.state, 1000);
        scene_workers(&s, live, live, 0); /* nothing of it shows yet */
        scene_step(&s, 1);
    }
    cr_assert_leq(live, 68, "%u of 45 that fit: at most what idle ones leave open", live);
    unsigned before = s.decision.start;
    scene_run(&s, 12, 1, 0, 0);
    cr_assert_gt(s.decision.start, before, "after ten seconds it is theirs no more");
}

Test(limit_memory, starts_that_failed_promise_nothing)
{
    struct scene s;
    pool_begin(&s, 100 * MIB);
    scene_step(&s, 1);
    unsigned start = s.decision.start;
    cr_assert_eq(limit_take(&s.state, 1000), start);
    s.demand.failed = start;
    scene_step(&s, 1);
    for (unsigned i = 0; i < LIMIT_YOUNG_SLOTS; i++)
        cr_assert_eq(s.state.young[i], 0);
    s.demand.failed = 0;
    s.state.law = 32;
    s.state.knee = 0;
    scene_run(&s, 8, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_eq(s.decision.start, start);
}

Test(limit_memory, the_budget_is_for_all_takers_until_the_next_step)
{
    struct scene s;
    scene_begin(&s);
    scene_step(&s, 1);
    unsigned start = s.decision.start;
    cr_assert_eq(limit_take(&s.state, 3), 3);
    cr_assert_eq(limit_take(&s.state, start), start - 3);
    cr_assert_eq(limit_take(&s.state, 1), 0);
    scene_workers(&s, start, start, 2 * MIB);
    limit_ended(&s.state, start - 1);
    cr_assert_eq(limit_take(&s.state, 5), 1, "one has ended, one may follow");
}

Test(limit_memory, nobody_follows_a_worker_that_was_too_many)
{
    struct scene s;
    scene_begin(&s);
    scene_grow(&s, 200);
    scene_run(&s, 3, 1, 0.9, 0);
    limit_ended(&s.state, 199);
    cr_assert_eq(limit_take(&s.state, 5), 0);
}

Test(limit_memory, one_may_start_after_a_quiet_night)
{
    struct scene s;
    pool_begin(&s, 64 * MIB);
    scene_run(&s, 3600, 1, 0, 0);
    cr_assert_geq(limit_take(&s.state, 1), 1);
    /* And where there is room for one and a half. */
    pool_begin(&s, 64 * MIB);
    s.settings.min = 1;
    scene_workers(&s, 1, 0, 40 * MIB);
    scene_run(&s, 600, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    s.sample.group[0].working_set = 64 * MIB * 9 / 10 - (uint64_t)(s.state.footprint * 1.5);
    scene_step(&s, 1);
    cr_assert_eq(s.decision.start, 1);
}

Test(limit_memory, the_footprint_is_learned_and_forgotten_slowly)
{
    struct scene s;
    pool_begin(&s, 1000 * MIB);
    scene_workers(&s, 100, 100, 2 * MIB);
    s.state.law = 1000;
    scene_run(&s, 5, 1, 0, 0);
    unsigned small = s.decision.limit;
    scene_workers(&s, 100, 100, 6 * MIB);
    scene_run(&s, 1, 1, 0, 0);
    cr_assert_gt(s.state.footprint, 5.0 * MIB);
    cr_assert_lt(s.state.footprint, 6.5 * MIB);
    cr_assert_leq(s.decision.limit, small);
    scene_workers(&s, 100, 100, 2 * MIB);
    scene_run(&s, 20, 1, 0, 0);
    cr_assert_gt(s.state.footprint, 4.0 * MIB, "a peak counts for a while");
    scene_run(&s, 300, 1, 0, 0);
    cr_assert_lt(s.state.footprint, 2.2 * MIB);
}

/* A pool that changes from executed to forked workers and back is followed: no burst overshoots. */
Test(limit_memory, the_footprint_is_that_of_workers_as_they_are_started_now)
{
    struct scene s;
    pool_begin(&s, 1000 * MIB);
    scene_workers(&s, 100, 100, 2 * MIB);
    s.state.law = 1000;
    scene_run(&s, 5, 1, 0, 0);
    s.demand.forked = true;
    scene_run(&s, 1, 1, 0, 0);
    cr_assert_gt(s.state.footprint, 1.5 * MIB, "those that are executed are still there");
    scene_workers(&s, 100, 100, MIB / 2);
    scene_run(&s, 300, 1, 0, 0);
    cr_assert_lt(s.state.footprint, 0.7 * MIB);
    cr_assert_gt(s.state.footprint, 0.4 * MIB);
    s.demand.forked = false;
    scene_run(&s, 1, 1, 0, 0);
    cr_assert_geq(s.state.footprint, 2 * MIB, "the next one is executed");
    scene_run(&s, 300, 1, 0, 0);
    cr_assert_geq(s.state.footprint, 2 * MIB, "and takes more than what is measured now");
    s.demand.forked = true;
    scene_run(&s, 1, 1, 0, 0);
    cr_assert_leq(s.state.footprint, MIB);
}

/* All that wait for a silent server end at once, and have this much each then: that fits. */
static void grow_at_once(bool tls, double waiting, double ended, unsigned least)
{
    struct scene s;
    unsigned most;
    pool_begin(&s, 64 * MIB);
    s.demand.forked = true;
    s.demand.tls = tls;
    s.state.law = 1000;
    most = (unsigned)(64 / ended);
    scene_workers(&s, least, least, (uint64_t)(waiting * MIB));
    scene_run(&s, 300, 1, 0, 0);
    cr_assert_geq(s.decision.limit, least);
    cr_assert_leq(s.decision.limit, most);
    /* Those that have grown do so no more. */
    least = (unsigned)(0.85 * 64 / ended);
    scene_workers(&s, least, least, (uint64_t)(ended * MIB));
    scene_run(&s, 300, 1, 0, 0);
    cr_assert_geq(s.decision.limit, least);
}

Test(limit_memory, forked_workers_grow_when_their_first_message_ends)
{
    grow_at_once(false, 0.45, 0.55, 104);
    grow_at_once(true, 0.45, 0.9, 64);
}

Test(limit_memory, the_shared_part_of_an_empty_pool_is_not_a_footprint)
{
    struct scene s;
    pool_begin(&s, 64 * MIB);
    scene_workers(&s, 1, 1, 12 * MIB);
    scene_run(&s, 5, 1, 0, 0);
    cr_assert_lt(s.state.footprint, 4.0 * MIB);
}

Test(limit_memory, what_others_take_is_foreseen)
{
    struct scene calm;
    struct scene busy;
    scene_begin(&calm);
    scene_grow(&calm, 200);
    busy = calm;
    calm.sample.available = busy.sample.available = 1000 * MIB;
    scene_run(&calm, 30, 1, 0, 0);
    scene_run(&busy, 30, 1, 0, 0);
    for (int i = 0; i < 5; i++) {
        busy.sample.available -= 100 * MIB;
        scene_step(&busy, 1);
    }
    calm.sample.available = busy.sample.available;
    calm.state.trend[MEMORY_GROUPS_MAX].known = false;
    calm.state.trend[MEMORY_GROUPS_MAX].rate = 0;
    scene_step(&calm, 1);
    scene_step(&busy, 0.1);
    cr_assert_lt(busy.decision.start, calm.decision.start);
}

/* Postfix's own processes at the begin of a flush: there is room, and they will not go on like that. */
Test(limit_memory, a_burst_of_others_stops_nobody_while_there_is_room)
{
    struct scene s;
    scene_begin(&s);
    s.sample.groups = 2;
    s.sample.group[1] =
        (struct memory_group){.known = true, .working_set = 40 * MIB, .limit = 160 * MIB};
    scene_workers(&s, 3, 3, 2 * MIB);
    scene_step(&s, 1);
    s.sample.group[1].working_set = 110 * MIB;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    cr_assert_gt(s.decision.start, 0);
    /* Little room is no reason to hold for seconds, either. */
    s.sample.group[1].working_set = 128 * MIB;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    /* And when there is none, it is over. */
    s.sample.group[1].working_set = 143 * MIB;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_eq(s.decision.start, 0);
}

/* The machine loses memory so fast that it leaves less in the end, but it is the group that has no room. */
Test(limit_memory, the_reason_is_the_source_that_has_no_room)
{
    struct scene s;
    scene_begin(&s);
    s.sample.groups = 2;
    s.sample.group[1] =
        (struct memory_group){.known = true, .working_set = 143 * MIB, .limit = 160 * MIB};
    scene_workers(&s, 3, 3, 2 * MIB);
    s.sample.available = 1000 * MIB;
    scene_step(&s, 1);
    s.sample.available = 206 * MIB;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_HOLD);
    cr_assert_eq(s.decision.reason.input, LIMIT_BY_ANCESTOR);
    cr_assert_eq(s.decision.reason.group, 1);
}

Test(limit_memory, a_neighbour_is_made_room_for_and_its_room_taken_back)
{
    struct scene s;
    pool_begin(&s, 384 * MIB);
    scene_grow(&s, 120);
    s.sample.groups = 2;
    s.sample.group[0].limit = MEMORY_UNLIMITED;
    for (int i = 0; i < 60; i++) {
        unsigned live = s.demand.live < s.decision.limit ? s.demand.live + limit_take(&s.state, 200)
                                                         : s.decision.limit;
        uint64_t neighbour = i < 30 ? 200 * MIB : 0;
        scene_workers(&s, live, live, 2 * MIB);
        s.sample.group[1] = (struct memory_group){
            .known = true, .working_set = 2 * MIB * live + neighbour, .limit = 384 * MIB};
        scene_step(&s, 1);
        if (i > 10 && i < 30) {
            cr_assert_leq(live * 2, 150, "%u at %d s", live, i);
            cr_assert_geq(live * 2, 100, "%u at %d s", live, i);
        }
    }
    cr_assert_geq(s.demand.live, 108, "back to 9 of 10 after 30 s: %u", s.demand.live);
}

/* Half an hour of full demand with one kind of figure gone. */
static struct limit_decision without(void (*take_away)(struct scene *), unsigned *live)
{
    static struct scene s;
    scene_begin(&s);
    s.settings.max = 300;
    take_away(&s);
    scene_step(&s, 1);
    for (int i = 0; i < 600; i++) {
        *live = s.demand.live + limit_take(&s.state, 300);
        s.demand.live = s.demand.busy = *live;
        if (s.sample.machine_known)
            s.sample.available = 700 * MIB - 2 * MIB * *live;
        scene_step(&s, 1);
    }
    return s.decision;
}

static void no_stall(struct scene *s)
{
    s->sample.pool.known = s->sample.machine.known = false;
    s->sample.pool.some = s->sample.machine.full = 99999999;
}

static void no_group(struct scene *s)
{
    s->settings.shared = true;
    s->sample.groups = 0;
    s->sample.pool.known = false;
    s->sample.events_known = false;
    memset(s->sample.group, 0xff, sizeof s->sample.group);
}

static void unreadable_group(struct scene *s)
{
    s->sample.group[0] = (struct memory_group){.known = false};
}

static void nothing(struct scene *s)
{
    no_stall(s);
    no_group(s);
    s->sample.machine_known = false;
    s->sample.available = 0;
}

Test(limit_memory, works_with_what_is_there)
{
    unsigned live = 0;
    without(no_stall, &live);
    cr_assert(live > 200 && live <= 250, "%u workers of 2 MB in 500", live);
    without(no_group, &live);
    cr_assert(live > 200 && live <= 250, "%u workers of 2 MB in 500", live);
    without(unreadable_group, &live);
    cr_assert(live > 200 && live <= 250, "%u workers of 2 MB in 500", live);
    struct limit_decision last = without(nothing, &live);
    cr_assert_eq(live, 300, "with no figure at all, max is the limit");
    cr_assert_eq(last.mode, LIMIT_OPEN);
    cr_assert_eq(last.reason.input, LIMIT_BY_MAX);
}

Test(limit_memory, counters_that_begin_again_are_no_stall)
{
    struct scene s;
    scene_begin(&s);
    s.sample.pool.some = 500000000;
    s.sample.oom_kill = s.sample.max = 50;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN, "what was before the start is not ours");
    s.sample.pool.some = 1000;
    s.sample.oom_kill = s.sample.max = 0;
    scene_run(&s, 5, 1, 0, 0);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN);
    s.sample.pool.known = false;
    s.sample.pool.some = 0;
    scene_step(&s, 1);
    s.sample.pool.known = true;
    s.sample.pool.some = 700000000;
    scene_step(&s, 1);
    cr_assert_eq(s.decision.mode, LIMIT_OPEN, "nor what was while it could not be read");
}

static void expect_text(struct limit_reason reason, const char *text)
{
    char buffer[256];
    int length = limit_reason_write(&reason, buffer, sizeof buffer);
    cr_assert_str_eq(buffer, text);
    cr_assert_eq((size_t)length, strlen(text));
}

Test(limit_text, says_value_threshold_and_key)
{
    expect_text((struct limit_reason){.input = LIMIT_BY_AVAILABLE,
                                      .value = 143.0 * MIB,
                                      .threshold = 200.0 * MIB,
                                      .key = "memory.min_available"},
                "memory available 143M is below memory.min_available 200M");
    expect_text((struct limit_reason){.input = LIMIT_BY_AVAILABLE,
                                      .value = 230.0 * MIB,
                                      .threshold = 200.0 * MIB,
                                      .footprint = 2.5 * MIB,
                                      .falling = 20.0 * MIB,
                                      .promised = 3.0 * MIB,
                                      .key = "memory.min_available"},
                "memory available 230M is near memory.min_available 200M at 2.5M a worker (other "
                "processes take 20M more a second, workers just started will take 3.0M)");
    expect_text((struct limit_reason){.input = LIMIT_BY_AVAILABLE,
                                      .value = 9999.0 * MIB,
                                      .threshold = 10240.0 * MIB,
                                      .key = "memory.min_available"},
                "memory available 9999M is below memory.min_available 10.0G");
    expect_text((struct limit_reason){.input = LIMIT_BY_POOL,
                                      .value = 60.0 * MIB,
                                      .threshold = 57.6 * MIB,
                                      .key = "memory.limit"},
                "working set 60M is above 58M, the usable part of memory.limit");
    expect_text((struct limit_reason){.input = LIMIT_BY_ANCESTOR,
                                      .group = 2,
                                      .value = 60.0 * MIB,
                                      .threshold = 57.6 * MIB,
                                      .key = ""},
                "working set 60M is above 58M, the usable part of the limit of the memory group 2 "
                "levels up");
    expect_text((struct limit_reason){.input = LIMIT_BY_STALL,
                                      .machine = true,
                                      .value = 0.034,
                                      .threshold = 0.01,
                                      .key = "pressure.target"},
                "memory stall of the machine 3.4% is above pressure.target 1.0%");
    expect_text((struct limit_reason){.input = LIMIT_BY_OOM, .value = 1, .key = "memory.limit"},
                "the kernel killed 1 process of the pool for want of memory");
}

Test(limit_text, is_cut_to_size)
{
    char buffer[16];
    struct limit_reason reason = {.input = LIMIT_BY_AVAILABLE,
                                  .value = 1e30,
                                  .threshold = 1e30,
                                  .key = "memory.min_available"};
    memset(buffer, 'x', sizeof buffer);
    cr_assert_gt(limit_reason_write(&reason, buffer, 8), 8);
    cr_assert_str_eq(buffer, "memory ");
    cr_assert_eq(buffer[8], 'x');
}
