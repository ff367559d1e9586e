/* The waiting room: who leaves it undelivered, and how fast. */

#include "tests/unit/admission_harness.h"

#include <stdlib.h>

Test(admission_wait, the_victim_is_the_newest_of_the_longest_queue)
{
    struct admission *admission = harness_create(100, 10);

    for (unsigned i = 0; i < 10; i++)
        harness_arrive(admission, i, "short", RETRY, i);
    for (unsigned i = 10; i < 25; i++)
        harness_arrive(admission, i, "long", RETRY, i);
    for (int i = 24; i >= 20; i--)
        cr_assert_eq(admission_victim(admission, 100), i);
    /* Ten each now: either, and then the other. */
    int one = admission_victim(admission, 100), two = admission_victim(admission, 100);
    cr_assert((one == 19 && two == 9) || (one == 9 && two == 19) || (one == 19 && two == 18),
              "%d %d", one, two);
    admission_destroy(admission);
}

/* Mail to who delivers is nobody's victim: qmgr(8) waits with the rest, as it does for stock. */
Test(admission_wait, mail_to_who_delivers_is_no_victim)
{
    struct admission *admission = harness_create(200, 10);
    int64_t again = 0;

    harness_once(admission, 0, "quick", ADMISSION_DELIVERED, 10 * MS, 0);
    harness_once(admission, 0, "slow", ADMISSION_DELIVERED, 8 * SECOND, 0);
    for (unsigned i = 0; i < 150; i++)
        harness_arrive(admission, i, i % 3 == 0 ? "slow" : "quick", RETRY, 10 * SECOND);
    cr_assert_eq(admission_victim(admission, 20 * SECOND), -1);
    harness_arrive(admission, 150, "unknown", RETRY, 20 * SECOND);
    cr_assert_eq(admission_victim(admission, 20 * SECOND), 150);
    cr_assert_eq(admission_victim(admission, 20 * SECOND), -1);
    /* Nor does it wait too long: it is delivered when its turn comes. */
    cr_assert_eq(admission_expire(admission, 3000 * SECOND, &again), -1);
    admission_destroy(admission);
}

/* From the moment at which it fails its queue is the longest. */
Test(admission_wait, who_begins_to_fail_becomes_a_victim)
{
    struct admission *admission = harness_create(200, 10);

    harness_once(admission, 0, "site", ADMISSION_DELIVERED, 10 * MS, 0);
    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "site", RETRY, SECOND);
    int part = harness_start(admission, 64, SECOND);
    cr_assert_geq(part, 0);
    cr_assert_eq(admission_victim(admission, 2 * SECOND), -1);
    harness_finish(admission, (unsigned)part, ADMISSION_FAILED, 30 * SECOND, 31 * SECOND);
    cr_assert_geq(admission_victim(admission, 31 * SECOND), 0);
    admission_destroy(admission);
}

Test(admission_wait, retries_leave_before_first_attempts)
{
    struct admission *admission = harness_create(100, 10);

    harness_arrive(admission, 0, "a", RETRY, 0);
    harness_arrive(admission, 1, "a", FIRST, 1);
    harness_arrive(admission, 2, "a", RETRY, 2);
    harness_arrive(admission, 3, "a", FIRST, 3);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), 2);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), 0);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), 3);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), 1);
    cr_assert_eq(admission_victim(admission, 6 * SECOND), -1);
    admission_destroy(admission);
}

/* A burst of first attempts: whether the site is well is known when the first answer is there, or should be. */
Test(admission_wait, nobody_is_a_victim_before_anything_can_be_heard_of_it)
{
    struct admission *admission = harness_create(200, 10);

    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, i < 90 ? "burst" : "other", FIRST, SECOND + i);
    cr_assert_eq(admission_spared(admission, 2 * SECOND), 100);
    cr_assert_eq(admission_victim(admission, 2 * SECOND), -1);
    /* A retry is a part of a flood. */
    harness_arrive(admission, 100, "burst", RETRY, 2 * SECOND);
    cr_assert_eq(admission_victim(admission, 2 * SECOND), 100);
    cr_assert_eq(admission_victim(admission, 2 * SECOND), -1);
    cr_assert_eq(admission_victim_spared(admission, 2 * SECOND), 89, "where it cannot be held");
    cr_assert_eq(admission_spared(admission, 2 * SECOND), 99);
    /* Mail that comes all the time does not buy another five seconds. */
    harness_arrive(admission, 101, "burst", FIRST, 5 * SECOND);
    cr_assert_eq(admission_spared(admission, 6 * SECOND - 1), 100);
    cr_assert_eq(admission_spared(admission, 6 * SECOND + 100), 0);
    cr_assert_eq(admission_victim(admission, 6 * SECOND + 100), 101);
    admission_destroy(admission);
}

