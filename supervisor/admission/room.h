#ifndef SUPERVISOR_ADMISSION_ROOM_H
#define SUPERVISOR_ADMISSION_ROOM_H

/*
 * When is the waiting room full?
 *
 * waiting.max is what the operator allows. The machine may allow less: each request that is held has a connection and a
 * lock, two descriptors, and its bytes. Where that is met first, nothing is accepted any more, and a flood that is in the
 * room keeps its places. So the room is full while a quarter of what the machine allows is still free: somebody has to
 * leave, and mail behind the flood is accepted.
 *
 * Pure: no I/O, no clock, no globals. Counts are requests, sizes are bytes.
 */

#include <stdbool.h>
#include <stdint.h>

struct room {
    unsigned waiting_max; /* waiting.max */
    unsigned clients_max; /* requests that the descriptors allow, waiting or not */
    uint64_t bytes_max;   /* bytes of requests that may be held */
};

/* How many may wait beside `running` requests that do not: at least one. */
unsigned room_bound(const struct room *room, unsigned running);

/* Has one of `waiting` requests, which hold `bytes`, to leave? */
bool room_full(const struct room *room, unsigned waiting, unsigned running, uint64_t bytes);

#endif
