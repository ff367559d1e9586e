/* Who may run: what supervisor/admission/admission.h promises, one promise a test. */

#include "tests/unit/admission_harness.h"

#include <errno.h>

Test(admission, sizes_are_checked)
{
    struct admission_settings settings;

    admission_defaults(&settings);
    cr_assert_null(admission_create(&settings, 0, 10));
    cr_assert_null(admission_create(&settings, 10, 0));
    cr_assert_null(admission_create(&settings, ADMISSION_PARTS_MAX + 1, 10));
    admission_destroy(NULL);
}

Test(admission, a_handle_has_one_life_at_a_time)
{
    struct admission *admission = harness_create(2, 2);
    struct admission_arrival arrival = {.key = "a", .key_length = 1};

    cr_assert_eq(admission_arrive(admission, 2, &arrival, 0), -EINVAL);
    cr_assert_eq(admission_started(admission, 0, 0), -EINVAL);
    cr_assert_eq(admission_put_back(admission, 0, 0), -EINVAL);
    cr_assert_eq(admission_cancel(admission, 0, 0), -EINVAL);
    cr_assert_eq(admission_finished(admission, 0, ADMISSION_DELIVERED, 1, 0), -EINVAL);
    harness_arrive(admission, 0, "a", FIRST, 0);
    cr_assert_eq(admission_arrive(admission, 0, &arrival, 0), -EINVAL);
    cr_assert_eq(admission_finished(admission, 0, ADMISSION_DELIVERED, 1, 0), -EINVAL);
    cr_assert_eq(harness_start(admission, 1, 0), 0);
    cr_assert_eq(admission_put_back(admission, 0, 0), -EINVAL, "its bytes went to a worker");
    cr_assert_eq(admission_cancel(admission, 0, 0), -EINVAL);
    harness_finish(admission, 0, ADMISSION_DELIVERED, 1, 1);
    harness_arrive(admission, 0, "a", FIRST, 2);
    admission_destroy(admission);
}

static void prove(struct admission *admission, const char *key, unsigned window, int64_t now)
{
    struct admission_memory memory = {.success_age = 0,
                                      .failure_age = ADMISSION_NEVER,
                                      .answer_age = ADMISSION_NEVER,
                                      .service = 10 * MS,
                                      .window = window};

    snprintf(memory.key, sizeof memory.key, "%s", key);
    cr_assert_eq(admission_teach(admission, &memory, now), 0);
}

/* Retries of a destination of which nothing is known may be a flood. */
Test(admission, the_window_of_retries_is_one_until_the_first_success)
{
    struct admission *admission = harness_create(100, 10);
    int parts[100];

    for (unsigned i = 0; i < 50; i++)
        harness_arrive(admission, i, "a", RETRY, 0);
    cr_assert_eq(harness_start_all(admission, 64, 0, parts), 1);
    harness_finish(admission, (unsigned)parts[0], ADMISSION_DELIVERED, 10 * MS, 10 * MS);
    cr_assert_eq(harness_start_all(admission, 64, 10 * MS, parts), 40, "as nobody else waits");
    harness_finish(admission, (unsigned)parts[0], ADMISSION_DELIVERED, 10 * MS, 20 * MS);
    cr_assert_eq(harness_start_all(admission, 64, 20 * MS, parts + 40), 2, "one ended, one more");
    harness_finish(admission, (unsigned)parts[1], ADMISSION_FAILED, 10 * MS, 30 * MS);
    cr_assert_eq(harness_start_all(admission, 64, 30 * MS, parts + 42), 0, "down on failure");
    admission_destroy(admission);
}

/* A burst to one site that was never seen is no flood: it waits for nobody while three eighths are free. */
Test(admission, first_attempts_need_no_window_while_enough_is_free)
{
    struct admission *admission = harness_create(100, 10);
    int parts[100];

    for (unsigned i = 0; i < 50; i++)
        harness_arrive(admission, i, "a", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 64, 0, parts), 40);
    harness_arrive(admission, 50, "b", FIRST, 0);
    cr_assert_eq(harness_start(admission, 64, 0), 50, "the next one has its own");
    harness_finish(admission, (unsigned)parts[0], ADMISSION_DELIVERED, 10 * MS, 10 * MS);
    cr_assert_eq(harness_start_all(admission, 64, 10 * MS, parts), 1, "40 at once were right");
    admission_destroy(admission);
}