Test(admission_wait, an_answer_ends_what_is_spared)
{
    struct admission *admission = harness_create(200, 10);
    int part;

    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, i % 2 == 0 ? "well" : "dead", FIRST, 0);
    while ((part = harness_start(admission, 64, 0)) >= 0)
        harness_finish(admission, (unsigned)part,
                       part % 2 == 0 ? ADMISSION_DELIVERED : ADMISSION_FAILED, SECOND, SECOND);
    cr_assert_eq(admission_spared(admission, SECOND), 0);
    cr_assert_eq(admission_victim(admission, SECOND) % 2, 1, "no more of the dead one");
    admission_destroy(admission);
}

/* Of `waiting` parts of a destination that nobody knows, which are victims from `now` on, most within 30 s. */
static unsigned leave_all(struct admission *admission, unsigned waiting, int64_t now, int64_t *last)
{
    int64_t *times = calloc(waiting, sizeof *times);
    unsigned left = 0, first = 0, most = 0;

    for (unsigned i = 0; i < waiting; i++)
        harness_arrive(admission, i, i % 2 == 0 ? "one" : "two", RETRY, now);
    for (unsigned i = 0; i < waiting; i++)
        cr_assert_geq(admission_victim(admission, now), 0);
    while (left < waiting) {
        struct admission_leave leave = admission_leave(admission, false, true, now);

        if (leave.part < 0) {
            cr_assert_gt(leave.again, now);
            now = leave.again;
            continue;
        }
        cr_assert_not(leave.stays);
        times[left] = now;
        while (now - times[first] > 30 * SECOND)
            first++;
        if (++left - first > most)
            most = left - first;
    }
    cr_assert_eq(admission_leave(admission, false, true, now).again, ADMISSION_NEVER);
    *last = now;
    free(times);
    return most;
}

Test(admission_wait, victims_leave_over_ten_minutes)
{
    struct admission *admission = harness_create(18000, 10);
    struct admission_counters counters;
    int64_t last;

    cr_assert_lt(leave_all(admission, 18000, 0, &last), 18000 / 15);
    cr_assert(last > 500 * SECOND && last < 700 * SECOND);
    /* Few need not wait that long. */
    (void)leave_all(admission, 20, last, &last);
    cr_assert_lt(last, 900 * SECOND);
    admission_count(admission, &counters);
    cr_assert_eq(counters.full, 18020);
    cr_assert_eq(counters.victims, 0);
    admission_destroy(admission);
}

Test(admission_wait, victims_leave_at_once_in_a_hurry)
{
    struct admission *admission = harness_create(100, 10);

    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "unknown", RETRY, 0);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_geq(admission_victim(admission, 0), 0);
    cr_assert_eq(admission_leave(admission, false, true, 1).part, -1);
    for (int i = 99; i >= 0; i--)
        cr_assert_eq(admission_leave(admission, true, true, 1).part, i);
    cr_assert_eq(admission_leave(admission, true, true, 1).part, -1);
    admission_destroy(admission);
}

/* A server that takes eight seconds, and 5000 messages at once: stock would deliver them. */
Test(admission_wait, a_victim_stays_when_its_destination_delivers)
{
    struct admission *admission = harness_create(100, 10);
    struct admission_leave leave;
    int part;

    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "slow", RETRY, 0);
    part = harness_start(admission, 64, 0);
    cr_assert_geq(part, 0);
    for (unsigned i = 0; i < 50; i++)
        cr_assert_geq(admission_victim(admission, 6 * SECOND), 0);
    harness_finish(admission, (unsigned)part, ADMISSION_DELIVERED, 8 * SECOND, 8 * SECOND);
    /* It neither leaves, nor fills a room that is full. */
    leave = admission_leave(admission, false, false, 20 * SECOND);
    cr_assert(leave.part == -1 && leave.again > 20 * SECOND);
    for (unsigned i = 0; i < 50; i++) {
        leave = admission_leave(admission, false, true, 60 * SECOND);
        cr_assert(leave.part >= 0 && leave.stays);
    }
    cr_assert_eq(harness_look(admission, "slow").waiting, 99);
    cr_assert_eq(harness_look(admission, "slow").deferred, 0);
    admission_destroy(admission);
}

