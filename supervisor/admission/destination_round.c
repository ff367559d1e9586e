/*
 * How few workers reach the same rate at a destination that takes only so many? Tried, for one round of deliveries.
 *
 * The rate is the mean number under way, which the levels tell (destination_most.c), divided by the mean time (Little's law), of
 * those that began in the round. A server with a queue of its own takes thirty and delivers one after the other: twenty-nine workers
 * are parked there. Where deliveries take twice their least time half is tried. Half stays when the rate stays, and is halved again;
 * otherwise the number is what it was. After HOLD twice as many are tried, for the server may have changed. A destination that never
 * refused anybody for their number is not asked: more than it needs harm nobody there, and with stock it would have them.
 *
 * Tried in tests/sim/beside.c: 9 as above, 9k delivers three at a time, 9s takes 20 sessions of 2 s and one in ten is a quick bounce,
 * which makes the least time worthless. Workers once it is known, and time of all:
 *
 *                                                                9          9k         9s
 *     the number from refusals alone                             32  98 s   34  33 s   26   86 s
 *     four, while deliveries take twice their least time          4  99 s   34  33 s   26  440 s
 *     twice what the server works at: number * least / mean       4  99 s   34  33 s   26  440 s
 *     half of it while the rate stays (this one)                  4  99 s    4  33 s   26   94 s
 *
 * More than `stock` are never tried. A quarter more at a time, while that raised the rate, were up to twice as quick behind servers
 * that are slow and healthy. But Dovecot takes as many as stock starts, 100, and hangs up on the next: of 5000 messages of
 * 200 kB to one domain 34 to 386 were deferred, with stock none.
 */

#include "supervisor/admission/destination.h"

/* So few are not worth a try. */
#define FEW 4

#define HOUR (3600 * ADMISSION_SECOND)
#define HOLD (300 * ADMISSION_SECOND)

/* Deliveries of a round. */
#define ROUND 16

unsigned destination_gains(const struct admission_settings *settings,
                           const struct destination *destination)
{
    unsigned reach = settings->stock;

    /* Its share of the limit is less at first, and it must make up for that: 3w. */
    if (destination->lane == ADMISSION_SLOW && destination->level < reach)
        reach *= 2;
    return destination->in_flight < reach ? reach - destination->in_flight : 0;
}

static void begin(struct destination *destination, int64_t now)
{
    destination->round_from = now;
    destination->round_count = 0;
    destination->round_sum = 0;
    destination->round_levels = 0;
}

/* The next number in the present direction, or the same one when there is none. */
static unsigned next_number(const struct destination *destination, unsigned number)
{
    if (destination->more)
        return number * 2 < destination->most ? number * 2 : destination->most;
    if (!destination_stretched(destination) || number <= FEW)
        return number;
    return number / 2 > FEW ? number / 2 : FEW;
}

/* Deliveries in an hour, if there are always as many under way as there were when these began. */
static int64_t rate_of(const struct destination *destination)
{
    int64_t mean = destination->round_sum / ROUND;

    return (int64_t)destination->round_levels * HOUR / ROUND / (mean > 0 ? mean : 1);
}

static bool succeeded(const struct destination *destination, int64_t rate)
{
    if (destination->more)
        return rate / 9 >= destination->tried_rate / 8;
    return rate / 9 >= destination->tried_rate / 10;
}

static void turn_back(struct destination *destination, int64_t now)
{
    destination->more = !destination->more;
    destination->hold_until = now + HOLD;
}

/* A number that was raised is only judged when its rate has come to rest. */
static bool steady(struct destination *destination, int64_t rate)
{
    int64_t before = destination->tried_rate;

    destination->tried_rate = rate;
    return !destination->more || rate / 9 < before / 8;
}

static void judge(struct destination *destination, unsigned number, int64_t now)
{
    int64_t rate = rate_of(destination);
    unsigned from = destination->tried_from, next;

    destination->tried_from = 0;
    if (from > 0 && !succeeded(destination, rate)) {
        destination->enough = from;
        turn_back(destination, now);
        return;
    }
    if (from > 0 && destination->more)
        destination->tried_rate = 0;
    if (now < destination->hold_until || !steady(destination, rate))
        return;
    next = next_number(destination, number);
    if (next == number) {
        turn_back(destination, now);
        return;
    }
    destination->tried_from = number;
    destination->enough = next;
}

void destination_round(struct destination *destination, unsigned level, int64_t service,
                       int64_t now)
{
    unsigned number = destination_number(destination);

    if (destination->most == 0) {
        destination->rounds = false;
        return;
    }
    if (!destination->rounds) {
        destination->rounds = true;
        destination->more = false;
        destination->enough = destination->tried_from = 0;
        destination->tried_rate = 0;
        destination->hold_until = now;
        begin(destination, now);
        return;
    }
    /* Those of the round before, and those that found it half empty, say nothing of this number. */
    if (now - service < destination->round_from || level > number || level * 2 <= number)
        return;
    destination->round_sum += service;
    destination->round_levels += level;
    if (++destination->round_count < ROUND)
        return;
    judge(destination, number, now);
    begin(destination, now);
}
