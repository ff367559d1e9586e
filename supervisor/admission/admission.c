/*
 * The life of a part. See admission.h.
 */

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

#include <errno.h>

struct part *admission_part(struct admission *admission, unsigned number, enum part_state least,
                            enum part_state most)
{
    struct part *part;

    if (number >= admission->parts)
        return NULL;
    part = &admission->part_array[number];
    return part->state >= least && part->state <= most ? part : NULL;
}

void admission_queue(struct admission *admission, struct part *part, bool at_head, int64_t now)
{
    struct destination *destination = part->destination;
    enum queue which = part->first ? (part->exempt ? QUEUE_FIRST_EXEMPT : QUEUE_FIRST)
                                   : (part->exempt ? QUEUE_RETRY_EXEMPT : QUEUE_RETRY);

    part->state = PART_WAITING;
    part->since = now;
    part->token = false;
    part->hanging = false;
    part->joint = false;
    if (at_head)
        list_push_head(&destination->queue[which], &part->queue);
    else
        list_push_tail(&destination->queue[which], &part->queue);
    if (part->first)
        destination->waiting_first++;
    else
        destination->waiting_retry++;
    admission->waiting++;
    if (!part->exempt) {
        list_push_tail(&admission->arrived, &part->time);
        destination->deferrable++;
    } else {
        destination->exempt++;
    }
    admission_nexthop_waits(admission, part, true);
}

void admission_unqueue(struct admission *admission, struct part *part)
{
    struct destination *destination = part->destination;

    list_remove(&part->queue);
    list_remove(&part->time);
    admission_nexthop_waits(admission, part, false);
    if (part->first)
        destination->waiting_first--;
    else
        destination->waiting_retry--;
    admission->waiting--;
    if (part->exempt)
        destination->exempt--;
    else
        destination->deferrable--;
}

void admission_release(struct admission *admission, struct part *part, int64_t now)
{
    struct destination *destination = part->destination;

    part->state = PART_FREE;
    part->destination = NULL;
    admission_nexthop_leaves(admission, part);
    destination_place(admission, destination, PLACE_KEEP, now);
    destination_use(admission, destination);
}

/* Takes a part out of flight; what it was worth is the caller's business. */
void admission_land(struct admission *admission, struct part *part, bool give_back)
{
    struct destination *destination = part->destination;

    list_remove(&part->time);
    share_end(admission, part);
    destination->in_flight--;
    admission->in_flight--;
    if (part->hanging) {
        destination->hanging--;
        admission->hanging_count--;
        admission->lane[part->charge].in_flight--;
    } else {
        admission->lane[destination->charge].in_flight--;
    }
    if (give_back)
        share_give_back(admission, part);
    admission_nexthop_lands(admission, part);
    if (destination->heavy) {
        destination->heavy = false;
        list_remove(&destination->ready);
        list_push_tail(&admission->lane[destination->ready_lane].ring, &destination->ready);
    }
}

void admission_begin(struct admission *admission, struct part *part, enum admission_lane lane,
                     bool spare, int64_t now)
{
    struct destination *destination = part->destination;

    admission_unqueue(admission, part);
    part->state = PART_CHOSEN;
    part->since = now;
    list_push_tail(&admission->started, &part->time);
    share_try(admission, part, lane);
    if (!spare)
        share_spend(admission, part, lane);
    if (destination->in_flight == destination->hanging)
        destination->charge = (uint8_t)lane;
    destination->in_flight++;
    part->level =
        (uint16_t)(destination->in_flight < UINT16_MAX ? destination->in_flight : UINT16_MAX);
    destination->last_start = now;
    admission->in_flight++;
    admission->lane[destination->charge].in_flight++;
    admission->count.started[lane]++;
    destination_place(admission, destination, PLACE_TURN, now);
}