/* While slots are short, each has its window before anybody has more. */
Test(admission, windows_bind_while_slots_are_short)
{
    struct admission *admission = harness_create(300, 10);

    prove(admission, "a", 5, 0);
    prove(admission, "b", 5, 0);
    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "a", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 20, 0, NULL), 12, "five eighths");
    for (unsigned i = 100; i < 200; i++)
        harness_arrive(admission, i, "b", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 20, 0, NULL), 5, "its window");
    cr_assert_eq(harness_look(admission, "a").in_flight, 12);
    admission_destroy(admission);
}

/* Five poisoned messages cost five workers, not the site. */
Test(admission, what_hangs_beside_other_deliveries_leaves_the_window)
{
    struct admission *admission = harness_create(300, 10);
    struct admission_counters counters;

    prove(admission, "a", 5, 0);
    for (unsigned i = 0; i < 5; i++)
        harness_arrive(admission, i, "a", FIRST, 0);
    cr_assert_eq(harness_start_all(admission, 6, 0, NULL), 5);
    cr_assert_eq(harness_look(admission, "a").in_flight, 5);
    harness_arrive(admission, 5, "a", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, 12, SECOND), 5);
    harness_finish(admission, 5, ADMISSION_DELIVERED, 10 * MS, SECOND + 10 * MS);
    for (unsigned i = 5; i < 30; i++)
        harness_arrive(admission, i, "a", FIRST, 6 * SECOND);
    cr_assert_eq(harness_start_all(admission, 12, 6 * SECOND, NULL), 7,
                 "its window: six at once, and one more");
    cr_assert_eq(harness_look(admission, "a").lane, ADMISSION_PROVEN);
    cr_assert_eq(harness_look(admission, "a").hanging, 5);
    admission_count(admission, &counters);
    cr_assert_eq(counters.lane[ADMISSION_SLOW], 5);
    /* In the end it was the message, not the site. */
    for (unsigned i = 0; i < 5; i++)
        harness_finish(admission, i, ADMISSION_FAILED, 120 * SECOND, 120 * SECOND);
    cr_assert_eq(harness_look(admission, "a").lane, ADMISSION_PROVEN);
    cr_assert_eq(harness_look(admission, "a").window, 7);
    admission_destroy(admission);
}

Test(admission, a_slow_destination_keeps_its_window)
{
    struct admission *admission = harness_create(200, 10);
    unsigned in_flight = 0;
    int64_t now = 0;
    int parts[100];

    for (unsigned i = 0; i < 150; i++)
        harness_arrive(admission, i, "slow", FIRST, 0);
    for (int round = 0; round < 3; round++) {
        in_flight = harness_start_all(admission, 64, now, parts);
        cr_assert_geq(in_flight, 32, "%u in round %d", in_flight, round);
        now += 8 * SECOND;
        for (unsigned i = 0; i < in_flight; i++)
            harness_finish(admission, (unsigned)parts[i], ADMISSION_DELIVERED, 8 * SECOND, now);
    }
    cr_assert_eq(harness_look(admission, "slow").lane, ADMISSION_SLOW);
    cr_assert_eq(admission_expire(admission, now + 1, NULL), -1, "none is deferred");
    admission_destroy(admission);
}

Test(admission, bursts_of_errors_do_not_stop_a_destination_that_delivers)
{
    struct admission *admission = harness_create(10, 10);
    int64_t now = 0;

    for (int i = 0; i < 20; i++) {
        harness_once(admission, 0, "busy", ADMISSION_DELIVERED, 10 * MS, now);
        now += SECOND;
        for (int j = 0; j < 4; j++, now += SECOND)
            harness_once(admission, 0, "busy", ADMISSION_FAILED, 5 * MS, now);
        cr_assert_eq(harness_look(admission, "busy").lane, ADMISSION_PROVEN);
    }
    admission_destroy(admission);
}

