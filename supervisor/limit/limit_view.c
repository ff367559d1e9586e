#include "supervisor/limit/limit_view.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)
#define SECOND 1000000U

/* The machine's floor with "auto": the smaller of both. */
#define AVAILABLE_FLOOR (200.0 * MIB)
#define AVAILABLE_PART 0.10

/* A longer gap between two steps counts as this, s. */
#define TICK_MAX 2.0

/* Windows of stall, us: a bit less than 1 s and 2 s, because timers are not exact. */
#define WINDOW_SOME 750000
#define WINDOW_FULL 1750000

/*
 * A worker's working set before it was measured. While few live, what they share in the group (page
 * tables, the program's text) would be taken for theirs, so the measure starts as if PRIOR workers
 * of that size were there, too.
 */
#define FOOTPRINT_START (2.0 * MIB)
#define FOOTPRINT_PRIOR 8.0
#define FOOTPRINT_MIN (1.0 * MIB)
/* Forked ones: 0.3 to 0.7 MB. Should workers be executed again, each takes FOOTPRINT_START beside
 * the small ones that are measured with it. */
#define FORKED_START (1.0 * MIB)
#define FORKED_MIN (0.25 * MIB)
/*
 * What one has after some messages, and how much of that it takes only when its first one ends: it
 * writes pages then that it shared with the others. Where a server that was silent answers all of
 * them at once, a pool that is full of such workers would be killed for want of memory.
 * OpenSSL makes its tables of algorithms with the first session.
 */
#define FORKED_GROWN (0.55 * MIB)
#define FORKED_END (0.1 * MIB)
#define FORKED_TLS (0.35 * MIB)
#define FOOTPRINT_MAX (64.0 * MIB)
/* Where there is no group of the pool's own, it is estimated from what is used more than with no
 * workers. That may be somebody else's, so the estimate is kept within these; too large a figure
 * only makes the approach slower. */
#define BLIND_START (3.0 * MIB)
#define BLIND_MAX (8.0 * MIB)
/* Time constant with which the largest footprint is forgotten, s. */
#define FOOTPRINT_MEMORY 60.0

/* An idle lmtp(8) has 1.2 to 1.6 MB of its own, and has them within a second of its start. A forked
 * one has this part of what it will have. */
#define IDLE_COST (1.0 * MIB)
#define IDLE_PART 0.625
#define IDLE_AGE SECOND

/*
 * What others take is expected to go on as it did for TREND_MEMORY, for TREND_AHEAD (s): busy
 * workers need time to end. But of the room there is it takes no more than TREND_PART, and HOLD
 * waits for the room itself to end. Postfix's own processes take 50 MB within a second when 4000
 * messages are flushed, and then no more: with all of the room given up for that, good mail waited
 * six seconds behind three workers with dead mail (flush-many, in a group of 160 MB). With this
 * 0.05 s. In the simulator "hours" loses 1 %, the others nothing; with three quarters a neighbour
 * was noticed a second later (bench-thief).
 */
#define TREND_MEMORY 2.0
#define TREND_AHEAD 2.0
#define TREND_PART 0.9

/* A counter that went backwards belongs to a new group: it begins again. */
static void meter_update(struct limit_meter *meter, uint64_t time, bool known, uint64_t total,
                         uint64_t window)
{
    if (!known || !meter->known || total < meter->total || time < meter->time) {
        *meter = (struct limit_meter){.known = known, .time = time, .total = total};
        return;
    }
    uint64_t span = time - meter->time;
    double stalled = (double)(total - meter->total);
    if (span >= window) {
        meter->complete = at_most(stalled / (double)span, 1.0);
        meter->fraction = meter->complete;
        meter->time = time;
        meter->total = total;
    } else {
        meter->fraction = at_most(at_least(meter->complete, stalled / (double)window), 1.0);
    }
}

