/* A next hop that is down, and the destinations behind it: supervisor/admission/admission_nexthop.c. */

#include "tests/unit/admission_harness.h"

#define LIMIT 64

struct scene {
    struct admission *admission;
    int64_t now;
    unsigned part; /* the next free one */
};

static struct scene scene(void)
{
    return (struct scene){.admission = harness_create(3000, 3000), .now = SECOND};
}

static unsigned arrives(struct scene *scene, unsigned domain, const char *nexthop, int kind)
{
    char key[32];
    struct admission_arrival arrival = {.key = key,
                                        .nexthop = nexthop,
                                        .nexthop_length = strlen(nexthop),
                                        .first = (kind & FIRST) != 0,
                                        .exempt = (kind & EXEMPT) != 0};

    arrival.key_length = (size_t)snprintf(key, sizeof key, "domain%u", domain);
    cr_assert_eq(admission_arrive(scene->admission, scene->part, &arrival, scene->now), 0);
    return scene->part++;
}

/* What may start does, and ends after 3 ms; -> how many. */
static unsigned run(struct scene *scene, enum admission_outcome outcome, int *rests)
{
    unsigned count = 0;
    int part;

    while ((part = harness_start(scene->admission, LIMIT, scene->now)) >= 0) {
        int result = admission_finished(scene->admission, (unsigned)part, outcome, 3 * MS,
                                        scene->now + 3 * MS);
        cr_assert_geq(result, 0);
        if (rests != NULL)
            *rests += result;
        scene->now += 3 * MS;
        count++;
    }
    return count;
}

static struct admission_nexthop look(const struct scene *scene, unsigned index)
{
    struct admission_nexthop view;

    cr_assert(admission_nexthop(scene->admission, index, scene->now, &view));
    return view;
}

/* Ten domains that have delivered, and one message to each that reaches no server. */
static struct scene down(void)
{
    struct scene here = scene();

    for (unsigned domain = 0; domain < 10; domain++)
        arrives(&here, domain, "relay", FIRST);
    cr_assert_eq(run(&here, ADMISSION_DELIVERED, NULL), 10);
    here.now += SECOND;
    for (unsigned domain = 0; domain < 10; domain++)
        arrives(&here, domain, "relay", FIRST);
    cr_assert_eq(run(&here, ADMISSION_UNREACHED, NULL), 6);
    cr_assert_eq(look(&here, 0).state, ADMISSION_NEXTHOP_DOWN);
    return here;
}

Test(admission_nexthop, it_is_down_and_its_mail_waits_but_for_probes)
{
    struct scene here = down();
    struct admission_choice choice = admission_next(here.admission, LIMIT, here.now);
    struct admission_nexthop view = look(&here, 0);

    cr_expect_str_eq(view.name, "relay");
    cr_expect_eq(view.waiting, 4);
    cr_expect_eq(view.destinations, 10);
    cr_expect_eq(view.failures, 6);
    cr_expect_eq(choice.answer, ADMISSION_HELD);
    cr_expect_eq(admission_runnable(here.admission, LIMIT, here.now, 100, 100), 0);
    here.now = choice.again;
    cr_expect_eq(admission_runnable(here.admission, LIMIT, here.now, 100, 100), 1);
    cr_expect_eq(run(&here, ADMISSION_UNREACHED, NULL), 1);
    cr_expect_eq(look(&here, 0).waiting, 3);
    admission_destroy(here.admission);
}

Test(admission_nexthop, destinations_keep_their_evidence)
{
    struct scene here = down();

    for (int i = 0; i < 4; i++) {
        here.now = admission_due(here.admission, LIMIT, here.now);
        cr_assert_eq(run(&here, ADMISSION_UNREACHED, NULL), 1);
    }
    for (unsigned domain = 0; domain < 10; domain++) {
        char key[32];
        snprintf(key, sizeof key, "domain%u", domain);
        struct admission_view view = harness_look(here.admission, key);
        cr_expect_eq(view.lane, ADMISSION_PROVEN);
        cr_expect_eq(view.window, 5);
        cr_expect_eq(view.last_failure, ADMISSION_NEVER);
    }
    admission_destroy(here.admission);
}

