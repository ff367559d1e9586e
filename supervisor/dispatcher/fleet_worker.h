#ifndef SUPERVISOR_DISPATCHER_FLEET_WORKER_H
#define SUPERVISOR_DISPATCHER_FLEET_WORKER_H

/*
 * What the fleet's files share: the worker as the fleet sees it. Internal to the four.
 *
 *   fleet_start.c  a start, what a failed one means, and when the next may be tried
 *   fleet.c        the conversation with a worker: call, give, greeting, reply; the parent's news
 *   fleet_end.c    a worker is told to go, goes, does not answer, or its process ends
 *   fleet_part.c   the end of a connection to one that has delivered a large message
 */

#include "agents/conversation.h"
#include "supervisor/dispatcher/fleet.h"
#include "supervisor/parent/channel.h"

struct worker {
    struct fleet *fleet;
    int number;
    pid_t pid;  /* once the parent has told */
    int status; /* its status channel, our end; -1: closed */
    struct watch status_watch;
    int place;      /* where its socket is (sockets.h) */
    unsigned dials; /* connections that it got from us */
    struct conversation conversation;
    struct watch conversation_watch;
    void *work; /* from fleet_call() or fleet_give() on */
    const char *bytes;
    size_t length;
    bool given;   /* its bytes are being written, or are written */
    bool sent;    /* all of them */
    bool large;   /* its message is */
    bool parting; /* idle, and its last connection is still open (fleet_part.c) */
    bool ready;   /* new, has greeted, has no work yet */
    bool retired; /* it was told to go */
    bool gone;    /* its status channel or its connection has ended, or it has: never used again */
    bool doomed;  /* it is to be ended by force, and the parent could not be told yet */
    bool forced;  /* the parent was told */
    char name[QUEUE_ID_MAX + 1]; /* of the work that it was given last */
    char lost[QUEUE_ID_MAX + 1]; /* of the work that was lost with it; "": none */
};

/* A reason names the state directory, if a socket in it could not be made. */
#define START_ERROR_SIZE 448
#define START_SIZE 96

struct fleet {
    struct fleet_config config;
    struct pool pool;
    struct worker *worker; /* as many as the pool has */
    struct watch channel;
    unsigned ready;    /* workers that are */
    unsigned parting;  /* these, too */
    uint64_t part_due; /* when the first of them is to be looked at */
    unsigned most;
    char start_error[START_ERROR_SIZE];  /* reason why starts fail; "": they do not */
    char start_reason[START_ERROR_SIZE]; /* the one that was said last */
    uint64_t start_failed;               /* when the last one did */
    bool start_said;                     /* that they fail was logged: then a success is, too */
    bool forked;                         /* workers are, at present */
    bool tls;                            /* and these speak TLS */
    char start[START_SIZE];              /* how the last one was started, a phrase */
    char greeting[GREETING_MAX];
    size_t greeting_length;
    char scratch[REPLY_BYTES_MAX]; /* what has just been read */
};

static inline enum worker_state fleet_worker_state(const struct worker *worker)
{
    return worker->fleet->pool.worker[worker->number].state;
}

/* fleet.c */

/* Tells the sink of one worker, with no more than its work. The last act on its behalf. */
void fleet_tell(const struct worker *worker, enum fleet_kind kind, void *work);

/* The worker's connection to us; its greeting is handled by fleet.c. 0 or a negative errno. */
int fleet_dial(struct worker *worker);

/* Its greeting, of `length` bytes, is there: clients are greeted with it from now on. */
void fleet_worker_greeted(struct worker *worker, size_t length);

/* Reads its reply, or the end of its connection. Tells the sink when there is one. */
void fleet_worker_reply(struct worker *worker);

/* The other end is closed, or talks nonsense. Tells the sink when there is work. */
void fleet_worker_lost(struct worker *worker);

/* Closes its status channel, which tells it to go as soon as it is idle. */
void fleet_worker_silent(struct worker *worker);

/* It is not used again, and is told to go. */
void fleet_worker_leave(struct worker *worker);

/* Changes its state. Does not return where that is impossible. */
void fleet_worker_move(struct worker *worker, enum worker_state state);

/* Closes its connection, if it has one. */
void fleet_connection_close(struct worker *worker);

/* Its process has ended, or never was: the number may be used again. */
void fleet_free(struct worker *worker);

/* fleet_start.c */

/* A start failed: pauses, and logs `reason` unless the start before failed for the same one. */
void fleet_starts_fail(struct fleet *fleet, const char *reason);

/* A new worker has greeted. */
void fleet_starts_succeed(struct fleet *fleet);

/* News of the parent: the process is there, or there is none. They tell the sink. */
void fleet_worker_started(struct worker *worker, const struct channel_message *news);
void fleet_worker_start_failed(struct worker *worker, int error);

/* fleet_part.c */

/* Its work is over: it is idle, and its connection is closed later. */
void fleet_worker_part(struct worker *worker);

/* The worker that became idle last. Those that part come after the others, and then the first of
 * them, whose message has gone by now. POOL_NONE: none is idle. */
int fleet_worker_next(const struct fleet *fleet);

/* fleet_end.c */

/* The end of the status channel is seen from now on. 0 or a negative errno. */
int fleet_watch_status(struct worker *worker);

/* News of the parent: the process was reaped, with this status of wait(2). Tells the sink. */
void fleet_worker_exited(struct worker *worker, int status);

#endif
