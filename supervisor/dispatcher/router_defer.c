/*
 * Parts that are to be deferred: which, and with what words.
 */

#include <stdio.h>

#include "agents/limits.h"
#include "supervisor/base/clock.h"
#include "supervisor/dispatcher/arrival.h"
#include "supervisor/dispatcher/router.h"
#include "supervisor/limit/limit.h"
#include "supervisor/limits.h"

/* Requests that hold descriptors and do not wait: at most as many as workers are busy with. */
static unsigned running(const struct router *router)
{
    const struct pool *pool = fleet_view(router->fleet).pool;
    unsigned busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING];
    unsigned others = clients_view(router->clients).held - parts_view(router->parts).requests;

    return busy < others ? busy : others;
}

unsigned router_room(const struct router *router)
{
    return room_bound(&router->room, running(router));
}

bool router_room_full(const struct router *router)
{
    const struct parts_view view = parts_view(router->parts);

    return room_full(&router->room, view.requests, running(router), view.bytes);
}

bool router_crowded(const struct router *router)
{
    return room_crowded(&router->room, clients_view(router->clients).held, router->budget->held);
}

/* What is spared for some seconds takes no place in the waiting room. */
static bool room_closed(const struct router *router)
{
    const struct parts_view view = parts_view(router->parts);
    unsigned spared = admission_spared(router->admission, router_now(router));

    if (spared == 0 || router_crowded(router))
        return router_room_full(router);
    return room_full(&router->room, view.requests > spared ? view.requests - spared : 0,
                     running(router), 0);
}

unsigned router_places(const struct router *router)
{
    const struct budget *budget = router->budget;
    unsigned held = clients_view(router->clients).held;

    if (budget->descriptors_short || held >= budget->clients_max || room_closed(router) ||
        budget->held >= HELD_BYTES_MAX)
        return 0;
    return budget->clients_max - held;
}

/* Its client waits for an answer that qmgr(8) would take for the end of an old message. */
static bool may_defer(const struct router *router, const struct part *part)
{
    const struct client *client = part->job->client;

    return !arrival_exempt(router->postconf, &client->request, clock_wall());
}

bool router_still(const void *context, const void *work)
{
    const struct router *router = context;
    const struct part *part = work;

    /* After a reload it gets no worker, and without its client it must get none. */
    return router->leaving || part->job->client->state != CLIENT_HELD || may_defer(router, part);
}

void router_keep(struct router *router, struct part *part)
{
    struct request request;

    parts_exempt(router->parts, part->job);
    if (part->state == PART_DEFERRING || part->state == PART_VICTIM)
        parts_step(router->parts, part, PART_KEPT);
    request_init(&request);
    router_must(router, request_parse(&request, part->bytes, part->length), part);
    router_wait(router, part, &request);
    router_again(router, router_now(router));
}

/* The handle is free already. In a dry run the part is counted, waits on, and is asked for no more. */
static void defer(struct router *router, int handle, enum deferral_reason reason)
{
    struct part *part = parts_at(router->parts, (unsigned)handle);
    struct totals *totals = router->totals;
    bool may = may_defer(router, part);

    if (may && router->config->dry_run) {
        totals->would_defer_memory += reason == DEFERRAL_MEMORY;
        totals->would_defer_slow += reason == DEFERRAL_SLOW;
    }
    if (!may || router->config->dry_run) {
        router_keep(router, part);
        return;
    }
    parts_step(router->parts, part, PART_DEFERRED);
    part->reason = reason;
    retry_send(router->retry, part);
}

/* The handle is a victim's. In a dry run the part is counted and waits on. */
static void crowd_out(struct router *router, int handle)
{
    struct part *part = parts_at(router->parts, (unsigned)handle);
    bool may = may_defer(router, part);

    if (may && !router->config->dry_run) {
        parts_step(router->parts, part, PART_CROWDED);
        return;
    }
    router->totals->would_defer_full += may;
    router_must(router, admission_cancel(router->admission, (unsigned)handle, router_now(router)),
                part);
    router_keep(router, part);
}

