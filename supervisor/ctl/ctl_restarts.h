#ifndef SUPERVISOR_CTL_RESTARTS_H
#define SUPERVISOR_CTL_RESTARTS_H

/*
 * Ends and starts of one service in a row, as many reloads write them, as one entry: its event is
 * "restart", its text has how often and until when. A start with other settings, and one that comes
 * more than a minute after the end, stay as they are. Pure.
 */

#include "supervisor/ctl/ctl_journal.h"

struct ctl_restarts {
    ctl_entry_use *use;     /* takes the entries */
    struct ctl_entry start; /* the last one */
    struct ctl_entry ended; /* that no start has followed yet; time 0: none */
    struct ctl_entry row;   /* restarts that are not handed on yet */
    unsigned times;         /* of them */
};

/* Entries come in the order of their times; NULL is the end. */
void ctl_restarts_take(struct ctl_restarts *restarts, const struct ctl_entry *entry);

#endif