int admission_arrive(struct admission *admission, unsigned number,
                     const struct admission_arrival *arrival, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_FREE, PART_FREE);
    struct destination *destination;

    if (part == NULL)
        return -EINVAL;
    destination = destination_get(admission, arrival->key, arrival->key_length);
    if (destination == NULL)
        return -EINVAL; /* cannot be: there are more destinations than parts */
    destination->pace = arrival->pace > 0 ? arrival->pace : 0;
    part->destination = destination;
    part->first = arrival->first;
    part->exempt = arrival->exempt;
    part->parked_until = 0;
    if (!destination_busy(destination))
        destination->seen = now;
    admission_nexthop_arrives(admission, part, arrival->nexthop, arrival->nexthop_length);
    admission_queue(admission, part, false, now);
    destination_place(admission, destination, PLACE_ARRIVAL, now);
    destination_use(admission, destination);
    return 0;
}

int admission_started(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_CHOSEN, PART_CHOSEN);

    if (part == NULL)
        return -EINVAL;
    part->state = PART_RUNNING;
    if (!part->hanging) {
        part->since = now;
        admission->changed |= part->silent;
        admission->silent -= part->silent;
        part->silent = false;
        list_remove(&part->time);
        list_push_tail(&admission->started, &part->time);
    }
    return 0;
}

int admission_put_back(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_CHOSEN, PART_JOINED);

    if (part == NULL || part->state == PART_RUNNING || part->members > 0)
        return -EINVAL;
    if (part->state == PART_JOINED)
        admission_unjoin(admission, part, false);
    else
        admission_land(admission, part, true);
    admission_queue(admission, part, true, now);
    admission->count.put_back++;
    destination_place(admission, part->destination, PLACE_ARRIVAL, now);
    return 0;
}

int admission_cancel(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_WAITING, PART_VICTIM);

    if (part == NULL || part->state == PART_RUNNING || part->state == PART_JOINED ||
        part->members > 0)
        return -EINVAL;
    if (part->state == PART_PARKED)
        admission_unpark_one(admission, part);
    else if (part->state == PART_VICTIM)
        admission_spare(admission, part);
    else if (part->state == PART_WAITING)
        admission_unqueue(admission, part);
    else
        admission_land(admission, part, true);
    admission->count.cancelled++;
    admission_release(admission, part, now);
    return 0;
}

/* What the outcome says of the destination, where it says something. */
static void learn(struct admission *admission, struct part *part, enum admission_outcome outcome,
                  int64_t service, int64_t now)
{
    struct destination *destination = part->destination;

    if (part->joint) {
        destination_learn_joint(&admission->settings, destination, outcome, service, now);
        return;
    }
    destination_learn(&admission->settings, destination, outcome, service, now);
    destination_most(&admission->settings, destination, outcome, part->level, service, now);
    if (outcome == ADMISSION_DELIVERED) {
        destination->unfit = false;
        destination_rate(destination, service, now);
        destination_round(destination, part->level, service, now);
    }
}

int admission_finished(struct admission *admission, unsigned number, enum admission_outcome outcome,
                       int64_t service, int64_t now)
{
    struct part *part = admission_part(admission, number, PART_CHOSEN, PART_JOINED);
    bool quick = service < admission->settings.slow_after;
    enum nexthop_fault fault;
    bool costless;

    if (part == NULL || part->members > 0)
        return -EINVAL;
    if (service < 0 && service != ADMISSION_UNTIMED)
        service = 0;
    fault = admission_nexthop_ended(admission, part, outcome, now);
    /* A worker that died has said nothing of the destination: that costs it no token either. */
    costless = fault != NEXTHOP_INNOCENT || outcome == ADMISSION_DELIVERED ||
               outcome == ADMISSION_DEFERRED || outcome == ADMISSION_LOST;
    if (fault == NEXTHOP_INNOCENT)
        learn(admission, part, outcome, service, now);
    else if (fault == NEXTHOP_FAULT_ALONE && !part->joint)
        destination_most(&admission->settings, part->destination, outcome, part->level, service,
                         now);
    if (fault == NEXTHOP_INNOCENT && outcome == ADMISSION_DELIVERED && quick)
        share_credit(admission, part);
    if (part->state == PART_JOINED)
        admission_unjoin(admission, part, true);
    else
        admission_land(admission, part, costless && quick);
    admission->count.finished++;
    admission_release(admission, part, now);
    return fault == NEXTHOP_RESTS;
}
