#include "supervisor/ctl/ctl_check_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agents/capture.h"
#include "cgroup/group.h"
#include "supervisor/ctl/ctl_check_master.h"
#include "supervisor/ctl/ctl_words.h"
#include "supervisor/report/metrics.h"

/* ProcSubset=pid of systemd.exec(5): /proc shows processes only. */
#define PROC_SUBSET "subset=pid"

/* ProtectControlGroups=yes: in a line of mountinfo. */
#define READ_ONLY " /sys/fs/cgroup ro,"

/* How long the program may take to tell its version. */
#define RUN_MS 5000

static void check_directory(const struct ctl *ctl, struct ctl_findings *findings)
{
    const char *path = ctl->postconf.data_directory;
    const struct passwd *owner = getpwnam(ctl->postconf.mail_owner);
    struct statvfs system;
    struct stat found;

    if (!owner)
        ctl_found(findings, CTL_WRONG, "add the user, or set mail_owner in main.cf",
                  "mail_owner %s is not a user", ctl->postconf.mail_owner);
    else if (stat(path, &found) < 0)
        ctl_found(findings, CTL_WRONG, "postfix set-permissions", "data_directory %s: %s", path,
                  strerror(errno));
    else if (!S_ISDIR(found.st_mode) || found.st_uid != owner->pw_uid)
        ctl_found(findings, CTL_WRONG, "postfix set-permissions",
                  "data_directory %s must be a directory of %s", path, ctl->postconf.mail_owner);
    else
        ctl_found(findings, CTL_GOOD, NULL, "data_directory %s belongs to %s", path,
                  ctl->postconf.mail_owner);
    if (statvfs(path, &system) == 0 && (system.f_flag & ST_RDONLY) != 0)
        ctl_found(findings, CTL_WARNING, "ReadWritePaths= in Postfix's unit, or mount it rw",
                  "data_directory %s is read-only", path);
    else if (statvfs(path, &system) == 0 && (system.f_bavail == 0 || system.f_favail == 0))
        ctl_found(findings, CTL_WARNING, "make room",
                  "the file system of data_directory %s is full", path);
}

/* Whether a mount of a process, "self" or a number, has both words in its line. */
static bool has_mount(const char *process, const char *where, const char *option)
{
    char path[64];
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/mountinfo", process);
    file = fopen(path, "re");
    while (file && !found && getline(&line, &size, file) > 0)
        found = strstr(line, where) && strstr(line, option);
    free(line);
    if (file)
        fclose(file);
    return found;
}

bool ctl_check_hidden(pid_t master)
{
    char process[32];

    snprintf(process, sizeof process, "%ld", (long)master);
    /* What systemd itself does not see, in a container, no restart shows. */
    return (has_mount(process, " /proc ", PROC_SUBSET) &&
            !has_mount("1", " /proc ", PROC_SUBSET)) ||
           (has_mount(process, READ_ONLY, "cgroup2") && !has_mount("1", READ_ONLY, "cgroup2"));
}