/* Moves the rings of young and spent workers to the sample's time; enters starts and ends. */
static void young_update(struct limit_state *state, uint64_t time, unsigned failed)
{
    uint64_t slot = time / LIMIT_YOUNG_SLOT;
    unsigned started = state->taken > failed ? state->taken - failed : 0;

    for (unsigned i = 0; i < LIMIT_YOUNG_SLOTS && state->young_slot < slot; i++) {
        state->young_slot++;
        state->young[state->young_slot % LIMIT_YOUNG_SLOTS] = 0;
        state->spent[state->young_slot % LIMIT_SPENT_SLOTS] = 0;
    }
    state->young_slot = slot;
    state->young[slot % LIMIT_YOUNG_SLOTS] += started;
    state->spent[slot % LIMIT_SPENT_SLOTS] += (double)started - state->ended;
    state->taken = 0;
    state->ended = 0;
}

double limit_spent(const struct limit_state *state)
{
    double spent = 0.0;

    for (unsigned i = 0; i < LIMIT_SPENT_SLOTS; i++)
        spent += state->spent[i];
    return at_least(spent, 0.0);
}

/* Bytes that young workers will still take: footprint less that of an idle one, fading with age. */
static double young_promised(const struct limit_state *state, unsigned live, double used)
{
    double promised = 0.0;
    unsigned count = 0;

    for (unsigned i = 0; i < LIMIT_YOUNG_SLOTS && i <= state->young_slot; i++) {
        unsigned started = state->young[(state->young_slot - i) % LIMIT_YOUNG_SLOTS];
        double rest = state->footprint;
        if (i * LIMIT_YOUNG_SLOT >= IDLE_AGE)
            rest -= at_most(IDLE_COST, rest * IDLE_PART);
        promised += started * rest * (1.0 - (double)i / LIMIT_YOUNG_SLOTS);
        count += started;
    }
    /* Some are gone already. */
    if (count > live)
        promised *= (double)live / count;
    /* All together can't be owed more than what all of them would have, less what they have. */
    if (used > 0.0)
        promised = at_most(promised, at_least(live * state->footprint - used, 0.0));
    return promised;
}

static bool pool_measured(const struct limit_settings *settings, const struct memory_sample *sample)
{
    return !settings->shared && sample->groups > 0 && sample->group[0].known;
}

/*
 * What the workers have in all, 0 if it can't be told. Without a group of their own it is what the
 * group or the machine has in use beyond what it had when there were next to none.
 */
static double pool_used(const struct limit_settings *settings, struct limit_state *state,
                        const struct memory_sample *sample, unsigned live)
{
    double all = 0.0;

    if (pool_measured(settings, sample))
        return (double)sample->group[0].working_set;
    if (sample->groups > 0 && sample->group[0].known)
        all = (double)sample->group[0].working_set;
    else if (sample->machine_known)
        all = (double)sample->total - (double)sample->available;
    else
        return 0.0;
    if (!state->base_known || live <= settings->min)
        state->base = all - live * FOOTPRINT_START;
    state->base_known = true;
    return at_least(all - state->base, 0.0);
}

/* Bytes that busy forked workers will still take when what they have in hand ends. */
static double ends_promised(const struct limit_demand *demand, double used)
{
    /* A predecessor's have something in hand, too. */
    unsigned busy = demand->busy + demand->strangers;
    double tls = demand->tls ? FORKED_TLS : 0.0;

    if (!demand->forked || used <= 0.0)
        return 0.0;
    return at_most(busy * (FORKED_END + tls), at_least(busy * (FORKED_GROWN + tls) - used, 0.0));
}