Test(admission, evidence_makes_the_lane)
{
    struct admission *admission = harness_create(10, 10);

    harness_once(admission, 0, "quick", ADMISSION_DELIVERED, 10 * MS, 0);
    harness_once(admission, 0, "slow", ADMISSION_DELIVERED, 6 * SECOND, 0);
    harness_once(admission, 0, "hangs", ADMISSION_DEFERRED, 30 * SECOND, 0);
    harness_once(admission, 0, "refuses", ADMISSION_FAILED, 10 * MS, 40 * SECOND);
    harness_once(admission, 0, "greylists", ADMISSION_DEFERRED, 10 * MS, 41 * SECOND);
    harness_once(admission, 0, "crashes", ADMISSION_LOST, 30 * SECOND, 42 * SECOND);
    cr_assert_eq(harness_look(admission, "quick").lane, ADMISSION_PROVEN);
    cr_assert_eq(harness_look(admission, "slow").lane, ADMISSION_SLOW);
    cr_assert_eq(harness_look(admission, "hangs").lane, ADMISSION_DEAD);
    cr_assert_eq(harness_look(admission, "refuses").lane, ADMISSION_DEAD);
    cr_assert_eq(harness_look(admission, "greylists").lane, ADMISSION_FIRST);
    cr_assert_eq(harness_look(admission, "crashes").lane, ADMISSION_UNKNOWN);
    /* It answers again. */
    harness_once(admission, 0, "hangs", ADMISSION_DELIVERED, 10 * MS, 80 * SECOND);
    cr_assert_eq(harness_look(admission, "hangs").lane, ADMISSION_PROVEN);
    /* What is older than an hour is no evidence. */
    harness_arrive(admission, 0, "quick", RETRY, 3700 * SECOND);
    cr_assert_eq(harness_look(admission, "quick").lane, ADMISSION_FIRST);
    harness_arrive(admission, 1, "refuses", RETRY, 3700 * SECOND);
    cr_assert_eq(harness_look(admission, "refuses").lane, ADMISSION_UNKNOWN);
    admission_destroy(admission);
}

Test(admission, who_hangs_now_is_not_proven)
{
    struct admission *admission = harness_create(100, 10);
    struct admission_counters counters;

    prove(admission, "a", 5, 0);
    for (unsigned i = 0; i < 20; i++)
        harness_arrive(admission, i, "a", RETRY, 0);
    cr_assert_eq(harness_start_all(admission, 8, 0, NULL), 5);
    cr_assert_eq(harness_look(admission, "a").lane, ADMISSION_PROVEN);
    cr_assert_eq(harness_start(admission, 8, 6 * SECOND), -1);
    cr_assert_eq(harness_look(admission, "a").lane, ADMISSION_SLOW);
    cr_assert_eq(harness_look(admission, "a").hanging, 5);
    admission_count(admission, &counters);
    cr_assert_eq(counters.lane[ADMISSION_SLOW], 5, "its parts are charged to that lane");
    admission_destroy(admission);
}

Test(admission, one_destination_has_half_while_others_wait_and_all_when_alone)
{
    struct admission *admission = harness_create(200, 10);
    int parts[200];

    prove(admission, "big", 5, 0);
    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "big", FIRST, 0);
    /* Its window grows far beyond the limit. */
    for (int64_t now = 0; now < 100; now++) {
        harness_start_all(admission, 64, now, parts);
        harness_finish(admission, (unsigned)parts[0], ADMISSION_DELIVERED, MS, now);
        harness_arrive(admission, (unsigned)parts[0], "big", FIRST, now);
    }
    harness_start_all(admission, 64, 100, NULL);
    prove(admission, "small", 5, 10 * MS);
    cr_assert_eq(harness_look(admission, "big").in_flight, 64, "alone");
    for (unsigned i = 0; i < 100; i++)
        if (admission_finished(admission, i, ADMISSION_DELIVERED, MS, 11 * MS) == 0)
            harness_arrive(admission, i, "big", FIRST, 11 * MS);
    for (unsigned i = 100; i < 200; i++)
        harness_arrive(admission, i, i % 2 == 0 ? "small" : "other", FIRST, 12 * MS);
    prove(admission, "other", 40, 12 * MS);
    cr_assert_eq(harness_start_all(admission, 12, 12 * MS, NULL), 12);
    cr_assert_leq(harness_look(admission, "big").in_flight, 6);
    admission_destroy(admission);
}

