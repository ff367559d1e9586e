#include "supervisor/parent/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/master_init.h"
#include "agents/worker.h"
#include "supervisor/base/clock.h"
#include "supervisor/parent/channel.h"
#include "supervisor/parent/rights.h"

/* SIGTERM must end all within a second; a worker dies of it at once, unless it is stopped. */
#define END_WORKERS UINT64_C(600000) /* us */
#define REAP_KILLED UINT64_C(200000) /* us */

enum { WATCH_SIGNALS, WATCH_CHANNEL, WATCH_STATUS, WATCHES };

/* A worker's start and its end; its number is not used again before both are told. */
#define NEWS_MAX 2

/* One worker number: its process, and what the dispatcher has not been told yet. */
struct slot {
    pid_t pid;
    unsigned untold;
    struct channel_message news[NEWS_MAX]; /* in order */
};

struct state {
    const struct parent *parent;
    struct slot *slot;
    unsigned untold;
    char **environment;
    char generation_entry[MASTER_GENERATION_SIZE];
    unsigned generation;
    sigset_t signals; /* the ones that are read from the descriptor */
    int signal_fd;
    bool group_lost;    /* it could not be made again, which was said */
    bool signal_failed; /* and it was said */
    bool dispatcher_ended;
    int dispatcher_status;
};

/* The environment of a worker: ours, with an entry for GENERATION that changes each time. */
static int environment_make(struct state *state)
{
    size_t count = 0, kept = 0;

    while (environ[count])
        count++;
    state->environment = calloc(count + 2, sizeof *state->environment);
    if (!state->environment)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "GENERATION=", strlen("GENERATION=")) != 0)
            state->environment[kept++] = environ[i];
    state->environment[kept] = state->generation_entry;
    return 0;
}

static void tell(struct state *state, uint32_t worker, struct channel_message news)
{
    struct slot *slot = &state->slot[worker];

    news.worker = worker;
    if (slot->untold == 0 && channel_send(state->parent->channel, &news, NULL) == 0)
        return;
    /* It does not read just now: said again when it does. */
    slot->news[slot->untold++] = news;
    state->untold++;
}

static void tell_again(struct state *state)
{
    for (unsigned i = 0; i < state->parent->workers_max && state->untold > 0; i++) {
        struct slot *slot = &state->slot[i];

        for (; slot->untold > 0; slot->untold--, state->untold--) {
            if (channel_send(state->parent->channel, &slot->news[0], NULL) < 0)
                return;
            slot->news[0] = slot->news[1];
        }
    }
}

/* The pool's group may have been removed by somebody else: a worker must not run without its limits
 * unsaid. True when it was made again. */
static bool group_keep(struct state *state)
{
    const struct parent *parent = state->parent;
    int result = group_renew(parent->group);

    if (result < 0 && !state->group_lost)
        journal_log(parent->journal, EVENT_GROUP, LOG_WARNING, NULL, 0,
                    "memory group %s was removed by somebody else and cannot be made again (%s): "
                    "memory.limit and memory.high are not kept",
                    group_directory(parent->group), strerror(-result));
    state->group_lost = result < 0;
    return result == 1;
}

/* A new process that becomes the worker. Its pid, or a negative errno. */
static pid_t worker_fork(struct state *state, int listening, int status, bool *renewed)
{
    const struct parent *parent = state->parent;
    pid_t pid;

    /* Asked before, because a child has no good way to say what was wrong. */
    if (access(parent->worker_path, X_OK) < 0)
        return -errno;
    *renewed = group_keep(state);
    state->generation++;
    master_generation_format(state->generation, state->generation_entry);
    pid = group_clone(parent->group);
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &state->signals, NULL);
        worker_execute(parent->worker_path, parent->worker_arguments, state->environment, listening,
                       status);
    }
    return pid;
}

static void worker_start(struct state *state, const struct channel_message *wish, const int fds[2])
{
    bool renewed = false;
    pid_t pid = worker_fork(state, fds[0], fds[1], &renewed);

    close(fds[0]);
    close(fds[1]);
    if (pid < 0) {
        tell(state, wish->worker,
             (struct channel_message){.kind = CHANNEL_FAILED, .status = -(int)pid});
        return;
    }
    state->slot[wish->worker].pid = pid;
    tell(state, wish->worker,
         (struct channel_message){.kind = CHANNEL_STARTED, .pid = pid, .status = renewed});
}

/* A child that is not reaped cannot be another process. A failure is logged once. */
static void signal_child(struct state *state, pid_t pid, int signal)
{
    const struct parent *parent = state->parent;
    int result = rights_kill(parent->owner, pid, signal);

    if (result == 0 || state->signal_failed)
        return;
    state->signal_failed = true;
    journal_log(parent->journal, EVENT_EXIT, LOG_ERR, NULL, 0,
                "process %d cannot be sent signal %d: %s; it ends by itself, or by your hand: "
                "Postfix's unit must leave CAP_SETUID and CAP_SETGID (CapabilityBoundingSet=)",
                (int)pid, signal, strerror(-result));
}

