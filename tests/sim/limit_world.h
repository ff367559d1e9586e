#ifndef TESTS_SIM_LIMIT_WORLD_H
#define TESTS_SIM_LIMIT_WORLD_H

/*
 * A model of a machine with a pool of workers, for tests/sim/limit.c. Memory in MiB, time in s. Nothing here knows how the
 * limit is found; the limit sees the model only through a struct memory_sample.
 *
 * What is modelled: a worker takes its idle memory when it starts and that of its job as the job goes on, keeps half of
 * it afterwards, and ends after 100 jobs (Postfix max_use). From 93 % of a limit on, reclaim stalls: everything below that limit goes
 * slower, and the stall counters run. Over the limit, the largest worker is killed and its job is lost.
 */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cgroup/memory.h"

#define WORLD_TICK 0.1
#define WORLD_WORKERS 8192
#define WORLD_STALL_FROM 0.93
#define WORLD_SERVER_FROM 0.80 /* a mail store has page cache to lose */
#define WORLD_SHARED 3.0       /* of the pool's group, whatever the number of workers */
#define WORLD_IDLE_LOW 1.2
#define WORLD_IDLE_HIGH 1.6

/* Something that rises from 0 to 1 within `ramp`, stays until `end` and goes back as fast. */
struct world_change {
    double begin, ramp, end;
};

struct world_scenario {
    const char *name;
    const char *what;
    double length;
    double total;  /* the machine's memory */
    double base;   /* of it, used by others all the time */
    double pool;   /* the pool's limit, 0: none */
    double parent; /* the limit of the group above, in which the neighbour lives; 0: none */
    double floor;  /* LIMIT_AUTO is -1 */
    double size;   /* mean memory of a job beyond the idle worker's */
    double factor; /* by which jobs grow while `shift` is at 1 */
    struct world_change shift;
    double neighbour; /* what it takes at most */
    struct world_change takes;
    double thrash; /* mean stall that a neighbour makes in a limited group of his own */
    struct world_change thrashes;
    double served;     /* memory per busy job in the server behind */
    double served_max; /* the server's own limit, 0: the machine's memory */
    double rate;       /* good jobs a second; a mean */
    double low, high;  /* their duration */
    double flood_at;
    unsigned flood; /* bad jobs that arrive at once; at most half of L works on them */
    double flood_low, flood_high;
    unsigned uses;      /* jobs after which a worker ends, 0: 100 */
    unsigned tasks;     /* forks beyond so many workers fail; 0: never */
    unsigned start_max; /* workers.max */
    bool no_stall, no_group, no_events;
    bool unmoved; /* goal: OPEN all the time */
};

enum world_phase { WORLD_STARTING, WORLD_IDLE, WORLD_GOOD, WORLD_BAD };

struct world_worker {
    double memory, target, pace; /* pace: time constant of the way to the target */
    double left;
    unsigned uses;
    enum world_phase phase;
};

struct world {
    const struct world_scenario *plan;
    uint64_t seed;
    double time, speed; /* speed: 1 less the stall */
    struct world_worker worker[WORLD_WORKERS];
    unsigned live, starting, idle, good, bad;
    unsigned ended; /* by themselves, since asked */
    double good_waiting, bad_waiting, arrivals;
    double memory, some_pool, some_machine, full_pool, full_machine;
    double stall_now; /* the machine's */
    uint64_t high, max, kills, done, failed_forks;
};

