/*
 * The workers, seen from the dispatcher: greet, reply, go back to idle, leave. How they start is in worker_start.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/worker.h"
#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/parent/channel.h"

static void on_connection(void *owner, int fd, uint32_t events);

int workers_create(struct dispatcher *dispatcher)
{
    unsigned size = dispatcher->settings->config->workers_max;
    int result = pool_create(&dispatcher->pool, size);

    if (result < 0)
        return result;
    dispatcher->worker = calloc(size, sizeof *dispatcher->worker);
    if (!dispatcher->worker)
        return -ENOMEM;
    for (unsigned i = 0; i < size; i++) {
        dispatcher->worker[i].dispatcher = dispatcher;
        dispatcher->worker[i].number = (int)i;
        dispatcher->worker[i].status = -1;
        dispatcher->worker[i].conversation.fd = -1;
    }
    return 0;
}

void workers_destroy(struct dispatcher *dispatcher)
{
    for (unsigned i = 0; dispatcher->worker && i < dispatcher->pool.size; i++) {
        conversation_end(&dispatcher->worker[i].conversation);
    }
    free(dispatcher->worker);
    pool_destroy(&dispatcher->pool);
}

static enum worker_state state_of(const struct worker *worker)
{
    return worker->dispatcher->pool.worker[worker->number].state;
}

static void move(struct worker *worker, enum worker_state state)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    enum worker_state before = state_of(worker);

    if (pool_move(&dispatcher->pool, worker->number, state, dispatcher->now) < 0)
        dispatcher_broken(dispatcher, "worker", (int)before, (int)state);
}

static void status_close(struct worker *worker)
{
    if (worker->status < 0)
        return;
    watch_forget(&worker->dispatcher->watcher, &worker->status_watch);
    close(worker->status);
    worker->status = -1;
}

static void connection_close(struct worker *worker)
{
    watch_forget(&worker->dispatcher->watcher, &worker->conversation_watch);
    conversation_end(&worker->conversation);
}

/* It is not used again. The end of its status channel tells it to go, as soon as it is idle. */
static void leave(struct worker *worker)
{
    connection_close(worker);
    status_close(worker);
    if (state_of(worker) != WORKER_LEAVING)
        move(worker, WORKER_LEAVING);
}

void worker_free(struct worker *worker)
{
    leave(worker);
    move(worker, WORKER_FREE);
}

void worker_retire(struct worker *worker)
{
    worker->retired = true;
    leave(worker);
}

void worker_release(struct worker *worker)
{
    connection_close(worker);
    if (worker->gone) {
        leave(worker);
        return;
    }
    /* It accepts again in a moment: a connection may already wait for it then. */
    move(worker, WORKER_IDLE);
    growth_returned(&worker->dispatcher->growth, worker->dispatcher->now);
}

int worker_dial(struct worker *worker)
{
    int result = worker_connect((unsigned)worker->number);

    if (result < 0)
        return result;
    if (++worker->dials % STATUS_CONNECTIONS == 0)
        master_status_discard(worker->status);
    conversation_begin(&worker->conversation, result);
    result = watch_on(&worker->dispatcher->watcher, &worker->conversation_watch, result, EPOLLIN,
                      on_connection, worker);
    if (result < 0)
        connection_close(worker);
    return result;
}

bool worker_open(struct worker *worker)
{
    int result = worker_dial(worker);

    if (result >= 0) {
        move(worker, WORKER_CONNECTING);
        return true;
    }
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM)
        dispatcher_descriptors_short(worker->dispatcher, -result);
    else
        leave(worker);
    return false;
}

