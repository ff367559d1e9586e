/*
 * Properties of admission under random sequences of all its calls, deaths and cancellations: nothing is started twice,
 * forgotten or answered never; shares and windows hold; nobody starves; a decision costs the same however many there are.
 */

#include "tests/unit/admission_harness.h"

#include <errno.h>
#include <stdlib.h>

#define PARTS 300
#define KEYS 40

/* What is parked waits, for whom it is not to be told apart. */
enum state { STATE_FREE, STATE_WAITING, STATE_CHOSEN, STATE_RUNNING, STATE_JOINED, STATE_VICTIM };

struct model {
    struct admission *admission;
    uint64_t random;
    int64_t now;
    unsigned limit;
    enum state state[PARTS];
    unsigned key[PARTS];
    bool exempt[PARTS];
    unsigned leader[PARTS];
    unsigned members[PARTS];
    bool succeeded[KEYS]; /* ever */
    bool down;            /* no server is reached */
    unsigned in_flight[KEYS];
    unsigned waiting, flying, joined, victims;
    uint64_t arrived, ended;
};

static unsigned roll(struct model *model, unsigned sides)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (unsigned)((model->random >> 20) % sides);
}

static void check(const struct model *model)
{
    struct admission_counters counters;
    unsigned sum = 0;

    admission_count(model->admission, &counters);
    cr_assert_eq(counters.waiting, model->waiting);
    cr_assert_eq(counters.in_flight, model->flying);
    for (int i = 0; i < ADMISSION_LANES; i++) {
        cr_assert_leq(counters.lane[i], model->flying);
        sum += counters.lane[i];
    }
    cr_assert_eq(sum, model->flying);
    sum = 0;
    for (int i = 0; i < ADMISSION_WAITS; i++)
        sum += counters.waits[i];
    cr_assert_eq(sum, model->waiting);
    cr_assert_leq(counters.hanging, model->flying);
    cr_assert_eq(counters.victims, model->victims);
    cr_assert_leq(admission_spared(model->admission, model->now), model->waiting);
    cr_assert_eq(model->arrived,
                 model->ended + model->waiting + model->flying + model->joined + model->victims);
}

static void arrive(struct model *model, unsigned part)
{
    char key[24];
    unsigned which = roll(model, KEYS) * roll(model, KEYS) / KEYS;
    static const char *const hops[] = {"relay", "relay", "relay", "backup", "", "a", "b"};
    struct admission_arrival arrival = {.key = key, .nexthop = hops[which % 7]};

    /* Now and then its mail goes elsewhere. */
    if (roll(model, 200) == 0)
        arrival.nexthop = "backup";
    arrival.nexthop_length = strlen(arrival.nexthop);
    arrival.key_length = (size_t)snprintf(key, sizeof key, "domain%u", which);
    arrival.first = roll(model, 2) == 0;
    arrival.exempt = roll(model, 10) == 0;
    arrival.pace = which == 7 ? SECOND : 0;
    int result = admission_arrive(model->admission, part, &arrival, model->now);
    cr_assert_eq(result, model->state[part] == STATE_FREE ? 0 : -EINVAL);
    if (result != 0)
        return;
    model->state[part] = STATE_WAITING;
    model->key[part] = which;
    model->exempt[part] = arrival.exempt;
    model->waiting++;
    model->arrived++;
}

static void unwait(struct model *model, unsigned part, enum state state)
{
    cr_assert_eq(model->state[part], STATE_WAITING);
    model->state[part] = state;
    model->waiting--;
    if (state == STATE_FREE)
        model->ended++;
}

static void land(struct model *model, unsigned part, enum state state)
{
    model->state[part] = state;
    model->in_flight[model->key[part]]--;
    model->flying--;
    if (state == STATE_WAITING)
        model->waiting++;
    else
        model->ended++;
}

/* Others go along with a part that was chosen, or it is parked. */
static void gather(struct model *model, unsigned leader)
{
    unsigned least = 1;

    if (roll(model, 4) == 0) {
        int result = admission_park(model->admission, leader, model->now);
        cr_assert_geq(result, 0);
        if (result > 0)
            land(model, leader, STATE_WAITING);
        return;
    }
    for (int i = 0; i < 20; i++) {
        unsigned part = roll(model, PARTS);
        int result = admission_join(model->admission, leader, part, model->limit, model->now);
        if (model->state[part] != STATE_WAITING) {
            cr_assert_eq(result, -EINVAL);
            continue;
        }
        cr_assert_geq(result, 0);
        if (result == 0)
            continue;
        cr_assert(model->members[leader] > 0 ||
                  admission_joins(model->admission, leader, model->now));
        cr_assert_neq(model->key[part], model->key[leader]);
        model->state[part] = STATE_JOINED;
        model->leader[part] = leader;
        model->members[leader]++;
        model->waiting--;
        model->joined++;
        least &= model->succeeded[model->key[part]];
    }
    if (least == 0)
        cr_assert_leq(model->members[leader], 3, "of those never seen no more");
}

