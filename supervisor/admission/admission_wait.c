/*
 * The waiting room: who has to leave it undelivered, and how fast.
 *
 * Postfix tries a deferred message again after a time that depends only on its age, without jitter: what is deferred in
 * one second comes back in one second. So deferrals leave over `spread`, each after a random time around the mean, and
 * faster only when the room fills up. Nothing else waits for them.
 */

#include "supervisor/admission/admission_nexthop.h"
#include "supervisor/admission/admission_share.h"

/* At most 200 a second: measured, two connections to retry(8) deferred 1900 in a second and cost a core. */
#define INTERVAL_MIN (ADMISSION_SECOND / 200)
#define INTERVAL_MAX (5 * ADMISSION_SECOND)

/*
 * Victims leave over twice Postfix's queue_run_delay: one queue run brings half of them back, and any half minute a twentieth,
 * where they leave soon after they came. 20000, which is all that qmgr(8) has at a time, are 33 in a second.
 */
#define VICTIM_SPREAD (600 * ADMISSION_SECOND)

/* In SHED memory is short and the active queue fills up: half a minute for all that waits. */
#define SHED_SPREAD (30 * ADMISSION_SECOND)

/* How many parts that may not be deferred yet are looked at in one call. */
#define LOOKS 32

/* Such a part is looked at again after this time. */
#define LOOK_AGAIN (10 * ADMISSION_SECOND)

