#include "supervisor/ctl/ctl_cause.h"

#include <string.h>

/* A trend needs TREND_SPAN us, and a difference of a TREND_PARTth and of TREND_LEAST. */
#define TREND_SPAN UINT64_C(20000000)
#define TREND_PART 10
#define TREND_LEAST 5

/* A worker that has not greeted for this long is not just starting. Microseconds. */
#define READY_AFTER INT64_C(3000000)

uint64_t ctl_in_flight(const struct status *status)
{
    return status->lanes.proven + status->lanes.first + status->lanes.passed + status->lanes.slow +
           status->lanes.unknown + status->lanes.dead;
}

uint64_t ctl_held(const struct status *status)
{
    uint64_t lanes = status->lanes.slow + status->lanes.dead;
    uint64_t hangs = status->requests.hanging;

    return hangs > lanes ? hangs : lanes;
}

static bool open_state(const struct status *status)
{
    return strcmp(status->state.name, "OPEN") == 0;
}

bool ctl_trouble_holds(const struct status *status)
{
    uint64_t flight = ctl_in_flight(status);

    return (flight > 0 && ctl_held(status) * 2 >= flight) ||
           (status->requests.waiting > 0 && status->waits.failing * 2 >= status->requests.waiting);
}

/* A stock agent greets within 10 ms, unless it waits for proxymap(8) or the like. */
static bool none_is_ready(const struct status *status)
{
    return status->workers.starting > 0 && status->workers.starting_since > 0 &&
           status->workers.busy + status->workers.connecting + status->workers.idle == 0 &&
           status->written - status->workers.starting_since >= READY_AFTER;
}

/* A tenth of all deliveries of the last minute; a single one among many is a recipient's. */
static enum ctl_cause nothing_waits(const struct status *status)
{
    uint64_t failed = status->minute.failed;

    return failed > 0 && failed * 10 >= failed + status->minute.delivered ? CTL_FAILING
                                                                          : CTL_NOTHING;
}

/* Workers could be had. What keeps most of what waits? */
static enum ctl_cause slot_waits(const struct status *status)
{
    static const enum ctl_cause causes[] = {CTL_NEW,  CTL_WINDOW,     CTL_NUMBER,
                                            CTL_PACE, CTL_OTHER_SIDE, CTL_HELD};
    const uint64_t counts[] = {status->waits.unproven, status->waits.window,  status->waits.number,
                               status->waits.pace,     status->waits.failing, status->waits.held};
    size_t most = 0;

    for (size_t i = 1; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] > counts[most])
            most = i;
    /* A server that is busy, or greylists, answers, and makes nobody slow or dead; but it is why nobody delivers. */
    if (causes[most] == CTL_NEW && status->minute.failed > status->minute.delivered)
        return CTL_FAILING;
    return causes[most];
}

enum ctl_cause ctl_cause_of(const struct status *status)
{
    bool waits = status->requests.waiting > 0;
    uint64_t used = status->workers.busy + status->workers.connecting + status->workers.starting;
    uint64_t stock = status->settings.dry_run;

    if (status->faults.queue_read_only || (status->faults.queue_full && waits))
        return CTL_QUEUE;
    if (status->faults.failed_starts > 0)
        return CTL_STARTS;
    if (none_is_ready(status))
        return CTL_NOT_READY;
    if (stock == 0 && !open_state(status) && (waits || status->state.memory))
        return CTL_MEMORY;
    if (status->nexthops > 0)
        return CTL_NEXTHOP;
    if (!waits && status->requests.hanging == 0)
        return nothing_waits(status);
    if (stock == 0 && waits && status->waits.held * 2 >= status->requests.waiting)
        return CTL_HELD;
    if (ctl_trouble_holds(status))
        return CTL_OTHER_SIDE;
    /* In a dry run neither memory nor lanes nor holds keep anything. */
    if (stock > 0)
        return waits && used >= stock ? CTL_MAXIMUM : nothing_waits(status);
    if (used >= status->state.limit && status->state.memory)
        return CTL_MEMORY;
    if (used >= status->state.limit && status->state.limit >= status->settings.workers_max)
        return CTL_MAXIMUM;
    if (used >= status->state.limit)
        return CTL_GROWING;
    return waits ? slot_waits(status) : nothing_waits(status);
}

enum ctl_trend ctl_trend_of(const struct status *status)
{
    uint64_t now = status->requests.waiting;
    uint64_t then = status->minute.waiting;
    uint64_t apart = then / TREND_PART > TREND_LEAST ? then / TREND_PART : TREND_LEAST;
    double stall = status_pressure(status);

    if (status->minute.span < TREND_SPAN)
        return CTL_TREND_UNKNOWN;
    if (now > then + apart)
        return CTL_WORSE;
    if (now + apart < then || (now == 0 && then > 0))
        return CTL_BETTER;
    if (!open_state(status) && stall + status->pressure.hold < status->minute.pressure)
        return CTL_BETTER;
    if (!open_state(status) && stall > status->minute.pressure + status->pressure.hold)
        return CTL_WORSE;
    return CTL_STEADY;
}
