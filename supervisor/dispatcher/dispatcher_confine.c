#include "supervisor/dispatcher/dispatcher_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor/dispatcher/confine.h"
#include "supervisor/parent/setup.h"
#include "supervisor/report/metrics.h"

#define MEMORY "/dev/shm" /* where sockets of workers are made when the disk is full */

int dispatcher_confine_user(const struct dispatcher_settings *settings)
{
    const struct passwd *owner = settings->owner;

    if (geteuid() == 0 && (initgroups(owner->pw_name, owner->pw_gid) < 0 ||
                           setresgid(owner->pw_gid, owner->pw_gid, owner->pw_gid) < 0 ||
                           setresuid(owner->pw_uid, owner->pw_uid, owner->pw_uid) < 0))
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* The parent's end is seen on the channel; this is for a dispatcher that does not look. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == settings->parent ? 0 : -ESRCH;
}

/* The directory of the metrics, or, should it be made later, the nearest one that is there. */
static const char *metrics_directory(const struct dispatcher_settings *settings,
                                     char path[METRICS_PATH_MAX])
{
    char beside[METRICS_PATH_MAX];
    char *at;

    if (settings->config->metrics_textfile[0] == '\0' ||
        metrics_paths(settings->config->metrics_textfile, settings->service, path, beside) < 0)
        return NULL;
    at = dirname(path);
    while (access(at, F_OK) < 0 && strcmp(at, "/") != 0 && strcmp(at, ".") != 0)
        at = dirname(at);
    return at;
}

/*
 * Where nothing else needs to be written, beside files that are open: the state directory; that for
 * sockets in the queue, which is made now, because it has to be known, and removed at the end; memory;
 * and the metrics. A state directory that could not be made may be made later: then all of
 * data_directory is left open.
 */
void dispatcher_confine_files(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings)
{
    struct confine_place place[5] = {{.name = MEMORY}};
    char sockets[NAME_MAX];
    char metrics[METRICS_PATH_MAX];
    size_t count = 1;
    int private = openat(settings->queue_directory, "private", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int made;

    if (!settings->confined || (confinement->probe = confine_probe()) < 0)
        goto done;
    place[count++] = settings->state_directory >= 0
                         ? (struct confine_place){.descriptor = settings->state_directory}
                         : (struct confine_place){.name = settings->postconf->data_directory};
    snprintf(sockets, sizeof sockets, "private/headroom.%.100s", settings->service);
    made = setup_directory(settings->queue_directory, sockets, settings->owner);
    if (made >= 0)
        place[count++] = (struct confine_place){.descriptor = made};
    if (private >= 0)
        place[count++] = (struct confine_place){.descriptor = private, .emptied = true};
    place[count].name = metrics_directory(settings, metrics);
    if (place[count].name)
        count++;
    confinement->files = confine_files(place, count);
    if (made >= 0)
        close(made);
done:
    if (private >= 0)
        close(private);
}

/* The kernel has none, or it was switched off when it was booted. */
static bool is_absent(int error)
{
    return error == -ENOSYS || error == -EOPNOTSUPP;
}

void dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings, struct journal *journal)
{
    char files[32] = "not by Landlock";
    int calls;

    if (!settings->confined)
        return;
    if (confinement->probe < 0) {
        snprintf(confinement->text, sizeof confinement->text, ", not confined: %s",
                 confinement->probe == -EPERM ? "the unit's SystemCallFilter= forbids it"
                                              : strerror(-confinement->probe));
        return;
    }
    calls = confine_calls();
    if (confinement->files > 0)
        snprintf(files, sizeof files, "Landlock %d", confinement->files);
    else if (is_absent(confinement->files))
        snprintf(files, sizeof files, "no Landlock here");
    snprintf(confinement->text, sizeof confinement->text, ", confined by %s, %s",
             calls == 0 ? "seccomp" : "no seccomp", files);
    if (calls < 0 || (confinement->files < 0 && !is_absent(confinement->files)))
        journal_log(journal, EVENT_START, LOG_WARNING, NULL, 0,
                    "the dispatcher could not be confined by %s: %s; mail goes on, with less "
                    "between it and who would conquer it",
                    calls < 0 ? "seccomp" : "Landlock",
                    strerror(calls < 0 ? -calls : -confinement->files));
}
