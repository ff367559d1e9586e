#ifndef SUPERVISOR_DISPATCHER_FLEET_H
#define SUPERVISOR_DISPATCHER_FLEET_H

/*
 * The workers: start, greet, take a request, reply, go back to idle, leave, be reaped.
 *
 * A worker is a stock delivery agent with a listening socket and a status channel of its own
 * (agents/worker.h). The parent starts and reaps it (supervisor/parent/channel.h). States and the
 * back-off after failed starts are in agents/pool.h.
 *
 *   fleet_start()   a new worker, connected to at once; it greets and is then in fleet_ready()
 *   fleet_call()    an idle worker for `work`; FLEET_GREETED follows, or FLEET_VANISHED
 *   fleet_give()    a greeted worker gets the bytes; FLEET_SENT may follow, then FLEET_REPLIED or
 *                   FLEET_LOST
 *   fleet_release() a greeted worker is not needed: it is idle again
 *
 * `work` is the router's word for what a worker has; this module only hands it back. The bytes
 * given stay where they are until FLEET_REPLIED or FLEET_LOST.
 *
 * A worker without a request that does not answer within GREET_TIMEOUT is ended by force: nothing
 * is lost with it. So is one that was told to go and does not. A busy worker never is.
 *
 * Calls supervisor/base, agents, parent/channel, report/{totals,complaints}, budget, sockets.
 * Knows no sibling. The sink is called as the last act on behalf of a worker.
 *
 * DIAGNOSTICS: failed starts (EVENT_WORKER_START_FAILED), once for each reason, and counted where
 * they fail between others that do not; that they succeed again (EVENT_WORKER_STARTS_AGAIN).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agents/limits.h"
#include "agents/pool.h"
#include "agents/reply.h"
#include "supervisor/base/loop.h"
#include "supervisor/dispatcher/budget.h"
#include "supervisor/dispatcher/sockets.h"
#include "supervisor/report/totals.h"

struct fleet;

enum fleet_kind {
    FLEET_STARTED,     /* the parent has started one; `renewed`: in a memory group made again */
    FLEET_FORK_FAILED, /* the parent had no memory or no process for one */
    FLEET_GREETED,     /* `worker` has greeted and waits for the bytes of `work`; NULL: it is new */
    FLEET_SENT,        /* all bytes of `work` are written */
    FLEET_REPLIED,     /* `work` has `reply`; the worker is idle again, or leaves */
    FLEET_LOST,        /* the worker has gone, or talks nonsense, with `work` in hand */
    FLEET_VANISHED,    /* the worker has gone before any byte of `work` was sent */
    FLEET_ENDED,       /* a process was reaped */
    FLEET_CLOSED,      /* the parent has gone (`status` 0), or talks nonsense (1) */
};

struct fleet_event {
    enum fleet_kind kind;
    int worker;
    void *work;
    const struct reply *reply; /* valid during the call, with its bytes */
    const char *bytes;
    bool renewed;
    bool retired;     /* FLEET_ENDED: it was told to go */
    pid_t pid;        /* FLEET_ENDED */
    int status;       /* FLEET_ENDED: as wait(2) gives it */
    const char *lost; /* FLEET_ENDED: the name of the work that was lost with it; "": none */
};

typedef void (*fleet_sink)(void *context, const struct fleet_event *event);

struct fleet_config {
    struct loop *loop;
    struct budget *budget;
    struct complaints *complaints;
    struct totals *totals; /* counts started */
    int channel;           /* to the parent */
    unsigned min;          /* idle workers that stay */
    unsigned max;
    const char *agent; /* for the log: what is started */
    const char *directory;
    struct sockets *sockets; /* where workers listen */
    fleet_sink sink;
    void *context;
};

int fleet_create(struct fleet **out, const struct fleet_config *config);
void fleet_destroy(struct fleet *fleet);

/* Starts one worker. 0 or a negative errno, which is logged or told to the budget. */
int fleet_start(struct fleet *fleet);

/* A new worker that has greeted and was neither given work nor released, or POOL_NONE. */
int fleet_ready(const struct fleet *fleet);

/* Connects to the worker that became idle last, for `work`. Its number, or POOL_NONE: none is
 * idle, or there is no descriptor. */
int fleet_call(struct fleet *fleet, void *work);

/*
 * Writes the request to a greeted worker; `name` is logged should the worker be lost. 0: all is
 * written. -EAGAIN: FLEET_SENT follows. -EPIPE: it has gone, and not a byte was sent; `work` is the
 * caller's again, and nothing follows.
 */
int fleet_give(struct fleet *fleet, int worker, void *work, const char *bytes, size_t length,
               const char *name);

/* The message that a worker was given is large. */
void fleet_large(struct fleet *fleet, int worker);

/* Each turn: connections that were kept for a moment after a large message. Until when there is
 * nothing to do; UINT64_MAX: none is kept. */
uint64_t fleet_part(struct fleet *fleet);

/* The worker's work was withdrawn before it got a byte of it, or there is none. */
void fleet_release(struct fleet *fleet, int worker);

/* Tells at most `count` workers to go that have been idle longest. */
void fleet_retire(struct fleet *fleet, unsigned count);

/* The channel is closed: the parent goes. No worker is started or ended by force after this, and
 * the end of one is seen only where it has work. */
void fleet_leave(struct fleet *fleet);

/* Once a second: surplus idle workers, and those that do not answer. */
void fleet_tick(struct fleet *fleet);

struct fleet_view {
    const struct pool *pool;
    const char *greeting; /* the last that a worker gave */
    size_t greeting_length;
    const char *start_error; /* reason why starts fail; "": they do not */
    uint64_t start_after;    /* back-off: nothing is started before */
    unsigned most;           /* workers at a time, so far */
    bool forked;             /* the last one was, or the next one will be again in a moment */
    bool tls;                /* forked ones speak TLS */
    const char *start; /* how the last one was started, a phrase; "": as workers.start wants it */
};

struct fleet_view fleet_view(const struct fleet *fleet);

/* Of a worker that has work. 0: the parent has not told it yet. */
pid_t fleet_pid(const struct fleet *fleet, int worker);

/* Since when the oldest start waits for its greeting; 0: none does. */
uint64_t fleet_starting_since(const struct fleet *fleet);

#endif
