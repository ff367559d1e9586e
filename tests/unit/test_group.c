/* cgroup/kernel, cgroup/plan, cgroup/group: which mode, and what is made of it. */

#include "cgroup/group.h"
#include "cgroup/plan.h"
#include "tests/unit/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define MB ((uint64_t)1 << 20)
#define UNIT "sys/system.slice/postfix@-.service"

static struct tree tree;

static void drop(void)
{
    tree_drop(&tree);
}

static struct pool_group *find(const struct group_config *config)
{
    struct pool_group *group;
    cr_assert_eq(group_find(&group, config), 0);
    return group;
}

static void expect_note(const struct pool_group *group, const char *part)
{
    cr_expect_not_null(strstr(group_note(group), part), "\"%s\" is not in: %s", part,
                       group_note(group));
    cr_expect_null(strchr(group_note(group), '\n'));
}

/* Opens, compares mode and warning, looks for a part of the note. */
static void expect_mode(const struct group_config *config, enum group_mode mode, bool settled,
                        const char *part)
{
    struct pool_group *group = find(config);
    cr_expect_eq(group_mode(group), mode, "%s", group_note(group));
    cr_expect_eq(group_settled(group), settled, "%s", group_note(group));
    expect_note(group, part);
    group_close(group);
}

static void delegate(const char *name)
{
    char path[KERNEL_PATH_MAX];
    tree_path(&tree, name, path);
    if (setxattr(path, "user.delegate", "1", 1, 0) != 0)
        cr_skip_test("no extended attributes of users in /tmp");
}

/* ---- names ---- */

Test(name, tells_instances_apart)
{
    char plain[PLAN_NAME_MAX];
    char first[PLAN_NAME_MAX];
    char second[PLAN_NAME_MAX];
    plan_name(plain, "lmtp", NULL);
    cr_expect_str_eq(plain, "headroom-lmtp");
    plan_name(first, "lmtp", "/var/spool/postfix");
    cr_expect_str_eq(first, "headroom-lmtp");
    plan_name(first, "lmtp", "/var/spool/postfix-out");
    plan_name(second, "lmtp", "/var/spool/postfix-in");
    cr_expect_str_neq(first, plain);
    cr_expect_str_neq(first, second);
    cr_expect_eq(strncmp(first, "headroom-lmtp-", 14), 0);
    plan_name(second, "lmtp", "/var/spool/postfix-out");
    cr_expect_str_eq(first, second, "found again by a successor");
}

Test(name, is_one_component_and_short)
{
    char first[PLAN_NAME_MAX];
    char second[PLAN_NAME_MAX];
    char text[1000];
    plan_name(first, "../a/b", NULL);
    plan_name(second, "../a_b", NULL);
    cr_expect_null(strchr(first, '/'));
    cr_expect_eq(strncmp(first, "headroom-", 9), 0);
    cr_expect_str_neq(first, second);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    plan_name(first, text, NULL);
    text[500] = 'y';
    plan_name(second, text, NULL);
    cr_expect_lt(strlen(first), 100);
    cr_expect_str_neq(first, second);
}

/* ---- modes ---- */

Test(mode, hybrid, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_HYBRID, false,
                "sys/memory/mail/postfix/headroom-lmtp, pressure from ");
    expect_mode(&config, GROUP_HYBRID, false, "sys/unified/mail/headroom-lmtp");
    config.high = 32 * MB;
    expect_mode(&config, GROUP_HYBRID, true, "cgroup v1 has no memory.high");
}

/* headroom_main has a strict umask, and the dispatcher, which counts the processes, is not root. */
Test(mode, made_groups_can_be_read_by_all, .fini = drop)
{
    char path[KERNEL_PATH_MAX];
    struct stat status;
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    struct pool_group *group;
    umask(077);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(stat(group_directory(group), &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0755);
    tree_path(&tree, "sys/unified/mail/headroom-lmtp", path);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0755);
    group_close(group);
}

