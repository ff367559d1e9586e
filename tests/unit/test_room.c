/* When the waiting room is full: supervisor/admission/room.h. */

#include <criterion/criterion.h>

#include "supervisor/admission/room.h"

#define MIB (UINT64_C(1) << 20)

static const struct room large = {.waiting_max = 2000, .clients_max = 22500, .bytes_max = 64 * MIB};
/* 4096 descriptors and 500 workers. */
static const struct room small = {.waiting_max = 2000, .clients_max = 1516, .bytes_max = 64 * MIB};

Test(room, with_descriptors_to_spare_it_is_waiting_max)
{
    cr_assert_eq(room_bound(&large, 0), 2000);
    cr_assert_eq(room_bound(&large, 500), 2000);
    cr_assert_not(room_full(&large, 2000, 500, 2 * MIB));
    cr_assert(room_full(&large, 2001, 500, 2 * MIB));
}

/* A flood fills the room before the door closes, so that somebody leaves. */
Test(room, a_quarter_of_few_descriptors_stays_free)
{
    for (unsigned running = 0; running <= 500; running += 100) {
        unsigned bound = room_bound(&small, running);
        cr_assert_lt(bound + running, small.clients_max, "%u", bound);
        cr_assert_geq(small.clients_max - bound - running, (small.clients_max - running) / 4);
    }
    cr_assert_eq(room_bound(&small, 0), 1137);
}

Test(room, one_may_wait_whatever_else_there_is)
{
    const struct room tiny = {.waiting_max = 2000, .clients_max = 1, .bytes_max = MIB};
    cr_assert_eq(room_bound(&tiny, 0), 1);
    cr_assert_eq(room_bound(&tiny, 5), 1);
    cr_assert_not(room_full(&tiny, 1, 0, 100 * MIB),
                  "a single large request is not in anybody's way");
}

/* Seen: 32 requests of 1.2 MB in buffers of 2 MB closed the door. */
Test(room, bytes_fill_it_as_numbers_do)
{
    cr_assert_not(room_full(&large, 40, 0, 48 * MIB));
    cr_assert(room_full(&large, 41, 0, 48 * MIB + 1));
}

Test(room, victims_hurry_when_places_bytes_or_the_window_run_out)
{
    struct room room = large;

    cr_assert_not(room_crowded(&room, 20000, MIB), "all that qmgr(8) has at a time");
    cr_assert(room_crowded(&room, 21500, MIB));
    cr_assert(room_crowded(&room, 100, 61 * MIB));
    room.window = 10000;
    cr_assert_not(room_crowded(&room, 7499, MIB));
    cr_assert(room_crowded(&room, 7500, MIB));
}

/* Before qmgr(8) has no more to give, for one next hop or in all: others are behind. */
Test(room, victims_hurry_before_qmgr_is_full_of_them)
{
    struct room room = large;

    cr_assert_not(room_hurries(&room, 20000, MIB));
    room.active_max = 20000;
    cr_assert_not(room_hurries(&room, 19374, MIB));
    cr_assert(room_hurries(&room, 19375, MIB));
    cr_assert_not(room_crowded(&room, 19375, MIB), "there are places still");
    room.hop_max = 10000;
    cr_assert_not(room_hurries(&room, 8749, MIB));
    cr_assert(room_hurries(&room, 8750, MIB));
    room.hop_max = 20;
    cr_assert(room_hurries(&room, 2001, MIB), "a default, and many next hops");
}

static void second(struct room *room, unsigned arrived, unsigned late, unsigned answered,
                   unsigned held)
{
    struct room_flow flow = {.answered = answered};

    for (unsigned i = 0; i < arrived; i++)
        room_arrived(&flow, i < late ? 5000000 : 900000);
    room_learn(room, &flow, held);
    cr_assert_eq(flow.arrived + flow.late + flow.answered, 0);
}

static void seconds(struct room *room, unsigned arrived, unsigned late, unsigned answered,
                    unsigned held)
{
    for (unsigned i = 0; i < 5; i++)
        second(room, arrived, late, answered, held);
}

/* At its limit for a next hop, qmgr(8) hands over only what takes the place of what was answered. */
Test(room, the_window_of_qmgr_is_seen)
{
    struct room room = large;

    seconds(&room, 600, 600, 30, 5000);
    cr_assert_eq(room.window, 0, "it still comes in");
    seconds(&room, 30, 0, 30, 5000);
    cr_assert_eq(room.window, 0, "nothing waits for long");
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(room.window, 0, "by chance");
        second(&room, 0, 0, 3, 5000);
        second(&room, 3, 1, 3, 5000);
    }
    cr_assert_eq(room.window, 5000, "also where little comes, and others of it are not late");
    seconds(&room, 1000, 1000, 1000, 4000);
    cr_assert_eq(room.window, 5000, "on the way down it is not smaller");
    second(&room, 30, 30, 0, 5001);
    cr_assert_eq(room.window, 0, "it has grown");
}

/* Where the workers suffice: of the largest window three quarters, or all of it where as many are there; or of the one that was seen. */
Test(room, qmgr_may_hold_back_the_rest)
{
    struct room room = large;

    cr_assert_eq(room_windowed(&room, 20000, 50, 100), 0, "no limit is known");
    room.hop_max = 20;
    cr_assert_eq(room_windowed(&room, 1, 1, 20), 20);
    cr_assert_eq(room_windowed(&room, 15, 15, 19), 19);
    room.hop_max = 10000;
    cr_assert_eq(room_windowed(&room, 7500, 100, 100), 100);
    cr_assert_eq(room_windowed(&room, 7499, 100, 100), 0);
    cr_assert_eq(room_windowed(&room, 10000, 101, 100), 0, "the room is full before: others leave");
    room.hop_max = 0;
    room.window = 8;
    cr_assert_eq(room_windowed(&room, 5, 5, 100), 0);
    cr_assert_eq(room_windowed(&room, 6, 6, 100), 100);
    cr_assert_eq(room_windowed(&room, 6, 9, 4), 4, "seen: also where half of it waits");
    cr_assert_eq(room_windowed(&room, 6, 10, 4), 0);
}

/* Where they do not suffice, and the largest window is full before the room is: a quarter is left for good mail, until it is. */
Test(room, a_window_that_is_larger_than_the_limit)
{
    struct room room = large;

    room.hop_max = 20;
    cr_assert_eq(room_windowed(&room, 5, 5, 16), 12, "it may be as small at the moment");
    cr_assert_eq(room_windowed(&room, 17, 17, 16), 12);
    cr_assert_eq(room_windowed(&room, 18, 18, 16), 16, "it is nearly full");
    cr_assert_eq(room_windowed(&room, 20, 20, 1), 1);
    cr_assert_eq(room_windowed(&room, 5, 5, 1), 1);
    room.hop_max = room.waiting_max;
    cr_assert_eq(room_windowed(&room, 100, 100, 16), 12);
    room.hop_max++;
    cr_assert_eq(room_windowed(&room, room.hop_max, room.hop_max, 16), 0);
}
