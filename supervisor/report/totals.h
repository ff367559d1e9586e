#ifndef SUPERVISOR_REPORT_TOTALS_H
#define SUPERVISOR_REPORT_TOTALS_H

/*
 * What has been counted since the start: one table. A line of TOTALS gives the member of struct
 * totals, its name in the snapshot's JSON, its metric, and its words in the line at the end. A new
 * counter is one line here, and one `totals->NAME++` where it happens; test_totals.c compares the
 * table with the manuals.
 *
 * Deferred is what headroom sent to retry(8); failed is what an agent could not deliver.
 */

#include <stdint.h>

/*
 * X(name, field, metric, label, help, text)
 *   field   its field in the journal; "" when it is not in the line at the end
 *   metric  family of the metric, without headroom_ and _total; "" for none
 *   label   value of the label `reason` in that family; "" for a family of its own
 *   help    what it counts, for # HELP and the manuals
 *   text    its words in the line at the end, "" when it is not in it
 */
#define TOTALS(X)                                                                                  \
    X(requests, "HEADROOM_REQUESTS", "requests", "", "Delivery requests that were read.",          \
      "requests")                                                                                  \
    X(delivered, "HEADROOM_DELIVERED", "delivered", "",                                            \
      "Parts of requests that an agent delivered.", "delivered")                                   \
    X(failed, "HEADROOM_FAILED", "failed", "",                                                     \
      "Parts that an agent could not deliver: the other side.", "failed by workers")               \
    X(deferred, "HEADROOM_DEFERRED", "", "", "Parts that headroom deferred.", "deferred")          \
    X(deferred_memory, "", "deferred", "memory", "Parts that headroom deferred, by reason.", "")   \
    X(deferred_full, "", "deferred", "full", "Parts that headroom deferred, by reason.", "")       \
    X(deferred_slow, "", "deferred", "slow", "Parts that headroom deferred, by reason.", "")       \
    X(unrecorded, "", "unrecorded", "", "Of the deferred, those without service retry.", "")       \
    X(lost, "HEADROOM_LOST", "lost", "", "Parts whose worker died.", "lost with a worker")         \
    X(refused, "HEADROOM_REFUSED", "requests_refused", "", "Malformed, or without a queue file.",  \
      "refused")                                                                                   \
    X(started, "HEADROOM_STARTED", "workers_started", "", "Workers that were started.",            \
      "workers started")

#define TOTALS_MEMBER(name, field, metric, label, help, text) uint64_t name;

struct totals {
    TOTALS(TOTALS_MEMBER)
};

#define TOTALS_ONE(name, field, metric, label, help, text) +1

enum { TOTALS_COUNT = 0 TOTALS(TOTALS_ONE) };

struct totals_entry {
    const char *name;
    const char *field;
    const char *metric;
    const char *label;
    const char *help;
    const char *text;
};

/* In the order of the members: the n-th is ((const uint64_t *)totals)[n]. */
extern const struct totals_entry totals_table[TOTALS_COUNT];

static inline uint64_t totals_value(const struct totals *totals, unsigned n)
{
    return ((const uint64_t *)totals)[n];
}

/* Adds to `sum` what happened between `then` and `now`. */
void totals_add(struct totals *sum, const struct totals *then, const struct totals *now);

#endif
