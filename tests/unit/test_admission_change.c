/*
 * What is learned of a server and no longer true: destination_round.c, destination_most.c. And a table of next hops that is full:
 * admission_nexthop.c.
 */

#include "tests/unit/admission_harness.h"

#include "supervisor/limits.h"

#define LIMIT 100

/* --- a server that becomes another one --------------------------------------------------------------- */

/* It has room for 30, and works at `lines` of them at a time, for half a second each. */
struct site {
    struct admission *admission;
    int64_t now;
    int64_t begun[200];
    int inside[30];
    unsigned count;
    unsigned free[200], frees;
};

/* Mail to it never ends; for so long. -> the most that it had at a time in the last minute */
static unsigned serve(struct site *site, unsigned lines, int64_t time)
{
    int64_t end = site->now + time;
    unsigned most = 0;

    while (site->now < end) {
        int part;

        while (site->frees > 0)
            harness_arrive(site->admission, site->free[--site->frees], "site", FIRST, site->now);
        while ((part = harness_start(site->admission, LIMIT, site->now)) >= 0) {
            site->begun[part] = site->now;
            if (site->count < 30) {
                site->inside[site->count++] = part;
                continue;
            }
            harness_finish(site->admission, (unsigned)part, ADMISSION_DEFERRED, MS, site->now);
            site->free[site->frees++] = (unsigned)part;
        }
        if (site->count > most && end - site->now <= 60 * SECOND)
            most = site->count;
        site->now += 500 * MS;
        for (unsigned i = 0; i < lines && site->count > 0; i++) {
            part = site->inside[0];
            memmove(site->inside, site->inside + 1, --site->count * sizeof *site->inside);
            harness_finish(site->admission, (unsigned)part, ADMISSION_DELIVERED,
                           site->now - site->begun[part], site->now);
            site->free[site->frees++] = (unsigned)part;
        }
    }
    return most;
}

Test(admission_change, a_server_that_works_at_more_gets_more_again)
{
    struct site site = {.admission = harness_create(400, 10)};
    unsigned most;

    harness_once(site.admission, 399, "site", ADMISSION_DELIVERED, 3 * MS, 0);
    for (unsigned i = 0; i < 60; i++)
        site.free[site.frees++] = i;
    most = serve(&site, 1, 600 * SECOND);
    cr_expect_leq(most, 8, "one after the other: four would do, %u", most);
    most = serve(&site, 12, 1800 * SECOND);
    cr_expect_geq(most, 12, "twelve at a time: %u", most);
    most = serve(&site, 1, 1800 * SECOND);
    cr_expect_leq(most, 8, "and one after the other again: %u", most);
    admission_destroy(site.admission);
}

/* --- more next hops than there is room for -------------------------------------------------------------- */

static unsigned arrives(struct admission *admission, unsigned part, unsigned domain, unsigned hop,
                        int64_t now)
{
    char key[32], nexthop[32];
    struct admission_arrival arrival = {.key = key, .nexthop = nexthop, .first = true};

    arrival.key_length = (size_t)snprintf(key, sizeof key, "domain%u", domain);
    arrival.nexthop_length = (size_t)snprintf(nexthop, sizeof nexthop, "relay%u", hop);
    cr_assert_eq(admission_arrive(admission, part, &arrival, now), 0);
    return part;
}

static bool known(const struct admission *admission, const char *name, int64_t now,
                  struct admission_nexthop *view)
{
    for (unsigned i = 0; admission_nexthop(admission, i, now, view); i++)
        if (strcmp(view->name, name) == 0)
            return true;
    return false;
}

Test(admission_change, next_hops_that_are_not_used_make_room)
{
    struct admission *admission = harness_create(1000, 1000);
    struct admission_nexthop view;
    int64_t now = SECOND;

    /* Three domains share the first one, and nothing waits for it. */
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(admission_cancel(admission, arrives(admission, i, i, 0, now), now), 0);
    for (unsigned i = 1; i < NEXTHOPS_MAX; i++)
        arrives(admission, 10 + i, 10 + i, i, now);
    /* There is no place: its destination is judged by itself. */
    arrives(admission, 500, 500, 500, now);
    cr_expect_not(known(admission, "relay500", now, &view));
    cr_expect(known(admission, "relay127", now, &view));
    cr_expect(known(admission, "relay0", now, &view));
    cr_expect_eq(view.destinations, 3);
    /* Mail for one of them is gone. */
    cr_assert_eq(admission_cancel(admission, 10 + 77, now), 0);
    arrives(admission, 501, 501, 501, now);
    cr_expect(known(admission, "relay501", now, &view));
    cr_expect_eq(view.waiting, 1);
    cr_expect_eq(view.destinations, 1);
    cr_expect_not(known(admission, "relay77", now, &view));
    /* Who was behind it has none now, and is none of the new one's. */
    cr_assert_eq(admission_cancel(admission, 501, now), 0);
    arrives(admission, 10 + 77, 10 + 77, 77, now);
    cr_expect(known(admission, "relay77", now, &view));
    cr_expect_eq(view.destinations, 1);
    cr_expect_eq(view.waiting, 1);
    cr_expect_not(known(admission, "relay501", now, &view));
    admission_destroy(admission);
}

