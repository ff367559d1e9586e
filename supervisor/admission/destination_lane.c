/*
 * What is learned of a destination, and what that says about it: pure functions over one destination.
 */

#include "supervisor/admission/destination.h"

/* A window beyond this needs no more proof; the limit bounds it anyway. */
#define WINDOW_MAX 100000

/*
 * Failures in a row delay the next start, so that a server that is down for half a minute does not cost thousands of
 * attempts: a quarter of a second, doubled up to eight seconds. A destination that delivered lately has a few for nothing,
 * because busy servers answer 421 in bursts (QSHAPE_README).
 */
#define BACKOFF_FIRST (ADMISSION_SECOND / 4)
#define BACKOFF_DOUBLINGS 5
#define BACKOFF_FREE 5

/* After this much longer than `proven_for`, the last sign of life no longer tells good from unknown. */
#define MEMORY_AGE (INT64_C(7) * 24 * 3600 * ADMISSION_SECOND)

static bool within(int64_t when, int64_t age, int64_t now)
{
    return when != ADMISSION_NEVER && now - when < age;
}

static int64_t latest(int64_t a, int64_t b)
{
    return a > b ? a : b; /* ADMISSION_NEVER is the smallest */
}

bool destination_alive(const struct destination *destination)
{
    return destination->hanging == 0 || destination->last_success > destination->last_hang;
}

enum admission_lane destination_evidence(const struct admission_settings *settings,
                                         const struct destination *destination, int64_t now)
{
    bool succeeded = within(destination->last_success, settings->proven_for, now);
    bool failed =
        within(destination->last_failure, settings->proven_for, now) &&
        destination->last_failure > latest(destination->last_success, destination->last_answer);

    /* Hangs have used up all the credit that its successes gave it. */
    if (failed && destination->hung && destination->window == 1)
        return ADMISSION_DEAD;
    if (succeeded) {
        /* One large message in many does not make it slow, but a delivery that hung until it failed does. */
        if (failed && destination->hung)
            return ADMISSION_SLOW;
        if (!destination_alive(destination) && destination->hanging * 4 > destination->in_flight)
            return ADMISSION_SLOW;
        return destination->service < settings->slow_after ? ADMISSION_PROVEN : ADMISSION_SLOW;
    }
    if (failed)
        return ADMISSION_DEAD;
    if (within(latest(destination->last_success, destination->last_answer), MEMORY_AGE, now) &&
        destination_alive(destination))
        return ADMISSION_FIRST;
    return ADMISSION_UNKNOWN;
}

unsigned destination_window(const struct destination *destination)
{
    return destination->lane == ADMISSION_DEAD ? 1 : destination->window;
}

unsigned destination_used(const struct destination *destination)
{
    return destination_alive(destination) ? destination->in_flight - destination->hanging
                                          : destination->in_flight;
}

static bool failing(const struct destination *destination)
{
    return destination->last_failure > latest(destination->last_success, destination->last_answer);
}

bool destination_hopeless(const struct destination *destination)
{
    return destination->lane == ADMISSION_DEAD ||
           (destination->lane == ADMISSION_SLOW && failing(destination));
}

bool destination_works(const struct admission_settings *settings,
                       const struct destination *destination)
{
    switch (destination->lane) {
    case ADMISSION_PROVEN:
    case ADMISSION_FIRST:
        return true;
    case ADMISSION_SLOW:
        return !failing(destination) &&
               (destination_alive(destination) || destination->service >= settings->slow_after);
    default:
        return false;
    }
}

bool destination_unheard(const struct admission_settings *settings,
                         const struct destination *destination, bool hopes, int64_t now)
{
    return destination->last_success == ADMISSION_NEVER &&
           destination->last_failure == ADMISSION_NEVER &&
           destination->last_answer == ADMISSION_NEVER &&
           ((hopes && destination->hanging == 0) || now - destination->seen < settings->slow_after);
}

enum admission_lane destination_hang_lane(const struct destination *destination)
{
    if (destination->lane == ADMISSION_DEAD)
        return ADMISSION_DEAD;
    if (destination->last_success == ADMISSION_NEVER)
        return destination->charge;
    return ADMISSION_SLOW;
}

int64_t destination_pace(const struct destination *destination)
{
    unsigned failures = destination->failures;
    int64_t backoff = 0;

    if (destination->lane == ADMISSION_PROVEN || destination->lane == ADMISSION_SLOW)
        failures = failures > BACKOFF_FREE ? failures - BACKOFF_FREE : 0;
    if (failures > 0) {
        unsigned doublings = failures - 1;
        if (doublings > BACKOFF_DOUBLINGS)
            doublings = BACKOFF_DOUBLINGS;
        backoff = BACKOFF_FIRST << doublings;
        /* A server that was stopped is there again at once. */
        if (destination->refused && backoff > NEXTHOP_PROBE_MOST)
            backoff = NEXTHOP_PROBE_MOST;
    }
    return destination->pace > backoff ? destination->pace : backoff;
}

/* One more than was possible, which is more than the window where it did not bind. */
static void widen(struct destination *destination)
{
    if (destination->window < destination->in_flight)
        destination->window = destination->in_flight;
    if (destination->in_flight * 2 >= destination->window && destination->window < WINDOW_MAX)
        destination->window++;
}

/* `in_flight` still counts the part that has ended: the window grows only where it is used. */
void destination_learn(const struct admission_settings *settings, struct destination *destination,
                       enum admission_outcome outcome, int64_t service, int64_t now)
{
    bool quick = service < settings->slow_after;

    if (outcome == ADMISSION_LOST)
        return;
    if (outcome == ADMISSION_DELIVERED) {
        if (destination->last_success == ADMISSION_NEVER) {
            destination->window = settings->window;
            destination->service = service;
            if (destination->window < destination->in_flight)
                destination->window = destination->in_flight;
        } else {
            widen(destination);
            destination->service += (service - destination->service) / 8;
        }
        destination->last_success = now;
        destination->failures = 0;
        return;
    }
    if (outcome == ADMISSION_DEFERRED && quick) {
        destination->last_answer = now;
        destination->failures = 0;
        return;
    }
    /* It delivered what began later: the fault is this message's. */
    if (!quick && destination->last_success != ADMISSION_NEVER &&
        destination->last_success > now - service)
        return;
    destination->last_failure = now;
    destination->hung = !quick;
    destination->refused = quick && outcome == ADMISSION_UNREACHED;
    if (destination->failures < UINT32_MAX)
        destination->failures++;
    if (destination->window > 1)
        destination->window--;
}

/*
 * A dead destination keeps a few, to be tried when it lives again. A slow one keeps what it can deliver within the time a
 * part may wait: a fixed number would defer mail of a server that takes 8 s and never fails.
 */
unsigned destination_excess(const struct admission_settings *settings,
                            const struct destination *destination)
{
    int64_t keep = settings->backlog;

    if (destination->held || !destination_hopeless(destination))
        return 0;
    if (destination->lane == ADMISSION_SLOW && destination->service > 0) {
        int64_t deliverable =
            settings->waiting_time / destination->service * (int64_t)destination->window;
        if (deliverable > keep)
            keep = deliverable;
    }
    return destination->deferrable > keep ? destination->deferrable - (unsigned)keep : 0;
}
