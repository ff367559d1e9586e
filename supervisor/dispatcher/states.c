#include "supervisor/dispatcher/states.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "supervisor/journal/journal.h"

/* An entry that is not written below has `possible` false: that event cannot happen there. */
struct client_entry {
    bool possible;
    struct client_step step;
};

struct part_entry {
    bool possible;
    struct part_step step;
};

// clang-format off
#define TO(...) {true, {__VA_ARGS__}}
// clang-format on

static const struct client_entry client_table[CLIENT_STATES][CLIENT_EVENTS] = {
    [CLIENT_READING] =
        {
            [CLIENT_COMPLETE] = TO(CLIENT_HELD, CLIENT_ADMIT),
            [CLIENT_REFUSED] = TO(CLIENT_ANSWERING, CLIENT_REFUSE),
            [CLIENT_HUNG_UP] = TO(CLIENT_ENDED, CLIENT_NOTHING),
        },
    [CLIENT_HELD] =
        {
            [CLIENT_HUNG_UP] = TO(CLIENT_LEFT, CLIENT_CANCEL),
            [CLIENT_PARTS_ENDED] = TO(CLIENT_ANSWERING, CLIENT_MERGE),
        },
    [CLIENT_LEFT] =
        {
            [CLIENT_HUNG_UP] = TO(CLIENT_LEFT, CLIENT_NOTHING),
            [CLIENT_PARTS_ENDED] = TO(CLIENT_ENDED, CLIENT_NOTHING),
        },
    [CLIENT_ANSWERING] =
        {
            [CLIENT_HUNG_UP] = TO(CLIENT_ENDED, CLIENT_NOTHING),
            [CLIENT_ANSWERED] = TO(CLIENT_ENDED, CLIENT_NOTHING),
        },
};

static const struct part_entry part_table[PART_STATES][PART_EVENTS] =
    {
        [PART_WAITING] =
            {
                [PART_CHOSEN] = TO(PART_CONNECTING, PART_NOTHING),
                [PART_GREETED] = TO(PART_SENDING, PART_HAND_OVER),
                [PART_CANCELLED] = TO(PART_ENDED, PART_NOTHING),
                [PART_DEFERRED] = TO(PART_DEFERRING, PART_NOTHING),
                [PART_CROWDED] = TO(PART_VICTIM, PART_NOTHING),
                [PART_JOINS] = TO(PART_JOINED, PART_NOTHING),
            },
        [PART_CONNECTING] =
            {
                [PART_GREETED] = TO(PART_SENDING, PART_HAND_OVER),
                [PART_AGENT_GONE] = TO(PART_WAITING, PART_BACK),
                [PART_CANCELLED] = TO(PART_ENDED, PART_RELEASE),
            },
        [PART_SENDING] =
            {
                [PART_AGENT_GONE] = TO(PART_ENDED, PART_LOST),
                [PART_SENT] = TO(PART_RUNNING, PART_NOTHING),
                [PART_REPLIED] = TO(PART_ENDED, PART_RELAY),
                [PART_CANCELLED] = TO(PART_SENDING, PART_NOTHING),
            },
        [PART_RUNNING] =
            {
                [PART_AGENT_GONE] = TO(PART_ENDED, PART_LOST),
                [PART_REPLIED] = TO(PART_ENDED, PART_RELAY),
                [PART_CANCELLED] = TO(PART_RUNNING, PART_NOTHING),
            },
        [PART_DEFERRING] =
            {
                [PART_AGENT_GONE] = TO(PART_ENDED, PART_BARE),
                [PART_REPLIED] = TO(PART_ENDED, PART_RELAY),
                [PART_CANCELLED] = TO(PART_DEFERRING, PART_NOTHING),
                [PART_KEPT] = TO(PART_WAITING, PART_NOTHING),
            },
        [PART_VICTIM] =
            {
                [PART_CANCELLED] = TO(PART_ENDED, PART_NOTHING),
                [PART_DEFERRED] = TO(PART_DEFERRING, PART_NOTHING),
                [PART_KEPT] = TO(PART_WAITING, PART_NOTHING),
            },
        [PART_JOINED] =
            {
                [PART_AGENT_GONE] = TO(PART_ENDED, PART_LOST),
                [PART_REPLIED] = TO(PART_ENDED, PART_RELAY),
                [PART_CANCELLED] = TO(PART_JOINED, PART_NOTHING),
                [PART_LEAVES] = TO(PART_WAITING, PART_BACK),
            },
};

int states_client(enum client_state state, enum client_event event, struct client_step *step)
{
    if (!client_table[state][event].possible)
        return -EPROTO;
    *step = client_table[state][event].step;
    return 0;
}

int states_part(enum part_state state, enum part_event event, struct part_step *step)
{
    if (!part_table[state][event].possible)
        return -EPROTO;
    *step = part_table[state][event].step;
    return 0;
}

void states_broken(struct journal *journal, const char *what, int state, int event)
{
    journal_log(journal, EVENT_EXIT, LOG_CRIT, NULL, 0,
                "broken promise: %s in state %d met event %d; starting again. Please report this",
                what, state, event);
    journal_close(journal, 200);
    abort();
}
