/*
 * The life of a part, and the decision who is next. See admission.h.
 */

#include "supervisor/destination.h"

#include <errno.h>

/* What is moved on by the clock is moved this many at a time, so that no call takes long after a pause. */
#define SWEEP 32

/* A destination whose evidence turns out to have changed is put in its place and another one is looked at. */
#define TRIES 16

/* A lane that could have had a slot but was passed over this often gets the next one. */
#define MISSED_MAX 64

/* In 64ths of the limit: see the table that tests/sim/queueing.c prints, below. */
#define SIXTY_FOURTHS 64

#define TOKEN                                                                                      \
    ADMISSION_SECOND /* one token, in the unit that makes the refill exact per microsecond */

static const struct {
    const char *name;
    unsigned share;   /* together with the lanes below */
    unsigned own;     /* alone */
    unsigned reserve; /* left free for the lanes above */
} lanes[ADMISSION_LANES] = {
    [ADMISSION_PROVEN] = {"proven", 64, 64, 0},    [ADMISSION_FIRST] = {"first", 62, 62, 0},
    [ADMISSION_PASSED] = {"passed", 48, 48, 16},   [ADMISSION_SLOW] = {"slow", 40, 32, 0},
    [ADMISSION_UNKNOWN] = {"unknown", 16, 16, 16}, [ADMISSION_DEAD] = {"dead", 8, 8, 16},
};

const char *admission_lane_name(enum admission_lane lane)
{
    return lanes[lane].name;
}

/* Rounded up, and with a slot for every lane that shares it, as far as the limit goes. */
unsigned admission_share(enum admission_lane lane, unsigned limit)
{
    uint64_t share = ((uint64_t)limit * lanes[lane].share) / SIXTY_FOURTHS;
    unsigned below = ADMISSION_LANES - (unsigned)lane;

    if (share < below)
        share = below;
    return share < limit ? (unsigned)share : limit;
}

unsigned admission_reserve(enum admission_lane lane, unsigned limit)
{
    return (unsigned)((uint64_t)limit * lanes[lane].reserve / SIXTY_FOURTHS);
}

static unsigned own_share(enum admission_lane lane, unsigned limit)
{
    unsigned share = (unsigned)((uint64_t)limit * lanes[lane].own / SIXTY_FOURTHS);

    return share > 0 ? share : 1;
}

static struct part *part_in(struct admission *admission, unsigned number, enum part_state least,
                            enum part_state most)
{
    struct part *part;

    if (number >= admission->parts)
        return NULL;
    part = &admission->part_array[number];
    return part->state >= least && part->state <= most ? part : NULL;
}

static void queue_part(struct admission *admission, struct part *part, bool at_head, int64_t now)
{
    struct destination *destination = part->destination;
    enum queue which = part->first ? (part->exempt ? QUEUE_FIRST_EXEMPT : QUEUE_FIRST)
                                   : (part->exempt ? QUEUE_RETRY_EXEMPT : QUEUE_RETRY);

    part->state = PART_WAITING;
    part->since = now;
    part->token = false;
    part->hanging = false;
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
        destination_lengthen(admission, destination, 1);
    }
}

void admission_unqueue(struct admission *admission, struct part *part)
{
    struct destination *destination = part->destination;

    list_remove(&part->queue);
    list_remove(&part->time);
    if (part->first)
        destination->waiting_first--;
    else
        destination->waiting_retry--;
    admission->waiting--;
    if (!part->exempt)
        destination_lengthen(admission, destination, -1);
}

void admission_release(struct admission *admission, struct part *part, int64_t now)
{
    struct destination *destination = part->destination;

    part->state = PART_FREE;
    part->destination = NULL;
    destination_place(admission, destination, PLACE_KEEP, now);
    destination_use(admission, destination);
}

