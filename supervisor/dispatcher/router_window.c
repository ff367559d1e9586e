/*
 * qmgr(8) hands over so many requests for a next hop at a time, 20 by default, and good mail behind them only in the place of
 * one that was answered. What waits here keeps such a place as what runs does, but comes to no end. Stock runs all that it has
 * processes for. So where all mail has one next hop, lanes and windows hold nothing back, as far as room_windowed() says; what they
 * would start comes first.
 */

#include "supervisor/dispatcher/router.h"

unsigned router_sessions(const struct router *router, unsigned limit)
{
    bool few = router->together && admission_one_nexthop(router->admission);

    return few && limit > router->room.hop_max ? router->room.hop_max : limit;
}

/* How many more may run. */
static unsigned windowed(const struct router *router, unsigned limit)
{
    const struct pool *pool = fleet_view(router->fleet).pool;
    unsigned busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING];
    unsigned most;

    if (busy >= limit || !admission_one_nexthop(router->admission))
        return 0;
    most = room_windowed(&router->room, clients_view(router->clients).held,
                         busy + parts_view(router->parts).waiting, limit);
    return most > busy ? most - busy : 0;
}

static bool may(const struct router *router, const struct part *part)
{
    return admission_may_anyway(router->admission, parts_handle(router->parts, part),
                                router_now(router));
}

bool router_windowed(const struct router *router, const struct part *part, unsigned limit)
{
    return windowed(router, limit) > 0 && may(router, part);
}

struct part *router_next_windowed(struct router *router, unsigned limit)
{
    struct part *part;

    if (windowed(router, limit) == 0)
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
    unsigned most = windowed(router, limit), jobs = parts_view(router->parts).jobs;
    const struct part *part = most > 0 ? parts_oldest(router->parts) : NULL;
    unsigned count = 0;

    most = most < jobs ? most : jobs;
    for (; part && count < most; part = TAILQ_NEXT(part, in_line))
        count += may(router, part);
    return count;
}
