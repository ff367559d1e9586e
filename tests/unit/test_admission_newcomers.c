/* The waiting room: victims of whom nothing is known, and newcomers while others are delivered to. */

#include "tests/unit/admission_harness.h"

/* `count` first attempts to as many destinations, from `from` on, all of them victims. */
static void newcomers(struct admission *admission, unsigned from, unsigned count, int64_t now)
{
    char key[16];

    for (unsigned i = from; i < from + count; i++) {
        snprintf(key, sizeof key, "new%u", i);
        harness_arrive(admission, i, key, FIRST, now);
    }
    for (unsigned i = 0; i < count; i++)
        cr_assert_geq(admission_victim(admission, now + 6 * SECOND), 0);
}

/* 4000 messages to 4000 new domains: a third of them stood beside idle workers, to be deferred. Stock delivers them. */
Test(admission_newcomers, a_victim_of_whom_nothing_is_known_waits_again_in_a_free_room)
{
    struct admission *admission = harness_create(100, 100);
    int64_t now = 6 * SECOND;
    struct admission_leave leave;

    harness_arrive(admission, 99, "dead", RETRY, 0);
    cr_assert_eq(harness_start(admission, 16, 0), 99);
    harness_finish(admission, 99, ADMISSION_FAILED, SECOND, SECOND);
    harness_arrive(admission, 99, "dead", RETRY, SECOND);
    cr_assert_eq(admission_victim(admission, SECOND), 99);
    newcomers(admission, 0, 60, 0);
    for (unsigned i = 0; i < 60; i++) {
        leave = admission_leave(admission, false, ADMISSION_ROOMY, now);
        cr_assert(leave.part >= 0 && leave.part != 99 && leave.stays);
    }
    leave = admission_leave(admission, false, ADMISSION_ROOMY, now);
    cr_assert(leave.part == 99 && !leave.stays, "its time");
    admission_destroy(admission);
}

/* Those who were tried do not answer: it may be a flood, and no more come back than workers might begin with. */
Test(admission_newcomers, few_come_back_where_newcomers_do_not_answer)
{
    struct admission *admission = harness_create(100, 100);
    int64_t now = 6 * SECOND;
    unsigned back = 0;

    harness_arrive(admission, 97, "silent", FIRST, 0);
    harness_arrive(admission, 98, "also", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 16, 0, NULL), 2);
    newcomers(admission, 0, 60, 0);
    (void)admission_due(admission, 16, now);
    while (admission_leave(admission, false, ADMISSION_ROOMY, now).part >= 0)
        back++;
    cr_assert_eq(back, 16);
    admission_destroy(admission);
}

/* A quick delivery to one newcomer: the others are spared for as long as such are made, and those that are victims stay. */
Test(admission_newcomers, newcomers_are_spared_while_others_are_delivered_to)
{
    struct admission *admission = harness_create(100, 100);
    int part;

    newcomers(admission, 0, 20, 0);
    harness_arrive(admission, 98, "new98", FIRST, 0);
    harness_arrive(admission, 99, "new99", FIRST, 0);
    part = harness_start(admission, 16, 6 * SECOND);
    cr_assert(part == 98 || part == 99);
    harness_finish(admission, (unsigned)part, ADMISSION_DELIVERED, SECOND / 10, 6 * SECOND);
    harness_arrive(admission, 97, part == 98 ? "new99" : "new98", RETRY, 6 * SECOND);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), 97);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), -1);
    cr_assert_eq(admission_leave(admission, false, ADMISSION_FULL, 60 * SECOND).part, -1);
    cr_assert_eq(harness_look(admission, "new0").deferred, 0);
    /* That was long ago. */
    (void)admission_due(admission, 16, 60 * SECOND);
    cr_assert_eq(admission_victim(admission, 60 * SECOND), 98 + 99 - part);
    cr_assert_not(admission_leave(admission, false, ADMISSION_FULL, 120 * SECOND).stays);
    admission_destroy(admission);
}

Test(admission_newcomers, who_does_not_answer_does_not_come_back)
{
    struct admission *admission = harness_create(100, 100);
    int64_t now = 6 * SECOND;

    harness_arrive(admission, 0, "silent", FIRST, 0);
    cr_assert_eq(harness_start(admission, 64, 0), 0);
    harness_arrive(admission, 1, "silent", FIRST, 0);
    (void)admission_due(admission, 64, now);
    cr_assert_eq(admission_victim(admission, now), 1);
    cr_assert_eq(admission_leave(admission, false, ADMISSION_ROOMY, now).part, -1);
    admission_destroy(admission);
}
