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
 * Victims of a full room are held for minutes (admission_leave()), also where that is more than waiting.max: Postfix brings back
 * together what was deferred together. They may not hold up others: neither where places are few, nor at qmgr(8), which has
 * at most SERVICE_destination_concurrency_limit requests for a next hop under way. That limit is seen here, not asked for:
 * it is its window of the moment that counts.
 *
 * Pure: no I/O, no clock, no globals. Counts are requests, sizes are bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room {
    unsigned waiting_max; /* waiting.max */
    unsigned clients_max; /* requests that the descriptors allow, waiting or not */
    uint64_t bytes_max;   /* bytes of requests that may be held */
    unsigned window;      /* so many were held when qmgr(8) held back the rest; 0: not seen */
    unsigned blocked;     /* seconds in a row in which it looked like that */
};

/* How many may wait beside `running` requests that do not: at least one. */
unsigned room_bound(const struct room *room, unsigned running);

/* Has one of `waiting` requests, which hold `bytes`, to leave? */
bool room_full(const struct room *room, unsigned waiting, unsigned running, uint64_t bytes);

/* Have victims to leave at once, when `held` requests with `bytes` are here, victims and those that run included? */
bool room_crowded(const struct room *room, unsigned held, uint64_t bytes);

/* What came and went within a second. Starts as zeros. */
struct room_flow {
    unsigned arrived, answered;
    int64_t least_wait; /* us: the time in the active queue before qmgr(8) handed it over */
    uint32_t nexthop;   /* of all that arrived, as a checksum */
    bool several;       /* not of all */
};

void room_arrived(struct room_flow *flow, int64_t wait, const char *nexthop, size_t length);

/*
 * A second is over, and `held` are here: learns `window` from it, and begins the next one. When qmgr(8) is at the limit
 * of a next hop, requests for that come in the place of those that are answered, as many, after a wait,
 * for several seconds.
 */
void room_learn(struct room *room, struct room_flow *flow, unsigned held);

#endif
