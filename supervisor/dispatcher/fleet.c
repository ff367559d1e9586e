#include "supervisor/dispatcher/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/master.h"
#include "supervisor/dispatcher/fleet_worker.h"
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

static _Noreturn void broken(const struct fleet *fleet, const char *what, int state, int event)
{
    states_broken(fleet->config.complaints->journal, what, state, event);
}

void fleet_worker_move(struct worker *worker, enum worker_state state)
{
    struct fleet *fleet = worker->fleet;
    enum worker_state before = fleet_worker_state(worker);

    if (pool_move(&fleet->pool, worker->number, state, fleet->config.loop->now) < 0)
        broken(fleet, "worker", (int)before, (int)state);
}

void fleet_tell(const struct worker *worker, enum fleet_kind kind, void *work)
{
    const struct fleet_config *config = &worker->fleet->config;

    config->sink(config->context,
                 &(struct fleet_event){.kind = kind, .worker = worker->number, .work = work});
}

void fleet_worker_silent(struct worker *worker)
{
    if (worker->status < 0)
        return;
    watch_forget(worker->fleet->config.loop, &worker->status_watch);
    close(worker->status);
    worker->status = -1;
}

void fleet_connection_close(struct worker *worker)
{
    watch_forget(worker->fleet->config.loop, &worker->conversation_watch);
    conversation_end(&worker->conversation);
    worker->given = worker->sent = worker->large = false;
    if (worker->parting)
        worker->fleet->parting--;
    worker->parting = false;
    if (worker->ready)
        worker->fleet->ready--;
    worker->ready = false;
}

void fleet_worker_leave(struct worker *worker)
{
    fleet_connection_close(worker);
    fleet_worker_silent(worker);
    if (fleet_worker_state(worker) != WORKER_LEAVING)
        fleet_worker_move(worker, WORKER_LEAVING);
}

void fleet_free(struct worker *worker)
{
    fleet_worker_leave(worker);
    fleet_worker_move(worker, WORKER_FREE);
}

/* Its work is over: it is idle again, or leaves. It accepts again in a moment: a connection may
 * already wait for it then. */
static void rest(struct worker *worker)
{
    worker->work = NULL;
    fleet_connection_close(worker);
    if (worker->gone)
        fleet_worker_leave(worker);
    else
        fleet_worker_move(worker, WORKER_IDLE);
}

int fleet_dial(struct worker *worker)
{
    int result;

    if (worker->parting)
        fleet_connection_close(worker);
    result =
        sockets_connect(worker->fleet->config.sockets, (unsigned)worker->number, worker->place);

    if (result < 0)
        return result;
    if (++worker->dials % STATUS_CONNECTIONS == 0)
        master_status_discard(worker->status);
    conversation_begin(&worker->conversation, result);
    result = watch_on(worker->fleet->config.loop, &worker->conversation_watch, result, EPOLLIN,
                      on_connection, worker);
    if (result < 0)
        fleet_connection_close(worker);
    return result;
}

