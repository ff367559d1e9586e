#ifndef CGROUP_PLAN_H
#define CGROUP_PLAN_H

/* What group_open will do, decided by looking only. Private to this room. */

#include "cgroup/group.h"

#include <stdarg.h>

/* The kernel takes 255 (NAME_MAX); the service's part is cut to leave room for prefix and hash. */
#define PLAN_NAME_MAX 128
#define PLAN_NOTE_MAX 2048

/* Leaf for the processes of a delegated group: a group that hands on controllers holds none. */
#define PLAN_MAIN "main"

struct group_plan {
    bool no_pressure; /* no pressure information can be had */
    enum group_mode mode;
    bool settled;
    struct kernel_tree memory;   /* the tree the memory controller is on: v1, or the cgroup2 one */
    struct kernel_tree unified;  /* the cgroup2 tree */
    bool v1;                     /* `memory` is a v1 tree */
    char below[KERNEL_PATH_MAX]; /* the group that the pool's memory group goes below */
    char below_unified
        [KERNEL_PATH_MAX];    /* hybrid: the cgroup2 group above the pool's second one, or "" */
    bool move;                /* unit: the processes of `below` have to move to its leaf first */
    char name[PLAN_NAME_MAX]; /* name of the pool's group */
    char why[PLAN_NOTE_MAX];  /* reasons and cures, "" when there is nothing to say */
};

/* Fills in *plan. 0, -EINVAL without a service, or the error of reading /proc. */
int plan_make(struct group_plan *plan, const struct group_config *config);

/* Finds the trees and our own groups in them, again. */
int plan_look(struct group_plan *plan, const struct cgroup_roots *roots);

/* Adds a reason (printf(3)) to the plan; several are joined with "; ". Too long a text is cut. */
void plan_because(struct group_plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Gives up making anything. */
void plan_observe(struct group_plan *plan);

/* The name of the pool's group. "headroom-SERVICE" for the default instance; with a hash of service
 * and instance behind it otherwise, because two instances may share a group, and when the service's
 * name could not be taken as it is. */
void plan_name(char name[PLAN_NAME_MAX], const char *service, const char *instance);

#endif
