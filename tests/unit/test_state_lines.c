/*
 * supervisor/report/state_lines.c, read where journald would read it. The test is in the place of
 * the limit and of the clock: it changes the mode when it likes, and hours take no time.
 */

#include <inttypes.h>

#include "supervisor/report/state_lines.h"
#include "tests/unit/journald.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)

/* Promised for a flush of 20,000 messages; three are not about the state: two at the start, one at the end. */
#define LINES_ALLOWED 20
#define LINES_OTHER 3

/* More than any test may see. */
#define LINES_MAX 100

struct line {
    uint64_t time; /* the test's clock, when it was said */
    bool changed;  /* it says "now", not "still" */
    char state[16];
    uint64_t unsaid;
    uint64_t deferred;
    char text[1024];
};

struct scene {
    struct config config;
    struct limit_state state;
    struct limit_decision decision;
    struct memory_sample sample;
    struct totals totals;
    struct report_view view;
    struct state_lines told;
    uint64_t begun;
    uint64_t changes; /* of the mode, that the test made */
    size_t lines;
    struct line line[LINES_MAX];
};

static struct scene scene;

static void scene_read(void)
{
    journald_mark();
    while (journald_next()) {
        struct line *line = &scene.line[scene.lines];
        const char *verb;

        cr_assert_lt(scene.lines, LINES_MAX, "lines without end");
        snprintf(line->text, sizeof line->text, "%s", journald_text());
        line->time = scene.view.now;
        verb = line->text + (scene.config.dry_run ? strlen("dry run: ") : 0);
        line->changed = strncmp(verb, "now ", 4) == 0;
        cr_assert(line->changed || strncmp(verb, "still ", 6) == 0, "%s", line->text);
        snprintf(line->state, sizeof line->state, "%s", journald_field("HEADROOM_STATE"));
        line->unsaid = journald_number("HEADROOM_UNSAID");
        line->deferred = journald_number("HEADROOM_DEFERRED");
        scene.lines++;
    }
}

/* A step of the limit that decides on this mode, and then the clock goes on. */
static void scene_step(enum limit_mode mode, uint64_t then)
{
    enum limit_mode before = scene.decision.mode;
    uint64_t told = scene.told.told;

    scene.decision.mode = mode;
    if (mode != before) {
        scene.view.changed = scene.view.now;
        state_lines_changed(&scene.told, &scene.view, before);
        scene.changes++;
    }
    state_lines_tick(&scene.told, &scene.view, journald.journal);
    /* Only where there may be one: to ask each time would take long. */
    if (scene.told.told != told)
        scene_read();
    scene.view.now += then;
}

/* So long in this mode, with a step each quarter of a second, as the limit wants them while memory is short. */
static void scene_stay(enum limit_mode mode, uint64_t time)
{
    const uint64_t tick = SECOND / 4;

    for (uint64_t spent = 0; spent < time; spent += tick)
        scene_step(mode, tick);
}

static void defer(uint64_t *reason, uint64_t count)
{
    scene.totals.deferred += count;
    *reason += count;
}

static const struct line *last(void)
{
    cr_assert_gt(scene.lines, 0, "nothing was said");
    return &scene.line[scene.lines - 1];
}

static void expect_text(const struct line *line, const char *text)
{
    cr_expect(strstr(line->text, text) != NULL, "no '%s' in: %s", text, line->text);
}

/* Lines between two moments, the second one left out. */
static size_t lines_between(uint64_t from, uint64_t to)
{
    size_t count = 0;

    for (size_t i = 0; i < scene.lines; i++)
        count += scene.line[i].time >= scene.begun + from && scene.line[i].time < scene.begun + to;
    return count;
}

/* Each change that the test made has its line, or is counted in one, or is not said yet. */
static void expect_all_counted(void)
{
    uint64_t told = state_lines_unsaid(&scene.told);

    for (size_t i = 0; i < scene.lines; i++)
        told += scene.line[i].unsaid + (scene.line[i].changed ? 1 : 0);
    cr_expect_eq(told, scene.changes, "%" PRIu64 " of %" PRIu64 " changes", told, scene.changes);
}

static void set_up(void)
{
    journald_open();
    config_defaults(&scene.config);
    scene.view = (struct report_view){
        .config = &scene.config,
        .totals = &scene.totals,
        .state = &scene.state,
        .decision = &scene.decision,
        .sample = &scene.sample,
    };
    /* As a machine that has been up for a while. */
    scene.begun = scene.view.now = scene.view.changed = 5000 * SECOND;
}

