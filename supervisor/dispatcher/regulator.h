#ifndef SUPERVISOR_DISPATCHER_REGULATOR_H
#define SUPERVISOR_DISPATCHER_REGULATOR_H

/*
 * How many workers there may be: takes a sample of memory, asks the limit (limit/limit.h), and
 * tells what was decided. A step is taken when the router finds it due, and on pressure events.
 *
 * The demand is asked of the router by a function without side effects. The sink is called as the
 * last act of a step. Calls supervisor/{base,limit}, cgroup, journal, states. Knows no sibling.
 *
 * DIAGNOSTICS: the pool's group was removed by somebody else (EVENT_GROUP). Aborts when the limit
 * breaks its promise (DESIGN.md, promise 5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/group.h"
#include "cgroup/memory.h"
#include "cgroup/memory_source.h"
#include "supervisor/base/loop.h"
#include "supervisor/limit/limit.h"

struct journal;
struct regulator;

/* Triggers of memory pressure: of the pool's group, and of the machine. */
#define REGULATOR_TRIGGERS 2

typedef struct limit_demand (*regulator_demand)(const void *context);

/* A step was taken; the mode was `before`. */
typedef void (*regulator_sink)(void *context, enum limit_mode before);

struct regulator_config {
    struct loop *loop;
    struct journal *journal;
    struct limit_settings settings;
    const struct pool_group *group;
    uint64_t
        would_limit; /* of a dry run: memory.limit of the group, which does not have it; or 0 */
    struct memory_source *memory;
    int trigger[REGULATOR_TRIGGERS]; /* descriptors; negative: none */
    regulator_demand demand;
    regulator_sink sink;
    void *context;
};

int regulator_create(struct regulator **out, const struct regulator_config *config);
void regulator_destroy(struct regulator *regulator);

/* L begins at that of a predecessor, where it is larger. Before the first step. */
void regulator_resume(struct regulator *regulator, unsigned limit);

/* Samples and decides now. */
void regulator_step(struct regulator *regulator);

/* When the next step is due. */
uint64_t regulator_due(const struct regulator *regulator);

/* How many of `wanted` workers may be started now: they count as started. */
unsigned regulator_take(struct regulator *regulator, unsigned wanted);

/* A worker ended by itself, and `live` are left, a predecessor's too; or could not be forked. */
void regulator_ended(struct regulator *regulator, unsigned live);
void regulator_failed(struct regulator *regulator);

/*
 * Whether a process that died of SIGKILL was ended by the OOM killer; each kill answers once. Then
 * `figures` says what its group, or the machine, uses of what it has.
 */
bool regulator_oom_killed(struct regulator *regulator, char *figures, size_t size);

struct regulator_view {
    const struct limit_settings *settings;
    const struct limit_state *state;
    const struct limit_decision *decision;
    const struct memory_sample *sample;
    uint64_t stepped; /* time of the last step; 0: none yet */
    uint64_t changed; /* when the mode was entered */
    unsigned failed;  /* starts that failed since the last step */
};

struct regulator_view regulator_view(const struct regulator *regulator);

#endif
