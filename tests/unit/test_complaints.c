/* supervisor/report/complaints.c: five lines, then one a minute, and each time is counted; read where journald would read it. */

#include <inttypes.h>

#include "supervisor/report/complaints.h"
#include "tests/unit/journald.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define BEGUN (5000 * SECOND)

TestSuite(complaints, .init = journald_open, .fini = journald_close);

static struct complaints fresh(void)
{
    return (struct complaints){.journal = journald.journal};
}

static bool refuse(struct complaints *complaints, uint64_t now, unsigned number)
{
    const struct journal_field field = JOURNAL_TEXT("HEADROOM_QUEUE_ID", "AAAA1");

    return complain(complaints, COMPLAINT_REFUSED, now, &field, 1, "number %u", number);
}

Test(complaints, a_line_has_event_priority_and_fields)
{
    struct complaints complaints = fresh();

    cr_expect(refuse(&complaints, BEGUN, 1));
    journald_read();
    cr_expect_str_eq(journald_text(), "number 1");
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "request-refused");
    cr_expect_str_eq(journald_field("PRIORITY"), "4");
    cr_expect_str_eq(journald_field("HEADROOM_QUEUE_ID"), "AAAA1");
    cr_expect_str_eq(journald_field("HEADROOM_UNSAID"), "0");
    /* Nothing can be started: an error, and without fields of its own. */
    cr_expect(complain(&complaints, COMPLAINT_START, BEGUN, NULL, 0, "%s", "no"));
    journald_read();
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "worker-start-failed");
    cr_expect_str_eq(journald_field("PRIORITY"), "3");
    cr_expect_str_eq(journald_field("HEADROOM_UNSAID"), "0");
}

/* With as many fields as a line takes, the last one of the caller's makes room. */
Test(complaints, a_line_full_of_fields)
{
    struct complaints complaints = fresh();
    struct journal_field fields[JOURNAL_FIELDS_MAX];

    for (unsigned i = 0; i < JOURNAL_FIELDS_MAX; i++)
        fields[i] = JOURNAL_NUMBER("HEADROOM_VALUE", i);
    cr_expect(complain(&complaints, COMPLAINT_LOST, BEGUN, fields, JOURNAL_FIELDS_MAX, "full"));
    journald_read();
    cr_expect_str_eq(journald_field("HEADROOM_UNSAID"), "0");
}

/* Ten a second for ten minutes, and then no more: all are in a line, by themselves or as a number. */
Test(complaints, each_time_is_counted)
{
    const uint64_t end = BEGUN + 10 * MINUTE;
    struct complaints complaints = fresh();
    uint64_t counted = 0, lines = 0;

    for (uint64_t now = BEGUN, number = 0; now < end; now += SECOND / 10)
        if (refuse(&complaints, now, (unsigned)number++)) {
            journald_read();
            counted += 1 + journald_number("HEADROOM_UNSAID");
            lines++;
        }
    cr_expect_eq(lines, 5 + 9, "%" PRIu64 " lines", lines);
    /* Another kind is not held back by it. */
    cr_expect(complain(&complaints, COMPLAINT_LOST, end, NULL, 0, "lost"));
    journald_read();
    complaints_flush(&complaints, end + MINUTE, false);
    journald_read();
    counted += journald_number("HEADROOM_UNSAID");
    cr_expect_eq(counted, 6000, "%" PRIu64, counted);
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "request-refused");
    cr_expect_not_null(strstr(journald_text(), " more delivery requests were refused"), "%s",
                       journald_text());
}

/* A flush has no more lines than complaints have, but for the last one; it tells nothing twice. */
Test(complaints, a_flush_is_bounded_but_for_the_last)
{
    struct complaints complaints = fresh();

    for (unsigned i = 0; i < 5 + 3; i++)
        cr_expect_eq(refuse(&complaints, BEGUN, i), i < 5);
    complaints_flush(&complaints, BEGUN + SECOND, false);
    journald_mark();
    for (unsigned i = 0; i < 5; i++)
        cr_expect(journald_next());
    cr_expect_not(journald_next(), "%s", journald_text());
    complaints_flush(&complaints, BEGUN + SECOND, true);
    journald_read();
    cr_expect_eq(journald_number("HEADROOM_UNSAID"), 3);
    complaints_flush(&complaints, BEGUN + 2 * MINUTE, true);
    journald_mark();
    cr_expect_not(journald_next(), "%s", journald_text());
}

/* Each kind has its words for the rest. How many workers were lost at once is told at the next tick. */
Test(complaints, all_kinds_are_told)
{
    struct complaints complaints = fresh();
    char start[32];

    for (int which = 0; which < COMPLAINTS; which++) {
        unsigned lines = 0;

        for (unsigned i = 0; i < 5 + 2; i++)
            lines += complain(&complaints, (enum complaint)which, BEGUN, NULL, 0, "%d", which);
        cr_expect_eq(lines, which == COMPLAINT_LOST ? 4 : 5, "%d: %u lines", which, lines);
        for (unsigned i = 0; i < lines; i++)
            journald_read();
        complaints_flush(&complaints, BEGUN, which != COMPLAINT_LOST);
        journald_read();
        snprintf(start, sizeof start, "%u more ", 7 - lines);
        cr_expect_eq(strncmp(journald_text(), start, strlen(start)), 0, "%s", journald_text());
        cr_expect_null(strstr(journald_text(), "null"), "%s", journald_text());
    }
}
