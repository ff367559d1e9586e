#ifndef SUPERVISOR_CTL_JOURNAL_H
#define SUPERVISOR_CTL_JOURNAL_H

/*
 * Headroom's lines out of the systemd journal, by libsystemd's reader. Only lines that journald
 * itself says came from root or mail_owner: anybody may write a field HEADROOM_EVENT.
 */

#include "supervisor/ctl/ctl.h"

struct ctl_entry {
    int64_t time;                 /* microseconds since 1970 */
    char event[STATUS_WORD_SIZE]; /* state, summary, start, exit */
    char service[STATUS_NAME_SIZE];
    char state[STATUS_WORD_SIZE]; /* empty for start and exit */
    char text[1024];              /* MESSAGE */
    char reason[STATUS_REASON_SIZE];
    int64_t limit; /* -1: the line does not have it; so with the others */
    int64_t workers;
    int64_t busy;
    int64_t waiting;
    int64_t would_defer; /* of a dry run, since the line before; so the next two */
    int64_t would_wait;
    int64_t would_split;
    int64_t available; /* bytes */
    int64_t working_set;
    double pressure; /* percent */
};

typedef void ctl_entry_use(void *context, const struct ctl_entry *entry);

/*
 * Calls `use` for each entry since then, oldest first. `events` ends with NULL; `service` NULL:
 * all. Says how far it is on a terminal when it takes more than a second. Returns how many entries,
 * or a negative errno: -EACCES when the journal of the system may not be read, -ENOENT when there
 * is none.
 */
int64_t ctl_journal_read(const struct ctl *ctl, const char *service, int64_t since,
                         const char *const *events, ctl_entry_use *use, void *context);

/* The same with the lines of master(8); an entry has its time and its text. */
int64_t ctl_journal_read_master(const struct ctl *ctl, int64_t since, ctl_entry_use *use,
                                void *context);

/* What an error of these means, with its cure. */
const char *ctl_journal_error(int error);

#endif
