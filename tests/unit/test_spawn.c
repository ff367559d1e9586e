/* supervisor/limit/spawn.c: each answer with the view that gives it, and all small views beside a model. */

#include "supervisor/limit/spawn.h"

#include <criterion/criterion.h>
#include <string.h>

#include "supervisor/limits.h"

#define NOW UINT64_C(5000000)

/* One waits and could run, one worker is busy, nothing is in the way. */
#define NOTHING_IN_THE_WAY                                                                         \
    {                                                                                              \
        .waiting = 1, .runnable = 1, .live = 1, .max = 10, .budget = 5, .greeting_known = true     \
    }

static struct spawn_answer ask(const struct spawn_view *view)
{
    struct spawn spawn = {0};
    struct spawn_answer answer = spawn_ask(&spawn, view, NOW);

    cr_expect_eq(spawn.why, answer.why, "the last answer is kept");
    cr_expect_eq(answer.start, answer.why == SPAWN_START);
    return answer;
}

static void expect(const struct spawn_view *view, enum spawn_why why, uint64_t again)
{
    struct spawn_answer answer = ask(view);

    cr_expect_eq(answer.why, why, "%s, not %s", spawn_text(answer.why), spawn_text(why));
    cr_expect_eq(answer.again, again);
}

Test(spawn, one_is_started)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    expect(&view, SPAWN_START, UINT64_MAX);
    view.starting = 1;
    view.runnable = 2;
    expect(&view, SPAWN_START, UINT64_MAX);
}

/* Nobody waits; or as many are starting as could be used. */
Test(spawn, not_needed)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.starting = 1;
    expect(&view, SPAWN_NOT_NEEDED, UINT64_MAX);
    view.starting = 0;
    view.waiting = view.runnable = 0;
    expect(&view, SPAWN_NOT_NEEDED, UINT64_MAX);
}

/* Without a greeting no request can be accepted: one worker is started for it, not two. */
Test(spawn, the_first_one_is_for_its_greeting)
{
    struct spawn_view view = {.max = 10, .budget = 5};

    expect(&view, SPAWN_START, UINT64_MAX);
    view.starting = view.live = 1;
    expect(&view, SPAWN_NOT_NEEDED, UINT64_MAX);
}

Test(spawn, lanes)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.waiting = 100;
    view.runnable = 0;
    expect(&view, SPAWN_LANES, UINT64_MAX);
}

/* Asked again exactly then: a moment later it is allowed. */
Test(spawn, back_off)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.start_after = NOW + 1;
    expect(&view, SPAWN_BACKOFF, NOW + 1);
    view.start_after = NOW;
    expect(&view, SPAWN_START, UINT64_MAX);
}

Test(spawn, descriptors)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.descriptors_short = true;
    expect(&view, SPAWN_DESCRIPTORS, UINT64_MAX);
}

/* Those that leave still exist. */
Test(spawn, max)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.live = 9;
    expect(&view, SPAWN_START, UINT64_MAX);
    view.live = 10;
    expect(&view, SPAWN_MAX, UINT64_MAX);
    view.leaving = 10;
    expect(&view, SPAWN_MAX, UINT64_MAX);
}

Test(spawn, at_once)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.max = 100;
    view.runnable = view.waiting = 50;
    view.live = view.starting = STARTS_AT_ONCE - 1;
    expect(&view, SPAWN_START, UINT64_MAX);
    view.live = view.starting = STARTS_AT_ONCE;
    expect(&view, SPAWN_AT_ONCE, UINT64_MAX);
}

Test(spawn, memory)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.budget = 0;
    expect(&view, SPAWN_MEMORY, UINT64_MAX);
}

/* Those of a server that takes twice its time get no more; somebody else's does. */
Test(spawn, no_more_than_raise_the_rate)
{
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.max = 200;
    view.runnable = view.waiting = 50;
    view.stretched = 50;
    expect(&view, SPAWN_RATE, UINT64_MAX);
    view.stretched = 49;
    expect(&view, SPAWN_START, UINT64_MAX);
    view.starting = 1;
    expect(&view, SPAWN_RATE, UINT64_MAX);
}

/* Workers came back each 0.1 ms until just now, for a second: what waits is served before a new one is there. */
static struct spawn spawn_of_fast_workers(void)
{
    struct spawn spawn = {0};

    for (uint64_t now = NOW - 1000000; now <= NOW; now += 100) {
        growth_returned(&spawn.growth, now);
        growth_helps(&spawn.growth, 1, now);
    }
    return spawn;
}

Test(spawn, faster)
{
    struct spawn spawn = spawn_of_fast_workers();
    struct spawn_view view = NOTHING_IN_THE_WAY;
    struct spawn_answer answer = spawn_ask(&spawn, &view, NOW);

    cr_expect_eq(answer.why, SPAWN_FASTER);
    cr_expect_not(answer.start);
    cr_expect_eq(answer.again, NOW + GROWTH_AGAIN, "perhaps nobody comes back");
    /* Nobody does. */
    for (unsigned i = 0; i < 10 && !answer.start; i++) {
        cr_assert_lt(answer.again, NOW + 100000);
        answer = spawn_ask(&spawn, &view, answer.again);
    }
    cr_expect(answer.start);
}