/* Takes a part out of flight; what it was worth is the caller's business. */
static void land(struct admission *admission, struct part *part, bool give_back)
{
    struct destination *destination = part->destination;

    list_remove(&part->time);
    destination->in_flight--;
    admission->in_flight--;
    admission->lane[destination->charge].in_flight--;
    if (part->hanging)
        destination->hanging--;
    if (part->token && give_back)
        admission->tokens += TOKEN; /* refill() cuts what is too much */
    if (destination->heavy) {
        destination->heavy = false;
        list_remove(&destination->ready);
        list_push_tail(&admission->lane[destination->ready_lane].ring, &destination->ready);
    }
}

int admission_arrive(struct admission *admission, unsigned number,
                     const struct admission_arrival *arrival, int64_t now)
{
    struct part *part = part_in(admission, number, PART_FREE, PART_FREE);
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
    queue_part(admission, part, false, now);
    destination_place(admission, destination, PLACE_ARRIVAL, now);
    destination_use(admission, destination);
    return 0;
}

int admission_started(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = part_in(admission, number, PART_CHOSEN, PART_CHOSEN);

    if (part == NULL)
        return -EINVAL;
    part->state = PART_RUNNING;
    if (!part->hanging) {
        part->since = now;
        list_remove(&part->time);
        list_push_tail(&admission->started, &part->time);
    }
    return 0;
}

int admission_put_back(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = part_in(admission, number, PART_CHOSEN, PART_CHOSEN);

    if (part == NULL)
        return -EINVAL;
    land(admission, part, true);
    queue_part(admission, part, true, now);
    admission->count.put_back++;
    destination_place(admission, part->destination, PLACE_ARRIVAL, now);
    return 0;
}

int admission_cancel(struct admission *admission, unsigned number, int64_t now)
{
    struct part *part = part_in(admission, number, PART_WAITING, PART_CHOSEN);

    if (part == NULL)
        return -EINVAL;
    if (part->state == PART_WAITING)
        admission_unqueue(admission, part);
    else
        land(admission, part, true);
    admission->count.cancelled++;
    admission_release(admission, part, now);
    return 0;
}

int admission_finished(struct admission *admission, unsigned number, enum admission_outcome outcome,
                       int64_t service, int64_t now)
{
    struct part *part = part_in(admission, number, PART_CHOSEN, PART_RUNNING);
    bool answered = outcome == ADMISSION_DELIVERED || outcome == ADMISSION_DEFERRED;

    if (part == NULL)
        return -EINVAL;
    if (service < 0)
        service = 0;
    destination_learn(&admission->settings, part->destination, outcome, service, now);
    land(admission, part, answered && service < admission->settings.slow_after);
    admission->count.finished++;
    admission_release(admission, part, now);
    return 0;
}

/* A bucket of an eighth of the limit, filled in as much time as 16 s: 8 and 2 a second at 64. */
static int64_t bucket_size(unsigned limit)
{
    return (limit < 16 ? 2 : limit / 8) * TOKEN;
}

static int64_t bucket_rate(unsigned limit) /* tokens a second */
{
    return limit < 32 ? 1 : limit / 32;
}

static void refill(struct admission *admission, unsigned limit, int64_t now)
{
    int64_t size = bucket_size(limit);

    if (admission->token_time != ADMISSION_NEVER && admission->tokens < size) {
        int64_t passed = now - admission->token_time;
        if (passed > 3600 * ADMISSION_SECOND)
            passed = 3600 * ADMISSION_SECOND;
        admission->tokens += passed * bucket_rate(limit);
    }
    admission->token_time = now;
    if (admission->tokens > size)
        admission->tokens = size;
}

/* What the passed over leave in the bucket for newcomers. */
static int64_t token_floor(enum admission_lane lane, unsigned limit)
{
    return lane == ADMISSION_PASSED ? bucket_size(limit) / 2 : 0;
}

static bool takes_token(enum admission_lane lane)
{
    return lane == ADMISSION_FIRST || lane == ADMISSION_PASSED;
}

