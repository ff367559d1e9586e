#ifndef CGROUP_LIBRARY_H
#define CGROUP_LIBRARY_H

/* The few calls of libcgroup that set groups of the memory controller up and take them down.
 * Private to this room. The library keeps global state and is not thread-safe: for the parent, at
 * start and end, only. */

#include <stdbool.h>

/* Whether the library is usable for the tree mounted at `mount`. It reads /proc/mounts by itself,
 * so recorded trees are not for it. Its logger, which prints to standard output, is silenced. */
bool library_serves(const char *mount);

/* `name` is the group's directory relative to the mount. All return 0 or -EIO; as the library's own
 * codes say little, and it returns 0 where nothing was made, the caller looks at the result, and
 * tries the plain system call for its errno. */
int library_make(const char *name);
int library_set(const char *name, const char *file, const char *value);
int library_remove(const char *name);

#endif