Test(admission_wait, everybody_has_its_grace_in_shed)
{
    struct admission *admission = harness_create(100, 10);
    int64_t again = 0;

    harness_arrive(admission, 0, "a", RETRY, SECOND);
    cr_assert_eq(admission_shed(admission, 5 * SECOND, 5 * SECOND, &again), -1);
    cr_assert_eq(again, 6 * SECOND);
    cr_assert_eq(admission_shed(admission, 5 * SECOND, 6 * SECOND, &again), 0);
    admission_destroy(admission);
}

Test(admission_wait, who_is_exempt_is_never_deferred)
{
    struct admission *admission = harness_create(200, 10);

    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "a", i % 2 == 0 ? RETRY | EXEMPT : FIRST | EXEMPT, 0);
    harness_arrive(admission, 100, "a", RETRY, 0);
    int first = harness_start(admission, 64, 0);
    cr_assert_geq(first, 0);
    harness_finish(admission, (unsigned)first, ADMISSION_FAILED, 30 * SECOND, 30 * SECOND);
    cr_assert_eq(harness_look(admission, "a").lane, ADMISSION_DEAD);
    int deferred = admission_victim(admission, 40 * SECOND);
    cr_assert(deferred == 100 || first == 100);
    cr_assert_eq(admission_victim(admission, 40 * SECOND), -1);
    for (int64_t now = 40 * SECOND; now < 2000 * SECOND; now += SECOND) {
        cr_assert_eq(admission_expire(admission, now, NULL), -1);
        cr_assert_eq(admission_shed(admission, 5 * SECOND, now, NULL), -1);
    }
    admission_destroy(admission);
}

/* 2001 of them stopped a transport for four hours: one at a time, with up to eight seconds between two. */
Test(admission_wait, what_is_exempt_runs_at_a_dead_destination_with_all_of_its_share)
{
    struct admission *admission = harness_create(200, 10);
    int parts[64];

    harness_once(admission, 0, "dead", ADMISSION_DEFERRED, 30 * SECOND, 0);
    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "dead", i < 80 ? RETRY : RETRY | EXEMPT, 30 * SECOND);
    cr_assert_eq(harness_start_all(admission, 64, 31 * SECOND, parts), 8);
    for (int i = 0; i < 8; i++)
        cr_assert_geq(parts[i], 80);
    harness_finish(admission, (unsigned)parts[0], ADMISSION_DEFERRED, 30 * SECOND, 61 * SECOND);
    cr_assert_eq(harness_start_all(admission, 64, 61 * SECOND, parts), 1, "and without a pause");
    cr_assert_geq(parts[0], 80);
    admission_destroy(admission);
}

Test(admission_wait, who_waits_only_for_memory_is_not_deferred_until_shed)
{
    struct admission *admission = harness_create(100, 10);
    int64_t again = 0, now = 0;
    unsigned shed = 0;

    for (unsigned i = 0; i < 50; i++)
        harness_arrive(admission, i, "unknown", FIRST, 0);
    while (now < 4000 * SECOND) {
        cr_assert_eq(admission_expire(admission, now, &again), -1);
        cr_assert_neq(again, ADMISSION_NEVER);
        cr_assert_gt(again, now);
        now = again;
    }
    harness_arrive(admission, 50, "late", FIRST, now);
    while (shed < 50) {
        int part = admission_shed(admission, 5 * SECOND, now, &again);
        cr_assert_neq(part, 50, "it had its grace still");
        if (part >= 0) {
            shed++;
            continue;
        }
        cr_assert_gt(again, now);
        now = again;
    }
    int part = -1;
    while ((part = admission_shed(admission, 5 * SECOND, now, &again)) < 0)
        now = again;
    cr_assert_eq(part, 50);
    cr_assert_eq(admission_shed(admission, 5 * SECOND, now, &again), -1);
    cr_assert_eq(again, ADMISSION_NEVER);
    admission_destroy(admission);
}

