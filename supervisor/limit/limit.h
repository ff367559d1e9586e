#ifndef SUPERVISOR_LIMIT_LIMIT_H
#define SUPERVISOR_LIMIT_LIMIT_H

/*
 * How many workers may exist: the limit L.
 *
 * limit_step() turns a memory sample and the present demand into a decision. It is pure: no I/O, no
 * clock (the time is in the sample), no allocation, no globals. The supervisor and the simulator
 * (tests/sim/limit.c) call the same function.
 *
 * There are two answers, and the smaller one is the limit:
 *
 *   memory  L_mem = live + headroom / footprint. The headroom is the smallest of: what each memory
 *           group with a limit has left below LIMIT_SHARE of it, and what the machine has available
 *           above min_available; less what young workers will still use. The footprint is a
 *           decaying maximum of the pool's working set per worker.
 *   law     Falls with memory stall (PSI) at or above target, grows while at least half of it is
 *           busy and the state is OPEN. The law is Breakwater's (Cho et al., OSDI 2020), with a
 *           stall in the place of a queueing delay, and rates per second in the place of steps,
 *           because the time between two calls varies. Stall of the machine counts only as far as
 *           it can be ours (limit_foreign.c).
 *
 * Call it when `next` of the last decision is over, and earlier on a pressure event. The result
 * depends on the time between two steps, not on their number; 0.1 to 2 s are fine, more counts as
 * 2 s. A caller that has slept calls limit_step() first, then limit_take(): that takes starts out
 * of the decision's budget, and counts them. Starts that failed go into `failed` of the next
 * demand. The dispatcher keeps the number of busy workers at or below `limit`: so a pool above its
 * limit shrinks without a busy worker being ended.
 *
 * Units: bytes, seconds (double), microseconds for points in time, fractions (0.01 is one percent),
 * workers. Errors: none. A sample without figures limits nothing; the limit is then `max`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/memory.h"

/* min_available: the smaller of 200 MiB and a tenth of the machine's memory. */
#define LIMIT_AUTO (UINT64_MAX - 1)

/* Stall is a fraction of time; "full" stall is that of all tasks at once. */
struct limit_settings {
    unsigned min;   /* workers.min: permitted whatever memory says; at least 1 is assumed */
    unsigned max;   /* workers.max; a predecessor's that still run count, too */
    unsigned stock; /* dry run: so many may exist whatever L says, none is retired; else 0 */
    bool fixed;     /* workers.limit is "fixed": L is max, memory is not looked at */
    bool shared;    /* group[0] holds others, too (observe mode): footprint is a guess */
    uint64_t min_available; /* memory.min_available, or LIMIT_AUTO */
    double hold;            /* pressure.hold: stall from which the pool stops growing */
    double target;          /* pressure.target: stall from which it shrinks */
    double full;            /* pressure.full: full stall from which what waits is deferred */
    double shed_after;      /* shed.after, s: at min without headroom, until it is deferred */
};

enum limit_mode {
    LIMIT_OPEN,   /* grows on demand */
    LIMIT_HOLD,   /* does not grow; a worker that ends is replaced if the headroom covers it */
    LIMIT_SHRINK, /* L falls; idle workers go first, busy ones finish */
    LIMIT_SHED,   /* and what waits longer than shed.grace is deferred; min workers remain */
};

/* Which input bound. */
enum limit_input {
    LIMIT_BY_GROWTH,    /* the law: not tried higher yet */
    LIMIT_BY_MAX,       /* workers.max */
    LIMIT_BY_FIXED,     /* workers.max, by workers.limit */
    LIMIT_BY_POOL,      /* the limit of the pool's own group */
    LIMIT_BY_ANCESTOR,  /* the limit of a group above it */
    LIMIT_BY_AVAILABLE, /* the machine's available memory */
    LIMIT_BY_STALL,     /* some stall, of the pool or the machine */
    LIMIT_BY_FULL,      /* full stall */
    LIMIT_BY_EVENT,     /* the group ran into `high` or its hard limit */
    LIMIT_BY_OOM,       /* the OOM killer ended processes of the group */
    LIMIT_BY_FORK,      /* workers could not be started */
};

/* Units by input: bytes (groups, available), fraction (stalls), count (events, kills, forks), else
 * workers. */
struct limit_reason {
    enum limit_input input;
    bool machine;     /* of a stall: the machine's, not the pool's */
    unsigned group;   /* of a group: its index in the sample */
    double value;     /* what was found */
    double threshold; /* what it is compared with */
    double falling;   /* bytes a second that others take; of groups and available */
    double promised;  /* bytes that young workers will still take; likewise */
    double footprint; /* bytes one more worker is taken to need; of groups and available */
    const char *key;  /* the key that moves the threshold, or ""; constant */
};

struct limit_decision {
    unsigned limit;  /* L: workers that may exist and be busy */
    unsigned start;  /* how many may be started until the next step */
    unsigned retire; /* how many idle ones are to be ended now */
    enum limit_mode mode;
    bool shed;   /* defer waiting requests older than shed.grace */
    double next; /* s until the next step is due: 1, or 1/4 while the mode is not OPEN */
    struct limit_reason reason;
};

