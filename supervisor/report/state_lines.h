#ifndef SUPERVISOR_REPORT_STATE_LINES_H
#define SUPERVISOR_REPORT_STATE_LINES_H

/*
 * Lines about the limit: each change of state, summaries while it is not OPEN or mail is deferred
 * by headroom, and back in OPEN what the time since the last OPEN was like. However the limit
 * behaves, there are few lines; what they leave out is counted.
 *
 * A change for the worse is logged at once, one for the better when nothing was logged for ten
 * seconds. Changes and summaries share ten lines and earn one back each ten minutes; a summary
 * leaves the last four to changes. So a flush of an hour stays below twenty lines.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/journal/journal.h"
#include "supervisor/journal/journal_limit.h"
#include "supervisor/report/view.h"

/* All zero is a good start. */
struct state_lines {
    uint64_t told;                /* when a line was last written */
    enum limit_mode told_mode;    /* and the mode in it */
    enum limit_mode worst;        /* that was logged, until all lines are earned back */
    struct totals told_totals;    /* at that time */
    struct journal_budget lines;  /* changes and summaries */
    struct journal_limit changes; /* changes */
    bool untold;                  /* the change to this mode is not logged yet */
    uint64_t unsaid;              /* changes before it since then that were not logged */
    uint64_t left;                /* when OPEN was left; 0 while it is OPEN */
    struct totals left_totals;    /* at that time */
    uint64_t away;                /* us not in OPEN since OPEN was last logged */
    struct totals away_totals;    /* what happened in it */
};

/* The mode was `before`, and is another now: counts it. */
void state_lines_changed(struct state_lines *lines, const struct report_view *view,
                         enum limit_mode before);

/* Logs a change, or a summary, when it is time. To be called after each step of the limit. */
void state_lines_tick(struct state_lines *lines, const struct report_view *view,
                      struct journal *journal);

/* Changes since the last line, which the log will not have if it ends now. */
uint64_t state_lines_unsaid(const struct state_lines *lines);

#endif