static void kill_destination(struct admission *admission, const char *key, int64_t now)
{
    struct admission_memory memory = {.success_age = ADMISSION_NEVER,
                                      .failure_age = 0,
                                      .answer_age = ADMISSION_NEVER,
                                      .window = 1,
                                      .hung = true};

    snprintf(memory.key, sizeof memory.key, "%s", key);
    cr_assert_eq(admission_teach(admission, &memory, now), 0);
}

Test(admission_wait, a_dead_destination_keeps_its_backlog_until_it_has_waited_too_long)
{
    struct admission *admission = harness_create(4000, 10);
    int64_t again = 0, now = 0;
    unsigned left = 100;

    kill_destination(admission, "dead", 0);
    for (unsigned i = 0; i < 100; i++)
        harness_arrive(admission, i, "dead", RETRY, 0);
    while (now < 299 * SECOND) {
        int part = admission_expire(admission, now, &again);
        if (part >= 0) {
            cr_assert_eq(part, (int)--left, "the newest first");
            continue;
        }
        cr_assert_gt(again, now);
        now = again;
    }
    cr_assert_eq(left, 30);
    while (left > 0 && now < 700 * SECOND) {
        int part = admission_expire(admission, now, &again);
        if (part >= 0) {
            left--;
            continue;
        }
        cr_assert_gt(again, now);
        now = again;
    }
    cr_assert_eq(left, 0);
    admission_destroy(admission);
}

/* Postfix brings back what was deferred after a time without jitter: so the leaving is what spreads the coming back. */
Test(admission_wait, a_flood_leaves_over_time_and_faster_when_the_room_fills)
{
    for (unsigned parts = 4000; parts <= 40000; parts *= 10) {
        struct admission *admission = harness_create(parts, 10);
        int64_t again = 0, now = 0, last = 0, tenth = 0;
        int64_t shortest = 0, longest = 0;
        unsigned deferred = 0, in_window = 0, most = 0;

        kill_destination(admission, "dead", 0);
        for (unsigned i = 0; i < 3030; i++)
            harness_arrive(admission, i, "dead", RETRY, 0);
        while (now < 299 * SECOND) {
            int part = admission_expire(admission, now, &again);
            if (part >= 0) {
                int64_t interval = now - last;
                deferred++;
                last = now;
                if (interval < shortest || deferred == 2)
                    shortest = interval;
                if (interval > longest && deferred > 1 && deferred < 2000)
                    longest = interval;
                if (now - tenth > 10 * SECOND) {
                    tenth = now;
                    in_window = 0;
                }
                if (++in_window > most)
                    most = in_window;
                continue;
            }
            now = again;
        }
        cr_assert_eq(deferred, 3000);
        cr_assert_gt(longest, 2 * shortest, "no steady beat");
        if (parts == 40000) {
            cr_assert_lt(most, 300, "no tenth of it in ten seconds: %u", most);
            cr_assert_gt(last, 180 * SECOND);
        } else {
            cr_assert_lt(last, 250 * SECOND, "the room is nearly full: it hurries");
        }
        admission_destroy(admission);
    }
}

Test(admission_wait, deferring_does_not_hold_up_first_attempts)
{
    struct admission *admission = harness_create(4000, 4000);
    char key[24];

    kill_destination(admission, "dead", 0);
    for (unsigned i = 0; i < 2000; i++)
        harness_arrive(admission, i, "dead", RETRY, 0);
    for (unsigned i = 0; i < 200; i++) {
        int64_t now = (int64_t)i * 100 * MS;
        int part;
        (void)admission_expire(admission, now, NULL);
        snprintf(key, sizeof key, "good%u", i);
        harness_arrive(admission, 2000 + i, key, FIRST, now);
        part = harness_start(admission, 64, now);
        if (part >= 0 && part < 2000) /* the dead one has its turn now and then */
            part = harness_start(admission, 64, now);
        cr_assert_eq(part, (int)(2000 + i));
        harness_finish(admission, 2000 + i, ADMISSION_DELIVERED, 10 * MS, now + 10 * MS);
    }
    admission_destroy(admission);
}

