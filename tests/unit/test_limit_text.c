/* What is said when the kernel ended a worker: supervisor/limit/limit_text.c. And a minimum that is none: limit.c. */

#include "tests/unit/limit_scene.h"

#include <string.h>

static void expect_figures(const struct memory_sample *sample, const char *text)
{
    char buffer[128];

    limit_figures_write(sample, buffer, sizeof buffer);
    cr_expect_str_eq(buffer, text);
}

/* The one that is fullest is named, for it is what the kernel acted on. */
Test(limit_figures, the_tightest_group)
{
    struct memory_sample sample = {
        .groups = 4,
        .group = {{.known = true, .limit = 64 * MIB, .usage = 60 * MIB},
                  {.known = true, .limit = MEMORY_UNLIMITED, .usage = 900 * MIB},
                  {.known = false, .limit = MIB, .usage = MIB},
                  {.known = true, .limit = 1000 * MIB, .usage = 500 * MIB}},
        .machine_known = true,
        .available = 300 * MIB,
    };

    expect_figures(&sample, "its memory group uses 60M of 64M now");
    sample.group[3].usage = 999 * MIB;
    expect_figures(&sample, "a memory group above it uses 999M of 1000M now");
    sample.group[0].limit = 0;
    expect_figures(&sample, "its memory group uses 60M of 0M now");
}

Test(limit_figures, no_group_has_a_limit)
{
    struct memory_sample sample = {
        .groups = 1,
        .group = {{.known = true, .limit = MEMORY_UNLIMITED, .usage = 60 * MIB}},
        .machine_known = true,
        .available = 3 * MIB,
    };

    expect_figures(&sample, "the machine has 3.0M available now");
    sample.available = 23044 * MIB;
    expect_figures(&sample, "the machine has 22.5G available now");
    sample.machine_known = false;
    expect_figures(&sample, "by the kernel");
}

/* Without any memory one worker keeps turning over, whatever the settings say. */
Test(limit_figures, one_worker_is_the_least)
{
    struct scene s;

    scene_begin(&s);
    s.settings.min = 0;
    s.sample.available = 0;
    s.demand.waiting = 1;
    scene_run(&s, 20, 1, 0.9, 0.9);
    cr_expect_eq(s.decision.limit, 1);
    cr_expect_eq(s.decision.start, 1);
}
