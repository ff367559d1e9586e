/*
 * Joint parts: who goes along with whom, and which of them take too long. See admission.h, JOINT PARTS.
 */

#include "supervisor/admission/destination.h"

#include <errno.h>

/*
 * So many that were never seen run as one. With four a message to twenty new domains makes five transactions, and one of them
 * that hangs harms three others; with twenty it would harm nineteen.
 */
#define JOIN_NEW_MOST 4

/* So long the next mail to one of them waits for the answer: a few hundred ms a destination, not a hang. */
#define JOIN_WAIT ADMISSION_SECOND

/* Parked parts that are taken back in one call. */
#define UNPARKS 64

/* Joint parts that last are looked at this many at a time, in turn. */
#define LOOKS 32

static enum join join_of(const struct admission *admission, const struct part *part, int64_t now)
{
    const struct destination *destination = part->destination;
    unsigned others = destination->in_flight + destination->joined;

    if (part->state == PART_CHOSEN)
        others--;
    return destination_joins(&admission->settings, destination, part->first, others, now);
}

bool admission_joins(const struct admission *admission, unsigned leader, int64_t now)
{
    return leader < admission->parts && admission->part_array[leader].state == PART_CHOSEN &&
           join_of(admission, &admission->part_array[leader], now) != JOIN_NOT;
}

/* What the next mail to a destination that was never seen has to wait for. */
static void hold(struct admission *admission, struct destination *destination, enum join kind,
                 int64_t now)
{
    if (kind != JOIN_NEW)
        return;
    destination->join_until = now + JOIN_WAIT;
    destination_place(admission, destination, PLACE_KEEP, now);
}

bool admission_awaits(const struct admission *admission, unsigned number, int64_t now)
{
    const struct part *part = &admission->part_array[number];

    return part->state == PART_WAITING && now < part->destination->join_until &&
           (part->destination->lane == ADMISSION_UNKNOWN ||
            part->destination->lane == ADMISSION_FIRST);
}

int admission_park(struct admission *admission, unsigned leader, int64_t now)
{
    struct part *part = admission_part(admission, leader, PART_CHOSEN, PART_CHOSEN);

    if (part == NULL || part->members > 0)
        return -EINVAL;
    if (part->parked_until == 0)
        part->parked_until = now + JOIN_WAIT;
    if (now >= part->parked_until || join_of(admission, part, now) != JOIN_PROVEN)
        return 0;
    admission_land(admission, part, true);
    admission->count.put_back++;
    part->state = PART_PARKED;
    part->parked_turn = admission->answers;
    list_push_tail(&admission->parked, &part->queue);
    part->destination->parked++;
    admission->parked_count++;
    destination_place(admission, part->destination, PLACE_KEEP, now);
    return 1;
}

void admission_unpark_one(struct admission *admission, struct part *part)
{
    list_remove(&part->queue);
    part->destination->parked--;
    admission->parked_count--;
}

int64_t admission_unpark(struct admission *admission, int64_t now)
{
    for (int i = 0; i < UNPARKS && !list_empty(&admission->parked); i++) {
        struct part *part = LIST_ENTRY(admission->parked.next, struct part, queue);

        if (now < part->parked_until && part->parked_turn == admission->answers)
            return part->parked_until;
        admission->count.steps++;
        admission_unpark_one(admission, part);
        admission_queue(admission, part, true, now);
        destination_place(admission, part->destination, PLACE_ARRIVAL, now);
    }
    return list_empty(&admission->parked) ? ADMISSION_NEVER : now + 1;
}

static void go_along(struct admission *admission, struct part *head, struct part *part,
                     enum join kind, int64_t now)
{
    struct destination *destination = part->destination;

    if (part->state == PART_PARKED)
        admission_unpark_one(admission, part);
    else
        admission_unqueue(admission, part);
    part->state = PART_JOINED;
    part->joint = true;
    part->leader = head;
    destination->joined++;
    if (head->members++ == 0) {
        head->joint = true;
        head->expected = head->destination->service;
        list_init(&head->queue);
        hold(admission, head->destination, kind, now);
    }
    head->expected += destination->service;
    list_push_tail(&head->queue, &part->queue);
    destination_place(admission, destination, PLACE_KEEP, now);
    hold(admission, destination, kind, now);
    admission->count.joined++;
}

