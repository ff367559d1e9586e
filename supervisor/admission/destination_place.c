/*
 * Where a destination stands: in which ring, how much it adds to what could start, and what its parts are charged to.
 */

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

static void heap_set(struct admission *admission, unsigned at, struct destination *destination)
{
    admission->heap[at] = destination;
    destination->heap_at = at;
    admission->count.steps++;
}

static void heap_up(struct admission *admission, unsigned at, struct destination *destination)
{
    while (at > 1 && admission->heap[at / 2]->due > destination->due) {
        heap_set(admission, at, admission->heap[at / 2]);
        at /= 2;
    }
    heap_set(admission, at, destination);
}

static void heap_remove(struct admission *admission, struct destination *destination)
{
    unsigned at = destination->heap_at;
    struct destination *last;

    if (at == 0)
        return;
    destination->heap_at = 0;
    last = admission->heap[admission->heap_used--];
    if (last == destination)
        return;
    for (;;) {
        unsigned child = 2 * at;
        if (child > admission->heap_used)
            break;
        if (child < admission->heap_used &&
            admission->heap[child + 1]->due < admission->heap[child]->due)
            child++;
        if (admission->heap[child]->due >= last->due)
            break;
        heap_set(admission, at, admission->heap[child]);
        at = child;
    }
    heap_up(admission, at, last);
}

