#ifndef CGROUP_PRESSURE_H
#define CGROUP_PRESSURE_H

/*
 * Pressure triggers: a descriptor that wakes an event loop when tasks have stalled on memory for
 * `stall` within any `window` (the kernel's accounting/psi). It is there to wake early; what is
 * decided comes from the sample's totals.
 *
 * Watch the descriptor for EPOLLPRI (sd_event_add_io(..., EPOLLPRI, ...)). EPOLLERR: the group was
 * removed; stop watching, close it, poll from then on. At most one event per window. A trigger
 * armed on a group that has stalled before fires once without cause: compare the totals.
 */

#include "cgroup/memory.h"

#include <stdbool.h>

/* The kernel's bounds, and the step it demands of those without CAP_SYS_RESOURCE (6.4 and later).
 * us. */
#define PRESSURE_WINDOW_MIN 500000U
#define PRESSURE_WINDOW_MAX 10000000U
#define PRESSURE_WINDOW_STEP 2000000U

enum pressure_kind { PRESSURE_SOME, PRESSURE_FULL };

struct pressure_trigger {
    int descriptor; /* -1: poll only. Owned by the caller: pressure_disarm. */
    enum pressure_kind kind;
    unsigned stall;  /* us, as granted */
    unsigned window; /* us, as granted */
};

/* Arms a trigger on `path`, relative to `directory` (openat(2)): (group_pressure_directory(),
 * "memory.pressure"), or (AT_FDCWD, "/proc/pressure/memory"). The file must be writable: call it as
 * root; a child inherits the trigger. A window that is refused is rounded up to the next whole
 * multiple of 2 s, the stall in proportion. Returns 0; -EOPNOTSUPP when there is no pressure
 * information or no trigger is to be had: poll only; -EMFILE, -ENFILE or -ENOMEM. */
int pressure_arm(struct pressure_trigger *trigger, int directory, const char *path,
                 enum pressure_kind kind, unsigned stall, unsigned window);

void pressure_disarm(struct pressure_trigger *trigger);

/* The window to try after `window` was refused: the next whole multiple of PRESSURE_WINDOW_STEP, or
 * 0 when there is none. Pure. */
unsigned pressure_next_window(unsigned window);

#endif