/* All of it, in one moment: no back-off of a destination holds any of it. */
Test(admission_nexthop, one_success_lets_all_go_on)
{
    struct scene here = down();

    for (unsigned i = 0; i < 20; i++)
        arrives(&here, i % 10, "relay", i % 2 ? FIRST : RETRY);
    here.now = admission_due(here.admission, LIMIT, here.now);
    cr_expect_eq(harness_start_all(here.admission, LIMIT, here.now, NULL), 1);
    here.now += 10 * MS;
    /* It was the oldest of the first one that waits: the seventh message, of domain 6. */
    harness_finish(here.admission, 16, ADMISSION_DELIVERED, 10 * MS, here.now);
    cr_expect_eq(look(&here, 0).state, ADMISSION_NEXTHOP_UP);
    cr_expect_eq(harness_start_all(here.admission, LIMIT, here.now, NULL), 23);
    admission_destroy(here.admission);
}

/* More of them than are placed again in one call. */
Test(admission_nexthop, nobody_is_forgotten_when_it_comes_back)
{
    struct scene here = down();

    for (unsigned domain = 0; domain < 1000; domain++)
        arrives(&here, domain, "relay", FIRST);
    for (unsigned i = 0; i < 1000 && look(&here, 0).waiting > 0; i++) {
        run(&here, ADMISSION_DELIVERED, NULL);
        here.now += 100 * MS;
    }
    cr_expect_eq(look(&here, 0).waiting, 0);
    admission_destroy(here.admission);
}

/* From the third in a row: two do not make qmgr(8) rest a next hop, whatever its window. */
Test(admission_nexthop, qmgr_need_not_rest_it)
{
    struct scene here = scene();
    int rests = 0;

    for (unsigned domain = 0; domain < 10; domain++)
        arrives(&here, domain, "relay", RETRY);
    cr_assert_geq(run(&here, ADMISSION_UNREACHED, &rests), 6);
    cr_expect_eq(rests, 4);
    /* But where it is down for a third of waiting_time, nothing is hoped for. */
    here.now += 101 * SECOND;
    rests = 0;
    cr_expect_geq(run(&here, ADMISSION_UNREACHED, &rests), 1);
    cr_expect_eq(rests, 0);
    admission_destroy(here.admission);
}

Test(admission_nexthop, a_next_hop_of_its_own_is_judged_by_the_domain)
{
    struct scene here = scene();

    arrives(&here, 0, "other", FIRST);
    run(&here, ADMISSION_DELIVERED, NULL);
    for (unsigned i = 0; i < 20; i++)
        arrives(&here, 1, "own", FIRST);
    for (unsigned i = 0; i < 8; i++) {
        cr_expect_leq(run(&here, ADMISSION_UNREACHED, NULL), 1, "it is backed off");
        here.now = admission_due(here.admission, LIMIT, here.now);
        cr_assert_neq(here.now, ADMISSION_NEVER);
    }
    cr_expect_eq(look(&here, 1).state, ADMISSION_NEXTHOP_UP);
    cr_expect_eq(harness_look(here.admission, "domain1").lane, ADMISSION_DEAD);
    admission_destroy(here.admission);
}

/* Refused, it is tried each second and a half: a back-off of eight would outlast the restart of a server. */
Test(admission_nexthop, what_is_refused_is_not_backed_off_for_long)
{
    struct scene here = scene();
    int64_t before;

    arrives(&here, 0, "other", FIRST);
    run(&here, ADMISSION_DELIVERED, NULL);
    for (unsigned i = 0; i < 30; i++)
        arrives(&here, 1, "own", FIRST);
    for (unsigned i = 0; i < 20; i++) {
        run(&here, ADMISSION_UNREACHED, NULL);
        before = here.now;
        here.now = admission_due(here.admission, LIMIT, here.now);
        cr_assert_neq(here.now, ADMISSION_NEVER);
        cr_assert_leq(here.now - before, 3 * SECOND / 2);
    }
    admission_destroy(here.admission);
}

