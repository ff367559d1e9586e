/* Joint parts: who goes along, and what is learned of each. supervisor/admission/{admission,destination}_join.c. */

#include "tests/unit/admission_harness.h"

#include <errno.h>

#define LIMIT 64

static void name(char key[16], unsigned number)
{
    snprintf(key, 16, "d%u", number);
}

/* So many destinations, d0 ... , that have just delivered one by one in `service`. */
static struct admission *proven(unsigned count, int64_t service)
{
    struct admission *admission = harness_create(300, 300);
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        name(key, i);
        harness_once(admission, 0, key, ADMISSION_DELIVERED, service, 0);
    }
    return admission;
}

/* The parts of a request for so many destinations from `from` on arrive, at handles from `part` on. */
static void request(struct admission *admission, unsigned part, unsigned from, unsigned count,
                    int kind, int64_t now)
{
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        name(key, from + i);
        harness_arrive(admission, part + i, key, kind, now);
    }
}

/* The next part is chosen, and all others of `part` ... that may go along do. -> how many; *leader is that part. */
static unsigned gather(struct admission *admission, unsigned part, unsigned count, unsigned *leader,
                       int64_t now)
{
    struct admission_choice choice = admission_next(admission, LIMIT, now);
    unsigned along = 0;

    cr_assert_eq(choice.answer, ADMISSION_START);
    cr_assert(choice.part >= part && choice.part < part + count);
    *leader = choice.part;
    for (unsigned i = part; i < part + count; i++)
        if (i != choice.part && admission_joins(admission, choice.part, now))
            along += (unsigned)(admission_join(admission, choice.part, i, LIMIT, now) == 1);
    cr_assert_eq(admission_started(admission, choice.part, now), 0);
    return along;
}

/* All of a joint part have the same outcome. */
static void ends(struct admission *admission, unsigned part, unsigned count, unsigned leader,
                 enum admission_outcome outcome, int64_t service, int64_t now)
{
    for (unsigned i = part; i < part + count; i++)
        if (i != leader)
            harness_finish(admission, i, outcome, service, now);
    harness_finish(admission, leader, outcome, service, now);
}

static bool may_join(struct admission *admission, const char *key, int64_t now)
{
    unsigned leader = 298, part = 299;
    bool joins;

    harness_once(admission, 297, "fit", ADMISSION_DELIVERED, MS, now);
    harness_arrive(admission, leader, "fit", FIRST, now);
    cr_assert_eq(harness_start(admission, LIMIT, now), (int)leader);
    harness_finish(admission, leader, ADMISSION_DELIVERED, MS, now);
    harness_arrive(admission, leader, "fit", FIRST, now);
    cr_assert_eq(admission_next(admission, LIMIT, now).part, leader);
    harness_arrive(admission, part, key, FIRST, now);
    joins = admission_join(admission, leader, part, LIMIT, now) == 1;
    if (joins)
        cr_assert_eq(admission_put_back(admission, part, now), 0);
    cr_assert_eq(admission_put_back(admission, leader, now), 0);
    cr_assert_eq(admission_cancel(admission, part, now), 0);
    cr_assert_eq(admission_cancel(admission, leader, now), 0);
    return joins;
}

Test(admission_join, proven_ones_are_one_part_in_one_slot)
{
    struct admission *admission = proven(40, 100 * MS);
    struct admission_counters counters;
    unsigned leader;

    request(admission, 0, 0, 40, FIRST, SECOND);
    cr_assert_eq(admission_runnable(admission, LIMIT, SECOND, LIMIT, 1), 1, "workers");
    cr_assert_eq(gather(admission, 0, 40, &leader, SECOND), 39);
    admission_count(admission, &counters);
    cr_expect_eq(counters.in_flight, 1);
    cr_expect_eq(counters.waiting, 0);
    cr_expect_eq(counters.joined, 39);
    cr_expect_eq(harness_look(admission, "d7").in_flight, 1);
    /* The leader comes last. */
    cr_expect_eq(admission_finished(admission, leader, ADMISSION_DELIVERED, 0, SECOND), -EINVAL);
    cr_expect_eq(admission_put_back(admission, leader, SECOND), -EINVAL);
    cr_expect_eq(admission_cancel(admission, leader, SECOND), -EINVAL);
    ends(admission, 0, 40, leader, ADMISSION_DELIVERED, 100 * MS, 5 * SECOND);
    for (unsigned i = 0; i < 40; i++) {
        char key[16];
        name(key, i);
        cr_expect_eq(harness_look(admission, key).last_success, 5 * SECOND, "%s", key);
        cr_expect_eq(harness_look(admission, key).service, 100 * MS, "%s", key);
        cr_expect_eq(harness_look(admission, key).in_flight, 0, "%s", key);
    }
    admission_count(admission, &counters);
    cr_expect_eq(counters.in_flight, 0);
    cr_expect_eq(counters.finished, 80);
    admission_destroy(admission);
}

