/*
 * Who is next: what the clock changes, the lane, its front, and how many could start. See admission.h.
 */

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

/* A destination whose evidence turns out to have changed is put in its place and another one is looked at. */
#define TRIES 16

/* A lane that could have had a slot but was passed over this often gets the next one. */
#define MISSED_MAX 64

/* From now on it is charged by itself: a few that hang do not take the place of its destination's other mail. */
static void hang(struct admission *admission, struct part *part)
{
    struct destination *destination = part->destination;

    part->hanging = true;
    part->charge = (uint8_t)destination_hang_lane(destination);
    admission->lane[destination->charge].in_flight--;
    admission->lane[part->charge].in_flight++;
    destination->hanging++;
    admission->hanging_count++;
    if (!part->joint && part->since > destination->last_hang)
        destination->last_hang = part->since;
    admission_nexthop_hangs(admission, part);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == ADMISSION_NEVER || (b != ADMISSION_NEVER && b < a) ? b : a;
}

/*
 * What the clock alone changes: who hangs, who was passed over, whose pace is over. At one time it is done once, or until nothing
 * changes any more: a turn of the dispatcher asks three questions, and each of them begins with this.
 */
static int64_t sweep(struct admission *admission, unsigned limit, int64_t now)
{
    struct list *newcomers = &admission->lane[ADMISSION_FIRST].ring;
    int64_t again;
    bool flood;

    if (!admission->changed && now == admission->swept && limit == admission->limit)
        return admission->swept_again;
    admission->changed = false;
    admission->limit = limit;
    share_advance(admission, limit, now);
    share_sweep(admission, now);
    for (int i = 0; i < SWEEP && !list_empty(&admission->unanswered); i++) {
        struct part *part = LIST_ENTRY(admission->unanswered.next, struct part, time);
        if (now - part->since < admission->settings.slow_after)
            break;
        hang(admission, part);
        list_remove(&part->time);
        list_push_tail(part->joint ? admission_joint_hangs(admission, part, now)
                                   : &admission->hanging,
                       &part->time);
        destination_place(admission, part->destination, PLACE_KEEP, now);
    }
    admission_joint_sweep(admission, now);
    again = admission_nexthop_sweep(admission, now);
    flood = admission->newcomers > share_newcomers(limit);
    for (int i = 0; i < SWEEP && !list_empty(newcomers); i++) {
        struct destination *oldest = LIST_ENTRY(newcomers->prev, struct destination, first);
        if (now - oldest->first_since < admission->settings.patience && !flood)
            break;
        destination_place(admission, oldest, PLACE_TURN, now);
    }
    again = earlier(again, admission_unpark(admission, now));
    again = earlier(again, destination_unpace(admission, now));
    share_gather(admission, limit, now);
    admission->swept = now;
    admission->swept_again = again;
    return again;
}

static bool in_first(enum admission_lane lane)
{
    return lane == ADMISSION_FIRST || lane == ADMISSION_PASSED;
}

/* Most lanes are empty most of the time. */
static inline bool may_start(const struct admission *admission, enum admission_lane lane,
                             unsigned limit)
{
    return !list_empty(&admission->lane[lane].ring) && share_has_room(admission, lane, limit);
}

static int pick_lane(const struct admission *admission, unsigned limit)
{
    int found = -1;

    for (int lane = ADMISSION_LANES - 1; lane >= 0; lane--) {
        if (!may_start(admission, lane, limit))
            continue;
        found = lane;
        if (admission->lane[lane].missed >= MISSED_MAX)
            break;
    }
    return found;
}

static struct part *oldest_of(const struct destination *destination, enum queue a, enum queue b)
{
    const struct list *one = &destination->queue[a];
    const struct list *two = &destination->queue[b];

    if (list_empty(one))
        return LIST_ENTRY(two->next, struct part, queue);
    if (list_empty(two))
        return LIST_ENTRY(one->next, struct part, queue);
    struct part *x = LIST_ENTRY(one->next, struct part, queue);
    struct part *y = LIST_ENTRY(two->next, struct part, queue);
    return x->since <= y->since ? x : y;
}

/*
 * First attempts before retries, but every fourth start is a retry's, so that they do not starve. Where nothing may be hoped for,
 * what cannot be deferred comes first: it has to be tried anyway, and tells as well whether there is life.
 */
static struct part *next_part(struct destination *destination, enum admission_lane lane)
{
    bool first = destination->waiting_first > 0;