/* The one that was forgotten was down, and its place has another: that one is not. */
Test(admission_change, a_place_is_taken_over_without_its_past)
{
    struct admission *admission = harness_create(1000, 1000);
    struct admission_nexthop view;
    int64_t now = SECOND;
    int part;

    for (unsigned i = 0; i < 6; i++) {
        arrives(admission, 0, 0, 0, now);
        while ((part = harness_start(admission, LIMIT, now)) < 0)
            now = admission_due(admission, LIMIT, now);
        cr_assert_geq(
            admission_finished(admission, (unsigned)part, ADMISSION_UNREACHED, 3 * MS, now), 0);
    }
    cr_assert(known(admission, "relay0", now, &view));
    cr_expect_eq(view.state, ADMISSION_NEXTHOP_DOWN, "the only one");
    for (unsigned i = 1; i <= NEXTHOPS_MAX; i++)
        arrives(admission, i, i, i, now);
    cr_expect_not(known(admission, "relay0", now, &view));
    cr_assert(known(admission, "relay128", now, &view));
    cr_expect_eq(view.state, ADMISSION_NEXTHOP_UP);
    cr_expect_eq(view.failures, 0);
    cr_expect_eq(harness_start(admission, LIMIT, now), NEXTHOPS_MAX, "its mail goes");
    admission_destroy(admission);
}

/* --- refusals ---------------------------------------------------------------------------------------------- */

/* So many are in flight at a destination; the handles are 0 .. count - 1, in the order of their start. */
static struct admission *busy(unsigned count, int64_t now)
{
    struct admission *admission = harness_create(400, 10);
    int part;

    harness_once(admission, 399, "site", ADMISSION_DELIVERED, MS, 0);
    for (unsigned i = 0; i < count; i++)
        harness_arrive(admission, i, "site", FIRST, now);
    for (unsigned i = 0; i < count; i++) {
        part = harness_start(admission, 400, now);
        cr_assert_eq(part, (int)i);
    }
    return admission;
}

static unsigned more(struct admission *admission, unsigned from, unsigned count, int64_t now)
{
    for (unsigned i = from; i < from + count; i++)
        harness_arrive(admission, i, "site", FIRST, now);
    return harness_start_all(admission, 400, now, NULL);
}

/*
 * Many are refused beside fewer than were delivered: what was delivered at that number was by chance. What began before that was
 * found, and ends after it, is no new evidence, neither for nor against.
 */
Test(admission_change, what_began_before_a_doubt_does_not_count)
{
    struct admission *admission = busy(120, SECOND);
    int64_t now = SECOND + 200 * MS;
    unsigned started;

    /* By chance the one that began beside all others is delivered. */
    harness_finish(admission, 119, ADMISSION_DELIVERED, 200 * MS, now);
    for (unsigned i = 40; i < 60; i++)
        harness_finish(admission, i, ADMISSION_DEFERRED, 210 * MS, now + 10 * MS);
    /* Of the same wave: they neither lower the number further, nor raise it. */
    for (unsigned i = 60; i < 119; i++)
        harness_finish(admission, i, ADMISSION_DEFERRED, 220 * MS, now + 20 * MS);
    for (unsigned i = 0; i < 40; i++)
        harness_finish(admission, i, ADMISSION_DELIVERED, 230 * MS, now + 30 * MS);
    started = more(admission, 200, 100, now + 40 * MS);
    cr_expect(started >= 10 && started <= 30, "%u", started);
    admission_destroy(admission);
}

/* --- what cannot be does no harm ------------------------------------------------------------------------ */

Test(admission_change, a_time_below_zero_is_none)
{
    struct admission *admission = harness_create(10, 10);

    harness_arrive(admission, 0, "site", FIRST, SECOND);
    cr_assert_eq(harness_start(admission, LIMIT, SECOND), 0);
    harness_finish(admission, 0, ADMISSION_DELIVERED, -5, SECOND);
    cr_expect_eq(harness_look(admission, "site").lane, ADMISSION_PROVEN);
    cr_expect_eq(harness_look(admission, "site").service, 0);
    admission_destroy(admission);
}

Test(admission_change, more_are_held_than_can_be)
{
    struct admission *admission = harness_create(100, 100);
    static char text[ADMISSION_HELD_MAX + 5][16];
    const char *keys[ADMISSION_HELD_MAX + 5];

    for (unsigned i = 0; i < ADMISSION_HELD_MAX + 5; i++) {
        snprintf(text[i], sizeof text[i], "d%u", i);
        keys[i] = text[i];
    }
    admission_hold(admission, keys, ADMISSION_HELD_MAX + 5, 0);
    harness_arrive(admission, 0, text[ADMISSION_HELD_MAX - 1], FIRST, 0);
    harness_arrive(admission, 1, text[ADMISSION_HELD_MAX], FIRST, 0);
    cr_expect_eq(harness_start(admission, LIMIT, 0), 1);
    cr_expect_eq(harness_start(admission, LIMIT, 0), -1);
    admission_destroy(admission);
}
