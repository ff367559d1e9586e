#include "supervisor/ctl/ctl_check_running.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl_check_master.h"
#include "supervisor/ctl/ctl_process.h"
#include "supervisor/ctl/ctl_words.h"

#define SINCE (INT64_C(2) * 24 * 3600 * 1000000)

/* So long after a line that says why it cannot start, master(8) tells of the same. Microseconds. */
#define SAME_START (INT64_C(10) * 1000000)

static void keep(void *context, const struct ctl_entry *entry)
{
    struct ctl_last *last = context;

    last->entry = *entry;
}

void ctl_last_start(const struct ctl *ctl, const char *service, struct ctl_last *last)
{
    static const char *const events[] = {"start", "setup", "exit", NULL};
    int64_t since = clock_wall() - SINCE;
    int64_t started = 0;

    memset(last, 0, sizeof *last);
    last->count = ctl_journal_read(ctl, service, since, events, keep, last);
    if (last->count > 0)
        started = last->entry.time + (strcmp(last->entry.event, "setup") == 0 ? SAME_START : 0);
    ctl_refused_find(ctl, service, since, started, &last->refused);
}

bool ctl_waits_for_mail(const struct ctl *ctl, const struct ctl_last *last, bool never)
{
    char path[PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/headroom", ctl->postconf.daemon_directory);
    if (ctl_master_pid(ctl) == 0 || access(path, X_OK) < 0 || last->refused.found)
        return false;
    return last->count > 0 ? strcmp(last->entry.event, "exit") == 0 : never;
}

/* Whether its last attempt to start failed: then it says so, with the line that was written. */
static bool failed(const char *service, const struct ctl_last *last, struct ctl_findings *findings)
{
    const struct ctl_refused *refused = &last->refused;
    bool told = last->count > 0 && strcmp(last->entry.event, "setup") == 0;
    char date[CTL_WORD_SIZE];

    if (told && (!refused->found || refused->own))
        ctl_found(findings, CTL_WRONG,
                  "what the line says; then postfix reload, and the next mail starts it: check "
                  "again",
                  "service %s could not start at %s, its mail waits: %s", service,
                  ctl_date(last->entry.time, date), last->entry.text);
    else if (refused->found)
        ctl_found(findings, CTL_WRONG,
                  "what it says of the program, here or above; then postfix reload, and the next "
                  "mail starts it: check again",
                  "master(8) could not start service %s, or another that runs headroom, at %s; its "
                  "mail waits: %s",
                  service, ctl_date(refused->time, date), refused->text);
    return told || refused->found;
}

static void check_file(const char *service, const char *file, const struct status *status,
                       struct ctl_findings *findings)
{
    struct stat found;

    if (stat(file, &found) == 0 && found.st_mtim.tv_sec * INT64_C(1000000) > status->started)
        ctl_found(findings, CTL_WARNING, "postfix reload",
                  "%s was changed after service %s started: what stands below is not in force yet",
                  file, service);
}

/* Nothing is said of its last start: perhaps because it could not be seen. */
static void not_looked_at(const struct ctl *ctl, const char *service, const struct ctl_last *last,
                          struct ctl_findings *findings)
{
    const char *file = ctl->postconf.maillog_file;

    /* A log that is not there yet has nothing of a start that failed. */
    if (last->refused.looked == 0 || (file[0] != '\0' && last->refused.looked == -ENOENT))
        return;
    if (file[0] != '\0')
        ctl_found(findings, CTL_WARNING, "look there for lines of headroom, and of master with it",
                  "maillog_file %s was not looked at (%s): whether service %s could start last "
                  "time is not known",
                  file,
                  last->refused.looked == -ESPIPE ? "it is no file that can be read again"
                                                  : strerror(-last->refused.looked),
                  service);
    else
        ctl_found(findings, CTL_WARNING,
                  "look into Postfix's log for lines of headroom, and of master with it",
                  "the journal was not looked at (%s): whether service %s could start last time is "
                  "not known",
                  ctl_journal_error(last->refused.looked), service);
}

void ctl_check_running(const struct ctl *ctl, const char *service, const char *file,
                       const struct ctl_last *last, struct ctl_findings *findings)
{
    enum ctl_running running = ctl_running(ctl, service);
    struct status *status = malloc(sizeof *status);
    bool known = status && ctl_load(ctl, service, status) == 0;
    enum ctl_life life = CTL_ENDED;
    char date[CTL_WORD_SIZE];

    if (known)
        life = ctl_life_of(status, running, ctl_process_state((pid_t)status->pid), clock_wall());
    if (life == CTL_ANSWERS) {
        ctl_found(findings, CTL_GOOD, NULL, "service %s runs since %s, %s %s", service,
                  ctl_date(status->started, date),
                  status->settings.dry_run > 0 ? "a dry run, it would be" : "state",
                  status->state.name);
        if (status->workers.start[0] != '\0')
            ctl_found(findings, CTL_GOOD, NULL, "workers are %s", status->workers.start);
        check_file(service, file, status, findings);
    } else if (life == CTL_SILENT) {
        ctl_found(findings, CTL_WRONG, "`headroomctl status` says what ends it",
                  "service %s does not answer since %s", service, ctl_date(status->written, date));
    } else if (running == CTL_UNKNOWN) {
        ctl_found(findings, CTL_WARNING, "run this as root",
                  "whether service %s runs cannot be seen", service);
    } else if (failed(service, last, findings)) {
        /* Said. */
    } else if (running == CTL_RUNS) {
        ctl_found(findings, CTL_WARNING, "check again in a minute, or see the log",
                  "service %s has not got ready: a process of it holds the lock, but nothing "
                  "answers",
                  service);
    } else {
        ctl_found(findings, CTL_GOOD, NULL,
                  "service %s does not run now; master(8) starts it with the next mail", service);
        not_looked_at(ctl, service, last, findings);
    }
    free(status);
}
