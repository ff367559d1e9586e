#include "supervisor/dispatcher/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/worker.h"
#include "supervisor/dispatcher/fleet_start.h"
#include "supervisor/dispatcher/states.h"
#include "supervisor/limits.h"
#include "supervisor/parent/channel.h"

static void on_connection(void *owner, int fd, uint32_t events);
static void on_channel(void *owner, int fd, uint32_t events);

int fleet_create(struct fleet **out, const struct fleet_config *config)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    int result;

    *out = fleet;
    if (!fleet)
        return -ENOMEM;
    fleet->config = *config;
    result = pool_create(&fleet->pool, config->max);
    if (result < 0)
        return result;
    fleet->worker = calloc(config->max, sizeof *fleet->worker);
    if (!fleet->worker)
        return -ENOMEM;
    for (unsigned i = 0; i < config->max; i++)
        fleet->worker[i] =
            (struct worker){.fleet = fleet, .number = (int)i, .status = -1, .conversation.fd = -1};
    return watch_on(config->loop, &fleet->channel, config->channel, EPOLLIN, on_channel, fleet);
}

void fleet_destroy(struct fleet *fleet)
{
    if (!fleet)
        return;
    for (unsigned i = 0; fleet->worker && i < fleet->pool.size; i++) {
        conversation_end(&fleet->worker[i].conversation);
        if (fleet->worker[i].status >= 0)
            close(fleet->worker[i].status);
    }
    free(fleet->worker);
    pool_destroy(&fleet->pool);
    free(fleet);
}

static enum worker_state state_of(const struct worker *worker)
{
    return worker->fleet->pool.worker[worker->number].state;
}

static _Noreturn void broken(const struct fleet *fleet, const char *what, int state, int event)
{
    states_broken(fleet->config.complaints->journal, what, state, event);
}

static void move(struct worker *worker, enum worker_state state)
{
    struct fleet *fleet = worker->fleet;
    enum worker_state before = state_of(worker);

    if (pool_move(&fleet->pool, worker->number, state, fleet->config.loop->now) < 0)
        broken(fleet, "worker", (int)before, (int)state);
}

static void tell(const struct worker *worker, enum fleet_kind kind, void *work)
{
    const struct fleet_config *config = &worker->fleet->config;

    config->sink(config->context,
                 &(struct fleet_event){.kind = kind, .worker = worker->number, .work = work});
}

static void status_close(struct worker *worker)
{
    if (worker->status < 0)
        return;
    watch_forget(worker->fleet->config.loop, &worker->status_watch);
    close(worker->status);
    worker->status = -1;
}

static void connection_close(struct worker *worker)
{
    watch_forget(worker->fleet->config.loop, &worker->conversation_watch);
    conversation_end(&worker->conversation);
    worker->given = worker->sent = false;
    if (worker->ready)
        worker->fleet->ready--;
    worker->ready = false;
}

/* It is not used again. The end of its status channel tells it to go, as soon as it is idle. */
static void leave(struct worker *worker)
{
    connection_close(worker);
    status_close(worker);
    if (state_of(worker) != WORKER_LEAVING)
        move(worker, WORKER_LEAVING);
}

void fleet_free(struct worker *worker)
{
    leave(worker);
    move(worker, WORKER_FREE);
}

/* Its work is over: it is idle again, or leaves. It accepts again in a moment: a connection may
 * already wait for it then. */
static void rest(struct worker *worker)
{
    worker->work = NULL;
    connection_close(worker);
    if (worker->gone)
        leave(worker);
    else
        move(worker, WORKER_IDLE);
}

int fleet_dial(struct worker *worker)
{
    int result =
        sockets_connect(worker->fleet->config.sockets, (unsigned)worker->number, worker->place);

    if (result < 0)
        return result;
    if (++worker->dials % STATUS_CONNECTIONS == 0)
        master_status_discard(worker->status);
    conversation_begin(&worker->conversation, result);
    result = watch_on(worker->fleet->config.loop, &worker->conversation_watch, result, EPOLLIN,
                      on_connection, worker);
    if (result < 0)
        connection_close(worker);
    return result;
}

int fleet_call(struct fleet *fleet, void *work)
{
    int number;

    while ((number = pool_idle(&fleet->pool)) != POOL_NONE) {
        struct worker *worker = &fleet->worker[number];
        int result = fleet_dial(worker);

        if (result >= 0) {
            worker->work = work;
            move(worker, WORKER_CONNECTING);
            return number;
        }
        if (budget_is_short(-result)) {
            budget_descriptors_short(fleet->config.budget, -result, fleet->config.loop->now);
            return POOL_NONE;
        }
        leave(worker);
    }
    return POOL_NONE;
}