/* A dead destination behind a healthy relay: that the relay was reached says enough. */
Test(admission_nexthop, a_server_that_answers_is_not_down)
{
    struct scene here = scene();

    for (unsigned i = 0; i < 300; i++) {
        arrives(&here, i % 10, "relay", FIRST);
        run(&here, i % 2 ? ADMISSION_DEFERRED : ADMISSION_FAILED, NULL);
        cr_assert_eq(look(&here, 0).state, ADMISSION_NEXTHOP_UP);
        here.now += SECOND;
    }
    admission_destroy(here.admission);
}

/* Users of one domain on two servers: what one of these does is not the other's fault. */
Test(admission_nexthop, a_domain_with_two_next_hops_at_once_has_none)
{
    struct scene here = down();

    for (unsigned i = 0; i < 4; i++)
        arrives(&here, 100, i % 2 ? "relay" : "backup", FIRST);
    cr_expect_geq(run(&here, ADMISSION_DELIVERED, NULL), 4);
    admission_destroy(here.admission);
}

Test(admission_nexthop, mail_to_another_next_hop_goes_on)
{
    struct scene here = down();
    unsigned first = here.part, delivered = 0;
    int part;

    for (unsigned i = 0; i < 40; i++)
        arrives(&here, 100 + i % 4, "backup", FIRST);
    while ((part = harness_start(here.admission, LIMIT, here.now)) >= 0) {
        bool other = (unsigned)part >= first;
        here.now += 3 * MS;
        cr_assert_eq(admission_finished(here.admission, (unsigned)part,
                                        other ? ADMISSION_DELIVERED : ADMISSION_UNREACHED, 3 * MS,
                                        here.now),
                     other ? 0 : 1);
        delivered += other;
    }
    cr_expect_eq(delivered, 40);
    cr_expect_eq(look(&here, 0).state, ADMISSION_NEXTHOP_DOWN);
    cr_expect_eq(look(&here, 1).state, ADMISSION_NEXTHOP_UP);
    admission_destroy(here.admission);
}

Test(admission_nexthop, a_full_room_keeps_its_mail_while_it_may_come_back)
{
    struct scene here = down();

    for (unsigned i = 0; i < 100; i++)
        arrives(&here, 1000 + i, "relay", RETRY);
    cr_expect_eq(admission_victim(here.admission, here.now), -1);
    here.now += 101 * SECOND;
    run(&here, ADMISSION_UNREACHED, NULL);
    cr_expect_geq(admission_victim(here.admission, here.now), 0);
    admission_destroy(here.admission);
}

Test(admission_nexthop, but_not_where_others_are_served)
{
    struct scene here = down();

    arrives(&here, 100, "backup", FIRST);
    cr_expect_eq(run(&here, ADMISSION_DELIVERED, NULL), 1);
    arrives(&here, 1, "relay", RETRY);
    cr_expect_geq(admission_victim(here.admission, here.now), 0);
    admission_destroy(here.admission);
}

Test(admission_nexthop, nothing_waits_for_longer_than_waiting_time)
{
    struct scene here = down();

    cr_expect_eq(admission_expire(here.admission, here.now, NULL), -1);
    here.now += 301 * SECOND;
    cr_expect_geq(admission_expire(here.admission, here.now, NULL), 0);
    admission_destroy(here.admission);
}

/* It waits for a server that may come back, but not for ever. */
Test(admission_nexthop, what_may_not_be_deferred_is_tried_in_the_end)
{
    struct scene here = down();

    for (unsigned i = 0; i < 50; i++)
        arrives(&here, i % 5, "relay", EXEMPT);
    cr_expect_eq(run(&here, ADMISSION_UNREACHED, NULL), 0);
    here.now += 101 * SECOND;
    cr_expect_geq(run(&here, ADMISSION_UNREACHED, NULL), 50);
    admission_destroy(here.admission);
}

