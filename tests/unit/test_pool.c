/* agents/pool.c against a model that keeps nothing but a list. */

#include "agents/pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SIZE 9
#define SECOND UINT64_C(1000000)

/* The moves of the header, as text: "from to". F(ree) S(tarting) I(dle) C(onnecting) B(usy)
 * L(eaving). */
static const char moves[] = "FS SB SI SL IC IL CB CI CL BI BL LF";
static const char letters[] = "FSICBL";

static bool allowed(enum worker_state from, enum worker_state to)
{
    const char word[] = {letters[from], letters[to], '\0'};

    return strstr(moves, word) != NULL;
}

struct model {
    enum worker_state state[SIZE];
    uint64_t since[SIZE];
    int idle[SIZE]; /* the one that became idle last is the last */
    int idles;
};

static void model_move(struct model *model, int number, enum worker_state to, uint64_t now)
{
    if (model->state[number] == WORKER_IDLE) {
        int at = 0;

        while (model->idle[at] != number)
            at++;
        model->idles--;
        memmove(model->idle + at, model->idle + at + 1, sizeof(int) * (size_t)(model->idles - at));
    }
    if (to == WORKER_IDLE)
        model->idle[model->idles++] = number;
    model->state[number] = to;
    model->since[number] = now;
}

static void compare(const struct pool *pool, const struct model *model, uint64_t before)
{
    unsigned count[WORKER_STATES] = {0};
    int oldest = POOL_NONE;

    for (int i = 0; i < SIZE; i++) {
        cr_assert_eq(pool->worker[i].state, model->state[i]);
        cr_assert_eq(pool->worker[i].since, model->since[i]);
        count[model->state[i]]++;
    }
    for (int i = 0; i < WORKER_STATES; i++)
        cr_assert_eq(pool->count[i], count[i]);
    cr_assert_eq(pool_live(pool), SIZE - count[WORKER_FREE]);
    cr_assert_eq(pool_idle(pool), model->idles > 0 ? model->idle[model->idles - 1] : POOL_NONE);
    if (model->idles > 0 && model->since[model->idle[0]] <= before)
        oldest = model->idle[0];
    cr_assert_eq(pool_surplus(pool, before), oldest);
}

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % limit;
}

Test(pool, random_moves_against_the_model)
{
    struct model model = {.idles = 0};
    struct pool pool;
    uint64_t seed = 42, now = 1000;
    unsigned full = 0, idle = 0;

    cr_assert_eq(pool_create(&pool, SIZE), 0);
    for (unsigned step = 0; step < 200000; step++) {
        int number = (int)random_below(&seed, SIZE);
        enum worker_state to = (enum worker_state)random_below(&seed, WORKER_STATES);

        now += random_below(&seed, 3);
        if (random_below(&seed, 4) == 0) {
            number = pool_start(&pool, now);
            if (number == POOL_NONE) {
                for (int i = 0; i < SIZE; i++)
                    cr_assert_neq(model.state[i], WORKER_FREE, "a free number was not found");
                full++;
            } else {
                cr_assert_eq(model.state[number], WORKER_FREE, "%d is in use", number);
                model_move(&model, number, WORKER_STARTING, now);
            }
        } else if (model.state[number] != WORKER_FREE) {
            bool right = allowed(model.state[number], to);

            cr_assert_eq(pool_move(&pool, number, to, now), right ? 0 : -EPROTO, "%c to %c",
                         letters[model.state[number]], letters[to]);
            if (right)
                model_move(&model, number, to, now);
        } else {
            cr_assert_eq(pool_move(&pool, number, WORKER_IDLE, now), -EPROTO);
        }
        idle += model.idles > 2;
        compare(&pool, &model, now - random_below(&seed, 10));
    }
    cr_assert(full > 100 && idle > 100, "the walk did not go everywhere: %u, %u", full, idle);
    pool_destroy(&pool);
}

Test(pool, the_last_idle_is_the_first_reused)
{
    struct pool pool;
    int number[4];

    cr_assert_eq(pool_create(&pool, 4), 0);
    for (int i = 0; i < 4; i++) {
        number[i] = pool_start(&pool, 1);
        cr_assert_eq(pool_move(&pool, number[i], WORKER_BUSY, 2), 0);
    }
    cr_assert_eq(pool_start(&pool, 1), POOL_NONE);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pool_move(&pool, number[i], WORKER_IDLE, 10 + (uint64_t)i), 0);
    cr_assert_eq(pool_surplus(&pool, 9), POOL_NONE);
    cr_assert_eq(pool_surplus(&pool, 10), number[0]);
    for (int i = 3; i >= 0; i--) {
        cr_assert_eq(pool_idle(&pool), number[i]);
        cr_assert_eq(pool_move(&pool, number[i], WORKER_CONNECTING, 20), 0);
    }
    cr_assert_eq(pool_idle(&pool), POOL_NONE);
    pool_destroy(&pool);
}

/* 1 s, doubled to 60 s; failures within a pause are one failure; one good start ends it. */
Test(pool, failed_starts)
{
    static const unsigned pauses[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct pool pool;
    uint64_t now = 5;

    cr_assert_eq(pool_create(&pool, 2), 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
            cr_assert(pool_may_start(&pool, now));
            cr_assert_eq(pool_start_failed(&pool, now), pauses[i]);
            cr_assert(!pool_may_start(&pool, now));
            /* the others that were started with it */
            for (int j = 0; j < 3; j++)
                cr_assert_eq(pool_start_failed(&pool, now + 1), pauses[i]);
            now += pauses[i] * SECOND;
            cr_assert(!pool_may_start(&pool, now - 1));
        }
        cr_assert(pool_start_succeeded(&pool));
        cr_assert(!pool_start_succeeded(&pool));
        cr_assert(pool_may_start(&pool, now - 1), "a good start ends the pause");
    }
    pool_destroy(&pool);
}

/* All of the group was killed: that is no failure of the program, unless it goes on. */
Test(pool, killed_starts)
{
    struct pool pool;
    uint64_t now = 5;

    cr_assert_eq(pool_create(&pool, 2), 0);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < POOL_KILLS_MOST / 2; i++) {
            /* two at a time: one pause */
            cr_assert(pool_start_killed(&pool, now));
            cr_assert(pool_start_killed(&pool, now + 1));
            cr_assert(!pool_may_start(&pool, now + SECOND / 10 - 1));
            now += SECOND / 10;
            cr_assert(pool_may_start(&pool, now));
        }
        cr_assert(!pool_start_killed(&pool, now));
        cr_assert_eq(pool_start_failed(&pool, now), 1);
        cr_assert(pool_start_succeeded(&pool));
    }
    pool_destroy(&pool);
}

Test(pool, of_no_size)
{
    struct pool pool;

    cr_assert_eq(pool_create(&pool, 0), 0);
    cr_assert_eq(pool_start(&pool, 1), POOL_NONE);
    cr_assert_eq(pool_idle(&pool), POOL_NONE);
    cr_assert_eq(pool_live(&pool), 0);
    pool_destroy(&pool);
}
