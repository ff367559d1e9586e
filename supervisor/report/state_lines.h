#ifndef SUPERVISOR_REPORT_STATE_LINES_H
#define SUPERVISOR_REPORT_STATE_LINES_H

/*
 * Lines about the limit: each change of its mode, and summaries while it is not OPEN or headroom
 * defers mail. The line that says OPEN again counts what happened in the meantime.
 *
 * The number of lines is bounded, however the limit behaves; each line counts the changes that have
 * none. A change for the worse is logged at once, one for the better when nothing was logged for
 * ten seconds. Changes and summaries share ten lines and earn one back each ten minutes; a summary
 * leaves the last four to changes. So a flush of an hour stays below twenty lines.
 *
 * DIAGNOSTICS: EVENT_STATE and EVENT_SUMMARY (LOG_WARNING; back in OPEN LOG_NOTICE), EVENT_EXIT.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/journal/journal.h"
#include "supervisor/journal/journal_limit.h"
#include "supervisor/report/view.h"

/* All zero is a good start. */
struct state_lines {
    uint64_t told;                /* time of the last line; 0: none yet */
    enum limit_mode told_mode;    /* the mode in it */
    struct totals told_totals;    /* the counters then */
    enum limit_mode worst;        /* mode that was logged since all lines were last free */
    struct journal_budget lines;  /* of changes and summaries together */
    struct journal_limit changes; /* of changes alone */
    bool untold;                  /* the change to the present mode is not logged yet */
    uint64_t unsaid;              /* earlier changes since the last line, not logged */
    uint64_t left;                /* time at which OPEN was left; 0: the mode is OPEN */
    struct totals left_totals;    /* the counters then */
    uint64_t away;                /* us not in OPEN since OPEN was last logged */
    struct totals away_totals;    /* counted in these */
};

/* The limit's mode is another one than `before`: counts the change. */
void state_lines_changed(struct state_lines *lines, const struct report_view *view,
                         enum limit_mode before);

/* Logs a change or a summary when one is due. To be called after each step of the limit. */
void state_lines_tick(struct state_lines *lines, const struct report_view *view,
                      struct journal *journal);

/* Changes since the last line, in no line yet. */
uint64_t state_lines_unsaid(const struct state_lines *lines);

/* The last line: the counters since the start, and the changes that are in no line. */
void state_lines_end(const struct state_lines *lines, const struct report_view *view,
                     struct journal *journal);

#endif
