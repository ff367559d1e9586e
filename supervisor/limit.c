#include "supervisor/limit.h"

#include <float.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)
#define SECOND 1000000U

/* Of a group's limit, what the pool may fill. The rest is for reclaim to work in and for a footprint that shifts. */
#define LIMIT_SHARE 0.85
/* The machine's floor with "auto": the smaller of both. */
#define AVAILABLE_FLOOR (200.0 * MIB)
#define AVAILABLE_PART 0.10
/* L before anything is known of demand or pressure. */
#define LAW_START 32.0
/* Growth per second while at least half of L is busy, and at least one worker per second. */
#define LAW_ALPHA 0.12
/* Where a stall began that the headroom does not explain (the server behind, say, in a group of its own), growth ends at
 * this part of it, rests so long (s), and goes on by so much per second. */
#define KNEE_PART 0.95
#define KNEE_REST 60.0
#define LAW_PROBE 0.01
/* Fall per second for each target by which the stall exceeds target; at most a half per second. */
#define LAW_BETA 0.02
#define LAW_FALL_MAX 0.6931
/* Running into `high` or the hard limit counts as a stall of this many targets. */
#define EVENT_TARGETS 2.0
/* Calm that is asked for before a mode is left, s. */
#define CALM 6.0
#define CALM_SHED 15.0
/* And of the headroom: room for one more worker and for a sixteenth of those that live, or HOLD would flap. */
#define CALM_PART 16.0
/* A longer gap between two steps counts as this, s: nobody knows what was in it. */
#define TICK_MAX 2.0
/* Windows over which stall is measured, us: a bit less than what is meant, as timers are late and early. */
#define WINDOW_SOME 750000
#define WINDOW_FULL 1750000
/* A worker's working set before it was measured. As long as few live, the shared part of the group (page tables, the
 * program's text) would be taken for theirs: the first measure counts as PRIOR workers more. */
#define FOOTPRINT_START (2.0 * MIB)
#define FOOTPRINT_PRIOR 8.0
#define FOOTPRINT_MIN (1.0 * MIB)
#define FOOTPRINT_MAX (64.0 * MIB)
/* Where it can't be measured. Too large a figure only makes the approach slower. */
#define FOOTPRINT_BLIND (4.0 * MIB)
/* Time constant with which the largest footprint is forgotten, s. */
#define FOOTPRINT_MEMORY 60.0
/* An idle lmtp(8) has 1.2 to 1.6 MB of its own, and has them within a second of its start. */
#define IDLE_COST (1.0 * MIB)
#define IDLE_AGE SECOND

/* What the sample says, before any state decides. */
struct view {
    double tick; /* s */
    double room; /* headroom, bytes; may be negative; DBL_MAX: unknown */
    double promised;
    double some;
    bool some_machine;
    bool foreign; /* the stall is the machine's alone, which has memory enough */
    double full;
    bool full_machine;
    bool event;
    uint64_t kills;
    struct limit_reason memory; /* for the source that leaves the least room */
};

void limit_init(const struct limit_settings *settings, struct limit_state *state)
{
    memset(state, 0, sizeof *state);
    state->law = LAW_START;
    if (state->law > settings->max)
        state->law = settings->max;
    state->footprint = settings->shared ? FOOTPRINT_BLIND : FOOTPRINT_START;
    state->since_kill = CALM;
    state->held.key = "";
}

/* e to the power of -x, near enough for x below 4, without the mathematics library. */
static double fade(double x)
{
    double part = x >= 64.0 ? 0.0 : 1.0 - x / 64.0;

    for (int i = 0; i < 6; i++)
        part *= part;
    return part;
}

static double at_least(double value, double floor)
{
    return value < floor ? floor : value;
}

static double at_most(double value, double ceiling)
{
    return value > ceiling ? ceiling : value;
}

/* A counter that went backwards belongs to a new group: it begins again. */
static void meter_update(struct limit_meter *meter, uint64_t time, bool known, uint64_t total,
                         uint64_t window)
{
    uint64_t span = time - meter->time;

    if (!known || !meter->known || total < meter->total || time < meter->time) {
        *meter = (struct limit_meter){.known = known, .time = time, .total = total};
        return;
    }
    if (span >= window) {
        meter->complete = at_most((double)(total - meter->total) / (double)span, 1.0);
        meter->fraction = meter->complete;
        meter->time = time;
        meter->total = total;
    } else {
        double begun = (double)(total - meter->total) / (double)window;
        meter->fraction = at_most(at_least(meter->complete, begun), 1.0);
    }
}

