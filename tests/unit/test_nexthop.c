/* Does a next hop answer? supervisor/admission/nexthop.c */

#include "supervisor/admission/nexthop.h"

#include <criterion/criterion.h>

#define SECOND ADMISSION_SECOND
#define MS (SECOND / 1000)

static struct nexthop fresh(void)
{
    struct nexthop hop = {0};

    nexthop_init(&hop);
    return hop;
}

/* Failures of 3 ms, one each 10 ms, until it is down; -> how many that took. */
static int fail_until_down(struct nexthop *hop, int64_t *now)
{
    for (int i = 1; i <= 100; i++) {
        *now += 10 * MS;
        if (nexthop_failed(hop, *now - 3 * MS, *now))
            return i;
    }
    return -1;
}

Test(nexthop, six_failures_in_a_row_and_it_is_down)
{
    struct nexthop hop = fresh();
    int64_t now = 0;

    cr_expect_eq(fail_until_down(&hop, &now), 6);
    cr_expect_eq(nexthop_state(&hop, 5 * SECOND, now), ADMISSION_NEXTHOP_DOWN);
    cr_expect_eq(hop.failed_since, 10 * MS);
}

Test(nexthop, a_server_that_refuses_five_of_six_is_not_down)
{
    struct nexthop hop = fresh();

    for (int64_t now = 0; now < 60 * SECOND; now += 10 * MS) {
        if (now / (10 * MS) % 6 == 5)
            nexthop_reached(&hop, now - 3 * MS, now);
        else
            cr_assert_not(nexthop_failed(&hop, now - 3 * MS, now), "%ld ms", (long)(now / MS));
    }
}

/* Quick at first, then one each 1.5 s: a minute costs some forty, a return is seen within 1.5 s. */
Test(nexthop, probes_are_a_second_and_a_half_apart_at_most)
{
    struct nexthop hop = fresh();
    int64_t now = 0, before, until;
    int probes = 0;

    fail_until_down(&hop, &now);
    until = now + 60 * SECOND;
    while (nexthop_probe_due(&hop) < until) {
        before = now;
        now = nexthop_probe_due(&hop);
        cr_assert_gt(now, before);
        cr_assert_leq(now - before, 3 * SECOND / 2);
        nexthop_probe_starts(&hop, now);
        nexthop_probe_ends(&hop);
        nexthop_failed(&hop, now, now + 3 * MS);
        probes++;
    }
    cr_expect_geq(probes, 40);
    cr_expect_leq(probes, 50, "%d", probes);
}

Test(nexthop, where_a_failure_takes_long_four_probes_are_under_way)
{
    struct nexthop hop = fresh();
    int64_t now = 30 * SECOND;

    for (int i = 0; i < 6; i++)
        nexthop_failed(&hop, 0, now);
    for (int i = 0; i < 4; i++) {
        now = nexthop_probe_due(&hop);
        cr_assert_neq(now, ADMISSION_NEVER);
        nexthop_probe_starts(&hop, now);
    }
    cr_expect_eq(nexthop_probe_due(&hop), ADMISSION_NEVER);
    nexthop_probe_ends(&hop);
    cr_expect_neq(nexthop_probe_due(&hop), ADMISSION_NEVER);
}

/* A server that stops may still finish what it has. */
Test(nexthop, what_began_before_has_no_say)
{
    struct nexthop hop = fresh();
    int64_t now = 0;

    fail_until_down(&hop, &now);
    cr_expect_not(nexthop_reached(&hop, now - SECOND, now + SECOND));
    cr_expect(hop.down);
    cr_expect(nexthop_reached(&hop, now + SECOND, now + SECOND + MS));
    cr_expect_not(hop.down);
}

/* A delivery that takes 8 s need not end before the others may go. */
Test(nexthop, a_probe_that_lasts_has_reached_the_server)
{
    struct nexthop hop = fresh();
    int64_t now = 0;

    fail_until_down(&hop, &now);
    cr_expect_eq(nexthop_lasts_due(&hop), ADMISSION_NEVER);
    nexthop_probe_starts(&hop, now);
    cr_expect_not(nexthop_lasts(&hop, now + SECOND));
    cr_expect(nexthop_lasts(&hop, now + SECOND + 6 * MS));
    cr_expect_not(hop.down);
}

Test(nexthop, but_not_where_failures_take_that_long)
{
    struct nexthop hop = fresh();
    int64_t now = 30 * SECOND;

    for (int i = 0; i < 6; i++)
        nexthop_failed(&hop, 0, now);
    nexthop_probe_starts(&hop, now);
    cr_expect_not(nexthop_lasts(&hop, now + 60 * SECOND));
    cr_expect(nexthop_lasts(&hop, now + 61 * SECOND));
}

Test(nexthop, three_that_hang_and_nothing_else_is_silence)
{
    struct nexthop hop = fresh();

    nexthop_reached(&hop, 0, 100 * MS);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(nexthop_state(&hop, 5 * SECOND, 7 * SECOND), ADMISSION_NEXTHOP_UP);
        nexthop_hangs(&hop, SECOND + i);
    }
    cr_expect_eq(nexthop_state(&hop, 5 * SECOND, 7 * SECOND), ADMISSION_NEXTHOP_SILENT);
    cr_expect_eq(hop.unheard_since, SECOND);
    nexthop_reached(&hop, 6 * SECOND, 7 * SECOND);
    cr_expect_eq(nexthop_state(&hop, 5 * SECOND, 7 * SECOND), ADMISSION_NEXTHOP_UP);
    cr_expect(nexthop_silenced(&hop, 5 * SECOND, 8 * SECOND));
    cr_expect_not(nexthop_silenced(&hop, 5 * SECOND, 12 * SECOND));
}

/* Of a slow server something is heard all the time. */
Test(nexthop, what_hangs_while_others_answer_is_no_silence)
{
    struct nexthop hop = fresh();

    for (int64_t now = 20 * SECOND; now < 60 * SECOND; now += 100 * MS) {
        nexthop_hangs(&hop, now - 5 * SECOND);
        nexthop_reached(&hop, now - 20 * SECOND, now);
        cr_assert_eq(nexthop_state(&hop, 5 * SECOND, now), ADMISSION_NEXTHOP_UP);
    }
}

/* One fails although others are served: with many in flight that is a crowd, twice as long each time, an hour at most. */
Test(nexthop, a_crowd_is_kept_off_for_an_hour_at_most)
{
    struct nexthop hop = fresh();
    int64_t now = SECOND, before = 0, last = 0;

    for (unsigned i = 0; i < 12; i++) {
        nexthop_reached(&hop, now - MS, now);
        nexthop_crowds(&hop, 5 * SECOND, now);
        last = hop.crowded_until - now;
        cr_expect_geq(last, before, "%u", i);
        nexthop_crowds(&hop, 5 * SECOND, now + SECOND);
        cr_expect_eq(hop.crowded_until, now + last, "it is known already");
        before = last;
        now = hop.crowded_until;
    }
    cr_expect_eq(last, 3600 * SECOND);
    /* It failed when nobody was served: that is no crowd. */
    nexthop_crowds(&hop, 5 * SECOND, now + 6 * SECOND);
    cr_expect_eq(hop.crowded_until, now);
}
