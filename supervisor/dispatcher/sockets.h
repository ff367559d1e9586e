#ifndef SUPERVISOR_DISPATCHER_SOCKETS_H
#define SUPERVISOR_DISPATCHER_SOCKETS_H

/*
 * Where the workers' listening sockets are. A worker gets its socket as a descriptor; the name in a
 * directory is only for connect(2). A worker believes whoever connects, so each of these
 * directories is mail_owner's and shut for others (an abstract name would be open to all).
 *
 *   data_directory/headroom.SERVICE             the state directory
 *   queue_directory/private/headroom.SERVICE    where the first is full, read-only, not ours
 *   /dev/shm/headroom.SERVICE.DEVICE-INODE      where both are: it is memory. The numbers of
 *                                               queue_directory tell two instances apart
 *
 * They are tried in this order for each worker; the last two are made when they are needed (the second
 * before, where the process is confined: dispatcher_confine.h), and removed at the end; at a reload
 * the second stays, with its sockets, for the successor. The current directory of the process changes: sockets are named relative to
 * it, because a full name could be longer than an address.
 *
 * DIAGNOSTICS: that sockets are elsewhere, with cause and cure, and that they are back
 * (EVENT_STATE_FILE).
 */

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/report/complaints.h"

#define SOCKET_PLACES 3
#define SOCKET_PLACE_NAME_MAX 512

struct sockets_config {
    struct complaints *complaints;
    const struct passwd *owner; /* whose rights the process has */
    const char *service;
    int queue_directory;                 /* descriptor */
    const char *queue_name;              /* its name, for the log */
    const char *memory;                  /* "/dev/shm" */
    const char *state_name;              /* of the state directory, for the log */
    void (*left)(void *context, int fd); /* worker_sweep(agents/worker.h); or NULL */
    int (*renew)(void *context); /* makes the state directory again; its descriptor, which is not
                                    owned here, or a negative errno */
    void *context;
};

struct sockets {
    struct sockets_config config;
    struct {
        int descriptor; /* -1: not open */
        char name[SOCKET_PLACE_NAME_MAX];
    } place[SOCKET_PLACES];
    size_t queue_length; /* of the private one's name: what queue_directory is in it */
    int entered;         /* the place that is the current directory; -1: none */
    int used;            /* where the last socket was made */
    bool ended;          /* sockets_end() was called */
};

/*
 * `state` is the descriptor of the state directory, or negative when there is none, which the
 * caller has said. Takes away what a predecessor left, and tells of its workers that still run.
 */
void sockets_open(struct sockets *sockets, const struct sockets_config *config, int state);

/* worker_listen(agents/worker.h) in the first place that takes it, which is told in *place. The
 * error is that of the first place; what the process is short of (-EMFILE, -ENOMEM) is told at
 * once. */
int sockets_listen(struct sockets *sockets, unsigned number, int *place, uint64_t now);

/* worker_connect(agents/worker.h) to a worker of that place. */
int sockets_connect(struct sockets *sockets, unsigned number, int place);

/* The workers are ended, too: removes their sockets from the state directory. */
void sockets_end(struct sockets *sockets);

/* Removes what was made outside the state directory; in the queue after sockets_end() only. */
void sockets_close(struct sockets *sockets);

#endif
