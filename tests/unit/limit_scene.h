#ifndef TESTS_UNIT_LIMIT_SCENE_H
#define TESTS_UNIT_LIMIT_SCENE_H

/* A calm 8 GB machine with a pool of its own group without a limit; each test changes what it is about. */

#include <criterion/criterion.h>

#include "supervisor/limit/limit.h"

#define MIB (UINT64_C(1024) * 1024)

struct scene {
    struct limit_settings settings;
    struct limit_state state;
    struct memory_sample sample;
    struct limit_demand demand;
    struct limit_decision decision;
};

static inline void scene_begin(struct scene *scene)
{
    *scene = (struct scene){
        .settings = {.min = 2,
                     .max = 1000,
                     .min_available = LIMIT_AUTO,
                     .hold = 0.005,
                     .target = 0.01,
                     .full = 0.10,
                     .shed_after = 10.0},
        .sample = {.time = UINT64_C(7000000000),
                   .groups = 1,
                   .group[0] = {.known = true, .limit = MEMORY_UNLIMITED},
                   .machine_known = true,
                   .total = 8000 * MIB,
                   .available = 6000 * MIB,
                   .pool.known = true,
                   .machine.known = true,
                   .events_known = true},
    };
    limit_init(&scene->settings, &scene->state);
}

static inline struct limit_decision scene_step(struct scene *scene, double seconds)
{
    scene->sample.time += (uint64_t)(seconds * 1e6);
    scene->decision = limit_step(&scene->settings, &scene->state, &scene->sample, &scene->demand);
    return scene->decision;
}

/* Steps of `tick` s for `seconds` with the given fractions of stall in the pool. */
static inline struct limit_decision scene_run(struct scene *scene, double seconds, double tick,
                                              double some, double full)
{
    int steps = (int)(seconds / tick + 0.5);
    for (int i = 0; i < steps; i++) {
        scene->sample.pool.some += (uint64_t)(some * tick * 1e6);
        scene->sample.pool.full += (uint64_t)(full * tick * 1e6);
        scene_step(scene, tick);
    }
    return scene->decision;
}

/* `live` workers of `each` bytes, of which `busy` are busy. */
static inline void scene_workers(struct scene *scene, unsigned live, unsigned busy, uint64_t each)
{
    scene->demand.live = live;
    scene->demand.busy = busy;
    scene->demand.idle = live - busy;
    scene->sample.group[0].working_set = live * each;
    scene->sample.group[0].usage = live * each;
}

/* Grows the pool until L is at least `wanted`, all busy. */
static inline void scene_grow(struct scene *scene, unsigned wanted)
{
    scene_step(scene, 1.0);
    for (int i = 0; i < 200 && scene->decision.limit < wanted; i++) {
        scene_workers(scene, scene->decision.limit, scene->decision.limit, 2 * MIB);
        scene_step(scene, 1.0);
    }
    scene_workers(scene, wanted, wanted, 2 * MIB);
    cr_assert_geq(scene->decision.limit, wanted);
    cr_assert_eq(scene->decision.mode, LIMIT_OPEN);
}

#endif