Test(mode, looking_makes_nothing, .fini = drop)
{
    char path[KERNEL_PATH_MAX];
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    struct pool_group *group = find(&config);
    tree_path(&tree, "sys/memory/mail/postfix/headroom-lmtp", path);
    cr_expect_eq(access(path, F_OK), -1);
    cr_expect_str_eq(group_directory(group), "");
    cr_expect_eq(group_count_processes(group), -EOPNOTSUPP);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

Test(mode, hybrid_without_the_second_tree, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    tree_write(&tree, "proc/self/cgroup", "4:memory:/mail/postfix\n");
    tree_write(&tree, "proc/self/mountinfo",
               "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_HYBRID, true, "no writable cgroup2 tree beside cgroup v1");
    expect_mode(&config, GROUP_HYBRID, true, "pressure from the machine");
}

Test(mode, unit_only_when_delegated, .fini = drop)
{
    tree_copy(&tree, "v2");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_OBSERVE, true,
                "postfix@-.service is not delegated: give Postfix's unit");
    delegate(UNIT);
    expect_mode(&config, GROUP_UNIT, false, "postfix@-.service/headroom-lmtp, pressure from ");
    struct pool_group *group = find(&config);
    cr_expect(group->plan.move);
    group_close(group);
    /* Started again, after an earlier start had moved everything to the leaf. */
    tree_write(&tree, UNIT "/main/cgroup.events", "populated 1\n");
    tree_write(&tree, "proc/self/cgroup", "0::/system.slice/postfix@-.service/main\n");
    group = find(&config);
    cr_expect_eq(group_mode(group), GROUP_UNIT, "%s", group_note(group));
    expect_note(group, "postfix@-.service/headroom-lmtp, pressure from ");
    cr_expect(group->plan.move, "stragglers");
    group_close(group);
}

Test(mode, unit_needs_the_controller, .fini = drop)
{
    tree_copy(&tree, "v2");
    delegate(UNIT);
    tree_write(&tree, UNIT "/cgroup.controllers", "cpu memory_other pids\n");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_OBSERVE, true, "has no memory controller");
}

/* A group that is not ours and not delegated is not entered because it is called main. */
Test(mode, main_of_somebody_else, .fini = drop)
{
    tree_copy(&tree, "v2");
    tree_write(&tree, UNIT "/main/cgroup.events", "populated 1\n");
    tree_write(&tree, "proc/self/cgroup", "0::/system.slice/postfix@-.service/main\n");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_OBSERVE, true, "postfix@-.service/main is not delegated");
}

/* In a container's name space its root group is called "/", and it is all ours. */
Test(mode, root_group_of_a_container, .fini = drop)
{
    tree_copy(&tree, "v2");
    tree_write(&tree, "proc/self/cgroup", "0::/\n");
    tree_write(&tree, "sys/cgroup.events", "populated 1\n");
    struct group_config config = tree_config(&tree);
    struct pool_group *group = find(&config);
    cr_expect_eq(group_mode(group), GROUP_UNIT, "%s", group_note(group));
    cr_expect(group->plan.move);
    group_close(group);
}

Test(mode, read_only_container, .fini = drop)
{
    tree_copy(&tree, "container");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_OBSERVE, true, "mounted read-only");
    tree_write(
        &tree, "proc/self/mountinfo",
        "35 31 0:32 /docker/0f3a5d3a7c3e /sys/fs/cgroup/memory rw - cgroup cgroup ro,memory\n");
    expect_mode(&config, GROUP_OBSERVE, true, "mounted read-only");
    config.limit = 64 * MB;
    expect_mode(&config, GROUP_OBSERVE, true, "memory.limit and memory.high have no group");
}