Test(admission_join, what_was_never_seen_goes_by_fours)
{
    struct admission *admission = harness_create(300, 300);
    unsigned leader, groups = 0;

    request(admission, 0, 0, 8, FIRST, 0);
    for (; groups < 2; groups++)
        cr_assert_eq(gather(admission, 0, 8, &leader, 0), 3, "group %u", groups);
    cr_assert_eq(admission_next(admission, LIMIT, 0).answer, ADMISSION_EMPTY);
    admission_destroy(admission);
}

Test(admission_join, what_was_tried_before_goes_alone)
{
    struct admission *admission = harness_create(300, 300);
    unsigned leader;

    request(admission, 0, 0, 4, RETRY, 0);
    cr_assert_eq(gather(admission, 0, 4, &leader, 0), 0);
    admission_destroy(admission);
}

/* For a second; then it is tried alone. */
Test(admission_join, the_next_mail_waits_for_the_first_answer)
{
    for (int answered = 0; answered < 2; answered++) {
        struct admission *admission = harness_create(300, 300);
        struct admission_choice choice;
        unsigned leader;

        request(admission, 0, 0, 4, FIRST, 0);
        cr_assert_eq(gather(admission, 0, 4, &leader, 0), 3);
        request(admission, 10, 0, 4, FIRST, 100 * MS);
        choice = admission_next(admission, LIMIT, 100 * MS);
        cr_assert_eq(choice.answer, ADMISSION_HELD);
        cr_assert_eq(choice.again, SECOND);
        if (answered) {
            ends(admission, 0, 4, leader, ADMISSION_DELIVERED, 50 * MS, 200 * MS);
            cr_expect_eq(gather(admission, 10, 4, &leader, 200 * MS), 3);
            cr_expect_eq(harness_look(admission, "d1").lane, ADMISSION_PROVEN);
        } else {
            cr_expect_eq(gather(admission, 10, 4, &leader, SECOND), 0,
                         "with one under way already");
        }
        admission_destroy(admission);
    }
}

/* What is proven in the same request waits with it: then all of them are one part. */
Test(admission_join, a_proven_one_waits_for_the_first_answer_of_the_others)
{
    for (int answered = 0; answered < 2; answered++) {
        struct admission *admission = harness_create(300, 300);
        struct admission_choice choice;
        struct admission_counters counters;
        int64_t now = 200 * MS;
        unsigned leader;

        harness_once(admission, 0, "d0", ADMISSION_DELIVERED, 10 * MS, 0);
        request(admission, 0, 1, 4, FIRST, 100 * MS);
        cr_assert_eq(gather(admission, 0, 4, &leader, 100 * MS), 3);
        request(admission, 10, 0, 3, FIRST, now);
        choice = admission_next(admission, LIMIT, now);
        cr_assert_eq(choice.answer, ADMISSION_START);
        cr_assert_eq(choice.part, 10);
        cr_assert_not(admission_awaits(admission, 10, now));
        cr_assert(admission_awaits(admission, 11, now));
        cr_assert_eq(admission_park(admission, 10, now), 1);
        admission_count(admission, &counters);
        cr_expect_eq(counters.waiting, 3);
        choice = admission_next(admission, LIMIT, now);
        cr_assert_eq(choice.answer, ADMISSION_HELD);
        cr_assert_eq(choice.again, 1100 * MS);
        if (answered) {
            ends(admission, 0, 4, leader, ADMISSION_DELIVERED, 50 * MS, 300 * MS);
            cr_expect_eq(gather(admission, 10, 3, &leader, 300 * MS), 2);
        } else {
            /* It is not parked twice. */
            choice = admission_next(admission, LIMIT, 1200 * MS);
            cr_expect_eq(choice.part, 10);
            cr_expect_eq(admission_park(admission, 10, 1200 * MS), 0);
        }
        admission_destroy(admission);
    }
}

