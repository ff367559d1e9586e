#ifndef SUPERVISOR_CTL_PROCESS_H
#define SUPERVISOR_CTL_PROCESS_H

/*
 * What proc(5) tells of processes: the state of one, and the memory of workers.
 */

#include <sys/types.h>

/*
 * The letter of a process's state: 'R', 'S', 'D', 'T' and so on; '\0' when it has ended, or is none of
 * headroom's: its number is read from a file of mail_owner's, and people are told to kill it.
 */
char ctl_process_state(pid_t pid);

/*
 * Sums the memory that children of `parent`, but for `without`, share with nobody: Private_Clean,
 * Private_Dirty and Private_Hugetlb of /proc/PID/smaps_rollup. (RSS of ps(1) counts the libraries
 * once for each process.) Returns how many processes could be read; needs root. `proc` NULL: /proc.
 */
unsigned ctl_private_sum(const char *proc, pid_t parent, pid_t without, double *bytes);

#endif
