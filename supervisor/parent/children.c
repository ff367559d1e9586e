#include "supervisor/parent/children.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agents/worker.h"
#include "supervisor/base/clock.h"
#include "supervisor/parent/rights.h"

/* Between two attempts to make the memory group again. Microseconds. */
#define GROUP_PAUSE_FIRST UINT64_C(1000000)
#define GROUP_PAUSE_MOST UINT64_C(60000000)

/* The environment of a worker: ours, with an entry for GENERATION that changes each time. */
static int environment_make(struct children *children)
{
    size_t count = 0, kept = 0;

    while (environ[count])
        count++;
    children->environment = calloc(count + 2, sizeof *children->environment);
    if (!children->environment)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "GENERATION=", strlen("GENERATION=")) != 0)
            children->environment[kept++] = environ[i];
    children->environment[kept] = children->generation_entry;
    return 0;
}

int children_open(struct children *children, const struct parent *parent)
{
    *children =
        (struct children){.parent = parent, .generation = parent->generation, .signal_fd = -1};
    sigemptyset(&children->signals);
    sigaddset(&children->signals, SIGCHLD);
    sigaddset(&children->signals, SIGTERM);
    sigaddset(&children->signals, SIGINT);
    children->slot = calloc(parent->workers_max, sizeof *children->slot);
    if (!children->slot)
        return -ENOMEM;
    children->signal_fd = signalfd(-1, &children->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (children->signal_fd < 0)
        return -errno;
    if (environment_make(children) < 0)
        return -ENOMEM;
    return forks_open(&children->forks, parent, children->environment, &children->signals);
}

void children_close(struct children *children)
{
    if (children->signal_fd >= 0)
        close(children->signal_fd);
    forks_close(&children->forks);
    free(children->environment);
    free(children->slot);
}

static void tell(struct children *children, uint32_t worker, struct channel_message news)
{
    struct slot *slot = &children->slot[worker];

    news.worker = worker;
    if (slot->untold == 0 && channel_send(children->parent->channel, &news, NULL) == 0)
        return;
    /* It does not read just now: said again when it does. */
    slot->news[slot->untold++] = news;
    children->untold++;
}

void children_tell_again(struct children *children)
{
    for (unsigned i = 0; i < children->parent->workers_max && children->untold > 0; i++) {
        struct slot *slot = &children->slot[i];

        for (; slot->untold > 0; slot->untold--, children->untold--) {
            if (channel_send(children->parent->channel, &slot->news[0], NULL) < 0)
                return;
            slot->news[0] = slot->news[1];
        }
    }
}

/*
 * The pool's group may have been removed by somebody else: a worker must not run without its limits
 * unsaid. True when it was made again. Where that fails it is tried again with a later worker.
 */
static bool group_keep(struct children *children)
{
    const struct parent *parent = children->parent;
    uint64_t now = clock_monotonic();
    int result;

    if (children->group_pause > 0 && now < children->group_again)
        return false;
    result = group_renew(parent->group);
    if (result < 0 && children->group_pause == 0)
        journal_log(parent->journal, EVENT_GROUP, LOG_WARNING, NULL, 0,
                    "memory group %s was removed by somebody else and cannot be made again (%s): "
                    "memory.limit and memory.high are not kept until it can",
                    group_directory(parent->group), strerror(-result));
    if (result < 0) {
        children->group_pause =
            children->group_pause == 0 ? GROUP_PAUSE_FIRST : 2 * children->group_pause;
        if (children->group_pause > GROUP_PAUSE_MOST)
            children->group_pause = GROUP_PAUSE_MOST;
        children->group_again = now + children->group_pause;
        return false;
    }
    if (children->group_pause > 0)
        journal_log(parent->journal, EVENT_GROUP, LOG_NOTICE, NULL, 0,
                    "memory group %s is there again; agents that were started without it stay "
                    "outside until they end",
                    group_directory(parent->group));
    children->group_pause = 0;
    return result == 1;
}

/* A new process that is the worker: forked from the template, or executed. Its pid, or a negative
 * errno. */
static pid_t worker_make(struct children *children, const int fds[CHANNEL_DESCRIPTORS],
                         bool *renewed)
{
    const struct parent *parent = children->parent;
    pid_t pid;

    /* Asked before, because a child has no good way to say what was wrong. */
    if (access(parent->worker_path, X_OK) < 0)
        return -errno;
    *renewed = group_keep(children);
    if (*renewed)
        forks_end(&children->forks);
    pid = forks_worker(&children->forks, fds);
    if (pid != 0)
        return pid;
    children->generation++;
    master_generation_format(children->generation, children->generation_entry);
    pid = group_clone(parent->group);
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &children->signals, NULL);
        worker_execute(parent->worker_path, parent->worker_arguments, children->environment, fds[0],
                       fds[1]);
    }
    return pid;
}

