#include "supervisor/limit/spawn.h"

#include "supervisor/limits.h"

static const char *const texts[SPAWN_WHYS] = {
    [SPAWN_START] = "one is being started",
    [SPAWN_NOT_NEEDED] = "no more are needed",
    [SPAWN_LANES] = "what waits may not run now: slow, dead and new destinations have their shares",
    [SPAWN_BACKOFF] = "starts have failed; the next try comes in its time",
    [SPAWN_DESCRIPTORS] = "there is no descriptor for it: raise LimitNOFILE= of Postfix's unit",
    [SPAWN_MAX] = "workers.max is reached",
    [SPAWN_AT_ONCE] = "as many are starting as may at a time",
    [SPAWN_RATE] = ("more than stock has would not raise the rate, or did not yet: deliveries wait "
                    "for each other"),
    [SPAWN_FASTER] = "those that there are come back sooner than a new one would start",
    [SPAWN_MEMORY] = "the limit allows no more now",
};

const char *spawn_text(enum spawn_why why)
{
    return texts[why];
}

/* Without a greeting nothing can be accepted: one worker is wanted for it. */
static unsigned wanted(const struct spawn_view *view)
{
    unsigned wanted = view->runnable;

    if (!view->greeting_known && wanted == 0)
        wanted = 1;
    return wanted > view->starting ? wanted - view->starting : 0;
}

static struct spawn_answer decide(struct spawn *spawn, const struct spawn_view *view, uint64_t now)
{
    unsigned more = wanted(view);

    if (more == 0 && view->waiting > 0 && view->runnable == 0)
        return (struct spawn_answer){.why = SPAWN_LANES, .again = UINT64_MAX};
    if (more == 0)
        return (struct spawn_answer){.why = SPAWN_NOT_NEEDED, .again = UINT64_MAX};
    if (now < view->start_after)
        return (struct spawn_answer){.why = SPAWN_BACKOFF, .again = view->start_after};
    if (view->descriptors_short)
        return (struct spawn_answer){.why = SPAWN_DESCRIPTORS, .again = UINT64_MAX};
    if (view->live >= view->max)
        return (struct spawn_answer){.why = SPAWN_MAX, .again = UINT64_MAX};
    if (view->starting >= STARTS_AT_ONCE)
        return (struct spawn_answer){.why = SPAWN_AT_ONCE, .again = UINT64_MAX};
    if (view->runnable > view->starting && view->runnable - view->stretched <= view->starting)
        return (struct spawn_answer){.why = SPAWN_RATE, .again = UINT64_MAX};
    /* Without a worker that could come back, growth has nothing to judge. */
    if (view->live > view->leaving && !growth_helps(&spawn->growth, more, now))
        return (struct spawn_answer){.why = SPAWN_FASTER, .again = now + GROWTH_AGAIN};
    if (view->budget == 0)
        return (struct spawn_answer){.why = SPAWN_MEMORY, .again = UINT64_MAX};
    return (struct spawn_answer){.start = true, .why = SPAWN_START, .again = UINT64_MAX};
}

struct spawn_answer spawn_ask(struct spawn *spawn, const struct spawn_view *view, uint64_t now)
{
    struct spawn_answer answer = decide(spawn, view, now);

    spawn->why = answer.why;
    return answer;
}
