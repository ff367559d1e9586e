/* Dry run: what starts although it would have waited, and goes along although it would have gone alone. Accounts stay true. */

#include "tests/unit/admission_harness.h"

#include <errno.h>

#define LIMIT 16

static int anyway(struct admission *admission, unsigned part, int64_t now)
{
    int answer = admission_start_anyway(admission, part, LIMIT, now);

    if (answer >= 0)
        cr_assert_eq(admission_started(admission, part, now), 0);
    return answer;
}

static void expect_empty(const struct admission *admission)
{
    struct admission_counters count;

    admission_count(admission, &count);
    cr_expect_eq(count.waiting, 0);
    cr_expect_eq(count.in_flight, 0);
    for (int lane = 0; lane < ADMISSION_LANES; lane++)
        cr_expect_eq(count.lane[lane], 0, "%s: %u", admission_lane_name(lane), count.lane[lane]);
}

/* One retry to an unknown destination runs; the next would wait for its answer, and one above the limit for a worker. */
Test(admission_anyway, says_what_would_have_been)
{
    struct admission *admission = harness_create(100, 100);
    int64_t now = 0;
    struct admission_counters count;

    for (unsigned i = 0; i < 20; i++)
        harness_arrive(admission, i, "dead", RETRY, now);
    cr_expect_eq(anyway(admission, 7, now), ADMISSION_START, "any of them, not the first");
    for (unsigned i = 0; i < 20; i++)
        if (i != 7)
            cr_expect_eq(anyway(admission, i, now), i < LIMIT ? ADMISSION_HELD : ADMISSION_LIMIT,
                         "part %u", i);
    harness_arrive(admission, 20, "good", FIRST, now);
    cr_expect_eq(anyway(admission, 20, now), ADMISSION_LIMIT);
    admission_count(admission, &count);
    cr_expect_eq(count.in_flight, 21);
    cr_expect_eq(count.waiting, 0);

    /* They hang, fail, and are forgotten; who comes then finds all as it was. */
    now += 30 * SECOND;
    harness_arrive(admission, 21, "dead", RETRY, now);
    cr_expect_eq(anyway(admission, 21, now), ADMISSION_LIMIT);
    cr_expect_eq(harness_look(admission, "dead").hanging, 20);
    for (unsigned i = 0; i < 22; i++)
        harness_finish(admission, i, i == 20 ? ADMISSION_DELIVERED : ADMISSION_FAILED, SECOND, now);
    expect_empty(admission);
    cr_expect_eq(harness_look(admission, "dead").lane, ADMISSION_DEAD);
    harness_once(admission, 0, "good", ADMISSION_DELIVERED, MS, now);
    cr_expect_eq(admission_start_anyway(admission, 0, LIMIT, now), -EINVAL, "it does not wait");
    admission_destroy(admission);
}

/* Good mail to a proven destination would not have waited behind dead mail that runs. */
Test(admission_anyway, the_proven_would_start)
{
    struct admission *admission = harness_create(100, 100);

    harness_once(admission, 0, "good", ADMISSION_DELIVERED, MS, 0);
    for (unsigned i = 0; i < LIMIT - 1; i++) {
        harness_arrive(admission, i, "dead", RETRY, SECOND);
        anyway(admission, i, SECOND);
    }
    harness_arrive(admission, 50, "good", FIRST, SECOND);
    cr_expect_eq(anyway(admission, 50, SECOND), ADMISSION_START);
    admission_destroy(admission);
}