/* What the clock alone changes: who hangs, who was passed over, whose pace is over. */
static int64_t sweep(struct admission *admission, unsigned limit, int64_t now)
{
    struct list *newcomers = &admission->lane[ADMISSION_FIRST].ring;

    refill(admission, limit, now);
    for (int i = 0; i < SWEEP && !list_empty(&admission->started); i++) {
        struct part *part = LIST_ENTRY(admission->started.next, struct part, time);
        if (now - part->since < admission->settings.slow_after)
            break;
        part->hanging = true;
        part->destination->hanging++;
        list_remove(&part->time);
        list_push_tail(&admission->hanging, &part->time);
        destination_place(admission, part->destination, PLACE_KEEP, now);
    }
    for (int i = 0; i < SWEEP && !list_empty(newcomers); i++) {
        struct destination *oldest = LIST_ENTRY(newcomers->prev, struct destination, first);
        if (now - oldest->first_since < admission->settings.patience)
            break;
        destination_place(admission, oldest, PLACE_TURN, now);
    }
    return destination_unpace(admission, now);
}

static unsigned nested(const struct admission *admission, enum admission_lane lane)
{
    unsigned sum = 0;

    for (int i = lane; i < ADMISSION_LANES; i++)
        sum += admission->lane[i].in_flight;
    return sum;
}

/* How many more a lane may start, by its shares and by what it leaves free, when `total` are in flight and `sum` of them
 * nested; its own first slot needs no reserve. */
static unsigned lane_room(enum admission_lane lane, unsigned limit, unsigned total, unsigned sum,
                          unsigned own)
{
    unsigned share = admission_share(lane, limit);
    unsigned alone = own_share(lane, limit);
    unsigned keep = admission_reserve(lane, limit);
    unsigned room;

    if (total >= limit || sum >= share || own >= alone)
        return 0;
    room = limit - total > keep ? limit - total - keep : 0;
    if (room == 0 && own == 0)
        room = 1;
    if (room > share - sum)
        room = share - sum;
    return room < alone - own ? room : alone - own;
}

