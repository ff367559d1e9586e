#ifndef CGROUP_MAKE_H
#define CGROUP_MAKE_H

/* Changes to the kernel's groups. Internal to cgroup/. Each returns 0 or a negative errno. */

#include "cgroup/kernel.h"

/* Makes the directory of a group of the v1 memory controller, by libcgroup where it serves the tree
 * at `mount`, else by mkdir(2). -EEXIST when it was there. */
int make_memory_group(const char *mount, const char *directory);

/* The same for a cgroup2 group: libcgroup 2 cannot reach a cgroup2 tree without controllers, and
 * where it can reach one it changes the groups above. */
int make_plain_group(const char *directory);

/* Sets one value of a group of the memory controller. */
int make_value(const char *mount, const char *directory, const char *file, const char *value);

/* Empties a delegated group into its leaf `main` and hands the memory controller on to its leaves.
 * -EBUSY when processes appeared faster than they were moved, -EXDEV when there are some that
 * cannot be named from here. */
int make_room(const char *directory, bool move);

/* Removes a group: 0 also when it is not there. -EBUSY while something runs in it. */
int make_removed(const char *mount, const char *directory);

/* Number of processes in a group. */
int make_count(const char *directory);

#endif