static void heap_insert(struct admission *admission, struct destination *destination)
{
    heap_up(admission, ++admission->heap_used, destination);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static void leave_ready(struct admission *admission, struct destination *destination)
{
    list_remove(&destination->ready);
    admission->lane[destination->ready_lane].startable -= destination->counted_ready;
    destination->counted_ready = 0;
    destination->heavy = false;
}

static void leave_first(struct admission *admission, struct destination *destination)
{
    if (list_linked(&destination->first) && destination->first_lane == ADMISSION_FIRST)
        admission->newcomers--;
    list_remove(&destination->first);
    admission->lane[destination->first_lane].startable -= destination->counted_first;
    destination->counted_first = 0;
}

static void stand_ready(struct admission *admission, struct destination *destination, unsigned able,
                        enum destination_why why)
{
    struct lane *lane = &admission->lane[destination->lane];

    if (able == 0) {
        leave_ready(admission, destination);
        return;
    }
    if (list_linked(&destination->ready) && destination->ready_lane == destination->lane &&
        why != PLACE_TURN) {
        lane->startable += able - destination->counted_ready;
        destination->counted_ready = able;
        return;
    }
    leave_ready(admission, destination);
    destination->ready_lane = destination->lane;
    destination->counted_ready = able;
    lane->startable += able;
    list_push_tail(&lane->ring, &destination->ready);
}

/* Who had its turn, or has waited already, is no newcomer. In both lists the newest is in front. */
static void stand_first(struct admission *admission, struct destination *destination, unsigned able,
                        enum destination_why why, int64_t now)
{
    if (able == 0) {
        leave_first(admission, destination);
        return;
    }
    if (list_linked(&destination->first) && why != PLACE_TURN) {
        admission->lane[destination->first_lane].startable += able - destination->counted_first;
        destination->counted_first = able;
        return;
    }
    leave_first(admission, destination);
    destination->first_lane = why == PLACE_ARRIVAL ? ADMISSION_FIRST : ADMISSION_PASSED;
    destination->first_since = now;
    destination->counted_first = able;
    admission->lane[destination->first_lane].startable += able;
    if (why == PLACE_ARRIVAL)
        admission->newcomers++;
    list_push_head(&admission->lane[destination->first_lane].ring, &destination->first);
}

/*
 * Those that have more to start than their windows allow. Who is known to fail has not: more attempts do not help it.
 */
static void stand_spare(struct admission *admission, struct destination *destination,
                        unsigned beyond, enum destination_why why)
{
    enum admission_lane lane = destination->lane;

    if (lane == ADMISSION_UNKNOWN && destination->waiting_first > 0)
        lane = ADMISSION_FIRST;
    if (list_linked(&destination->spare))
        admission->lane[destination->spare_lane].beyond -= destination->counted_spare;
    destination->counted_spare = beyond;
    if (beyond == 0) {
        list_remove(&destination->spare);
        return;
    }
    if (why == PLACE_TURN || destination->spare_lane != lane)
        list_remove(&destination->spare);
    if (!list_linked(&destination->spare))
        list_push_tail(&admission->lane[lane].spare, &destination->spare);
    destination->spare_lane = (uint8_t)lane;
    admission->lane[lane].beyond += beyond;
}

/*
 * What it could start, of which more workers would not raise the rate. To be called when all else is counted. What hangs at such a
 * destination may wait for the others: Dovecot lets whom its process_limit does not serve wait, and more workers make more of them.
 */
static void stand_stretched(struct admission *admission, struct destination *destination)
{
    enum admission_lane lane = destination->lane;
    bool known = lane == ADMISSION_PROVEN || lane == ADMISSION_SLOW;
    bool stretched = destination_stretched(destination);
    unsigned all = destination->counted_spare + (known ? destination->counted_ready : 0);
    unsigned gains = stretched ? 0 : destination_gains(&admission->settings, destination);

    /* Nothing is counted, and nothing was. */
    if (!stretched && all <= gains && destination->counted_stretched == 0 &&
        destination->counted_hanging == 0) {
        destination->stretched = false;
        return;
    }
    admission->lane[destination->stretched_lane].stretched -= destination->counted_stretched;
    admission->stretched -= destination->stretched ? destination->counted_stretched : 0;
    admission->stretched_hanging -= destination->counted_hanging;
    destination->counted_stretched = all > gains ? all - gains : 0;
    destination->counted_hanging = stretched ? destination->hanging : 0;
    destination->stretched = stretched;
    destination->stretched_lane = known ? destination->lane : destination->spare_lane;
    admission->lane[destination->stretched_lane].stretched += destination->counted_stretched;
    admission->stretched += stretched ? destination->counted_stretched : 0;
    admission->stretched_hanging += destination->counted_hanging;
}

/* Keeps the sums that pace the deferrals. `counted_over` holds what was added for this destination last time. */
static void stand_over(struct admission *admission, struct destination *destination)
{
    unsigned excess = destination_excess(&admission->settings, destination);
    bool hopeless = destination_hopeless(destination) || destination->hold != NEXTHOP_FREE;
    unsigned lost = hopeless ? destination->deferrable : 0;

    admission->over_count += excess - destination->counted_over;
    destination->counted_over = excess;
    admission->doomed += lost - destination->counted_doomed;
    destination->counted_doomed = lost;
    if (excess == 0)
        list_remove(&destination->over);
    else if (!list_linked(&destination->over))
        list_push_tail(&admission->over, &destination->over);
}

/* Who has to leave a full room, and what is spared there. */
static void stand_victim(struct admission *admission, struct destination *destination, bool works,
                         int64_t now)
{
    unsigned all = works ? 0 : destination->deferrable, spared = 0;

    if (destination->hold == NEXTHOP_FREE &&
        destination_unheard(&admission->settings, destination, share_hopes(admission), now))
        spared = least(destination->waiting_first, all);
    admission->spared += spared - destination->length[LENGTH_SPARED].count;
    destination_length(admission, destination, LENGTH_VICTIMS, all - spared);
    destination_length(admission, destination, LENGTH_SPARED, spared);
    if (spared == 0)
        list_remove(&destination->fresh);
    else if (!list_linked(&destination->fresh))
        list_push_tail(&admission->fresh, &destination->fresh);
}

/* In the order of admission_view.h. */
static enum admission_wait wait_of(const struct destination *destination)
{
    unsigned number = destination_number(destination);

    if (destination->held)
        return ADMISSION_WAIT_HELD;
    if (destination->lane == ADMISSION_SLOW || destination->lane == ADMISSION_DEAD ||
        destination->hanging > 0 || destination->hold != NEXTHOP_FREE ||
        destination_pace(destination) > destination->pace)
        return ADMISSION_WAIT_FAILING;
    if (destination->pace > 0)
        return ADMISSION_WAIT_PACE;
    if (number > 0 && destination->in_flight >= number)
        return ADMISSION_WAIT_NUMBER;
    return destination->lane == ADMISSION_PROVEN ? ADMISSION_WAIT_WINDOW : ADMISSION_WAIT_NEW;
}

/* For people only. */
static void stand_waiting(struct admission *admission, struct destination *destination)
{
    unsigned count = destination->waiting_first + destination->waiting_retry + destination->parked;

    if (count == 0 && destination->counted_waits == 0)
        return;
    admission->waits[destination->wait] -= destination->counted_waits;
    destination->counted_waits = count;
    destination->wait = (uint8_t)wait_of(destination);
    admission->waits[destination->wait] += count;
}

void destination_place(struct admission *admission, struct destination *destination,
                       enum destination_why why, int64_t now)
{
    enum admission_lane lane = destination_evidence(&admission->settings, destination, now);
    unsigned waiting = destination->waiting_first + destination->waiting_retry;
    enum nexthop_hold hold = admission_nexthop_holds(admission, destination);
    unsigned number = destination_number(destination);
    unsigned window, open, used, beyond;
    int64_t pace;
    bool works;

    if (destination->held && waiting > 0)
        hold = destination->exempt > 0 ? NEXTHOP_EXEMPT_ONLY : NEXTHOP_HELD;
    admission->count.steps++;
    admission->changed = true;
    if (lane != destination->lane || destination->since == ADMISSION_NEVER) {
        destination->lane = lane;
        destination->since = now;
        if (destination->charge != lane) {
            unsigned moved = destination->in_flight - destination->hanging;
            admission->lane[destination->charge].in_flight -= moved;
            admission->lane[lane].in_flight += moved;
            destination->charge = lane;
        }
    }
    destination->hold = (uint8_t)hold;
    stand_over(admission, destination);
    stand_waiting(admission, destination);
    destination_length(admission, destination, LENGTH_ALL, destination->deferrable);
    works = (hold == NEXTHOP_FREE && destination_works(&admission->settings, destination)) ||
            admission_nexthop_spares(admission, destination, now);
    stand_victim(admission, destination, works, now);

    window = destination_window(destination);
    pace = destination_pace(destination);
    /* What cannot be deferred is not held back: as many as the lane may have. */
    if (destination->exempt > 0 && (lane == ADMISSION_DEAD || hold == NEXTHOP_EXEMPT_ONLY)) {
        window = admission_share(ADMISSION_DEAD, admission->limit > 0 ? admission->limit : 1);
        pace = destination->pace;
        waiting = destination->exempt;
    }
    used = destination_used(destination);
    open = used < window ? window - used : 0;
    if (hold == NEXTHOP_HELD)
        open = waiting = 0;
    if (number > 0)
        waiting =
            least(waiting, number > destination->in_flight ? number - destination->in_flight : 0);
    heap_remove(admission, destination);
    if (open > 0 && waiting > 0 && pace > 0 && destination->last_start != ADMISSION_NEVER) {
        if (now - destination->last_start < pace) {
            destination->due = destination->last_start + pace;
            heap_insert(admission, destination);
            open = 0;
        } else {
            open = 1;
        }
    } else if (pace > 0 && open > 1) {
        open = 1;
    }
    /* What was never seen before is under way with others: their answer comes first. */
    if (now < destination->join_until && waiting > 0 &&
        (lane == ADMISSION_UNKNOWN || lane == ADMISSION_FIRST)) {
        if (destination->heap_at == 0) {
            destination->due = destination->join_until;
            heap_insert(admission, destination);
        }
        open = waiting = 0;
    }
    beyond =
        waiting > open && pace == 0 && hold == NEXTHOP_FREE && !destination_hopeless(destination)
            ? waiting - open
            : 0;
    stand_spare(admission, destination, beyond, why);
    if (lane == ADMISSION_FIRST) {
        stand_first(admission, destination, least(open, waiting), why, now);
        stand_ready(admission, destination, 0, why);
    } else if (lane == ADMISSION_UNKNOWN) {
        stand_first(admission, destination, least(open, destination->waiting_first), why, now);
        stand_ready(admission, destination, least(open, destination->waiting_retry), why);
    } else {
        stand_first(admission, destination, 0, why, now);
        stand_ready(admission, destination, least(open, waiting), why);
    }
    stand_stretched(admission, destination);
}

int64_t destination_unpace(struct admission *admission, int64_t now)
{
    while (admission->heap_used > 0) {
        struct destination *destination = admission->heap[1];
        if (destination->due > now)
            return destination->due;
        destination_place(admission, destination, PLACE_KEEP, now);
    }
    return ADMISSION_NEVER;
}
