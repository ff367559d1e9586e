#ifndef SUPERVISOR_LIMIT_SPAWN_H
#define SUPERVISOR_LIMIT_SPAWN_H

/*
 * May one more worker be started, and if not, why, and when is that to be asked again? The one
 * place that answers. Pure: no I/O, no clock; times are us of a clock that does not go back.
 *
 * The limit has said how many memory allows (limit/limit.h), growth judges whether one more would
 * help (limit/growth.h); this puts them together with the waiting mail, the back-off after failed
 * starts, and the descriptors.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/limit/growth.h"

/* Why no worker is started, in the order in which it is asked. */
enum spawn_why {
    SPAWN_START,       /* one is to be started */
    SPAWN_NOT_NEEDED,  /* nothing waits that could run, or idle and starting workers suffice */
    SPAWN_LANES,       /* mail waits, and none of it may run now: shares of lanes, windows, paces */
    SPAWN_BACKOFF,     /* starts have failed; the next try is at start_after */
    SPAWN_DESCRIPTORS, /* there was no descriptor, until the next tick */
    SPAWN_MAX,         /* as many exist as workers.max says */
    SPAWN_AT_ONCE,     /* as many are starting as may at a time */
    SPAWN_RATE,        /* more would not raise the rate at which the server delivers */
    SPAWN_FASTER,      /* those that there are come back sooner than a new one would */
    SPAWN_MEMORY,      /* the limit allows no more now */
};

#define SPAWN_WHYS (SPAWN_MEMORY + 1)

struct spawn_view {
    unsigned waiting;    /* parts that wait */
    unsigned runnable;   /* of them, those that could be chosen now if workers were free */
    unsigned stretched;  /* of these, those that more workers would not serve sooner */
    unsigned starting;   /* workers that have not greeted */
    unsigned live;       /* processes */
    unsigned leaving;    /* of them, on their way out */
    unsigned max;        /* workers.max */
    unsigned budget;     /* starts that the limit allows until its next step */
    bool greeting_known; /* a worker has greeted: before, one is started for its greeting */
    bool descriptors_short;
    uint64_t start_after; /* back-off after failed starts */
};

struct spawn_answer {
    bool start;
    enum spawn_why why;
    uint64_t again; /* when to ask again if nothing else happens; UINT64_MAX: not by the clock */
};

struct spawn {
    struct growth growth;
    enum spawn_why why; /* of the last answer */
};

/* To be asked for each worker that is to be started. */
struct spawn_answer spawn_ask(struct spawn *spawn, const struct spawn_view *view, uint64_t now);

/* A phrase: "workers.max is reached". */
const char *spawn_text(enum spawn_why why);

#endif
