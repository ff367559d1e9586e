/* Who may run: how lanes, tokens and reserves work together. */

#include "tests/unit/admission_harness.h"

static void prove(struct admission *admission, const char *key, unsigned window)
{
    struct admission_memory memory = {.success_age = 0,
                                      .failure_age = ADMISSION_NEVER,
                                      .answer_age = ADMISSION_NEVER,
                                      .service = 10 * MS,
                                      .window = window};

    snprintf(memory.key, sizeof memory.key, "%s", key);
    cr_assert_eq(admission_teach(admission, &memory, 0), 0);
}

/* It delivered a minute ago, and now every delivery hangs: its credit lasts for one window. */
Test(admission_lanes, a_destination_that_dies_is_slow_first_and_then_dead)
{
    struct admission *admission = harness_create(100, 10);
    int parts[10];

    prove(admission, "dying", 5);
    for (unsigned i = 0; i < 50; i++)
        harness_arrive(admission, i, "dying", RETRY, 0);
    cr_assert_eq(harness_start_all(admission, 8, 0, parts), 5);
    harness_finish(admission, (unsigned)parts[0], ADMISSION_DEFERRED, 30 * SECOND, 30 * SECOND);
    cr_assert_eq(harness_look(admission, "dying").lane, ADMISSION_SLOW);
    for (int i = 1; i < 4; i++)
        harness_finish(admission, (unsigned)parts[i], ADMISSION_DEFERRED, 30 * SECOND, 31 * SECOND);
    cr_assert_eq(harness_look(admission, "dying").lane, ADMISSION_DEAD);
    cr_assert_eq(harness_look(admission, "dying").window, 1);
    admission_destroy(admission);
}

/* When all hangs have ended and none is left in flight, it is not taken for proven again. */
Test(admission_lanes, who_hung_last_is_not_proven)
{
    struct admission *admission = harness_create(100, 10);

    prove(admission, "hung", 5);
    harness_arrive(admission, 0, "hung", FIRST, 0);
    cr_assert_eq(harness_start(admission, 64, 0), 0);
    harness_finish(admission, 0, ADMISSION_FAILED, 30 * SECOND, 30 * SECOND);
    cr_assert_eq(harness_look(admission, "hung").lane, ADMISSION_SLOW);
    admission_destroy(admission);
}

Test(admission_lanes, parts_hang_in_the_order_of_their_start)
{
    struct admission *admission = harness_create(10, 10);

    prove(admission, "one", 5);
    prove(admission, "two", 5);
    harness_arrive(admission, 0, "one", FIRST, 0);
    cr_assert_eq(harness_start(admission, 64, 0), 0);
    harness_arrive(admission, 1, "two", FIRST, 4 * SECOND);
    cr_assert_eq(harness_start(admission, 64, 4 * SECOND), 1);
    cr_assert_eq(harness_start(admission, 64, 6 * SECOND), -1);
    cr_assert_eq(harness_look(admission, "one").hanging, 1);
    cr_assert_eq(harness_look(admission, "two").hanging, 0);
    admission_destroy(admission);
}

/* Two new dead domains a second for ever: there is still a slot for who is known to be good. */
Test(admission_lanes, newcomers_leave_a_slot_to_the_proven)
{
    struct admission *admission = harness_create(1000, 1000);
    char key[24];
    int64_t now = 0;

    prove(admission, "good", 5);
    for (unsigned i = 0; i < 200; i++, now += SECOND / 2) {
        snprintf(key, sizeof key, "dead%u", i);
        harness_arrive(admission, i, key, FIRST, now);
        harness_start_all(admission, 16, now, NULL);
    }
    harness_arrive(admission, 999, "good", FIRST, now);
    cr_assert_eq(harness_start(admission, 16, now), 999);
    admission_destroy(admission);
}

/* New domains that fail after a second each, and nothing else: an eighth of the limit is always at work. */
Test(admission_lanes, newcomers_do_not_wait_for_tokens_beside_idle_workers)
{
    struct admission *admission = harness_create(1000, 1000);
    char key[24];
    int parts[64];
    unsigned total = 0;

    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "new%u", i);
        harness_arrive(admission, i, key, FIRST, 0);
    }
    for (int64_t now = 0; now < 10 * SECOND; now += SECOND) {
        unsigned count = harness_start_all(admission, 64, now, parts);

        cr_expect_geq(count, 8, "%u after %lld s", count, (long long)(now / SECOND));
        total += count;
        for (unsigned i = 0; i < count; i++)
            harness_finish(admission, (unsigned)parts[i], ADMISSION_FAILED, SECOND, now + SECOND);
    }
    cr_expect_lt(total, 130, "a token is needed for more");
    admission_destroy(admission);
}

static void arrive_new(struct admission *admission, unsigned from, unsigned count, int64_t now)
{
    char key[24];

    for (unsigned i = from; i < from + count; i++) {
        snprintf(key, sizeof key, "new%u", i);
        harness_arrive(admission, i, key, FIRST, now);
    }
}

/* They wait for a quarter of a second, in which many more would have come where it is a flood. */
Test(admission_lanes, a_few_newcomers_need_no_tokens)
{
    static const struct {
        unsigned count;
        bool all;
    } cases[] = {{20, true}, {32, true}, {33, false}, {200, false}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct admission *admission = harness_create(1000, 1000);
        unsigned count;

        arrive_new(admission, 0, cases[i].count, 0);
        count = harness_start_all(admission, 64, 0, NULL);
        cr_expect_leq(count, 8);
        if (cases[i].all)
            cr_expect_eq(admission_due(admission, 64, 0), 250 * MS);
        count += harness_start_all(admission, 64, 250 * MS - 1, NULL);
        cr_expect_leq(count, 9, "%u before they have gathered", count);
        count += harness_start_all(admission, 64, 250 * MS, NULL);
        cr_expect_eq(count == cases[i].count, cases[i].all, "%u of %u", count, cases[i].count);
        admission_destroy(admission);
    }
}

