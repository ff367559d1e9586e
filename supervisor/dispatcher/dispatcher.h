#ifndef SUPERVISOR_DISPATCHER_DISPATCHER_H
#define SUPERVISOR_DISPATCHER_DISPATCHER_H

/*
 * The dispatcher: the process that speaks with qmgr(8) and with the workers, and decides. It runs
 * as mail_owner without a way to new privileges, and it is one event loop.
 *
 * router.c has the way of a request from top to bottom; the modules on it, each a manual:
 *
 *   clients    connections of qmgr(8) and local(8): accept, greet, read, lock, answer
 *   arrival    what admission has to know of a request
 *   parts      the table of parts: whole requests, and shares of those that are split
 *   fleet      workers: start, greet, take, reply, leave; sockets has where they listen
 *   strangers  workers of a predecessor that still run
 *   retry      conversations with retry(8), which defers
 *   regulator  how many workers there may be; limit/spawn.h says whether one more is started
 *   budget     descriptors and bytes that may be held
 *   states     the states of a client and of a part, as two tables
 *
 * dispatcher.c drops the privileges and turns the loop; dispatcher_modules.c creates them all, and
 * fills in the view of those who report (report/view.h). Include goes down only: packaging/ranks.
 *
 * It ends, with 0, on SIGTERM; and on the end of file of master's status channel or of the parent's
 * (a reload, or one of them has gone) as soon as no client is connected. Workers finish by
 * themselves. Until then it has left the service to its successor: router_leave().
 * postfix-protocol.md 1.6.
 */

#include <pwd.h>
#include <stdbool.h>
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
    bool confined;       /* by confine.h; not in a unit test, whose sanitizer needs more */
    int queue_directory; /* descriptors */
    int state_directory; /* of this service, mail_owner's; -1: it cannot be used, which was said */
    int word;            /* descriptor of the file of report/status_word.h; -1: none */
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
