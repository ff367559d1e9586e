#include "agents/pool.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000)
#define PAUSE_FIRST 1 /* s */
#define PAUSE_KILLED (SECOND / 10)
#define PAUSE_MOST 60 /* s; master's service_throttle_time */

#define BIT(state) (1U << (state))

/* The states that may follow each state. */
static const unsigned follows[WORKER_STATES] = {
    [WORKER_FREE] = BIT(WORKER_STARTING),
    [WORKER_STARTING] = BIT(WORKER_BUSY) | BIT(WORKER_IDLE) | BIT(WORKER_LEAVING),
    [WORKER_IDLE] = BIT(WORKER_CONNECTING) | BIT(WORKER_LEAVING),
    [WORKER_CONNECTING] = BIT(WORKER_BUSY) | BIT(WORKER_IDLE) | BIT(WORKER_LEAVING),
    [WORKER_BUSY] = BIT(WORKER_IDLE) | BIT(WORKER_LEAVING),
    [WORKER_LEAVING] = BIT(WORKER_FREE),
};

int pool_create(struct pool *pool, unsigned size)
{
    *pool = (struct pool){.size = size, .newest_idle = POOL_NONE, .oldest_idle = POOL_NONE};
    pool->worker = calloc(size, sizeof *pool->worker);
    if (!pool->worker)
        return -ENOMEM;
    for (unsigned i = 0; i < size; i++)
        pool->worker[i] = (struct pool_worker){.newer = i + 1 < size ? (int)i + 1 : POOL_NONE};
    pool->free = size > 0 ? 0 : POOL_NONE;
    pool->count[WORKER_FREE] = size;
    return 0;
}

void pool_destroy(struct pool *pool)
{
    free(pool->worker);
    *pool = (struct pool){0};
}

static void idle_add(struct pool *pool, int number)
{
    struct pool_worker *worker = &pool->worker[number];

    worker->newer = POOL_NONE;
    worker->older = pool->newest_idle;
    if (worker->older == POOL_NONE)
        pool->oldest_idle = number;
    else
        pool->worker[worker->older].newer = number;
    pool->newest_idle = number;
}

static void idle_remove(struct pool *pool, int number)
{
    struct pool_worker *worker = &pool->worker[number];

    if (worker->newer == POOL_NONE)
        pool->newest_idle = worker->older;
    else
        pool->worker[worker->newer].older = worker->older;
    if (worker->older == POOL_NONE)
        pool->oldest_idle = worker->newer;
    else
        pool->worker[worker->older].newer = worker->newer;
}

int pool_move(struct pool *pool, int number, enum worker_state state, uint64_t now)
{
    struct pool_worker *worker = &pool->worker[number];

    if (!(follows[worker->state] & BIT(state)))
        return -EPROTO;
    if (worker->state == WORKER_IDLE)
        idle_remove(pool, number);
    pool->count[worker->state]--;
    pool->count[state]++;
    worker->state = state;
    worker->since = now;
    if (state == WORKER_IDLE)
        idle_add(pool, number);
    if (state == WORKER_FREE) {
        worker->newer = pool->free;
        pool->free = number;
    }
    return 0;
}

int pool_start(struct pool *pool, uint64_t now)
{
    int number = pool->free;

    if (number == POOL_NONE)
        return POOL_NONE;
    pool->free = pool->worker[number].newer;
    return pool_move(pool, number, WORKER_STARTING, now) < 0 ? POOL_NONE : number;
}

int pool_idle(const struct pool *pool)
{
    return pool->newest_idle;
}

int pool_surplus(const struct pool *pool, uint64_t before)
{
    int number = pool->oldest_idle;

    return number != POOL_NONE && pool->worker[number].since <= before ? number : POOL_NONE;
}

unsigned pool_live(const struct pool *pool)
{
    return pool->size - pool->count[WORKER_FREE];
}

bool pool_may_start(const struct pool *pool, uint64_t now)
{
    return now >= pool->start_after;
}

unsigned pool_start_failed(struct pool *pool, uint64_t now)
{
    unsigned pause = PAUSE_FIRST;

    /* Workers are started several at a time: those that fail together are one failure. */
    if (pool_may_start(pool, now))
        pool->failures++;
    for (unsigned i = 1; i < pool->failures && pause < PAUSE_MOST; i++)
        pause *= 2;
    if (pause > PAUSE_MOST)
        pause = PAUSE_MOST;
    if (pool_may_start(pool, now))
        pool->start_after = now + pause * SECOND;
    return pause;
}

bool pool_start_killed(struct pool *pool, uint64_t now)
{
    if (pool->kills >= POOL_KILLS_MOST)
        return false;
    pool->kills++;
    if (pool_may_start(pool, now))
        pool->start_after = now + PAUSE_KILLED;
    return true;
}

bool pool_start_succeeded(struct pool *pool)
{
    bool failing = pool->failures > 0;

    pool->failures = pool->kills = 0;
    pool->start_after = 0;
    return failing;
}
