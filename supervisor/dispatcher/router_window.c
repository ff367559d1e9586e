/*
 * qmgr(8) hands over so many requests for a next hop at a time, 20 by default, and good mail behind them only in the place of
 * one that was answered. What waits here keeps such a place as what runs does, but comes to no end. Stock runs all of them. So
 * where all mail has one next hop, and workers are there for what is held, lanes and windows hold nothing back.
 */

#include "supervisor/dispatcher/router.h"

static bool windowed(const struct router *router, unsigned limit)
{
    const struct pool *pool = fleet_view(router->fleet).pool;
    unsigned busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING];
    unsigned held = clients_view(router->clients).held;

    return busy < limit && admission_one_nexthop(router->admission) &&
           room_windowed(&router->room, held, busy + parts_view(router->parts).waiting, limit);
}

static bool may(const struct router *router, const struct part *part)
{
    return admission_may_anyway(router->admission, parts_handle(router->parts, part),
                                router_now(router));
}

bool router_windowed(const struct router *router, const struct part *part, unsigned limit)
{
    return windowed(router, limit) && may(router, part);
}

struct part *router_next_windowed(struct router *router, unsigned limit)
{
    struct part *part;

    if (!windowed(router, limit))
        return NULL;
    part = parts_oldest(router->parts);
    while (part && !may(router, part))
        part = TAILQ_NEXT(part, in_line);
    if (!part)
        return NULL;
    router_must(router,
                admission_start_anyway(router->admission, parts_handle(router->parts, part), limit,
                                       router_now(router)),
                part);
    return router_join(router, part, limit) ? part : NULL;
}

unsigned router_count_windowed(const struct router *router, unsigned limit)
{
    const struct parts_view view = parts_view(router->parts);
    const struct part *part = NULL;
    unsigned count = 0;

    if (windowed(router, limit))
        part = parts_oldest(router->parts);
    for (; part; part = TAILQ_NEXT(part, in_line))
        count += may(router, part);
    return count < view.jobs ? count : view.jobs;
}
