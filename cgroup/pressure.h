#ifndef CGROUP_PRESSURE_H
#define CGROUP_PRESSURE_H

/*
 * Pressure triggers: a descriptor that wakes an event loop when tasks have stalled on memory for
 * `stall` within any `window` (the kernel's accounting/psi). A trigger only wakes early: decisions
 * come from the totals of a sample.
 *
 * Put the descriptor with EPOLLPRI into the epoll that the process waits on. The kernel reports an
 * event to the first poll that looks: an epoll that stands in another epoll loses events. EPOLLERR:
 * the group was removed; stop watching. There is at most one event per window. A trigger on a group
 * that has stalled before fires once without cause.
 */

#include "cgroup/memory.h"

#include <stdbool.h>

/* The kernel's bounds; and the step for those without CAP_SYS_RESOURCE, from 6.4 on. us. */
#define PRESSURE_WINDOW_MIN 500000U
#define PRESSURE_WINDOW_MAX 10000000U
#define PRESSURE_WINDOW_STEP 2000000U

enum pressure_kind { PRESSURE_SOME, PRESSURE_FULL };

struct pressure_trigger {
    int descriptor; /* -1: none. The caller closes it */
    enum pressure_kind kind;
    unsigned stall;  /* us, as granted */
    unsigned window; /* us, as granted */
};

/*
 * Arms a trigger on `path`, relative to `directory` (openat(2)): (group_pressure_directory(),
 * "memory.pressure") or (AT_FDCWD, "/proc/pressure/memory"). Call it as root: the file must be
 * writable. A child inherits the trigger. A refused window is rounded up to a multiple of
 * PRESSURE_WINDOW_STEP, and the stall in proportion.
 *   0           armed
 *   -EINVAL     stall and window make no sense
 *   -EOPNOTSUPP no pressure information, or no trigger can be had
 *   -EMFILE, -ENFILE, -ENOMEM
 */
int pressure_arm(struct pressure_trigger *trigger, int directory, const char *path,
                 enum pressure_kind kind, unsigned stall, unsigned window);

/* The window to try after `window` was refused; 0 when there is none. Pure. */
unsigned pressure_next_window(unsigned window);

#endif