Test(admission_join, a_parked_one_can_be_cancelled_and_goes_along)
{
    struct admission *admission = proven(2, MS);
    unsigned leader;

    request(admission, 10, 0, 2, FIRST, SECOND);
    for (int i = 0; i < 2; i++) {
        leader = admission_next(admission, LIMIT, SECOND).part;
        cr_assert_eq(admission_park(admission, leader, SECOND), 1);
    }
    cr_assert_eq(admission_next(admission, LIMIT, SECOND).answer, ADMISSION_HELD);
    cr_assert_eq(admission_cancel(admission, leader, SECOND), 0);
    harness_arrive(admission, leader, leader == 10 ? "d0" : "d1", FIRST, SECOND);
    cr_assert_eq(gather(admission, 10, 2, &leader, SECOND), 1);
    admission_destroy(admission);
}

Test(admission_join, who_may_not_go_along)
{
    struct admission *admission = proven(0, 0);
    struct admission_arrival paced = {.key = "paced", .key_length = 5, .pace = SECOND};

    harness_once(admission, 0, "quick", ADMISSION_DELIVERED, MS, 0);
    cr_expect(may_join(admission, "quick", SECOND));
    harness_once(admission, 0, "slow", ADMISSION_DELIVERED, 8 * SECOND, SECOND);
    cr_expect_not(may_join(admission, "slow", 10 * SECOND));
    harness_once(admission, 0, "dead", ADMISSION_FAILED, MS, 10 * SECOND);
    cr_expect_not(may_join(admission, "dead", 11 * SECOND));
    harness_once(admission, 0, "failing", ADMISSION_DELIVERED, MS, 11 * SECOND);
    harness_once(admission, 0, "failing", ADMISSION_FAILED, MS, 12 * SECOND);
    cr_expect_not(may_join(admission, "failing", 13 * SECOND));
    cr_expect_not(may_join(admission, "new", 13 * SECOND), "with a proven one");
    cr_assert_eq(admission_arrive(admission, 0, &paced, 13 * SECOND), 0);
    cr_assert_eq(harness_start(admission, LIMIT, 13 * SECOND), 0);
    harness_finish(admission, 0, ADMISSION_DELIVERED, MS, 13 * SECOND);
    cr_assert_eq(admission_arrive(admission, 0, &paced, 13 * SECOND), 0);
    harness_arrive(admission, 1, "quick", FIRST, 13 * SECOND);
    cr_assert_eq(admission_next(admission, LIMIT, 13 * SECOND).part, 1);
    cr_expect_eq(admission_join(admission, 1, 0, LIMIT, 13 * SECOND), 0);
    /* An hour later nothing is proven. */
    cr_expect_not(may_join(admission, "quick", 4000 * SECOND));
    admission_destroy(admission);
}

/* How many at a time it takes is known: it is counted, which one that goes along is not. */
Test(admission_join, who_takes_only_so_many_goes_alone)
{
    struct admission *admission = proven(1, MS);

    request(admission, 0, 0, 1, FIRST, SECOND);
    request(admission, 1, 0, 1, FIRST, SECOND);
    request(admission, 2, 0, 1, FIRST, SECOND);
    cr_assert_eq(harness_start_all(admission, LIMIT, SECOND, NULL), 3);
    cr_assert(may_join(admission, "d0", SECOND));
    harness_finish(admission, 2, ADMISSION_DEFERRED, MS, SECOND);
    cr_assert(may_join(admission, "d0", SECOND), "one refusal may be one mailbox");
    harness_finish(admission, 1, ADMISSION_DEFERRED, MS, SECOND);
    cr_expect_eq(harness_look(admission, "d0").lane, ADMISSION_PROVEN);
    cr_expect_not(may_join(admission, "d0", SECOND));
    admission_destroy(admission);
}

