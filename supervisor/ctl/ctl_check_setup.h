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

/* What one service needs. */
void ctl_check_service(const struct ctl *ctl, const struct master_line *line,
                       const struct config *config, struct ctl_findings *findings);

#endif
