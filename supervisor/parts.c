/*
 * The way of a part: it waits, is chosen, is handed over, and ends.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/dispatch.h"

static void wait_at_tail(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    TAILQ_INSERT_TAIL(&dispatcher->waiting, part, waiting);
    dispatcher->waiting_count++;
}

static void wait_at_head(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    TAILQ_INSERT_HEAD(&dispatcher->waiting, part, waiting);
    dispatcher->waiting_count++;
}

static void wait_no_more(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    TAILQ_REMOVE(&dispatcher->waiting, part, waiting);
    dispatcher->waiting_count--;
}

/* `reply` NULL: no agent answered, which counts as the bare deferral. May end the client. */
static void part_ended(struct part *part, const struct reply *reply, const char *bytes)
{
    struct client *client = part->client;

    if (reply)
        merge_add(&client->merge, reply, bytes);
    else
        merge_add_deferred(&client->merge);
    if (--client->parts_left == 0)
        client_parts_ended(client);
}

/*
 * Takes the step that the table has for the event. What goes with it is done by the caller, who
 * knows the worker or the reply; the action is returned for that.
 */
static enum part_action part_step(struct part *part, enum part_event event)
{
    struct part_step step;
    enum part_state before = part->state;

    if (router_part(before, event, &step) < 0)
        dispatcher_broken(part->client->dispatcher, "part", (int)before, (int)event);
    part->state = step.state;
    if (before == PART_WAITING && step.state != PART_WAITING)
        wait_no_more(part);
    if (before != PART_WAITING && step.state == PART_WAITING)
        wait_at_head(part);
    return step.action;
}

void parts_admit(struct client *client)
{
    client->parts_left = 1;
    merge_init(&client->merge, 1);
    client->part = (struct part){
        .state = PART_WAITING,
        .client = client,
        .worker = POOL_NONE,
        .bytes = client->bytes,
        .length = client->length,
    };
    wait_at_tail(&client->part);
}

struct part *parts_next(struct dispatcher *dispatcher)
{
    return TAILQ_FIRST(&dispatcher->waiting);
}

static struct worker *worker_of(const struct part *part)
{
    return &part->client->dispatcher->worker[part->worker];
}

static void bind_worker(struct part *part, struct worker *worker)
{
    part->worker = worker->number;
    worker->part = part;
}

static void unbind_worker(struct part *part)
{
    worker_of(part)->part = NULL;
    part->worker = POOL_NONE;
}

bool part_choose(struct part *part, struct worker *worker)
{
    if (!worker_open(worker))
        return false;
    part_step(part, PART_CHOSEN);
    bind_worker(part, worker);
    return true;
}

void part_greeted(struct part *part, struct worker *worker)
{
    part_step(part, PART_GREETED);
    if (part->worker == POOL_NONE)
        bind_worker(part, worker);
    part_write(part);
}

void part_write(struct part *part)
{
    struct worker *worker = worker_of(part);
    ssize_t sent;

    while (part->sent < part->length) {
        sent = send(worker->connection, part->bytes + part->sent, part->length - part->sent,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            worker_want_write(worker, true);
            return;
        }
        /* Its end is seen where its reply is read, and an answer that it gave before. */
        if (sent < 0) {
            /* Should it not be gone (no memory in the kernel): half a request is never followed by
             * the wait for an answer. */
            shutdown(worker->connection, SHUT_RDWR);
            break;
        }
        part->sent += (size_t)sent;
    }
    worker_want_write(worker, false);
    part_step(part, PART_SENT);
}

void part_replied(struct part *part, const struct reply *reply, const char *bytes)
{
    struct dispatcher_totals *totals = &part->client->dispatcher->totals;

    part_step(part, PART_REPLIED);
    if (reply->status == 0)
        totals->delivered++;
    else
        totals->deferred++;
    unbind_worker(part);
    part_ended(part, reply, bytes);
}

void part_worker_gone(struct part *part)
{
    struct worker *worker = worker_of(part);
    enum part_action action = part_step(part, PART_WORKER_GONE);

    unbind_worker(part);
    if (action == PART_BACK)
        return;
    part->client->dispatcher->totals.lost++;
    memcpy(worker->lost, part->client->bytes + part->client->request.queue_id.offset,
           part->client->request.queue_id.len + 1);
    part_ended(part, NULL, NULL);
}

void parts_cancel(struct client *client)
{
    struct part *part = &client->part;
    struct worker *worker = part->worker == POOL_NONE ? NULL : worker_of(part);

    if (part->state == PART_ENDED)
        return;
    enum part_action action = part_step(part, PART_CANCELLED);
    if (action == PART_RELEASE) {
        unbind_worker(part);
        worker_release(worker);
    }
    if (part->state == PART_ENDED)
        part_ended(part, NULL, NULL);
}
