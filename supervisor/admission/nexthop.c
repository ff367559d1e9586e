#include "supervisor/admission/nexthop.h"

#define PROBE_FIRST (ADMISSION_SECOND / 40)

/* A probe that runs for longer than two failures by this has reached the server. */
#define LASTS_MORE ADMISSION_SECOND

#define CROWDED_FIRST (60 * ADMISSION_SECOND)
#define CROWDED_MOST (3600 * ADMISSION_SECOND)

/* Deliveries that hang while nothing else is heard: fewer may be poisoned messages. */
#define UNHEARD_LEAST 3

void nexthop_init(struct nexthop *hop)
{
    list_init(&hop->queue);
    hop->last_contact = ADMISSION_NEVER;
    hop->heard_again = ADMISSION_NEVER;
    hop->spares_until = ADMISSION_NEVER;
}

void nexthop_up(struct nexthop *hop)
{
    if (hop->down)
        hop->review = hop->queued;
    hop->down = false;
    hop->given_up = false;
    hop->failures = 0;
    hop->failure_time = 0;
}

bool nexthop_reached(struct nexthop *hop, int64_t began, int64_t now)
{
    bool was_down = hop->down;

    if (was_down && began < hop->down_since)
        return false;
    hop->last_contact = now;
    hop->usual += (now - began - hop->usual) / 8;
    if (hop->unheard >= UNHEARD_LEAST)
        hop->heard_again = now;
    hop->unheard = 0;
    nexthop_up(hop);
    return was_down;
}

bool nexthop_failed(struct nexthop *hop, int64_t began, int64_t now)
{
    if (hop->failures == 0)
        hop->failed_since = now;
    if (hop->failures < UINT32_MAX)
        hop->failures++;
    if (now - began > hop->failure_time)
        hop->failure_time = now - began;
    if (hop->down || hop->failures < NEXTHOP_FAILURES)
        return false;
    hop->down = true;
    hop->review = hop->queued;
    hop->down_since = now;
    hop->probe_pause = PROBE_FIRST;
    hop->probe_due = now + PROBE_FIRST;
    return true;
}

void nexthop_crowds(struct nexthop *hop, int64_t lately, int64_t now)
{
    if (now < hop->crowded_until || hop->last_contact == ADMISSION_NEVER ||
        now - hop->last_contact >= lately)
        return;
    hop->crowded_for = hop->crowded_for == 0 ? CROWDED_FIRST : 2 * hop->crowded_for;
    if (hop->crowded_for > CROWDED_MOST)
        hop->crowded_for = CROWDED_MOST;
    hop->crowded_until = now + hop->crowded_for;
}

void nexthop_hangs(struct nexthop *hop, int64_t began)
{
    if (hop->last_contact != ADMISSION_NEVER && began < hop->last_contact)
        return;
    if (hop->unheard++ == 0)
        hop->unheard_since = began;
}

int64_t nexthop_probe_due(const struct nexthop *hop)
{
    return hop->probes < NEXTHOP_PROBES ? hop->probe_due : ADMISSION_NEVER;
}

void nexthop_probe_starts(struct nexthop *hop, int64_t now)
{
    hop->probes++;
    hop->probe_began = now;
    hop->probe_pause *= 2;
    if (hop->probe_pause > NEXTHOP_PROBE_MOST)
        hop->probe_pause = NEXTHOP_PROBE_MOST;
    hop->probe_due = now + hop->probe_pause;
}

void nexthop_probe_ends(struct nexthop *hop)
{
    hop->probes--;
}

int64_t nexthop_lasts_due(const struct nexthop *hop)
{
    return hop->probes > 0 ? hop->probe_began + 2 * hop->failure_time + LASTS_MORE
                           : ADMISSION_NEVER;
}

bool nexthop_lasts(struct nexthop *hop, int64_t now)
{
    if (hop->probes == 0 || now < nexthop_lasts_due(hop))
        return false;
    nexthop_up(hop);
    return true;
}

enum admission_nexthop_state nexthop_state(const struct nexthop *hop, int64_t slow_after,
                                           int64_t now)
{
    if (hop->down)
        return ADMISSION_NEXTHOP_DOWN;
    if (hop->unheard >= UNHEARD_LEAST && now - hop->unheard_since >= slow_after + 2 * hop->usual)
        return ADMISSION_NEXTHOP_SILENT;
    return ADMISSION_NEXTHOP_UP;
}

bool nexthop_silenced(const struct nexthop *hop, int64_t slow_after, int64_t now)
{
    return nexthop_state(hop, slow_after, now) == ADMISSION_NEXTHOP_SILENT ||
           (hop->heard_again != ADMISSION_NEVER && now - hop->heard_again < slow_after);
}

bool nexthop_unspares(struct nexthop *hop, int64_t now)
{
    if (hop->spares_until == ADMISSION_NEVER || now < hop->spares_until)
        return false;
    hop->spares_until = ADMISSION_NEVER;
    hop->review = hop->queued;
    return true;
}