TestSuite(state_lines, .init = set_up, .fini = journald_close);

Test(state_lines, totals_are_of_the_time_that_was_not_open)
{
    struct totals *totals = &scene.totals;

    totals->delivered = 1000;
    totals->failed = 100;
    totals->lost = 10;
    defer(&scene.totals.deferred_full, 5);
    scene_stay(LIMIT_OPEN, 70 * SECOND);
    cr_expect_eq(last()->deferred, 5);

    scene_stay(LIMIT_HOLD, 20 * SECOND);
    totals->delivered += 31;
    totals->failed += 4;
    scene_stay(LIMIT_SHRINK, 15 * SECOND);
    defer(&scene.totals.deferred_memory, 7);
    totals->lost += 2;
    scene_stay(LIMIT_SHED, 7 * SECOND);
    defer(&scene.totals.deferred_full, 12);
    defer(&scene.totals.deferred_slow, 3);
    totals->delivered += 9;
    scene_step(LIMIT_OPEN, SECOND);
    cr_assert_str_eq(last()->state, "SHED", "OPEN is said before it has lasted");
    /* Said when it has lasted; what happened in OPEN is not part of it. */
    totals->delivered += 400;
    totals->failed += 40;
    scene_stay(LIMIT_OPEN, 6 * SECOND);

    cr_assert(last()->changed && strcmp(last()->state, "OPEN") == 0, "%s", last()->text);
    expect_text(last(),
                "; it was not open for 42 s: 40 delivered, 4 failed by workers, 22 deferred "
                "(memory 7, too many wait 12, slow or dead destination 3), 2 lost");
    expect_all_counted();
}

/* The next time has figures of its own. */
Test(state_lines, totals_begin_anew)
{
    struct totals *totals = &scene.totals;

    for (unsigned round = 1; round <= 3; round++) {
        char expected[128];

        scene_stay(LIMIT_HOLD, (20 + round) * SECOND);
        totals->delivered += UINT64_C(100) * round;
        scene_stay(LIMIT_OPEN, 60 * MINUTE);
        totals->delivered += 5000;
        cr_assert(last()->changed && strcmp(last()->state, "OPEN") == 0, "%s", last()->text);
        snprintf(expected, sizeof expected, "; it was not open for %u s: %u delivered, 0 failed",
                 20 + round, 100 * round);
        expect_text(last(), expected);
    }
    cr_expect_eq(scene.lines, 6);
    expect_all_counted();
}

/* Nothing happened, nothing is said; and what is deferred in OPEN is said without such totals. */
Test(state_lines, open_all_the_time)
{
    scene_stay(LIMIT_OPEN, 10 * MINUTE);
    cr_expect_eq(scene.lines, 0);
    defer(&scene.totals.deferred_slow, 6);
    scene_stay(LIMIT_OPEN, 10 * MINUTE);
    cr_assert_eq(scene.lines, 1);
    cr_expect_eq(last()->deferred, 6);
    expect_text(last(), "still OPEN");
    expect_text(last(),
                " 6 deferred (memory 0, too many wait 0, slow or dead destination 6) (600 s "
                "in this state)");
    cr_expect(strstr(last()->text, "not open") == NULL, "%s", last()->text);
}

/* What a dry run would have done is counted from line to line, with the state that would be, and nothing twice. */
Test(state_lines, dry_run)
{
    scene.config.dry_run = true;
    scene_stay(LIMIT_OPEN, 2 * MINUTE);
    cr_expect_eq(scene.lines, 0);
    scene.totals.would_wait_destination = 5;
    scene_stay(LIMIT_OPEN, 2 * MINUTE);
    cr_assert_eq(scene.lines, 1);
    expect_text(last(), "dry run: still OPEN");
    expect_text(last(), "since the last line it would have deferred 0 (memory 0, too many wait 0, "
                        "slow or dead destination 0), made 5 wait (limit 0, destination 5), "
                        "split off 0");
    scene.totals.would_defer_memory = 3;
    scene_step(LIMIT_SHED, SECOND);
    cr_assert_eq(scene.lines, 2);
    expect_text(last(), "dry run: now SHED");
    expect_text(last(), "would have deferred 3 (memory 3,");
    expect_text(last(), "made 0 wait (limit 0, destination 0)");
}

/*
 * Forty minutes to and fro, a change each second: a machine at the edge. Few lines, all changes are counted, and when it is calm
 * OPEN is said, with the time that was spent elsewhere.
 */