/* While some of those that are tried give no answer, tokens bind whoever comes. */
Test(admission_lanes, newcomers_beside_silent_ones_need_tokens)
{
    struct admission *admission = harness_create(1000, 1000);
    int64_t now = 2 * SECOND;
    unsigned count;

    arrive_new(admission, 0, 8, 0);
    cr_assert_eq(harness_start_all(admission, 64, 0, NULL), 8);
    arrive_new(admission, 10, 20, now);
    count = harness_start_all(admission, 64, now, NULL);
    count += harness_start_all(admission, 64, now + SECOND / 2, NULL);
    cr_expect_leq(count, 10, "%u started", count);
    cr_expect_gt(admission_due(admission, 64, now + SECOND / 2), now + SECOND / 2);
    for (unsigned i = 0; i < 8; i++)
        harness_finish(admission, i, ADMISSION_DELIVERED, 3 * SECOND, now + SECOND / 2);
    count += harness_start_all(admission, 64, now + SECOND / 2, NULL);
    cr_expect_eq(count, 20, "they have answered");
    admission_destroy(admission);
}

/* Twice as many at a time with each round of answers, as long as they are deliveries. */
Test(admission_lanes, newcomers_that_answer_let_more_start)
{
    static const struct {
        enum admission_outcome outcome;
        bool more;
    } cases[] = {{ADMISSION_DELIVERED, true}, {ADMISSION_DEFERRED, false}, {ADMISSION_LOST, false}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct admission *admission = harness_create(1000, 1000);
        int parts[64];
        unsigned first = 0, count = 0;

        arrive_new(admission, 0, 500, 0);
        for (int64_t now = 0; now < 400 * MS; now += 100 * MS) {
            count = harness_start_all(admission, 64, now, parts);
            if (now == 0)
                first = count;
            for (unsigned k = 0; k < count; k++)
                harness_finish(admission, (unsigned)parts[k], cases[i].outcome, 90 * MS,
                               now + 90 * MS);
        }
        cr_expect_eq(count >= 4 * first, cases[i].more, "%u, then %u", first, count);
        admission_destroy(admission);
    }
}

Test(admission_lanes, the_slow_leave_a_third_free)
{
    struct admission *admission = harness_create(1000, 1000);
    struct admission_counters counters;
    char key[24];

    for (unsigned i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "slow%u", i);
        harness_once(admission, 0, key, ADMISSION_DELIVERED, 8 * SECOND, (int64_t)i * 10 * SECOND);
    }
    for (unsigned i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "slow%u", i % 60);
        harness_arrive(admission, i, key, RETRY, 700 * SECOND);
    }
    cr_assert_eq(harness_start_all(admission, 64, 700 * SECOND, NULL), 40);
    admission_count(admission, &counters);
    cr_assert_eq(counters.lane[ADMISSION_SLOW], 40);
    admission_destroy(admission);
}

/* New good mail keeps coming; who was passed over gets a turn nevertheless. */
Test(admission_lanes, the_oldest_of_those_passed_over_gets_its_turn)
{
    struct admission *admission = harness_create(2000, 2000);
    char key[24];
    int64_t now = 10 * SECOND;
    bool tried = false;

    harness_arrive(admission, 0, "oldest", FIRST, 0);
    for (unsigned i = 1; i < 1500 && !tried; i++, now += 100 * MS) {
        /* Each of these waits too long as well before it is looked at: two arrive for one slot. */
        snprintf(key, sizeof key, "d%u", i);
        harness_arrive(admission, i, key, FIRST, now - 20 * SECOND > 0 ? now - 20 * SECOND : 0);
        if (i % 2 == 0)
            continue;
        int part = harness_start(admission, 1, now);
        if (part < 0)
            continue;
        tried = part == 0;
        harness_finish(admission, (unsigned)part, ADMISSION_DELIVERED, 10 * MS, now + 10 * MS);
    }
    cr_assert(tried);
    admission_destroy(admission);
}

/* Starts in the order in which their time comes, none early, none late. */
Test(admission_lanes, many_paces_are_kept_at_once)
{
    struct admission *admission = harness_create(1000, 100);
    int64_t now = 0, last[60] = {0};
    unsigned started = 0;
    char key[24];

    for (unsigned i = 0; i < 600; i++) {
        unsigned which = i * 37 % 60;
        struct admission_arrival arrival = {.key = key, .pace = (int64_t)(which + 1) * 100 * MS};
        arrival.key_length = (size_t)snprintf(key, sizeof key, "p%u", which);
        if (i < 60)
            prove(admission, key, 5);
        cr_assert_eq(admission_arrive(admission, i, &arrival, 0), 0);
    }
    for (int turn = 0; started < 600; turn++) {
        struct admission_choice choice = admission_next(admission, 64, now);
        cr_assert_lt(turn, 5000);
        if (choice.answer != ADMISSION_START) {
            cr_assert_neq(choice.again, ADMISSION_NEVER);
            now = choice.again;
            continue;
        }
        unsigned which = choice.part * 37 % 60;
        if (last[which] != 0 || choice.part >= 60)
            cr_assert_eq(now - last[which], (int64_t)(which + 1) * 100 * MS, "%u", which);
        last[which] = now;
        started++;
        harness_finish(admission, choice.part, ADMISSION_DELIVERED, 1, now);
    }
    admission_destroy(admission);
}