/* One of five hangs, and nothing was delivered since: that may be the beginning of the end. */
Test(admission_join, where_something_hangs_the_next_goes_alone)
{
    struct admission *admission = proven(1, MS);

    request(admission, 0, 0, 1, FIRST, SECOND);
    cr_assert_eq(harness_start(admission, LIMIT, SECOND), 0);
    for (unsigned i = 1; i < 5; i++) {
        request(admission, i, 0, 1, FIRST, 5 * SECOND);
        cr_assert_eq(harness_start(admission, LIMIT, 5 * SECOND), (int)i);
    }
    cr_assert(may_join(admission, "d0", 5 * SECOND));
    cr_assert_eq(admission_next(admission, LIMIT, 7 * SECOND).answer, ADMISSION_EMPTY);
    cr_expect_eq(harness_look(admission, "d0").hanging, 1);
    cr_expect_eq(harness_look(admission, "d0").lane, ADMISSION_PROVEN);
    cr_expect_not(may_join(admission, "d0", 7 * SECOND));
    admission_destroy(admission);
}

/* It is neither slow nor dead for that, but alone. */
Test(admission_join, who_was_not_delivered_is_alone_until_it_is)
{
    struct admission *admission = proven(5, MS);
    unsigned leader;

    request(admission, 0, 0, 5, FIRST, SECOND);
    cr_assert_eq(gather(admission, 0, 5, &leader, SECOND), 4);
    for (unsigned i = 0; i < 5; i++)
        if (i != leader)
            harness_finish(admission, i, i == 3 ? ADMISSION_UNDELIVERED : ADMISSION_DELIVERED,
                           ADMISSION_UNTIMED, 30 * SECOND);
    harness_finish(admission, leader, ADMISSION_DELIVERED, ADMISSION_UNTIMED, 30 * SECOND);
    cr_assert_neq(leader, 3);
    cr_expect_eq(harness_look(admission, "d3").lane, ADMISSION_PROVEN);
    cr_expect_eq(harness_look(admission, "d3").last_failure, ADMISSION_NEVER);
    cr_expect_eq(harness_look(admission, "d2").service, MS, "whose time it was nobody knows");
    cr_expect_eq(harness_look(admission, "d2").last_success, 30 * SECOND);
    cr_expect_not(may_join(admission, "d3", 31 * SECOND));
    harness_once(admission, 0, "d3", ADMISSION_FAILED, MS, 32 * SECOND);
    cr_expect_not(may_join(admission, "d3", 33 * SECOND));
    harness_once(admission, 0, "d3", ADMISSION_DELIVERED, MS, 34 * SECOND);
    cr_expect(may_join(admission, "d3", 35 * SECOND));
    admission_destroy(admission);
}

Test(admission_join, a_lost_worker_says_nothing)
{
    struct admission *admission = proven(2, MS);
    unsigned leader;

    request(admission, 0, 0, 2, FIRST, SECOND);
    cr_assert_eq(gather(admission, 0, 2, &leader, SECOND), 1);
    ends(admission, 0, 2, leader, ADMISSION_LOST, ADMISSION_UNTIMED, 2 * SECOND);
    cr_expect(may_join(admission, "d0", 3 * SECOND));
    cr_expect(may_join(admission, "d1", 3 * SECOND));
    admission_destroy(admission);
}

/* A server that takes 0.2 s a destination: 40 of them take 8 s, and may take 16 s and slow_after. */
Test(admission_join, the_time_of_many_proves_nobody_slow)
{
    struct admission *admission = proven(40, 200 * MS);
    unsigned leader;

    request(admission, 0, 0, 40, FIRST, SECOND);
    cr_assert_eq(gather(admission, 0, 40, &leader, SECOND), 39);
    for (int64_t now = 2 * SECOND; now < 22 * SECOND; now += SECOND) {
        cr_assert_eq(admission_next(admission, LIMIT, now).answer, ADMISSION_EMPTY);
        cr_assert_eq(harness_look(admission, "d1").lane, ADMISSION_PROVEN);
        cr_assert(may_join(admission, "d1", now), "after %ld s", (long)(now / SECOND));
    }
    /* Now somebody hangs. */
    cr_assert_eq(admission_next(admission, LIMIT, 22 * SECOND).answer, ADMISSION_EMPTY);
    for (unsigned i = 0; i < 40; i++) {
        char key[16];
        name(key, i);
        cr_expect_not(may_join(admission, key, 23 * SECOND), "%s", key);
        cr_expect_eq(harness_look(admission, key).lane, ADMISSION_PROVEN, "%s", key);
    }
    ends(admission, 0, 40, leader, ADMISSION_DELIVERED, SECOND, 40 * SECOND);
    cr_expect_not(may_join(admission, "d1", 41 * SECOND), "it has not delivered alone");
    admission_destroy(admission);
}

