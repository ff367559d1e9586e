#ifndef AGENTS_MASTER_INIT_H
#define AGENTS_MASTER_INIT_H

/*
 * master(8) as process 1, as containers have it. Orphans become its children there. With `-i` it
 * reaps them like an init; without it panics on a process that it did not start, and all of Postfix
 * is gone (postfix-protocol.md, corrections, 1.5).
 */

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether master(8), process `pid` as seen from here, is process 1 of its own pid namespace and has
 * no `-i` among its options. False when it cannot be seen, and when it is no master.
 */
bool master_panics_on_orphans(pid_t pid);

/* The cure, for the end of a line. */
#define MASTER_INIT_CURE                                                                           \
    "start it with `postfix start-fg` or `master -i`, or below an init such as tini"

#endif
