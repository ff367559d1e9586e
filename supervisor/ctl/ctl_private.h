#ifndef SUPERVISOR_CTL_PRIVATE_H
#define SUPERVISOR_CTL_PRIVATE_H

/*
 * The memory that workers share with nobody: Private_Clean, Private_Dirty and Private_Hugetlb of /proc/PID/smaps_rollup
 * (proc(5)), summed. What ps(1) shows as RSS counts the libraries once for each process.
 */

#include <sys/types.h>

/*
 * Sums over the children of `parent` but for `without`. Returns how many processes could be read; needs root. `proc` NULL:
 * /proc.
 */
unsigned ctl_private_sum(const char *proc, pid_t parent, pid_t without, double *bytes);

#endif