struct limit_demand {
    unsigned live;      /* processes that exist: starting, busy and idle */
    unsigned strangers; /* of these: a predecessor's, which finish what they have */
    unsigned starting;  /* of these: forked, not ready */
    unsigned busy;      /* have a request */
    unsigned idle;
    unsigned waiting; /* requests that wait for a worker */
    bool barred;      /* some wait, and none of them may start at this L: lanes have shares of it */
    bool forked;      /* new workers are forked, not executed: they take less */
    bool tls;         /* and speak TLS: they take more when they do */
    unsigned failed;  /* starts of those taken since the last step that failed because fork did */
};

/* Rate of a counter of stalled microseconds, over the last window and the present one so far. */
struct limit_meter {
    bool known;
    uint64_t time;   /* begin of the window */
    uint64_t total;  /* the counter then */
    double complete; /* fraction in the last whole window */
    double fraction; /* the larger of that and what the present one amounts to already */
};

/* What others use of one source of memory, and how fast that grows. */
struct limit_trend {
    bool known;
    double others; /* bytes */
    double rate;   /* bytes a second */
};

/* Slots of the ring of young workers, and how long each is. */
#define LIMIT_YOUNG_SLOTS 80
#define LIMIT_YOUNG_SLOT 125000 /* us; all slots together are the 10 s in which a worker is young */
/* And of the ring of starts less ends, in the last second. */
#define LIMIT_SPENT_SLOTS 8

/* No pointers: may be copied. */
struct limit_state {
    uint64_t time; /* of the last sample */
    double law;    /* L by the law of pressure, a fraction of a worker included */
    double knee;   /* workers that were too many for a reason the headroom does not show; 0: none */
    double knee_age;  /* s since that was last seen */
    double ceiling;   /* workers when growth was stopped; holds in HOLD, SHRINK and SHED */
    double footprint; /* bytes */
    double base;      /* bytes in use without workers, where they have no group of their own */
    double calm_hold; /* s in which nothing spoke for HOLD, and so on */
    double calm_shrink;
    double calm_shed;
    double starved;    /* s at min without headroom */
    double since_kill; /* s since L was last halved for an OOM kill */
    double foreign; /* stall of the machine that is a neighbour's: a fraction, decaying maximum */
    double stall_mean;    /* of the machine's stall, over some seconds */
    double calm_live;     /* workers beside which no stall was ours; follows slowly */
    double suspect_live;  /* workers when the machine's stall was taken for ours; 0: it is not */
    double suspect_stall; /* its mean beside about as many */
    double suspect_law;   /* the law's L then */
    double suspect_age;   /* s for which there were fewer, or no stall */
    struct limit_reason held; /* why the mode was entered or last confirmed */
    struct limit_meter pool_some, pool_full, machine_some, machine_full;
    struct limit_trend trend[MEMORY_GROUPS_MAX + 1]; /* of the groups, and of the machine */
    uint64_t high, max, oom_kill;                    /* of the last sample */
    uint64_t young_slot;                             /* the newest slot: time / LIMIT_YOUNG_SLOT */
    double spent[LIMIT_SPENT_SLOTS];
    unsigned young[LIMIT_YOUNG_SLOTS]; /* starts in each slot, at [number % slots] */
    unsigned limit;                    /* L of the last step */
    unsigned most;                     /* workers that may exist: L, or `stock` */
    unsigned budget;                   /* starts left until the next step */
    unsigned taken;                    /* starts since the last step */
    unsigned ended;                    /* workers that ended by themselves since the last step */
    enum limit_mode mode;
    bool begun; /* a sample was seen */
    bool events_known;
    bool base_known;
    bool forked;      /* workers were, in the last step */
    bool ever_forked; /* and in some step before */
};

void limit_init(const struct limit_settings *settings, struct limit_state *state);

/* L begins at that of a predecessor, where it is larger: a burst after a reload finds its workers. */
void limit_resume(const struct limit_settings *settings, struct limit_state *state, unsigned limit);

struct limit_decision limit_step(const struct limit_settings *settings, struct limit_state *state,
                                 const struct memory_sample *sample,
                                 const struct limit_demand *demand);

/* At most `wanted`, within what is left of the last decision's budget. They count as started. */
unsigned limit_take(struct limit_state *state, unsigned wanted);

/*
 * A worker ended by itself (max_use, a crash; it was not retired), and `live` are left. Its memory
 * is back: another may be started before the next step, unless the pool is at its limit.
 */
void limit_ended(struct limit_state *state, unsigned live);

/* memory.min_available in bytes, on a machine with so much memory. */
double limit_floor(const struct limit_settings *settings, uint64_t total);

/* "OPEN", "HOLD", "SHRINK", "SHED". */
const char *limit_mode_name(enum limit_mode mode);

/*
 * The reason as a phrase, for example "memory available 143M is below memory.min_available 200M".
 * Cuts it to `size`, the NUL included; returns its length as snprintf does.
 */
int limit_reason_write(const struct limit_reason *reason, char *buffer, size_t size);

/* The source with the least left, as a phrase: "its memory group uses 60.1M of 64M now". */
void limit_figures_write(const struct memory_sample *sample, char *buffer, size_t size);

#endif