/* Who delivered something that began later is not the one that hangs. */
Test(admission_join, who_delivered_in_the_meantime_is_not_suspected)
{
    struct admission *admission = proven(3, MS);
    unsigned leader;

    request(admission, 0, 0, 3, FIRST, SECOND);
    cr_assert_eq(gather(admission, 0, 3, &leader, SECOND), 2);
    harness_once(admission, 10, "d1", ADMISSION_DELIVERED, MS, 2 * SECOND);
    cr_assert_eq(admission_next(admission, LIMIT, 7 * SECOND).answer, ADMISSION_EMPTY);
    cr_expect_not(may_join(admission, "d0", 7 * SECOND));
    cr_expect(may_join(admission, "d1", 7 * SECOND));
    cr_expect_not(may_join(admission, "d2", 7 * SECOND));
    admission_destroy(admission);
}

/* Should it die, they all hang: three eighths of the limit are left. */
Test(admission_join, one_destination_has_seats)
{
    struct admission *admission = proven(100, MS);
    unsigned along = 0;
    char key[16];

    for (;; along++) {
        /* d0, and one of its own to lead. */
        name(key, along + 1);
        harness_arrive(admission, along, key, FIRST, SECOND);
        cr_assert_eq(admission_next(admission, LIMIT, SECOND).part, along);
        harness_arrive(admission, 100 + along, "d0", FIRST, SECOND);
        if (admission_join(admission, along, 100 + along, LIMIT, SECOND) == 0)
            break;
    }
    cr_expect_eq(along, LIMIT * 5 / 8);
    admission_destroy(admission);
}

/* Where nobody else wants the slots: apart they would fill them one by one. */
Test(admission_join, the_same_destinations_go_along_up_to_the_limit)
{
    struct admission *admission = harness_create(LIMIT * 16, LIMIT * 16);
    unsigned leader;
    char key[16];

    for (unsigned i = 0; i < 16; i++) {
        name(key, i);
        harness_once(admission, 0, key, ADMISSION_DELIVERED, MS, 0);
    }
    for (unsigned i = 0; i < LIMIT; i++) {
        request(admission, 16 * i, 0, 16, FIRST, SECOND);
        cr_assert_eq(gather(admission, 16 * i, 16, &leader, SECOND), 15, "request %u", i);
    }
    admission_destroy(admission);
}

Test(admission_join, calls_that_do_not_fit)
{
    struct admission *admission = proven(3, MS);
    unsigned leader;

    request(admission, 0, 0, 3, FIRST, SECOND);
    cr_expect_eq(admission_join(admission, 0, 1, LIMIT, SECOND), -EINVAL, "nobody is chosen");
    cr_expect_not(admission_joins(admission, 0, SECOND));
    cr_assert_eq(gather(admission, 0, 3, &leader, SECOND), 2);
    cr_expect_eq(admission_join(admission, leader, leader == 0 ? 1 : 0, LIMIT, SECOND), -EINVAL);
    cr_expect_eq(admission_cancel(admission, leader == 0 ? 1 : 0, SECOND), -EINVAL);
    cr_expect_eq(admission_started(admission, leader == 0 ? 1 : 0, SECOND), -EINVAL);
    cr_expect_eq(admission_park(admission, leader, SECOND), -EINVAL);
    cr_expect_eq(admission_join(admission, 300, 0, LIMIT, SECOND), -EINVAL);
    cr_expect_eq(admission_join(admission, leader, 300, LIMIT, SECOND), -EINVAL);
    admission_destroy(admission);
}