static void footprint_update(const struct limit_settings *settings, struct limit_state *state,
                             const struct memory_sample *sample, const struct limit_demand *demand,
                             double used, double tick)
{
    unsigned live = demand->live;
    bool measured = pool_measured(settings, sample);
    double start = measured ? FOOTPRINT_START : BLIND_START;
    double most = measured ? FOOTPRINT_MAX : BLIND_MAX;
    double least = measured ? FOOTPRINT_MIN : FOOTPRINT_START;

    if (measured && demand->forked) {
        start = FORKED_START;
        least = FORKED_MIN;
        if (!state->forked)
            state->footprint = at_most(state->footprint, FORKED_START);
        state->ever_forked = true;
    } else if (state->ever_forked) {
        least = FOOTPRINT_START;
    }
    state->forked = demand->forked;
    if (state->footprint == 0.0)
        state->footprint = start;
    if (live > 0 && used > 0.0) {
        double now = (used + FOOTPRINT_PRIOR * start) / (live + FOOTPRINT_PRIOR);
        double old = now + (state->footprint - now) * exp(-tick / FOOTPRINT_MEMORY);
        state->footprint = at_least(old, now);
    }
    state->footprint = at_most(at_least(state->footprint, least), most);
}

/* The rate at which others take memory of one source, bytes a second; never negative. */
static double trend_update(struct limit_trend *trend, double others, double size, double tick)
{
    if (trend->known && tick > 0.0) {
        /* Nobody takes all of it within a second: such a figure must be forgotten soon. */
        double rate = at_most(at_least((others - trend->others) / tick, -size), size);
        trend->rate += (rate - trend->rate) * (1.0 - exp(-tick / TREND_MEMORY));
    }
    trend->known = true;
    trend->others = others;
    return at_least(trend->rate, 0.0);
}

double limit_floor(const struct limit_settings *settings, uint64_t total)
{
    if (settings->min_available != LIMIT_AUTO)
        return (double)settings->min_available;
    return at_most(AVAILABLE_FLOOR, (double)total * AVAILABLE_PART);
}

/* A source of memory with `now` left: the least counts, before and after others take theirs. */
static void source_add(const struct limit_state *state, struct limit_view *view, double now,
                       struct limit_reason reason)
{
    double taken = reason.falling * TREND_AHEAD;
    double room = now - (now > 0.0 ? at_most(taken, now * TREND_PART) : taken);

    reason.promised = view->promised;
    reason.footprint = state->footprint;
    if (now < view->room_now) {
        view->room_now = now;
        view->memory_now = reason;
    }
    if (room < view->room) {
        view->room = room;
        view->memory = reason;
    }
}

/* The least room of all sources, and which. `pool` is what of their use is the workers' own. */
static void room_find(const struct limit_settings *settings, struct limit_state *state,
                      const struct memory_sample *sample, double pool, struct limit_view *view)
{
    view->room = DBL_MAX;
    view->room_now = DBL_MAX;
    view->memory.key = "";
    view->memory_now.key = "";
    for (unsigned i = 0; i < MEMORY_GROUPS_MAX; i++) {
        const struct memory_group *group = &sample->group[i];
        if (i >= sample->groups || !group->known || group->limit == MEMORY_UNLIMITED) {
            state->trend[i].known = false;
            continue;
        }
        double working_set = (double)group->working_set;
        double falling =
            trend_update(&state->trend[i], working_set - pool, (double)group->limit, view->tick);
        const char *key = group->high ? "memory.high" : "memory.limit";
        double share = (double)group->limit * LIMIT_SHARE;
        source_add(state, view, share - working_set,
                   (struct limit_reason){.input = i == 0 ? LIMIT_BY_POOL : LIMIT_BY_ANCESTOR,
                                         .group = i,
                                         .value = working_set,
                                         .threshold = share,
                                         .falling = falling,
                                         .key = i == 0 && !settings->shared ? key : ""});
    }
    struct limit_trend *trend = &state->trend[MEMORY_GROUPS_MAX];
    if (!sample->machine_known) {
        trend->known = false;
        return;
    }
    double floor = limit_floor(settings, sample->total);
    double available = (double)sample->available;
    double falling = trend_update(trend, -available - pool, (double)sample->total, view->tick);
    source_add(state, view, available - floor,
               (struct limit_reason){.input = LIMIT_BY_AVAILABLE,
                                     .machine = true,
                                     .value = available,
                                     .threshold = floor,
                                     .falling = falling,
                                     .key = "memory.min_available"});
}

