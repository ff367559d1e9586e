/*
 * The way of a part that waits: it is chosen, is handed over, and ends; or it is deferred.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "supervisor/admission/learned.h"
#include "supervisor/dispatcher/dispatch.h"

#define LEARNED_FILE "learned"

static int64_t now_of(const struct dispatcher *dispatcher)
{
    return (int64_t)dispatcher->now;
}

static int64_t wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

int parts_create(struct dispatcher *dispatcher)
{
    const struct config *config = dispatcher->settings->config;
    struct admission_settings settings;

    TAILQ_INIT(&dispatcher->parts_free);
    dispatcher->parts_max = dispatcher->clients_max + config->waiting_max;
    dispatcher->part = calloc(dispatcher->parts_max, sizeof *dispatcher->part);
    admission_defaults(&settings);
    settings.slow_after = (int64_t)config->destination_slow_after;
    settings.waiting_time = (int64_t)config->waiting_time;
    settings.waiting_most = dispatcher->settings->postconf->daemon_timeout * INT64_C(1000000) / 2;
    settings.backlog = config->destination_backlog;
    if (getrandom(settings.seed, sizeof settings.seed, 0) != (ssize_t)sizeof settings.seed)
        return -EIO;
    dispatcher->admission = admission_create(&settings, dispatcher->parts_max, DESTINATIONS_MAX);
    if (!dispatcher->part || !dispatcher->admission)
        return -ENOMEM;
    /* None yet, or damaged and thrown away: it is learned again. */
    learned_load(dispatcher->settings->state_directory, LEARNED_FILE, dispatcher->admission,
                 now_of(dispatcher), wall_clock());
    return 0;
}

void parts_remember(struct dispatcher *dispatcher)
{
    int result = learned_save(dispatcher->settings->state_directory, LEARNED_FILE,
                              dispatcher->admission, now_of(dispatcher), wall_clock());
    uint64_t unsaid;

    if (result < 0 && journal_limit_happened(&dispatcher->learned_lines, dispatcher->now, &unsaid))
        journal_log(dispatcher->journal, EVENT_STATE_FILE, LOG_WARNING, NULL, 0,
                    "what was learned of destinations cannot be kept in %s/headroom.%s/%s: %s; "
                    "after a restart it is learned again",
                    dispatcher->settings->postconf->data_directory, dispatcher->settings->service,
                    LEARNED_FILE, strerror(-result));
}

void parts_destroy(struct dispatcher *dispatcher)
{
    for (unsigned i = 0; i < dispatcher->parts_touched; i++)
        free(dispatcher->part[i].own);
    free(dispatcher->part);
    admission_destroy(dispatcher->admission);
}

static unsigned handle_of(const struct part *part)
{
    return (unsigned)(part - part->client->dispatcher->part);
}

/* What admission was told does not fit what it knows: one of us is wrong. */
static void must(struct dispatcher *dispatcher, int result, int state)
{
    if (result < 0)
        dispatcher_broken(dispatcher, "admission", state, result);
}

void part_waits(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    dispatcher->waiting_count++;
    if (part->own)
        dispatcher->waiting_bytes += part->length;
    if (part->client->parts_waiting++ > 0)
        return;
    dispatcher->waiting_requests++;
    dispatcher->waiting_bytes += part->client->capacity;
}

static void part_waits_no_more(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    dispatcher->waiting_count--;
    if (part->own)
        dispatcher->waiting_bytes -= part->length;
    if (--part->client->parts_waiting > 0)
        return;
    dispatcher->waiting_requests--;
    dispatcher->waiting_bytes -= part->client->capacity;
}

/* Requests that hold descriptors and do not wait: at most as many as workers are busy with. */
static unsigned running(const struct dispatcher *dispatcher)
{
    unsigned busy = dispatcher->pool.count[WORKER_BUSY] + dispatcher->pool.count[WORKER_CONNECTING];
    unsigned others = dispatcher->clients - dispatcher->waiting_requests;

    return busy < others ? busy : others;
}

