#ifndef SUPERVISOR_DISPATCHER_FLEET_START_H
#define SUPERVISOR_DISPATCHER_FLEET_START_H

/*
 * What fleet.c and fleet_start.c share: the worker as the fleet sees it. Internal to the two.
 *
 * fleet_start.c has the start of a worker, what a failed start means, and when the next may be
 * tried; fleet.c has the life of a worker after that.
 */

#include "agents/conversation.h"
#include "supervisor/dispatcher/fleet.h"

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

struct fleet {
    struct fleet_config config;
    struct pool pool;
    struct worker *worker; /* as many as the pool has */
    struct watch channel;
    unsigned ready; /* workers that are */
    unsigned most;
    char start_error[START_ERROR_SIZE]; /* reason why starts fail, logged once; "": they do not */
    bool start_said;                    /* a failed start was logged: then a success is, too */
    char greeting[GREETING_MAX];
    size_t greeting_length;
    char scratch[REPLY_BYTES_MAX]; /* what has just been read */
};

/* fleet.c */

/* The worker's connection to us; its greeting is handled by fleet.c. 0 or a negative errno. */
int fleet_dial(struct worker *worker);

/* The end of the status channel is seen from now on. 0 or a negative errno. */
int fleet_watch_status(struct worker *worker);

/* Its process has ended, or never was: the number may be used again. */
void fleet_free(struct worker *worker);

/* fleet_start.c */

/* A start failed: pauses, and logs `reason` unless the start before failed for the same one. */
void fleet_starts_fail(struct fleet *fleet, const char *reason);

/* A new worker has greeted. */
void fleet_starts_succeed(struct fleet *fleet);

#endif