/*
 * The group's counters. `high` and `max` count as well when nothing but page cache had to go, which
 * is no shortage: they mean something only while the working set is near the limit.
 */
static void events_update(struct limit_state *state, const struct memory_sample *sample,
                          struct limit_view *view)
{
    const struct memory_group *pool = &sample->group[0];
    bool near = sample->groups == 0 || !pool->known || pool->limit == MEMORY_UNLIMITED ||
                (double)pool->working_set > (double)pool->limit * (LIMIT_SHARE - 0.10);

    if (sample->events_known && state->events_known) {
        view->event = near && (sample->high > state->high || sample->max > state->max);
        if (sample->oom_kill > state->oom_kill)
            view->kills = sample->oom_kill - state->oom_kill;
    }
    state->events_known = sample->events_known;
    state->high = sample->high;
    state->max = sample->max;
    state->oom_kill = sample->oom_kill;
}

/* Enough for everybody: an eighth of the machine beside a calm pool; else half of it. */
static bool available(const struct limit_settings *settings, const struct memory_sample *sample,
                      bool calm)
{
    double total = (double)sample->total;
    double least = at_least(total / 8, 4 * limit_floor(settings, sample->total));

    return sample->machine_known && (double)sample->available >= (calm ? least : total / 2);
}

static void stall_update(const struct limit_settings *settings, struct limit_state *state,
                         const struct memory_sample *sample, const struct limit_demand *demand,
                         struct limit_view *view)
{
    const struct memory_stall *pool = &sample->pool;
    const struct memory_stall *machine = &sample->machine;
    uint64_t time = sample->time;

    /* A stall before the first worker is a neighbour's. */
    if (!state->machine_some.known && machine->known && demand->live == 0)
        state->foreign = machine->recent;
    meter_update(&state->pool_some, time, pool->known, pool->some, WINDOW_SOME);
    meter_update(&state->pool_full, time, pool->known, pool->full, WINDOW_FULL);
    meter_update(&state->machine_some, time, machine->known, machine->some, WINDOW_SOME);
    meter_update(&state->machine_full, time, machine->known, machine->full, WINDOW_FULL);
    bool calm = pool->known && state->pool_some.fraction < settings->hold / 2;
    bool elsewhere = available(settings, sample, calm);
    double others =
        limit_foreign(settings, state, demand, elsewhere, state->machine_some.fraction, view->tick);
    view->some_machine = others > state->pool_some.fraction;
    view->some = at_least(others, state->pool_some.fraction);
    view->foreign = view->some_machine && elsewhere;
    view->full_machine = !elsewhere && state->machine_full.fraction > state->pool_full.fraction;
    view->full = view->full_machine ? state->machine_full.fraction : state->pool_full.fraction;
}

void limit_view_take(const struct limit_settings *settings, struct limit_state *state,
                     const struct memory_sample *sample, const struct limit_demand *demand,
                     struct limit_view *view)
{
    memset(view, 0, sizeof *view);
    if (state->begun && sample->time > state->time)
        view->tick = at_most((double)(sample->time - state->time) / SECOND, TICK_MAX);
    state->begun = true;
    if (sample->time > state->time)
        state->time = sample->time;

    double used = pool_used(settings, state, sample, demand->live);
    bool measured = pool_measured(settings, sample);
    young_update(state, state->time, demand->failed);
    footprint_update(settings, state, sample, demand, used, view->tick);
    view->promised = young_promised(state, demand->live, used);
    if (measured)
        view->promised += ends_promised(demand, used);
    room_find(settings, state, sample, measured ? used : demand->live * FOOTPRINT_START, view);
    events_update(state, sample, view);
    stall_update(settings, state, sample, demand, view);
}
