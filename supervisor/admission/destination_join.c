/*
 * Whose parts may be joined, and what a joint part says of its destinations: pure functions over one destination.
 */

#include "supervisor/admission/destination.h"

/*
 * So much of the limit a destination may have along, or its window: should it die, all of them hang, and three eighths are left to
 * others until it is known. Where the leader's own destination has as many, nobody else wanted the slot: what is not taken along
 * would fill it by itself. Without that, 100 messages at once to the same 40 domains took 161 transactions of 104 workers.
 */
#define SEATS 5
#define SEATS_OF 8

static bool holds_up(const struct destination *destination, enum admission_lane lane)
{
    return lane == ADMISSION_SLOW || lane == ADMISSION_DEAD || !destination_alive(destination) ||
           destination->unfit || destination->failures > 0 || destination->most > 0;
}

bool destination_holds_up(const struct admission_settings *settings,
                          const struct destination *destination, int64_t now)
{
    return holds_up(destination, destination_evidence(settings, destination, now));
}

enum join destination_joins(const struct admission_settings *settings,
                            const struct destination *destination, bool first, unsigned others,
                            int64_t now)
{
    enum admission_lane lane = destination_evidence(settings, destination, now);

    if (destination->held || destination->pace > 0 || holds_up(destination, lane))
        return JOIN_NOT;
    if (lane == ADMISSION_PROVEN)
        return JOIN_PROVEN;
    if (others == 0 && (lane == ADMISSION_FIRST || (lane == ADMISSION_UNKNOWN && first)))
        return JOIN_NEW;
    return JOIN_NOT;
}

static unsigned seats_of(const struct destination *destination, unsigned limit)
{
    unsigned seats = (unsigned)((uint64_t)limit * SEATS / SEATS_OF);
    unsigned window = destination_window(destination);

    return window > seats ? window : seats;
}

bool destination_has_seat(const struct destination *destination, const struct destination *leader,
                          unsigned limit)
{
    unsigned under_way = destination->in_flight + destination->joined;

    return under_way < seats_of(destination, limit) ||
           under_way <= leader->in_flight + leader->joined;
}

void destination_learn_joint(const struct admission_settings *settings,
                             struct destination *destination, enum admission_outcome outcome,
                             int64_t service, int64_t now)
{
    if (outcome == ADMISSION_DELIVERED)
        destination_learn(settings, destination, outcome,
                          service == ADMISSION_UNTIMED ? destination->service : service, now);
    else if (outcome != ADMISSION_LOST && outcome != ADMISSION_UNREACHED)
        destination->unfit = true;
}