static void check_pressure(struct ctl_findings *findings)
{
    static const char path[] = "/proc/pressure/memory";
    char text[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (length > 0)
        ctl_found(findings, CTL_GOOD, NULL, "memory pressure is shown by the kernel");
    else if (has_mount("self", " /proc ", PROC_SUBSET))
        ctl_found(findings, CTL_WARNING,
                  "ProcSubset=all in a drop-in of Postfix's unit, systemctl daemon-reload, and "
                  "restart Postfix",
                  "%s is hidden from master(8) by ProcSubset=pid of its unit", path);
    else
        ctl_found(findings, CTL_WARNING,
                  "boot with psi=1; without it, available memory and workers.max still hold",
                  "%s: %s: the kernel shows no memory pressure", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* "Id=NAME" and "LoadState=STATE" of each unit. Debian 12 has both, others only the first. */
static void check_units(struct ctl_findings *findings)
{
    static const char *const words[] = {
        "/usr/bin/systemctl", "show", "-p", "Id,LoadState", "postfix.service",
        "postfix@-.service",  NULL};
    static const char refused[] = "LoadState=bad-setting";
    char output[512], error[512], unit[64];
    const char *id, *state;

    if (access("/run/systemd/system", F_OK) < 0 ||
        capture_run(words, RUN_MS, output, sizeof output, error, sizeof error) < 0)
        return;
    for (id = output; (id = strstr(id, "Id=")) && (state = strstr(id, "LoadState=")); id = state)
        if (strncmp(state, refused, sizeof refused - 1) == 0 && sscanf(id, "Id=%63s", unit) == 1)
            ctl_found(findings, CTL_WARNING,
                      "correct its drop-ins: systemd-analyze verify names the line; for one, "
                      "Restart=always is not for Type=oneshot",
                      "systemd refuses %s (bad-setting): once stopped, Postfix does not start",
                      unit);
}

void ctl_check_machine(const struct ctl *ctl, struct ctl_findings *findings)
{
    check_directory(ctl, findings);
    check_pressure(findings);
    if (!ctl->config_directory)
        check_units(findings);
}

/* `runs`: with -V it tells its version. A shared library that is missing shows only then. */
static void check_program(const struct ctl *ctl, const char *program, bool runs,
                          struct ctl_findings *findings)
{
    char path[PATH_MAX + CONFIG_NAME_SIZE];
    char output[64];
    char error[512];
    struct stat found;

    snprintf(path, sizeof path, "%s/%s", ctl->postconf.daemon_directory, program);
    if (stat(path, &found) < 0)
        ctl_found(findings, CTL_WRONG, "install it there, or correct the name", "%s: %s", path,
                  strerror(errno));
    else if (!S_ISREG(found.st_mode) || !(found.st_mode & S_IXUSR))
        ctl_found(findings, CTL_WRONG, "chmod 755, if it is the right file", "%s is not a program",
                  path);
    else if (!runs)
        ctl_found(findings, CTL_GOOD, NULL, "%s is there", path);
    else if (capture_run((const char *[]){path, "-V", NULL}, RUN_MS, output, sizeof output, error,
                         sizeof error) < 0)
        ctl_found(findings, CTL_WRONG, "install what is missing, or the package again", "%s",
                  error);
    else
        ctl_found(findings, CTL_GOOD, NULL, "%s runs: %.*s", path, (int)strcspn(output, "\n"),
                  output);
}

/* A directory that shows /proc as master(8) sees it: headroom will be in its group, not in ours. */
static bool proc_make(char *directory, pid_t pid)
{
    static const char *const same[] = {"pressure", "meminfo", "mounts", "cgroups"};
    char from[64];
    int fd;
    bool done;

    if (!mkdtemp(directory))
        return false;
    fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    snprintf(from, sizeof from, "/proc/%ld", (long)pid);
    done = fd >= 0 && symlinkat(from, fd, "self") == 0;
    for (size_t i = 0; done && i < sizeof same / sizeof same[0]; i++) {
        snprintf(from, sizeof from, "/proc/%s", same[i]);
        done = symlinkat(from, fd, same[i]) == 0;
    }
    if (fd >= 0)
        close(fd);
    return done;
}

static void proc_remove(const char *directory)
{
    static const char *const names[] = {"self", "pressure", "meminfo", "mounts", "cgroups"};
    int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

    for (size_t i = 0; fd >= 0 && i < sizeof names / sizeof names[0]; i++)
        unlinkat(fd, names[i], 0);
    if (fd >= 0)
        close(fd);
    rmdir(directory);
}

static void check_group(const struct ctl *ctl, const char *service, const struct config *config,
                        struct ctl_findings *findings)
{
    static const enum group_wish wish[] = {
        [CONFIG_CGROUP_AUTO] = GROUP_WISH_AUTO,
        [CONFIG_CGROUP_UNIT] = GROUP_WISH_UNIT,
        [CONFIG_CGROUP_HYBRID] = GROUP_WISH_HYBRID,
        [CONFIG_CGROUP_OBSERVE] = GROUP_WISH_OBSERVE,
    };
    char proc[] = "/tmp/headroomctl.XXXXXX";
    pid_t master = ctl_master_pid(ctl);
    bool made = master != 0 && proc_make(proc, master);
    const struct group_config wanted = {
        .service = service,
        .instance = ctl->postconf.queue_directory,
        .wish = wish[config->cgroup_mode],
        .parent = config->cgroup_parent[0] != '\0' ? config->cgroup_parent : NULL,
        .limit = config->memory_limit,
        .high = config->memory_high,
        .roots = {.proc = made ? proc : NULL},
    };
    struct pool_group *group;
    int result = group_find(&group, &wanted);

    if (result < 0)
        ctl_found(findings, CTL_WARNING, "mount /proc", "memory group: %s", strerror(-result));
    else
        ctl_found(findings, group_settled(group) ? CTL_WARNING : CTL_GOOD, NULL, "%s%s",
                  group_note(group),
                  made ? "" : " (seen from this shell, because Postfix does not run)");
    if (result == 0)
        group_close(group);
    if (master != 0)
        proc_remove(proc);
}

static void check_metrics(const struct ctl *ctl, const char *service, const struct config *config,
                          struct ctl_findings *findings)
{
    const struct passwd *owner = getpwnam(ctl->postconf.mail_owner);
    char path[METRICS_PATH_MAX];
    char beside[METRICS_PATH_MAX];
    struct stat found;
    char *slash;

    if (config->metrics_textfile[0] == '\0' || !owner)
        return;
    if (metrics_paths(config->metrics_textfile, service, path, beside) < 0) {
        ctl_found(findings, CTL_WRONG, "take a shorter path", "metrics.textfile is too long");
        return;
    }
    slash = strrchr(path, '/');
    *slash = '\0';
    if (stat(path[0] == '\0' ? "/" : path, &found) < 0)
        ctl_found(findings, CTL_WRONG, "make it, writable by mail_owner",
                  "the directory of metrics.textfile, %s: %s", path, strerror(errno));
    else if (!((found.st_uid == owner->pw_uid && (found.st_mode & S_IWUSR)) ||
               (found.st_gid == owner->pw_gid && (found.st_mode & S_IWGRP)) ||
               (found.st_mode & S_IWOTH)))
        ctl_found(findings, CTL_WRONG, "give it to mail_owner, or to its group with mode 775",
                  "%s, the directory of metrics.textfile, is not writable by %s", path,
                  ctl->postconf.mail_owner);
    else
        ctl_found(findings, CTL_GOOD, NULL, "%s/%s is written for node_exporter", path, slash + 1);
    if (strstr(slash + 1, ".prom") == NULL)
        ctl_found(findings, CTL_WARNING, "let the name end in .prom",
                  "node_exporter does not read %s", slash + 1);
}

void ctl_check_service(const struct ctl *ctl, const struct master_line *line,
                       const struct config *config, struct ctl_findings *findings)
{
    check_program(ctl, "headroom", true, findings);
    check_program(ctl, config->agent, false, findings);
    check_group(ctl, line->name, config, findings);
    check_metrics(ctl, line->name, config, findings);
}
