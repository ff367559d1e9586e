#ifndef SUPERVISOR_REPORT_VIEW_H
#define SUPERVISOR_REPORT_VIEW_H

/*
 * What reports know of the dispatcher: const pointers and figures of one moment. dispatcher.c fills
 * the view in; a report changes nothing behind it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agents/pool.h"
#include "cgroup/group.h"
#include "cgroup/memory.h"
#include "supervisor/admission/admission_view.h"
#include "supervisor/config/config.h"
#include "supervisor/dispatcher/fleet.h"
#include "supervisor/dispatcher/parts.h"
#include "supervisor/limit/limit.h"
#include "supervisor/limit/spawn.h"
#include "supervisor/report/failures.h"
#include "supervisor/report/totals.h"

struct report_view {
    uint64_t now; /* us, monotonic, as all times in the view */
    const char *service;
    const struct config *config;
    pid_t parent;
    const char *group_mode;
    const struct totals *totals;
    const struct totals *logged; /* the counters in the last line of the log, or NULL */
    const struct failures *failures;
    const struct limit_settings *settings;
    const struct limit_state *state;
    const struct limit_decision *decision;
    const struct memory_sample *sample;
    uint64_t changed; /* time at which the limit's mode was entered */
    struct limit_demand demand;
    const struct admission *admission;
    const struct pool *pool;
    const struct fleet *fleet;
    const struct parts *parts;
    unsigned most;           /* workers that existed at a time, since the start */
    unsigned held;           /* requests of clients */
    unsigned room;           /* requests that may wait when none runs */
    unsigned waiting;        /* parts that wait for a worker */
    unsigned deferring;      /* parts on their way to retry(8), victims of a full room included */
    bool greeting_known;     /* a worker has greeted; before that nothing is accepted */
    const char *start;       /* how the last worker was started, a phrase; "": as it should be */
    const char *start_error; /* reason why starts fail; "": they do not */
    uint64_t starting;       /* time of the oldest start without a greeting; 0: none */
    enum spawn_why why;      /* the last answer of spawn_ask() */
    int queue;               /* queue_writable() */
    uint64_t lines_lost;     /* lines that the journal could not write */
};

/* Percent of time in which a task waited for memory: of the pool or of the machine, the larger. */
static inline double report_pressure(const struct report_view *view)
{
    double pool = view->state->pool_some.fraction, machine = view->state->machine_some.fraction;

    return 100 * (pool > machine ? pool : machine);
}

#endif