Test(admission, the_newest_first_attempt_goes_first_and_ahead_of_retries)
{
    struct admission *admission = harness_create(10, 10);

    harness_arrive(admission, 0, "retry", RETRY, 0);
    harness_arrive(admission, 1, "older", FIRST, 1);
    harness_arrive(admission, 2, "newer", FIRST, 2);
    cr_assert_eq(harness_start(admission, 64, 3), 2);
    cr_assert_eq(harness_start(admission, 64, 3), 1);
    cr_assert_eq(harness_start(admission, 64, 3), 0);
    admission_destroy(admission);
}

Test(admission, a_first_attempt_that_waited_stays_ahead_of_retries_behind_newer_ones)
{
    struct admission *admission = harness_create(10, 10);

    harness_arrive(admission, 1, "waited", FIRST, 0);
    harness_arrive(admission, 0, "retry", RETRY, 0);
    cr_assert_eq(admission_next(admission, 0, 6 * SECOND).answer, ADMISSION_LIMIT);
    harness_arrive(admission, 2, "newer", FIRST, 6 * SECOND);
    cr_assert_eq(harness_start(admission, 64, 9 * SECOND), 2);
    cr_assert_eq(harness_start(admission, 64, 9 * SECOND), 1);
    cr_assert_eq(harness_start(admission, 64, 9 * SECOND), 0);
    admission_destroy(admission);
}

/* Three at once, eight in the bucket, three a second: with none coming back that bounds a flood of new domains. */
Test(admission, never_seen_destinations_are_bounded_in_rate_and_good_ones_are_not)
{
    struct admission *admission = harness_create(4000, 4000);
    unsigned started = 0;
    int64_t now = 0;
    char key[24];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "dead%u", i);
        harness_arrive(admission, i, key, FIRST, 0);
    }
    started = harness_start_all(admission, 64, 0, NULL);
    cr_assert_leq(started, 8);
    for (; now < 4 * SECOND; now += 10 * MS)
        started += harness_start_all(admission, 64, now, NULL);
    cr_assert_leq(started, 8 + 4 * 3 + 1);
    cr_assert_geq(started, 8, "but it goes on");
    for (unsigned i = 0; i < 500; i++, now += 20 * MS) {
        snprintf(key, sizeof key, "good%u", i);
        harness_arrive(admission, 1000 + i, key, FIRST, now);
        int part = harness_start(admission, 64, now);
        for (; part >= 0 && part != (int)(1000 + i); part = harness_start(admission, 64, now))
            ;
        if (part >= 0)
            harness_finish(admission, (unsigned)part, ADMISSION_DELIVERED, 10 * MS, now + 10 * MS);
        else
            started++; /* counts those that had to wait, from here on */
    }
    cr_assert_lt(started, 8 + 4 * 3 + 1 + 100, "nearly all good ones start at once");
    admission_destroy(admission);
}

