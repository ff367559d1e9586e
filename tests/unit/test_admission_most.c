/* How many at a time a destination takes, learned from what it refuses: supervisor/admission/destination_most.c. */

#include "tests/unit/admission_harness.h"

/* A server that has room for `room`: those that are more are refused at once. Returns how many were. */
static unsigned wave(struct admission *admission, unsigned room, unsigned count, int64_t *now)
{
    unsigned refused = 0, inside = 0, next = 0, waiting = count;
    int queue[200];

    for (unsigned i = 0; i < count; i++)
        harness_arrive(admission, i, "site", FIRST, *now);
    while (waiting > 0) {
        int part;
        while ((part = harness_start(admission, 100, *now)) >= 0) {
            if (inside - next < room) {
                queue[inside++] = part;
                continue;
            }
            harness_finish(admission, (unsigned)part, ADMISSION_DEFERRED, MS, *now);
            refused++;
            waiting--;
        }
        *now += 200 * MS;
        if (next < inside) {
            harness_finish(admission, (unsigned)queue[next++], ADMISSION_DELIVERED, 200 * MS, *now);
            waiting--;
        }
    }
    return refused;
}

Test(admission_most, a_server_with_a_queue_of_its_own_is_not_run_into)
{
    struct admission *admission = harness_create(300, 10);
    int64_t now = 0;

    cr_assert_leq(wave(admission, 10, 200, &now), 30);
    unsigned again = wave(admission, 10, 200, &now);
    cr_assert_leq(again, 6, "%u, although it is known", again);
    admission_destroy(admission);
}

/* Greylisting, or a mailbox that is locked: the number at a time has nothing to do with it. */
Test(admission_most, what_is_refused_beside_deliveries_has_another_reason)
{
    struct admission *admission = harness_create(300, 10);
    int parts[64];

    for (unsigned i = 0; i < 60; i++)
        harness_arrive(admission, i, "site", FIRST, 0);
    unsigned count = harness_start_all(admission, 64, 0, parts);
    cr_assert_geq(count, 30);
    /* Every third is refused at once, the others are delivered. */
    for (unsigned i = 0; i < count; i += 3)
        harness_finish(admission, (unsigned)parts[i], ADMISSION_DEFERRED, MS, MS);
    for (unsigned i = 0; i < count; i++)
        if (i % 3 != 0)
            harness_finish(admission, (unsigned)parts[i], ADMISSION_DELIVERED, 200 * MS, 200 * MS);
    unsigned left = 60 - count;
    cr_assert_eq(harness_start_all(admission, 64, 200 * MS, parts), left, "nothing is held");
    admission_destroy(admission);
}

Test(admission_most, a_refusal_of_one_that_was_alone_is_not_about_the_number)
{
    struct admission *admission = harness_create(300, 10);
    int parts[64];

    harness_once(admission, 0, "site", ADMISSION_DEFERRED, MS, 0);
    for (unsigned i = 0; i < 30; i++)
        harness_arrive(admission, i, "site", FIRST, SECOND);
    unsigned count = harness_start_all(admission, 64, SECOND, parts);
    for (unsigned i = 0; i < 10; i++)
        harness_finish(admission, (unsigned)parts[i], ADMISSION_DEFERRED, MS, SECOND + MS);
    for (unsigned i = 0; i < 10; i++)
        harness_arrive(admission, (unsigned)parts[i], "site", FIRST, SECOND + MS);
    cr_assert_eq(harness_start_all(admission, 64, SECOND + MS, parts), 40 - count);
    admission_destroy(admission);
}

/*
 * 300 messages to a server that has room for 30 and works at `lines` of them at a time, for 500 ms each. Returns the most that it
 * had of the last hundred; `time` is when all were done.
 */
static unsigned crowd(unsigned lines, int64_t *time)
{
    struct admission *admission = harness_create(400, 10);
    unsigned inside = 0, next = 0, done = 0, most = 0;
    int64_t now = 0, begun[400];
    int queue[400];

    /* A quick bounce: from now on all others seem to wait for each other. */
    harness_once(admission, 399, "site", ADMISSION_DELIVERED, 3 * MS, now);
    for (unsigned i = 0; i < 300; i++)
        harness_arrive(admission, i, "site", FIRST, now);
    while (done < 300) {
        int part;
        while ((part = harness_start(admission, 100, now)) >= 0) {
            if (inside - next < 30) {
                begun[inside] = now;
                queue[inside++] = part;
                continue;
            }
            harness_finish(admission, (unsigned)part, ADMISSION_DEFERRED, MS, now);
            done++;
        }
        if (done >= 200 && inside - next > most)
            most = inside - next;
        now += 500 * MS;
        for (unsigned i = 0; i < lines && next < inside; i++, next++, done++)
            harness_finish(admission, (unsigned)queue[next], ADMISSION_DELIVERED, now - begun[next],
                           now);
    }
    admission_destroy(admission);
    *time = now;
    return most;
}

Test(admission_most, few_wait_at_a_server_that_delivers_one_after_the_other)
{
    int64_t time;
    unsigned most = crowd(1, &time);

    cr_expect_leq(most, 4, "%u", most);
    cr_expect_leq(time, 150 * SECOND, "%ld us", (long)time);
}

Test(admission_most, a_server_that_delivers_many_at_a_time_gets_as_many)
{
    int64_t time;
    unsigned most = crowd(10, &time);

    cr_expect_geq(most, 10, "%u", most);
    cr_expect_leq(time, 18 * SECOND, "%ld us", (long)time);
}
