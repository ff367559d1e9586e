#ifndef SUPERVISOR_REPORT_VIEW_H
#define SUPERVISOR_REPORT_VIEW_H

/*
 * The dispatcher as those see it who report on it: const pointers and figures of one moment. To
 * write a line, a snapshot or a metric changes nothing of it. dispatcher.c fills it in.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agents/pool.h"
#include "cgroup/group.h"
#include "cgroup/memory.h"
#include "supervisor/admission/admission.h"
#include "supervisor/config/config.h"
#include "supervisor/limit/limit.h"
#include "supervisor/limit/spawn.h"
#include "supervisor/report/totals.h"

struct report_view {
    uint64_t now; /* us, monotonic, as all times here */
    const char *service;
    const struct config *config;
    pid_t parent;
    const char *group_mode;
    const struct totals *totals;
    const struct limit_settings *settings;
    const struct limit_state *state;
    const struct limit_decision *decision;
    const struct memory_sample *sample;
    uint64_t changed; /* when the limit's mode was entered */
    struct limit_demand demand;
    const struct admission *admission;
    const struct pool *pool;
    unsigned most;       /* workers at a time, so far */
    unsigned held;       /* requests of clients */
    unsigned room;       /* requests that may wait when none runs */
    unsigned waiting;    /* parts */
    unsigned deferring;  /* parts on their way to retry(8) */
    bool greeting_known; /* a worker has greeted: before, nothing is accepted */
    int start_error;     /* why starts fail; 0: they do not */
    uint64_t starting;   /* since when the oldest start waits for its greeting; 0: none does */
    enum spawn_why why;  /* no worker is started */
    uint64_t lines_lost; /* of the journal */
};

#endif