unsigned parts_room(const struct dispatcher *dispatcher)
{
    return room_bound(&dispatcher->room, running(dispatcher));
}

bool parts_room_full(const struct dispatcher *dispatcher)
{
    return room_full(&dispatcher->room, dispatcher->waiting_requests, running(dispatcher),
                     dispatcher->waiting_bytes);
}

/*
 * Takes the step that the table has for the event. What goes with it is done by the caller, who
 * knows the agent or the reply; the action is returned for that.
 */
static enum part_action part_step(struct part *part, enum part_event event)
{
    struct dispatcher *dispatcher = part->client->dispatcher;
    struct part_step step;
    enum part_state before = part->state;

    if (router_part(before, event, &step) < 0)
        dispatcher_broken(dispatcher, "part", (int)before, (int)event);
    part->state = step.state;
    if (before == PART_WAITING && step.state != PART_WAITING)
        part_waits_no_more(part);
    if (before != PART_WAITING && step.state == PART_WAITING)
        part_waits(part);
    return step.action;
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

void parts_release(struct client *client)
{
    struct part *part;

    while ((part = SLIST_FIRST(&client->parts))) {
        SLIST_REMOVE_HEAD(&client->parts, of_client);
        if (part->own)
            client->dispatcher->held_bytes -= part->length;
        free(part->own);
        part->own = NULL;
        TAILQ_INSERT_HEAD(&client->dispatcher->parts_free, part, link);
        client->dispatcher->parts--;
    }
}

void part_wait(struct part *part, const struct admission_arrival *arrival)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    must(dispatcher,
         admission_arrive(dispatcher->admission, handle_of(part), arrival, now_of(dispatcher)),
         PART_WAITING);
}

struct part *parts_next(struct dispatcher *dispatcher)
{
    struct admission_choice choice =
        admission_next(dispatcher->admission, regulator_limit(dispatcher), now_of(dispatcher));

    if (choice.answer == ADMISSION_START)
        return &dispatcher->part[choice.part];
    dispatcher_wake_at(dispatcher, choice.again);
    return NULL;
}

unsigned parts_runnable(struct dispatcher *dispatcher)
{
    unsigned limit = regulator_limit(dispatcher);

    return admission_runnable(dispatcher->admission, limit, now_of(dispatcher), limit);
}

