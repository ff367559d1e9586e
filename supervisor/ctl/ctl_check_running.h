#ifndef SUPERVISOR_CTL_CHECK_RUNNING_H
#define SUPERVISOR_CTL_CHECK_RUNNING_H

/*
 * The part of `headroomctl check` that tells whether a service runs, and if not, why it last could
 * not.
 */

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_findings.h"
#include "supervisor/ctl/ctl_journal.h"
#include "supervisor/ctl/ctl_refused.h"

/* The last line of a service about its start, and what is told of starts that wrote none. */
struct ctl_last {
    int64_t count; /* how many there are; or a negative errno: the journal cannot be read */
    struct ctl_entry
        entry; /* of the last: event "start", "exit", or "setup" when it could not start */
    struct ctl_refused refused;
};

/* Reads it out of the logs of the last two days. An orderly end, "exit", counts, too. */
void ctl_last_start(const struct ctl *ctl, const char *service, struct ctl_last *last);

/*
 * Whether a service that does not run only waits for mail: master(8) runs and can start it, and the
 * journal says that it ended in order. Without a line in the journal, only when it was `never`
 * started.
 */
bool ctl_waits_for_mail(const struct ctl *ctl, const struct ctl_last *last, bool never);

/* `file`: where its configuration is. */
void ctl_check_running(const struct ctl *ctl, const char *service, const char *file,
                       const struct ctl_last *last, struct ctl_findings *findings);

#endif
