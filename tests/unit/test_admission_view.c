/* What is told of destinations, and what may be taught; and memory that is not there: admission_view.c, admission_create.c. */

#include "tests/unit/admission_harness.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT 64

/* --- lists --------------------------------------------------------------------------------------------- */

Test(admission_view, the_slowest_are_told_once_each)
{
    struct admission *admission = harness_create(100, 100);
    struct admission_view views[8];

    for (unsigned i = 0; i < 6; i++)
        harness_arrive(admission, i, i < 3 ? "a" : i < 5 ? "b" : "c", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, LIMIT, 0, NULL), 6);
    harness_arrive(admission, 6, "a", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, LIMIT, 2 * SECOND), 6);
    admission_next(admission, LIMIT, 10 * SECOND); /* they hang */
    cr_assert_eq(admission_slowest(admission, views, 8), 3);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(views[i].oldest_start, 0, "%s", views[i].key);
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = 0; k < i; k++)
            cr_expect_str_neq(views[i].key, views[k].key);
    cr_expect_eq(admission_slowest(admission, views, 2), 2, "no more than there is room for");
    admission_destroy(admission);
}

/* Thousands that hang at one destination do not make the list take long; who began after them is not told then. */
Test(admission_view, of_very_many_only_the_first_are_looked_at)
{
    struct admission *admission = harness_create(3000, 3000);
    struct admission_view views[8];

    for (unsigned i = 0; i < 1500; i++)
        harness_arrive(admission, i, "crowd", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 8000, 0, NULL), 1500);
    harness_arrive(admission, 1500, "late", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, 8000, SECOND), 1500);
    for (int64_t now = 10 * SECOND; now < 11 * SECOND; now += 10 * MS)
        admission_next(admission, 8000, now);
    cr_expect_eq(admission_slowest(admission, views, 8), 1);
    cr_expect_str_eq(views[0].key, "crowd");
    admission_destroy(admission);
}

Test(admission_view, who_is_in_trouble)
{
    struct admission *admission = harness_create(3000, 3000);
    struct admission_view views[8];
    char key[32];

    harness_once(admission, 0, "good", ADMISSION_DELIVERED, 20 * MS, 0);
    harness_once(admission, 0, "slow", ADMISSION_DELIVERED, 9 * SECOND, SECOND);
    harness_once(admission, 0, "dead", ADMISSION_FAILED, 30 * SECOND, 20 * SECOND);
    harness_arrive(admission, 0, "new", FIRST, 60 * SECOND);
    cr_assert_eq(admission_troubled(admission, views, 8), 2);
    cr_expect_str_eq(views[0].key, "dead", "the one used last comes first");
    cr_expect_str_eq(views[1].key, "slow");
    cr_expect_eq(admission_troubled(admission, views, 1), 1);
    /* Those that nothing is wrong with are passed over, but not for ever. */
    for (unsigned i = 0; i < 2500; i++) {
        snprintf(key, sizeof key, "good%u", i);
        harness_arrive(admission, 1, key, FIRST, 60 * SECOND);
        cr_assert_eq(admission_cancel(admission, 1, 60 * SECOND), 0);
    }
    cr_expect_eq(admission_troubled(admission, views, 8), 0);
    admission_destroy(admission);
}

/* Deferrals for a destination that works by now are told, too: it may be why mail is late. */
Test(admission_view, who_was_deferred_for)
{
    struct admission *admission = harness_create(100, 100);
    struct admission_view views[8];
    int64_t again;

    harness_once(admission, 0, "site", ADMISSION_FAILED, MS, 0);
    harness_arrive(admission, 0, "site", RETRY, SECOND);
    cr_assert_eq(admission_expire(admission, 302 * SECOND, &again), 0);
    cr_assert_eq(admission_troubled(admission, views, 8), 1);
    harness_once(admission, 0, "site", ADMISSION_DELIVERED, MS, 320 * SECOND);
    cr_assert_eq(harness_look(admission, "site").lane, ADMISSION_PROVEN);
    cr_assert_eq(admission_troubled(admission, views, 8), 1);
    cr_expect_eq(views[0].deferred, 1);
    admission_destroy(admission);
}