/* One that went along waits again, or has ended. */
static void part_ways(struct model *model, unsigned part, enum state state)
{
    model->members[model->leader[part]]--;
    model->state[part] = state;
    model->joined--;
    if (state == STATE_WAITING)
        model->waiting++;
    else
        model->ended++;
}

static bool next(struct model *model)
{
    unsigned promised = admission_runnable(model->admission, model->limit, model->now, 1000, 1000);
    struct admission_choice choice = admission_next(model->admission, model->limit, model->now);
    struct admission_counters counters;
    unsigned nested = 0;

    if (choice.answer != ADMISSION_START) {
        cr_assert_eq(promised, 0);
        cr_assert_eq(choice.answer == ADMISSION_EMPTY, model->waiting == 0);
        if (choice.answer == ADMISSION_LIMIT)
            cr_assert_geq(model->flying, model->limit);
        if (choice.answer == ADMISSION_HELD && model->flying == 0) {
            cr_assert_neq(choice.again, ADMISSION_NEVER, "it would wait forever");
            cr_assert_gt(choice.again, model->now);
        }
        return false;
    }
    cr_assert_gt(promised, 0);
    cr_assert_lt(model->flying, model->limit);
    unwait(model, choice.part, STATE_CHOSEN);
    model->flying++;
    unsigned key = model->key[choice.part];
    model->in_flight[key]++;
    if (!model->succeeded[key] && choice.lane != ADMISSION_FIRST && !model->exempt[choice.part])
        cr_assert_leq(model->in_flight[key], 1, "one at a time until the first success");
    admission_count(model->admission, &counters);
    for (int i = choice.lane; i < ADMISSION_LANES; i++)
        nested += counters.lane[i];
    cr_assert_leq(nested, admission_share(choice.lane, model->limit));
    if (roll(model, 2) == 0)
        gather(model, choice.part);
    return true;
}

static void finish(struct model *model, unsigned part)
{
    enum admission_outcome outcome =
        model->down ? ADMISSION_UNREACHED : roll(model, ADMISSION_UNDELIVERED + 1);
    bool joined = model->state[part] == STATE_JOINED;
    bool flies = model->state[part] == STATE_CHOSEN || model->state[part] == STATE_RUNNING;
    int64_t service = roll(model, 3) == 0 ? 30 * SECOND : 10 * MS;

    if (joined && roll(model, 4) == 0)
        service = ADMISSION_UNTIMED;

    /* Every third domain never delivers. */
    if (model->key[part] % 3 == 0 && outcome == ADMISSION_DELIVERED)
        outcome = ADMISSION_FAILED;
    int result = admission_finished(model->admission, part, outcome, service, model->now);
    cr_assert_eq(result < 0, !joined && (!flies || model->members[part] > 0));
    cr_assert(result <= 0 || outcome == ADMISSION_UNREACHED);
    if (result < 0)
        return;
    if (outcome == ADMISSION_DELIVERED)
        model->succeeded[model->key[part]] = true;
    if (joined)
        part_ways(model, part, STATE_FREE);
    else
        land(model, part, STATE_FREE);
}

static void leave(struct model *model, int part)
{
    if (part < 0)
        return;
    cr_assert_not(model->exempt[part]);
    unwait(model, (unsigned)part, STATE_FREE);
}

/* The room is full. */
static void crowd_out(struct model *model, int part)
{
    leave(model, part);
    if (part < 0)
        return;
    model->ended--;
    model->state[part] = STATE_VICTIM;
    model->victims++;
}

static void be_free(struct model *model, unsigned part)
{
    cr_assert_eq(model->state[part], STATE_VICTIM);
    model->state[part] = STATE_FREE;
    model->victims--;
    model->ended++;
}

