#include "supervisor/ctl/ctl_check_master.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/master_init.h"

/* What headroom does with root's rights. Without CAP_KILL it ends its workers in other ways. */
static const struct {
    unsigned number;
    const char *name;
    const char *use;
    bool chroot; /* only with "y" in the column chroot */
} needed[] = {
    {CAP_SETUID, "CAP_SETUID", "become mail_owner", false},
    {CAP_SETGID, "CAP_SETGID", "become mail_owner", false},
    {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "use what belongs to mail_owner in data_directory",
     false},
    {CAP_SYS_CHROOT, "CAP_SYS_CHROOT", "start workers with chroot y", true},
};

pid_t ctl_master_pid(const struct ctl *ctl)
{
    char path[PATH_MAX + 32];
    char text[64] = ""; /* padded to 32 */
    FILE *file;
    long pid = 0;

    snprintf(path, sizeof path, "%s/pid/master.pid", ctl->postconf.queue_directory);
    file = fopen(path, "re");
    if (file) {
        if (fgets(text, sizeof text, file))
            pid = strtol(text, NULL, 10);
        fclose(file);
    }
    if (pid <= 0)
        return 0;
    /* The number may be another's by now. */
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (!fgets(text, sizeof text, file) || strcmp(text, "master\n") != 0)
        pid = 0;
    fclose(file);
    return (pid_t)pid;
}

/* The effective capabilities of a process. False: they cannot be read. */
static bool capabilities_of(pid_t pid, uint64_t *capabilities)
{
    char path[64];
    char line[256];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "CapEff: %" SCNx64, capabilities) == 1;
    fclose(file);
    return found;
}

static bool any_chroot(const struct master_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        if (file->line[i].chroot && strcmp(file->line[i].command, "headroom") == 0)
            return true;
    return false;
}

static void check_capabilities(pid_t master, const struct master_file *file,
                               struct ctl_findings *findings)
{
    bool chroot = any_chroot(file);
    bool complete = true;
    uint64_t have;

    if (!capabilities_of(master, &have)) {
        ctl_found(findings, CTL_WARNING, "run this as root",
                  "the capabilities of the running master(8), process %ld, cannot be seen",
                  (long)master);
        return;
    }
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if ((have >> needed[i].number & 1) != 0 || (needed[i].chroot && !chroot))
            continue;
        ctl_found(findings, CTL_WRONG,
                  "add it to CapabilityBoundingSet= of Postfix's unit, or to what the container "
                  "may do, and restart Postfix",
                  "the running master(8), process %ld, has no %s, which headroom needs to %s",
                  (long)master, needed[i].name, needed[i].use);
        complete = false;
    }
    if (complete)
        ctl_found(findings, CTL_GOOD, NULL,
                  "the running master(8), process %ld, has the capabilities that headroom needs",
                  (long)master);
}

/* Whether two paths are one file; false also when one cannot be seen. */
static bool same(const char *a, const char *b)
{
    struct stat one;
    struct stat other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* 1: this process is now where that one is; 0: it was there already; or a negative errno. */
static int enter(pid_t pid)
{
    char mounts[64];
    char groups[64];
    char root[64];
    int fd[3] = {-1, -1, -1};
    int result = 0;

    snprintf(mounts, sizeof mounts, "/proc/%ld/ns/mnt", (long)pid);
    snprintf(groups, sizeof groups, "/proc/%ld/ns/cgroup", (long)pid);
    snprintf(root, sizeof root, "/proc/%ld/root", (long)pid);
    if (same(mounts, "/proc/self/ns/mnt") && same(groups, "/proc/self/ns/cgroup") &&
        same(root, "/"))
        return 0;
    fd[0] = open_of(pid, "ns/mnt", O_RDONLY);
    fd[1] = open_of(pid, "ns/cgroup", O_RDONLY);
    fd[2] = open_of(pid, "root", O_PATH | O_DIRECTORY);
    for (int i = 0; i < 3 && result == 0; i++)
        result = fd[i] < 0 ? fd[i] : 0;
    if (result == 0 && (setns(fd[0], CLONE_NEWNS) < 0 || setns(fd[1], CLONE_NEWCGROUP) < 0 ||
                        fchdir(fd[2]) < 0 || chroot(".") < 0))
        result = -errno;
    for (int i = 0; i < 3; i++)
        if (fd[i] >= 0)
            close(fd[i]);
    return result < 0 ? result : 1;
}

void ctl_check_master(pid_t master, const struct master_file *file, struct ctl_findings *findings)
{
    int result;

    check_capabilities(master, file, findings);
    if (master_panics_on_orphans(master))
        ctl_found(
            findings, CTL_WARNING, MASTER_INIT_CURE,
            "the running master(8), process %ld, is process 1 of its container without -i: it "
            "panics on workers that a killed headroom leaves",
            (long)master);
    result = enter(master);
    if (result > 0)
        ctl_found(findings, CTL_GOOD, NULL,
                  "what follows is seen from where master(8) is, which has mounts of its own");
    else if (result < 0)
        ctl_found(findings, CTL_WARNING, "run this as root",
                  "where master(8) is cannot be looked at (%s): what follows is seen from here",
                  strerror(-result));
}