void parts_wake(struct dispatcher *dispatcher)
{
    dispatcher_wake_at(dispatcher, admission_due(dispatcher->admission, regulator_limit(dispatcher),
                                                 now_of(dispatcher)));
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

static void put_back(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    must(dispatcher, admission_put_back(dispatcher->admission, handle_of(part), now_of(dispatcher)),
         PART_CONNECTING);
}

bool part_connect(struct part *part, struct worker *worker)
{
    if (!worker_open(worker)) {
        put_back(part);
        return false;
    }
    part_step(part, PART_CHOSEN);
    bind_worker(part, worker);
    return true;
}

void part_greeted(struct part *part, struct worker *worker)
{
    struct dispatcher *dispatcher = part->client->dispatcher;

    part_step(part, PART_GREETED);
    if (part->worker == POOL_NONE)
        bind_worker(part, worker);
    part->started = dispatcher->now;
    must(dispatcher,
         admission_started(dispatcher->admission, handle_of(part), (int64_t)part->started),
         PART_SENDING);
    part_write(part);
}

void part_write(struct part *part)
{
    if (worker_write(worker_of(part)))
        part_step(part, PART_SENT);
}

/* A part that ran has ended: what that says of its destination. */
static void finished(struct part *part, enum admission_outcome outcome)
{
    struct dispatcher *dispatcher = part->client->dispatcher;
    uint64_t now = dispatcher->now;

    must(dispatcher,
         admission_finished(dispatcher->admission, handle_of(part), outcome,
                            (int64_t)(now - part->started), (int64_t)now),
         PART_RUNNING);
}

void part_replied(struct part *part, const struct reply *reply, const char *bytes)
{
    struct dispatcher_totals *totals = &part->client->dispatcher->totals;

    part_step(part, PART_REPLIED);
    if (reply->status == 0)
        totals->delivered++;
    else
        totals->deferred++;
    if (reply->status == 0)
        finished(part, ADMISSION_DELIVERED);
    else
        finished(part, reply->dsn[0] != '\0' ? ADMISSION_FAILED : ADMISSION_DEFERRED);
    unbind_worker(part);
    part_ended(part, reply, bytes);
}

void part_worker_gone(struct part *part)
{
    struct worker *worker = worker_of(part);
    enum part_action action = part_step(part, PART_AGENT_GONE);

    unbind_worker(part);
    if (action == PART_BACK) {
        put_back(part);
        return;
    }
    part->client->dispatcher->totals.lost++;
    memcpy(worker->lost, part->client->bytes + part->client->request.queue_id.offset,
           part->client->request.queue_id.len + 1);
    finished(part, ADMISSION_LOST);
    part_ended(part, NULL, NULL);
}

static void part_cancel(struct part *part)
{
    struct dispatcher *dispatcher = part->client->dispatcher;
    struct worker *worker = part->worker == POOL_NONE ? NULL : worker_of(part);
    enum part_action action = part_step(part, PART_CANCELLED);

    if (part->state != PART_ENDED)
        return;
    must(dispatcher, admission_cancel(dispatcher->admission, handle_of(part), now_of(dispatcher)),
         PART_ENDED);
    if (action == PART_RELEASE) {
        unbind_worker(part);
        worker_release(worker);
    }
    part_ended(part, NULL, NULL);
}

void parts_cancel(struct client *client)
{
    struct part *part = SLIST_FIRST(&client->parts);

    /* The last one that ends takes the client with it, and its list. */
    while (part) {
        struct part *next = SLIST_NEXT(part, of_client);
        bool last = part->state != PART_ENDED && client->parts_left == 1;

        if (part->state != PART_ENDED)
            part_cancel(part);
        part = last ? NULL : next;
    }
}

void part_postponed(struct part *part, const struct reply *reply, const char *bytes)
{
    struct dispatcher_totals *totals = &part->client->dispatcher->totals;

    part_step(part, reply ? PART_REPLIED : PART_AGENT_GONE);
    totals->postponed++;
    totals->postponed_for[part->reason]++;
    if (!reply)
        totals->bare++;
    part_ended(part, reply, bytes);
}

/*
 * Its handle is free already. A message may have become too old for it while it waited: then it waits on, behind others for its
 * destination, and is not asked for again.
 */
static void defer(struct dispatcher *dispatcher, int handle, enum deferral_reason reason)
{
    struct part *part = &dispatcher->part[handle];
    struct request request;

    if (parts_exempt(part->client)) {
        request_init(&request);
        must(dispatcher, request_parse(&request, part->bytes, part->length), PART_WAITING);
        part_arrive(part, &request);
        return;
    }
    part_step(part, PART_DEFERRED);
    deferrals_add(part, reason);
}

void parts_defer(struct dispatcher *dispatcher)
{
    const struct config *config = dispatcher->settings->config;
    int64_t now = now_of(dispatcher);
    int64_t again = ADMISSION_NEVER;
    int handle;

    while (parts_room_full(dispatcher) &&
           (handle = admission_victim(dispatcher->admission, now)) >= 0)
        defer(dispatcher, handle, DEFERRAL_FULL);
    while ((handle = admission_expire(dispatcher->admission, now, &again)) >= 0)
        defer(dispatcher, handle, DEFERRAL_SLOW);
    dispatcher_wake_at(dispatcher, again);
    if (dispatcher->regulator.decision.shed) {
        while ((handle = admission_shed(dispatcher->admission, (int64_t)config->shed_grace, now,
                                        &again)) >= 0)
            defer(dispatcher, handle, DEFERRAL_MEMORY);
        dispatcher_wake_at(dispatcher, again);
    }
    deferrals_pump(dispatcher);
}
