#ifndef SUPERVISOR_PARENT_PARENT_H
#define SUPERVISOR_PARENT_PARENT_H

/*
 * The parent: the process that master(8) started. Root and small. It starts workers when the
 * dispatcher asks, exactly as master would start them, reaps them, and says so. It reads nothing
 * that came from the network or from qmgr(8): only fixed-size messages of the dispatcher
 * (supervisor/parent/channel.h), signals, and the end of file on master's status channel.
 *
 *   end of file on the status channel  A reload, or master has gone: tells the dispatcher, which
 *                                      closes its end of the channel or ends; then ends with 0.
 *                                      Workers in mid-delivery finish by themselves and mark the
 *                                      queue file (postfix-protocol.md 1.6, 4.6). Below a master
 *                                      that panics on orphans (agents/master_init.h) it gives the
 *                                      lock back, and stays until its workers have ended.
 *   SIGTERM, SIGINT                    Ends the dispatcher and its workers within a second, also
 *                                      a predecessor's in the pool's group: master waits for it
 *                                      and does nothing else meanwhile (1.6).
 *   the dispatcher has ended           Ends, too; master starts a fresh pair. Idle workers see the
 *                                      end of their status channels, which the dispatcher held.
 *
 * Everything is allocated at start: only fork(2) can fail for lack of memory, which is reported as
 * a failed start.
 */

#include <pwd.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cgroup/group.h"
#include "supervisor/journal/journal.h"

struct parent {
    int channel; /* our end */
    int status;  /* MASTER_STATUS_FD */
    int lock;    /* of the service; closed as soon as a successor may take it */
    bool alone;  /* what is left behind is master's end: agents/master_init.h */
    pid_t dispatcher;
    const struct passwd *owner; /* mail_owner: whose rights the children take */
    unsigned workers_max;       /* worker numbers are below this */
    const char *worker_path;    /* what is executed */
    char *const *worker_arguments;
    const char
        *template_object;     /* what is preloaded into the template; NULL: workers are executed */
    bool template_wanted;     /* it is warned of when workers cannot be forked */
    unsigned generation;      /* ours; workers get higher ones */
    struct pool_group *group; /* workers are born in it; removed at the end */
    struct journal *journal;
};

/*
 * Runs until one of the three ends above. SIGCHLD, SIGTERM and SIGINT must be blocked since before
 * the dispatcher was forked. Returns the exit status of the process.
 */
int parent_run(const struct parent *parent);

#endif