/* A message to twenty domains that is refused is one failure. */
Test(admission_nexthop, a_joint_part_is_one_delivery)
{
    struct scene here = scene();

    for (unsigned domain = 0; domain < 20; domain++)
        arrives(&here, domain, "relay", FIRST);
    cr_assert_eq(run(&here, ADMISSION_DELIVERED, NULL), 20);
    for (unsigned domain = 0; domain < 20; domain++)
        arrives(&here, domain, "relay", FIRST);
    struct admission_choice choice = admission_next(here.admission, LIMIT, here.now);
    cr_assert_eq(choice.answer, ADMISSION_START);
    for (unsigned part = 20; part < 40; part++)
        if (part != choice.part)
            cr_assert_eq(admission_join(here.admission, choice.part, part, LIMIT, here.now), 1);
    cr_assert_eq(admission_started(here.admission, choice.part, here.now), 0);
    here.now += 3 * MS;
    for (unsigned part = 20; part < 40; part++)
        if (part != choice.part)
            harness_finish(here.admission, part, ADMISSION_UNREACHED, ADMISSION_UNTIMED, here.now);
    harness_finish(here.admission, choice.part, ADMISSION_UNREACHED, 3 * MS, here.now);
    cr_expect_eq(look(&here, 0).failures, 1);
    cr_expect_eq(look(&here, 0).state, ADMISSION_NEXTHOP_UP);
    admission_destroy(here.admission);
}

/* A server that takes no more than stock would start, and says so to whoever is one more. */
Test(admission_nexthop, a_crowded_one_is_given_no_more_than_stock)
{
    struct admission_settings settings;
    struct scene here = scene();
    unsigned most;
    int part;

    admission_defaults(&settings);
    most = 3 * settings.stock;
    for (unsigned i = 0; i < 20; i++)
        arrives(&here, i, "relay", FIRST);
    cr_assert_eq(run(&here, ADMISSION_DELIVERED, NULL), 20);
    for (unsigned i = 0; i < 800; i++)
        arrives(&here, i % 20, "relay", FIRST);
    for (unsigned i = 1; i < settings.stock; i++)
        cr_assert_geq(harness_start(here.admission, most, here.now), 0);
    /* One that stock would have started, too, says nothing of their number. */
    harness_finish(here.admission, (unsigned)harness_start(here.admission, most, here.now),
                   ADMISSION_UNREACHED, MS, here.now);
    cr_expect_eq(admission_limit(here.admission, most, here.now), most);
    for (int64_t time = 60; time <= 120; time += 60) {
        cr_assert_geq(harness_start(here.admission, most, here.now), 0);
        part = harness_start(here.admission, most, here.now);
        cr_assert_geq(part, 0);
        harness_finish(here.admission, (unsigned)part, ADMISSION_DELIVERED, MS, here.now);
        part = harness_start(here.admission, most, here.now);
        cr_assert_geq(part, 0);
        harness_finish(here.admission, (unsigned)part, ADMISSION_UNREACHED, MS, here.now);
        cr_expect_eq(admission_limit(here.admission, most, here.now), settings.stock);
        cr_expect_eq(admission_limit(here.admission, 5, here.now), 5);
        cr_expect_eq(admission_limit(here.admission, most, here.now + (time - 1) * SECOND),
                     settings.stock);
        here.now += time * SECOND;
        cr_expect_eq(admission_limit(here.admission, most, here.now), most);
    }
    admission_destroy(here.admission);
}

/* The only next hop answers nobody, and nothing happens: by the clock alone its mail may leave a full room in the end. */
Test(admission_nexthop, silence_spares_who_was_served_but_not_for_ever)
{
    struct scene here = scene();

    for (unsigned domain = 0; domain < 10; domain++)
        arrives(&here, domain, "relay", FIRST);
    cr_assert_eq(run(&here, ADMISSION_DELIVERED, NULL), 10);
    here.now += SECOND;
    for (unsigned i = 0; i < 200; i++)
        arrives(&here, i % 10, "relay", FIRST);
    cr_assert_gt(harness_start_all(here.admission, LIMIT, here.now, NULL), 3);
    here.now += 10 * SECOND;
    admission_next(here.admission, LIMIT, here.now);
    cr_expect_eq(look(&here, 0).state, ADMISSION_NEXTHOP_SILENT);
    cr_expect_eq(admission_victim(here.admission, here.now), -1);
    here.now += 80 * SECOND;
    admission_next(here.admission, LIMIT, here.now);
    cr_expect_eq(admission_victim(here.admission, here.now), -1);
    here.now += 11 * SECOND;
    cr_expect_neq(admission_next(here.admission, LIMIT, here.now).answer, ADMISSION_START);
    cr_expect_geq(admission_victim(here.admission, here.now), 0);
    admission_destroy(here.admission);
}
