#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

/*
 * For the tests of cgroup/: a private copy of a recorded tree (see trees/README), to be changed at will; and groups of the
 * live kernel that are gone when the test is, however it ends.
 */

#include "cgroup/group_parts.h"
#include "cgroup/make.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct tree {
    char root[64];
    char proc[80];
    char sys[80];
};

static inline void tree_path(const struct tree *tree, const char *name, char path[KERNEL_PATH_MAX])
{
    cr_assert_eq(kernel_join(path, KERNEL_PATH_MAX, tree->root, name), 0);
}

/* Makes the directories above a path. */
static inline void tree_parents(const char *path)
{
    char part[KERNEL_PATH_MAX];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(part, 0755);
        *slash = '/';
    }
}

static inline void tree_write(const struct tree *tree, const char *name, const char *text)
{
    char path[KERNEL_PATH_MAX];
    tree_path(tree, name, path);
    tree_parents(path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static inline void tree_remove(const struct tree *tree, const char *name)
{
    char path[KERNEL_PATH_MAX];
    tree_path(tree, name, path);
    cr_assert_eq(unlink(path), 0, "%s", path);
}

/* nftw(3) hands on no context; one tree is copied at a time. */
static struct {
    const char *from;
    const struct tree *to;
} tree_copying;

static inline int tree_copy_one(const char *path, const struct stat *status, int type,
                                struct FTW *at)
{
    static char text[65536];
    (void)status;
    (void)at;
    if (type == FTW_F) {
        cr_assert_geq(kernel_read_at(AT_FDCWD, path, text, sizeof text), 0);
        tree_write(tree_copying.to, path + strlen(tree_copying.from), text);
    }
    return 0;
}

static inline void tree_copy(struct tree *tree, const char *name)
{
    static char from[128];
    (void)snprintf(from, sizeof from, "tests/unit/trees/%s", name);
    (void)snprintf(tree->root, sizeof tree->root, "/tmp/headroom-tree.XXXXXX");
    cr_assert_not_null(mkdtemp(tree->root));
    (void)snprintf(tree->proc, sizeof tree->proc, "%s/proc", tree->root);
    (void)snprintf(tree->sys, sizeof tree->sys, "%s/sys", tree->root);
    tree_copying.from = from;
    tree_copying.to = tree;
    cr_assert_eq(nftw(from, tree_copy_one, 8, FTW_PHYS), 0, "start the tests in the top directory");
}

static inline int tree_drop_one(const char *path, const struct stat *status, int type,
                                struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void tree_drop(const struct tree *tree)
{
    (void)nftw(tree->root, tree_drop_one, 1, FTW_PHYS | FTW_DEPTH);
}

static inline struct group_config tree_config(const struct tree *tree)
{
    return (struct group_config){.service = "lmtp",
                                 .limit = UINT64_MAX,
                                 .high = UINT64_MAX,
                                 .roots = {.proc = tree->proc, .sys = tree->sys}};
}

/* ---- live groups ---- */

static inline void live_end_group(const char *directory)
{
    char path[KERNEL_PATH_MAX];
    if (kernel_join(path, sizeof path, directory, "cgroup.procs") != 0)
        return;
    for (unsigned attempt = 0; attempt < 100 && access(path, F_OK) == 0; attempt++) {
        FILE *file = fopen(path, "r");
        char line[32];
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            const pid_t process = (pid_t)strtol(line, NULL, 10);
            if (process > 1)
                (void)kill(process, SIGKILL);
        }
        if (file != NULL)
            (void)fclose(file);
        if (rmdir(directory) == 0)
            return;
        (void)poll(NULL, 0, 10);
    }
}

/* A configuration for a group of the live kernel, named after the test's process. Skips the test where none can be made.
 * A guard process outlives the test, also one that crashed, and clears away what is left of the group. */
static inline struct group_config live_config(char instance[64])
{
    (void)snprintf(instance, 64, "test-%d", (int)getpid());
    struct group_config config = {
        .service = "unit-test", .instance = instance, .limit = UINT64_MAX, .high = UINT64_MAX};
    struct pool_group *group;
    cr_assert_eq(group_find(&group, &config), 0);
    /* In unit mode the test's own processes would be moved: not in a unit test. tests/vm does it. */
    if (group_mode(group) != GROUP_HYBRID || group->plan.below_unified[0] == '\0')
        cr_skip_test("not a hybrid machine with writable groups: %s", group_note(group));
    const pid_t test = getpid();
    const pid_t guard = fork();
    cr_assert_geq(guard, 0);
    if (guard == 0) {
        struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, test, 0), .events = POLLIN};
        (void)setsid();
        while (getppid() == test && end.fd >= 0 && poll(&end, 1, -1) < 0)
            ;
        live_end_group(group->memory);
        live_end_group(group->unified);
        _exit(0);
    }
    group_close(group);
    return config;
}

/* In a child of group_clone: waits to be killed, and does not outlive the test. */
static inline _Noreturn void live_wait(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        (void)pause();
}

static inline void live_end(pid_t process)
{
    cr_assert_eq(kill(process, SIGKILL), 0);
    cr_assert_eq(waitpid(process, NULL, 0), process);
}

#endif
