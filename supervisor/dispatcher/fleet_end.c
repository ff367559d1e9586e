/*
 * The end of a worker: it is told to go, goes by itself, does not answer, or its process ends.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "supervisor/dispatcher/fleet_worker.h"
#include "supervisor/limits.h"
#include "supervisor/parent/channel.h"

static void retire(struct worker *worker)
{
    worker->retired = true;
    fleet_worker_leave(worker);
}

void fleet_retire(struct fleet *fleet, unsigned count)
{
    int number;

    for (; count > 0 && (number = pool_surplus(&fleet->pool, fleet->config.loop->now)) != POOL_NONE;
         count--)
        retire(&fleet->worker[number]);
}

/* The end of the status channel, of which nothing else is told: it is ending. */
static void on_status(void *owner, int fd, uint32_t events)
{
    struct worker *worker = owner;

    (void)fd;
    (void)events;
    worker->gone = true;
    fleet_worker_silent(worker);
    /* With a connection its end is seen there; while it starts, by the parent. */
    if ((worker->conversation.fd < 0 || worker->parting) &&
        fleet_worker_state(worker) != WORKER_STARTING)
        fleet_worker_leave(worker);
}

int fleet_watch_status(struct worker *worker)
{
    return watch_on(worker->fleet->config.loop, &worker->status_watch, worker->status, EPOLLRDHUP,
                    on_status, worker);
}

/* Its end may be told before its greeting is read: it did start, then. */
static bool greeted_before_its_end(struct worker *worker)
{
    size_t length;

    if (worker->ready)
        return true;
    if (worker->conversation.fd < 0 || conversation_greeting(&worker->conversation, &length) < 0)
        return false;
    fleet_worker_greeted(worker, length);
    return true;
}

/*
 * What it replied before it ended is still there to be read, and then its end: ours, because a
 * process that it left behind may have the other end open.
 */
static void finish(struct worker *worker)
{
    if (worker->work && !worker->given)
        fleet_worker_lost(worker);
    if (worker->work)
        shutdown(worker->conversation.fd, SHUT_RDWR);
    while (worker->work)
        fleet_worker_reply(worker);
}

void fleet_worker_exited(struct worker *worker, int status)
{
    struct fleet *fleet = worker->fleet;
    struct fleet_event event = {.kind = FLEET_ENDED, .worker = worker->number, .status = status};
    char lost[sizeof worker->lost];
    char reason[64];

    worker->gone = true;
    finish(worker);
    if (fleet_worker_state(worker) == WORKER_STARTING && !greeted_before_its_end(worker) &&
        !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
          pool_start_killed(&fleet->pool, fleet->config.loop->now))) {
        snprintf(reason, sizeof reason, "it ended with %s %d before it was ready",
                 WIFSIGNALED(status) ? "signal" : "exit status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        fleet_starts_fail(fleet, reason);
    }
    event.pid = worker->pid;
    event.retired = worker->retired;
    memcpy(lost, worker->lost, sizeof lost);
    event.lost = lost;
    fleet_free(worker);
    fleet->config.sink(fleet->config.context, &event);
}

/* When the parent does not read, it is told at the next tick. */
static void end_by_force(struct worker *worker)
{
    int result = channel_send(
        worker->fleet->config.channel,
        &(struct channel_message){.kind = CHANNEL_KILL, .worker = (uint32_t)worker->number}, NULL);

    worker->doomed = result == -EAGAIN;
    worker->forced = !worker->doomed;
}

/* A worker without a request that does not answer is ended: nothing is lost with it. */
static void give_up(struct worker *worker)
{
    void *work = worker->work;

    worker->work = NULL;
    if (fleet_worker_state(worker) == WORKER_STARTING)
        fleet_starts_fail(worker->fleet, "it does not greet");
    fleet_worker_leave(worker);
    end_by_force(worker);
    /* Before a request is handed over it goes back to wait. */
    if (work)
        fleet_tell(worker, FLEET_VANISHED, work);
}

void fleet_tick(struct fleet *fleet)
{
    struct pool *pool = &fleet->pool;
    uint64_t now = fleet->config.loop->now;
    int number;

    /* Those that leave are not of the minimum that stays. */
    while (pool_live(pool) - pool->count[WORKER_LEAVING] > fleet->config.min &&
           now > IDLE_SURPLUS && (number = pool_surplus(pool, now - IDLE_SURPLUS)) != POOL_NONE)
        retire(&fleet->worker[number]);

    if (pool->count[WORKER_STARTING] + pool->count[WORKER_CONNECTING] +
            pool->count[WORKER_LEAVING] ==
        0)
        return;
    for (unsigned i = 0; i < pool->size; i++) {
        struct worker *worker = &fleet->worker[i];
        bool late = now - pool->worker[i].since >= GREET_TIMEOUT;

        switch (pool->worker[i].state) {
        case WORKER_STARTING:
        case WORKER_CONNECTING:
            if (late)
                give_up(worker);
            break;
        case WORKER_LEAVING:
            /* One that lost a request may still deliver it. */
            if (worker->doomed || (late && !worker->forced && worker->lost[0] == '\0'))
                end_by_force(worker);
            break;
        default:
            break;
        }
    }
}
