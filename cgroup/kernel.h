#ifndef CGROUP_KERNEL_H
#define CGROUP_KERNEL_H

/*
 * Where the kernel shows its groups, and the reading of its small files.
 *
 * Everything is found through /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)), not
 * through the magic number of a file system: so a recorded tree of another machine is found exactly
 * as that machine itself is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Longer paths are refused (-ENAMETOOLONG): a group is nested a few levels deep, and PATH_MAX is
 * what the kernel takes. */
#define KERNEL_PATH_MAX 4096

/* The largest file that is read whole. /proc/self/mountinfo of a host with a thousand mounts has
 * about 200 KiB. */
#define KERNEL_FILE_MAX 1048576U

/* Where the two file systems are. NULL stands for /proc and /sys/fs/cgroup. With `sys` set, a mount
 * point that mountinfo gives as /sys/fs/cgroup/X is looked for as SYS/X, and mounts elsewhere do
 * not exist. */
struct cgroup_roots {
    const char *proc;
    const char *sys;
};

/* One hierarchy of groups as seen from here. */
struct kernel_tree {
    bool found;                  /* it is mounted, and our own group is below what is mounted */
    bool read_only;              /* mounted so, by its own options or those of the super block */
    char mount[KERNEL_PATH_MAX]; /* directory of the topmost group that can be seen */
    char own[KERNEL_PATH_MAX];   /* directory of our own group; `mount` itself or below it */
    char base[KERNEL_PATH_MAX];  /* the name that /proc/self/cgroup would give to `mount`: "/", or a
                                    container's group */
};

/* Finds the tree of the v1 memory controller and the cgroup2 tree (with or without controllers). A
 * tree that is not there has `found` false. Returns 0, or a negative errno when /proc itself cannot
 * be read. */
int kernel_trees(const struct cgroup_roots *roots, struct kernel_tree *memory,
                 struct kernel_tree *unified);

/* The directory of the group that /proc/self/cgroup would call `name` ("/a/b"). -EXDEV when it is
 * not below what is mounted, -EINVAL when it does not begin with a slash or has a component "..",
 * -ENAMETOOLONG. */
int kernel_group_directory(const struct kernel_tree *tree, const char *name, char *directory,
                           size_t size);

/* Joins "DIRECTORY/NAME". Returns 0 or -ENAMETOOLONG. */
int kernel_join(char *path, size_t size, const char *directory, const char *name);

/* Path of a file below the proc root ("pressure/memory"). */
int kernel_proc_path(const struct cgroup_roots *roots, const char *name, char *path, size_t size);

/* Reads a small file from its beginning, ends it with a NUL, returns its length (cut at size - 1)
 * or a negative errno. kernel_read_at opens it first, relative to `directory` (openat(2)). Neither
 * allocates. */
ssize_t kernel_read(int descriptor, char *text, size_t size);
ssize_t kernel_read_at(int directory, const char *path, char *text, size_t size);

/* Writes a value to a file of the kernel in one write(2), as these files want it. Never creates. 0
 * or a negative errno. */
int kernel_write_at(int directory, const char *path, const char *value);

#endif
