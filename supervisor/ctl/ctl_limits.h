#ifndef SUPERVISOR_CTL_LIMITS_H
#define SUPERVISOR_CTL_LIMITS_H

/*
 * headroomctl status --limits: every bound that mail through a service can meet, with its value now, and which are reached.
 */

#include <stdio.h>
#include <sys/types.h>

#include "supervisor/ctl/ctl.h"

/* A row: `now` of `most`; negative: not known, or no bound. */
struct ctl_bound {
    const char *name;
    double now;
    double most;
    const char *moved_by;
};

/* Writes a row, marked when `now` has reached `most`. Pure. */
void ctl_limits_row(FILE *out, const struct ctl_bound *bound);

/* Of the snapshot: workers, lanes, requests, windows, memory. Pure. */
void ctl_limits_own(FILE *out, const struct status *status);

/* Of the system: descriptors and tasks of the processes, the active queue. `root` stands before /proc and /sys. */
void ctl_limits_system(FILE *out, const struct ctl *ctl, const struct status *status,
                       const char *root);

#endif