static void make_room(struct model *model, bool hurry)
{
    enum admission_space space = (enum admission_space)roll(model, 3);
    struct admission_leave answer = admission_leave(model->admission, hurry, space, model->now);

    if (answer.part < 0) {
        cr_assert(model->victims == 0 || (!hurry && answer.again > model->now));
        return;
    }
    be_free(model, (unsigned)answer.part);
    if (!answer.stays)
        return;
    cr_assert_neq(space, ADMISSION_FULL);
    model->state[answer.part] = STATE_WAITING;
    model->waiting++;
    model->ended--;
}

static void step(struct model *model)
{
    unsigned part = roll(model, PARTS);
    int result;

    if (roll(model, 100) == 0)
        model->down = !model->down;
    model->now += roll(model, 20) == 0 ? (int64_t)roll(model, 4000) * MS : roll(model, 2000);
    switch (roll(model, 12)) {
    case 0:
    case 1:
    case 2:
        arrive(model, part);
        break;
    case 3:
    case 4:
    case 5:
        next(model);
        break;
    case 6:
        result = admission_started(model->admission, part, model->now);
        cr_assert_eq(result, model->state[part] == STATE_CHOSEN ? 0 : -EINVAL);
        if (result == 0)
            model->state[part] = STATE_RUNNING;
        break;
    case 7:
        result = admission_put_back(model->admission, part, model->now);
        cr_assert_eq(result,
                     model->state[part] == STATE_JOINED ||
                             (model->state[part] == STATE_CHOSEN && model->members[part] == 0)
                         ? 0
                         : -EINVAL);
        if (result == 0 && model->state[part] == STATE_JOINED)
            part_ways(model, part, STATE_WAITING);
        else if (result == 0)
            land(model, part, STATE_WAITING);
        break;
    case 8:
        for (int i = 0; i < 4; i++)
            finish(model, roll(model, PARTS));
        break;
    case 9:
        result = admission_cancel(model->admission, part, model->now);
        cr_assert_eq(result,
                     model->state[part] == STATE_WAITING || model->state[part] == STATE_VICTIM ||
                             (model->state[part] == STATE_CHOSEN && model->members[part] == 0)
                         ? 0
                         : -EINVAL);
        if (result == 0 && model->state[part] == STATE_CHOSEN)
            land(model, part, STATE_FREE);
        else if (result == 0 && model->state[part] == STATE_VICTIM)
            be_free(model, part);
        else if (result == 0)
            unwait(model, part, STATE_FREE);
        break;
    case 10:
        leave(model, admission_expire(model->admission, model->now, NULL));
        break;
    default:
        if (roll(model, 8) == 0)
            crowd_out(model, roll(model, 2) == 0
                                 ? admission_victim(model->admission, model->now)
                                 : admission_victim_spared(model->admission, model->now));
        else if (roll(model, 4) == 0)
            make_room(model, roll(model, 4) == 0);
        else if (roll(model, 8) == 0)
            leave(model, admission_shed(model->admission, 5 * SECOND, model->now, NULL));
        else if (roll(model, 100) == 0)
            model->limit = roll(model, 100);
        break;
    }
}

/* Whatever waits can be run to its end: nothing is forgotten. */
static void drain(struct model *model)
{
    unsigned idle = 0;

    model->limit = 1 + roll(model, 64);
    while (model->waiting + model->flying + model->joined + model->victims > 0) {
        bool moved = false;
        if (model->victims > 0)
            make_room(model, true);
        for (unsigned i = 0; i < PARTS; i++)
            if (model->state[i] == STATE_JOINED) {
                cr_assert_eq(admission_finished(model->admission, i, ADMISSION_DELIVERED, 10 * MS,
                                                model->now),
                             0);
                model->succeeded[model->key[i]] = true;
                part_ways(model, i, STATE_FREE);
            }
        while (next(model))
            moved = true;
        for (unsigned i = 0; i < PARTS; i++)
            if ((model->state[i] == STATE_CHOSEN || model->state[i] == STATE_RUNNING) &&
                model->members[i] == 0) {
                cr_assert_eq(admission_finished(model->admission, i, ADMISSION_DELIVERED, 10 * MS,
                                                model->now),
                             0);
                model->succeeded[model->key[i]] = true;
                land(model, i, STATE_FREE);
                moved = true;
            }
        model->now += 500 * MS;
        idle = moved ? 0 : idle + 1;
        cr_assert_lt(idle, 40, "nothing moves: %u wait", model->waiting);
    }
}

