#ifndef SUPERVISOR_DISPATCH_H
#define SUPERVISOR_DISPATCH_H

/*
 * What the files of the dispatcher share: see supervisor/dispatcher.h for who does what, and
 * supervisor/router.h for the states. Internal to the dispatcher.
 *
 * All memory but the bytes of requests is taken at start. The event sources of a client and of a
 * worker are made when they are first needed and kept: a source that is off has no descriptor.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "agents/conversation.h"
#include "agents/limits.h"
#include "agents/master.h"
#include "agents/merge.h"
#include "agents/pool.h"
#include "agents/reply.h"
#include "agents/request.h"
#include "supervisor/dispatcher.h"
#include "supervisor/journal.h"
#include "supervisor/journal_limit.h"
#include "supervisor/limits.h"
#include "supervisor/router.h"

struct client;

/* One valid request for one worker. */
struct part {
    enum part_state state;
    struct client *client;
    int worker; /* from CONNECTING to RUNNING, else POOL_NONE */
    const char *bytes;
    size_t length;
    TAILQ_ENTRY(part) waiting; /* in WAITING */
};

/* One connection of qmgr(8) and the request on it. */
struct client {
    struct dispatcher *dispatcher;
    enum client_state state;
    int connection;
    int lock; /* the shared lock on the queue file, while parts have not ended */
    sd_event_source *source;
    uint64_t since; /* accepted at */
    struct request request;
    char *bytes;
    size_t length;
    size_t capacity;
    struct part part;
    unsigned parts_left;
    struct merge merge;
    size_t answered;         /* bytes of the reply that are written */
    LIST_ENTRY(client) link; /* free, or reading, or neither */
};

/* One worker, seen from here. Its state is in the pool. */
struct worker {
    struct dispatcher *dispatcher;
    int number;
    pid_t pid; /* once the parent has told */
    int status;
    sd_event_source *status_source;
    struct master_status_reader reader;
    struct conversation conversation;
    sd_event_source *conversation_source;
    struct part *part;
    bool gone;                   /* its status channel has ended: it is never used again */
    char lost[QUEUE_ID_MAX + 1]; /* the request it died with, until we know what it died of */
};

struct dispatcher_totals {
    uint64_t requests;  /* read and locked */
    uint64_t delivered; /* answered with status 0 */
    uint64_t deferred;  /* answered otherwise by a worker */
    uint64_t lost;      /* workers that died with a request */
    uint64_t refused;   /* malformed, or without a queue file */
    uint64_t started;   /* workers */
    unsigned most_live; /* workers at a time */
};

struct dispatcher {
    const struct dispatcher_settings *settings;
    struct journal *journal;
    sd_event *event;
    sd_event_source *tick;
    sd_event_source *listen[MASTER_SOCKETS_MAX];
    bool listening;
    bool announced;         /* TAKEN and AVAIL were sent */
    bool descriptors_short; /* nothing is accepted until the next tick */

    struct client *client; /* clients_max of them */
    unsigned clients_max;
    unsigned clients; /* in use */
    LIST_HEAD(, client) free;
    LIST_HEAD(, client) reading;
    unsigned reading_count;
    uint64_t held_bytes;

    TAILQ_HEAD(, part) waiting;
    unsigned waiting_count;

    struct pool pool;
    struct worker *worker; /* as many as the pool has */
    char greeting[GREETING_MAX];
    size_t greeting_length; /* 0: not known yet */
    int start_error;        /* why starts fail, to say it once; 0 when they do not */

    struct journal_limit refused_lines;
    struct journal_limit lost_lines;
    struct journal_limit descriptor_lines;
    struct dispatcher_totals totals;
    char scratch[65536]; /* what has just been read */
};

/* dispatcher.c */

uint64_t dispatcher_now(const struct dispatcher *dispatcher);

/* Brings waiting parts and workers together. To be called at the end of each event. */
void dispatcher_pump(struct dispatcher *dispatcher);

/* No descriptor could be had: nothing is accepted until the next tick. */
void dispatcher_descriptors_short(struct dispatcher *dispatcher, int error);

/* A promise is broken: says it and aborts. master(8) starts a fresh pair. */
_Noreturn void dispatcher_broken(struct dispatcher *dispatcher, const char *what, int state,
                                 int event);

/* clients.c */

int clients_create(struct dispatcher *dispatcher);
void clients_destroy(struct dispatcher *dispatcher);

/* Accepts, or does not, by whether there is room for one more. */
void clients_listen(struct dispatcher *dispatcher);
int clients_on_listen(sd_event_source *source, int fd, uint32_t events, void *dispatcher);

/* Refuses what has not been read within READ_TIMEOUT. */
void clients_expire(struct dispatcher *dispatcher, uint64_t now);

/* The last part of the client has ended. */
void client_parts_ended(struct client *client);

/* parts.c */

/* Parts begin to wait; those not handed over are dropped. */
void parts_admit(struct client *client);
void parts_cancel(struct client *client);

/* The part that may run now, or NULL. It stays where it waits until part_choose or part_greeted. */
struct part *parts_next(struct dispatcher *dispatcher);

/* The part runs on this idle worker: connects. False when the worker turned out to have gone. */
bool part_choose(struct part *part, struct worker *worker);

void part_greeted(struct part *part, struct worker *worker);
void part_write(struct part *part);
void part_replied(struct part *part, const struct reply *reply, const char *bytes);
void part_worker_gone(struct part *part);

/* workers.c */

int workers_create(struct dispatcher *dispatcher);
void workers_destroy(struct dispatcher *dispatcher);

/* Starts one worker. False when none can be started now. */
bool workers_start(struct dispatcher *dispatcher);

/*
 * Opens a connection to an idle worker. False when it has gone (it is then leaving), or when there
 * is no descriptor (dispatcher->descriptors_short is then set).
 */
bool worker_open(struct worker *worker);

/* Writes the request of its part, or what is left of it. False: part_write is called again. */
bool worker_write(struct worker *worker);

/* Closes its connection; it goes back to idle by itself, or leaves. */
void worker_release(struct worker *worker);

/* Tells a worker without a request to go. */
void worker_retire(struct worker *worker);

/* What the parent tells of workers. */
void workers_started(struct dispatcher *dispatcher, unsigned number, pid_t pid,
                     unsigned generation);
void workers_start_failed(struct dispatcher *dispatcher, unsigned number, int error);
void workers_exited(struct dispatcher *dispatcher, unsigned number, int status);

/* Surplus idle workers, and those that do not greet. */
void workers_expire(struct dispatcher *dispatcher, uint64_t now);

#endif