/* Memory is short, or places are: what is at retry(8) already is enough for a moment. */
static bool hurry(const struct router *router)
{
    return retry_pending(router->retry) < HURRY_PENDING &&
           (room_hurries(&router->room, clients_view(router->clients).held, router->budget->held) ||
            regulator_view(router->regulator).decision->mode >= LIMIT_SHRINK);
}

static enum admission_space space(const struct router *router)
{
    const struct parts_view view = parts_view(router->parts);
    unsigned kept = router_room(router) / 4;

    if (router_room_full(router))
        return ADMISSION_FULL;
    return room_full(&router->room, view.requests + kept, running(router), view.bytes)
               ? ADMISSION_SPACE
               : ADMISSION_ROOMY;
}

static void make_room(struct router *router)
{
    int64_t now = router_now(router);
    struct admission_leave leave;
    int handle;

    while (router_room_full(router) && (handle = admission_victim(router->admission, now)) >= 0)
        crowd_out(router, handle);
    while (router_crowded(router) && router_room_full(router) &&
           (handle = admission_victim_spared(router->admission, now)) >= 0)
        crowd_out(router, handle);
    while ((leave = admission_leave(router->admission, hurry(router), space(router), now)).part >=
           0) {
        if (leave.stays)
            parts_step(router->parts, parts_at(router->parts, (unsigned)leave.part), PART_KEPT);
        else
            defer(router, leave.part, DEFERRAL_FULL);
    }
    router_again(router, leave.again);
}

void router_defer(struct router *router)
{
    const struct config *config = router->config;
    int64_t now = router_now(router);
    int64_t again = ADMISSION_NEVER;
    int handle;

    /* No record could be written. */
    if (router->queue != 0)
        return;
    make_room(router);
    while ((handle = admission_expire(router->admission, now, &again)) >= 0)
        defer(router, handle, DEFERRAL_SLOW);
    router_again(router, again);
    if (!regulator_view(router->regulator).decision->shed)
        return;
    while ((handle = admission_shed(router->admission, (int64_t)config->shed_grace, now, &again)) >=
           0)
        defer(router, handle, DEFERRAL_MEMORY);
    router_again(router, again);
}

/* What filled the waiting room. */
static void room_write(const struct router *router, char *text, size_t size)
{
    const struct parts_view view = parts_view(router->parts);
    unsigned most = router->config->waiting_max;
    unsigned bound = router_room(router);
    uint64_t each = view.bytes / (view.requests > 0 ? view.requests : 1);

    /* Some have left since then, but which of the three is the nearest has not changed. */
    if (room_full_of_bytes(&router->room, each * bound))
        snprintf(text, size, "%u MB of recipients wait", (unsigned)(view.bytes >> 20));
    else if (bound < most)
        snprintf(text, size, "%u wait, which is what open files allow", bound);
    else
        snprintf(text, size, "waiting.max %u", most);
}

/* Constant text first, so that deferrals can be counted by it; figures last. */
static void text_write(const struct router *router, enum deferral_reason reason, char *text,
                       size_t size)
{
    const struct config *config = router->config;
    char cause[256];

    switch (reason) {
    case DEFERRAL_MEMORY:
        limit_reason_write(&regulator_view(router->regulator).decision->reason, cause,
                           sizeof cause);
        snprintf(text, size, "4.3.2 delivery deferred: this system is short of memory (%s)", cause);
        break;
    case DEFERRAL_FULL:
        room_write(router, cause, sizeof cause);
        snprintf(text, size,
                 "4.4.5 delivery deferred: too much mail waits for this destination (%s)", cause);
        break;
    case DEFERRAL_SLOW:
        snprintf(text, size,
                 "4.4.5 delivery deferred: this destination does not answer, or is slow "
                 "(destination.backlog %u, waiting.time %u s)",
                 config->destination_backlog, (unsigned)(config->waiting_time / 1000000));
        break;
    }
}

void router_prepare(void *context, void *work, struct retry_letter *letter)
{
    const struct router *router = context;
    const struct part *part = work;

    letter->bytes = part->bytes;
    letter->length = part->length;
    text_write(router, part->reason, letter->text, REDIRECT_TEXT_MAX + 1);
}