Test(state_lines, to_and_fro)
{
    const uint64_t time = 40 * MINUTE;
    uint64_t away = 0;
    size_t opened = 0;

    for (uint64_t spent = 0; spent < time; spent += 3 * SECOND) {
        scene_step(LIMIT_HOLD, SECOND / 2);
        scene_step(LIMIT_SHRINK, SECOND / 2);
        scene.totals.delivered++;
        away += SECOND;
        scene_step(LIMIT_OPEN, 2 * SECOND);
    }
    cr_expect_leq(scene.lines + LINES_OTHER, LINES_ALLOWED, "%zu lines in 40 minutes", scene.lines);
    /* Nor is it silent: no ten minutes without a line, and after the first burst some more soon. */
    for (uint64_t from = 0; from < time; from += 10 * MINUTE)
        cr_expect_geq(lines_between(from, from + 10 * MINUTE), 1, "silent from %" PRIu64 " s",
                      from / SECOND);
    cr_expect_geq(lines_between(0, 10 * MINUTE), 5);
    cr_expect_geq(lines_between(MINUTE, 10 * MINUTE), 4);
    expect_all_counted();

    scene_stay(LIMIT_OPEN, 11 * MINUTE);
    cr_assert(last()->changed && strcmp(last()->state, "OPEN") == 0, "%s", last()->text);
    cr_expect_eq(state_lines_unsaid(&scene.told), 0);
    expect_all_counted();
    /* All that was delivered while it was not OPEN is in the lines that say OPEN. */
    for (size_t i = 0; i < scene.lines; i++) {
        const char *at = strstr(scene.line[i].text, "; it was not open for ");
        uint64_t seconds, delivered;

        if (!at)
            continue;
        cr_assert_eq(sscanf(at, "; it was not open for %" SCNu64 " s: %" SCNu64 " delivered",
                            &seconds, &delivered),
                     2);
        cr_expect_eq(seconds, delivered, "a second for each: %s", at);
        away -= seconds * SECOND;
        opened++;
    }
    cr_expect_eq(away, 0, "%" PRIu64 " s were not told in %zu lines", away / SECOND, opened);
}

/* It comes back to what was said last before the change could be said: that it was away is said all the same. */
Test(state_lines, a_change_and_back_that_was_not_said)
{
    static const enum limit_mode five[] = {LIMIT_HOLD, LIMIT_SHRINK, LIMIT_OPEN, LIMIT_HOLD,
                                           LIMIT_OPEN};

    for (size_t i = 0; i < sizeof five / sizeof *five; i++)
        scene_stay(five[i], five[i] == LIMIT_OPEN ? 11 * SECOND : SECOND);
    cr_assert(scene.lines == 5 && strcmp(last()->state, "OPEN") == 0, "%s", last()->text);
    scene_stay(LIMIT_HOLD, 3 * SECOND);
    scene.totals.delivered += 8;
    scene_step(LIMIT_OPEN, SECOND);
    cr_assert_eq(scene.lines, 5, "a sixth line in half a minute: %s", last()->text);
    scene_stay(LIMIT_OPEN, 11 * MINUTE);
    cr_assert_eq(scene.lines, 6);
    cr_expect_str_eq(last()->state, "OPEN");
    cr_expect_eq(last()->unsaid, 1);
    expect_text(last(), "; changes not said since the last line: 1)");
    expect_text(last(), "; it was not open for 3 s: 8 delivered, ");
    expect_all_counted();
}

/* A flush of a night: one line a minute at first, then one in ten; and when something changes it is said at once. */
Test(state_lines, summaries_become_rare)
{
    const uint64_t first = 5 * MINUTE + SECOND;

    for (unsigned minute = 0; minute < 60; minute++) {
        defer(&scene.totals.deferred_memory, 10);
        scene_stay(LIMIT_HOLD, MINUTE);
    }
    /* The change, and five minutes; then one each ten minutes at most, and never fewer than one in eleven. */
    cr_expect_eq(lines_between(0, first), 6);
    cr_expect_eq(lines_between(0, SECOND), 1);
    for (unsigned minute = 1; minute <= 5; minute++)
        cr_expect_eq(lines_between(minute * MINUTE, minute * MINUTE + SECOND), 1, "minute %u",
                     minute);
    cr_expect_geq(lines_between(first, 60 * MINUTE), 5);
    cr_expect_leq(lines_between(first, 60 * MINUTE), 6);
    cr_expect_leq(scene.lines + LINES_OTHER, LINES_ALLOWED);
    for (size_t i = 7; i < scene.lines; i++)
        cr_expect_geq(scene.line[i].time - scene.line[i - 1].time, 10 * MINUTE);
    /* Rarer, but nothing is left out of them. */
    scene_stay(LIMIT_HOLD, 11 * MINUTE);
    {
        uint64_t deferred = 0;

        for (size_t i = 0; i < scene.lines; i++)
            deferred += scene.line[i].deferred;
        cr_expect_eq(deferred, 600);
    }
    {
        size_t before = scene.lines;

        scene_step(LIMIT_SHED, SECOND);
        cr_assert_eq(scene.lines, before + 1, "SHED was not said at once");
        expect_text(last(), "now SHED");
        scene_stay(LIMIT_OPEN, 11 * SECOND);
        cr_assert_eq(scene.lines, before + 2, "OPEN was not said");
        expect_text(last(), "; it was not open for 4261 s: ");
    }
    expect_all_counted();
}