/* Reads messages of the dispatcher. 0, -EPIPE (it has gone), or a negative errno that is logged. */
static int wishes_read(struct state *state)
{
    struct channel_message wish;
    int fds[CHANNEL_DESCRIPTORS];
    int result;

    while ((result = channel_receive(state->parent->channel, &wish, fds)) == 1) {
        if (wish.kind == CHANNEL_SPAWN && wish.worker < state->parent->workers_max &&
            state->slot[wish.worker].pid == 0 && state->slot[wish.worker].untold == 0) {
            worker_start(state, &wish, fds);
            continue;
        }
        if (wish.kind == CHANNEL_KILL && wish.worker < state->parent->workers_max) {
            if (state->slot[wish.worker].pid > 0)
                signal_child(state, state->slot[wish.worker].pid, SIGKILL);
            continue;
        }
        result = -EBADMSG;
        break;
    }
    if (result < 0 && result != -EPIPE)
        journal_log(state->parent->journal, EVENT_SETUP, LOG_CRIT, NULL, 0,
                    "the dispatcher sent a malformed message; starting again. Please report this");
    return result;
}

static void reap(struct state *state)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == state->parent->dispatcher) {
            state->dispatcher_ended = true;
            state->dispatcher_status = status;
            continue;
        }
        for (unsigned i = 0; i < state->parent->workers_max; i++) {
            if (state->slot[i].pid != pid)
                continue;
            state->slot[i].pid = 0;
            if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                group_was_killed(state->parent->group);
            tell(state, i,
                 (struct channel_message){.kind = CHANNEL_EXITED, .pid = pid, .status = status});
            break;
        }
    }
}

