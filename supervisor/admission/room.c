#include "supervisor/admission/room.h"

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
