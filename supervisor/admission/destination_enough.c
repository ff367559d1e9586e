/*
 * Of the number that a destination takes at a time (destination_most.c), how few reach the same rate?
 *
 * A server with a queue of its own takes thirty and delivers one after the other: twenty-nine workers are parked there. So where a
 * number was learned from refusals, and deliveries take twice their least time, half of it is tried for one round. The rate is
 * the mean number under way, which the levels tell, divided by the mean time (Little's law), of those that began in that round. Half
 * stays when the rate stays, and is halved again; otherwise the number is what it was. After HOLD the other direction is tried,
 * for the server may have changed.
 *
 * A destination that never refused anybody for their number is not asked: more workers than it needs harm nobody there, and
 * with stock it would have them.
 *
 * Tried in tests/sim/beside.c: 9 as above, 9k delivers three at a time, 9s takes 20 sessions of 2 s and one in ten is a quick bounce,
 * which makes the least time worthless. Workers once it is known, and time of all:
 *
 *                                                                9          9k         9s
 *     the number from refusals alone                             32  98 s   34  33 s   26   86 s
 *     four, while deliveries take twice their least time          4  99 s   34  33 s   26  440 s
 *     twice what the server works at: number * least / mean       4  99 s   34  33 s   26  440 s
 *     half of it while the rate stays (this one)                  4  99 s    4  33 s   26   92 s
 */

#include "supervisor/admission/destination.h"

/* So few are not worth a try. */
#define FEW 4

#define HOUR (3600 * ADMISSION_SECOND)
#define HOLD (300 * ADMISSION_SECOND)

/* Fewer say little of the mean. */
#define ROUND_LEAST 8

unsigned destination_number(const struct destination *destination)
{
    return destination->enough > 0 ? destination->enough : destination->most;
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

/* Deliveries in an hour, at the least, if there are always as many under way as there were when these began. */
static int64_t rate_of(const struct destination *destination)
{
    int64_t mean = destination->round_sum / destination->round_count;

    return (int64_t)destination->round_levels * HOUR / destination->round_count /
           (mean > 0 ? mean : 1);
}

static bool succeeded(const struct destination *destination, int64_t rate)
{
    int64_t before = destination->tried_rate;

    return destination->more ? rate * 10 >= before * 11 : rate * 10 >= before * 9;
}

static void turn_back(struct destination *destination, int64_t now)
{
    destination->more = !destination->more;
    destination->hold_until = now + HOLD;
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
    if (now < destination->hold_until)
        return;
    next = next_number(destination, number);
    if (next == number) {
        turn_back(destination, now);
        return;
    }
    destination->tried_from = number;
    destination->tried_rate = rate;
    destination->enough = next;
}

void destination_enough(struct destination *destination, unsigned level, int64_t service,
                        int64_t now)
{
    unsigned number = destination_number(destination);
    unsigned round = number > ROUND_LEAST ? number : ROUND_LEAST;

    if (destination->most == 0) {
        destination->enough = destination->tried_from = 0;
        destination->more = false;
        destination->hold_until = now;
        begin(destination, now);
        return;
    }
    /* Those of the round before, and those that found it half empty, say nothing of this number. */
    if (now - service < destination->round_from || level > number || level * 2 <= number)
        return;
    destination->round_sum += service;
    destination->round_levels += level;
    if (++destination->round_count < round)
        return;
    judge(destination, number, now);
    begin(destination, now);
}