/* The young: a ring of counts by time of start. */
static void young_update(struct limit_state *state, uint64_t time, unsigned started)
{
    uint64_t slot = time / LIMIT_YOUNG_SLOT;

    if (slot > state->young_slot) {
        uint64_t gone = slot - state->young_slot;
        for (uint64_t i = 1; i <= gone && i <= LIMIT_YOUNG_SLOTS; i++)
            state->young[(state->young_slot + i) % LIMIT_YOUNG_SLOTS] = 0;
        state->young_slot = slot;
    }
    state->young[state->young_slot % LIMIT_YOUNG_SLOTS] += started;
}

/* How many of the young were started within the last `age` us. */
static unsigned young_since(const struct limit_state *state, unsigned age)
{
    unsigned count = 0;

    for (unsigned i = 0; i < age / LIMIT_YOUNG_SLOT && i <= state->young_slot; i++)
        count += state->young[(state->young_slot - i) % LIMIT_YOUNG_SLOTS];
    return count;
}

/* Bytes that the young will still take: their footprint, less what even an idle one has by now, fading with age. */
static double young_promised(const struct limit_state *state, unsigned live, double working_set)
{
    double promised = 0.0;
    unsigned count = 0;

    for (unsigned i = 0; i < LIMIT_YOUNG_SLOTS && i <= state->young_slot; i++) {
        unsigned started = state->young[(state->young_slot - i) % LIMIT_YOUNG_SLOTS];
        double rest = state->footprint;
        if (i * LIMIT_YOUNG_SLOT >= IDLE_AGE)
            rest -= IDLE_COST;
        promised += started * rest * (1.0 - (double)i / LIMIT_YOUNG_SLOTS);
        count += started;
    }
    /* Some are gone already. */
    if (count > live)
        promised *= (double)live / count;
    /* Where the pool was measured: what it would have if each had its footprint, less what it has. */
    if (working_set > 0.0)
        promised = at_most(promised, at_least(live * state->footprint - working_set, 0.0));
    return promised;
}

static void footprint_update(const struct limit_settings *settings, struct limit_state *state,
                             const struct memory_sample *sample, unsigned live, double tick)
{
    if (settings->shared || sample->groups == 0 || !sample->group[0].known) {
        state->footprint = at_least(state->footprint, FOOTPRINT_BLIND);
        return;
    }
    if (live == 0)
        return;
    double now = ((double)sample->group[0].working_set + FOOTPRINT_PRIOR * FOOTPRINT_START) /
                 (live + FOOTPRINT_PRIOR);
    double old = now + (state->footprint - now) * fade(tick / FOOTPRINT_MEMORY);
    state->footprint = at_most(at_least(at_least(old, now), FOOTPRINT_MIN), FOOTPRINT_MAX);
}

/* The least room of all sources, in view->room and view->memory. */
static void room_find(const struct limit_settings *settings, const struct memory_sample *sample,
                      struct view *view)
{
    view->room = DBL_MAX;
    for (unsigned i = 0; i < sample->groups && i < MEMORY_GROUPS_MAX; i++) {
        const struct memory_group *group = &sample->group[i];
        if (!group->known || group->limit == MEMORY_UNLIMITED)
            continue;
        double share = (double)group->limit * LIMIT_SHARE;
        double room = share - (double)group->working_set;
        if (room >= view->room)
            continue;
        view->room = room;
        view->memory =
            (struct limit_reason){.input = i == 0 ? LIMIT_BY_POOL : LIMIT_BY_ANCESTOR,
                                  .group = i,
                                  .value = (double)group->working_set,
                                  .threshold = share,
                                  .key = i == 0 && !settings->shared ? "memory.limit" : ""};
    }
    if (!sample->machine_known)
        return;
    double floor = (double)settings->min_available;
    if (settings->min_available == LIMIT_AUTO)
        floor = at_most(AVAILABLE_FLOOR, (double)sample->total * AVAILABLE_PART);
    double room = (double)sample->available - floor;
    if (room < view->room) {
        view->room = room;
        view->memory = (struct limit_reason){.input = LIMIT_BY_AVAILABLE,
                                             .machine = true,
                                             .value = (double)sample->available,
                                             .threshold = floor,
                                             .key = "memory.min_available"};
    }
}

/*
 * The group's counters. `high` and `max` count as well when nothing but page cache had to go, which is no shortage:
 * they mean something only while the working set is near the limit.
 */
static void events_update(struct limit_state *state, const struct memory_sample *sample,
                          struct view *view)
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

static void stall_update(struct limit_state *state, const struct memory_sample *sample,
                         struct view *view)
{
    uint64_t time = sample->time;
    /* Stall of the machine while half of its memory is free is that of some group with a limit of its own. */
    bool plenty = sample->machine_known && sample->available >= sample->total / 2;

