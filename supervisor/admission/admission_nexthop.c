/*
 * What a next hop that is down means for the destinations behind it. See nexthop.h and admission.h, NEXT HOPS.
 */

#include <string.h>

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

/* This part of the limit is for probes of all next hops together. */
#define PROBES_OF 8

/* Destinations that are looked at for a probe. */
#define LOOKS 8

/* Destinations that are placed again in one call. */
#define REVIEWS 64

/*
 * A next hop that is down for this part of waiting_time has its mail deferred where the room is full, and qmgr(8) is told of
 * failures again, which then rests it as with stock: else mail of hours fills the active queue, which all transports share.
 */
#define GIVEN_UP 3

/* Several destinations share it, or there is no other: its failures are nobody's evidence. */
static bool shared(const struct admission *admission, const struct nexthop *hop)
{
    return hop->members >= NEXTHOP_SHARED || admission->nexthop_count == 1;
}

static bool down(const struct admission *admission, const struct nexthop *hop)
{
    return hop && hop->down && shared(admission, hop);
}

bool admission_nexthop_down(struct admission *admission, const struct destination *destination)
{
    return down(admission, admission_nexthop_of(admission, destination));
}

bool admission_nexthop_spares(struct admission *admission, const struct destination *destination,
                              int64_t now)
{
    const struct admission_settings *settings = &admission->settings;
    struct nexthop *hop = admission_nexthop_of(admission, destination);
    int64_t success = destination->last_success, until;

    /* Where others are served, too, they are not kept out for the sake of one that is down. */
    if (!hop || admission->nexthop_count > 1)
        return false;
    if (hop->down)
        return !hop->given_up;
    until = hop->unheard_since + settings->waiting_time / GIVEN_UP;
    if (success == ADMISSION_NEVER || now - success >= settings->proven_for || now >= until ||
        !nexthop_silenced(hop, settings->slow_after, now))
        return false;
    admission->changed |= hop->spares_until != until;
    hop->spares_until = until;
    return true;
}

enum nexthop_hold admission_nexthop_holds(struct admission *admission,
                                          struct destination *destination)
{
    bool waits = destination->waiting_first > 0 || destination->waiting_retry > 0;
    bool stands = list_linked(&destination->of_nexthop);
    struct nexthop *hop;

    if (waits == stands && !admission->nexthop_trouble)
        return NEXTHOP_FREE;
    hop = admission_nexthop_of(admission, destination);
    if (hop && waits && !stands) {
        list_push_tail(&hop->queue, &destination->of_nexthop);
        hop->queued++;
    } else if (hop && !waits && stands) {
        list_remove(&destination->of_nexthop);
        hop->queued--;
    }
    if (!waits || !down(admission, hop))
        return NEXTHOP_FREE;
    return destination->exempt > 0 && hop->given_up ? NEXTHOP_EXEMPT_ONLY : NEXTHOP_HELD;
}

enum admission_lane admission_nexthop_lane(const struct destination *destination)
{
    bool first = destination->lane == ADMISSION_UNKNOWN && destination->waiting_first > 0;

    return first ? ADMISSION_FIRST : destination->lane;
}

/* One whose window and lane have room; with many behind it those at the front are enough. */
static struct destination *candidate(const struct admission *admission, struct nexthop *hop)
{
    struct list *link = hop->queue.next;

    for (int i = 0; i < LOOKS && link != &hop->queue; i++, link = link->next) {
        struct destination *destination = LIST_ENTRY(link, struct destination, of_nexthop);

        enum admission_lane lane = admission_nexthop_lane(destination);

        if (!destination->held && destination_used(destination) < destination_window(destination) &&
            share_room(admission, lane, admission->limit, admission->in_flight,
                       share_nested(admission, lane)) > 0)
            return destination;
    }
    return NULL;
}

struct destination *admission_nexthop_probe(struct admission *admission, int64_t now)
{
    struct destination *found = NULL;
    unsigned most;

    if (!admission->nexthop_trouble)
        return NULL;
    most = admission->limit / PROBES_OF > 0 ? admission->limit / PROBES_OF : 1;
    if (admission->nexthop_probes >= most)
        return NULL;
    for (unsigned i = 0; i < admission->nexthop_count && !found; i++) {
        struct nexthop *hop = &admission->nexthops[i];
        int64_t due = nexthop_probe_due(hop);

        if (down(admission, hop) && due != ADMISSION_NEVER && due <= now)
            found = candidate(admission, hop);
    }
    return found;
}

void admission_nexthop_probes(struct admission *admission, struct part *part, int64_t now)
{
    struct nexthop *hop = admission_nexthop_at(admission, part->nexthop);
    struct list *link = &part->destination->of_nexthop;

    part->probe = true;
    admission->nexthop_probes++;
    nexthop_probe_starts(hop, now);
    /* The next one is another destination's. */
    if (list_linked(link)) {
        list_remove(link);
        list_push_tail(&hop->queue, link);
    }
}

void admission_nexthop_lands(struct admission *admission, struct part *part)
{
    if (!part->probe)
        return;
    nexthop_probe_ends(admission_nexthop_at(admission, part->nexthop));
    admission->nexthop_probes--;
    part->probe = false;
}

void admission_nexthop_hangs(struct admission *admission, const struct part *part)
{
    struct nexthop *hop = admission_nexthop_at(admission, part->nexthop);

    if (hop)
        nexthop_hangs(hop, part->since);
}

