/* supervisor/dispatcher/states.c against the tables in the header, written down here once more. */

#include "supervisor/dispatcher/states.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

struct client_row {
    enum client_state from;
    enum client_event event;
    enum client_state to;
    enum client_action action;
};

static const struct client_row client_rows[] = {
    {CLIENT_READING, CLIENT_COMPLETE, CLIENT_HELD, CLIENT_ADMIT},
    {CLIENT_READING, CLIENT_REFUSED, CLIENT_ANSWERING, CLIENT_REFUSE},
    {CLIENT_READING, CLIENT_HUNG_UP, CLIENT_ENDED, CLIENT_NOTHING},
    {CLIENT_HELD, CLIENT_HUNG_UP, CLIENT_LEFT, CLIENT_CANCEL},
    {CLIENT_HELD, CLIENT_PARTS_ENDED, CLIENT_ANSWERING, CLIENT_MERGE},
    {CLIENT_LEFT, CLIENT_HUNG_UP, CLIENT_LEFT, CLIENT_NOTHING},
    {CLIENT_LEFT, CLIENT_PARTS_ENDED, CLIENT_ENDED, CLIENT_NOTHING},
    {CLIENT_ANSWERING, CLIENT_HUNG_UP, CLIENT_ENDED, CLIENT_NOTHING},
    {CLIENT_ANSWERING, CLIENT_ANSWERED, CLIENT_ENDED, CLIENT_NOTHING},
};

struct part_row {
    enum part_state from;
    enum part_event event;
    enum part_state to;
    enum part_action action;
};

static const struct part_row part_rows[] = {
    {PART_WAITING, PART_CHOSEN, PART_CONNECTING, PART_NOTHING},
    {PART_WAITING, PART_GREETED, PART_SENDING, PART_HAND_OVER},
    {PART_WAITING, PART_CANCELLED, PART_ENDED, PART_NOTHING},
    {PART_WAITING, PART_DEFERRED, PART_DEFERRING, PART_NOTHING},
    {PART_WAITING, PART_CROWDED, PART_VICTIM, PART_NOTHING},
    {PART_VICTIM, PART_CANCELLED, PART_ENDED, PART_NOTHING},
    {PART_VICTIM, PART_DEFERRED, PART_DEFERRING, PART_NOTHING},
    {PART_VICTIM, PART_KEPT, PART_WAITING, PART_NOTHING},
    {PART_CONNECTING, PART_GREETED, PART_SENDING, PART_HAND_OVER},
    {PART_CONNECTING, PART_AGENT_GONE, PART_WAITING, PART_BACK},
    {PART_CONNECTING, PART_CANCELLED, PART_ENDED, PART_RELEASE},
    {PART_SENDING, PART_AGENT_GONE, PART_ENDED, PART_LOST},
    {PART_SENDING, PART_SENT, PART_RUNNING, PART_NOTHING},
    {PART_SENDING, PART_REPLIED, PART_ENDED, PART_RELAY},
    {PART_SENDING, PART_CANCELLED, PART_SENDING, PART_NOTHING},
    {PART_RUNNING, PART_AGENT_GONE, PART_ENDED, PART_LOST},
    {PART_RUNNING, PART_REPLIED, PART_ENDED, PART_RELAY},
    {PART_RUNNING, PART_CANCELLED, PART_RUNNING, PART_NOTHING},
    {PART_DEFERRING, PART_AGENT_GONE, PART_ENDED, PART_BARE},
    {PART_DEFERRING, PART_REPLIED, PART_ENDED, PART_RELAY},
    {PART_DEFERRING, PART_CANCELLED, PART_DEFERRING, PART_NOTHING},
    {PART_DEFERRING, PART_KEPT, PART_WAITING, PART_NOTHING},
    {PART_WAITING, PART_JOINS, PART_JOINED, PART_NOTHING},
    {PART_JOINED, PART_AGENT_GONE, PART_ENDED, PART_LOST},
    {PART_JOINED, PART_REPLIED, PART_ENDED, PART_RELAY},
    {PART_JOINED, PART_CANCELLED, PART_JOINED, PART_NOTHING},
    {PART_JOINED, PART_LEAVES, PART_WAITING, PART_BACK},
};

#define ROWS(rows) (sizeof(rows) / sizeof *(rows))

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % limit;
}

Test(router, every_entry_of_the_client_table)
{
    for (unsigned state = 0; state < CLIENT_STATES; state++)
        for (unsigned event = 0; event < CLIENT_EVENTS; event++) {
            const struct client_row *row = NULL;
            struct client_step step;
            int result = states_client((enum client_state)state, (enum client_event)event, &step);

            for (size_t i = 0; i < ROWS(client_rows); i++)
                if (client_rows[i].from == state && client_rows[i].event == event)
                    row = &client_rows[i];
            cr_assert_eq(result, row ? 0 : -EPROTO, "state %u, event %u", state, event);
            cr_assert(!row || (step.state == row->to && step.action == row->action),
                      "state %u, event %u", state, event);
        }
}

