#ifndef SUPERVISOR_REPORT_TOTALS_H
#define SUPERVISOR_REPORT_TOTALS_H

/*
 * Counters since the start: one table. A line of TOTALS gives a member of struct totals, its name
 * in the snapshot's JSON, its field in the journal, its metric, and its words. A new counter is one
 * line here, one item in the manual headroomctl(8), and one `totals->NAME++` where it happens. With
 * a field, also an item in headroom(8); with field and text it is in the last line of the log, which
 * test_state_lines.c compares. test_totals.c compares the table with the manual.
 *
 * Deferred is what headroom sent to retry(8); failed is what an agent could not deliver. A reason
 * of deferral is a line whose metric is "deferred". Pure.
 */

#include <stddef.h>
#include <stdint.h>

/*
 * X(name, field, metric, label, help, text)
 *   field   of the last line in the journal; "": the counter is not in that line
 *   metric  family of the metric, without headroom_ and _total; "": none
 *   label   value of the label `reason` in that family; "": the family has no label
 *   help    one sentence, for # HELP; the same in all lines of a family, which stand together
 *   text    its words in the last line, or the words of the reason; "": in neither
 */
#define TOTALS_WOULD_DEFER "Dry run: parts that headroom would have deferred, by reason."
#define TOTALS_WOULD_WAIT "Dry run: parts that would have waited where they began, by reason."

#define TOTALS(X)                                                                                  \
    X(requests, "HEADROOM_REQUESTS", "requests", "", "Delivery requests that were read.",          \
      "requests")                                                                                  \
    X(delivered, "HEADROOM_DELIVERED", "delivered", "",                                            \
      "Parts of requests that an agent delivered.", "delivered")                                   \
    X(failed, "HEADROOM_FAILED", "failed", "",                                                     \
      "Parts that an agent could not deliver: the other side.", "failed by workers")               \
    X(deferred, "HEADROOM_DEFERRED", "", "", "Parts that headroom deferred.", "deferred")          \
    X(deferred_memory, "", "deferred", "memory", "Parts that headroom deferred, by reason.",       \
      "memory")                                                                                    \
    X(deferred_full, "", "deferred", "full", "Parts that headroom deferred, by reason.",           \
      "too many wait")                                                                             \
    X(deferred_slow, "", "deferred", "slow", "Parts that headroom deferred, by reason.",           \
      "slow or dead destination")                                                                  \
    X(would_defer_memory, "", "would_defer", "memory", TOTALS_WOULD_DEFER, "memory")               \
    X(would_defer_full, "", "would_defer", "full", TOTALS_WOULD_DEFER, "too many wait")            \
    X(would_defer_slow, "", "would_defer", "slow", TOTALS_WOULD_DEFER, "slow or dead destination") \
    X(would_wait_limit, "", "would_wait", "limit", TOTALS_WOULD_WAIT, "limit")                     \
    X(would_wait_destination, "", "would_wait", "destination", TOTALS_WOULD_WAIT, "destination")   \
    X(would_split, "", "would_split", "",                                                          \
      "Dry run: parts that would not have gone along with the first of their request.", "")        \
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

#define TOTALS_COUNT (sizeof(struct totals) / sizeof(uint64_t))

struct totals_entry {
    const char *name;
    const char *field;
    const char *metric;
    const char *label;
    const char *help;
    const char *text;
};

/* In the order of the members. */
extern const struct totals_entry totals_table[TOTALS_COUNT];

/* The n-th member. */
static inline uint64_t totals_value(const struct totals *totals, unsigned n)
{
    return ((const uint64_t *)totals)[n];
}

/* Adds to `sum` what happened between `then` and `now`. */
void totals_add(struct totals *sum, const struct totals *then, const struct totals *now);

/* Counters with a field, as words: "12 requests, 9 delivered, ...". Cuts them to `size`. */
void totals_write(const struct totals *totals, char *text, size_t size);

/* All reasons, with the largest numbers. */
#define TOTALS_REASONS_SIZE 256

/* Reasons of deferral, as words: "memory 2, too many wait 3, ...". Cuts them to `size`. */
void totals_write_reasons(const struct totals *totals, char *text, size_t size);

/* Sums over the reasons. */
struct totals_would {
    uint64_t deferred;
    uint64_t waited;
    uint64_t split;
};

struct totals_would totals_would(const struct totals *totals);

#define TOTALS_WOULD_SIZE (2 * TOTALS_REASONS_SIZE + 128)

/*
 * Of a dry run, behind "would have": "deferred 5 (memory 2, ...), made 9 wait (limit 3, destination
 * 6), split off 2". Cuts it to `size`.
 */
void totals_write_would(const struct totals *totals, char *text, size_t size);

#endif
