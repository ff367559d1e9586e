/* What holds after any sequence of samples. The sequences are random, and the same in each run. */

#include "tests/unit/limit_scene.h"

#define RUNS 300
#define STEPS 200

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t below(uint64_t *seed, uint64_t count)
{
    return next(seed) % count;
}

/* Anything the kernel or the dispatcher might say, sane or not. */
static void scene_shake(struct scene *scene, uint64_t *seed)
{
    struct memory_sample *sample = &scene->sample;
    struct limit_demand *demand = &scene->demand;

    sample->groups = (unsigned)below(seed, 4);
    for (unsigned i = 0; i < sample->groups; i++) {
        struct memory_group *group = &sample->group[i];
        group->known = below(seed, 8) != 0;
        group->limit = below(seed, 3) == 0 ? MEMORY_UNLIMITED : below(seed, 4096) * MIB;
        group->working_set = below(seed, 4) == 0 ? next(seed) : below(seed, 4096) * MIB;
    }
    sample->machine_known = below(seed, 6) != 0;
    sample->total = 8000 * MIB;
    sample->available = below(seed, 8000) * MIB;
    sample->pool.known = below(seed, 6) != 0;
    sample->machine.known = below(seed, 6) != 0;
    sample->pool.some += below(seed, 3) == 0 ? below(seed, 900000) : 0;
    sample->pool.full += below(seed, 5) == 0 ? below(seed, 300000) : 0;
    sample->machine.some += below(seed, 3) == 0 ? below(seed, 900000) : 0;
    sample->machine.full = below(seed, 50) == 0 ? 0 : sample->machine.full + below(seed, 10000);
    sample->oom_kill += below(seed, 20) == 0;
    sample->max += below(seed, 5) == 0;
    demand->live = (unsigned)below(seed, 1500);
    demand->busy = (unsigned)below(seed, demand->live + 1);
    demand->starting = (unsigned)below(seed, demand->live - demand->busy + 1);
    demand->idle = demand->live - demand->busy - demand->starting;
    demand->waiting = (unsigned)below(seed, 1000);
    demand->failed = below(seed, 10) == 0 ? (unsigned)below(seed, 50) : 0;
}

/* Bytes that all sources leave, by the words of the design; the largest figure when there is none. */
static double room(const struct memory_sample *sample)
{
    double least = 1e30;
    for (unsigned i = 0; i < sample->groups; i++) {
        const struct memory_group *group = &sample->group[i];
        if (!group->known || group->limit == MEMORY_UNLIMITED)
            continue;
        double left = 0.9 * (double)group->limit - (double)group->working_set;
        least = left < least ? left : least;
    }
    if (sample->machine_known) {
        double left = (double)sample->available - 200.0 * MIB;
        least = left < least ? left : least;
    }
    return least;
}

Test(limit_property, bounds_hold_after_any_sample)
{
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct scene s;
        uint64_t seed = run * UINT64_C(0x9E3779B97F4A7C15);
        scene_begin(&s);
        s.settings.shared = run % 4 == 0;
        s.settings.max = run % 5 == 0 ? 1 : 1000;
        for (int i = 0; i < STEPS; i++) {
            scene_shake(&s, &seed);
            unsigned min = s.settings.min < s.settings.max ? s.settings.min : s.settings.max;
            struct limit_decision d = scene_step(&s, (double)below(&seed, 2500) / 1000);
            cr_assert_geq(d.limit, min);
            cr_assert_leq(d.limit, s.settings.max);
            cr_assert_leq(d.retire, s.demand.idle);
            cr_assert(d.retire == 0 || d.retire <= s.demand.live - d.limit);
            cr_assert(d.start == 0 || s.demand.live + d.start <= d.limit);
            cr_assert(d.start == 0 || d.retire == 0);
            unsigned forced = s.demand.live < min ? min - s.demand.live : 0;
            cr_assert_geq(d.start, forced);
            if (d.start > forced) {
                cr_assert_leq(d.start * s.state.footprint, room(&s.sample), "run %d step %d",
                              (int)run, i);
                cr_assert_eq(s.demand.failed, 0);
            }
            cr_assert_eq(d.shed, d.mode == LIMIT_SHED);
            cr_assert_not_null(d.reason.key);
            char text[256];
            cr_assert_lt(limit_reason_write(&d.reason, text, sizeof text), (int)sizeof text);
            unsigned wanted = (unsigned)below(&seed, 100);
            unsigned taken = limit_take(&s.state, wanted);
            cr_assert_leq(taken, wanted);
            cr_assert_leq(taken, d.start);
        }
    }
}

Test(limit_property, never_grows_in_a_tick_with_stall_at_target)
{
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct scene s;
        uint64_t seed = run * UINT64_C(0x9E3779B97F4A7C15);
        scene_begin(&s);
        for (int i = 0; i < STEPS; i++) {
            uint64_t pool = s.sample.pool.some;
            unsigned before = s.decision.limit;
            bool known = s.sample.pool.known;
            scene_shake(&s, &seed);
            double tick = 0.75 + (double)below(&seed, 1000) / 1000;
            scene_step(&s, tick);
            double stall = (double)(s.sample.pool.some - pool) / 1e6 / tick;
            if (i > 0 && known && s.sample.pool.known && stall >= 0.0101)
                cr_assert_leq(s.decision.limit, before, "run %d step %d", (int)run, i);
        }
    }
}

/* However it came there, calm inputs bring it back to OPEN, and soon. */
Test(limit_property, every_mode_is_left_when_inputs_are_calm)
{
    unsigned seen[4] = {0};
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct scene s;
        uint64_t seed = run * UINT64_C(0x9E3779B97F4A7C15);
        scene_begin(&s);
        if (run % 3 == 0) { /* or nearly all end in SHED */
            s.settings.full = 2.0;
            s.settings.shed_after = 1e9;
        }
        for (int i = 0; i < STEPS; i++) {
            scene_shake(&s, &seed);
            if (run % 2 == 0) {
                scene_workers(&s, 2, 2, 2 * MIB);
                s.sample.available = below(&seed, 150) * MIB;
                s.sample.machine_known = true;
            }
            scene_step(&s, 0.1 + (double)below(&seed, 1900) / 1000);
        }
        seen[s.decision.mode]++;
        double tick = 0.1 + (double)below(&seed, 1900) / 1000;
        double calm = 0;
        s.sample.groups = 1;
        s.sample.group[0].known = true;
        s.sample.group[0].limit = MEMORY_UNLIMITED;
        scene_workers(&s, 10, 10, 2 * MIB);
        s.sample.machine_known = true;
        s.sample.available = 6000 * MIB;
        s.demand.failed = 0;
        while (s.decision.mode != LIMIT_OPEN && calm < 100) {
            scene_step(&s, tick);
            calm += tick;
        }
        /* 15 s, and what windows, trend and ticks add. */
        cr_assert_leq(calm, 15 + 3 + 3 * tick + 6, "run %d: %f s at %f", (int)run, calm, tick);
    }
    cr_assert_gt(seen[LIMIT_SHED], 10, "SHED has to be among them");
    cr_assert_gt(seen[LIMIT_SHRINK] + seen[LIMIT_HOLD], 10);
}
