#ifndef SUPERVISOR_REPORT_FAILURES_H
#define SUPERVISOR_REPORT_FAILURES_H

/*
 * Why the last delivery to a destination failed, as the other side or the agent said it: for people, no decision reads it.
 * A table of FAILURES_MAX texts (supervisor/limits.h): where there are more destinations that fail, the oldest of four
 * that share a place is dropped. Pure. Times are us of any monotonic clock. All zero is an empty table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/limits.h"

#define FAILURE_KEY_SIZE 96 /* ADMISSION_KEY */

struct failure {
    char key[FAILURE_KEY_SIZE]; /* of the destination; "": a free place */
    char text[FAILURE_TEXT_SIZE];
    uint64_t text_time; /* when the text was said; 0: it is not known */
    uint64_t looked;    /* when the defer log was read last */
    uint64_t first;     /* of `count` failures, no two of them more than an hour apart */
    uint64_t last;
    uint64_t count;
};

struct failures {
    struct failure place[FAILURES_MAX];
};

/* One delivery to the destination failed. Its place, for failure_text(). */
struct failure *failures_add(struct failures *failures, const char *key, uint64_t now);

/* May the defer log be read for it now? Then it is not to be read again for FAILURE_READ_EVERY. */
bool failure_looks(struct failure *failure, uint64_t now);

/* The text of the last one; it is cut to its size. */
void failure_text(struct failure *failure, const char *text, uint64_t now);

/* NULL: nothing is known of it. */
const struct failure *failures_find(const struct failures *failures, const char *key);

/* The one that failed last; with `then`, the next one back from that; NULL: there is none. Walks the table. */
const struct failure *failures_newest(const struct failures *failures, const struct failure *then);

#endif
