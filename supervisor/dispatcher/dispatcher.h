#ifndef SUPERVISOR_DISPATCHER_DISPATCHER_H
#define SUPERVISOR_DISPATCHER_DISPATCHER_H

/*
 * The dispatcher: the process that speaks with qmgr(8) and with the workers, and decides. It runs
 * as mail_owner without a way to new privileges, and it is one event loop.
 *
 * The way of a request, each step in its file:
 *
 *   clients.c      accept, greet, read, lock                      a client (one connection of qmgr)
 *   parts_admit.c  split, begin to wait                           a part (what one worker gets)
 *   parts.c        be chosen, be handed over, end
 *   fleet_start.c start                                           a worker, seen from here
 *   fleet.c        greet, reply, go back to idle, leave
 *   retry.c        or be deferred by way of retry(8)
 *   clients.c      merge, answer
 *
 * Who may run is decided by admission.h, how many by limit.h, which regulator.c asks; regulator_say.c says what came of it.
 *
 * dispatcher.c holds what joins them: set-up, the pump that brings waiting parts and idle workers
 * together, and what happens once a second.
 *
 * It ends, with 0, on the end of file of master's status channel or of the parent's, and on
 * SIGTERM; there is nothing to drain (postfix-protocol.md 1.6).
 */

#include <pwd.h>
#include <sys/types.h>

#include "agents/postconf.h"
#include "cgroup/group.h"
#include "cgroup/memory_source.h"
#include "cgroup/pressure.h"
#include "supervisor/config/config.h"
#include "supervisor/journal/journal.h"

/* Of the pool's group, and of the machine. */
#define DISPATCHER_TRIGGERS 2

struct dispatcher_settings {
    const struct postconf *postconf;
    const struct config *config;
    const char *config_source; /* for the line at start: where the configuration came from */
    const char *service;
    struct journal_options journal;
    pid_t parent;
    unsigned generation; /* the parent's, for the status messages to master */
    unsigned sockets;    /* listening sockets from MASTER_LISTEN_FD on */
    int channel;         /* our end */
    int queue_directory; /* descriptors */
    int state_directory; /* of this service, mail_owner's; -1: it cannot be used, which was said */
    const struct passwd *owner; /* mail_owner */
    const struct pool_group *group;
    struct memory_source *memory;
    struct pressure_trigger trigger[DISPATCHER_TRIGGERS];
};

/*
 * Runs until it is told to end. Called in the forked child with SIGTERM, SIGINT and SIGCHLD
 * blocked. Returns the exit status of the process.
 */
int dispatcher_run(const struct dispatcher_settings *settings);

#endif
