/*
 * Starting workers: what a new one needs, what it is when a start fails, and when the next may be tried. What becomes of it
 * then is in workers.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/worker.h"
#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/parent/channel.h"
#include "supervisor/parent/setup.h"

void worker_starts_fail(struct dispatcher *dispatcher, int error, const char *reason)
{
    unsigned pause = pool_start_failed(&dispatcher->pool, dispatcher->now);
    uint64_t unsaid;

    if (dispatcher->start_error == error)
        return;
    dispatcher->start_error = error;
    if (!journal_limit_happened(&dispatcher->start_lines, dispatcher->now, &unsaid))
        return;
    dispatcher->start_said = true;
    journal_log(dispatcher->journal, EVENT_WORKER_START_FAILED, LOG_ERR,
                (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                "cannot start %s/%s: %s; mail waits, next try in %u s, then less often up to 60 s",
                dispatcher->settings->postconf->daemon_directory,
                dispatcher->settings->config->agent, reason, pause);
}

void worker_starts_succeed(struct dispatcher *dispatcher)
{
    if (pool_start_succeeded(&dispatcher->pool) && dispatcher->start_said)
        journal_log(dispatcher->journal, EVENT_WORKER_STARTS_AGAIN, LOG_NOTICE, NULL, 0,
                    "%s starts again", dispatcher->settings->config->agent);
    dispatcher->start_error = 0;
    dispatcher->start_said = false;
}

/* Its directory was removed by somebody else: made again, as at the start. 0 or a negative errno. */
static int directory_renew(const struct dispatcher_settings *settings)
{
    int result = setup_state_directory(settings->postconf->data_directory, settings->service,
                                       settings->owner);
    int fd = result;

    if (result < 0)
        return result;
    /* Sockets are named relative to where we are, what is kept for the next start relative to the descriptor. */
    if (fchdir(fd) < 0 || dup3(fd, settings->state_directory, O_CLOEXEC) < 0)
        result = -errno;
    close(fd);
    return result < 0 ? result : 0;
}

static int listen_for(const struct worker *worker)
{
    int result = worker_listen((unsigned)worker->number);

    if (result != -ENOENT)
        return result;
    result = directory_renew(worker->dispatcher->settings);
    return result < 0 ? result : worker_listen((unsigned)worker->number);
}

/* The socket to listen on, the status channel, and a first connection, which waits for its greeting. */
static int start(struct worker *worker, bool *listens)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    int fds[CHANNEL_DESCRIPTORS] = {-1, -1};
    int ends[2];
    int result;

    result = fds[0] = listen_for(worker);
    *listens = result >= 0;
    if (result < 0)
        goto out;
    /* The worker's end blocks, as master's does; ours must not. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        result = -errno;
        goto out;
    }
    fds[1] = ends[1];
    worker->status = ends[0];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        result = -errno;
    if (result >= 0)
        result = worker_watch_status(worker);
    if (result >= 0)
        result = worker_dial(worker);
    if (result >= 0)
        result = channel_send(
            dispatcher->settings->channel,
            &(struct channel_message){.kind = CHANNEL_SPAWN, .worker = (uint32_t)worker->number},
            fds);
out:
    for (unsigned i = 0; i < CHANNEL_DESCRIPTORS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return result < 0 ? result : 0;
}

bool workers_may_start(const struct dispatcher *dispatcher)
{
    const struct pool *pool = &dispatcher->pool;

    return !dispatcher->descriptors_short && pool->count[WORKER_FREE] > 0 &&
           pool->count[WORKER_STARTING] < STARTS_AT_ONCE && pool_may_start(pool, dispatcher->now);
}

bool workers_start(struct dispatcher *dispatcher)
{
    int number = pool_start(&dispatcher->pool, dispatcher->now);
    struct worker *worker;
    char reason[JOURNAL_TEXT_MAX / 2];
    const char *above = dispatcher->settings->postconf->data_directory;
    bool listens;
    int result;

    if (number == POOL_NONE)
        return false;
    worker = &dispatcher->worker[number];
    worker->pid = 0;
    worker->retired = false;
    worker->gone = false;
    worker->doomed = false;
    worker->lost[0] = '\0';
    worker->dials = 0;
    result = start(worker, &listens);
    if (result < 0) {
        worker_free(worker);
        if (result == -EMFILE || result == -ENFILE)
            dispatcher_descriptors_short(dispatcher, -result);
        else if (listens)
            worker_starts_fail(dispatcher, -result, strerror(-result));
        else {
            snprintf(reason, sizeof reason, "no socket for it in %.250s/headroom.%.99s: %.40s",
                     above, dispatcher->settings->service, strerror(-result));
            worker_starts_fail(dispatcher, -result, reason);
        }
        return false;
    }
    return true;
}

void workers_started(struct dispatcher *dispatcher, unsigned number, pid_t pid)
{
    dispatcher->worker[number].pid = pid;
    dispatcher->totals.started++;
    if (pool_live(&dispatcher->pool) > dispatcher->totals.most_live)
        dispatcher->totals.most_live = pool_live(&dispatcher->pool);
}

void workers_start_failed(struct dispatcher *dispatcher, unsigned number, int error)
{
    struct worker *worker = &dispatcher->worker[number];

    worker_free(worker);
    /* No memory, or no process more (TasksMax=, pids.max): that is for the limit to judge. */
    if (error == EAGAIN || error == ENOMEM)
        regulator_failed(dispatcher);
    else
        worker_starts_fail(dispatcher, error, strerror(error));
}