Test(admission_view, the_longest_queues_are_cut_among_equals)
{
    struct admission *admission = harness_create(100, 100);
    struct admission_view views[8];

    for (unsigned i = 0; i < 7; i++)
        harness_arrive(admission, i, (const char *[]){"a", "b", "c"}[i % 3], RETRY, 0);
    cr_assert_eq(admission_longest(admission, views, 2), 2);
    cr_expect_str_eq(views[0].key, "a");
    cr_expect_eq(views[1].waiting, 2);
    cr_assert_eq(admission_longest(admission, views, 8), 3);
    admission_destroy(admission);
}

/* --- what is taught ------------------------------------------------------------------------------------ */

#define CENTURIES INT64_C(9000000000000000)

static const struct admission_memory proven = {.key = "site",
                                               .success_age = 60 * SECOND,
                                               .failure_age = ADMISSION_NEVER,
                                               .answer_age = ADMISSION_NEVER,
                                               .service = 20 * MS,
                                               .window = 7};

Test(admission_view, nothing_that_cannot_be_is_learned)
{
    struct admission *admission = harness_create(10, 10);
    struct admission_memory wrong[10];
    struct admission_view view;

    for (size_t i = 0; i < 10; i++)
        wrong[i] = proven;
    memset(wrong[0].key, 'x', sizeof wrong[0].key);
    wrong[1].success_age = -1;
    wrong[2].success_age = CENTURIES;
    wrong[3].failure_age = -1;
    wrong[4].answer_age = CENTURIES;
    wrong[5].service = -1;
    wrong[6].service = CENTURIES;
    wrong[7].least = -1;
    wrong[8].least = CENTURIES;
    wrong[9].window = 0;
    for (size_t i = 0; i < 10; i++) {
        cr_expect_eq(admission_teach(admission, &wrong[i], 0), -EINVAL, "%zu", i);
        cr_expect_eq(admission_look(admission, "site", 4, &view), -ENOENT, "%zu", i);
    }
    admission_destroy(admission);
}

Test(admission_view, what_is_known_is_not_learned_again)
{
    struct admission *admission = harness_create(2, 3);
    struct admission_memory other = proven;
    struct admission_counters counters;

    cr_assert_eq(admission_teach(admission, &proven, 0), 0);
    other.service = 8 * SECOND;
    cr_assert_eq(admission_teach(admission, &other, 0), 0);
    cr_expect_eq(harness_look(admission, "site").service, 20 * MS);
    /* Nobody is forgotten for one that comes later in the file. */
    for (int i = 0; i < 5; i++) {
        snprintf(other.key, sizeof other.key, "other%d", i);
        cr_assert_eq(admission_teach(admission, &other, 0), 0);
    }
    admission_count(admission, &counters);
    cr_expect_eq(counters.destinations, 3);
    cr_expect_eq(counters.evicted, 0);
    harness_look(admission, "site");
    admission_destroy(admission);
}

/* Failures have made it small, and its last success is long ago: it stays what it was. */
Test(admission_view, a_small_window_stays_small)
{
    struct admission *admission = harness_create(10, 10);
    struct admission_memory memory = proven;

    memory.success_age = 7200 * SECOND;
    memory.window = 3;
    cr_assert_eq(admission_teach(admission, &memory, 0), 0);
    cr_assert_eq(admission_recall(admission, &(uint32_t){0}, 0, &memory), true);
    cr_expect_eq(memory.window, 3);
    admission_destroy(admission);
}

/* Greylisting is an answer, and no success: its first attempts are ahead of retries to the unknown. */
Test(admission_view, a_quick_answer_is_remembered)
{
    struct admission *before = harness_create(10, 10), *after = harness_create(10, 10);
    struct admission_memory memory;
    uint32_t cursor = 0;

    harness_once(before, 0, "grey", ADMISSION_DEFERRED, 20 * MS, 0);
    cr_assert(admission_recall(before, &cursor, 60 * SECOND, &memory));
    cr_expect_eq(memory.success_age, ADMISSION_NEVER);
    cr_expect_eq(memory.answer_age, 60 * SECOND - 20 * MS);
    cr_assert_eq(admission_teach(after, &memory, 0), 0);
    cr_expect_eq(harness_look(after, "grey").lane, harness_look(before, "grey").lane);
    cr_expect_not(admission_recall(before, &cursor, 60 * SECOND, &memory));
    admission_destroy(before);
    admission_destroy(after);
}