Test(admission_wait, what_is_recalled_can_be_taught)
{
    struct admission *one = harness_create(10, 20), *two = harness_create(10, 20);
    struct admission_memory memory;
    uint32_t cursor = 0;
    unsigned count = 0;

    harness_once(one, 0, "good", ADMISSION_DELIVERED, 20 * MS, 0);
    harness_once(one, 0, "dead", ADMISSION_FAILED, 30 * SECOND, 0);
    harness_once(one, 0, "slow", ADMISSION_DELIVERED, 9 * SECOND, 0);
    harness_arrive(one, 0, "nothing known", FIRST, 0);
    harness_arrive(one, 1, "good", FIRST, 0);
    while (admission_recall(one, &cursor, 60 * SECOND, &memory)) {
        count++;
        cr_assert_eq(admission_teach(two, &memory, 5), 0);
    }
    cr_assert_eq(count, 3);
    cr_assert_eq(harness_look(two, "good").lane, ADMISSION_PROVEN);
    cr_assert_eq(harness_look(two, "dead").lane, ADMISSION_DEAD);
    cr_assert_eq(harness_look(two, "slow").lane, ADMISSION_SLOW);
    cr_assert_eq(harness_look(two, "good").last_success, 20 * MS - 60 * SECOND + 5);
    memory.success_age = -1;
    cr_assert_neq(admission_teach(two, &memory, 5), 0, "nothing succeeds in the future");
    admission_destroy(one);
    admission_destroy(two);
}

/* qmgr(8) would end itself with an error: memory, a pace, workers that cannot be started are no reason to wait for hours. */
Test(admission_wait, nobody_waits_for_ever)
{
    static const int64_t times[] = {300 * SECOND, 86400 * SECOND};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct admission_settings settings;
        struct admission *admission;
        unsigned expired = 0;
        int64_t now = 0;

        admission_defaults(&settings);
        settings.waiting_time = times[i];
        settings.waiting_most = 9000 * SECOND;
        admission = admission_create(&settings, 100, 10);
        cr_assert_not_null(admission);
        for (unsigned part = 0; part < 50; part++)
            harness_arrive(admission, part, part % 2 == 0 ? "unknown" : "dead", FIRST, 0);
        harness_arrive(admission, 50, "unknown", FIRST | EXEMPT, 0);
        for (; now < 9000 * SECOND; now += SECOND)
            cr_assert_eq(admission_expire(admission, now, NULL), -1);
        for (; now < 10000 * SECOND; now += SECOND / 10) {
            int part = admission_expire(admission, now, NULL);

            cr_assert_neq(part, 50);
            expired += part >= 0;
        }
        cr_assert_eq(expired, 50, "%u of 50 left", expired);
        admission_destroy(admission);
    }
}

/* What an operator holds takes no worker, and is not deferred for what its destination is; what may not be deferred goes. */
Test(admission_wait, what_is_held_waits)
{
    static const char *const held[] = {"dead", "new"};
    struct admission *admission = harness_create(100, 20);
    int64_t again = 0;

    for (unsigned i = 0; i < 3; i++)
        harness_once(admission, 0, "dead", ADMISSION_FAILED, 30 * SECOND, (int64_t)i * 40 * SECOND);
    admission_hold(admission, held, 2, 200 * SECOND);
    for (unsigned i = 0; i < 30; i++)
        harness_arrive(admission, i, i % 2 == 0 ? "dead" : "new", i < 10 ? FIRST : RETRY,
                       200 * SECOND);
    cr_expect(harness_look(admission, "dead").held);
    cr_expect(harness_look(admission, "new").held, "seen after it was held");
    cr_expect_eq(harness_start(admission, 64, 201 * SECOND), -1);
    cr_expect_eq(admission_runnable(admission, 64, 201 * SECOND, 64, 30), 0);
    cr_expect_eq(admission_expire(admission, 3000 * SECOND, &again), -1, "dead, and over its time");
    /* Another is not kept out, and when the room is full they are the ones that leave. */
    harness_arrive(admission, 40, "other", FIRST, 3000 * SECOND);
    cr_expect_eq(harness_start(admission, 64, 3000 * SECOND), 40);
    cr_expect_geq(admission_victim(admission, 3000 * SECOND), 0);
    /* Too old to be deferred: it goes, and it alone. */
    harness_arrive(admission, 50, "new", EXEMPT, 3000 * SECOND);
    cr_expect_eq(harness_start(admission, 64, 3000 * SECOND), 50);
    cr_expect_eq(harness_start(admission, 64, 3000 * SECOND), -1);
    /* Another list: the first is released, and goes at once. */
    admission_hold(admission, held, 1, 3001 * SECOND);
    cr_expect_not(harness_look(admission, "new").held);
    cr_expect_eq(harness_start(admission, 64, 3001 * SECOND) % 2, 1);
    admission_destroy(admission);
}
