#include "supervisor/admission/room.h"

/* These parts of what is allowed, and of the active queue, are for those that are no victims. */
#define CROWDED_PART 16
#define ACTIVE_PART 32

/*
 * The same of the largest window. A failure takes one from it, so the window of the moment may be smaller by some. With a quarter
 * good mail found no worker when a flood filled three quarters of it.
 */
#define HOP_PART 8

/* Mail that waits for longer in qmgr(8) is held up. Microseconds. */
#define HELD_UP INT64_C(1000000)

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

bool room_full_of_bytes(const struct room *room, uint64_t bytes)
{
    return bytes > three_quarters(room->bytes_max);
}

bool room_full(const struct room *room, unsigned waiting, unsigned running, uint64_t bytes)
{
    return waiting > room_bound(room, running) || (waiting > 1 && room_full_of_bytes(room, bytes));
}

/* What is held is near the window that was seen. */
static bool near_seen(const struct room *room, unsigned held)
{
    return room->window > 0 && held >= three_quarters(room->window);
}

bool room_crowded(const struct room *room, unsigned held, uint64_t bytes)
{
    return held >= room->clients_max - room->clients_max / CROWDED_PART || near_seen(room, held) ||
           bytes >= room->bytes_max - room->bytes_max / CROWDED_PART;
}

/* Of the window that was seen, or of the largest. */
static bool near_window(const struct room *room, unsigned held)
{
    return near_seen(room, held) || (room->hop_max > 0 && held >= three_quarters(room->hop_max));
}

/* The largest window is nearly full. */
static bool hop_full(const struct room *room, unsigned held)
{
    return room->hop_max > 0 && held >= room->hop_max - room->hop_max / HOP_PART;
}

unsigned room_windowed(const struct room *room, unsigned held, unsigned wanted, unsigned limit)
{
    if (wanted <= limit &&
        (near_window(room, held) || (room->hop_max > 0 && room->hop_max <= limit)))
        return limit;
    if (wanted / 2 <= limit && near_seen(room, held))
        return limit;
    if (room->hop_max == 0 || room->hop_max > room_bound(room, 0))
        return 0;
    return hop_full(room, held) ? limit : (unsigned)three_quarters(limit);
}

bool room_hurries(const struct room *room, unsigned held, uint64_t bytes)
{
    return room_crowded(room, held, bytes) || hop_full(room, held) ||
           (room->active_max > 0 && held >= room->active_max - room->active_max / ACTIVE_PART);
}

void room_arrived(struct room_flow *flow, int64_t wait)
{
    flow->arrived++;
    flow->late += wait > HELD_UP;
}

void room_learn(struct room *room, struct room_flow *flow, unsigned held)
{
    unsigned slack = 2 + flow->answered / 8;

    if (flow->arrived > 0)
        room->blocked =
            flow->late > 0 && flow->arrived <= flow->answered + slack ? room->blocked + 1 : 0;
    if (held > room->window)
        room->window = 0;
    if (room->window == 0 && room->blocked >= SECONDS_LEAST)
        room->window = held;
    *flow = (struct room_flow){0};
}
