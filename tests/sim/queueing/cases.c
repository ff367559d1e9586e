/* The cases: see simulation.h. */

#include <math.h>
#include <stdlib.h>

#include "tests/sim/queueing/simulation.h"

/* Good mail, Poisson, 5 a second, to `domains` domains, or to a new one each time. */
static void good_mail(struct simulation *sim, int64_t from, int domains, enum server server)
{
    int known[8];

    for (int i = 0; i < domains; i++)
        known[i] = simulation_domain(sim, server);
    for (int64_t at = from;;) {
        at += (int64_t)(-log(1 - simulation_uniform(sim)) * 200.0 * (double)MS);
        if (at >= GOOD_END)
            return;
        simulation_mail(sim, at,
                        domains > 0 ? known[simulation_random(sim) % (unsigned)domains]
                                    : simulation_domain(sim, server),
                        true, true);
    }
}

/* As fast as qmgr hands requests over: 1000 a second; messages in random order. */
static void flush(struct simulation *sim, int domains, int each, bool fresh, enum server server)
{
    int first = sim->domain_count, total = domains * each;
    int *order = calloc((size_t)total, sizeof *order);

    for (int i = 0; i < domains; i++)
        simulation_domain(sim, server);
    for (int i = 0; i < total; i++)
        order[i] = i % domains;
    for (int i = total - 1; i > 0; i--) {
        int j = (int)(simulation_random(sim) % (unsigned)(i + 1)), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
    for (int i = 0; i < total; i++)
        simulation_mail(sim, FLUSH + i * MS, first + order[i], fresh, false);
    free(order);
}

static void new_dead(struct simulation *sim, bool fresh)
{
    for (int64_t at = FLUSH; at < GOOD_END; at += ADMISSION_SECOND / 2)
        simulation_mail(sim, at + simulation_between(sim, 0, 400 * MS),
                        simulation_domain(sim, DEAD), fresh, false);
}

static void one_dead(struct simulation *sim)
{
    flush(sim, 1, 2000, false, DEAD);
    good_mail(sim, 0, 5, HEALTHY);
}

static void one_dead_fresh(struct simulation *sim)
{
    flush(sim, 1, 2000, true, DEAD);
    good_mail(sim, 0, 5, HEALTHY);
}

/* It delivered a message a second, and dies just before 2000 come for it. */
static void one_dies(struct simulation *sim)
{
    int first = sim->domain_count;

    sim->dies = FLUSH - 100 * MS;
    flush(sim, 1, 2000, false, DYING);
    for (int i = 0; i < 9; i++)
        simulation_mail(sim, i * ADMISSION_SECOND, first, true, false);
    good_mail(sim, 0, 5, HEALTHY);
}

static void forty_dead(struct simulation *sim)
{
    flush(sim, 40, 100, false, DEAD);
    good_mail(sim, 0, 5, HEALTHY);
}

static void many_dead(struct simulation *sim, bool fresh, int domains, bool top, bool top_fresh)
{
    flush(sim, 300, 5, fresh, DEAD);
    if (top)
        new_dead(sim, top_fresh);
    good_mail(sim, FLUSH + 2 * ADMISSION_SECOND, domains, HEALTHY);
}

static void aged_five(struct simulation *sim)
{
    many_dead(sim, false, 5, false, false);
}

static void aged_new(struct simulation *sim)
{
    many_dead(sim, false, 0, false, false);
}

static void aged_five_top(struct simulation *sim)
{
    many_dead(sim, false, 5, true, false);
}

static void aged_new_top(struct simulation *sim)
{
    many_dead(sim, false, 0, true, false);
}

static void mixed_five_top(struct simulation *sim)
{
    many_dead(sim, false, 5, true, true);
}

static void mixed_new_top(struct simulation *sim)
{
    many_dead(sim, false, 0, true, true);
}

static void fresh_five(struct simulation *sim)
{
    many_dead(sim, true, 5, false, true);
}

static void fresh_new(struct simulation *sim)
{
    many_dead(sim, true, 0, false, true);
}

static void fresh_five_top(struct simulation *sim)
{
    many_dead(sim, true, 5, true, true);
}

static void fresh_new_top(struct simulation *sim)
{
    many_dead(sim, true, 0, true, true);
}

static void slow_mail(struct simulation *sim, int domains)
{
    int first = sim->domain_count;

    for (int i = 0; i < domains; i++)
        simulation_domain(sim, SLOW);
    for (int64_t at = FLUSH; at < GOOD_END; at += 400 * MS)
        simulation_mail(sim, at, first + (int)(simulation_random(sim) % (unsigned)domains), true,
                        true);
}

static void slow_alone(struct simulation *sim)
{
    slow_mail(sim, 1);
}

static void slow_five(struct simulation *sim)
{
    slow_mail(sim, 5);
}

static void slow_beside_aged(struct simulation *sim)
{
    slow_mail(sim, 1);
    flush(sim, 300, 5, false, DEAD);
}

static void slow_beside_fresh(struct simulation *sim)
{
    slow_mail(sim, 1);
    flush(sim, 300, 5, true, DEAD);
}

static void busy(struct simulation *sim)
{
    flush(sim, 300, 7, false, BUSY);
    good_mail(sim, 0, 5, HEALTHY);
}

static void bursts(struct simulation *sim)
{
    flush(sim, 300, 5, false, DEAD);
    good_mail(sim, 0, 5, LATE);
}

static void split(struct simulation *sim)
{
    int domain[30];

    for (int i = 0; i < 30; i++)
        domain[i] = simulation_domain(sim, i == 0 ? DEAD : HEALTHY);
    for (int64_t at = FLUSH; at < GOOD_END; at += ADMISSION_SECOND)
        for (int i = 0; i < 30; i++)
            simulation_mail(sim, at, domain[i], true, i > 0);
    good_mail(sim, 0, 5, HEALTHY);
}

static void healing(struct simulation *sim)
{
    sim->heal = 70 * ADMISSION_SECOND;
    many_dead(sim, false, 5, false, false);
}

/* Ten healthy domains want more than all workers can do; one of them wants ten times as much as the others. */
static void contention(struct simulation *sim)
{
    int first = sim->domain_count;

    for (int i = 0; i < 10; i++)
        simulation_domain(sim, SECOND);
    for (int i = 0; i < 3800; i++)
        simulation_mail(sim, FLUSH + i * MS, first + (i % 2 == 0 ? 0 : 1 + i / 2 % 9), true, false);
    sim->until = FLUSH + 25 * ADMISSION_SECOND;
}

/*
 * 3fnt cannot be within 1 s with 64 workers, whatever the rule: two new dead domains a second, each for 30 s, hold 60 of them,
 * and the few slots that the flood took before anybody could know are missing for seconds at a time. Nothing tells a
 * dead domain from a good one before it is tried. The time is checked with 96 workers (3f+); 3mnt is the same, with
 * the unknown lane in the place of the flood.
 */
static const struct scenario scenarios[] = {
    {"1", "2000 to one dead domain", one_dead, .p99 = 0.25, .all_good = true},
    {"1f", "  fresh", one_dead_fresh, .p99 = 0.25, .all_good = true},
    {"1p", "  that delivered until then", one_dies, .p99 = 0.25, .all_good = true},
    {"2", "40 dead domains x 100", forty_dead, .p99 = 0.25, .all_good = true},
    {"3a5", "300 dead x 5, aged; good to five", aged_five, .p99 = 0.25, .all_good = true},
    {"3an", "  good to a new domain each", aged_new, .p99 = 0.25, .all_good = true},
    {"3a5t", "  five, 2 new dead a second on top", aged_five_top, .p99 = 0.25, .all_good = true},
    {"3ant", "  new, 2 new dead a second on top", aged_new_top, .p99 = 0.25, .all_good = true},
    {"3m5t", "  five, those on top are fresh", mixed_five_top, .p99 = 0.25, .all_good = true},
    {"3mnt", "  new, those on top are fresh", mixed_new_top, .all_good = true},
    {"3f5", "300 dead x 5, fresh; good to five", fresh_five, .p99 = 1, .all_good = true},
    {"3fn", "  good to a new domain each", fresh_new, .p99 = 1, .all_good = true},
    {"3f5t", "  five, 2 new dead a second on top", fresh_five_top, .p99 = 1, .all_good = true},
    {"3fnt", "  new, 2 new dead a second on top", fresh_new_top, .all_good = true},
    {"3f+", "  the same with 96 workers", fresh_new_top, .workers = 96, .p99 = 1, .all_good = true},
    {"4", "slow (8 s), 2.5 a second, one domain", slow_alone, .all_good = true,
     .none_deferred = true, .peak_least = 20},
    {"4f", "  five domains", slow_five, .all_good = true, .none_deferred = true, .peak_least = 20},
    {"4a", "  beside 300 dead, aged", slow_beside_aged, .all_good = true, .none_deferred = true},
    {"4b", "  beside 300 dead, fresh", slow_beside_fresh, .all_good = true, .none_deferred = true},
    {"5", "421 at once: 300 domains x 7", busy, .p99 = 0.25, .all_good = true, .peak_most = 24},
    {"5b", "good ones answer 421 in bursts, 300 dead", bursts, .p99 = 0.25},
    {"6", "30 recipients in 30 domains, one dead", split, .p99 = 0.25, .all_good = true},
    {"7", "as 3a5, all healthy from 70 s on", healing, .p99 = 0.25, .all_good = true,
     .healed = true},
    {"8", "ten healthy domains, overloaded", contention, .jain = 0.95},
};

const struct scenario *cases_at(size_t number)
{
    return number < sizeof scenarios / sizeof *scenarios ? &scenarios[number] : NULL;
}
