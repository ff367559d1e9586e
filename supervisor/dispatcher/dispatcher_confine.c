#include "supervisor/dispatcher/dispatcher_confine.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/dispatcher/confine.h"
#include "supervisor/report/metrics.h"

#define MEMORY "/dev/shm" /* where sockets of workers are made when the disk is full */

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

void dispatcher_confine_files(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings)
{
    const char *writable[4] = {settings->postconf->data_directory, MEMORY};
    char queue[PATH_MAX + 16];
    char metrics[METRICS_PATH_MAX];
    size_t count = 2;

    if (!settings->confined || (confinement->probe = confine_probe()) < 0)
        return;
    snprintf(queue, sizeof queue, "%s/private", settings->postconf->queue_directory);
    writable[count++] = queue;
    writable[count] = metrics_directory(settings, metrics);
    if (writable[count])
        count++;
    confinement->files = confine_files(writable, count);
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