/* Reads the signals. Returns the one that ends us, or 0. */
static int signals_read(struct state *state)
{
    struct signalfd_siginfo info;
    int ending = 0;

    while (read(state->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(state);
        else
            ending = (int)info.ssi_signo;
    }
    return ending;
}

static void workers_kill(struct state *state, int signal)
{
    for (unsigned i = 0; i < state->parent->workers_max; i++)
        if (state->slot[i].pid > 0)
            signal_child(state, state->slot[i].pid, signal);
}

static unsigned children_left(const struct state *state, bool with_workers)
{
    unsigned left = state->dispatcher_ended ? 0 : 1;

    for (unsigned i = 0; with_workers && i < state->parent->workers_max; i++)
        if (state->slot[i].pid > 0)
            left++;
    return left;
}

/* Reaps children until the clock says `deadline` or none is left. */
static void children_wait(struct state *state, bool with_workers, uint64_t deadline)
{
    struct pollfd watch = {.fd = state->signal_fd, .events = POLLIN};
    uint64_t now;

    while (children_left(state, with_workers) > 0 && (now = clock_monotonic()) < deadline) {
        poll(&watch, 1, (int)((deadline - now) / 1000) + 1);
        signals_read(state);
    }
}

/* Ends the dispatcher and the workers; what is left after END_WORKERS is killed. */
static void children_end(struct state *state)
{
    /* The dispatcher ends at once, whoever waits for an answer. */
    shutdown(state->parent->channel, SHUT_RDWR);
    if (!state->dispatcher_ended)
        signal_child(state, state->parent->dispatcher, SIGTERM);
    workers_kill(state, SIGTERM);
    children_wait(state, true, clock_monotonic() + END_WORKERS);
    if (!state->dispatcher_ended)
        signal_child(state, state->parent->dispatcher, SIGKILL);
    workers_kill(state, SIGKILL);
    /* What could not be signalled ends with its group; reaped below, like the others. */
    if (state->signal_failed)
        (void)group_kill(state->parent->group);
    /* The kernel ends them now; they are not left for master's own parent to reap. */
    children_wait(state, true, clock_monotonic() + REAP_KILLED);
}

/* It ends, or has ended, or is killed at `deadline`; why is known when it is reaped. */
static void dispatcher_end(struct state *state, uint64_t deadline)
{
    shutdown(state->parent->channel, SHUT_RDWR);
    children_wait(state, false, deadline);
    if (!state->dispatcher_ended)
        signal_child(state, state->parent->dispatcher, SIGKILL);
    children_wait(state, false, clock_monotonic() + REAP_KILLED);
}

/*
 * The dispatcher is told to leave: it ends, or closes its end of the channel when a client still
 * waits for an answer, and goes on alone. One that does neither is killed.
 */
static void dispatcher_leave(struct state *state)
{
    uint64_t deadline = clock_monotonic() + END_WORKERS;
    struct pollfd watch[] = {
        {.fd = state->signal_fd, .events = POLLIN},
        {.fd = state->parent->channel, .events = POLLRDHUP},
    };
    uint64_t now;

    shutdown(state->parent->channel, SHUT_WR);
    while (!state->dispatcher_ended && (now = clock_monotonic()) < deadline) {
        poll(watch, 2, (int)((deadline - now) / 1000) + 1);
        signals_read(state);
        if (watch[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
            return;
    }
    if (!state->dispatcher_ended)
        dispatcher_end(state, deadline);
}

/*
 * A predecessor's workers, which finish after a reload, are in the group too. master(8) ends them
 * with its whole process group where it has CAP_KILL; where it has not, the group does it.
 */
static void group_end(const struct state *state)
{
    const struct parent *parent = state->parent;
    int result = group_remove(parent->group);

    if (result == -EBUSY && (result = group_kill(parent->group)) == 0)
        result = group_remove(parent->group);
    if (result < 0)
        journal_log(parent->journal, EVENT_GROUP, LOG_WARNING, NULL, 0,
                    "memory group %s is left: %s; the next start takes it over",
                    group_directory(parent->group), strerror(-result));
}

/*
 * Where nobody reaps what is left behind: returns when nothing is. The lock is free, so a successor
 * serves meanwhile.
 */
static void stay(struct state *state)
{
    const struct parent *parent = state->parent;

    close(parent->lock);
    if (!parent->alone || children_left(state, true) == 0)
        return;
    journal_log(
        parent->journal, EVENT_EXIT, LOG_NOTICE, NULL, 0,
        "a new process has the service; this one stays until %u that it started have ended, "
        "because master(8) would panic on them: " MASTER_INIT_CURE,
        children_left(state, true));
    while (children_left(state, true) > 0) {
        struct pollfd watch = {.fd = state->signal_fd, .events = POLLIN};

        poll(&watch, 1, -1);
        if (signals_read(state) != 0) {
            children_end(state);
            return;
        }
    }
}

/* master never writes on the status channel: readable is its end. */
static bool master_left(const struct state *state)
{
    struct pollfd watch = {.fd = state->parent->status, .events = POLLIN};

    return poll(&watch, 1, 0) > 0;
}

static int loop(struct state *state)
{
    const struct parent *parent = state->parent;
    struct pollfd watch[WATCHES] = {
        [WATCH_SIGNALS] = {.fd = state->signal_fd, .events = POLLIN},
        [WATCH_CHANNEL] = {.fd = parent->channel},
        [WATCH_STATUS] = {.fd = parent->status, .events = POLLIN},
    };
    int result;

    for (;;) {
        watch[WATCH_CHANNEL].events = (short)(state->untold > 0 ? POLLIN | POLLOUT : POLLIN);
        if (poll(watch, WATCHES, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (watch[WATCH_SIGNALS].revents && signals_read(state) != 0) {
            children_end(state);
            group_end(state);
            return EXIT_SUCCESS;
        }
        result = state->dispatcher_ended ? -EPIPE : 0;
        if (result == 0 && state->untold > 0)
            tell_again(state);
        if (result == 0 && watch[WATCH_CHANNEL].revents)
            result = wishes_read(state);
        /* The dispatcher may have seen it first, and left or ended since poll(2). */
        if (watch[WATCH_STATUS].revents || (result == -EPIPE && master_left(state))) {
            dispatcher_leave(state);
            stay(state);
            return EXIT_SUCCESS;
        }
        if (state->dispatcher_ended)
            break;
        if (result < 0) {
            dispatcher_end(state, clock_monotonic() + END_WORKERS);
            if (result != -EPIPE)
                return EXIT_FAILURE;
            break;
        }
    }
    if (state->dispatcher_ended && WIFEXITED(state->dispatcher_status) &&
        WEXITSTATUS(state->dispatcher_status) == 0)
        return EXIT_SUCCESS;
    journal_log(
        parent->journal, EVENT_EXIT, LOG_ERR, NULL, 0,
        "the dispatcher ended unexpectedly (%s %d); master starts a fresh pair for the next "
        "mail, workers in mid-delivery finish",
        WIFSIGNALED(state->dispatcher_status) ? "signal" : "exit status",
        WIFSIGNALED(state->dispatcher_status) ? WTERMSIG(state->dispatcher_status)
                                              : WEXITSTATUS(state->dispatcher_status));
    if (parent->alone) {
        master_status_busy(parent->status, getpid(), parent->generation);
        stay(state);
    }
    return EXIT_FAILURE;
}

int parent_run(const struct parent *parent)
{
    struct state state = {.parent = parent, .generation = parent->generation, .signal_fd = -1};
    int result = EXIT_FAILURE;

    sigemptyset(&state.signals);
    sigaddset(&state.signals, SIGCHLD);
    sigaddset(&state.signals, SIGTERM);
    sigaddset(&state.signals, SIGINT);
    state.slot = calloc(parent->workers_max, sizeof *state.slot);
    state.signal_fd = signalfd(-1, &state.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (state.slot && state.signal_fd >= 0 && environment_make(&state) == 0) {
        result = loop(&state);
    } else {
        journal_log(parent->journal, EVENT_SETUP, LOG_CRIT, NULL, 0, "no memory at start");
        signal_child(&state, parent->dispatcher, SIGKILL);
    }
    if (state.signal_fd >= 0)
        close(state.signal_fd);
    free(state.environment);
    free(state.slot);
    return result;
}