    if (destination->exempt > 0 &&
        (destination->lane == ADMISSION_DEAD || destination->hold == NEXTHOP_EXEMPT_ONLY)) {
        first = !list_empty(&destination->queue[QUEUE_FIRST_EXEMPT]);
        return LIST_ENTRY(destination->queue[first ? QUEUE_FIRST_EXEMPT : QUEUE_RETRY_EXEMPT].next,
                          struct part, queue);
    }
    /* A probe that fails is deferred; what may not be is not tried yet. */
    if (destination->hold == NEXTHOP_HELD)
        return destination->deferrable > 0
                   ? oldest_of(destination, QUEUE_FIRST, QUEUE_RETRY)
                   : oldest_of(destination, QUEUE_FIRST_EXEMPT, QUEUE_RETRY_EXEMPT);
    if (destination->lane == ADMISSION_UNKNOWN)
        first = in_first(lane);
    else if (first && destination->waiting_retry > 0 && ++destination->turn % 4 == 0)
        first = false;
    if (first)
        return oldest_of(destination, QUEUE_FIRST, QUEUE_FIRST_EXEMPT);
    return oldest_of(destination, QUEUE_RETRY, QUEUE_RETRY_EXEMPT);
}

/* `spare`: beyond its window, which takes no token. */
static struct admission_choice start(struct admission *admission, struct destination *destination,
                                     enum admission_lane lane, bool spare, unsigned limit,
                                     int64_t now)
{
    struct part *part = next_part(destination, lane);

    for (int i = 0; i < ADMISSION_LANES; i++)
        if (i == (int)lane)
            admission->lane[i].missed = 0;
        else if (may_start(admission, i, limit))
            admission->lane[i].missed++;
    admission_begin(admission, part, lane, spare, now);
    return (struct admission_choice){.answer = ADMISSION_START,
                                     .part = (unsigned)(part - admission->part_array),
                                     .lane = lane,
                                     .again = ADMISSION_NEVER};
}

/* The one at the front, or of those passed over at every fourth time the one that waits for the longest. */
static struct destination *front(struct admission *admission, enum admission_lane lane)
{
    struct list *ring = &admission->lane[lane].ring;

    if (lane == ADMISSION_FIRST)
        return LIST_ENTRY(ring->next, struct destination, first);
    if (lane == ADMISSION_PASSED)
        return LIST_ENTRY(++admission->first_turn % 4 == 0 ? ring->prev : ring->next,
                          struct destination, first);
    return LIST_ENTRY(ring->next, struct destination, ready);
}

static bool stands_in(const struct destination *destination, enum admission_lane lane)
{
    if (in_first(lane))
        return list_linked(&destination->first) && destination->first_lane == lane;
    return list_linked(&destination->ready) && destination->ready_lane == lane;
}

static bool too_heavy(const struct destination *destination, unsigned limit)
{
    return destination->in_flight >= (limit > 1 ? limit / 2 : 1);
}

/* The lane in which somebody may start beyond its window, or -1. */
static int spare_lane(const struct admission *admission, unsigned limit)
{
    for (int lane = 0; lane < ADMISSION_LANES; lane++) {
        const struct lane *one = &admission->lane[lane];
        if (!list_empty(&one->spare) && share_spare(admission, lane, limit, admission->in_flight,
                                                    share_nested(admission, lane)) > 0)
            return lane;
    }
    return -1;
}

/* When only destinations with half of the limit are left, they may have the rest. */
static struct destination *heaviest(struct admission *admission, unsigned limit)
{
    struct destination *destination;

    if (list_empty(&admission->heavy))
        return NULL;
    destination = LIST_ENTRY(admission->heavy.next, struct destination, ready);
    if (share_room(admission, destination->ready_lane, limit, admission->in_flight,
                   share_nested(admission, destination->ready_lane)) == 0)
        return NULL;
    return destination;
}

/* When what waits may start by the clock alone: `paced` or a token, the earlier. */
static int64_t start_due(const struct admission *admission, unsigned limit, int64_t paced,
                         int64_t now)
{
    for (int lane = 0; lane < ADMISSION_LANES; lane++) {
        int64_t due;
        if (!share_takes_token(lane) || list_empty(&admission->lane[lane].ring))
            continue;
        due = share_token_due(admission, lane, limit, now);
        paced = earlier(paced, due);
    }
    return paced;
}

/* One message to a next hop that is down, whatever its destination's window says. */
static struct admission_choice probe(struct admission *admission, struct destination *destination,
                                     unsigned limit, int64_t now)
{
    struct admission_choice choice =
        start(admission, destination, admission_nexthop_lane(destination), true, limit, now);

    admission_nexthop_probes(admission, &admission->part_array[choice.part], now);
    return choice;
}

