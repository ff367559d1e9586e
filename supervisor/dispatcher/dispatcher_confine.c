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

    if (!settings->confined)
        return;
    snprintf(queue, sizeof queue, "%s/private", settings->postconf->queue_directory);
    writable[count++] = queue;
    writable[count] = metrics_directory(settings, metrics);
    if (writable[count])
        count++;
    confinement->files = confine_files(writable, count);
}

void dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings)
{
    if (settings->confined)
        confinement->calls = confine_calls();
}

/* The kernel has none, or it was switched off when it was booted. */
static bool is_absent(int error)
{
    return error == -ENOSYS || error == -EOPNOTSUPP;
}

const char *dispatcher_confinement_text(const struct dispatcher_confinement *confinement,
                                        const struct dispatcher_settings *settings, char *text,
                                        size_t size)
{
    char files[64] = "not by Landlock";

    if (!settings->confined)
        return "";
    if (confinement->files > 0)
        snprintf(files, sizeof files, "Landlock %d", confinement->files);
    else if (is_absent(confinement->files))
        snprintf(files, sizeof files, "no Landlock in this kernel");
    snprintf(text, size, ", confined by %s, %s", confinement->calls == 0 ? "seccomp" : "no seccomp",
             files);
    return text;
}

void dispatcher_confinement_warn(const struct dispatcher_confinement *confinement,
                                 struct journal *journal)
{
    bool files = confinement->files < 0 && !is_absent(confinement->files);

    if (confinement->calls < 0 || files)
        journal_log(journal, EVENT_START, LOG_WARNING, NULL, 0,
                    "the dispatcher could not be confined by %s: %s; mail goes on, with less "
                    "between it and who would conquer it",
                    confinement->calls < 0 ? "seccomp" : "Landlock",
                    strerror(confinement->calls < 0 ? -confinement->calls : -confinement->files));
}
