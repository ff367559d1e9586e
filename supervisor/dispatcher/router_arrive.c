/*
 * A request arrives: it is divided into parts, one for each destination where that can be done, and
 * they wait in admission.
 */

#include "supervisor/base/clock.h"
#include "supervisor/dispatcher/arrival.h"
#include "supervisor/dispatcher/router.h"

struct dividing {
    struct router *router;
    const struct client *client;
    const struct split *split;
};

/* The part waits in admission from now on. */
static void wait_as(struct router *router, struct part *part, struct admission_arrival *arrival)
{
    arrival->exempt = part->job->exempt;
    router_must(router,
                admission_arrive(router->admission, parts_handle(router->parts, part), arrival,
                                 router_now(router)),
                part);
}

void router_wait(struct router *router, struct part *part, const struct request *request)
{
    struct admission_arrival arrival;
    char name[ARRIVAL_NAME_SIZE];

    arrival_whole(router->config, request, part->bytes, name, &arrival);
    wait_as(router, part, &arrival);
}

static void wait_share(void *context, struct part *part, uint32_t n)
{
    const struct dividing *dividing = context;
    const struct client *client = dividing->client;
    struct admission_arrival arrival;
    char name[ARRIVAL_NAME_SIZE];

    arrival_share(dividing->router->config, &client->request, client->bytes,
                  &dividing->split->parts[n].key, name, &arrival);
    wait_as(dividing->router, part, &arrival);
}

/* One part for each destination, where that can be done. */
static bool divide(struct router *router, struct client *client, struct job *job)
{
    struct dividing dividing = {.router = router, .client = client};
    split_key *key = arrival_key(router->config);
    struct split split;
    bool done = false;

    if (!key || client->request.recipient_count < 2 ||
        split_plan(&split, &client->request, client->bytes, key) < 0)
        return false;
    dividing.split = &split;
    if (split.part_count > 1)
        done = parts_divide(router->parts, job, &split, &client->request, client->bytes, wait_share,
                            &dividing);
    split_free(&split);
    return done;
}

/* Another version of Postfix, or a Postfix of 32 bits. Logged once: it holds for all mail. */
static void age_unknown(struct router *router)
{
    if (router->age_unknown)
        return;
    router->age_unknown = true;
    journal_log(router->journal, EVENT_AGE_UNKNOWN, LOG_WARNING, NULL, 0,
                "qmgr(8) says the age of mail in a layout that this version of headroom does not "
                "know: nothing is deferred by headroom, since that could bounce old mail");
}

void router_arrive(struct router *router, struct client *client)
{
    struct job *job = parts_job(router->parts, client, client->length);

    if (client->request.times_unknown)
        age_unknown(router);
    client->work = job;
    room_arrived(&router->flow, client->request.active_arrival > 0
                                    ? clock_wall() - client->request.active_arrival
                                    : 0);
    reuse_arrived(&router->reuse, &client->request, client->bytes);
    job->exempt = arrival_exempt(router->postconf, &client->request, clock_wall());
    /* Without room for several parts the request waits for the slowest of its destinations. */
    if (!divide(router, client, job))
        router_wait(router, parts_whole(router->parts, job, client->bytes), &client->request);
}
