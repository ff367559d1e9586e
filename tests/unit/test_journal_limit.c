/* supervisor/journal_limit: five, then one a minute with a count. */

#include <criterion/criterion.h>

#include "supervisor/journal/journal_limit.h"

#define SECOND UINT64_C(1000000)

Test(journal_limit, first_five_are_said)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 99;

    for (int i = 0; i < 5; i++) {
        cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 1000 * SECOND, &unsaid));
        cr_expect_eq(unsaid, 0);
    }
    cr_expect_not(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 1000 * SECOND, &unsaid));
}

/* A thousand a second for ten minutes: 5 at once, then 10 lines, and every one is counted. */
Test(journal_limit, flood)
{
    struct journal_limit limit = {0};
    uint64_t lines = 0;
    uint64_t counted = 0;
    uint64_t unsaid = 0;

    for (uint64_t i = 0; i < 600000; i++)
        if (journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 7 * SECOND + i * 1000, &unsaid)) {
            lines++;
            counted += 1 + unsaid;
        }
    cr_expect_eq(lines, 5 + 9);
    cr_expect(journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 607 * SECOND, false, &unsaid));
    cr_expect_eq(counted + unsaid, 600000);
    cr_expect_not(
        journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 900 * SECOND, true, &unsaid));
}

/* Where the number counts most, it is the last line of the burst. */
Test(journal_limit, the_last_line_of_a_burst_for_the_number)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;
    int said = 0;

    for (int i = 0; i < 40; i++)
        said += journal_limit_happened(&limit, JOURNAL_LIMIT_BURST - 1, 0, &unsaid);
    cr_expect_eq(said, 4);
    cr_expect(journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, SECOND, false, &unsaid));
    cr_expect_eq(unsaid, 36);
    cr_expect_not(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST - 1, 2 * SECOND, &unsaid));
    cr_expect_not(
        journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 59 * SECOND, false, &unsaid));
    cr_expect(journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 60 * SECOND, false, &unsaid));
    cr_expect_eq(unsaid, 1);
}

Test(journal_limit, once_a_minute_after_the_burst)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;

    for (int i = 0; i < 8; i++)
        (void)journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 0, &unsaid);
    cr_expect_not(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 60 * SECOND - 1, &unsaid));
    cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 60 * SECOND, &unsaid));
    cr_expect_eq(unsaid, 4);
    cr_expect_not(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 120 * SECOND - 1, &unsaid));
    cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 125 * SECOND, &unsaid));
    cr_expect_eq(unsaid, 1);
    /* and again at 180, not 185: lateness is not added up */
    cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 180 * SECOND, &unsaid));
}

Test(journal_limit, quiet_earns_the_burst_back)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;
    int said = 0;

    for (int i = 0; i < 8; i++)
        (void)journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 0, &unsaid);
    for (int i = 0; i < 8; i++)
        said += journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 3600 * SECOND, &unsaid);
    cr_expect_eq(said, 5);
}

Test(journal_limit, remainder)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;

    cr_expect_not(journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 0, true, &unsaid));
    for (int i = 0; i < 8; i++)
        (void)journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 0, &unsaid);
    cr_expect_not(
        journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 59 * SECOND, false, &unsaid));
    cr_expect(journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 59 * SECOND, true, &unsaid));
    cr_expect_eq(unsaid, 3);
    cr_expect_not(
        journal_limit_remainder(&limit, JOURNAL_LIMIT_BURST, 61 * SECOND, false, &unsaid));
}

Test(journal_limit, clock_that_goes_back)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;

    for (int i = 0; i < 5; i++)
        (void)journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 1000 * SECOND, &unsaid);
    cr_expect_not(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 0, &unsaid));
    cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 1060 * SECOND, &unsaid));
    cr_expect_eq(unsaid, 1);
}

Test(journal_limit, one_line_and_then_counts)
{
    struct journal_limit limit = {0};
    uint64_t unsaid = 0;

    cr_expect(journal_limit_happened(&limit, JOURNAL_LIMIT_BURST, 0, &unsaid));
    limit.unsaid = 7;
    cr_expect_not(journal_limit_remainder(&limit, 1, 59 * SECOND, false, &unsaid));
    cr_expect(journal_limit_remainder(&limit, 1, 60 * SECOND, false, &unsaid));
    cr_expect_eq(unsaid, 7);
    limit.unsaid = 1;
    cr_expect_not(journal_limit_remainder(&limit, 1, 119 * SECOND, false, &unsaid));
    cr_expect(journal_limit_remainder(&limit, 1, 119 * SECOND, true, &unsaid));
}
