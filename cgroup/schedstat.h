#ifndef CGROUP_SCHEDSTAT_H
#define CGROUP_SCHEDSTAT_H

/*
 * How long this process was runnable: it ran, or waited for a CPU. The first two figures of /proc/self/schedstat
 * (Documentation/scheduler/sched-stats.rst of the kernel), which are nanoseconds.
 */

#include <stdint.h>

/* A descriptor, which belongs to the caller; or a negative errno: -ENOENT when the kernel does not count this. */
int schedstat_open(void);

/* Since the process began, in microseconds. 0, or a negative errno: -EBADMSG when there are no two figures. */
int schedstat_runnable(int descriptor, uint64_t *runnable);

#endif
