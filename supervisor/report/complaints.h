#ifndef SUPERVISOR_REPORT_COMPLAINTS_H
#define SUPERVISOR_REPORT_COMPLAINTS_H

/*
 * Warnings that others can cause as often as they like. Each kind is logged five times, then once a
 * minute with the number of times in between (journal/journal_limit.h). complaints_flush() logs the
 * rest of a flood. Times are us of any monotonic clock.
 *
 * DIAGNOSTICS: the event and priority of each kind are in complaints.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/journal/journal.h"
#include "supervisor/journal/journal_limit.h"

enum complaint {
    COMPLAINT_START,       /* a worker cannot be started */
    COMPLAINT_REFUSED,     /* a delivery request is refused */
    COMPLAINT_LOST,        /* a worker ended with a request */
    COMPLAINT_DESCRIPTORS, /* there is no descriptor left */
    COMPLAINT_RETRY,       /* retry(8) cannot be reached */
    COMPLAINT_SOCKETS,     /* workers' sockets are not in the state directory */
    COMPLAINT_LEARNED,     /* the file of learned destinations cannot be written */
    COMPLAINT_SNAPSHOT,    /* status.json cannot be written */
    COMPLAINT_METRICS,     /* the file of metrics.textfile cannot be written */
    COMPLAINT_NEXTHOP,     /* a next hop does not answer */
    COMPLAINTS
};

/* The journal is not owned; all else begins as zero. */
struct complaints {
    struct journal *journal;
    struct journal_limit limit[COMPLAINTS];
};

/*
 * Logs the line, or counts it. HEADROOM_UNSAID is added to the `count` fields. Returns whether it
 * was logged.
 */
__attribute__((format(printf, 6, 7))) bool complain(struct complaints *complaints,
                                                    enum complaint which, uint64_t now,
                                                    const struct journal_field *fields,
                                                    size_t count, const char *format, ...);

/* It happened again, and its line would say nothing new: counted, as by complain() without a line. */
void complaints_count(struct complaints *complaints, enum complaint which);

/* Logs the counts of kinds that may have a line now; with `last`, of all kinds. */
void complaints_flush(struct complaints *complaints, uint64_t now, bool last);

#endif
