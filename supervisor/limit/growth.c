#include "supervisor/limit/growth.h"

/* Time between two samples: a few turns of the scheduler. */
#define SAMPLE_EVERY 8000

/* One that is older than this says nothing of now. */
#define SAMPLE_AGE 100000

/* After a pause of this length requests are a new burst. */
#define DEMAND_PAUSE 100000

/* Runnable for so much of the time, in percent: there is always somebody in front. */
#define CROWDED 30

void growth_returned(struct growth *growth, uint64_t now)
{
    growth->returned[growth->next] = now;
    growth->next = (growth->next + 1) % GROWTH_RETURNS;
    if (growth->known < GROWTH_RETURNS)
        growth->known++;
}

void growth_ended(struct growth *growth, uint64_t now)
{
    growth->owed++;
    growth->ended = now;
}

bool growth_wants_sample(const struct growth *growth, uint64_t now)
{
    return !growth->sampled || now - growth->sample_time >= SAMPLE_EVERY;
}

void growth_sample(struct growth *growth, uint64_t runnable, uint64_t now)
{
    uint64_t past = now - growth->sample_time;
    bool valid = growth->sampled && past > 0 && past <= SAMPLE_AGE;
    unsigned load = valid ? (unsigned)((runnable - growth->sample_runnable) * 100 / past) : 0;

    growth->load = valid && growth->judged ? (growth->load + load) / 2 : load;
    growth->judged = valid;
    growth->sampled = true;
    growth->sample_time = now;
    growth->sample_runnable = runnable;
}

bool growth_helps(struct growth *growth, unsigned waiting, uint64_t now)
{
    uint64_t since, within;
    unsigned returns = GROWTH_RETURNS;

    if (now - growth->asked > DEMAND_PAUSE)
        growth->demand = now;
    growth->asked = now;
    if (now - growth->ended > GROWTH_LATER)
        growth->owed = 0;
    if (growth->owed > 0) {
        growth->owed--;
        return true;
    }
    if (growth->known < GROWTH_RETURNS)
        return true;
    if (now - growth->demand < GROWTH_AGAIN)
        return false;
    /* The ring is full: the next place has the oldest. Those before the present demand do not
     * count. That time goes on when none come back is what ends a pause. */
    since = growth->returned[growth->next];
    if (since < growth->demand) {
        since = growth->demand;
        for (unsigned i = 0; i < GROWTH_RETURNS; i++)
            returns -= growth->returned[i] < since;
    }
    within = (now - since) * waiting / (returns > 0 ? returns : 1);
    if (within <= GROWTH_SOON)
        return false;
    return !(growth->load >= CROWDED && now - growth->sample_time <= SAMPLE_AGE &&
             within <= GROWTH_LATER);
}