bool worker_write(struct worker *worker)
{
    const struct part *part = worker->part;
    struct iovec piece = {.iov_base = part->bytes, .iov_len = part->length};
    bool done = conversation_request(&worker->conversation, &piece, 1) == 0;

    watch_change(&worker->dispatcher->watcher, &worker->conversation_watch,
                 done ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return done;
}

/* Says which request a worker died with, once it is known what it died of. */
static void say_lost(struct worker *worker, int status)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    char figures[128];
    bool oom = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
               regulator_oom_killed(dispatcher, figures, sizeof figures);
    uint64_t unsaid;

    if (worker->lost[0] == '\0' ||
        !journal_limit_happened(&dispatcher->lost_lines, dispatcher->now, &unsaid))
        return;
    journal_log(dispatcher->journal, EVENT_WORKER_LOST, LOG_WARNING,
                (struct journal_field[]){JOURNAL_TEXT("HEADROOM_QUEUE_ID", worker->lost),
                                         JOURNAL_NUMBER("HEADROOM_WORKER_PID", worker->pid),
                                         JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)},
                3,
                "%s: worker %d ended with it (%s%s%s%s %d); it is deferred and will be tried again",
                worker->lost, (int)worker->pid, oom ? "killed for want of memory, " : "",
                oom ? figures : "", oom ? "; " : "", WIFSIGNALED(status) ? "signal" : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void connection_lost(struct worker *worker);
static void reply_read(struct worker *worker);

/* The greeting is ours from now on, and starts are well. */
static void greeting_learn(struct worker *worker, size_t length)
{
    struct dispatcher *dispatcher = worker->dispatcher;

    if (length != dispatcher->greeting_length ||
        memcmp(worker->conversation.early, dispatcher->greeting, length) != 0) {
        memcpy(dispatcher->greeting, worker->conversation.early, length);
        dispatcher->greeting_length = length;
    }
    if (state_of(worker) == WORKER_STARTING)
        worker_starts_succeed(dispatcher);
}

/* Its end may be told before its greeting is read: it did start, then. */
static bool greeted_before_its_end(struct worker *worker)
{
    size_t length;

    if (worker->conversation.fd < 0 || conversation_greeting(&worker->conversation, &length) < 0)
        return false;
    greeting_learn(worker, length);
    return true;
}

void workers_exited(struct dispatcher *dispatcher, unsigned number, int status)
{
    struct worker *worker = &dispatcher->worker[number];
    enum worker_state state = state_of(worker);
    char reason[64];

    worker->gone = true;
    /* Not greeted yet: nothing of the request was sent, and nothing is to be sent to the dead. */
    if (worker->part && state == WORKER_CONNECTING)
        connection_lost(worker);
    /* What it replied before it ended is still there to be read, and then its end: ours, because a
     * process that it left behind may have the other end open. */
    if (worker->part)
        shutdown(worker->conversation.fd, SHUT_RDWR);
    while (worker->part)
        reply_read(worker);
    say_lost(worker, status);
    if (state == WORKER_STARTING && !greeted_before_its_end(worker)) {
        snprintf(reason, sizeof reason, "it ended with %s %d before it was ready",
                 WIFSIGNALED(status) ? "signal" : "exit status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        worker_starts_fail(dispatcher, -1 - status, reason);
    }
    worker_free(worker);
    if (worker->retired)
        return;
    regulator_ended(dispatcher);
    if (status == 0)
        growth_ended(&dispatcher->growth, dispatcher->now);
}

/* The end of the status channel, of which nothing else is told: it is ending. */
static void on_status(void *owner, int fd, uint32_t events)
{
    struct worker *worker = owner;

    (void)fd;
    (void)events;
    worker->gone = true;
    status_close(worker);
    /* With a connection its end is seen there; while it starts, by the parent. */
    if (worker->conversation.fd < 0 && state_of(worker) != WORKER_STARTING)
        leave(worker);
}

int worker_watch_status(struct worker *worker)
{
    return watch_on(&worker->dispatcher->watcher, &worker->status_watch, worker->status, EPOLLRDHUP,
                    on_status, worker);
}

/* The other end is closed, or talks nonsense. */
static void connection_lost(struct worker *worker)
{
    worker->gone = true;
    if (worker->part)
        part_worker_gone(worker->part);
    if (state_of(worker) == WORKER_STARTING) {
        /* It stays STARTING until its end is known, and with it the reason. */
        connection_close(worker);
        status_close(worker);
    } else {
        leave(worker);
    }
}

/* It has greeted: a new one is ready for its first request, an idle one for the one chosen for it. */
static void greeted(struct worker *worker, size_t length)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    struct part *part = worker->part;

    greeting_learn(worker, length);
    if (worker->gone) {
        /* Nothing of a request was sent, and nothing is to be sent to the dead. */
        if (part)
            part_worker_gone(part);
        leave(worker);
        return;
    }
    if (state_of(worker) == WORKER_STARTING)
        part = parts_next(dispatcher);
    if (!part) {
        worker_release(worker);
        return;
    }
    move(worker, WORKER_BUSY);
    part_greeted(part, worker);
}

static void greeting_read(struct worker *worker)
{
    size_t length;
    int result = conversation_greeting(&worker->conversation, &length);

    if (result == 0)
        greeted(worker, length);
    else if (result != -EAGAIN)
        connection_lost(worker);
}

static void reply_read(struct worker *worker)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    struct reply reply;
    const char *bytes;
    int result = conversation_reply(&worker->conversation, dispatcher->scratch,
                                    sizeof dispatcher->scratch, &reply, &bytes);

    if (result == 0) {
        part_replied(worker->part, &reply, bytes);
        worker_release(worker);
    } else if (result != -EAGAIN) {
        connection_lost(worker);
    }
}

