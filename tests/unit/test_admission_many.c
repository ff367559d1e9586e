/* More than one call looks at: admission_join.c, admission_view.c. And what is asked before anything else: admission_nexthop.c. */

#include "tests/unit/admission_harness.h"

#include <errno.h>

#define LIMIT 400

static void name(char key[16], unsigned number)
{
    snprintf(key, 16, "d%u", number);
}

/* So many destinations have delivered, each in `service`; and there is one more message to each, with handles from 0. */
static struct admission *proven(unsigned count, int64_t service)
{
    struct admission *admission = harness_create(1000, 1000);
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        name(key, i);
        harness_once(admission, 999, key, ADMISSION_DELIVERED, service, 0);
    }
    for (unsigned i = 0; i < count; i++) {
        name(key, i);
        harness_arrive(admission, i, key, FIRST, SECOND);
    }
    return admission;
}

/* A leader, and `along` of those that wait; it runs. -> the leader */
static unsigned starts(struct admission *admission, unsigned count, unsigned along)
{
    struct admission_choice choice = admission_next(admission, LIMIT, SECOND);

    cr_assert_eq(choice.answer, ADMISSION_START);
    for (unsigned i = 0; i < count && along > 0; i++)
        along -= admission_join(admission, choice.part, i, LIMIT, SECOND) == 1;
    cr_assert_eq(along, 0);
    cr_assert_eq(admission_started(admission, choice.part, SECOND), 0);
    return choice.part;
}

/* All of them wait for answers that never come; each goes on after its second. Those looked at first may not start. */
Test(admission_many, all_that_are_parked_go_on)
{
    struct admission *admission = proven(200, MS);
    struct admission_choice choice;
    struct admission_counters counters;
    const char *held[ADMISSION_HELD_MAX];
    unsigned started = 0;
    int64_t now = SECOND;

    for (unsigned i = 0; i < 200; i++) {
        choice = admission_next(admission, LIMIT, now);
        cr_assert_eq(choice.answer, ADMISSION_START);
        if (i < ADMISSION_HELD_MAX)
            held[i] = admission_key(admission, choice.part);
        cr_assert_eq(admission_park(admission, choice.part, now), 1);
    }
    cr_assert_eq(admission_next(admission, LIMIT, now).answer, ADMISSION_HELD);
    admission_hold(admission, held, ADMISSION_HELD_MAX, now);
    now += SECOND;
    for (unsigned i = 0; i < 1000 && started < 200 - ADMISSION_HELD_MAX; i++) {
        choice = admission_next(admission, LIMIT, now);
        if (choice.answer == ADMISSION_START) {
            cr_assert_eq(admission_started(admission, choice.part, now), 0);
            started++;
            continue;
        }
        cr_assert_neq(choice.again, ADMISSION_NEVER);
        cr_assert_leq(choice.again, now + MS);
        now = choice.again;
    }
    cr_expect_eq(started, 200 - ADMISSION_HELD_MAX);
    admission_count(admission, &counters);
    cr_expect_eq(counters.waiting, ADMISSION_HELD_MAX);
    admission_destroy(admission);
}

/* A hundred parts of two hang at once: none of their destinations is joined any more. */
Test(admission_many, all_that_last_are_looked_at)
{
    struct admission *admission = proven(200, MS);
    char key[16];

    for (unsigned i = 0; i < 100; i++)
        starts(admission, 200, 1);
    for (int64_t now = 10 * SECOND; now < 12 * SECOND; now += 100 * MS)
        cr_assert_eq(admission_next(admission, LIMIT, now).answer, ADMISSION_EMPTY);
    for (unsigned i = 0; i < 200; i++) {
        struct admission_choice choice;

        name(key, i);
        harness_arrive(admission, 500, key, FIRST, 12 * SECOND);
        choice = admission_next(admission, LIMIT, 12 * SECOND);
        cr_assert_eq(choice.answer, ADMISSION_START, "%s", key);
        cr_expect_not(admission_joins(admission, 500, 12 * SECOND), "%s", key);
        cr_assert_eq(admission_cancel(admission, 500, 12 * SECOND), 0);
    }
    admission_destroy(admission);
}