/* xorshift64* */
static inline double world_random(struct world *world)
{
    world->seed ^= world->seed >> 12;
    world->seed ^= world->seed << 25;
    world->seed ^= world->seed >> 27;
    return (double)((world->seed * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static inline double world_between(struct world *world, double low, double high)
{
    return low + (high - low) * world_random(world);
}

static inline double world_change_at(const struct world_change *change, double time)
{
    double up = (time - change->begin) / (change->ramp > 0 ? change->ramp : WORLD_TICK);
    double down = 1.0 - (time - change->end) / (change->ramp > 0 ? change->ramp : WORLD_TICK);
    return fmax(0.0, fmin(1.0, fmin(up, down)));
}

static inline double world_size(const struct world_scenario *plan, double time)
{
    return plan->size * (1.0 + (plan->factor - 1.0) * world_change_at(&plan->shift, time));
}

static inline double world_neighbour(const struct world_scenario *plan, double time)
{
    return plan->neighbour * world_change_at(&plan->takes, time);
}

static inline double world_thrash(const struct world_scenario *plan, double time)
{
    return plan->thrash * world_change_at(&plan->thrashes, time);
}

static inline double world_server(const struct world *world)
{
    return world->plan->served * (world->good + world->bad);
}

/* Exponential, cut at four times the mean: most jobs are small, some are large. */
static inline double world_job(struct world *world)
{
    double size = -log(1.0 - world_random(world));
    return world_size(world->plan, world->time) * fmin(size, 4.0) / 0.98;
}

static inline double world_stall(double used, double limit, double from)
{
    if (limit <= 0)
        return 0.0;
    double near = (used / limit - from) / (1.0 - from);
    return near <= 0 ? 0.0 : fmin(0.95, pow(near, 1.5));
}

static inline double world_used(const struct world *world)
{
    const struct world_scenario *plan = world->plan;
    return plan->base + world->memory + WORLD_SHARED + world_server(world) +
           world_neighbour(plan, world->time);
}

static inline void world_begin(struct world *world, const struct world_scenario *plan,
                               uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->plan = plan;
    world->seed = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world->speed = 1.0;
    for (int i = 0; i < 8; i++)
        world_random(world);
}

static inline bool world_fork(struct world *world)
{
    if (world->live >= WORLD_WORKERS ||
        (world->plan->tasks > 0 && world->live >= world->plan->tasks)) {
        world->failed_forks++;
        return false;
    }
    world->worker[world->live++] =
        (struct world_worker){.target = world_between(world, WORLD_IDLE_LOW, WORLD_IDLE_HIGH),
                              .pace = 0.1,
                              .left = 0.15,
                              .phase = WORLD_STARTING};
    world->starting++;
    return true;
}

static inline void world_count(struct world *world, enum world_phase phase, int by)
{
    unsigned *count = phase == WORLD_STARTING ? &world->starting
                      : phase == WORLD_IDLE   ? &world->idle
                      : phase == WORLD_GOOD   ? &world->good
                                              : &world->bad;
    *count += (unsigned)by;
}

static inline void world_end_worker(struct world *world, unsigned i)
{
    world_count(world, world->worker[i].phase, -1);
    world->memory -= world->worker[i].memory;
    world->worker[i] = world->worker[--world->live];
}

static inline void world_phase_set(struct world *world, struct world_worker *worker,
                                   enum world_phase phase)
{
    world_count(world, worker->phase, -1);
    worker->phase = phase;
    world_count(world, phase, 1);
}

static inline void world_retire(struct world *world, unsigned count)
{
    for (unsigned i = world->live; i > 0 && count > 0; i--) {
        if (world->worker[i - 1].phase == WORLD_IDLE) {
            world_end_worker(world, i - 1);
            count--;
        }
    }
}

/* Hands waiting jobs to idle workers while no more than `limit` are busy. */
static inline void world_dispatch(struct world *world, unsigned limit)
{
    const struct world_scenario *plan = world->plan;

    for (unsigned i = 0; i < world->live && world->idle > 0; i++) {
        struct world_worker *worker = &world->worker[i];
        if (world->good + world->bad >= limit)
            return;
        bool good = world->good_waiting >= 1;
        if (!good && (world->bad_waiting < 1 || world->bad >= (limit + 1) / 2))
            return;
        if (worker->phase != WORLD_IDLE)
            continue;
        double idle = world_between(world, WORLD_IDLE_LOW, WORLD_IDLE_HIGH);
        world_phase_set(world, worker, good ? WORLD_GOOD : WORLD_BAD);
        /* What it kept of the last job serves the next one. */
        worker->target = fmax(worker->target, idle + world_job(world));
        worker->left = good ? world_between(world, plan->low, plan->high)
                            : world_between(world, plan->flood_low, plan->flood_high);
        worker->pace = fmin(2.0, worker->left / 4);
        worker->uses++;
        *(good ? &world->good_waiting : &world->bad_waiting) -= 1;
    }
}

/* Jobs that could run if there were workers. */
static inline unsigned world_wanted(const struct world *world, unsigned limit)
{
    unsigned share = (limit + 1) / 2;
    double bad = fmax(0.0, (double)share - (double)world->bad);
    return (unsigned)(floor(world->good_waiting) + fmin(floor(world->bad_waiting), bad));
}

static inline void world_kill(struct world *world)
{
    unsigned largest = 0;

    if (world->live == 0)
        return;
    for (unsigned i = 1; i < world->live; i++)
        if (world->worker[i].memory > world->worker[largest].memory)
            largest = i;
    world_end_worker(world, largest);
    world->kills++;
}

static inline void world_workers(struct world *world)
{
    double tick = WORLD_TICK * world->speed;

    for (unsigned i = world->live; i > 0; i--) {
        struct world_worker *worker = &world->worker[i - 1];
        double grown = (worker->target - worker->memory) * fmin(1.0, tick / worker->pace);
        worker->memory += grown;
        world->memory += grown;
        if (worker->phase == WORLD_IDLE)
            continue;
        worker->left -= tick;
        if (worker->left > 0)
            continue;
        if (worker->phase == WORLD_GOOD)
            world->done++;
        if (worker->phase != WORLD_STARTING &&
            worker->uses >= (world->plan->uses > 0 ? world->plan->uses : 100)) {
            world_end_worker(world, i - 1);
            world->ended++;
            continue;
        }
        if (worker->phase != WORLD_STARTING) {
            worker->target = WORLD_IDLE_LOW + (worker->memory - WORLD_IDLE_LOW) / 2;
            worker->pace = 0.1;
        }
        world_phase_set(world, worker, WORLD_IDLE);
    }
}

static inline void world_stalls(struct world *world)
{
    const struct world_scenario *plan = world->plan;
    double pool = world->memory + WORLD_SHARED;
    double above = pool + world_neighbour(plan, world->time);
    double own = fmax(world_stall(pool, plan->pool, WORLD_STALL_FROM),
                      world_stall(above, plan->parent, WORLD_STALL_FROM));
    double all = world_stall(world_used(world), plan->total, WORLD_STALL_FROM);
    double server = world_stall(world_server(world), plan->served_max, WORLD_SERVER_FROM);
    double thrash = world_thrash(plan, world->time);
    double inside = fmax(own, all);
    double anywhere = fmax(inside, server);

    world->some_pool += inside * WORLD_TICK;
    /* The neighbour's stall slows nobody else; it is from half to one and a half of its mean. */
    if (thrash > 0)
        thrash *= world_between(world, 0.5, 1.5);
    world->some_machine += fmax(anywhere, thrash) * WORLD_TICK;
    world->full_pool += fmax(0.0, inside * 2 - 1) * WORLD_TICK;
    world->full_machine += fmax(0.0, all * 2 - 1) * WORLD_TICK;
    world->stall_now = anywhere;
    world->speed = 1.0 - anywhere; /* jobs wait for the server, too */
    if (plan->pool > 0 && pool > plan->pool * 0.99)
        world->max++;
    while (world->live > 0 &&
           ((plan->pool > 0 && world->memory + WORLD_SHARED > plan->pool) ||
            (plan->parent > 0 &&
             world->memory + WORLD_SHARED + world_neighbour(plan, world->time) > plan->parent) ||
            (plan->served_max > 0 && world_server(world) > plan->served_max) ||
            world_used(world) > plan->total))
        world_kill(world);
}

static inline void world_arrive(struct world *world)
{
    const struct world_scenario *plan = world->plan;

    world->arrivals += plan->rate * WORLD_TICK * 2 * world_random(world);
    world->good_waiting += floor(world->arrivals);
    world->arrivals -= floor(world->arrivals);
    if (plan->flood > 0 && world->time < plan->flood_at &&
        world->time + WORLD_TICK >= plan->flood_at)
        world->bad_waiting += plan->flood;
}

static inline void world_tick(struct world *world)
{
    world_workers(world);
    world_stalls(world);
    world_arrive(world);
    world->time += WORLD_TICK;
}

static inline uint64_t world_bytes(double mib)
{
    return mib <= 0 ? 0 : (uint64_t)(mib * 1048576.0);
}

static inline void world_sample(const struct world *world, struct memory_sample *sample)
{
    const struct world_scenario *plan = world->plan;
    double pool = world->memory + WORLD_SHARED;

    memset(sample, 0, sizeof *sample);
    sample->time = UINT64_C(1000000000) + (uint64_t)(world->time * 1e6);
    sample->machine_known = true;
    sample->total = world_bytes(plan->total);
    sample->available = world_bytes(plan->total - world_used(world));
    if (!plan->no_group) {
        sample->groups = plan->parent > 0 ? 2 : 1;
        sample->group[0] = (struct memory_group){.known = true,
                                                 .usage = world_bytes(pool + 8),
                                                 .working_set = world_bytes(pool),
                                                 .limit = plan->pool > 0 ? world_bytes(plan->pool)
                                                                         : MEMORY_UNLIMITED};
        double above = pool + world_neighbour(plan, world->time);
        sample->group[1] = (struct memory_group){.known = true,
                                                 .usage = world_bytes(above + 8),
                                                 .working_set = world_bytes(above),
                                                 .limit = world_bytes(plan->parent)};
    }
    sample->pool = (struct memory_stall){.known = !plan->no_stall && !plan->no_group,
                                         .some = (uint64_t)(world->some_pool * 1e6),
                                         .full = (uint64_t)(world->full_pool * 1e6)};
    sample->machine = (struct memory_stall){.known = !plan->no_stall,
                                            .some = (uint64_t)(world->some_machine * 1e6),
                                            .full = (uint64_t)(world->full_machine * 1e6),
                                            .recent = world_thrash(plan, world->time)};
    sample->events_known = !plan->no_events && !plan->no_group;
    sample->max = world->max;
    sample->oom_kill = world->kills;
    if (plan->no_stall) {
        sample->pool = sample->machine = (struct memory_stall){0};
    }
}

#endif
