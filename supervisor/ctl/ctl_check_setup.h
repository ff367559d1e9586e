#ifndef SUPERVISOR_CTL_CHECK_SETUP_H
#define SUPERVISOR_CTL_CHECK_SETUP_H

/*
 * The part of `headroomctl check` that looks at Postfix and at the machine.
 */

#include "supervisor/config/config.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_findings.h"

/* What is needed whatever the service. */
void ctl_check_machine(const struct ctl *ctl, struct ctl_findings *findings);

/*
 * Whether the unit of the running master(8) hides its groups or parts of /proc, as that of Debian 13
 * does without headroom's drop-in: it takes a restart to show them.
 */
bool ctl_check_hidden(pid_t master);

/* What one service needs. */
void ctl_check_service(const struct ctl *ctl, const struct master_line *line,
                       const struct config *config, struct ctl_findings *findings);

#endif
