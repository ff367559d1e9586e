/* No more workers than raise the rate: supervisor/admission/destination_rate.c. */

#include "tests/unit/admission_harness.h"

#define LIMIT 400
#define STOCK 100

static void start(struct admission *admission, unsigned count, int64_t now)
{
    for (unsigned i = 0; i < count; i++)
        cr_assert_geq(harness_start(admission, LIMIT, now), 0);
}

/* A site that takes `alone` for one has `count` in flight; each of the last 40 that it delivered took `together`. */
static struct admission *site(int64_t alone, int64_t together, unsigned count, int64_t *now)
{
    struct admission *admission = harness_create(1000, 20);

    harness_once(admission, 999, "site", ADMISSION_DELIVERED, alone, 0);
    *now = 10 * SECOND;
    for (unsigned i = 0; i < count + 40; i++)
        harness_arrive(admission, i, "site", FIRST, *now);
    start(admission, count, *now);
    *now += together;
    for (unsigned i = 0; i < 40; i++)
        harness_finish(admission, i, ADMISSION_DELIVERED, together, *now);
    start(admission, 40, *now);
    for (unsigned i = 0; i < 40; i++)
        harness_arrive(admission, i, "site", FIRST, *now);
    return admission;
}

static unsigned runnable(struct admission *admission, int64_t now)
{
    return admission_runnable(admission, LIMIT, now, LIMIT, LIMIT);
}

static unsigned gaining(struct admission *admission, int64_t now)
{
    unsigned before = runnable(admission, now), told;
    unsigned gaining = admission_gaining(admission, LIMIT, now, LIMIT, LIMIT, &told);

    cr_expect_eq(told, before);
    return gaining;
}

static int64_t fixed(unsigned count)
{
    (void)count;
    return 500 * MS;
}

static int64_t shared(unsigned count)
{
    return (int64_t)count * 20 * MS;
}

/* All begin together, at a server that `takes` so long for so many, and the next ones when they have ended. Returns the workers. */
static unsigned waves(int64_t (*takes)(unsigned count), unsigned waves)
{
    struct admission *admission = harness_create(1000, 20);
    unsigned workers = 0;
    int64_t now = 0;

    for (unsigned i = 0; i < LIMIT; i++)
        harness_arrive(admission, i, "site", FIRST, now);
    while (waves-- > 0) {
        int parts[LIMIT];
        unsigned count = 0;
        while (count < workers || gaining(admission, now) > 0) {
            parts[count] = harness_start(admission, LIMIT, now);
            cr_assert_geq(parts[count], 0);
            count++;
            if (count > workers)
                workers = count;
        }
        now += takes(count);
        for (unsigned i = 0; i < count; i++)
            harness_finish(admission, (unsigned)parts[i], ADMISSION_DELIVERED, takes(count), now);
        for (unsigned i = 0; i < count; i++)
            harness_arrive(admission, (unsigned)parts[i], "site", FIRST, now);
    }
    admission_destroy(admission);
    return workers;
}

/* Dovecot takes as many as stock starts, and hangs up on the next. */
Test(admission_rate, one_destination_gets_no_more_workers_than_with_stock)
{
    cr_expect_eq(waves(fixed, 20), STOCK);
    cr_expect_eq(waves(shared, 20), STOCK);
}

/* Its service time is a mean, so at last it is near `together`. */
Test(admission_rate, who_takes_longer_beside_others_gets_no_more_than_with_stock)
{
    int64_t now;
    struct admission *admission = site(20 * MS, 2 * SECOND, STOCK, &now);

    cr_expect_eq(runnable(admission, now), 40, "what is idle may have it");
    cr_expect_eq(gaining(admission, now), 0);
    admission_destroy(admission);
    admission = site(20 * MS, 2 * SECOND, STOCK - 7, &now);
    cr_expect_eq(gaining(admission, now), 7);
    admission_destroy(admission);
}

Test(admission_rate, somebody_else_gets_them)
{
    int64_t now;
    struct admission *admission = site(20 * MS, 2 * SECOND, STOCK, &now);

    harness_arrive(admission, 900, "new", FIRST, now);
    cr_expect_eq(runnable(admission, now), 41);
    cr_expect_eq(gaining(admission, now), 1);
    admission_destroy(admission);
}

/* They may wait for the others, as beyond Dovecot's process_limit: with more workers more would. */
Test(admission_rate, what_hangs_there_counts)
{
    int64_t now;
    struct admission *admission = site(20 * MS, 2 * SECOND, STOCK, &now);

    now += 4 * SECOND;
    cr_expect_eq(runnable(admission, now), 40, "60 have been there for 6 s");
    cr_expect_eq(gaining(admission, now), 0);
    admission_destroy(admission);
}

static int64_t least(struct admission *admission, int64_t now)
{
    struct admission_memory memory;
    uint32_t cursor = 0;

    cr_assert(admission_recall(admission, &cursor, now, &memory));
    return memory.least;
}

/* Another server, a larger disk: what it took once is forgotten, but not in an hour. */
Test(admission_rate, the_least_time_ages)
{
    struct admission *admission = harness_create(10, 10);
    int64_t now = 0;

    harness_once(admission, 0, "site", ADMISSION_DELIVERED, 20 * MS, now);
    for (unsigned i = 0; i < 6 * 3600; i++)
        harness_once(admission, 0, "site", ADMISSION_DELIVERED, 2 * SECOND, now += SECOND);
    cr_expect_eq(least(admission, now), 2 * SECOND);
    harness_once(admission, 0, "site", ADMISSION_DELIVERED, 20 * MS, now);
    for (unsigned i = 0; i < 3600; i++)
        harness_once(admission, 0, "site", ADMISSION_DELIVERED, 2 * SECOND, now += SECOND);
    cr_expect(least(admission, now) > 100 * MS && least(admission, now) < SECOND, "%ld us",
              (long)least(admission, now));
    admission_destroy(admission);
}

Test(admission_rate, it_is_known_after_a_restart)
{
    int64_t now;
    uint32_t cursor = 0;
    struct admission_memory memory;
    struct admission *admission = site(20 * MS, 2 * SECOND, STOCK, &now);

    cr_assert(admission_recall(admission, &cursor, now, &memory));
    cr_expect_lt(memory.least, 21 * MS);
    admission_destroy(admission);
    admission = harness_create(1000, 20);
    cr_assert_eq(admission_teach(admission, &memory, 0), 0);
    for (unsigned i = 0; i < STOCK + 10; i++)
        harness_arrive(admission, i, "site", FIRST, 0);
    start(admission, STOCK, 0);
    cr_expect_eq(runnable(admission, 0), 10);
    cr_expect_eq(gaining(admission, 0), 0);
    admission_destroy(admission);
}
