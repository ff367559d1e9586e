#ifndef SUPERVISOR_CTL_LIMITS_H
#define SUPERVISOR_CTL_LIMITS_H

/*
 * headroomctl status --limits: every bound that mail through a service can meet, with its value now, and which are reached.
 */

#include <cjson/cJSON.h>
#include <stdio.h>
#include <sys/types.h>

#include "supervisor/ctl/ctl.h"

/* Where rows go: lines for people, or, where `array` is not NULL, objects into it. */
struct ctl_limits {
    FILE *out;
    cJSON *array;
};

enum ctl_bound_kind {
    CTL_BOUND_COUNT, /* reached when `now` is `most` */
    CTL_BOUND_BYTES,
    CTL_BOUND_LEAST, /* bytes; reached when only `most` is left */
    CTL_BOUND_NONE,  /* no number bounds it; reached when there is any */
};

/* A row: `now` of `most`; negative: not known, or no bound. */
struct ctl_bound {
    const char *name;
    double now;
    double most;
    const char *moved_by;
    enum ctl_bound_kind kind;
};

/* Writes a row, marked when it is reached. Pure. */
void ctl_limits_row(const struct ctl_limits *to, const struct ctl_bound *bound);

/* Of the snapshot: workers, lanes, requests, windows, memory. Pure. */
void ctl_limits_own(const struct ctl_limits *to, const struct status *status);

/* Of the system: descriptors and tasks of the processes, the active queue. `root` stands before /proc and /sys. */
void ctl_limits_system(const struct ctl_limits *to, const struct ctl *ctl,
                       const struct status *status, const char *root);

#endif
