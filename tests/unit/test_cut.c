/*
 * supervisor/parent/cut.h: what root has left, in processes of their own that have given it up, and
 * in what they execute.
 */

#include "supervisor/parent/cut.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* Exit statuses that are no errno value. */
#define SUCCEEDED 200
#define NOT_CUT 201

static const char *agent = "lmtp";

static void setup(void)
{
    agent = "lmtp";
    if (geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0) != 1)
        cr_skip_test("root's capabilities are needed");
}

TestSuite(cut, .init = setup);

static int in_child(int (*what)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(20);
        _exit(cut_rights(agent) == CUT_FORBIDDEN ? NOT_CUT : what());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "%#x", (unsigned)status);
    return WEXITSTATUS(status);
}

static int done(long result)
{
    return result < 0 ? errno : SUCCEEDED;
}

static int mounts(void)
{
    return done(mount("none", "/proc", "tmpfs", 0, NULL));
}

static int makes_a_device(void)
{
    unlink("/tmp/headroom-cut");
    return done(mknod("/tmp/headroom-cut", S_IFCHR | 0600, 0x103));
}

static int names_the_host(void)
{
    return done(sethostname("cut", 3));
}

static int gives_files_away(void)
{
    char path[] = "/tmp/headroom-cut-XXXXXX";
    int fd = mkstemp(path), result = done(fchown(fd, NOBODY, NOBODY));

    unlink(path);
    return result;
}

Test(cut, what_no_worker_needs_is_gone)
{
    cr_expect_eq(in_child(mounts), EPERM);
    cr_expect_eq(in_child(makes_a_device), EPERM);
    cr_expect_eq(in_child(names_the_host), EPERM);
    cr_expect_eq(in_child(gives_files_away), EPERM);
}

static int starts_a_worker(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (chroot("/") < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(errno);
        for (;;)
            pause();
    }
    /* It is another user's soon; until then this is easy. */
    while (kill(pid, 0) == 0) {
        struct stat owner;
        char path[32];

        snprintf(path, sizeof path, "/proc/%d", (int)pid);
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WEXITSTATUS(status);
        if (stat(path, &owner) == 0 && owner.st_uid == NOBODY)
            break;
    }
    if (kill(pid, SIGTERM) < 0)
        return errno;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? SUCCEEDED : 1;
}

/* One in which nobody may make anything, but who may override that. */
static int uses_files_of_others(void)
{
    char path[] = "/tmp/headroom-cut-XXXXXX", inside[64];
    int result;

    if (!mkdtemp(path))
        return errno;
    result = done(chmod(path, 0));
    snprintf(inside, sizeof inside, "%s/inside", path);
    result = result == SUCCEEDED ? done(mkdir(inside, 0700)) : result;
    rmdir(inside);
    rmdir(path);
    return result;
}

Test(cut, what_a_start_needs_is_left)
{
    cr_expect_eq(in_child(starts_a_worker), SUCCEEDED);
    cr_expect_eq(in_child(uses_files_of_others), SUCCEEDED);
}

/* An agent that is executed has no more; status 1 when grep finds another line. */
static int executes(void)
{
    execl("/bin/sh", "sh", "-c",
          "grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status && "
          "grep -q '^CapEff:[[:space:]]*00000000000400e6' /proc/self/status && exit 200; exit 1",
          (char *)NULL);
    return errno;
}

static int keeps_all(void)
{
    char line[256], wanted[] = "NoNewPrivs:\t0\n";
    FILE *file = fopen("/proc/self/status", "re");

    while (file && fgets(line, sizeof line, file))
        if (strcmp(line, wanted) == 0 && prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0) == 1)
            return SUCCEEDED;
    return 1;
}

Test(cut, an_agent_that_is_executed)
{
    if (access("/sys/fs/selinux/enforce", F_OK) < 0)
        cr_expect_eq(in_child(executes), SUCCEEDED);
    agent = "smtp";
    cr_expect_eq(in_child(mounts), EPERM);
    agent = "local";
    cr_expect_eq(in_child(keeps_all), SUCCEEDED, "its users' programs may be set-user-id");
    agent = "pipe";
    cr_expect_eq(in_child(keeps_all), SUCCEEDED);
    cr_expect_null(cut_text(CUT_DONE));
    cr_expect_null(cut_text(CUT_AGENT_NEEDS));
}

Test(cut, a_unit_without_setpcap)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

        syscall(SYS_capget, &header, sets);
        sets[0].effective &= ~(1U << CAP_SETPCAP);
        sets[0].permitted &= ~(1U << CAP_SETPCAP);
        if (syscall(SYS_capset, &header, sets) < 0)
            _exit(1);
        _exit(cut_rights("lmtp") == CUT_WORKERS_KEEP && mounts() == EPERM ? SUCCEEDED : 2);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(WEXITSTATUS(status), SUCCEEDED);
    cr_expect_not_null(strstr(cut_text(CUT_WORKERS_KEEP), "CAP_SETPCAP"));
}

/* A filter ends who calls capset(2), as systemd's SystemCallFilter= may. */
Test(cut, a_filter_that_forbids_it_is_seen_by_a_child)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

        if (!filter || seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(capset), 0) < 0 ||
            seccomp_load(filter) < 0)
            _exit(NOT_CUT);
        _exit(cut_rights("lmtp") == CUT_FORBIDDEN ? SUCCEEDED : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CUT)
        cr_skip_test("no seccomp here");
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == SUCCEEDED);
}