Test(admission_anyway, all_of_a_request_go_along)
{
    struct admission *admission = harness_create(100, 100);
    const char *const keys[] = {"a", "b", "c", "dead", "e", "f", "g"};
    unsigned count = sizeof keys / sizeof keys[0], apart = 0;
    int64_t now = 0;

    harness_once(admission, 0, "dead", ADMISSION_FAILED, 30 * SECOND, now);
    now += 31 * SECOND;
    for (unsigned i = 0; i < count; i++)
        harness_arrive(admission, i, keys[i], FIRST, now);
    cr_expect_eq(admission_start_anyway(admission, 0, LIMIT, now), ADMISSION_START);
    for (unsigned i = 1; i < count; i++)
        apart += (unsigned)(admission_join(admission, 0, i, LIMIT, now) == 0);
    cr_expect_eq(apart, 3, "four new ones go as one, but none with the dead");
    for (unsigned i = 1; i < count; i++)
        cr_expect_eq(admission_join_anyway(admission, 0, i, now), i < 3 || i == 4 ? -EINVAL : 0);
    cr_assert_eq(admission_started(admission, 0, now), 0);
    for (unsigned i = count; i-- > 0;)
        harness_finish(admission, i, i == 3 ? ADMISSION_FAILED : ADMISSION_DELIVERED, MS, now);
    expect_empty(admission);
    cr_expect_eq(harness_look(admission, "a").lane, ADMISSION_PROVEN);
    admission_destroy(admission);
}

/* Of mail behind a next hop that is down only a probe would have started. */
Test(admission_anyway, behind_a_next_hop_that_is_down)
{
    struct admission *admission = harness_create(100, 100);
    unsigned started = 0, held = 0;
    int64_t now = SECOND;

    for (unsigned i = 0; i < 30; i++) {
        char key[16];
        struct admission_arrival arrival = {
            .key = key, .nexthop = "relay", .nexthop_length = 5, .first = true};

        arrival.key_length = (size_t)snprintf(key, sizeof key, "d%u", i % 10);
        if (i == 10) {
            for (unsigned k = 0; k < 10; k++) {
                cr_assert_geq(anyway(admission, k, now), 0);
                cr_assert_geq(admission_finished(admission, k, ADMISSION_UNREACHED, MS, now), 0);
            }
            now += 2 * SECOND;
        }
        cr_assert_eq(admission_arrive(admission, i, &arrival, now), 0);
    }
    for (unsigned i = 10; i < 20; i++) {
        int answer = anyway(admission, i, now);

        started += answer == ADMISSION_START;
        held += answer == ADMISSION_HELD;
    }
    cr_expect_eq(started, 1);
    cr_expect_eq(held, 9);
    for (unsigned i = 10; i < 20; i++)
        cr_assert_geq(admission_finished(admission, i, ADMISSION_DELIVERED, MS, now), 0);
    /* It is there again. */
    for (unsigned i = 20; i < 30; i++)
        cr_expect_eq(anyway(admission, i, now), ADMISSION_START, "%u", i);
    for (unsigned i = 20; i < 30; i++)
        cr_assert_geq(admission_finished(admission, i, ADMISSION_DELIVERED, MS, now), 0);
    expect_empty(admission);
    admission_destroy(admission);
}

/* Beyond a lane, a window and a back-off, but not beyond what an operator or the server sets. */
Test(admission_anyway, may_where_only_a_share_holds_it)
{
    struct admission *admission = harness_create(100, 100);
    const char *const held[] = {"held"};
    int64_t now = 0;

    harness_once(admission, 0, "dead", ADMISSION_FAILED, 30 * SECOND, now);
    now += 31 * SECOND;
    cr_expect_not(admission_may_anyway(admission, 0, now), "it does not wait");
    for (unsigned i = 0; i < 3; i++)
        harness_arrive(admission, i, "dead", RETRY, now);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect(admission_may_anyway(admission, i, now), "part %u", i);
        anyway(admission, i, now);
        cr_expect_not(admission_may_anyway(admission, i, now), "it runs");
    }
    harness_arrive(admission, 3, "held", FIRST, now);
    cr_expect(admission_may_anyway(admission, 3, now));
    admission_hold(admission, held, 1, now);
    cr_expect_not(admission_may_anyway(admission, 3, now));
    admission_destroy(admission);
}