Test(admission_random, nothing_is_started_twice_or_forgotten)
{
    struct admission_counters counters;
    uint64_t joined = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct model model = {.random = seed * 0x9e3779b97f4a7c15U, .limit = 1 + seed % 64};
        model.admission = harness_create(PARTS, KEYS / 2);
        for (int i = 0; i < 4000; i++) {
            step(&model);
            check(&model);
        }
        drain(&model);
        check(&model);
        admission_count(model.admission, &counters);
        joined += counters.joined;
        admission_destroy(model.admission);
    }
    cr_assert_gt(joined, 1000);
}

/* A slot turns over again and again: everybody gets one, at any limit, whatever the proven want. */
Test(admission_random, nobody_starves_while_slots_turn_over)
{
    static const unsigned limits[] = {1, 2, 3, 6, 16, 64};

    for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
        struct admission *admission = harness_create(600, 300);
        unsigned started[200] = {0}, untried = 0;
        unsigned owner[600];
        int flying[64], count = 0;
        int64_t now = 0;
        char key[24];

        /* Domain d: 0-49 deliver, 50-99 fail, 100-149 are tried for the first time, 150-199 are slow. Three parts each. */
        for (unsigned i = 0; i < 600; i++) {
            owner[i] = i % 200;
            snprintf(key, sizeof key, "d%u", owner[i]);
            harness_arrive(admission, i, key, owner[i] >= 100 && owner[i] < 150 ? FIRST : RETRY,
                           now);
        }
        for (int turn = 0; turn < 40000; turn++) {
            int part;
            now += 20 * MS;
            while (count < (int)limits[l] &&
                   (part = harness_start(admission, limits[l], now)) >= 0) {
                flying[count++] = part;
                started[owner[part]]++;
            }
            if (count == 0)
                continue;
            int which = turn % count;
            unsigned ended = (unsigned)flying[which], domain = owner[ended];
            flying[which] = flying[--count];
            harness_finish(admission, ended,
                           domain >= 50 && domain < 100 ? ADMISSION_FAILED : ADMISSION_DELIVERED,
                           domain >= 150 ? 8 * SECOND : 10 * MS, now);
            snprintf(key, sizeof key, "d%u", domain);
            harness_arrive(admission, ended, key, domain < 50 || domain >= 100 ? FIRST : RETRY,
                           now);
        }
        for (unsigned i = 0; i < 200; i++)
            if (started[i] == 0)
                untried++;
        cr_assert_eq(untried, 0, "limit %u: %u were never tried", limits[l], untried);
        admission_destroy(admission);
    }
}

static uint64_t steps(const struct admission *admission)
{
    struct admission_counters counters;

    admission_count(admission, &counters);
    return counters.steps;
}

/* The most steps that one call took, with so many destinations that all have something waiting. */
static uint64_t dearest(unsigned destinations)
{
    struct admission *admission = harness_create(2 * destinations + 64, destinations);
    uint64_t before, most = 0;
    int64_t now = 0;
    char key[24];

    for (unsigned i = 0; i < 2 * destinations; i++) {
        snprintf(key, sizeof key, "d%u", i % destinations);
        before = steps(admission);
        harness_arrive(admission, i, key, i % 3 == 0 ? FIRST : RETRY, now);
        if (steps(admission) - before > most)
            most = steps(admission) - before;
    }
    for (int i = 0; i < 3000; i++) {
        now += 300 * MS;
        before = steps(admission);
        (void)admission_runnable(admission, 64, now, 1000, 1000);
        int part = harness_start(admission, 64, now);
        if (part >= 0)
            harness_finish(admission, (unsigned)part,
                           i % 2 == 0 ? ADMISSION_FAILED : ADMISSION_DELIVERED,
                           i % 5 == 0 ? 9 * SECOND : 10 * MS, now + 10 * MS);
        int deferred = admission_expire(admission, now, NULL);
        if (i % 7 == 0 && deferred < 0)
            (void)admission_victim(admission, now);
        (void)admission_leave(admission, false, true, now);
        if (steps(admission) - before > most)
            most = steps(admission) - before;
    }
    admission_destroy(admission);
    return most;
}

Test(admission_random, a_decision_costs_the_same_at_a_hundred_thousand_destinations)
{
    uint64_t few = dearest(100), many = dearest(100000);

    cr_assert_lt(few, 400);
    cr_assert_leq(many, few + 150, "%llu at 100, %llu at 100000", (unsigned long long)few,
                  (unsigned long long)many);
}
