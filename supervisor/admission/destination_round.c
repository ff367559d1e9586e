/*
 * How few workers reach the same rate at a destination, and do more raise it? Tried, for one round of deliveries.
 *
 * The rate is the mean number under way, which the levels tell (destination_most.c), divided by the mean time (Little's law), of
 * those that began in the round. Two things are tried:
 *
 *   FEWER  Of the number that a destination takes at a time, learned from refusals. A server with a queue of its own takes thirty
 *          and delivers one after the other: twenty-nine workers are parked there. Where deliveries take twice their least time
 *          half is tried. Half stays when the rate stays, and is halved again; otherwise the number is what it was. After HOLD
 *          twice as many are tried, for the server may have changed. One that never refused anybody for their number is not
 *          asked: more than it needs harm nobody there, and with stock it would have them.
 *   MORE   than `stock` are started for anybody else only as far as that raises the rate: a quarter more is tried, and stays when
 *          the rate has risen by half of that. The least time alone does not tell: all of a burst begin together, and
 *          then all take as long.
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
 * and 12p, 1200 at once to a new server whose deliveries share two processors, workers at most; all take 24 s:
 *
 *     no more where the least time is doubled (destination_rate.c)                            143
 *     and none beyond `stock` before one came back that began beside as many                  181
 *     and a quarter more at a time while the rate rises (this one)                            125
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
    unsigned reach = destination->reach > 0 ? destination->reach : settings->stock;

    /* Its share of the limit is less at first, and it must make up for that: 3w. */
    if (destination->lane == ADMISSION_SLOW && destination->level < reach)
        reach = settings->stock * 2 > reach ? settings->stock * 2 : reach;
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
    if (destination->most == 0)
        return number + number / 4;
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

static void set_number(struct destination *destination, unsigned number)
{
    if (destination->most > 0)
        destination->enough = number;
    else
        destination->reach = number;
}

static void turn_back(struct destination *destination, int64_t now)
{
    destination->more = destination->most == 0 || !destination->more;
    destination->hold_until = now + HOLD;
}

/* At first workers that start, and a server that starts its own, make the rate rise by themselves. */
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
        set_number(destination, from);
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
    set_number(destination, next);
}

void destination_round(const struct admission_settings *settings, struct destination *destination,
                       unsigned level, int64_t service, int64_t now)
{
    bool fewer = destination->most > 0;
    unsigned number;

    if (destination->reach == 0 || fewer != destination->fewer) {
        destination->fewer = fewer;
        destination->more = !fewer;
        destination->enough = destination->tried_from = 0;
        destination->tried_rate = 0;
        destination->reach = settings->stock;
        destination->hold_until = now;
        begin(destination, now);
        if (fewer)
            return;
        destination->round_from = ADMISSION_NEVER;
    }
    number = fewer ? destination_number(destination) : destination->reach;
    /* Those of the round before, and those that found it half empty, say nothing of this number. */
    if (now - service < destination->round_from)
        return;
    if (fewer ? level > number || level * 2 <= number : level * 8 <= number * 7)
        return;
    destination->round_sum += service;
    destination->round_levels += level;
    if (++destination->round_count < ROUND)
        return;
    judge(destination, number, now);
    begin(destination, now);
}