int fleet_ready(const struct fleet *fleet)
{
    for (unsigned i = 0; fleet->ready > 0 && i < fleet->pool.size; i++)
        if (fleet->worker[i].ready)
            return (int)i;
    return POOL_NONE;
}

/* Writes the request, or what is left of it. */
static bool write_request(struct worker *worker)
{
    /* sendmsg(2) only reads it. NOLINTNEXTLINE(performance-no-int-to-ptr) */
    struct iovec piece = {.iov_base = (void *)(uintptr_t)worker->bytes, .iov_len = worker->length};

    worker->sent = conversation_request(&worker->conversation, &piece, 1) == 0;
    watch_change(worker->fleet->config.loop, &worker->conversation_watch,
                 worker->sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return worker->sent;
}

bool fleet_give(struct fleet *fleet, int number, void *work, const char *bytes, size_t length,
                const char *name)
{
    struct worker *worker = &fleet->worker[number];

    if (worker->ready)
        fleet->ready--;
    worker->ready = false;
    worker->work = work;
    worker->bytes = bytes;
    worker->length = length;
    worker->given = true;
    snprintf(worker->name, sizeof worker->name, "%s", name);
    move(worker, WORKER_BUSY);
    return write_request(worker);
}

void fleet_release(struct fleet *fleet, int worker)
{
    rest(&fleet->worker[worker]);
}

static void retire(struct worker *worker)
{
    worker->retired = true;
    leave(worker);
}

void fleet_retire(struct fleet *fleet, unsigned count)
{
    int number;

    for (; count > 0; count--)
        if ((number = pool_surplus(&fleet->pool, fleet->config.loop->now)) != POOL_NONE)
            retire(&fleet->worker[number]);
}

/* The greeting is what clients are greeted with from now on, and starts are well. */
static void greeting_learn(struct worker *worker, size_t length)
{
    struct fleet *fleet = worker->fleet;

    memcpy(fleet->greeting, worker->conversation.early, length);
    fleet->greeting_length = length;
    if (state_of(worker) == WORKER_STARTING)
        fleet_starts_succeed(fleet);
}

/* The other end is closed, or talks nonsense. */
static void connection_lost(struct worker *worker)
{
    void *work = worker->work;
    enum fleet_kind kind = worker->given ? FLEET_LOST : FLEET_VANISHED;

    worker->gone = true;
    worker->work = NULL;
    if (kind == FLEET_LOST)
        memcpy(worker->lost, worker->name, sizeof worker->lost);
    if (state_of(worker) == WORKER_STARTING && !worker->ready) {
        /* It stays STARTING until its end is known, and with it the reason. */
        connection_close(worker);
        status_close(worker);
    } else {
        leave(worker);
    }
    if (work)
        tell(worker, kind, work);
}

static void greeting_read(struct worker *worker)
{
    size_t length;
    int result = conversation_greeting(&worker->conversation, &length);

    if (result == -EAGAIN)
        return;
    if (result == 0)
        greeting_learn(worker, length);
    if (result == 0 && state_of(worker) == WORKER_STARTING) {
        worker->ready = true;
        worker->fleet->ready++;
    }
    /* Nothing of a request was sent, and nothing is to be sent to the dead. */
    if (result < 0 || worker->gone) {
        connection_lost(worker);
        return;
    }
    tell(worker, FLEET_GREETED, worker->work);
}

static void reply_read(struct worker *worker)
{
    struct fleet *fleet = worker->fleet;
    struct reply reply;
    const char *bytes;
    char *kept = NULL;
    void *work = worker->work;
    int result = conversation_reply(&worker->conversation, fleet->scratch, sizeof fleet->scratch,
                                    &reply, &bytes);

    if (result == -EAGAIN)
        return;
    if (result < 0) {
        connection_lost(worker);
        return;
    }
    /* A reply in pieces lies in the conversation's memory: it is taken over. */
    if (bytes == worker->conversation.reply) {
        kept = worker->conversation.reply;
        worker->conversation.reply = NULL;
    }
    rest(worker);
    fleet->config.sink(fleet->config.context, &(struct fleet_event){.kind = FLEET_REPLIED,
                                                                    .worker = worker->number,
                                                                    .work = work,
                                                                    .reply = &reply,
                                                                    .bytes = bytes});
    free(kept);
}

static void on_connection(void *owner, int fd, uint32_t events)
{
    struct worker *worker = owner;
    bool sent = false;

    (void)fd;
    /* Both directions are closed: it may have said something before, but takes nothing more. */
    if (events & EPOLLHUP)
        worker->gone = true;
    if ((events & EPOLLOUT) && worker->given && !worker->sent)
        sent = write_request(worker);
    /* The reply is level-triggered: it is read in the next turn. */
    if (sent)
        tell(worker, FLEET_SENT, worker->work);
    else if (worker->given && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        reply_read(worker);
    else if (worker->given)
        return;
    else if (worker->ready)
        connection_lost(worker);
    else
        greeting_read(worker);
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
    greeting_learn(worker, length);
    return true;
}

/*
 * What it replied before it ended is still there to be read, and then its end: ours, because a
 * process that it left behind may have the other end open.
 */
static void finish(struct worker *worker)
{
    if (worker->work && !worker->given)
        connection_lost(worker);
    if (worker->work)
        shutdown(worker->conversation.fd, SHUT_RDWR);
    while (worker->work)
        reply_read(worker);
}

static void exited(struct worker *worker, int status)
{
    struct fleet *fleet = worker->fleet;
    struct fleet_event event = {.kind = FLEET_ENDED, .worker = worker->number, .status = status};
    char lost[sizeof worker->lost];
    char reason[64];

    worker->gone = true;
    finish(worker);
    if (state_of(worker) == WORKER_STARTING && !greeted_before_its_end(worker) &&
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

static void started(struct worker *worker, pid_t pid, bool renewed)
{
    struct fleet *fleet = worker->fleet;

    worker->pid = pid;
    fleet->config.totals->started++;
    if (pool_live(&fleet->pool) > fleet->most)
        fleet->most = pool_live(&fleet->pool);
    fleet->config.sink(
        fleet->config.context,
        &(struct fleet_event){.kind = FLEET_STARTED, .worker = worker->number, .renewed = renewed});
}

static void start_failed(struct worker *worker, int error)
{
    struct fleet *fleet = worker->fleet;

    fleet_free(worker);
    /* No memory, or no process more (TasksMax=, pids.max): that is for the limit to judge. */
    if (error == EAGAIN || error == ENOMEM)
        tell(worker, FLEET_FORK_FAILED, NULL);
    else
        fleet_starts_fail(fleet, strerror(error));
}

static void on_channel(void *owner, int fd, uint32_t events)
{
    struct fleet *fleet = owner;
    struct channel_message news;
    int fds[CHANNEL_DESCRIPTORS];
    int result;

    (void)events;
    while ((result = channel_receive(fd, &news, fds)) == 1) {
        enum worker_state state = WORKER_FREE;

        if (news.worker < fleet->pool.size)
            state = fleet->pool.worker[news.worker].state;
        if (state == WORKER_FREE || news.kind == CHANNEL_SPAWN || news.kind == CHANNEL_KILL)
            broken(fleet, "parent", (int)state, (int)news.kind);
        if (news.kind == CHANNEL_STARTED)
            started(&fleet->worker[news.worker], news.pid, news.status != 0);
        else if (news.kind == CHANNEL_FAILED)
            start_failed(&fleet->worker[news.worker], news.status);
        else
            exited(&fleet->worker[news.worker], news.status);
    }
    if (result < 0)
        fleet->config.sink(fleet->config.context,
                           &(struct fleet_event){.kind = FLEET_CLOSED, .status = result != -EPIPE});
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
    if (state_of(worker) == WORKER_STARTING)
        fleet_starts_fail(worker->fleet, "it does not greet");
    leave(worker);
    end_by_force(worker);
    /* Before a request is handed over it goes back to wait. */
    if (work)
        tell(worker, FLEET_VANISHED, work);
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

struct fleet_view fleet_view(const struct fleet *fleet)
{
    return (struct fleet_view){
        .pool = &fleet->pool,
        .greeting = fleet->greeting,
        .greeting_length = fleet->greeting_length,
        .start_error = fleet->start_error,
        .start_after = fleet->pool.start_after,
        .most = fleet->most,
    };
}

uint64_t fleet_starting_since(const struct fleet *fleet)
{
    const struct pool *pool = &fleet->pool;
    uint64_t since = 0;

    for (unsigned i = 0; pool->count[WORKER_STARTING] > 0 && i < pool->size; i++)
        if (pool->worker[i].state == WORKER_STARTING &&
            (since == 0 || pool->worker[i].since < since))
            since = pool->worker[i].since;
    return since;
}