/* Without a free worker nobody may choose; the time must be the same all the same, or a token that is there waits. */
Test(admission, when_to_ask_again_is_known_without_choosing)
{
    struct admission *admission = harness_create(100, 100);
    int64_t now = 10 * SECOND, due;
    char key[16];

    for (unsigned i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "new%u", i);
        harness_arrive(admission, i, key, FIRST, now);
    }
    harness_start_all(admission, 64, now, NULL);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(admission_runnable(admission, 64, now, 64, 64), 0);
        due = admission_due(admission, 64, now);
        cr_assert(due > now && due < now + 2 * SECOND, "in %lld us", (long long)(due - now));
        cr_assert_eq(admission_runnable(admission, 64, due - 2, 64, 64), 0, "earlier than it said");
        cr_assert_gt(admission_runnable(admission, 64, due, 64, 64), 0, "not when it said");
        now = due;
        harness_start_all(admission, 64, now, NULL);
    }
    admission_destroy(admission);
}

Test(admission, pace_keeps_starts_apart)
{
    struct admission *admission = harness_create(100, 10);
    struct admission_arrival arrival = {
        .key = "paced", .key_length = 5, .first = true, .pace = 2 * SECOND};
    int64_t now = 0, last = -2 * SECOND;
    unsigned started = 0;

    prove(admission, "paced", 5, 0);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(admission_arrive(admission, i, &arrival, 0), 0);
    while (started < 10) {
        struct admission_choice choice = admission_next(admission, 64, now);
        if (choice.answer == ADMISSION_START) {
            cr_assert_geq(now - last, 2 * SECOND);
            last = now;
            started++;
            harness_finish(admission, choice.part, ADMISSION_DELIVERED, MS, now + MS);
            continue;
        }
        cr_assert_eq(choice.answer, ADMISSION_HELD);
        cr_assert_eq(choice.again, last + 2 * SECOND);
        now = choice.again;
    }
    admission_destroy(admission);
}

/* A server that is down for half a minute does not cost thousands of attempts, and is found alive soon after. */
Test(admission, refusals_in_a_row_are_backed_off)
{
    struct admission *admission = harness_create(3000, 10);
    unsigned attempts = 0;
    int64_t now = 0;

    for (unsigned i = 0; i < 2000; i++)
        harness_arrive(admission, i, "down", RETRY, 0);
    while (now < 30 * SECOND) {
        struct admission_choice choice = admission_next(admission, 64, now);
        if (choice.answer == ADMISSION_START) {
            attempts++;
            now += MS;
            harness_finish(admission, choice.part, ADMISSION_FAILED, MS, now);
            continue;
        }
        cr_assert_neq(choice.again, ADMISSION_NEVER);
        cr_assert_gt(choice.again, now);
        now = choice.again;
    }
    cr_assert_lt(attempts, 20);
    cr_assert_geq(harness_start(admission, 64, now + 8 * SECOND), 0);
    admission_destroy(admission);
}

Test(admission, put_back_is_next_again)
{
    struct admission *admission = harness_create(10, 10);
    struct admission_choice choice;

    prove(admission, "a", 5, 0);
    for (unsigned i = 0; i < 5; i++)
        harness_arrive(admission, i, "a", FIRST, 0);
    choice = admission_next(admission, 1, 0);
    cr_assert_eq(choice.part, 0);
    cr_assert_eq(admission_put_back(admission, 0, 1), 0);
    cr_assert_eq(harness_look(admission, "a").in_flight, 0);
    cr_assert_eq(harness_look(admission, "a").last_failure, ADMISSION_NEVER);
    choice = admission_next(admission, 1, 2);
    cr_assert_eq(choice.part, 0);
    admission_destroy(admission);
}

Test(admission, first_attempts_pass_retries_of_the_same_destination_but_do_not_starve_them)
{
    struct admission *admission = harness_create(100, 10);
    unsigned retries = 0;

    prove(admission, "a", 5, 0);
    for (unsigned i = 0; i < 50; i++)
        harness_arrive(admission, i, "a", RETRY, 0);
    for (unsigned i = 50; i < 100; i++)
        harness_arrive(admission, i, "a", FIRST, 1);
    cr_assert_geq(harness_start(admission, 1, 2), 50);
    harness_finish(admission, 50, ADMISSION_DELIVERED, MS, 3);
    for (int i = 0; i < 20; i++) {
        int part = harness_start(admission, 1, 4);
        if (part < 50)
            retries++;
        harness_finish(admission, (unsigned)part, ADMISSION_DELIVERED, MS, 5);
    }
    cr_assert(retries >= 3 && retries <= 10, "%u", retries);
    admission_destroy(admission);
}