/* At ten a millisecond twelve would wait for 1.2 ms; but for seven of them workers are starting. */
Test(spawn, those_that_start_are_counted_on)
{
    struct spawn spawn = spawn_of_fast_workers();
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.runnable = view.waiting = 12;
    view.max = 100;
    cr_expect_eq(spawn_ask(&spawn, &view, NOW).why, SPAWN_START);
    view.live = view.starting = 7;
    cr_expect_eq(spawn_ask(&spawn, &view, NOW).why, SPAWN_FASTER);
}

/* Those on their way out do not come back. */
Test(spawn, nobody_is_faster_when_all_leave)
{
    struct spawn spawn = spawn_of_fast_workers();
    struct spawn_view view = NOTHING_IN_THE_WAY;

    view.live = view.leaving = 3;
    cr_expect(spawn_ask(&spawn, &view, NOW).start);
}

Test(spawn, each_answer_has_words_of_its_own)
{
    for (int i = 0; i < SPAWN_WHYS; i++) {
        cr_assert_not_null(spawn_text((enum spawn_why)i));
        cr_expect(spawn_text((enum spawn_why)i)[0] != '\0');
        for (int j = 0; j < i; j++) {
            cr_expect_str_neq(spawn_text((enum spawn_why)i), spawn_text((enum spawn_why)j));
            cr_expect_str_neq(spawn_text((enum spawn_why)i), spawn_text((enum spawn_why)j));
        }
    }
}

/* --- all small views, beside a model ---------------------------------------------------------- */

/* The model: everything that is in the way, each by itself. The order is that of enum spawn_why. */
static unsigned in_the_way(const struct spawn_view *view, bool faster)
{
    unsigned useful = view->runnable > 0 ? view->runnable : view->greeting_known ? 0 : 1;
    unsigned way = 0;

    if (view->waiting > 0 && view->runnable == 0 && useful <= view->starting)
        way |= 1U << SPAWN_LANES;
    else if (useful <= view->starting)
        way |= 1U << SPAWN_NOT_NEEDED;
    if (view->start_after > NOW)
        way |= 1U << SPAWN_BACKOFF;
    if (view->descriptors_short)
        way |= 1U << SPAWN_DESCRIPTORS;
    if (view->max <= view->live)
        way |= 1U << SPAWN_MAX;
    if (view->starting >= 8)
        way |= 1U << SPAWN_AT_ONCE;
    if (view->runnable > view->starting && view->runnable - view->stretched <= view->starting)
        way |= 1U << SPAWN_RATE;
    if (faster && view->live != view->leaving)
        way |= 1U << SPAWN_FASTER;
    if (view->budget == 0)
        way |= 1U << SPAWN_MEMORY;
    return way;
}

static void compare(const struct spawn_view *view, const struct spawn *state, bool faster)
{
    struct spawn spawn = *state;
    unsigned way = in_the_way(view, faster);
    enum spawn_why first = SPAWN_START;
    struct spawn_answer answer;

    answer = spawn_ask(&spawn, view, NOW);
    for (int why = SPAWN_WHYS - 1; why > SPAWN_START; why--)
        if (way & (1U << why))
            first = (enum spawn_why)why;
    cr_assert_eq(answer.why, first,
                 "%s, not %s: waiting %u runnable %u starting %u live %u leaving %u max %u "
                 "budget %u greeting %d short %d after %ld faster %d",
                 spawn_text(answer.why), spawn_text(first), view->waiting, view->runnable,
                 view->starting, view->live, view->leaving, view->max, view->budget,
                 view->greeting_known, view->descriptors_short, (long)(view->start_after - NOW),
                 faster);
    cr_assert_eq(answer.start, way == 0);
    cr_assert_gt(answer.again, NOW, "it would be asked for ever");
    cr_assert_eq(answer.again != UINT64_MAX, first == SPAWN_BACKOFF || first == SPAWN_FASTER);
}

static void compare_all(struct spawn_view view, const struct spawn *fast)
{
    const struct spawn unknown = {0};

    for (int bits = 0; bits < 16; bits++) {
        view.greeting_known = bits & 1;
        view.descriptors_short = bits & 2;
        view.start_after = bits & 4 ? NOW + 7 : NOW;
        compare(&view, bits & 8 ? fast : &unknown, bits & 8);
    }
}

/* Each digit is one of the small numbers. */
static unsigned digit(unsigned *code)
{
    static const unsigned small[] = {0, 1, 2, 8};
    unsigned value = small[*code % 4];

    *code /= 4;
    return value;
}

Test(spawn, all_small_views)
{
    const struct spawn fast = spawn_of_fast_workers();

    for (unsigned n = 0; n < 4 * 4 * 4 * 4 * 4 * 4 * 2; n++) {
        unsigned code = n;
        struct spawn_view view = {.waiting = digit(&code)};

        view.runnable = digit(&code);
        view.starting = digit(&code);
        view.live = digit(&code);
        view.leaving = digit(&code);
        view.max = digit(&code);
        view.budget = code;
        if (view.runnable <= view.waiting && view.starting + view.leaving <= view.live)
            compare_all(view, &fast);
    }
}
