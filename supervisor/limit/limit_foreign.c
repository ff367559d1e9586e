/*
 * Whose stall is it? The machine's pressure counts every group's, also that of a neighbour who
 * thrashes in a limited group of his own. Such a stall neither holds, shrinks nor sheds: with 22 of
 * 23 GB available it once left one worker.
 *
 * But the server behind may have a limited group, too, which our deliveries fill. Then the
 * machine's stall is the only warning (scenario "buffers" of tests/sim/limit.c). What precedes and
 * follows a stall tells the two apart:
 *
 *   - It is a neighbour's if it was there before the first worker, while at most FOREIGN_LEAST
 *     workers live, or if it begins beside no more workers than were calm before.
 *   - It may be ours if the pool has grown beyond that. The law then lowers L. If that makes no
 *     difference for CALM seconds, it is a neighbour's, and the former L is restored.
 *
 * The stall that a neighbour causes is remembered: only one that exceeds twice of it raises the
 * question again.
 */

#include "supervisor/limit/limit_view.h"

#include <math.h>

/* Time constants, s: of a neighbour's stall; of the mean; of the calm number of workers. */
#define FOREIGN_MEMORY 60.0
#define MEAN_MEMORY 2.0
#define CALM_RISES 30.0
#define CALM_FALLS 300.0

/* Grown: by a tenth beyond the calm number, or near the number that was too many before. */
#define GROWN 1.1
#define GROWN_KNEE 0.9

/* With FEWER of the workers, or FOREIGN_LEAST, a stall of ours falls below LOWER of it. */
#define FEWER 0.75
#define LOWER 0.5

static void calm_follow(struct limit_state *state, double live, double tick)
{
    double memory = live > state->calm_live ? CALM_RISES : CALM_FALLS;

    state->calm_live += (live - state->calm_live) * (1.0 - exp(-tick / memory));
}

static bool grown(const struct limit_state *state, double live)
{
    return live > FOREIGN_LEAST && (live > state->calm_live * GROWN ||
                                    (state->knee > 0.0 && live >= state->knee * GROWN_KNEE));
}

/* The machine is calm: after CALM seconds of that a suspicion is over. */
static void calm(struct limit_state *state, double live, double tick)
{
    state->foreign *= exp(-tick / FOREIGN_MEMORY);
    calm_follow(state, live, tick);
    state->suspect_age += tick;
    if (state->suspect_age >= CALM)
        state->suspect_live = 0.0;
}

/* A stall taken for ours that fewer workers have not changed for CALM seconds. */
static bool acquitted(struct limit_state *state, double live, double tick)
{
    if (live > at_least(state->suspect_live * FEWER, FOREIGN_LEAST)) {
        state->suspect_stall = at_least(state->suspect_stall, state->stall_mean);
        state->suspect_age = 0.0;
        return false;
    }
    state->suspect_age += tick;
    return state->suspect_age >= CALM && state->stall_mean >= state->suspect_stall * LOWER;
}

double limit_foreign(const struct limit_settings *settings, struct limit_state *state,
                     const struct limit_demand *demand, bool elsewhere, double stall, double tick)
{
    double live = demand->live;

    state->stall_mean += (stall - state->stall_mean) * (1.0 - exp(-tick / MEAN_MEMORY));
    if (stall < settings->hold) {
        calm(state, live, tick);
        return stall;
    }
    if (!elsewhere) {
        state->suspect_live = 0.0;
        return stall;
    }
    if (state->suspect_live > 0.0) {
        if (!acquitted(state, live, tick))
            return stall;
        state->law = at_least(state->law, state->suspect_law);
        state->knee = 0.0;
        state->suspect_live = 0.0;
        state->calm_hold = state->calm_shrink = CALM;
        state->foreign = at_least(state->foreign, state->stall_mean);
    } else if (!grown(state, live)) {
        state->foreign = at_least(state->foreign, stall);
    } else if (stall > 2 * state->foreign + settings->hold) {
        state->suspect_live = live;
        state->suspect_stall = 0.0;
        state->suspect_law = state->law;
        state->suspect_age = 0.0;
        return stall;
    }
    calm_follow(state, live, tick);
    return 0.0;
}
