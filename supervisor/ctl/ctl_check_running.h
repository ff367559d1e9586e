#ifndef SUPERVISOR_CTL_CHECK_RUNNING_H
#define SUPERVISOR_CTL_CHECK_RUNNING_H

/*
 * The part of `headroomctl check` that tells whether a service runs, and if not, why it last could not.
 */

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_findings.h"
#include "supervisor/ctl/ctl_journal.h"

/* The last line of a service about its start. */
struct ctl_last {
    int64_t count; /* how many there are; or a negative errno: the journal cannot be read */
    struct ctl_entry entry; /* of the last: event "start", or "setup" when it could not start */
};

/* Reads it out of the journal of the last two days. */
void ctl_last_start(const struct ctl *ctl, const char *service, struct ctl_last *last);

/* `file`: where its configuration is. */
void ctl_check_running(const struct ctl *ctl, const char *service, const char *file,
                       const struct ctl_last *last, struct ctl_findings *findings);

#endif