static void connection_read(struct worker *worker)
{
    if (state_of(worker) == WORKER_BUSY)
        reply_read(worker);
    else
        greeting_read(worker);
}

static void on_connection(void *owner, int fd, uint32_t events)
{
    struct worker *worker = owner;

    (void)fd;
    /* Both directions are closed: it may have said something before, but takes nothing more. */
    if (events & EPOLLHUP)
        worker->gone = true;
    if ((events & EPOLLOUT) && worker->part && worker->part->state == PART_SENDING)
        part_write(worker->part);
    if (worker->conversation.fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        connection_read(worker);
}

/* When the parent does not read, it is told at the next tick. */
static void end_by_force(struct worker *worker)
{
    worker->doomed = channel_send(worker->dispatcher->settings->channel,
                                  &(struct channel_message){.kind = CHANNEL_KILL,
                                                            .worker = (uint32_t)worker->number},
                                  NULL) == -EAGAIN;
}

/* A worker without a request that does not answer is ended: nothing is lost with it. */
static void give_up(struct worker *worker)
{
    struct dispatcher *dispatcher = worker->dispatcher;
    bool starting = state_of(worker) == WORKER_STARTING;

    /* Before a request is handed over it goes back to wait. */
    if (worker->part)
        part_worker_gone(worker->part);
    leave(worker);
    if (starting)
        worker_starts_fail(dispatcher, ETIMEDOUT, "it does not greet");
    end_by_force(worker);
}

void workers_expire(struct dispatcher *dispatcher, uint64_t now)
{
    struct pool *pool = &dispatcher->pool;
    int number;

    /* Those that leave are not of the minimum that stays. */
    while (pool_live(pool) - pool->count[WORKER_LEAVING] >
               dispatcher->settings->config->workers_min &&
           now > IDLE_SURPLUS && (number = pool_surplus(pool, now - IDLE_SURPLUS)) != POOL_NONE)
        worker_retire(&dispatcher->worker[number]);

    if (pool->count[WORKER_STARTING] + pool->count[WORKER_CONNECTING] +
            pool->count[WORKER_LEAVING] ==
        0)
        return;
    for (unsigned i = 0; i < pool->size; i++) {
        enum worker_state state = pool->worker[i].state;

        if ((state == WORKER_STARTING || state == WORKER_CONNECTING) &&
            now - pool->worker[i].since >= GREET_TIMEOUT)
            give_up(&dispatcher->worker[i]);
        else if (state == WORKER_LEAVING && dispatcher->worker[i].doomed)
            end_by_force(&dispatcher->worker[i]);
    }
}
