#ifndef SUPERVISOR_DISPATCHER_PARTS_H
#define SUPERVISOR_DISPATCHER_PARTS_H

/*
 * The table of parts: allocate, split, count, free. No I/O, no clock, no decision.
 *
 * A job is one request of one client on its way; a part is what one worker gets of it: the whole
 * request, or one destination's share of a request that was split. A part's place in the table is
 * its handle in admission. The table is taken at start; only the bytes of shares are allocated.
 *
 * Parts of a job may go along with another one, their leader, to its worker: JOINED. The leader's
 * outgoing bytes are then those of a request for the recipients of all of them.
 *
 * Every job that is begun finds room for one part. A split takes what is spare beside that.
 * Calls agents/{split,merge}, budget, states. Knows no sibling.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agents/merge.h"
#include "agents/split.h"
#include "supervisor/dispatcher/budget.h"
#include "supervisor/dispatcher/states.h"

/* Why a part is deferred by headroom. */
enum deferral_reason {
    DEFERRAL_MEMORY, /* no headroom (4.3.2) */
    DEFERRAL_FULL,   /* the waiting room is full (4.4.5) */
    DEFERRAL_SLOW,   /* its destination is slow or dead (4.4.5) */
};

struct part;

struct job {
    struct client *client;
    TAILQ_HEAD(, part) parts; /* in the order of the split; those that have ended are not here */
    size_t length;            /* bytes of the request */
    unsigned count;           /* parts, those that have ended included */
    unsigned left;            /* parts that have not ended */
    unsigned waiting;         /* parts that are WAITING */
    bool exempt; /* may not be deferred by headroom: takes no place in the waiting room */
    struct merge merge;
    SLIST_ENTRY(job) link; /* free */
};

struct part {
    enum part_state state;
    struct job *job;
    int worker; /* from CONNECTING to RUNNING, else -1 */
    const char *bytes;
    size_t length;
    char *own;           /* the bytes, when they are a share and not the client's */
    uint32_t recipients; /* of a share */
    struct part *leader; /* JOINED: goes along with that one */
    unsigned members;    /* parts that go along with this one */
    bool done; /* of a joint part that has ended: delivered or bounced, says the queue file */
    const char *outgoing; /* what its worker gets, where that is not `bytes`; else NULL */
    size_t outgoing_length;
    char *made;       /* the outgoing bytes, when they are not the client's */
    uint64_t started; /* handed over at */
    enum deferral_reason reason;
    bool counted; /* dry run: that it would have waited, or have been deferred */
    TAILQ_ENTRY(part) of_job;
    TAILQ_ENTRY(part) in_line; /* WAITING */
    SLIST_ENTRY(part) link;    /* free */
};

struct parts;

/* Room for as many jobs as there are clients, and for `extra` parts beside one for each. */
int parts_create(struct parts **out, struct budget *budget, struct journal *journal,
                 unsigned extra);
void parts_destroy(struct parts *parts);

/* How many handles there are. */
unsigned parts_size(const struct parts *parts);

/* The part of a handle, and back. */
struct part *parts_at(struct parts *parts, unsigned handle);
const struct part *parts_look(const struct parts *parts, unsigned handle);
unsigned parts_handle(const struct parts *parts, const struct part *part);

/* Of those that wait, the one that came first; one that came back is before all others. NULL: none. */
struct part *parts_oldest(const struct parts *parts);

/* A job without parts, for the client's request of `length` bytes. */
struct job *parts_job(struct parts *parts, struct client *client, size_t length);

/* The job takes no place in the waiting room from now on, whatever waits of it. */
void parts_exempt(struct parts *parts, struct job *job);

/* The request as one part, WAITING. */
struct part *parts_whole(struct parts *parts, struct job *job, const char *bytes);

/*
 * One part for each of the split's, all WAITING, in the order of the split: the n-th is handed to
 * `each` with n. False when there is no room or no memory for them; nothing has happened then.
 */
bool parts_divide(struct parts *parts, struct job *job, const struct split *split,
                  const struct request *request, const char *bytes,
                  void (*each)(void *context, struct part *part, uint32_t n), void *context);

/* `part`, which is WAITING, goes along with `leader`, another one of its job. */
void parts_join(struct parts *parts, struct part *leader, struct part *part);

/*
 * Writes the leader's outgoing bytes, when all have joined; `bytes` are the client's, which are
 * taken as they are when all parts of the job go. False when there is no room or no memory for
 * them.
 */
bool parts_outgoing(struct parts *parts, struct part *leader, const struct request *request,
                    const char *bytes);

/*
 * It goes to its worker now, with the flags of agents/reuse.h. Where there is no room or no memory
 * for that it goes without them.
 */
void parts_reuse(struct parts *parts, struct part *part, const struct request *request);

/* It goes along no more: it waits again, or has ended. The last one takes the outgoing bytes. */
void parts_leave(struct parts *parts, struct part *part);

/* Takes the step that the table of states has for the event; aborts when it has none. */
enum part_action parts_step(struct parts *parts, struct part *part, enum part_event event);

/* Gives back a part that has ended, before its job: with a dead destination that may be hours. */
void parts_end(struct parts *parts, struct part *part);

/* Gives back a job and what is left of its parts. */
void parts_free(struct parts *parts, struct job *job);

struct parts_view {
    unsigned waiting;  /* parts that are WAITING */
    unsigned jobs;     /* of which a part is WAITING */
    unsigned requests; /* jobs of which a part is WAITING, those that are exempt not counted */
    uint64_t bytes;    /* of these requests, and of WAITING shares */
};

struct parts_view parts_view(const struct parts *parts);

#endif
