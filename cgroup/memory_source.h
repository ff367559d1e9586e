#ifndef CGROUP_MEMORY_SOURCE_H
#define CGROUP_MEMORY_SOURCE_H

/*
 * Takes a struct memory_sample from descriptors that were opened while we were root.
 *
 * Figures: working set = usage less inactive file cache, at least the anonymous memory. v2:
 * memory.current, memory.stat (inactive_file, anon), memory.max, memory.high, memory.events. v1:
 * memory.usage_in_bytes, memory.stat (total_inactive_file, total_rss), memory.limit_in_bytes,
 * memory.failcnt as `max`, memory.oom_control (oom_kill); v1 has no `high`. Stall: memory.pressure
 * of the cgroup2 group and /proc/pressure/memory, `total=`, which the kernel brings up to date on
 * every read. Machine: MemTotal, MemAvailable of /proc/meminfo; where that is hidden (systemd's
 * ProcSubset=pid) and the root of cgroup v2 is in sight, sysinfo(2) and memory.stat of the root
 * (memory_parse_available()). (The kernel's admin-guide:
 * cgroup-v2, cgroup-v1/memory, accounting/psi.)
 *
 * `max` counts also charges that succeeded after reclaim of mere file cache, in v1 as in v2.
 */

#include "cgroup/group.h"
#include "cgroup/memory.h"

struct memory_files {
    bool v1;
    bool top; /* the topmost group that can be seen: in v1 its hierarchical limit speaks for those
                 above it */
    int usage;
    int stat;
    int max;
    int high;
};

/* All descriptors are -1 when their source is missing, and close-on-exec. */
struct memory_source {
    unsigned groups;
    struct memory_files
        group[MEMORY_GROUPS_MAX]; /* [0] the pool's, then its ancestors, nearest first */
    uint64_t ceiling; /* a configured limit of the pool that the kernel could not be given; honoured
                         in the sample */
    bool ceiling_high; /* which is the configured `high` */
    int events;        /* v2 memory.events, v1 memory.oom_control */
    int failures;      /* v1 memory.failcnt */
    int pool_pressure;
    int machine_pressure;
    int machine;
    int machine_stat; /* where `machine` is hidden: memory.stat of cgroup v2's root */
};

/* Opens what there is. Sources that are missing stay so until the next open. Ancestors without a
 * limit are opened too (their limit may be set later) but are in a sample only while they have one.
 * More than MEMORY_GROUPS_MAX levels: the nearest count. Returns 0, or a negative errno when
 * descriptors ran out (-EMFILE, -ENFILE, -ENOMEM); then nothing is open. */
int memory_source_open(struct memory_source *source, const struct pool_group *group);

/* Fills in *sample. Only pread(2), clock_gettime(2) and sysinfo(2): no allocation, no failure; a
 * source that vanished (-ENODEV after its group was removed) or makes no sense has its `known` flag
 * false. group[0] is always there (groups >= 1), perhaps unknown. */
void memory_source_read(const struct memory_source *source, struct memory_sample *sample);

/* Opens the pool's files again after its group was removed. True when they are there. */
bool memory_source_renew(struct memory_source *source, const struct pool_group *group);

void memory_source_close(struct memory_source *source);

#endif
