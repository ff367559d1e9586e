#ifndef SUPERVISOR_REPORT_NEXTHOP_LINES_H
#define SUPERVISOR_REPORT_NEXTHOP_LINES_H

/*
 * Lines about next hops: one that a next hop does not answer, since when, and what waits; another
 * one that it does. What lasts for less than a second has no line. A next hop that comes and goes
 * is said as other complaints are (complaints.h); each line that it does not answer has its other.
 * One that limits the workers by refusing more (nexthop.h, CROWDED) has a line each time.
 *
 * DIAGNOSTICS: EVENT_NEXTHOP_DOWN (LOG_WARNING), EVENT_NEXTHOP_UP, EVENT_NEXTHOP_CROWDED (LOG_NOTICE).
 */

#include <stdint.h>

#include "supervisor/limits.h"
#include "supervisor/report/complaints.h"
#include "supervisor/report/view.h"

enum nexthop_told { NEXTHOP_TOLD_UP, NEXTHOP_UNTOLD, NEXTHOP_TOLD_DOWN };

/* All zero is a good start. */
struct nexthop_lines {
    struct {
        enum nexthop_told told; /* UNTOLD: it does not answer, and there was no line left */
        int64_t since;
        int64_t crowded_until; /* as it was said */
    } of[NEXTHOPS_MAX];
};

/* Logs what has changed. To be called about once a second. */
void nexthop_lines_tick(struct nexthop_lines *lines, const struct report_view *view,
                        struct complaints *complaints);

#endif