Test(admission, the_table_is_bounded_and_the_busy_stay)
{
    struct admission *admission = harness_create(4, 8);
    struct admission_counters counters;
    struct admission_view view;
    char key[24];

    harness_arrive(admission, 0, "waits", RETRY, 0);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "d%u", i);
        harness_arrive(admission, 1, key, FIRST, i);
        cr_assert_eq(admission_cancel(admission, 1, i), 0);
    }
    admission_count(admission, &counters);
    cr_assert_eq(counters.destinations, 8);
    cr_assert_eq(counters.evicted, 93);
    cr_assert_eq(admission_look(admission, "waits", 5, &view), 0);
    cr_assert_eq(view.waiting, 1);
    cr_assert_eq(admission_look(admission, "d99", 3, &view), 0);
    cr_assert_eq(admission_look(admission, "d1", 2, &view), -ENOENT);
    admission_destroy(admission);
}

Test(admission, keys_of_any_length_and_content)
{
    struct admission *admission = harness_create(4, 8);
    char one[5000], two[5000];
    struct admission_arrival arrival = {.key = one, .key_length = sizeof one};
    struct admission_counters counters;

    memset(one, 'x', sizeof one);
    memset(two, 'x', sizeof two);
    two[4999] = 'y';
    cr_assert_eq(admission_arrive(admission, 0, &arrival, 0), 0);
    arrival.key = two;
    cr_assert_eq(admission_arrive(admission, 1, &arrival, 0), 0);
    arrival = (struct admission_arrival){.key = "", .key_length = 0};
    cr_assert_eq(admission_arrive(admission, 2, &arrival, 0), 0);
    arrival = (struct admission_arrival){.key = "a\0b", .key_length = 3};
    cr_assert_eq(admission_arrive(admission, 3, &arrival, 0), 0);
    admission_count(admission, &counters);
    cr_assert_eq(counters.destinations, 4, "those that differ only at the end are two");
    admission_destroy(admission);
}

Test(admission, shares_are_nested_and_nobody_has_none)
{
    for (unsigned limit = 1; limit < 300; limit++) {
        unsigned above = admission_share(ADMISSION_PROVEN, limit);
        cr_assert_eq(above, limit);
        for (int lane = 1; lane < ADMISSION_LANES; lane++) {
            unsigned share = admission_share(lane, limit);
            cr_assert(share >= 1 && share <= above);
            if (limit >= ADMISSION_LANES && lane > ADMISSION_FIRST)
                cr_assert_lt(share, above, "a slot of its own for the lane above");
            above = share;
        }
    }
}

Test(admission, the_longest_and_the_slowest_are_found)
{
    struct admission *admission = harness_create(100, 100);
    struct admission_view views[3];
    char key[24];

    for (unsigned i = 0; i < 60; i++) {
        unsigned domain = i < 10 ? i : i < 30 ? 20 : 30;
        snprintf(key, sizeof key, "d%u", domain);
        harness_arrive(admission, i, key, RETRY, i);
    }
    cr_assert_eq(admission_longest(admission, views, 3), 3);
    cr_assert_str_eq(views[0].key, "d30");
    cr_assert_eq(views[0].waiting, 30);
    cr_assert_str_eq(views[1].key, "d20");
    cr_assert_eq(views[2].waiting, 1);
    cr_assert_eq(admission_slowest(admission, views, 3), 0);
    int first = harness_start(admission, 64, 100);
    cr_assert_geq(first, 0);
    cr_assert_geq(harness_start(admission, 64, 7 * SECOND), 0);
    cr_assert_eq(admission_slowest(admission, views, 3), 2);
    cr_assert_eq(views[0].oldest_start, 100);
    admission_destroy(admission);
}