int admission_join(struct admission *admission, unsigned leader, unsigned number, unsigned limit,
                   int64_t now)
{
    struct part *head = admission_part(admission, leader, PART_CHOSEN, PART_CHOSEN);
    struct part *part = admission_part(admission, number, PART_WAITING, PART_PARKED);
    struct destination *destination;
    enum join kind;

    if (head == NULL || part == NULL || (part->state != PART_WAITING && part->state != PART_PARKED))
        return -EINVAL;
    destination = part->destination;
    kind = join_of(admission, part, now);
    if (kind == JOIN_NOT || kind != join_of(admission, head, now) ||
        destination == head->destination)
        return 0;
    if (kind == JOIN_NEW ? head->members + 1 >= JOIN_NEW_MOST
                         : !destination_has_seat(destination, head->destination, limit))
        return 0;
    go_along(admission, head, part, kind, now);
    return 1;
}

bool admission_alone(const struct admission *admission, unsigned number)
{
    const struct part *part = &admission->part_array[number];

    return (part->destination->held && !part->exempt) || part->destination->pace > 0;
}

bool admission_holds_up(const struct admission *admission, unsigned number, int64_t now)
{
    return destination_holds_up(&admission->settings, admission->part_array[number].destination,
                                now);
}

int admission_join_anyway(struct admission *admission, unsigned leader, unsigned number,
                          int64_t now)
{
    struct part *head = admission_part(admission, leader, PART_CHOSEN, PART_CHOSEN);
    struct part *part = admission_part(admission, number, PART_WAITING, PART_WAITING);

    if (head == NULL || part == NULL)
        return -EINVAL;
    go_along(admission, head, part, JOIN_NOT, now);
    return 0;
}

static void answered(struct admission *admission, struct destination *destination)
{
    if (destination->join_until == ADMISSION_NEVER)
        return;
    destination->join_until = ADMISSION_NEVER;
    admission->answers++;
}

void admission_unjoin(struct admission *admission, struct part *part, bool ended)
{
    struct part *head = part->leader;

    list_remove(&part->queue);
    part->leader = NULL;
    part->destination->joined--;
    answered(admission, part->destination);
    if (--head->members > 0)
        return;
    answered(admission, head->destination);
    head->joint = ended;
    list_remove(&head->queue);
    head->queue = (struct list){0};
}

/* Who delivered something since it began is not the one that hangs. */
static void suspect(struct destination *destination, int64_t since)
{
    if (destination->last_success <= since)
        destination->unfit = true;
}

/* Its destinations are not joined again until each has delivered alone: one of them may hang. */
static void unfit(struct part *leader)
{
    suspect(leader->destination, leader->since);
    if (leader->members == 0)
        return;
    for (struct list *link = leader->queue.next; link != &leader->queue; link = link->next)
        suspect(LIST_ENTRY(link, struct part, queue)->destination, leader->since);
}

static bool too_long(const struct admission *admission, const struct part *leader, int64_t now)
{
    return now - leader->since >= admission->settings.slow_after + 2 * leader->expected;
}

struct list *admission_joint_hangs(struct admission *admission, struct part *leader, int64_t now)
{
    if (!too_long(admission, leader, now))
        return &admission->lasting;
    unfit(leader);
    return &admission->hanging;
}

void admission_joint_sweep(struct admission *admission, int64_t now)
{
    struct list *lasting = &admission->lasting;
    struct list *last = lasting->prev;

    for (int i = 0; i < LOOKS && !list_empty(lasting); i++) {
        struct list *link = lasting->next;
        struct part *leader = LIST_ENTRY(link, struct part, time);

        admission->count.steps++;
        list_remove(link);
        list_push_tail(admission_joint_hangs(admission, leader, now), link);
        if (link == last)
            break;
    }
}
