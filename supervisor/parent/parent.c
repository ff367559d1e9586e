#include "supervisor/parent/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/master_init.h"
#include "supervisor/base/clock.h"
#include "supervisor/parent/channel.h"
#include "supervisor/parent/children.h"

/* Messages of the dispatcher that are read before signals are looked for again. */
#define WISHES_A_TURN 32

enum { WATCH_SIGNALS, WATCH_CHANNEL, WATCH_STATUS, WATCH_TEMPLATE, WATCHES };

/*
 * Reads messages of the dispatcher, of which there may be no end: the rest waits for the next turn,
 * and signals come before it. 0, -EPIPE (it has gone), or a negative errno that is logged.
 */
static int wishes_read(struct children *children)
{
    struct channel_message wish;
    int fds[CHANNEL_DESCRIPTORS];
    int result = 0;

    for (unsigned i = 0; i < WISHES_A_TURN && result == 0; i++) {
        result = channel_receive(children->parent->channel, &wish, fds);
        if (result != 1)
            break;
        result = -EBADMSG;
        if (wish.kind == CHANNEL_SPAWN)
            result = children_start(children, &wish, fds);
        else if (wish.kind == CHANNEL_KILL)
            result = children_kill(children, &wish);
    }
    if (result < 0 && result != -EPIPE)
        journal_log(children->parent->journal, EVENT_SETUP, LOG_CRIT, NULL, 0,
                    "the dispatcher sent a malformed message; starting again. Please report this");
    return result;
}

/* It ends, or has ended, or is killed at `deadline`; why is known when it is reaped. */
static void dispatcher_end(struct children *children, uint64_t deadline)
{
    shutdown(children->parent->channel, SHUT_RDWR);
    children_wait(children, false, deadline);
    if (!children->dispatcher_ended)
        children_signal(children, children->parent->dispatcher, SIGKILL);
    children_wait(children, false, clock_monotonic() + REAP_KILLED);
}

/*
 * The dispatcher is told to leave: it ends, or closes its end of the channel when a client still
 * waits for an answer, and goes on alone. One that does neither is killed.
 */
static void dispatcher_leave(struct children *children)
{
    uint64_t deadline = clock_monotonic() + END_DISPATCHER;
    struct pollfd watch[] = {
        {.fd = children->signal_fd, .events = POLLIN},
        {.fd = children->parent->channel, .events = POLLRDHUP},
    };
    uint64_t now;

    shutdown(children->parent->channel, SHUT_WR);
    while (!children->dispatcher_ended && (now = clock_monotonic()) < deadline) {
        poll(watch, 2, (int)((deadline - now) / 1000) + 1);
        children_signals(children);
        if (watch[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
            return;
    }
    if (!children->dispatcher_ended)
        dispatcher_end(children, deadline);
}

/*
 * A predecessor's workers, which finish after a reload, are in the group too. master(8) ends them
 * with its whole process group where it has CAP_KILL; where it has not, the group does it.
 */
static void group_end(const struct children *children)
{
    const struct parent *parent = children->parent;
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
static void stay(struct children *children)
{
    const struct parent *parent = children->parent;

    close(parent->lock);
    children_template_end(children);
    if (!parent->alone || children_left(children, true) == 0)
        return;
    journal_log(
        parent->journal, EVENT_EXIT, LOG_NOTICE, NULL, 0,
        "a new process has the service; this one stays until %u that it started have ended, "
        "because master(8) would panic on them: " MASTER_INIT_CURE,
        children_left(children, true));
    while (children_left(children, true) > 0) {
        struct pollfd watch = {.fd = children->signal_fd, .events = POLLIN};

        poll(&watch, 1, -1);
        if (children_signals(children) != 0) {
            children_end(children);
            return;
        }
    }
}

/* master never writes on the status channel: readable is its end. */
static bool master_left(const struct children *children)
{
    struct pollfd watch = {.fd = children->parent->status, .events = POLLIN};

    return poll(&watch, 1, 0) > 0;
}

static int loop(struct children *children)
{
    const struct parent *parent = children->parent;
    struct pollfd watch[WATCHES] = {
        [WATCH_SIGNALS] = {.fd = children->signal_fd, .events = POLLIN},
        [WATCH_CHANNEL] = {.fd = parent->channel},
        [WATCH_STATUS] = {.fd = parent->status, .events = POLLIN},
        [WATCH_TEMPLATE] = {.events = POLLIN},
    };
    int result, await, judge;

    for (;;) {
        judge = forks_judge(&children->forks);
        watch[WATCH_TEMPLATE].fd = children->forks.control;
        await = forks_await(&children->forks);
        watch[WATCH_CHANNEL].events =
            (short)((children->untold > 0 ? POLLOUT : 0) | (await < 0 ? POLLIN : 0));
        if (poll(watch, WATCHES, await < 0 ? judge : await) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (watch[WATCH_SIGNALS].revents && children_signals(children) != 0) {
            children_end(children);
            group_end(children);
            return EXIT_SUCCESS;
        }
        if (watch[WATCH_TEMPLATE].revents)
            forks_read(&children->forks);
        result = children->dispatcher_ended ? -EPIPE : 0;
        if (result == 0 && children->untold > 0)
            children_tell_again(children);
        if (result == 0 && watch[WATCH_CHANNEL].revents)
            result = wishes_read(children);
        /* The dispatcher may have seen it first, and left or ended since poll(2). */
        if (watch[WATCH_STATUS].revents || (result == -EPIPE && master_left(children))) {
            dispatcher_leave(children);
            stay(children);
            return EXIT_SUCCESS;
        }
        if (children->dispatcher_ended)
            break;
        if (result < 0) {
            dispatcher_end(children, clock_monotonic() + END_WORKERS);
            if (result != -EPIPE)
                return EXIT_FAILURE;
            break;
        }
    }
    if (children->dispatcher_ended && WIFEXITED(children->dispatcher_status) &&
        WEXITSTATUS(children->dispatcher_status) == 0)
        return EXIT_SUCCESS;
    journal_log(
        parent->journal, EVENT_EXIT, LOG_ERR, NULL, 0,
        "the dispatcher ended unexpectedly (%s %d); master starts a fresh pair for the next "
        "mail, workers in mid-delivery finish",
        WIFSIGNALED(children->dispatcher_status) ? "signal" : "exit status",
        WIFSIGNALED(children->dispatcher_status) ? WTERMSIG(children->dispatcher_status)
                                                 : WEXITSTATUS(children->dispatcher_status));
    if (parent->alone) {
        master_status_busy(parent->status, getpid(), parent->generation);
        stay(children);
    }
    return EXIT_FAILURE;
}

int parent_run(const struct parent *parent)
{
    struct children children;
    int result = children_open(&children, parent);

    if (result == 0) {
        forks_prepare(&children.forks);
        result = loop(&children);
        children_template_end(&children);
    } else {
        journal_log(parent->journal, EVENT_SETUP, LOG_CRIT, NULL, 0, "cannot start: %s",
                    strerror(-result));
        children_signal(&children, parent->dispatcher, SIGKILL);
        result = EXIT_FAILURE;
    }
    children_close(&children);
    return result;
}