Test(router, every_entry_of_the_part_table)
{
    for (unsigned state = 0; state < PART_STATES; state++)
        for (unsigned event = 0; event < PART_EVENTS; event++) {
            const struct part_row *row = NULL;
            struct part_step step;
            int result = states_part((enum part_state)state, (enum part_event)event, &step);

            for (size_t i = 0; i < ROWS(part_rows); i++)
                if (part_rows[i].from == state && part_rows[i].event == event)
                    row = &part_rows[i];
            cr_assert_eq(result, row ? 0 : -EPROTO, "state %u, event %u", state, event);
            cr_assert(!row || (step.state == row->to && step.action == row->action),
                      "state %u, event %u", state, event);
        }
}

/*
 * One client and its parts driven as the dispatcher drives them, by events in a random order: it
 * always ends, each part ends once, a part that was handed over never waits again, and a reply is
 * written at most once, and exactly once unless qmgr hung up.
 */
struct walk {
    uint64_t seed;
    enum client_state client;
    enum part_state part[4];
    bool handed_over[4];
    unsigned ended[4];
    unsigned parts;
    unsigned left;
    unsigned replies;
    bool hung_up;
};

static void client_happens(struct walk *walk, enum client_event event);

static void part_happens(struct walk *walk, unsigned number, enum part_event event)
{
    struct part_step step;

    cr_assert_eq(states_part(walk->part[number], event, &step), 0);
    if (step.action == PART_HAND_OVER) {
        cr_assert(!walk->handed_over[number], "handed over twice");
        walk->handed_over[number] = true;
    }
    cr_assert(step.state != PART_WAITING || !walk->handed_over[number],
              "waits after it was handed over");
    /* Only what was handed over can have a worker's reply or be lost with one, and the other way
     * round: it ends in no other way. */
    if (step.state == PART_ENDED)
        cr_assert_eq(step.action == PART_RELAY || step.action == PART_LOST,
                     walk->handed_over[number]);
    walk->part[number] = step.state;
    if (step.state != PART_ENDED)
        return;
    walk->ended[number]++;
    if (--walk->left == 0)
        client_happens(walk, CLIENT_PARTS_ENDED);
}

static void client_happens(struct walk *walk, enum client_event event)
{
    struct client_step step;

    cr_assert_eq(states_client(walk->client, event, &step), 0);
    walk->client = step.state;
    if (event == CLIENT_HUNG_UP)
        walk->hung_up = true;
    if (step.action == CLIENT_MERGE || step.action == CLIENT_REFUSE)
        walk->replies++;
    if (step.action == CLIENT_CANCEL)
        for (unsigned i = 0; i < walk->parts; i++)
            if (walk->part[i] != PART_ENDED)
                part_happens(walk, i, PART_CANCELLED);
}

/* Something that can happen now. */
static void random_event(struct walk *walk)
{
    unsigned number = random_below(&walk->seed, walk->parts);
    enum part_event event = (enum part_event)random_below(&walk->seed, PART_CANCELLED);
    struct part_step step;

    if (walk->client == CLIENT_READING) {
        client_happens(walk, (enum client_event)random_below(&walk->seed, 20) == 0
                                 ? CLIENT_REFUSED
                                 : CLIENT_COMPLETE);
    } else if (walk->client == CLIENT_ANSWERING) {
        client_happens(walk, CLIENT_ANSWERED);
    } else if (walk->client == CLIENT_HELD && random_below(&walk->seed, 20) == 0) {
        client_happens(walk, CLIENT_HUNG_UP);
    } else if (states_part(walk->part[number], event, &step) == 0) {
        part_happens(walk, number, event);
    }
}

Test(router, random_walks)
{
    unsigned hung_up = 0, relayed = 0;

    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct walk walk = {.seed = seed, .client = CLIENT_READING};
        unsigned steps = 0;

        walk.parts = walk.left = 1 + random_below(&walk.seed, 4);
        if (random_below(&walk.seed, 30) == 0)
            client_happens(&walk, CLIENT_HUNG_UP);
        while (walk.client != CLIENT_ENDED) {
            cr_assert(steps++ < 10000, "seed %llu does not end", (unsigned long long)seed);
            random_event(&walk);
        }
        for (unsigned i = 0; i < walk.parts; i++)
            cr_assert_eq(walk.ended[i], walk.left == 0 ? 1U : 0U);
        cr_assert_eq(walk.replies, walk.hung_up ? 0U : 1U);
        hung_up += walk.hung_up;
        relayed += walk.handed_over[0];
    }
    /* The walks went everywhere. */
    cr_assert(hung_up > 1000 && relayed > 1000);
}
