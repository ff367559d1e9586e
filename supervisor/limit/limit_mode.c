#include "supervisor/limit/limit_view.h"

/* The calm before SHED is left, s; before the others, CALM. */
#define CALM_SHED 15.0
/* Headroom to leave HOLD: for a worker and for this part of those that live, or HOLD flaps. */
#define CALM_PART 16.0

static struct limit_reason stall_reason(const struct limit_view *view, double threshold,
                                        const char *key)
{
    return (struct limit_reason){.input = LIMIT_BY_STALL,
                                 .machine = view->some_machine,
                                 .value = view->some,
                                 .threshold = threshold,
                                 .key = key};
}

/* Each says whether the mode has to be entered, or stayed in, and why. */
static bool hold_wanted(const struct limit_settings *settings, const struct limit_state *state,
                        const struct limit_demand *demand, const struct limit_view *view,
                        struct limit_reason *reason)
{
    if (demand->failed > 0)
        *reason = (struct limit_reason){.input = LIMIT_BY_FORK, .value = demand->failed, .key = ""};
    else if (view->room_now < state->footprint)
        *reason = view->memory_now;
    else if (view->some >= settings->hold)
        *reason = stall_reason(view, settings->hold, "pressure.hold");
    else
        return false;
    return true;
}

static bool shrink_wanted(const struct limit_settings *settings, const struct limit_view *view,
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
                        const struct limit_view *view, struct limit_reason *reason)
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

bool limit_roomy(const struct limit_state *state, const struct limit_demand *demand,
                 const struct limit_view *view)
{
    return view->room >= state->footprint * (1.0 + demand->live / CALM_PART);
}

void limit_mode_update(const struct limit_settings *settings, struct limit_state *state,
                       const struct limit_demand *demand, const struct limit_view *view)
{
    bool room = limit_roomy(state, demand, view);
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
        state->ceiling = view->foreign ? at_least(demand->live, FOREIGN_LEAST) : demand->live;
    state->mode = mode;
}
