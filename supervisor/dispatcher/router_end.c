/*
 * The ends of a part: its worker replied or is lost, it goes back to where it waited, its client
 * has hung up.
 */

#include <stdio.h>

#include "agents/defer_log.h"
#include "supervisor/dispatcher/router.h"

void router_settle(struct router *router, struct part *part, const struct reply *reply,
                   const char *bytes)
{
    struct job *job = part->job;

    part->worker = POOL_NONE;
    if (reply)
        merge_add(&job->merge, reply, bytes);
    else
        merge_add_deferred(&job->merge);
    if (--job->left > 0) {
        parts_end(router->parts, part);
        return;
    }
    router->flow.answered++;
    reuse_left(&router->reuse, &job->client->request, job->client->bytes);
    client_answer(job->client, &job->merge);
    parts_free(router->parts, job);
}

bool router_learn(struct router *router, struct part *part, enum admission_outcome outcome,
                  int64_t service)
{
    int result = admission_finished(router->admission, parts_handle(router->parts, part), outcome,
                                    service, router_now(router));

    router_must(router, result, part);
    return result > 0 && !router->config->dry_run;
}

static enum admission_outcome outcome_of(const struct part *part, const struct reply *reply)
{
    /* An agent is done with a probe whatever the server said: 0 is an answer, not a delivery. */
    if (reply->status == 0)
        return request_is_probe(&part->job->client->request) ? ADMISSION_DEFERRED
                                                             : ADMISSION_DELIVERED;
    if (reply_unreached(reply))
        return ADMISSION_UNREACHED;
    return reply->dsn[0] != '\0' ? ADMISSION_FAILED : ADMISSION_DEFERRED;
}

/* A reply that has no DSN has no reason either: then the agent has written one for each recipient. */
void router_failed(struct router *router, const struct part *part, const struct reply *reply)
{
    const struct client *client = part->job->client;
    const char *key = admission_key(router->admission, parts_handle(router->parts, part));
    bool any = router->config->destination_key == CONFIG_DESTINATION_NEXTHOP;
    struct failure *failure = failures_add(router->failures, key, router->loop->now);
    char text[FAILURE_TEXT_SIZE];

    if (reply->dsn[0] != '\0')
        snprintf(text, sizeof text, "%s %s", reply->dsn, reply->reason);
    else if (!failure_looks(failure, router->loop->now) ||
             defer_log_reason(
                 router->queue_directory, client->bytes + client->request.queue_id.offset,
                 router->postconf->hash_queue_names, (unsigned)router->postconf->hash_queue_depth,
                 any ? NULL : key, text, sizeof text) < 0)
        return;
    failure_text(failure, text, router->loop->now);
}

static int64_t service_of(const struct router *router, const struct part *part)
{
    return router_now(router) - (int64_t)part->started;
}

void router_put_back(struct router *router, struct part *part)
{
    router_disband(router, part);
    part->worker = POOL_NONE;
    router_must(router,
                admission_put_back(router->admission, parts_handle(router->parts, part),
                                   router_now(router)),
                part);
}

void router_replied(struct router *router, struct part *part, const struct fleet_event *event)
{
    const struct reply *reply = event->reply;
    enum admission_outcome outcome = outcome_of(part, reply);

    growth_returned(&router->spawn.growth, router->loop->now);
    reuse_answered(&router->reuse, &part->job->client->request, part->job->client->bytes,
                   router->loop->now);
    if (part->members > 0) {
        router_joint_ended(router, part, event->reply, event->bytes);
        return;
    }
    parts_step(router->parts, part, PART_REPLIED);
    if (reply->status == 0)
        router->totals->delivered++;
    else {
        router->totals->failed++;
        router_failed(router, part, reply);
    }
    /* A next hop that rests here needs no rest by qmgr(8), which would be one of minutes. */
    if (router_learn(router, part, outcome, service_of(router, part)))
        reply = NULL;
    router_settle(router, part, reply, event->bytes);
}

void router_lost(struct router *router, struct part *part)
{
    if (part->members > 0) {
        router_joint_ended(router, part, NULL, NULL);
        return;
    }
    parts_step(router->parts, part, PART_AGENT_GONE);
    router->totals->lost++;
    router_learn(router, part, ADMISSION_LOST, service_of(router, part));
    router_settle(router, part, NULL, NULL);
}

/* A part whose bytes have not left ends without an answer of an agent. */
static void cancel(struct router *router, struct part *part)
{
    int worker = part->worker;
    enum part_action action = parts_step(router->parts, part, PART_CANCELLED);

    if (part->state != PART_ENDED)
        return;
    router_must(
        router,
        admission_cancel(router->admission, parts_handle(router->parts, part), router_now(router)),
        part);
    if (action == PART_RELEASE)
        fleet_release(router->fleet, worker);
    router_settle(router, part, NULL, NULL);
}

static bool waits(const struct part *part)
{
    return part->state == PART_WAITING || part->state == PART_VICTIM;
}

bool router_waits(const struct job *job)
{
    const struct part *part = TAILQ_FIRST(&job->parts);

    while (part && !waits(part))
        part = TAILQ_NEXT(part, of_job);
    return part;
}

/* Cancels the parts of a job, or of these the ones that wait. */
static void cancel_parts(struct router *router, struct job *job, bool waiting_only)
{
    struct part *part, *next;
    unsigned left = job->left;

    /* The last one that ends takes the job with it. */
    for (part = TAILQ_FIRST(&job->parts); part && left > 0; part = next) {
        next = TAILQ_NEXT(part, of_job);
        left--;
        if (!waiting_only || waits(part))
            cancel(router, part);
    }
}

void router_cancel_waiting(struct router *router, struct job *job)
{
    cancel_parts(router, job, true);
}

static void end_waiting(void *context, struct client *client)
{
    router_cancel_waiting(context, client->work);
}

void router_end_waiting(struct router *router)
{
    clients_each(router->clients, end_waiting, router);
}

void router_cancel_all(struct router *router, struct job *job)
{
    struct part *part;

    TAILQ_FOREACH(part, &job->parts, of_job)
    if (part->state == PART_CONNECTING)
        router_disband(router, part);
    cancel_parts(router, job, false);
}
