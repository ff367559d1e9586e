#ifndef SUPERVISOR_DISPATCHER_ROUTER_H
#define SUPERVISOR_DISPATCHER_ROUTER_H

/*
 * The way of a request, from a client to a worker or to retry(8) and back. router.c has all events
 * and the turn that begins what may begin; it calls, one file for each step of the way:
 *
 *   router_arrive.c  a request arrives: it is divided into parts
 *   router_join.c    parts go to one worker together
 *   router_end.c     a part ends
 *   router_defer.c   a part is deferred; how many may wait
 *   router_holds.c   destinations that an operator holds
 *   router_queue.c   whether Postfix's queue can be written to
 *   router_window.c  what runs because qmgr(8) waits for it
 *   router_leave.c   the last turns, after a reload
 *
 *   clients  CLIENT_READ ---> a job, divided into parts, which wait in admission
 *   router_turn()             defers what is due; gives waiting parts to workers; starts workers;
 *                             listens or does not; says when it wants to be called again
 *   fleet    FLEET_GREETED -> the part's bytes leave
 *   fleet    FLEET_REPLIED, FLEET_LOST, retry RETRY_ANSWERED, RETRY_FAILED
 *                        ---> router_settle(): a part ends; the last one answers the client
 *   retry    RETRY_KEPT  ---> the part waits in admission again
 *   clients  CLIENT_GONE ---> parts that have not left are dropped, the others run to their end
 *
 * All beginnings are in router_turn(), once per turn of the loop. No sink of the router is entered
 * from within another one: asserted.
 *
 * The router sees all modules of the dispatcher and owns none of them. What acts on the outside
 * world has one function each: fleet_start(), fleet_retire(), retry_send().
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "agents/postconf.h"
#include "agents/reuse.h"
#include "supervisor/admission/admission.h"
#include "supervisor/admission/room.h"
#include "supervisor/config/config.h"
#include "supervisor/dispatcher/budget.h"
#include "supervisor/dispatcher/clients.h"
#include "supervisor/dispatcher/fleet.h"
#include "supervisor/dispatcher/parts.h"
#include "supervisor/dispatcher/regulator.h"
#include "supervisor/dispatcher/retry.h"
#include "supervisor/dispatcher/strangers.h"
#include "supervisor/limit/spawn.h"
#include "supervisor/report/failures.h"

struct router {
    const struct config *config;
    const struct postconf *postconf;
    struct loop *loop;
    struct journal *journal;
    struct complaints *complaints;
    struct totals *totals;
    struct failures *failures; /* why deliveries failed */
    int queue_directory;
    int queue; /* queue_writable() of the last tick */
    struct budget *budget;
    struct clients *clients;
    struct parts *parts;
    struct admission *admission;
    struct fleet *fleet;
    struct retry *retry;
    struct regulator *regulator;
    struct strangers strangers;
    struct spawn spawn;
    struct room room; /* of what waits */
    struct room_flow flow;
    struct reuse reuse;
    const char *service;
    struct { /* by an operator; the file as it was read */
        ino_t inode;
        struct timespec changed;
        int64_t until; /* s since 1970: the first of them ends; 0: none does by itself */
        unsigned count;
        bool unread; /* it could not be read the last time, and is tried again */
    } held;
    int schedstat;     /* of this process (cgroup/schedstat.h); negative: not known */
    unsigned runnable; /* parts that could be chosen if workers were free, in the last turn */
    uint64_t again;    /* when admission wants to be asked again; UINT64_MAX: not by the clock */
    bool together;     /* split by evidence only: qmgr(8) has fewer for a next hop than agents */
    bool step_due;     /* the limit must look before more workers are started */
    bool age_unknown;  /* qmgr(8) says it in an unknown layout, which was logged */
    bool leaving;      /* router_leave() */
    uint64_t left;     /* since then */
    uint64_t look;     /* what waits is looked at again then; UINT64_MAX: nothing does */
    bool aside;        /* and not before qmgr(8) has set it aside */
    bool closed;       /* the parent has gone */
    int status;        /* and the exit status that follows */
    unsigned inside;   /* sinks that are entered */
    void (*stepped)(void *context, enum limit_mode before); /* after each step of the limit */
    void *context;
};

/* Sinks: clients_config.sink and so on, with the router as their context. */
void router_on_client(void *router, enum clients_kind kind, struct client *client);
void router_on_fleet(void *router, const struct fleet_event *event);
void router_on_retry(void *router, const struct retry_event *event);
void router_on_stranger(void *router);
void router_on_step(void *router, enum limit_mode before);

/* regulator_config.demand: workers and what waits for them. */
struct limit_demand router_demand(const void *router);

/* retry_config.still: false for a message that has become too old for a deferral meanwhile. */
bool router_still(const void *router, const void *work);

/* retry_config.prepare: a part's bytes, and why it is deferred. */
void router_prepare(void *router, void *work, struct retry_letter *letter);

