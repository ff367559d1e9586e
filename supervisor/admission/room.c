#include "supervisor/admission/room.h"

/* The last sixteenth of what is allowed, and the last quarter of a window, are for those that are no victims. */
#define CROWDED_PART 16
#define WINDOW_PART 4

/* Mail that waits for longer in qmgr(8) is held up, and so many answers in a second can be compared with arrivals. */
#define HELD_UP INT64_C(1000000)
#define ANSWERED_LEAST 8

/* So many seconds in a row: in one, a busy machine looks like that by chance. */
#define SECONDS_LEAST 3

static uint64_t three_quarters(uint64_t all)
{
    return all - all / 4;
}

unsigned room_bound(const struct room *room, unsigned running)
{
    unsigned left = room->clients_max > running ? room->clients_max - running : 0;
    unsigned allowed = (unsigned)three_quarters(left);

    if (allowed > room->waiting_max)
        allowed = room->waiting_max;
    return allowed > 0 ? allowed : 1;
}

bool room_full(const struct room *room, unsigned waiting, unsigned running, uint64_t bytes)
{
    return waiting > room_bound(room, running) ||
           (waiting > 1 && bytes > three_quarters(room->bytes_max));
}

bool room_crowded(const struct room *room, unsigned held, uint64_t bytes)
{
    return held >= room->clients_max - room->clients_max / CROWDED_PART ||
           (room->window > 0 && held >= room->window - room->window / WINDOW_PART) ||
           bytes >= room->bytes_max - room->bytes_max / CROWDED_PART;
}

void room_arrived(struct room_flow *flow, int64_t wait, const char *nexthop, size_t length)
{
    uint32_t sum = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)nexthop[i]) * 16777619U;
    if (flow->arrived++ == 0) {
        flow->least_wait = wait;
        flow->nexthop = sum;
        return;
    }
    flow->several |= flow->nexthop != sum;
    if (wait < flow->least_wait)
        flow->least_wait = wait;
}

void room_learn(struct room *room, struct room_flow *flow, unsigned held)
{
    unsigned slack = 2 + flow->answered / 8;

    bool blocked = !flow->several && flow->answered >= ANSWERED_LEAST &&
                   flow->least_wait > HELD_UP && flow->arrived + slack >= flow->answered &&
                   flow->arrived <= flow->answered + slack;

    room->blocked = blocked ? room->blocked + 1 : 0;
    if (held > room->window)
        room->window = 0;
    if (room->window == 0 && room->blocked >= SECONDS_LEAST)
        room->window = held;
    *flow = (struct room_flow){0};
}
