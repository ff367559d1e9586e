#ifndef AGENTS_POOL_H
#define AGENTS_POOL_H

/*
 * Which workers there are and what each is doing. Bookkeeping only: no processes, no descriptors,
 * no clock. Times are microseconds of any clock that does not go back.
 *
 *   FREE        no such process; the number may be used for the next worker
 *   STARTING    asked for; it has not greeted yet
 *   IDLE        waits for a connection, or is about to: it has replied. Reused last in, first out,
 *               so that few workers do the work, their memory stays warm, and the others reach
 *               their max_idle
 *   CONNECTING  connected to, for a request that is chosen for it; it has not greeted yet
 *   BUSY        has a request
 *   LEAVING     told to go, or seen to go; not reaped yet
 *
 *   FREE -> STARTING -> BUSY -> IDLE -> CONNECTING -> BUSY ...
 *   STARTING -> IDLE when there is nothing for it to do
 *   CONNECTING -> IDLE when its request was withdrawn
 *   anything but FREE -> LEAVING -> FREE
 *   Other moves are a broken promise of the caller: pool_move() says -EPROTO.
 *
 * Failed starts: a worker that goes before its first greeting is a failed start. After one, nothing
 * is started for 1 s, then 2 s, and so on up to 60 s, as master(8) throttles a service
 * (service_throttle_time); one good start ends it. One that was killed (SIGKILL) before its
 * greeting says nothing of the program: somebody, or systemd-oomd, ended all of the group. After it
 * nothing is started for 0.1 s, but POOL_KILLS_MOST in a row are a failed start like another.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum worker_state {
    WORKER_FREE,
    WORKER_STARTING,
    WORKER_IDLE,
    WORKER_CONNECTING,
    WORKER_BUSY,
    WORKER_LEAVING,
};

#define WORKER_STATES (WORKER_LEAVING + 1)
#define POOL_NONE (-1)

/* All that start at a time (8), eight times: somebody who kills all of them five times within a second is no failed start. */
#define POOL_KILLS_MOST 64

struct pool_worker {
    enum worker_state state;
    uint64_t since; /* when it came into this state */
    int newer; /* IDLE: the worker that became idle after this one; FREE: the next free number */
    int older; /* IDLE: the one that became idle before this one */
};

struct pool {
    unsigned size;
    struct pool_worker *worker;
    unsigned count[WORKER_STATES];
    int free;        /* first of the free numbers */
    int newest_idle; /* ends of the list of idle workers */
    int oldest_idle;
    unsigned failures; /* failed starts since the last good one */
    unsigned kills;    /* starts that were killed since then */
    uint64_t start_after;
};

/* Room for `size` workers. All memory is taken here. 0 or -ENOMEM. */
int pool_create(struct pool *pool, unsigned size);
void pool_destroy(struct pool *pool);

/* A free number, now STARTING, or POOL_NONE when all are in use. */
int pool_start(struct pool *pool, uint64_t now);

/* Moves a worker to another state. 0, or -EPROTO for a move that is not in the list above. */
int pool_move(struct pool *pool, int worker, enum worker_state state, uint64_t now);

/* The worker that became idle last, or POOL_NONE. */
int pool_idle(const struct pool *pool);

/* The worker that has been idle longest, if that was at or before `before`, or POOL_NONE. */
int pool_surplus(const struct pool *pool, uint64_t before);

/* Processes that exist, or have been asked for. */
unsigned pool_live(const struct pool *pool);

/* May a worker be started now, as far as failed starts go? */
bool pool_may_start(const struct pool *pool, uint64_t now);

/* A start failed. Returns the pause in seconds; starts that fail within a pause do not lengthen it.
 */
unsigned pool_start_failed(struct pool *pool, uint64_t now);

/* A start was killed. True: it starts again in a moment. False: it counts as a failed start. */
bool pool_start_killed(struct pool *pool, uint64_t now);

/* A worker greeted for the first time. Returns whether starts had been failing. */
bool pool_start_succeeded(struct pool *pool);

#endif