/* Begins all that may begin. Returns when to be called again. */
uint64_t router_turn(struct router *router);

/*
 * A successor takes the service: no client is accepted and no worker started or called from now on.
 * What a worker has comes to its end and is answered; what waits is given back to the clients, as soon as their qmgr(8) has gone.
 */
void router_leave(struct router *router);

/* Once a second: defers what is due by then. */
void router_tick(struct router *router);

/* At the start, and once a second: which destinations are held. */
void router_holds(struct router *router);

/* router_queue.c: looks; a line for each change. */
void router_queue(struct router *router);

/* --- shared by the files of the router ----------------------------------------------------- */

/* router_turn() after router_leave(). */
uint64_t router_turn_leaving(struct router *router);

/* A complete request becomes a job whose parts wait. */
void router_arrive(struct router *router, struct client *client);

/* The part waits in admission, under the name of its first recipient or its nexthop. */
void router_wait(struct router *router, struct part *part, const struct request *request);

/*
 * Other parts of its request that wait go along with a part that was chosen. False: it is chosen no
 * more, since it waits for one of them.
 */
bool router_join(struct router *router, struct part *leader, unsigned limit);

/* The leader does not go to its worker: those that go along wait again. */
void router_disband(struct router *router, const struct part *leader);

/* The worker of a leader is done, or lost (`reply` NULL): the end of all that went together. */
void router_joint_ended(struct router *router, struct part *leader, const struct reply *reply,
                        const char *bytes);

/* A chosen part did not get its worker: it waits again, and who goes along with it. */
void router_put_back(struct router *router, struct part *part);

/* The ends of a part. */
void router_replied(struct router *router, struct part *part, const struct fleet_event *event);
void router_lost(struct router *router, struct part *part);

/* The client has hung up: parts whose bytes have not left end without an answer of an agent. */
void router_cancel_all(struct router *router, struct job *job);

/* The same for those that wait: the client has no more to hope for. */
void router_cancel_waiting(struct router *router, struct job *job);

/* Does any of it wait, in the room or to be deferred? */
bool router_waits(const struct job *job);

/*
 * That for all clients, at the end by a signal. qmgr(8), if it lives, would take a connection that is closed for the death of an
 * agent: a warning for each, and all mail of the transport deferred.
 */
void router_end_waiting(struct router *router);

/* A worker is done with the part after `service` us: what that says of its destination. True: qmgr(8) is
 * to have the bare deferral in the place of the reply. */
bool router_learn(struct router *router, struct part *part, enum admission_outcome outcome,
                  int64_t service);

/* The part was not delivered: its destination's failure is counted, with the reason that `reply` or the defer log has. */
void router_failed(struct router *router, const struct part *part, const struct reply *reply);

/* The one end of a part. `reply` NULL: no agent answered. The last one answers the client. */
void router_settle(struct router *router, struct part *part, const struct reply *reply,
                   const char *bytes);

/*
 * The message of a part that was to be deferred has become too old for that: the part waits, behind
 * others for its destination, and none of its request is asked for any more.
 */
void router_keep(struct router *router, struct part *part);

/* Sends to retry(8) what may not wait: a full room, slow destinations, no headroom. */
void router_defer(struct router *router);

/*
 * L, of the one that memory allows: where all mail has one next hop, no more than qmgr(8) has for it at a time. Its server has as
 * many sessions as with stock then, also when a message is split (router_window.c).
 */
unsigned router_sessions(const struct router *router, unsigned limit);

/* Where qmgr(8) holds back other mail for what waits, that runs as with stock (router_window.c). Does this part? */
bool router_windowed(const struct router *router, const struct part *part, unsigned limit);

/* The oldest part that does, which is chosen in admission then; or NULL. */
struct part *router_next_windowed(struct router *router, unsigned limit);

/* How many do. */
unsigned router_count_windowed(const struct router *router, unsigned limit);

/* Has a request that waits to leave? And how many may wait beside those that run. */
bool router_room_full(const struct router *router);
unsigned router_room(const struct router *router);

/* So few places are left that mail behind a flood would wait for the deferrals of that. */
bool router_crowded(const struct router *router);

/* How many more clients there is room for. */
unsigned router_places(const struct router *router);

static inline int64_t router_now(const struct router *router)
{
    return (int64_t)router->loop->now;
}

/* Admission wants to be asked again then, or ADMISSION_NEVER. */
static inline void router_again(struct router *router, int64_t when)
{
    if (when != ADMISSION_NEVER && (uint64_t)when < router->again)
        router->again = (uint64_t)when;
}

/* Admission refuses what does not fit its own record: one of the two is wrong, and it aborts. */
static inline void router_must(struct router *router, int result, const struct part *part)
{
    if (result < 0)
        states_broken(router->journal, "admission", (int)part->state, result);
}

#endif
