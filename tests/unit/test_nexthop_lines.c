/* supervisor/report/nexthop_lines.c, read where journald would read it. */

#include "supervisor/report/nexthop_lines.h"
#include "tests/unit/admission_harness.h"
#include "tests/unit/journald.h"

static struct {
    struct complaints complaints;
    struct report_view view;
    struct nexthop_lines lines;
    struct admission *admission;
    int64_t now;
} t;

static void set_up(void)
{
    static struct config config;

    journald_open();
    t.complaints.journal = journald.journal;
    t.admission = harness_create(100, 100);
    t.view = (struct report_view){.admission = t.admission, .config = &config};
    t.now = 5000 * SECOND;
}

static void tear_down(void)
{
    admission_destroy(t.admission);
    journald_close();
}

TestSuite(nexthop_lines, .init = set_up, .fini = tear_down);

/* One message to a domain behind the relay, which takes 3 ms. */
static void message(enum admission_outcome outcome)
{
    static unsigned domain;
    char key[16];
    struct admission_arrival arrival = {
        .key = key, .nexthop = "relay", .nexthop_length = 5, .first = true};
    unsigned part = ++domain % 100;

    arrival.key_length = (size_t)snprintf(key, sizeof key, "d%u", domain % 7);
    cr_assert_eq(admission_arrive(t.admission, part, &arrival, t.now), 0);
    if (harness_start(t.admission, 64, t.now) >= 0)
        cr_assert_geq(admission_finished(t.admission, part, outcome, 3 * MS, t.now + 3 * MS), 0);
    t.now += 3 * MS;
}

static void tick(int64_t after)
{
    t.now += after;
    t.view.now = (uint64_t)t.now;
    nexthop_lines_tick(&t.lines, &t.view, &t.complaints);
}

/* Goes down, and its mail is tried until it is up. */
static void outage(int64_t length)
{
    int64_t until = t.now + length;
    struct admission_choice choice;

    for (int i = 0; i < 10; i++)
        message(ADMISSION_UNREACHED);
    while (t.now < until)
        tick(SECOND);
    for (int tries = 0; tries < 100; tries++) {
        choice = admission_next(t.admission, 64, t.now);
        if (choice.answer == ADMISSION_EMPTY)
            break;
        if (choice.answer == ADMISSION_START)
            cr_assert_eq(
                admission_finished(t.admission, choice.part, ADMISSION_DELIVERED, MS, t.now), 0);
        else
            t.now = choice.again;
    }
    tick(SECOND);
}

Test(nexthop_lines, one_that_it_does_not_answer_and_one_that_it_does)
{
    message(ADMISSION_DELIVERED);
    tick(SECOND);
    outage(5 * SECOND);
    outage(0); /* shorter than a second */
    journald_mark();
    cr_assert(journald_next());
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "nexthop-down");
    cr_expect_str_eq(journald_field("HEADROOM_NEXTHOP"), "relay");
    cr_expect_eq(journald_number("HEADROOM_WAITING"), 4);
    cr_expect_eq(journald_number("PRIORITY"), LOG_WARNING);
    cr_expect(strstr(journald_text(), "next hop relay does not answer: for 1 s 6 deliveries"), "%s",
              journald_text());
    cr_assert(journald_next());
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "nexthop-up");
    cr_expect_eq(journald_number("PRIORITY"), LOG_NOTICE);
    cr_expect(strstr(journald_text(), "next hop relay answers again, after 6 s"), "%s",
              journald_text());
    cr_expect_not(journald_next());
}

/* Silence is told as well. */
Test(nexthop_lines, deliveries_that_hang)
{
    char key[16];
    struct admission_arrival arrival = {
        .key = key, .nexthop = "relay", .nexthop_length = 5, .first = true};

    for (unsigned i = 0; i < 5; i++) {
        arrival.key_length = (size_t)snprintf(key, sizeof key, "d%u", i);
        cr_assert_eq(admission_arrive(t.admission, i, &arrival, t.now), 0);
    }
    cr_assert_eq(harness_start_all(t.admission, 64, t.now, NULL), 5);
    tick(SECOND);
    t.now += 5 * SECOND;
    cr_assert_eq(admission_next(t.admission, 64, t.now).answer, ADMISSION_EMPTY);
    tick(0);
    tick(SECOND);
    harness_finish(t.admission, 0, ADMISSION_DELIVERED, 7 * SECOND, t.now);
    tick(0);
    journald_mark();
    cr_assert(journald_next());
    cr_expect(strstr(journald_text(), "nothing was heard of it for 6 s"), "%s", journald_text());
    cr_assert(journald_next());
    cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "nexthop-up");
    cr_expect_not(journald_next());
}

/* One more than stock would start is refused, twice, while others are served. */
Test(nexthop_lines, more_than_stock_are_refused)
{
    struct admission_settings settings;
    char key[16];
    struct admission_arrival arrival = {
        .key = key, .nexthop = "relay", .nexthop_length = 5, .first = true};
    unsigned most, started = 0;
    int part;

    admission_defaults(&settings);
    admission_destroy(t.admission);
    most = 3 * settings.stock;
    t.admission = harness_create(2 * most, 100);
    t.view.admission = t.admission;
    for (unsigned i = 0; i < 100; i++)
        message(ADMISSION_DELIVERED);
    for (unsigned i = 0; i < most; i++) {
        arrival.key_length = (size_t)snprintf(key, sizeof key, "d%u", i % 7);
        cr_assert_eq(admission_arrive(t.admission, 100 + i, &arrival, t.now), 0);
    }
    for (; started < settings.stock; started++)
        cr_assert_geq(harness_start(t.admission, most, t.now), 0);
    for (int i = 0; i < 2; i++) {
        part = harness_start(t.admission, most, t.now);
        cr_assert_geq(part, 0);
        harness_finish(t.admission, (unsigned)part, ADMISSION_DELIVERED, MS, t.now);
        part = harness_start(t.admission, most, t.now);
        cr_assert_geq(part, 0);
        harness_finish(t.admission, (unsigned)part, ADMISSION_UNREACHED, MS, t.now);
        tick(0);
        tick(SECOND);
        tick(60 * SECOND);
    }
    journald_mark();
    for (int seconds = 60; seconds <= 120; seconds += 60) {
        char text[80];

        cr_assert(journald_next());
        cr_expect_str_eq(journald_field("HEADROOM_EVENT"), "nexthop-crowded");
        snprintf(text, sizeof text, "no more are begun for %d s", seconds);
        cr_expect(strstr(journald_text(), text), "%s", journald_text());
        snprintf(text, sizeof text, "next hop relay refuses more than %u ", settings.stock);
        cr_expect(strstr(journald_text(), text), "%s", journald_text());
    }
    cr_expect_not(journald_next());
}

/* Five lines, and no line that it answers again without the one before. */
Test(nexthop_lines, a_server_that_comes_and_goes)
{
    unsigned down = 0, up = 0;

    for (int i = 0; i < 20; i++)
        outage(2 * SECOND);
    journald_mark();
    while (journald_next())
        if (strcmp(journald_field("HEADROOM_EVENT"), "nexthop-up") == 0)
            up++;
        else
            down++;
    cr_expect_geq(down, 5);
    cr_expect_leq(down, 7);
    cr_expect_eq(up, down);
}
