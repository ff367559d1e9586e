#ifndef SUPERVISOR_JOURNAL_LIMIT_H
#define SUPERVISOR_JOURNAL_LIMIT_H

/*
 * How often the same problem is said: five times, then once a minute with the number of times it was not said. One struct
 * for each kind of problem that others can bring about as often as they like (refused requests, lost workers, no
 * descriptors). Pure: the time is given, in us of any monotonic clock.
 */

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_LIMIT_BURST 5
#define JOURNAL_LIMIT_INTERVAL UINT64_C(60000000)

/* Lines that may be written: `most` at once, and each `interval` one is earned back. All zero is all of them. */
struct journal_budget {
    uint64_t since; /* from when on the next line is earned */
    unsigned spent; /* not yet earned back */
};

/* How many may be written now. A clock that went back earns nothing. */
unsigned journal_budget_left(struct journal_budget *budget, unsigned most, uint64_t interval,
                             uint64_t now);

/* One is written now; to be called after journal_budget_left(). One that was not left is paid back before others are. */
void journal_budget_spend(struct journal_budget *budget, uint64_t now);

/* All zero is a good start. */
struct journal_limit {
    struct journal_budget lines;
    uint64_t unsaid; /* times it was not said since the last line */
};

/*
 * It happened. True: say it, and that it happened `*unsaid` times more since the last line (often 0). False: it is
 * counted. `most` is JOURNAL_LIMIT_BURST; one less leaves the last line of a burst to journal_limit_remainder(), so that how
 * often is told at once, not a minute later.
 */
bool journal_limit_happened(struct journal_limit *limit, unsigned most, uint64_t now,
                            uint64_t *unsaid);

/*
 * To be asked now and then (each minute, and at the end with `last`), so that a flood that is over is still told.
 * True: say that it happened `*unsaid` times more.
 */
bool journal_limit_remainder(struct journal_limit *limit, uint64_t now, bool last,
                             uint64_t *unsaid);

#endif