int children_start(struct children *children, const struct channel_message *wish,
                   const int fds[CHANNEL_DESCRIPTORS])
{
    bool renewed = false;
    pid_t pid;

    if (wish->worker >= children->parent->workers_max || children->slot[wish->worker].pid != 0 ||
        children->slot[wish->worker].untold != 0)
        return -EBADMSG;
    pid = worker_make(children, fds, &renewed);
    close(fds[0]);
    close(fds[1]);
    if (pid < 0) {
        tell(children, wish->worker,
             (struct channel_message){.kind = CHANNEL_FAILED, .status = -(int)pid});
        return 0;
    }
    children->slot[wish->worker].pid = pid;
    tell(children, wish->worker,
         (struct channel_message){.kind = CHANNEL_STARTED,
                                  .pid = pid,
                                  .status = renewed,
                                  .executed = children->forks.reason,
                                  .tls = children->forks.tls});
    return 0;
}

void children_signal(struct children *children, pid_t pid, int signal)
{
    const struct parent *parent = children->parent;
    int result = rights_kill(parent->owner, pid, signal);

    if (result == 0 || children->signal_failed)
        return;
    children->signal_failed = true;
    journal_log(parent->journal, EVENT_EXIT, LOG_ERR, NULL, 0,
                "process %d cannot be sent signal %d: %s; it ends by itself, or by your hand: "
                "Postfix's unit must leave CAP_SETUID and CAP_SETGID (CapabilityBoundingSet=)",
                (int)pid, signal, strerror(-result));
}

int children_kill(struct children *children, const struct channel_message *wish)
{
    if (wish->worker >= children->parent->workers_max)
        return -EBADMSG;
    if (children->slot[wish->worker].pid > 0)
        children_signal(children, children->slot[wish->worker].pid, SIGKILL);
    return 0;
}

static void reap(struct children *children)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == children->parent->dispatcher) {
            children->dispatcher_ended = true;
            children->dispatcher_status = status;
            continue;
        }
        if (forks_reaped(&children->forks, pid, status))
            continue;
        for (unsigned i = 0; i < children->parent->workers_max; i++) {
            if (children->slot[i].pid != pid)
                continue;
            children->slot[i].pid = 0;
            if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                group_was_killed(children->parent->group);
            tell(children, i,
                 (struct channel_message){.kind = CHANNEL_EXITED, .pid = pid, .status = status});
            break;
        }
    }
}

int children_signals(struct children *children)
{
    struct signalfd_siginfo info;
    int ending = 0;

    while (read(children->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(children);
        else
            ending = (int)info.ssi_signo;
    }
    return ending;
}

static void workers_kill(struct children *children, int signal)
{
    for (unsigned i = 0; i < children->parent->workers_max; i++)
        if (children->slot[i].pid > 0)
            children_signal(children, children->slot[i].pid, signal);
}

unsigned children_left(const struct children *children, bool with_workers)
{
    unsigned left = children->dispatcher_ended ? 0 : 1;

    if (with_workers && children->forks.pid > 0)
        left++;
    for (unsigned i = 0; with_workers && i < children->parent->workers_max; i++)
        if (children->slot[i].pid > 0)
            left++;
    return left;
}

void children_wait(struct children *children, bool with_workers, uint64_t deadline)
{
    struct pollfd watch = {.fd = children->signal_fd, .events = POLLIN};
    uint64_t now;

    while (children_left(children, with_workers) > 0 && (now = clock_monotonic()) < deadline) {
        poll(&watch, 1, (int)((deadline - now) / 1000) + 1);
        children_signals(children);
    }
}

void children_template_end(struct children *children)
{
    uint64_t deadline = clock_monotonic() + REAP_KILLED, now;
    struct pollfd watch = {.fd = children->signal_fd, .events = POLLIN};

    forks_end(&children->forks);
    while (children->forks.pid > 0 && (now = clock_monotonic()) < deadline) {
        poll(&watch, 1, (int)((deadline - now) / 1000) + 1);
        reap(children);
    }
}

void children_end(struct children *children)
{
    /* The dispatcher ends at once, whoever waits for an answer. */
    shutdown(children->parent->channel, SHUT_RDWR);
    if (!children->dispatcher_ended)
        children_signal(children, children->parent->dispatcher, SIGTERM);
    forks_end(&children->forks);
    workers_kill(children, SIGTERM);
    children_wait(children, true, clock_monotonic() + END_WORKERS);
    if (!children->dispatcher_ended)
        children_signal(children, children->parent->dispatcher, SIGKILL);
    workers_kill(children, SIGKILL);
    /* What could not be signalled ends with its group; reaped below, like the others. */
    if (children->signal_failed)
        (void)group_kill(children->parent->group);
    /* The kernel ends them now; they are not left for master's own parent to reap. */
    children_wait(children, true, clock_monotonic() + REAP_KILLED);
}