/* A time of months would overflow what is made of it, and says nothing of a server. */
Test(admission_view, a_least_time_of_months_gives_way)
{
    struct admission *admission = harness_create(10, 10);
    struct admission_memory memory = proven;
    uint32_t cursor = 0;

    memory.least = INT64_C(100) * 366 * 24 * 3600 * SECOND;
    cr_assert_eq(admission_teach(admission, &memory, 0), 0);
    harness_arrive(admission, 0, "site", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, LIMIT, SECOND), 0);
    harness_finish(admission, 0, ADMISSION_DELIVERED, 2 * memory.least, 3600 * SECOND);
    cr_assert(admission_recall(admission, &cursor, 3600 * SECOND, &memory));
    cr_expect(memory.least > 0 && memory.least <= 7200 * SECOND, "%ld s",
              (long)(memory.least / SECOND));
    admission_destroy(admission);
}

/* --- memory that is not there -------------------------------------------------------------------------- */

static size_t mapped(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    cr_assert_eq(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whatever it is that does not fit: there is none then, and what was had is given back. */
Test(admission_view, without_memory_there_is_none)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the sanitizer takes most of the address space");
#endif
    struct admission_settings settings;
    struct admission *admission = NULL;
    struct rlimit before, few;
    size_t size = mapped();
    unsigned failed = 0;

    admission_defaults(&settings);
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    for (size_t more = 1 << 18; !admission; more += 1 << 18) {
        few = (struct rlimit){.rlim_cur = size + more, .rlim_max = before.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_AS, &few), 0);
        admission = admission_create(&settings, 100000, 100001);
        cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
        if (admission)
            break;
        failed++;
        cr_assert_leq(mapped(), size + (1 << 18), "with %zu", more);
    }
    cr_expect_gt(failed, 100);
    admission_destroy(admission);
    cr_expect_leq(mapped(), size + (1 << 18));
}

/* Whatever is listed, what waits is counted by what keeps it. */
Test(admission_view, what_keeps_mail_waiting)
{
    struct admission *admission = harness_create(100, 100);
    const char *held[] = {"held"};
    struct admission_arrival paced = {
        .key = "paced", .key_length = 5, .first = true, .pace = 60 * SECOND};
    struct admission_counters counters;
    int64_t now = 60 * SECOND;

    harness_once(admission, 0, "good", ADMISSION_DELIVERED, 20 * MS, 0);
    harness_once(admission, 0, "dead", ADMISSION_FAILED, 30 * SECOND, 20 * SECOND);
    admission_hold(admission, held, 1, now);
    for (unsigned i = 0; i < 5; i++)
        harness_arrive(admission, i, "held", FIRST, now);
    for (unsigned i = 5; i < 9; i++)
        harness_arrive(admission, i, "dead", RETRY, now);
    for (unsigned i = 9; i < 12; i++)
        cr_assert_eq(admission_arrive(admission, i, &paced, now), 0);
    for (unsigned i = 12; i < 14; i++)
        harness_arrive(admission, i, "good", FIRST, now);
    harness_arrive(admission, 14, "new", FIRST, now);
    admission_count(admission, &counters);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_HELD], 5);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_FAILING], 4);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_PACE], 3);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_NUMBER], 0);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_WINDOW], 2);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_NEW], 1);
    /* They run, one of each that may; then what is under way hangs. */
    cr_assert_eq(harness_start_all(admission, 64, now, NULL), 5);
    admission_count(admission, &counters);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_FAILING], 3);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_PACE], 2);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_WINDOW], 0);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_NEW], 0);
    cr_expect_eq(counters.hanging, 0);
    harness_arrive(admission, 20, "new", FIRST, now);
    admission_due(admission, 64, now + 10 * SECOND);
    admission_count(admission, &counters);
    cr_expect_eq(counters.hanging, 5);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_FAILING], 3 + 2 + 1);
    cr_expect_eq(counters.waits[ADMISSION_WAIT_NEW], 0);
    admission_destroy(admission);
}
