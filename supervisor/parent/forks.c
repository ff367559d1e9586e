#include "supervisor/parent/forks.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/parent/rights.h"

#define SECOND UINT64_C(1000000)
/* One that lived so long was no failed start. */
#define LIVED (60 * SECOND)
#define LATE 100 /* ms */
/* Messages of the template that are read at a time: there may be no end of them. */
#define READ_MOST 64

static char version[] = TEMPLATE_ENVIRONMENT "=" TEMPLATE_VERSION;

int forks_open(struct forks *forks, const struct parent *parent, char *const environment[],
               const sigset_t *signals)
{
    size_t count = 0;

    *forks = (struct forks){.parent = parent, .control = -1, .signals = *signals};
    forks->reason = parent->template_object ? TEMPLATE_NOT_YET : TEMPLATE_OFF;
    forks->said = TEMPLATE_NOT_YET;
    if (!parent->template_object)
        return 0;
    for (; environment[count]; count++)
        if (strncmp(environment[count], "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0)
            forks->reason = TEMPLATE_PRELOAD;
    forks->environment = calloc(count + 3, sizeof *forks->environment);
    if (!forks->environment)
        return -ENOMEM;
    memcpy(forks->environment, environment, count * sizeof *environment);
    snprintf(forks->preload, sizeof forks->preload, "LD_PRELOAD=%s", parent->template_object);
    forks->environment[count] = forks->preload;
    forks->environment[count + 1] = version;
    return 0;
}

void forks_close(struct forks *forks)
{
    if (forks->control >= 0)
        close(forks->control);
    free(forks->environment);
}

void forks_end(struct forks *forks)
{
    if (forks->control >= 0)
        close(forks->control);
    forks->control = -1;
    forks->ready = false;
    forks->expected = true;
    /* The end of its control socket ends it, too, unless it is stopped. */
    if (forks->pid > 0)
        (void)rights_kill(forks->parent->owner, forks->pid, SIGKILL);
    if (forks->reason == TEMPLATE_FINE)
        forks->reason = TEMPLATE_NOT_YET;
}

static void say(struct forks *forks, const char *detail)
{
    const struct parent *parent = forks->parent;
    bool wanted = parent->template_wanted;

    if (forks->said == forks->reason)
        return;
    forks->said = forks->reason;
    if (forks->reason == TEMPLATE_FINE)
        journal_log(parent->journal, EVENT_FORKS, LOG_INFO, NULL, 0,
                    "workers are forked from process %d, which is a stock agent", (int)forks->pid);
    else
        journal_log(parent->journal, EVENT_FORKS, wanted ? LOG_WARNING : LOG_INFO, NULL, 0,
                    "workers are executed, not forked, and need more memory: %s%s%s%s",
                    template_reason_text(forks->reason), detail[0] != '\0' ? " (" : "", detail,
                    detail[0] != '\0' ? ")" : "");
}

static void give_up(struct forks *forks, enum template_reason reason, const char *detail)
{
    uint64_t now = clock_monotonic(), pause = SECOND;

    if (now - forks->since > LIVED)
        forks->failures = 0;
    forks->reason = reason;
    /* One that is killed once is there again in a second: that is no line in the log. */
    if (reason != TEMPLATE_ENDED || forks->failures > 0)
        say(forks, detail);
    forks_end(forks);
    for (unsigned i = 0; i < forks->failures && pause < FORKS_PAUSE_MOST; i++)
        pause *= 2;
    forks->failures++;
    if (pause > FORKS_PAUSE_MOST)
        pause = FORKS_PAUSE_MOST;
    forks->again = now + (reason < TEMPLATE_NOT_YET ? FORKS_REFUSED : pause);
}

static void start(struct forks *forks)
{
    const struct parent *parent = forks->parent;
    int ends[2];

    forks->since = clock_monotonic();
    forks->expected = forks->settles = false;
    if (access(parent->template_object, R_OK) < 0) {
        give_up(forks, TEMPLATE_NO_OBJECT, parent->template_object);
        return;
    }
    if (template_open(ends) < 0) {
        give_up(forks, TEMPLATE_NO_FORK, strerror(errno));
        return;
    }
    forks->pid = group_clone(parent->group);
    if (forks->pid == 0) {
        sigprocmask(SIG_UNBLOCK, &forks->signals, NULL);
        template_execute(parent->worker_path, parent->worker_arguments, forks->environment,
                         ends[1]);
    }
    close(ends[1]);
    forks->control = ends[0];
    if (forks->pid < 0) {
        int error = -(int)forks->pid;

        forks->pid = 0;
        give_up(forks, TEMPLATE_NO_FORK, strerror(error));
    }
}

void forks_read(struct forks *forks)
{
    struct template_message message;
    int result = 0;

    /* It tells each start twice; the rest is read with the next one. */
    for (unsigned i = 0; i < READ_MOST && forks->control >= 0; i++) {
        result = template_receive(forks->control, &message, 0);
        if (result != 1)
            break;
        if (message.kind == TEMPLATE_READY && !forks->ready) {
            /* Perhaps its last word. */
            forks->ready = forks->pid > 0;
            if (!forks->ready)
                continue;
            forks->reason = TEMPLATE_FINE;
            forks->tls = message.value != 0;
            say(forks, "");
        } else if (message.kind == TEMPLATE_SETTLES) {
            forks->settles = true;
        } else if (message.kind == TEMPLATE_REFUSED && !forks->ready) {
            give_up(forks, (enum template_reason)message.value, message.detail);
        } else if (message.kind != TEMPLATE_STARTED && message.kind != TEMPLATE_FAILED) {
            result = -EBADMSG;
            break;
        }
    }
    if (result == -EBADMSG)
        give_up(forks, TEMPLATE_SILENT, "it sent a malformed message");
    if (result != -EPIPE)
        return;
    /* Why it ended is known when it is reaped. */
    close(forks->control);
    forks->control = -1;
    forks->ready = false;
}

bool forks_reaped(struct forks *forks, pid_t pid, int status)
{
    char detail[64];

    if (pid != forks->pid)
        return false;
    forks->pid = 0;
    forks_read(forks);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        group_was_killed(forks->parent->group);
    if (forks->expected)
        return true;
    snprintf(detail, sizeof detail, "%s %d", WIFSIGNALED(status) ? "signal" : "exit status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    give_up(forks, TEMPLATE_ENDED, detail);
    return true;
}

/* It should be ready by now: the dynamic linker leaves out what is damaged, and the agent goes on without. */
int forks_judge(struct forks *forks)
{
    uint64_t age = clock_monotonic() - forks->since;

    if (forks->control < 0 || forks->ready)
        return -1;
    if (age < FORKS_SETTLE)
        return (int)((FORKS_SETTLE - age) / 1000) + 1;
    give_up(forks, TEMPLATE_UNTAKEN, "");
    return -1;
}

/* There is one to ask, or there is a reason. */
static bool keep(struct forks *forks)
{
    uint64_t now = clock_monotonic();

    if (forks->reason == TEMPLATE_OFF || forks->reason == TEMPLATE_PRELOAD)
        return false;
    forks_read(forks);
    forks_judge(forks);
    if (forks->ready && now - forks->since > TEMPLATE_AGE_MOST * SECOND)
        forks_end(forks);
    if (forks->pid == 0 && now >= forks->again)
        start(forks);
    return forks->ready;
}

void forks_prepare(struct forks *forks)
{
    (void)keep(forks);
}

int forks_await(const struct forks *forks)
{
    uint64_t age = clock_monotonic() - forks->since;
    bool soon = forks->control >= 0 && !forks->ready && !forks->settles;

    return soon && age < FORKS_AWAIT ? (int)((FORKS_AWAIT - age) / 1000) + 1 : -1;
}

/* Until it is reaped, one that was killed takes the place of a process, and there may be none for the worker. */
static void reap(struct forks *forks)
{
    pid_t pid = forks->pid;
    int status;

    for (unsigned i = 0; i < LATE && forks->pid > 0; i++)
        if (waitpid(pid, &status, WNOHANG) == pid)
            (void)forks_reaped(forks, pid, status);
        else
            poll(NULL, 0, 1);
}

/* It is mail_owner's, and we have the rights of root: none but a child of ours is ever signalled. */
static pid_t child_of_ours(struct forks *forks, pid_t pid)
{
    siginfo_t info;

    if (pid != forks->pid && pid != forks->parent->dispatcher &&
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        return pid;
    give_up(forks, TEMPLATE_SILENT, "it told of a process that is no worker");
    return -EAGAIN;
}

pid_t forks_worker(struct forks *forks, const int descriptors[TEMPLATE_DESCRIPTORS])
{
    pid_t pid;

    if (!keep(forks))
        return 0;
    pid = template_ask(forks->control, ++forks->number, descriptors, FORKS_ANSWER);
    if (pid > 0)
        return child_of_ours(forks, pid);
    if (pid == -ESTALE) {
        forks_end(forks);
        return 0;
    }
    if (pid == -EAGAIN || pid == -ENOMEM) {
        give_up(forks, TEMPLATE_NO_FORK, strerror(-(int)pid));
        reap(forks);
        return 0;
    }
    /* It may have made the worker all the same. */
    (void)rights_kill(forks->parent->owner, forks->pid, SIGKILL);
    if (pid != -EPIPE)
        pid = template_late(forks->control, forks->number, LATE);
    give_up(forks, TEMPLATE_SILENT, "");
    if (pid > 0)
        return child_of_ours(forks, pid);
    return pid == -EPIPE ? 0 : -EAGAIN;
}