static bool may_start(const struct admission *admission, enum admission_lane lane, unsigned limit)
{
    if (list_empty(&admission->lane[lane].ring))
        return false;
    if (takes_token(lane) && admission->tokens < TOKEN + token_floor(lane, limit))
        return false;
    return lane_room(lane, limit, admission->in_flight, nested(admission, lane),
                     admission->lane[lane].in_flight) > 0;
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

/* First attempts before retries, but every fourth start is a retry's, so that they do not starve. */
static struct part *next_part(struct destination *destination, enum admission_lane lane)
{
    bool first = destination->waiting_first > 0;

    if (destination->lane == ADMISSION_UNKNOWN)
        first = takes_token(lane);
    else if (first && destination->waiting_retry > 0 && ++destination->turn % 4 == 0)
        first = false;
    if (first)
        return oldest_of(destination, QUEUE_FIRST, QUEUE_FIRST_EXEMPT);
    return oldest_of(destination, QUEUE_RETRY, QUEUE_RETRY_EXEMPT);
}

static struct admission_choice start(struct admission *admission, struct destination *destination,
                                     enum admission_lane lane, unsigned limit, int64_t now)
{
    struct part *part = next_part(destination, lane);

    for (int i = 0; i < ADMISSION_LANES; i++)
        if (i == (int)lane)
            admission->lane[i].missed = 0;
        else if (may_start(admission, i, limit))
            admission->lane[i].missed++;
    admission_unqueue(admission, part);
    part->state = PART_CHOSEN;
    part->since = now;
    list_push_tail(&admission->started, &part->time);
    if (takes_token(lane)) {
        part->token = true;
        admission->tokens -= TOKEN;
    }
    if (destination->charge != lane) {
        admission->lane[destination->charge].in_flight -= destination->in_flight;
        admission->lane[lane].in_flight += destination->in_flight;
        destination->charge = (uint8_t)lane;
    }
    destination->in_flight++;
    destination->last_start = now;
    admission->in_flight++;
    admission->lane[lane].in_flight++;
    admission->count.started[lane]++;
    destination_place(admission, destination, PLACE_TURN, now);
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
    if (takes_token(lane))
        return list_linked(&destination->first) && destination->first_lane == lane;
    return list_linked(&destination->ready) && destination->ready_lane == lane;
}

static bool too_heavy(const struct destination *destination, unsigned limit)
{
    return destination->in_flight >= (limit > 1 ? limit / 2 : 1);
}

/* When only destinations with half of the limit are left, they may have the rest. */
static struct destination *heaviest(struct admission *admission, unsigned limit)
{
    struct destination *destination;

    if (list_empty(&admission->heavy))
        return NULL;
    destination = LIST_ENTRY(admission->heavy.next, struct destination, ready);
    if (lane_room(destination->ready_lane, limit, admission->in_flight,
                  nested(admission, destination->ready_lane),
                  admission->lane[destination->ready_lane].in_flight) == 0)
        return NULL;
    return destination;
}

struct admission_choice admission_next(struct admission *admission, unsigned limit, int64_t now)
{
    struct admission_choice none = {.answer = ADMISSION_HELD};
    struct destination *destination;

    none.again = sweep(admission, limit, now);
    if (admission->waiting == 0) {
        none.answer = ADMISSION_EMPTY;
        none.again = ADMISSION_NEVER;
        return none;
    }
    if (admission->in_flight >= limit) {
        none.answer = ADMISSION_LIMIT;
        none.again = ADMISSION_NEVER;
        return none;
    }
    for (int try = 0; try < TRIES; try++) {
        int lane = pick_lane(admission, limit);
        admission->count.steps++;
        if (lane < 0) {
            destination = heaviest(admission, limit);
            if (destination == NULL)
                break;
            lane = destination->ready_lane;
            destination_place(admission, destination, PLACE_KEEP, now);
            if (stands_in(destination, lane))
                return start(admission, destination, lane, limit, now);
            continue;
        }
        destination = front(admission, lane);
        destination_place(admission, destination, PLACE_KEEP, now);
        if (!stands_in(destination, lane))
            continue;
        if (!takes_token(lane) && too_heavy(destination, limit)) {
            list_remove(&destination->ready);
            list_push_tail(&admission->heavy, &destination->ready);
            destination->heavy = true;
            continue;
        }
        return start(admission, destination, lane, limit, now);
    }
    for (int lane = ADMISSION_FIRST; lane <= ADMISSION_PASSED; lane++) {
        int64_t short_of = TOKEN + token_floor(lane, limit) - admission->tokens;
        if (list_empty(&admission->lane[lane].ring) || short_of <= 0)
            continue;
        int64_t due = now + short_of / bucket_rate(limit) + 1;
        if (none.again == ADMISSION_NEVER || due < none.again)
            none.again = due;
    }
    return none;
}

unsigned admission_runnable(struct admission *admission, unsigned limit, int64_t now, unsigned most)
{
    unsigned total, started = 0, below[ADMISSION_LANES];
    int64_t tokens;

    sweep(admission, limit, now);
    total = admission->in_flight;
    tokens = admission->tokens;
    for (int lane = 0; lane < ADMISSION_LANES; lane++)
        below[lane] = nested(admission, lane);
    for (int lane = 0; lane < ADMISSION_LANES && started < most; lane++) {
        unsigned able = admission->lane[lane].startable;
        unsigned room = lane_room(lane, limit, total, below[lane], admission->lane[lane].in_flight);
        if (takes_token(lane)) {
            int64_t left = tokens - token_floor(lane, limit);
            if (left < (int64_t)able * TOKEN)
                able = left > 0 ? (unsigned)(left / TOKEN) : 0;
        }
        if (able > room)
            able = room;
        if (takes_token(lane))
            tokens -= able * TOKEN;
        started += able;
        total += able;
    }
    return started < most ? started : most;
}