int fleet_call(struct fleet *fleet, void *work)
{
    int number;

    while ((number = fleet_worker_next(fleet)) != POOL_NONE) {
        struct worker *worker = &fleet->worker[number];
        int result = fleet_dial(worker);

        if (result >= 0) {
            worker->work = work;
            fleet_worker_move(worker, WORKER_CONNECTING);
            return number;
        }
        if (budget_is_short(-result)) {
            budget_descriptors_short(fleet->config.budget, -result, fleet->config.loop->now);
            return POOL_NONE;
        }
        fleet_worker_leave(worker);
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

/* Writes the request, or what is left of it. As conversation_request(). */
static int write_request(struct worker *worker)
{
    /* sendmsg(2) only reads it. NOLINTNEXTLINE(performance-no-int-to-ptr) */
    struct iovec piece = {.iov_base = (void *)(uintptr_t)worker->bytes, .iov_len = worker->length};

    int result = conversation_request(&worker->conversation, &piece, 1);

    worker->sent = result != -EAGAIN;
    watch_change(worker->fleet->config.loop, &worker->conversation_watch,
                 worker->sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return result;
}

int fleet_give(struct fleet *fleet, int number, void *work, const char *bytes, size_t length,
               const char *name)
{
    struct worker *worker = &fleet->worker[number];
    int result;

    if (worker->ready)
        fleet->ready--;
    worker->ready = false;
    worker->bytes = bytes;
    worker->length = length;
    result = write_request(worker);
    if (result == -EPIPE) {
        worker->work = NULL;
        worker->gone = true;
        fleet_worker_leave(worker);
        return result;
    }
    worker->work = work;
    worker->given = true;
    snprintf(worker->name, sizeof worker->name, "%s", name);
    fleet_worker_move(worker, WORKER_BUSY);
    return result;
}

void fleet_release(struct fleet *fleet, int worker)
{
    rest(&fleet->worker[worker]);
}

void fleet_worker_greeted(struct worker *worker, size_t length)
{
    struct fleet *fleet = worker->fleet;

    memcpy(fleet->greeting, worker->conversation.early, length);
    fleet->greeting_length = length;
    if (fleet_worker_state(worker) == WORKER_STARTING)
        fleet_starts_succeed(fleet);
}

void fleet_worker_lost(struct worker *worker)
{
    void *work = worker->work;
    enum fleet_kind kind = worker->given ? FLEET_LOST : FLEET_VANISHED;

    worker->gone = true;
    worker->work = NULL;
    if (kind == FLEET_LOST)
        memcpy(worker->lost, worker->name, sizeof worker->lost);
    if (fleet_worker_state(worker) == WORKER_STARTING && !worker->ready) {
        /* It stays STARTING until its end is known, and with it the reason. */
        fleet_connection_close(worker);
        fleet_worker_silent(worker);
    } else {
        fleet_worker_leave(worker);
    }
    if (work)
        fleet_tell(worker, kind, work);
}

static void greeting_read(struct worker *worker)
{
    size_t length;
    int result = conversation_greeting(&worker->conversation, &length);

    if (result == -EAGAIN)
        return;
    if (result == 0)
        fleet_worker_greeted(worker, length);
    if (result == 0 && fleet_worker_state(worker) == WORKER_STARTING) {
        worker->ready = true;
        worker->fleet->ready++;
    }
    /* Nothing of a request was sent, and nothing is to be sent to the dead. */
    if (result < 0 || worker->gone) {
        fleet_worker_lost(worker);
        return;
    }
    fleet_tell(worker, FLEET_GREETED, worker->work);
}

void fleet_worker_reply(struct worker *worker)
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
        fleet_worker_lost(worker);
        return;
    }
    /* A reply in pieces lies in the conversation's memory: it is taken over. */
    if (bytes == worker->conversation.reply) {
        kept = worker->conversation.reply;
        worker->conversation.reply = NULL;
    }
    if (worker->large && reply.status == 0 && !worker->gone)
        fleet_worker_part(worker);
    else
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
    /* It has nothing to say: it has gone, or talks nonsense. */
    if (worker->parting) {
        fleet_worker_leave(worker);
        return;
    }
    if ((events & EPOLLOUT) && worker->given && !worker->sent)
        sent = write_request(worker) != -EAGAIN;
    /* The reply is level-triggered: it is read in the next turn. */
    if (sent)
        fleet_tell(worker, FLEET_SENT, worker->work);
    else if (worker->given && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        fleet_worker_reply(worker);
    else if (worker->given)
        return;
    else if (worker->ready)
        fleet_worker_lost(worker);
    else
        greeting_read(worker);
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
            fleet_worker_started(&fleet->worker[news.worker], &news);
        else if (news.kind == CHANNEL_FAILED)
            fleet_worker_start_failed(&fleet->worker[news.worker], news.status);
        else
            fleet_worker_exited(&fleet->worker[news.worker], news.status);
    }
    if (result < 0)
        fleet->config.sink(fleet->config.context,
                           &(struct fleet_event){.kind = FLEET_CLOSED, .status = result != -EPIPE});
}

void fleet_leave(struct fleet *fleet)
{
    if (fleet->config.channel < 0)
        return;
    watch_forget(fleet->config.loop, &fleet->channel);
    close(fleet->config.channel);
    fleet->config.channel = -1;
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
        .forked = fleet->forked,
        .tls = fleet->tls,
        .start = fleet->start,
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

pid_t fleet_pid(const struct fleet *fleet, int worker)
{
    return fleet->worker[worker].pid;
}
