#ifndef CGROUP_MEMORY_H
#define CGROUP_MEMORY_H

/*
 * One sample of all that the limit needs to know of memory.
 *
 * Units: bytes, microseconds, counts since boot (or since the group was made). A figure whose
 * source is missing says so by its `known` flag and is then zero; a limit that is not set is
 * MEMORY_UNLIMITED.
 */

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_UNLIMITED UINT64_MAX
#define MEMORY_GROUPS_MAX 16

/* One memory group: the pool's own, or an ancestor of it that has a limit. */
struct memory_group {
    bool known;           /* usage and working set could be read */
    uint64_t usage;       /* everything charged to the group */
    uint64_t working_set; /* usage less inactive file cache, at least the anonymous memory */
    uint64_t limit;       /* the hard limit (the lower of max and high), or MEMORY_UNLIMITED */
    bool high;            /* and it is `high` */
};

struct memory_stall {
    bool known;
    uint64_t some; /* us in which at least one task waited for memory */
    uint64_t full; /* us in which all did */
    double recent; /* the kernel's own avg10 of `some`, a fraction; 0 where it is not told */
};

struct memory_sample {
    uint64_t time;   /* CLOCK_MONOTONIC, us */
    unsigned groups; /* how many of group[] are filled in */
    struct memory_group
        group[MEMORY_GROUPS_MAX]; /* [0] is the pool's (observe mode: our own group) */
    bool machine_known;
    uint64_t total;     /* MemTotal */
    uint64_t available; /* MemAvailable */
    struct memory_stall pool;
    struct memory_stall machine;
    bool events_known;
    uint64_t high;     /* times the group went over `high` */
    uint64_t max;      /* times it ran into its hard limit */
    uint64_t oom_kill; /* processes of the group killed by the OOM killer */
};

#endif
