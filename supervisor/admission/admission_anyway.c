/*
 * For a dry run, and for mail that qmgr(8) waits for: a part starts, or goes along, whatever admission would say of it; the
 * accounts stay true.
 */

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

#include <errno.h>

/* Might the next part of the destination start in its turn? *spare: beyond its window. */
static bool would_start(const struct admission *admission, const struct destination *destination,
                        unsigned limit, enum admission_lane *lane, bool *spare)
{
    *spare = false;
    *lane = destination->first_lane;
    if (list_linked(&destination->first) && share_has_room(admission, *lane, limit))
        return true;
    *lane = destination->ready_lane;
    if (list_linked(&destination->ready) && share_has_room(admission, *lane, limit))
        return true;
    *spare = true;
    *lane = destination->spare_lane;
    return list_linked(&destination->spare) &&
           share_spare(admission, *lane, limit, admission->in_flight,
                       share_nested(admission, *lane)) > 0;
}

int admission_start_anyway(struct admission *admission, unsigned number, unsigned limit,
                           int64_t now)
{
    struct part *part = admission_part(admission, number, PART_WAITING, PART_WAITING);
    enum admission_answer answer = ADMISSION_HELD;
    struct destination *destination;
    enum admission_lane lane;
    bool spare, probes;

    if (part == NULL)
        return -EINVAL;
    admission_due(admission, limit, now); /* what the clock changes */
    destination = part->destination;
    destination_place(admission, destination, PLACE_KEEP, now);
    probes = admission_nexthop_probe(admission, now) == destination;
    if (admission->in_flight >= limit)
        answer = ADMISSION_LIMIT;
    else if (probes || would_start(admission, destination, limit, &lane, &spare))
        answer = ADMISSION_START;
    if (answer != ADMISSION_START || probes) {
        lane = admission_nexthop_lane(destination);
        spare = true;
    }
    admission_begin(admission, part, lane, spare, now);
    if (answer == ADMISSION_START && probes)
        admission_nexthop_probes(admission, part, now);
    return (int)answer;
}

bool admission_may_anyway(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_WAITING, PART_WAITING);
    struct destination *destination;
    unsigned most;

    if (part == NULL)
        return false;
    destination = part->destination;
    destination_place(admission, destination, PLACE_KEEP, now);
    most = destination_number(destination);
    return destination->hold == NEXTHOP_FREE && destination->pace == 0 &&
           (most == 0 || destination->in_flight < most);
}

bool admission_one_nexthop(const struct admission *admission)
{
    return admission->nexthop_count == 1;
}
