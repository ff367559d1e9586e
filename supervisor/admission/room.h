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
 * at most SERVICE_destination_concurrency_limit requests for a next hop under way, and a bound for all. Its window of the
 * moment may be smaller than that limit: it is seen.
 *
 * Pure: no I/O, no clock, no globals. Counts are requests, sizes are bytes.
 */

#include <stdbool.h>
#include <stdint.h>

struct room {
    unsigned waiting_max; /* waiting.max */
    unsigned clients_max; /* requests that the descriptors allow, waiting or not */
    uint64_t bytes_max;   /* bytes of requests that may be held */
    unsigned active_max;  /* messages that qmgr(8) has at a time; 0: not known */
    unsigned hop_max;     /* requests that it has under way for a next hop; 0: no limit */
    unsigned window;      /* so many were held when qmgr(8) held back the rest; 0: not seen */
    unsigned blocked;     /* seconds in a row in which it looked like that */
};

/* How many may wait beside `running` requests that do not: at least one. */
unsigned room_bound(const struct room *room, unsigned running);

/* Has one of `waiting` requests, which hold `bytes`, to leave? */
bool room_full(const struct room *room, unsigned waiting, unsigned running, uint64_t bytes);

/* The same for bytes alone. */
bool room_full_of_bytes(const struct room *room, uint64_t bytes);

/* Are so few places left, with `held` requests and `bytes`, victims and those that run included, that mail has to wait? */
bool room_crowded(const struct room *room, unsigned held, uint64_t bytes);

/*
 * All mail is for one next hop, `held` requests of it are here, and `wanted` of `limit` workers would run them all. How many workers
 * may they take, whatever their shares, because qmgr(8) may hold back other mail for them? 0: none beyond these.
 *
 * All, where `limit` suffices: from three quarters of a window on, or always, if it suffices for the largest window, too. Where it
 * suffices for half of them: from three quarters of the window that was seen on.
 *
 * Where it does not, and the largest window is full before the room is, nobody leaves who could make place, and the window of the
 * moment is not known: three quarters of the workers, and all when it is nearly full. What is left is for good mail that is here.
 * 16 workers, a window of 20, 120 messages that hang 8 s: good mail behind them has p50 48.9 s, as with stock; 97 s without.
 */
unsigned room_windowed(const struct room *room, unsigned held, unsigned wanted, unsigned limit);

/* Have victims to leave at once? As soon as they might fill what qmgr(8) allows, if all are for one next hop. */
bool room_hurries(const struct room *room, unsigned held, uint64_t bytes);

/* What came and went within a second; `late` came after a second or more in qmgr(8)'s active queue. Starts as zeros. */
struct room_flow {
    unsigned arrived, late, answered;
};

/* A request comes that qmgr(8) has had for `wait` microseconds. */
void room_arrived(struct room_flow *flow, int64_t wait);

/*
 * A second is over, and `held` are here: learns `window` from it, and begins the next one. When qmgr(8) is at the limit
 * of a next hop, late requests come, and no more than take the place of those that are answered, for several seconds.
 * Where it is taken for that by chance, victims leave sooner, no more.
 */
void room_learn(struct room *room, struct room_flow *flow, unsigned held);

#endif
