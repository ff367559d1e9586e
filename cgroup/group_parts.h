#ifndef CGROUP_GROUP_PARTS_H
#define CGROUP_GROUP_PARTS_H

/* The inside of struct pool_group. Private to this room. */

#include "cgroup/plan.h"

struct pool_group {
    struct group_plan plan;
    struct cgroup_roots roots;
    bool made; /* the pool's directories are there, and ours to remove */
    bool adopted;
    char memory[KERNEL_PATH_MAX];  /* directory of the sampled group; observe: our own; or "" */
    char unified[KERNEL_PATH_MAX]; /* cgroup2 directory whose pressure is sampled, or "" */
    bool unified_made;             /* hybrid: `unified` is a group of ours */
    int unified_error;             /* why it could not be made; 0: it could, or is not wanted */
    bool paired;                   /* it was, before the groups were lost */
    bool lost;                     /* group_renew has failed, and is to be tried again */
    int unified_directory;         /* the same, open; or -1 */
    int clone_directory;           /* what to clone into: unified_directory, or -1 */
    bool doubt;                    /* whether what is cloned into it lives has to be tried */
    int enter_memory;              /* cgroup.procs of the v1 group, for writing, or -1 */
    int enter_unified;             /* cgroup.procs of the cgroup2 group, for writing, or -1 */
    uint64_t limit;                /* as configured, for group_renew */
    uint64_t high;
    uint64_t ceiling; /* a configured limit that the kernel does not hold, or MEMORY_UNLIMITED */
    char note[PLAN_NOTE_MAX + 2 * KERNEL_PATH_MAX + 128];
};

#endif
