#ifndef CGROUP_SCHEDSTAT_H
#define CGROUP_SCHEDSTAT_H

/*
 * How long this process was runnable: it ran, or waited for a CPU. The first two figures of
 * /proc/self/schedstat (Documentation/scheduler/sched-stats.rst of the kernel), which are
 * nanoseconds.
 */

#include <stdint.h>

/* A descriptor that the caller closes, or a negative errno: -ENOENT: the kernel does not count. */
int schedstat_open(void);

/* Time since the process began, us. 0, or a negative errno: -EBADMSG: not two figures. */
int schedstat_runnable(int descriptor, uint64_t *runnable);

#endif