/* A flush that defers without being short of memory: the same. */
Test(state_lines, deferring_in_open_becomes_rare)
{
    for (unsigned minute = 0; minute < 60; minute++) {
        defer(&scene.totals.deferred_slow, 10);
        scene_stay(LIMIT_OPEN, MINUTE);
    }
    cr_expect_leq(scene.lines + LINES_OTHER, LINES_ALLOWED, "%zu lines in an hour", scene.lines);
    cr_expect_geq(lines_between(0, 6 * MINUTE), 5);
    cr_expect_geq(lines_between(30 * MINUTE, 60 * MINUTE), 2);
}

/* However many lines there were: that mail is deferred for want of memory is never said late. */
Test(state_lines, shed_is_said_at_once)
{
    for (uint64_t spent = 0; spent < 15 * MINUTE; spent += 20 * SECOND) {
        scene_stay(LIMIT_HOLD, 5 * SECOND);
        scene_stay(LIMIT_OPEN, 15 * SECOND);
    }
    for (size_t i = 0; i < scene.lines; i++)
        cr_assert(strcmp(scene.line[i].state, "SHED") != 0);
    scene_step(LIMIT_SHED, 0);
    expect_text(last(), "now SHED");
    cr_expect_eq(last()->time, scene.view.now);
    expect_all_counted();
}

/* After a day without trouble it is as new. */
Test(state_lines, calm_earns_the_lines_back)
{
    size_t noisy;

    for (unsigned i = 0; i < 100; i++) {
        scene_stay(LIMIT_SHRINK, 6 * SECOND);
        scene_stay(LIMIT_OPEN, 6 * SECOND);
    }
    scene_stay(LIMIT_OPEN, 11 * MINUTE);
    scene_step(LIMIT_OPEN, UINT64_C(24) * 60 * MINUTE);
    noisy = scene.lines;
    scene_stay(LIMIT_HOLD, 5 * MINUTE + SECOND);
    cr_expect_eq(scene.lines - noisy, 6);
}

/* The last line has each counter as a word and as a field, and the changes that had no line. */
Test(state_lines, the_end)
{
    static const struct totals totals = {.requests = 12,
                                         .delivered = 5,
                                         .failed = 4,
                                         .deferred = 3,
                                         .deferred_slow = 3,
                                         .lost = 2,
                                         .refused = 1,
                                         .started = 6};

    /* Six changes in six seconds: the first one has a line. */
    for (int i = 0; i < 6; i++)
        scene_stay(i % 2 == 0 ? LIMIT_SHED : LIMIT_OPEN, SECOND);
    scene.totals = totals;
    scene.view.most = 7;
    state_lines_end(&scene.told, &scene.view, journald.journal);
    journald_read();
    cr_expect_str_eq(journald_text(),
                     "headroom ends: 12 requests, 5 delivered, 4 failed by workers, 3 deferred, "
                     "2 lost with a worker, 1 refused, 6 workers started, at most 7 at a time; "
                     "changes of the state not said: 5");
    cr_expect_eq(journald_number("HEADROOM_REQUESTS"), 12);
    cr_expect_eq(journald_number("HEADROOM_DELIVERED"), 5);
    cr_expect_eq(journald_number("HEADROOM_FAILED"), 4);
    cr_expect_eq(journald_number("HEADROOM_DEFERRED"), 3);
    cr_expect_eq(journald_number("HEADROOM_LOST"), 2);
    cr_expect_eq(journald_number("HEADROOM_REFUSED"), 1);
    cr_expect_eq(journald_number("HEADROOM_STARTED"), 6);
    cr_expect_eq(journald_number("HEADROOM_UNSAID"), 5);
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "exit");
}
