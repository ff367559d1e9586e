#ifndef SUPERVISOR_JOURNAL_LIMIT_H
#define SUPERVISOR_JOURNAL_LIMIT_H

/*
 * How often the same problem is logged: five times, then once a minute with the number of times in
 * between. One struct journal_limit for each kind of problem that others can cause as often as they
 * like (refused requests, lost workers, no descriptors). Pure: the caller gives the time, in us of
 * any monotonic clock.
 */

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_LIMIT_BURST 5
#define JOURNAL_LIMIT_INTERVAL UINT64_C(60000000)

/* `most` lines at once; each `interval` one is earned back. All zero is a full budget. */
struct journal_budget {
    uint64_t since; /* time at which the next line began to be earned */
    unsigned spent; /* lines not yet earned back */
};

/* Lines that may be written now. A clock that went back earns nothing. */
unsigned journal_budget_left(struct journal_budget *budget, unsigned most, uint64_t interval,
                             uint64_t now);

/* A line is written now; call journal_budget_left() before. A line beyond the budget is a debt. */
void journal_budget_spend(struct journal_budget *budget, uint64_t now);

/* All zero is a good start. */
struct journal_limit {
    struct journal_budget lines;
    uint64_t unsaid; /* times since the last line */
};

/*
 * The problem occurred. True: log it, and that it occurred `*unsaid` times more since the last line
 * (often 0). False: it is counted. `most` is JOURNAL_LIMIT_BURST. One less leaves the last line of
 * a burst to journal_limit_remainder(): the count follows within a tick, not a minute later.
 */
bool journal_limit_happened(struct journal_limit *limit, unsigned most, uint64_t now,
                            uint64_t *unsaid);

/*
 * To be called each second, and at the end with `last`: a flood that is over is logged, too. True:
 * log that the problem occurred `*unsaid` times more. `most` is JOURNAL_LIMIT_BURST; 1: not before
 * all lines are earned back, so that one line is followed by one count a minute.
 */
bool journal_limit_remainder(struct journal_limit *limit, unsigned most, uint64_t now, bool last,
                             uint64_t *unsaid);

#endif