    meter_update(&state->pool_some, time, sample->pool.known, sample->pool.some, WINDOW_SOME);
    meter_update(&state->pool_full, time, sample->pool.known, sample->pool.full, WINDOW_FULL);
    meter_update(&state->machine_some, time, sample->machine.known, sample->machine.some,
                 WINDOW_SOME);
    meter_update(&state->machine_full, time, sample->machine.known, sample->machine.full,
                 WINDOW_FULL);
    view->some_machine = state->machine_some.fraction > state->pool_some.fraction;
    view->some = view->some_machine ? state->machine_some.fraction : state->pool_some.fraction;
    view->foreign = view->some_machine && plenty;
    view->full_machine = !plenty && state->machine_full.fraction > state->pool_full.fraction;
    view->full = view->full_machine ? state->machine_full.fraction : state->pool_full.fraction;
}

/* Brings the state up to the sample's time and says what is seen. */
static void view_take(const struct limit_settings *settings, struct limit_state *state,
                      const struct memory_sample *sample, const struct limit_demand *demand,
                      struct view *view)
{
    memset(view, 0, sizeof *view);
    view->memory.key = "";
    if (state->begun && sample->time > state->time)
        view->tick = at_most((double)(sample->time - state->time) / SECOND, TICK_MAX);
    if (!state->begun)
        state->young_slot = sample->time / LIMIT_YOUNG_SLOT;
    state->begun = true;
    state->time = sample->time;

    young_update(state, sample->time,
                 state->taken > demand->failed ? state->taken - demand->failed : 0);
    state->taken = 0;
    footprint_update(settings, state, sample, demand->live, view->tick);
    room_find(settings, sample, view);
    bool measured = !settings->shared && sample->groups > 0 && sample->group[0].known;
    view->promised =
        young_promised(state, demand->live, measured ? (double)sample->group[0].working_set : 0.0);
    view->memory.promised = view->promised;
    view->memory.footprint = state->footprint;
    events_update(state, sample, view);
    stall_update(state, sample, view);
}

static struct limit_reason stall_reason(const struct view *view, double threshold, const char *key)
{
    return (struct limit_reason){.input = LIMIT_BY_STALL,
                                 .machine = view->some_machine,
                                 .value = view->some,
                                 .threshold = threshold,
                                 .key = key};
}

/* Each says whether the mode has to be entered, or stayed in, and why. */
static bool hold_wanted(const struct limit_settings *settings, const struct limit_state *state,
                        const struct limit_demand *demand, const struct view *view,
                        struct limit_reason *reason)
{
    if (demand->failed > 0)
        *reason = (struct limit_reason){.input = LIMIT_BY_FORK, .value = demand->failed, .key = ""};
    else if (view->room < state->footprint)
        *reason = view->memory;
    else if (view->some >= settings->hold)
        *reason = stall_reason(view, settings->hold, "pressure.hold");
    else
        return false;
    return true;
}

static bool shrink_wanted(const struct limit_settings *settings, const struct view *view,
                          struct limit_reason *reason)
{
    if (view->kills > 0)
        *reason = (struct limit_reason){
            .input = LIMIT_BY_OOM, .value = (double)view->kills, .key = "memory.limit"};
    else if (view->some >= settings->target)
        *reason = stall_reason(view, settings->target, "pressure.target");
    else if (view->event)
        *reason =
            (struct limit_reason){.input = LIMIT_BY_EVENT, .value = 1.0, .key = "memory.limit"};
    else
        return false;
    return true;
}

static bool shed_wanted(const struct limit_settings *settings, const struct limit_state *state,
                        const struct view *view, struct limit_reason *reason)
{
    if (view->full >= settings->full)
        *reason = (struct limit_reason){.input = LIMIT_BY_FULL,
                                        .machine = view->full_machine,
                                        .value = view->full,
                                        .threshold = settings->full,
                                        .key = "pressure.full"};
    else if (state->starved >= settings->shed_after)
        *reason = view->memory;
    else
        return false;
    return true;
}

static void timer_run(double *timer, bool runs, double tick)
{
    *timer = runs ? *timer + tick : 0.0;
}

/* Room for more than one: what is asked for before growth goes on. */
static bool roomy(const struct limit_state *state, const struct limit_demand *demand,
                  const struct view *view)
{
    return view->room >= state->footprint * (1.0 + demand->live / CALM_PART);
}