enum nexthop_fault admission_nexthop_ended(struct admission *admission, const struct part *part,
                                           enum admission_outcome outcome, int64_t now)
{
    struct nexthop *hop = admission_nexthop_at(admission, part->nexthop);

    if (!hop)
        return NEXTHOP_INNOCENT;
    if (outcome != ADMISSION_UNREACHED) {
        if (outcome != ADMISSION_LOST && part->state != PART_JOINED)
            nexthop_reached(hop, part->since, now);
        return NEXTHOP_INNOCENT;
    }
    if (!shared(admission, hop))
        return NEXTHOP_INNOCENT;
    if (admission->in_flight > admission->settings.stock)
        nexthop_crowds(hop, admission->settings.slow_after, now);
    if (part->state != PART_JOINED)
        admission->nexthop_trouble |= nexthop_failed(hop, part->since, now);
    if (hop->failures >= NEXTHOP_FAILURES / 2 && !hop->given_up)
        return NEXTHOP_RESTS;
    return hop->members > 1 ? NEXTHOP_FAULT : NEXTHOP_FAULT_ALONE;
}

/* Where mail goes to others, too, they are not held back for it. */
static bool limits(const struct admission *admission, const struct nexthop *hop, int64_t now)
{
    return admission->nexthop_count == 1 && now < hop->crowded_until;
}

unsigned admission_limit(const struct admission *admission, unsigned limit, int64_t now)
{
    bool crowded = limits(admission, &admission->nexthops[0], now);

    return crowded && limit > admission->settings.stock ? admission->settings.stock : limit;
}

/* Its state has changed: destinations that wait stand elsewhere. */
static void review(struct admission *admission, struct nexthop *hop, int64_t now)
{
    for (int i = 0; i < REVIEWS && hop->review > 0 && !list_empty(&hop->queue); i++) {
        struct destination *destination =
            LIST_ENTRY(hop->queue.next, struct destination, of_nexthop);

        hop->review--;
        admission->count.steps++;
        list_remove(&destination->of_nexthop);
        list_push_tail(&hop->queue, &destination->of_nexthop);
        destination_place(admission, destination, PLACE_ARRIVAL, now);
    }
    if (list_empty(&hop->queue))
        hop->review = 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == ADMISSION_NEVER || (b != ADMISSION_NEVER && b < a) ? b : a;
}

/* What the clock changes of one; -> when it has to be looked at again. */
static int64_t sweep(struct admission *admission, struct nexthop *hop, int64_t now)
{
    int64_t patience = admission->settings.waiting_time / GIVEN_UP;
    int64_t again = ADMISSION_NEVER;

    if (hop->down && !shared(admission, hop))
        nexthop_up(hop);
    if (hop->down)
        nexthop_lasts(hop, now);
    if (hop->down && !hop->given_up && now - hop->failed_since >= patience) {
        hop->given_up = true;
        hop->review = hop->queued;
    }
    review(admission, hop, now);
    if (hop->review > 0)
        again = now + 1;
    if (!hop->down || list_empty(&hop->queue))
        return again;
    if (nexthop_probe_due(hop) > now)
        again = earlier(again, nexthop_probe_due(hop));
    again = earlier(again, nexthop_lasts_due(hop));
    return hop->given_up ? again : earlier(again, hop->failed_since + patience);
}

/* When mail is spared no more for the silence of the only next hop, or ADMISSION_NEVER. */
static int64_t spares_until(const struct admission *admission)
{
    return admission->nexthop_count == 1 ? admission->nexthops[0].spares_until : ADMISSION_NEVER;
}

int64_t admission_nexthop_sweep(struct admission *admission, int64_t now)
{
    int64_t again = ADMISSION_NEVER;
    bool trouble = false;

    if (admission->nexthop_count == 1 && nexthop_unspares(&admission->nexthops[0], now))
        admission->nexthop_trouble = true;
    if (!admission->nexthop_trouble)
        return spares_until(admission);
    for (unsigned i = 0; i < admission->nexthop_count; i++) {
        struct nexthop *hop = &admission->nexthops[i];

        if (!hop->down && hop->review == 0)
            continue;
        again = earlier(again, sweep(admission, hop, now));
        trouble |= hop->down || hop->review > 0;
    }
    admission->nexthop_trouble = trouble;
    return earlier(again, spares_until(admission));
}

bool admission_nexthop(const struct admission *admission, unsigned index, int64_t now,
                       struct admission_nexthop *view)
{
    const struct nexthop *hop = &admission->nexthops[index];

    if (index >= admission->nexthop_count)
        return false;
    *view = (struct admission_nexthop){
        .state = nexthop_state(hop, admission->settings.slow_after, now),
        .waiting = hop->waiting,
        .destinations = hop->members,
        .failures = hop->failures,
        .crowded_until = limits(admission, hop, now) ? hop->crowded_until : ADMISSION_NEVER,
        .crowded_limit = admission->settings.stock,
    };
    if (!shared(admission, hop))
        view->state = ADMISSION_NEXTHOP_UP;
    view->since = view->state == ADMISSION_NEXTHOP_DOWN ? hop->failed_since : hop->unheard_since;
    memcpy(view->name, hop->name, sizeof view->name);
    return true;
}
