#ifndef SUPERVISOR_CTL_RESTARTS_H
#define SUPERVISOR_CTL_RESTARTS_H

/*
 * Ends and starts in a row, as many reloads write them, as one entry: its event is "restart", its
 * text has how often and until when. A start with other settings, and one that comes more than a
 * minute after the end, stay as they are. Pure.
 */

#include "supervisor/ctl/ctl_journal.h"

struct ctl_restart {
    char settings[1024];    /* the text of the last start */
    struct ctl_entry ended; /* that no start has followed yet; time 0: none */
    struct ctl_entry row;   /* restarts that are not handed on yet */
    unsigned times;         /* of them */
    int64_t until;          /* the last of them */
};

struct ctl_restarts {
    ctl_entry_use *use; /* takes the entries */
    void *context;
    size_t count;
    struct ctl_restart service[CTL_SERVICES_MAX];
};

/* Entries come in the order of their times. Those of type state hand on what is kept before them. */
void ctl_restarts_take(struct ctl_restarts *restarts, const struct ctl_entry *entry);

/* Hands on what is kept. */
void ctl_restarts_end(struct ctl_restarts *restarts);

#endif