/* The mode after this tick. It rises at once, and falls after a time of calm. */
static void mode_update(const struct limit_settings *settings, struct limit_state *state,
                        const struct limit_demand *demand, const struct view *view)
{
    bool room = roomy(state, demand, view);
    struct limit_reason hold;
    struct limit_reason shrink;
    struct limit_reason shed;
    bool to_hold = hold_wanted(settings, state, demand, view, &hold);
    bool to_shrink = shrink_wanted(settings, view, &shrink);
    bool to_shed = shed_wanted(settings, state, view, &shed);
    enum limit_mode old = state->mode;
    enum limit_mode mode = old;

    timer_run(&state->calm_hold, !to_hold && room && view->some < settings->hold / 2, view->tick);
    timer_run(&state->calm_shrink, !to_shrink && view->some < settings->target / 2, view->tick);
    timer_run(&state->calm_shed, !to_shed && room && view->full < settings->full / 2, view->tick);

    if (mode == LIMIT_SHED && state->calm_shed >= CALM_SHED)
        mode = LIMIT_SHRINK;
    if (mode == LIMIT_SHRINK && state->calm_shrink >= CALM)
        mode = LIMIT_HOLD;
    if (mode == LIMIT_HOLD && state->calm_hold >= CALM)
        mode = LIMIT_OPEN;
    if (to_hold && mode < LIMIT_HOLD)
        mode = LIMIT_HOLD;
    if (to_shrink && mode < LIMIT_SHRINK)
        mode = LIMIT_SHRINK;
    if (to_shed)
        mode = LIMIT_SHED;

    if (mode == LIMIT_SHED && to_shed)
        state->held = shed;
    else if (mode == LIMIT_SHRINK && to_shrink)
        state->held = shrink;
    else if (mode == LIMIT_HOLD && to_hold)
        state->held = hold;
    if (mode != LIMIT_OPEN && old == LIMIT_OPEN)
        state->ceiling = demand->live;
    state->mode = mode;
}

/* Growth goes fast up to the knee, rests there, and then feels its way. */
static void law_grow(const struct limit_settings *settings, struct limit_state *state, double tick)
{
    double law = state->law;

    if (state->knee == 0.0 || law < state->knee) {
        law += at_least(law * (1.0 / fade(LAW_ALPHA * tick) - 1.0), tick);
        if (state->knee > 0.0)
            law = at_most(law, state->knee);
    } else if (state->knee_age >= KNEE_REST) {
        law += law * LAW_PROBE * tick;
    }
    state->law = at_most(law, settings->max);
}

/* `at` workers were too many for a reason that the headroom doesn't show. One stall is one knee, however long it lasts. */
static void law_bend(struct limit_state *state, double at)
{
    if (state->knee == 0.0 || state->knee_age > CALM)
        state->knee = at_least(at, 1.0);
    state->knee_age = 0.0;
}

/* L by the law of pressure. `memory` is what the headroom allows: the law does not run ahead of it. */
static void law_update(const struct limit_settings *settings, struct limit_state *state,
                       const struct limit_demand *demand, const struct view *view, double memory)
{
    double over = view->some / settings->target;
    double live = at_least(demand->live, settings->min);

    if (view->event)
        over = at_least(over, EVENT_TARGETS);
    state->since_kill += view->tick;
    state->knee_age += view->tick;
    if (view->kills > 0 && state->since_kill >= 1.0) {
        state->law = at_most(state->law, live) / 2;
        state->since_kill = 0.0;
    } else if (over >= 1.0) {
        /* Stall elsewhere, with memory to spare here, is no reason to stop the mail. */
        double floor = view->foreign ? at_least(live / 2, LAW_START) : live / 2;
        double fall = at_most(LAW_BETA * (over - 1.0), LAW_FALL_MAX);
        /* Not below half of what still lives: what the last cut does is seen when the busy ones have finished. */
        double law = at_most(state->law, at_least(live, floor));
        if (roomy(state, demand, view))
            law_bend(state, law * KNEE_PART);
        state->law = at_most(law, at_least(law * fade(fall * view->tick), floor));
    } else if (demand->failed > 0) {
        state->law = at_most(state->law, live);
        law_bend(state, live);
    } else if (state->mode == LIMIT_OPEN && demand->busy + demand->starting >= state->law / 2 &&
               state->law < memory) {
        law_grow(settings, state, view->tick);
    }
    state->law = at_least(at_most(state->law, settings->max), 1.0);
}

static unsigned whole(double value, unsigned ceiling)
{
    if (value <= 0.0)
        return 0;
    return value >= ceiling ? ceiling : (unsigned)value;
}

/*
 * How many may be started until the next step. Of the headroom there was a second ago no more than half is spent within
 * that second, however often this is asked.
 */