/* One that hangs, and one that takes long because it is many: told in this order, as far as there is room. */
Test(admission_many, the_oldest)
{
    struct admission *admission = proven(40, 200 * MS);
    unsigned joint = starts(admission, 40, 39), parts[8];

    harness_arrive(admission, 500, "dead", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, LIMIT, SECOND), 500);
    cr_assert_eq(admission_next(admission, LIMIT, 3 * SECOND).answer, ADMISSION_EMPTY);
    cr_expect_eq(admission_oldest(admission, parts, 8), 0);
    cr_assert_eq(admission_next(admission, LIMIT, 8 * SECOND).answer, ADMISSION_EMPTY);
    cr_assert_eq(admission_oldest(admission, parts, 8), 2);
    cr_expect_eq(parts[0], 500);
    cr_expect_eq(parts[1], joint);
    cr_expect_eq(admission_oldest(admission, parts, 1), 1);
    cr_expect_eq(parts[0], 500);
    cr_expect_eq(admission_oldest(admission, parts, 0), 0);
    admission_destroy(admission);
}

Test(admission_many, a_leader_with_others_is_not_parked)
{
    struct admission *admission = proven(2, MS);
    struct admission_choice choice = admission_next(admission, LIMIT, SECOND);

    cr_expect_not(admission_joins(admission, 1000, SECOND), "no such part");
    cr_expect(admission_joins(admission, choice.part, SECOND));
    cr_assert_eq(admission_join(admission, choice.part, 1 - choice.part, LIMIT, SECOND), 1);
    cr_expect_eq(admission_park(admission, choice.part, SECOND), -EINVAL);
    cr_expect_eq(admission_join_anyway(admission, choice.part, 1 - choice.part, SECOND), -EINVAL);
    cr_expect_eq(admission_join_anyway(admission, 1 - choice.part, choice.part, SECOND), -EINVAL);
    admission_destroy(admission);
}

/* It is known from before a restart, and what may not be deferred is the first thing of all. */
Test(admission_many, the_first_call_is_for_what_is_exempt)
{
    struct admission *admission = harness_create(10, 10);
    struct admission_memory memory = {.key = "dead",
                                      .success_age = ADMISSION_NEVER,
                                      .failure_age = SECOND,
                                      .answer_age = ADMISSION_NEVER,
                                      .window = 1,
                                      .hung = true};

    cr_assert_eq(admission_teach(admission, &memory, 0), 0);
    cr_assert_eq(harness_look(admission, "dead").lane, ADMISSION_DEAD);
    harness_arrive(admission, 0, "dead", EXEMPT, 0);
    cr_expect_eq(harness_start(admission, LIMIT, 0), 0);
    admission_destroy(admission);
}

/* What an operator holds is not tried for a next hop that is down. */
Test(admission_many, no_probe_of_what_is_held)
{
    struct admission *admission = harness_create(100, 100);
    struct admission_arrival arrival = {.nexthop = "relay", .nexthop_length = 5};
    const char *held[10];
    static char keys[10][16];
    struct admission_choice choice;
    int64_t now = SECOND;
    int part;

    for (unsigned i = 0; i < 20; i++) {
        name(keys[i % 10], i % 10);
        held[i % 10] = keys[i % 10];
        arrival.key = keys[i % 10];
        arrival.key_length = strlen(arrival.key);
        cr_assert_eq(admission_arrive(admission, i, &arrival, now), 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        if ((part = harness_start(admission, LIMIT, now)) < 0)
            break;
        cr_assert_geq(
            admission_finished(admission, (unsigned)part, ADMISSION_UNREACHED, MS, now += MS), 0);
    }
    admission_hold(admission, held, 9, now);
    now += 10 * SECOND;
    for (unsigned i = 0; i < 3; i++) {
        choice = admission_next(admission, LIMIT, now);
        if (choice.answer != ADMISSION_START)
            break;
        cr_expect_str_eq(admission_key(admission, choice.part), "d9");
        cr_assert_eq(admission_started(admission, choice.part, now), 0);
        cr_assert_geq(admission_finished(admission, choice.part, ADMISSION_UNREACHED, MS, now), 0);
        now += 10 * SECOND;
    }
    admission_hold(admission, held, 10, now);
    cr_expect_eq(admission_next(admission, LIMIT, now).answer, ADMISSION_HELD);
    admission_hold(admission, held, 0, now);
    cr_expect_eq(admission_next(admission, LIMIT, now).answer, ADMISSION_START);
    admission_destroy(admission);
}
