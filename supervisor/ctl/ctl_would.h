#ifndef SUPERVISOR_CTL_WOULD_H
#define SUPERVISOR_CTL_WOULD_H

/*
 * What dry runs would have done: headroomctl history --would.
 */

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_journal.h"

/* Is it the line of a dry run? Nothing was held back then. */
bool ctl_would_entry(const struct ctl_entry *entry);

/*
 * Prints the lines that count since then, what each service has counted since its last line, and
 * the sums. `named` NULL: all services. Returns how many lines were read, and services with such a
 * rest; or a negative errno, as ctl_journal_read().
 */
int64_t ctl_would(const struct ctl *ctl, const char *named, int64_t since);

#endif