static unsigned start_find(const struct limit_state *state, const struct view *view, double room)
{
    if (view->room == DBL_MAX)
        return UINT32_MAX;
    double more = room / state->footprint;
    if (more < 1.0)
        return 0;
    double spent = young_since(state, SECOND);
    double half = (more + spent) / 2 - spent;
    /* One is always half of something: after a quiet night the first request must not wait. */
    if (spent == 0.0)
        half = at_least(half, 1.0);
    return whole(half, UINT32_MAX);
}

static struct limit_reason open_reason(const struct limit_settings *settings,
                                       const struct limit_state *state, const struct view *view,
                                       double memory)
{
    if (state->limit >= settings->max)
        return (struct limit_reason){.input = LIMIT_BY_MAX,
                                     .value = settings->max,
                                     .threshold = settings->max,
                                     .key = "workers.max"};
    if (memory <= state->law)
        return view->memory;
    return (struct limit_reason){
        .input = LIMIT_BY_GROWTH, .value = state->law, .threshold = settings->max, .key = ""};
}

static struct limit_decision fixed_step(const struct limit_settings *settings,
                                        struct limit_state *state,
                                        const struct limit_demand *demand)
{
    struct limit_decision decision = {
        .limit = settings->max,
        .start = demand->live < settings->max ? settings->max - demand->live : 0,
        .mode = LIMIT_OPEN,
        .reason = {.input = LIMIT_BY_FIXED,
                   .value = settings->max,
                   .threshold = settings->max,
                   .key = "workers.limit"}};

    /* One try a tick is enough to see whether it works again. */
    if (demand->failed > 0 && decision.start > 1)
        decision.start = 1;
    state->mode = LIMIT_OPEN;
    state->limit = decision.limit;
    return decision;
}

struct limit_decision limit_step(const struct limit_settings *settings, struct limit_state *state,
                                 const struct memory_sample *sample,
                                 const struct limit_demand *demand)
{
    struct limit_decision decision = {0};
    struct view view;
    unsigned live = demand->live;
    unsigned last = state->limit;
    unsigned min = settings->min > 0 ? settings->min : 1;

    if (min > settings->max)
        min = settings->max;
    bool begun = state->begun;
    view_take(settings, state, sample, demand, &view);
    if (settings->fixed) {
        decision = fixed_step(settings, state, demand);
        state->budget = decision.start;
        return decision;
    }

    /* At min without headroom: counts while something waits, and is forgotten when there is room or more than min. */
    if (last > min || view.room >= state->footprint)
        state->starved = 0.0;
    else if (demand->waiting > 0)
        state->starved += view.tick;

    double room = demand->failed > 0 ? 0.0 : view.room - view.promised;
    double memory = view.room == DBL_MAX ? DBL_MAX : live + room / state->footprint;
    mode_update(settings, state, demand, &view);
    law_update(settings, state, demand, &view, memory);

    double limit = at_most(state->law, memory);
    if (state->mode != LIMIT_OPEN)
        limit = at_most(limit, state->ceiling);
    if (begun && (view.some >= settings->target || view.kills > 0))
        limit = at_most(limit, last);
    limit = at_most(at_least(limit, min), settings->max);
    decision.limit = whole(limit, settings->max);
    state->limit = decision.limit;

    if (decision.limit > live)
        decision.start = decision.limit - live;
    unsigned covered = start_find(state, &view, room);
    if (decision.start > covered)
        decision.start = covered;
    if (live < min && decision.start < min - live)
        decision.start = min - live;
    if (live > decision.limit)
        decision.retire = live - decision.limit;
    if (decision.retire > demand->idle)
        decision.retire = demand->idle;
    decision.mode = state->mode;
    decision.shed = state->mode == LIMIT_SHED;
    decision.reason =
        state->mode == LIMIT_OPEN ? open_reason(settings, state, &view, memory) : state->held;
    state->budget = decision.start;
    return decision;
}

unsigned limit_take(struct limit_state *state, unsigned wanted)
{
    if (wanted > state->budget)
        wanted = state->budget;
    state->budget -= wanted;
    state->taken += wanted;
    return wanted;
}

void limit_ended(struct limit_state *state, unsigned live)
{
    if (live < state->limit && state->budget < state->limit - live)
        state->budget++;
}

const char *limit_mode_name(enum limit_mode mode)
{
    switch (mode) {
    case LIMIT_OPEN:
        return "OPEN";
    case LIMIT_HOLD:
        return "HOLD";
    case LIMIT_SHRINK:
        return "SHRINK";
    case LIMIT_SHED:
        return "SHED";
    }
    return "?";
}