struct admission_choice admission_next(struct admission *admission, unsigned limit, int64_t now)
{
    struct admission_choice none = {.answer = ADMISSION_HELD};
    struct destination *destination;

    none.again = sweep(admission, limit, now);
    if (admission->waiting == 0) {
        none.answer = list_empty(&admission->parked) ? ADMISSION_EMPTY : ADMISSION_HELD;
        if (none.answer == ADMISSION_EMPTY)
            none.again = ADMISSION_NEVER;
        return none;
    }
    if (admission->in_flight >= limit) {
        none.answer = ADMISSION_LIMIT;
        none.again = ADMISSION_NEVER;
        return none;
    }
    if ((destination = admission_nexthop_probe(admission, now)) != NULL)
        return probe(admission, destination, limit, now);
    for (int try = 0; try < TRIES; try++) {
        int lane = pick_lane(admission, limit);
        admission->count.steps++;
        if (lane < 0 && (lane = spare_lane(admission, limit)) >= 0) {
            destination = LIST_ENTRY(admission->lane[lane].spare.next, struct destination, spare);
            destination_place(admission, destination, PLACE_KEEP, now);
            if (list_linked(&destination->spare) && destination->spare_lane == lane)
                return start(admission, destination, lane, true, limit, now);
            continue;
        }
        if (lane < 0) {
            destination = heaviest(admission, limit);
            if (destination == NULL) {
                none.again = start_due(admission, limit, none.again, now);
                return none;
            }
            lane = destination->ready_lane;
            destination_place(admission, destination, PLACE_KEEP, now);
            if (stands_in(destination, lane))
                return start(admission, destination, lane, false, limit, now);
            continue;
        }
        destination = front(admission, lane);
        destination_place(admission, destination, PLACE_KEEP, now);
        if (!stands_in(destination, lane))
            continue;
        if (!in_first(lane) && too_heavy(destination, limit)) {
            list_remove(&destination->ready);
            list_push_tail(&admission->heavy, &destination->ready);
            destination->heavy = true;
            continue;
        }
        return start(admission, destination, lane, false, limit, now);
    }
    none.again = now + 1;
    return none;
}

int64_t admission_due(struct admission *admission, unsigned limit, int64_t now)
{
    int64_t paced = sweep(admission, limit, now);

    if ((admission->waiting == 0 && list_empty(&admission->parked)) ||
        admission->in_flight >= limit)
        return ADMISSION_NEVER;
    return start_due(admission, limit, paced, now);
}

/* How many more of the lane could start beyond their windows. */
static unsigned beyond(const struct admission *admission, enum admission_lane lane, unsigned limit,
                       unsigned total, unsigned sum)
{
    unsigned waiting = admission->lane[lane].beyond;
    unsigned room = waiting > 0 ? share_spare(admission, lane, limit, total, sum) : 0;

    return waiting < room ? waiting : room;
}

unsigned admission_count_runnable(struct admission *admission, unsigned limit, int64_t now,
                                  unsigned most, unsigned requests, unsigned *gaining)
{
    unsigned total, started = 0, spent = 0;

    *gaining = 0;
    sweep(admission, limit, now);
    total = admission->in_flight;
    for (int lane = 0; lane < ADMISSION_LANES && started < most; lane++) {
        unsigned able = admission->lane[lane].startable;
        unsigned gains = able + admission->lane[lane].beyond - admission->lane[lane].stretched;
        unsigned sum, room;

        if (able == 0 && admission->lane[lane].beyond == 0)
            continue;
        sum = share_nested(admission, lane);
        room = share_room(admission, lane, limit, total, sum);
        if (able > room)
            able = room;
        if (share_takes_token(lane)) {
            unsigned tokens = share_tokens(admission, lane, limit, spent);
            if (able > tokens)
                able = tokens;
            spent += able;
        }
        able += beyond(admission, lane, limit, total + able, sum + able);
        if (lane == ADMISSION_PROVEN && able > requests)
            able = requests;
        started += able;
        total += able;
        *gaining += gains < able ? gains : able;
    }
    if (admission_nexthop_probe(admission, now) != NULL) {
        started++;
        ++*gaining;
    }
    return started < most ? started : most;
}

unsigned admission_runnable(struct admission *admission, unsigned limit, int64_t now, unsigned most,
                            unsigned requests)
{
    unsigned gaining;

    return admission_count_runnable(admission, limit, now, most, requests, &gaining);
}
