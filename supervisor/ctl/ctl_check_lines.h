#ifndef SUPERVISOR_CTL_CHECK_LINES_H
#define SUPERVISOR_CTL_CHECK_LINES_H

/*
 * The part of `headroomctl check` that looks at master.cf: the lines of the services, and those of
 * the same names. Pure but for the writing.
 */

#include "agents/master_file.h"
#include "supervisor/ctl/ctl_findings.h"

/* All of master.cf: lines that name headroom and are not in force, and the service retry. */
void ctl_check_lines(const struct master_file *file, struct ctl_findings *findings);

/* One line that runs headroom. */
void ctl_check_line(const struct master_file *file, const struct master_line *line,
                    struct ctl_findings *findings);

/*
 * Whether a line that runs headroom is a content filter, by `content_filter` of main.cf or by a
 * setting of another line; `by_nexthop`: its destination.key is the next hop, as is right for one.
 */
void ctl_check_filter(const struct master_file *file, const struct master_line *line,
                      const char *content_filter, bool by_nexthop, struct ctl_findings *findings);

#endif
