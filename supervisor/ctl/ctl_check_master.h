#ifndef SUPERVISOR_CTL_CHECK_MASTER_H
#define SUPERVISOR_CTL_CHECK_MASTER_H

/*
 * The part of `headroomctl check` that looks at the running master(8): what it may do and where it
 * is. headroom is its child and has the same; a shell has other capabilities and may have other
 * mounts.
 */

#include <sys/types.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_findings.h"

/* The process of the running master(8), by its pid file; 0 when there is none. */
pid_t ctl_master_pid(const struct ctl *ctl);

/*
 * Looks at the capabilities of `master`, and whether it panics on orphans (agents/master_init.h).
 * Then moves this process into its mount namespace, its root and its view of the groups, where they
 * are others than ours, so that whatever is looked at later is seen as master sees it. For a process
 * with one thread that needs nothing of its own file system any more.
 */
void ctl_check_master(pid_t master, const struct master_file *file, struct ctl_findings *findings);

#endif