/* Debian 13's postfix.service without the drop-in, with half of it, and with all. */
Test(mode, hardened_unit, .fini = drop)
{
    tree_copy(&tree, "v2");
    tree_write(&tree, "proc/self/mountinfo",
               "31 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    tree_remove(&tree, "proc/meminfo");
    tree_remove(&tree, "proc/pressure/memory");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_OBSERVE, true,
                "is not delegated and mounted read-only (ProtectControlGroups=yes)");
    expect_mode(&config, GROUP_OBSERVE, true, "\"ProtectControlGroups=no\"");
    expect_mode(&config, GROUP_OBSERVE, true, "then restart it");
    expect_mode(&config, GROUP_OBSERVE, true, "set ProcSubset=all in Postfix's unit");
    expect_mode(&config, GROUP_OBSERVE, true, "pressure from ");
    struct pool_group *group = find(&config);
    cr_expect_null(strstr(group_note(group), "psi=1"), "%s", group_note(group));
    cr_expect_null(strstr(group_note(group), "container"), "%s", group_note(group));
    cr_expect_null(strstr(group_note(group), "postfix reload"), "%s", group_note(group));
    cr_expect_null(strstr(group_note(group), "nowhere"), "%s", group_note(group));
    group_close(group);
    delegate(UNIT);
    expect_mode(&config, GROUP_OBSERVE, true, "set ProtectControlGroups=no in Postfix's unit");
    /* As a mount on top of the one that it hides. */
    tree_write(&tree, "proc/self/mountinfo",
               "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
               "99 31 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    expect_mode(&config, GROUP_OBSERVE, true, "set ProtectControlGroups=no in Postfix's unit");
    tree_write(&tree, "proc/self/mountinfo",
               "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    expect_mode(&config, GROUP_UNIT, true, "set ProcSubset=all in Postfix's unit");
    tree_write(&tree, "proc/meminfo", "MemTotal: 1 kB\n");
    tree_write(&tree, "proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    expect_mode(&config, GROUP_UNIT, false, "pressure from ");
}

Test(mode, nothing_to_see, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    static const char *const mounts[] = {
        "",
        "rubbish\n\n - \n1 2 3 4 5 6 -\n",
        /* our own group is not below what is mounted */
        "35 31 0:32 /other /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n",
        "35 31 0:32 /mai /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n",
        /* not the memory controller */
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memoryless\n",
    };
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        tree_write(&tree, "proc/self/mountinfo", mounts[i]);
        expect_mode(&config, GROUP_OBSERVE, true, "no group can be seen");
    }
    static const char *const groups[] = {"",      "rubbish\n",       "4:memory\n", "4:memory:\n",
                                         ":::\n", "4:memory:/../x\n"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        tree_write(&tree, "proc/self/mountinfo",
                   "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
        tree_write(&tree, "proc/self/cgroup", groups[i]);
        expect_mode(&config, GROUP_OBSERVE, true, "no group can be seen");
    }
    struct pool_group *group;
    tree_remove(&tree, "proc/self/mountinfo");
    cr_expect_eq(group_find(&group, &config), -ENOENT);
    cr_expect_null(group);
    config.service = "";
    cr_expect_eq(group_find(&group, &config), -EINVAL);
}

Test(mode, no_pressure_information, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    tree_remove(&tree, "proc/pressure/memory");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_HYBRID, true, "boot with psi=1");
}

Test(mode, escaped_mount_point, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    tree_write(&tree, "sys/a b\\c/mail/postfix/memory.usage_in_bytes", "1\n");
    tree_write(&tree, "proc/self/mountinfo",
               "35 31 0:32 / /sys/fs/cgroup/a\\040b\\134c rw,relatime shared:1 master:2 - cgroup "
               "cgroup rw,memory\n");
    struct group_config config = tree_config(&tree);
    expect_mode(&config, GROUP_HYBRID, true, "sys/a b\\c/mail/postfix/headroom-lmtp");
}

Test(mode, wish, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    config.wish = GROUP_WISH_OBSERVE;
    expect_mode(&config, GROUP_OBSERVE, false, "sys/memory/mail/postfix, pressure from ");
    config.wish = GROUP_WISH_HYBRID;
    expect_mode(&config, GROUP_HYBRID, false, "memory group: hybrid");
    config.wish = GROUP_WISH_UNIT;
    expect_mode(&config, GROUP_OBSERVE, true, "cgroup.mode = unit needs cgroup v2");
    tree_drop(&tree);
    tree_copy(&tree, "v2");
    config = tree_config(&tree);
    config.wish = GROUP_WISH_HYBRID;
    expect_mode(&config, GROUP_OBSERVE, true, "cgroup.mode = hybrid needs");
}

Test(mode, parent, .fini = drop)
{
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    config.parent = "/mail";
    expect_mode(&config, GROUP_HYBRID, false, "sys/memory/mail/headroom-lmtp, pressure from ");
    static const char *const bad[] = {"/nowhere", "mail", "", "/mail/../..", "/.."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config.parent = bad[i];
        expect_mode(&config, GROUP_OBSERVE, true, "cgroup.parent");
    }
    tree_drop(&tree);
    tree_copy(&tree, "v2");
    config = tree_config(&tree);
    /* The operator's word replaces the delegation; but only our own processes are ever moved. */
    config.parent = "/system.slice";
    struct pool_group *group = find(&config);
    cr_expect_eq(group_mode(group), GROUP_UNIT, "%s", group_note(group));
    cr_expect_not(group->plan.move);
    group_close(group);
    config.parent = "/system.slice/postfix@-.service";
    group = find(&config);
    cr_expect_eq(group_mode(group), GROUP_UNIT, "%s", group_note(group));
    cr_expect(group->plan.move);
    group_close(group);
}

/* In a tree of plain files directories can be made, but the kernel's files do not appear: a limit cannot be set. The
 * configured one holds nevertheless. */
Test(mode, limit_that_cannot_be_set, .fini = drop)
{
    struct pool_group *group;
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    config.limit = 64 * MB;
    config.high = 48 * MB;
    cr_assert_eq(group_open(&group, &config), 0);
    cr_expect_eq(group_mode(group), GROUP_HYBRID);
    cr_expect(group_settled(group));
    expect_note(group, "memory.limit could not be set (No such file or directory)");
    cr_expect_eq(group->ceiling, 48 * MB);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* ---- live groups ---- */

/* The group of a process in one hierarchy, as the kernel tells it. */
static void group_of(pid_t process, const char *hierarchy, char *name, size_t size)
{
    char path[64];
    char text[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/cgroup", (int)process);
    cr_assert_gt(kernel_read_at(AT_FDCWD, path, text, sizeof text), 0);
    char *at = strstr(text, hierarchy);
    cr_assert_not_null(at, "%s: %s", hierarchy, text);
    at += strlen(hierarchy);
    (void)snprintf(name, size, "%.*s", (int)strcspn(at, "\n"), at);
}

/* Whether the kernel's line for a hierarchy ends with the pool's group. */
static bool ends_with(const char *path, const char *name)
{
    const size_t length = strlen(path);
    const size_t rest = strlen(name);
    return length > rest && path[length - rest - 1] == '/' &&
           strcmp(path + length - rest, name) == 0;
}

static bool in_groups(pid_t process, const struct pool_group *group)
{
    char memory[KERNEL_PATH_MAX];
    char unified[KERNEL_PATH_MAX];
    group_of(process, ":memory:", memory, sizeof memory);
    group_of(process, "\n0::", unified, sizeof unified);
    return ends_with(memory, group->plan.name) && ends_with(unified, group->plan.name);
}

/* Starts a process in the group that says when it is inside (group_clone has returned in it). */
static pid_t start(struct pool_group *group)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    const pid_t process = group_clone(group);
    if (process == 0) {
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        live_wait();
    }
    cr_assert_gt(process, 0, "%s", strerror(-process));
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return process;
}

static uint64_t number_in(const struct pool_group *group, const char *file)
{
    char path[KERNEL_PATH_MAX];
    char text[64];
    cr_assert_eq(kernel_join(path, sizeof path, group_directory(group), file), 0);
    cr_assert_gt(kernel_read_at(AT_FDCWD, path, text, sizeof text), 0);
    return strtoull(text, NULL, 10);
}

Test(live, workers_are_born_in_the_group)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    config.limit = 64 * MB;
    cr_assert_eq(group_open(&group, &config), 0);
    cr_expect_eq(group_mode(group), GROUP_HYBRID);
    cr_expect_not(group_settled(group), "%s", group_note(group));
    cr_expect_null(strstr(group_note(group), "predecessor"), "%s", group_note(group));
    cr_expect_eq(number_in(group, "memory.limit_in_bytes"), 64 * MB);
    cr_expect_eq(group_count_processes(group), 0);
    const pid_t first = start(group);
    const pid_t second = start(group);
    cr_expect(in_groups(first, group));
    cr_expect(in_groups(second, group));
    cr_expect_not(in_groups(getpid(), group));
    cr_expect_eq(group_count_processes(group), 2);
    live_end(first);
    cr_expect_eq(group_remove(group), -EBUSY, "one still runs");
    cr_expect(in_groups(second, group), "and is left alone");
    live_end(second);
    cr_expect_eq(group_remove(group), 0);
    cr_expect_eq(access(group->memory, F_OK), -1);
    cr_expect_eq(access(group->unified, F_OK), -1);
    cr_expect_eq(group_remove(group), 0, "nothing left to remove");
    group_close(group);
}

/* Is a file of that name open for writing in this process? */
static bool open_for_writing(const char *name)
{
    char path[64], target[KERNEL_PATH_MAX];

    for (int fd = 0; fd < 256; fd++) {
        const int flags = fcntl(fd, F_GETFL);
        ssize_t length;

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY ||
            (length = readlink(path, target, sizeof target - 1)) < 0)
            continue;
        target[length] = '\0';
        if (strstr(target, name) != NULL)
            return true;
    }
    return false;
}

/* Who is not root must not be able to put processes there by a descriptor that was root's. */
Test(live, the_dispatcher_keeps_no_way_into_the_group)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_expect(open_for_writing("/cgroup.procs"));
    group_renounce(group);
    cr_expect_not(open_for_writing("/cgroup.procs"));
    cr_expect_eq(group_count_processes(group), 0);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* What a killed predecessor leaves: its group, a worker in it, its limit. */
Test(live, adoption)
{
    char instance[64];
    struct pool_group *first;
    struct pool_group *second;
    struct group_config config = live_config(instance);
    config.limit = 64 * MB;
    cr_assert_eq(group_open(&first, &config), 0);
    const pid_t worker = start(first);
    group_close(first);
    config.limit = UINT64_MAX;
    cr_assert_eq(group_open(&second, &config), 0);
    cr_expect_not(group_settled(second), "%s", group_note(second));
    expect_note(second, "left by a predecessor");
    cr_expect_eq(group_count_processes(second), 1);
    cr_expect_gt(number_in(second, "memory.limit_in_bytes"), UINT64_C(1) << 62,
                 "no limit any more");
    group_close(second);
    /* A limit below what is used is not forced on busy workers, but kept for new ones. */
    config.limit = 4096;
    cr_assert_eq(group_open(&second, &config), 0);
    cr_expect(group_settled(second));
    expect_note(second, "memory.limit could not be set (the group already uses more)");
    cr_expect_eq(second->ceiling, 4096);
    cr_expect(in_groups(worker, second));
    live_end(worker);
    cr_expect_eq(group_remove(second), 0);
    group_close(second);
}

/* Refuses a system call, as an old kernel, a container's filter or a shortage does. */
static void refuse(int call, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void start_with_refusal(unsigned error)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    refuse(SYS_clone3, error);
    const pid_t worker = start(group);
    cr_expect(in_groups(worker, group));
    live_end(worker);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

Test(live, old_kernel)
{
    start_with_refusal(ENOSYS);
}

Test(live, filtered)
{
    start_with_refusal(EPERM);
}

/* No room for a process is not a reason to try another way. */
Test(live, no_room_for_a_process)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    refuse(SYS_clone3, EAGAIN);
    const pid_t worker = group_clone(group);
    if (worker == 0)
        _exit(0);
    cr_expect_eq(worker, -EAGAIN);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* Whether or not this kernel kills what is cloned into a group after cgroup.kill: a worker lives. */
Test(live, killed_as_a_whole)
{
    char instance[64];
    char path[KERNEL_PATH_MAX];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    int status = 0;
    cr_assert_eq(group_open(&group, &config), 0);
    pid_t worker = start(group);
    cr_assert_eq(kernel_join(path, sizeof path, group->unified, "cgroup.kill"), 0);
    if (kernel_write_at(AT_FDCWD, path, "1") != 0) {
        live_end(worker);
        (void)group_remove(group);
        group_close(group);
        cr_skip_test("no cgroup.kill before Linux 5.14");
    }
    cr_assert_eq(waitpid(worker, &status, 0), worker);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    group_was_killed(group);
    for (int round = 0; round < 2; round++) {
        worker = start(group);
        cr_expect(in_groups(worker, group));
        live_end(worker);
    }
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* Those that were started by nobody we know end too, and those that cannot be signalled: it asks for no right over them. */
Test(live, all_of_it_is_ended)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    const pid_t first = start(group);
    const pid_t second = start(group);
    kill(second, SIGSTOP);
    cr_expect_eq(group_remove(group), -EBUSY);
    const int result = group_kill(group);
    if (result == -EOPNOTSUPP) {
        kill(second, SIGCONT);
        live_end(first);
        live_end(second);
        (void)group_remove(group);
        group_close(group);
        cr_skip_test("no cgroup.kill before Linux 5.14");
    }
    cr_expect_eq(result, 0);
    int status = 0;
    cr_expect_eq(waitpid(first, &status, 0), first);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_eq(waitpid(second, &status, 0), second);
    cr_expect_eq(group_remove(group), 0);
    cr_expect_eq(group_kill(group), -EOPNOTSUPP);
    group_close(group);
}

/* Somebody removed the groups under us: mail goes on outside. */
Test(live, group_gone)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(rmdir(group->memory), 0);
    cr_assert_eq(rmdir(group->unified), 0);
    cr_expect_eq(group_count_processes(group), -ENODEV);
    const pid_t worker = start(group);
    cr_expect_not(in_groups(worker, group));
    live_end(worker);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* The kernel refuses the group itself: observe, and the reason. */
/* One of the two that cannot be made again is tried again, until both are there, with their limits. */
Test(live, groups_that_cannot_be_made_again_at_first)
{
    char instance[64], kept[sizeof((struct group_plan *)0)->below];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    config.limit = 64 * MB;
    cr_assert_eq(group_open(&group, &config), 0);
    char *const below[] = {group->plan.below_unified, group->plan.below};
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(rmdir(group->unified), 0);
        cr_assert_eq(rmdir(group->memory), 0);
        memcpy(kept, below[i], sizeof kept);
        (void)snprintf(below[i], sizeof kept, "/nonexistent");
        cr_expect_eq(group_renew(group), -ENOENT, "%u", i);
        cr_expect_eq(group_renew(group), -ENOENT, "%u, once more", i);
        const pid_t outside = start(group);
        live_end(outside);
        memcpy(below[i], kept, sizeof kept);
        cr_expect_eq(group_renew(group), 1, "%u", i);
        cr_expect_eq(group_renew(group), 0);
        cr_expect_eq(number_in(group, "memory.limit_in_bytes"), 64 * MB);
        const pid_t worker = start(group);
        cr_expect(in_groups(worker, group));
        live_end(worker);
    }
    cr_expect_eq(group_remove(group), 0);
    cr_expect_eq(access(group->unified, F_OK), -1);
    group_close(group);
}

Test(live, group_cannot_be_made)
{
    char instance[64];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    config.limit = 64 * MB;
#ifdef SYS_mkdir
    refuse(SYS_mkdir, ENOSPC);
#else /* newer architectures, arm64 for one, have only this */
    refuse(SYS_mkdirat, ENOSPC);
#endif
    cr_assert_eq(group_open(&group, &config), 0);
    cr_expect_eq(group_mode(group), GROUP_OBSERVE);
    cr_expect(group_settled(group));
    expect_note(group, "could not be made (No space left on device)");
    expect_note(group, "memory.limit and memory.high have no group to be set on");
    cr_expect_str_eq(group_directory(group), "");
    cr_expect_eq(strcmp(group->memory, group->plan.memory.own), 0);
    const pid_t worker = start(group);
    cr_expect_not(in_groups(worker, group));
    live_end(worker);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* What the kernel does not let us remove is not said to be removed. */
Test(live, removal_refused)
{
    char instance[64];
    char path[KERNEL_PATH_MAX];
    struct pool_group *group;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(kernel_join(path, sizeof path, group_directory(group), "child"), 0);
    cr_assert_eq(mkdir(path, 0755), 0);
    const int result = group_remove(group);
    cr_assert_eq(rmdir(path), 0);
    cr_expect_eq(result, -EBUSY);
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}