static uint64_t random_next(struct admission *admission)
{
    /* splitmix64: enough for jitter */
    uint64_t z = admission->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Between half and one and a half of the mean. */
static int64_t jitter(struct admission *admission, int64_t mean)
{
    if (mean > INTERVAL_MAX)
        mean = INTERVAL_MAX;
    if (mean < INTERVAL_MIN)
        mean = INTERVAL_MIN;
    return mean / 2 + (int64_t)(random_next(admission) % (uint64_t)mean);
}

static void answer_again(int64_t *again, int64_t when)
{
    if (again != NULL)
        *again = when;
}

static int leave(struct admission *admission, struct part *part, int64_t now)
{
    part->destination->deferred++;
    admission_unqueue(admission, part);
    admission_release(admission, part, now);
    return (int)(part - admission->part_array);
}

/* A retry before a first attempt: it has lost its five minutes before. */
static struct part *newest_of(const struct destination *destination)
{
    enum queue which = list_empty(&destination->queue[QUEUE_RETRY]) ? QUEUE_FIRST : QUEUE_RETRY;

    return LIST_ENTRY(destination->queue[which].prev, struct part, queue);
}

/* The newest of the longest queue in that order will leave. */
static int victim(struct admission *admission, enum length_order order, int64_t now)
{
    for (int i = 0; i < LOOKS; i++) {
        unsigned longest = admission->longest[order];
        uint32_t number = longest > 0 ? admission->lengths[order][longest] : 0;
        struct destination *destination;
        struct part *part;

        if (number == 0)
            return -1;
        destination = &admission->destinations[number - 1];
        /* The clock may have changed what it is. */
        destination_place(admission, destination, PLACE_KEEP, now);
        if (destination->length[order].count == 0)
            continue;
        part = newest_of(destination);
        admission_unqueue(admission, part);
        part->state = PART_VICTIM;
        list_push_tail(&admission->victims, &part->time);
        destination->victims++;
        /* The first one has a moment more: something may be heard of its destination. */
        if (admission->victim_count == 0)
            admission->victim_at = now + admission->settings.patience;
        if (++admission->victim_count > admission->victim_most)
            admission->victim_most = admission->victim_count;
        destination_place(admission, destination, PLACE_KEEP, now);
        return (int)(part - admission->part_array);
    }
    return -1;
}

int admission_victim(struct admission *admission, int64_t now)
{
    (void)admission_spared(admission, now);
    return victim(admission, LENGTH_VICTIMS, now);
}

int admission_victim_spared(struct admission *admission, int64_t now)
{
    return victim(admission, LENGTH_SPARED, now);
}

unsigned admission_spared(struct admission *admission, int64_t now)
{
    for (int i = 0; i < LOOKS && !list_empty(&admission->fresh); i++) {
        struct destination *destination =
            LIST_ENTRY(admission->fresh.next, struct destination, fresh);

        if (destination_unheard(&admission->settings, destination, share_hopes(admission), now))
            break;
        destination_place(admission, destination, PLACE_KEEP, now);
    }
    return admission->spared;
}

void admission_spare(struct admission *admission, struct part *part)
{
    list_remove(&part->time);
    part->destination->victims--;
    if (--admission->victim_count == 0)
        admission->victim_most = 0;
}

static void pace_victims(struct admission *admission, int64_t now)
{
    unsigned most = admission->victim_most > 0 ? admission->victim_most : 1;

    admission->victim_at = now + jitter(admission, VICTIM_SPREAD / most);
}

/* It has to leave later than the others. */
static void stand_last(struct admission *admission, struct part *part)
{
    list_remove(&part->time);
    list_push_tail(&admission->victims, &part->time);
}

static struct part *first_victim(struct admission *admission, int64_t now)
{
    struct part *part = LIST_ENTRY(admission->victims.next, struct part, time);

    /* The clock may have changed what its destination is. */
    destination_place(admission, part->destination, PLACE_KEEP, now);
    return part;
}

/* It delivers; or, where `unknown` will do, it does not fail as far as anybody knows. */
static bool promises(const struct admission *admission, const struct destination *destination,
                     bool unknown)
{
    unknown &= destination->lane == ADMISSION_UNKNOWN && destination->hanging == 0;
    return destination->hold == NEXTHOP_FREE &&
           (unknown || destination_works(&admission->settings, destination));
}

/*
 * A victim of whom nothing is known, for a room that has places again: to be tried is better than to be deferred beside idle
 * workers. Where those who are tried do not answer it is no more than workers could begin with.
 */
static struct part *welcome(struct admission *admission, int64_t now)
{
    if (!share_answered(admission) && admission->waiting >= admission->limit)
        return NULL;
    for (unsigned i = 0; i < LOOKS && i < admission->victim_count; i++) {
        struct part *part = first_victim(admission, now);

        if (promises(admission, part->destination, true))
            return part;
        stand_last(admission, part);
    }
    return NULL;
}

struct admission_leave admission_leave(struct admission *admission, bool hurry,
                                       enum admission_space space, int64_t now)
{
    struct admission_leave answer = {.part = -1, .again = ADMISSION_NEVER};
    struct destination *destination;
    struct part *part = NULL;
    bool works = true;

    if (list_empty(&admission->victims))
        return answer;
    if (!hurry && space == ADMISSION_ROOMY)
        part = welcome(admission, now);
    if (!part && !hurry && admission->victim_at != ADMISSION_NEVER && now < admission->victim_at) {
        answer.again = admission->victim_at;
        return answer;
    }
    if (!part) {
        part = first_victim(admission, now);
        works = !hurry && promises(admission, part->destination, share_hopes(admission));
    }
    destination = part->destination;
    if (works && space == ADMISSION_FULL) {
        stand_last(admission, part);
        pace_victims(admission, now);
        answer.again = admission->victim_at;
        return answer;
    }
    answer.part = (int)(part - admission->part_array);
    answer.stays = works;
    if (!works)
        pace_victims(admission, now);
    admission_spare(admission, part);
    if (works) {
        admission_queue(admission, part, false, now);
        destination_place(admission, destination, PLACE_ARRIVAL, now);
        return answer;
    }
    admission->count.full++;
    destination->deferred++;
    admission_release(admission, part, now);
    return answer;
}

/* Those that wait for memory, a pace or a token may go on, but not for ever. */
static bool must_leave(struct admission *admission, const struct part *part, int64_t now)
{
    int64_t most = admission->settings.waiting_most;

    if (most > 0 && now - part->since >= most)
        return true;
    return !part->destination->held && (destination_hopeless(part->destination) ||
                                        admission_nexthop_down(admission, part->destination));
}

/* The first part that waited too long for a slow or dead destination; those that wait for memory are passed by. */
static struct part *overdue(struct admission *admission, int64_t now, int64_t *due)
{
    int64_t allowed = admission->settings.waiting_time;

    if (admission->settings.waiting_most > 0 && allowed > admission->settings.waiting_most)
        allowed = admission->settings.waiting_most;
    *due = ADMISSION_NEVER;
    for (int i = 0; i < LOOKS; i++) {
        struct part *part;
        admission->count.steps++;
        if (!list_empty(&admission->arrived)) {
            part = LIST_ENTRY(admission->arrived.next, struct part, time);
            if (now - part->since >= allowed) {
                if (must_leave(admission, part, now))
                    return part;
                part->looked = now;
                list_remove(&part->time);
                list_push_tail(&admission->late, &part->time);
                continue;
            }
            *due = part->since + allowed;
        }
        if (list_empty(&admission->late))
            return NULL;
        part = LIST_ENTRY(admission->late.next, struct part, time);
        if (now - part->looked < LOOK_AGAIN) {
            if (*due == ADMISSION_NEVER || part->looked + LOOK_AGAIN < *due)
                *due = part->looked + LOOK_AGAIN;
            return NULL;
        }
        if (must_leave(admission, part, now))
            return part;
        part->looked = now;
        list_remove(&part->time);
        list_push_tail(&admission->late, &part->time);
    }
    *due = now + INTERVAL_MIN;
    return NULL;
}

/*
 * The time until the next deferral: what has to leave, over what is left of `spread`, which shrinks with the room. What comes
 * on top of the flood that is leaving moves the end by its part of the whole.
 */
static int64_t expire_interval(struct admission *admission, int64_t now)
{
    int64_t spread =
        admission->settings.spread / admission->parts * (admission->parts - admission->waiting);
    unsigned leaving = admission->over_count > 0 ? admission->over_count : admission->doomed;
    int64_t end;

    if (leaving == 0)
        leaving = 1;
    if (leaving > admission->expire_left) {
        end = now + spread / leaving * (leaving - admission->expire_left);
        if (end > admission->expire_end)
            admission->expire_end = end;
    }
    if (admission->expire_end <= now)
        admission->expire_end = now + spread / 10;
    admission->expire_left = leaving - 1;
    return jitter(admission, (admission->expire_end - now) / leaving);
}

int admission_expire(struct admission *admission, int64_t now, int64_t *again)
{
    struct part *part = NULL;
    int64_t due;

    if (admission->expire_at != ADMISSION_NEVER && now < admission->expire_at) {
        answer_again(again, admission->expire_at);
        return -1;
    }
    part = overdue(admission, now, &due);
    if (part == NULL && !list_empty(&admission->over)) {
        struct destination *destination =
            LIST_ENTRY(admission->over.next, struct destination, over);
        destination_place(admission, destination, PLACE_KEEP, now);
        if (destination->counted_over > 0) {
            /* Turn by turn, so that every flood shrinks. */
            list_remove(&destination->over);
            list_push_tail(&admission->over, &destination->over);
            part = newest_of(destination);
        } else {
            due = now + INTERVAL_MIN;
        }
    }
    if (part == NULL) {
        if (list_empty(&admission->over))
            admission->expire_left = 0;
        answer_again(again, due);
        return -1;
    }
    admission->expire_at = now + expire_interval(admission, now);
    admission->count.expired++;
    return leave(admission, part, now);
}

int admission_shed(struct admission *admission, int64_t grace, int64_t now, int64_t *again)
{
    struct list *oldest = !list_empty(&admission->late) ? &admission->late : &admission->arrived;
    struct part *part;

    if (list_empty(oldest)) {
        answer_again(again, ADMISSION_NEVER);
        return -1;
    }
    if (admission->shed_at != ADMISSION_NEVER && now < admission->shed_at) {
        answer_again(again, admission->shed_at);
        return -1;
    }
    part = LIST_ENTRY(oldest->next, struct part, time);
    if (now - part->since < grace) {
        answer_again(again, part->since + grace);
        return -1;
    }
    admission->shed_at = now + jitter(admission, SHED_SPREAD / admission->waiting);
    admission->count.shed++;
    return leave(admission, part, now);
}
