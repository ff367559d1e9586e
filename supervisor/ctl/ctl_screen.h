#ifndef SUPERVISOR_CTL_SCREEN_H
#define SUPERVISOR_CTL_SCREEN_H

/*
 * The screen of `headroomctl status`: what a snapshot means, in words. Pure but for the writing.
 */

#include <stdbool.h>
#include <stdio.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_words.h"
#include "supervisor/report/status.h"

/* More deferred messages are not counted. */
#define CTL_DEFERRED_MOST 10000

/* What headroomctl knows besides. */
struct ctl_view {
    int64_t now;
    size_t columns; /* of the terminal; 0: none */
    bool brief;     /* without what graphs show */
    enum ctl_life life;
    char process;       /* ctl_process_state() of the dispatcher */
    unsigned processes; /* workers whose memory was added up; 0: unknown */
    double unshared;    /* theirs, bytes */
    uint64_t deferred;  /* messages in Postfix's deferred queue, at most CTL_DEFERRED_MOST */
};

/* The first column of a line. */
void ctl_screen_label(FILE *out, const char *name);

/* Before the state: in a dry run it is what would be. Else nothing. */
const char *ctl_screen_would(const struct status *status);

/* What the figures of the last minute are about, while there is less of it, too. */
const char *ctl_screen_minute(const struct status *status, const struct ctl_view *view,
                              char text[CTL_WORD_SIZE]);

/* What keeps mail waiting (ctl_screen_cause.c). */
void ctl_screen_cause(FILE *out, const struct status *status, const struct ctl_view *view);

/* How much was deferred, and why. */
void ctl_screen_deferred(FILE *out, const struct status *status, const struct ctl_view *view);

/* The head of a service that does not answer or has ended (ctl_screen_past.c). */
void ctl_screen_past(FILE *out, const struct status *status, const struct ctl_view *view);

/* The parts of the screen. A list has at most `most` lines. */
void ctl_screen_head(FILE *out, const struct status *status, const struct ctl_view *view);
void ctl_screen_destinations(FILE *out, const struct status *status, const struct ctl_view *view,
                             size_t most);
void ctl_screen_changes(FILE *out, const struct status *status, const struct ctl_view *view,
                        size_t most);

#endif
