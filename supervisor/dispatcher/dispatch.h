#ifndef SUPERVISOR_DISPATCHER_DISPATCH_H
#define SUPERVISOR_DISPATCHER_DISPATCH_H

/*
 * What the files of the dispatcher share. See supervisor/dispatcher/dispatcher.h for who does what, and
 * supervisor/dispatcher/states.h for the states. Internal to the dispatcher.
 *
 * All memory but the bytes of requests is taken at start.
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
#include "agents/redirect.h"
#include "agents/reply.h"
#include "agents/request.h"
#include "supervisor/admission/admission.h"
#include "supervisor/admission/room.h"
#include "supervisor/base/watch.h"
#include "supervisor/dispatcher/dispatcher.h"
#include "supervisor/dispatcher/states.h"
#include "supervisor/journal/journal.h"
#include "supervisor/journal/journal_limit.h"
#include "supervisor/limit/growth.h"
#include "supervisor/limit/limit.h"
#include "supervisor/limits.h"

struct client;
struct snapshot; /* snapshot.c */

/* Why a part is deferred by us; the words are in deferrals.c. */
enum deferral_reason {
    DEFERRAL_MEMORY, /* no headroom (4.3.2) */
    DEFERRAL_FULL,   /* the waiting room is full (4.4.5) */
    DEFERRAL_SLOW,   /* its destination is slow or dead (4.4.5) */
};

#define DEFERRAL_REASONS (DEFERRAL_SLOW + 1)

/* One valid request for one agent. Its number in dispatcher->part is its handle in admission. */
struct part {
    enum part_state state;
    struct client *client;
    int worker; /* from CONNECTING to RUNNING, else POOL_NONE */
    char *bytes;
    size_t length;
    char *own;        /* the bytes, when they are not the client's: a share of a split request */
    uint64_t started; /* handed over at */
    enum deferral_reason reason;
    SLIST_ENTRY(part) of_client;
    TAILQ_ENTRY(part) link; /* free, or DEFERRING and not sent yet */
};

/* One connection of qmgr(8) and the request on it. */
struct client {
    struct dispatcher *dispatcher;
    enum client_state state;
    int connection;
    int lock; /* the shared lock on the queue file, while parts have not ended */
    struct watch watch;
    uint64_t since; /* accepted, or read from, at */
    bool unlocked;  /* all is read, but there was no descriptor for the lock */
    struct request request;
    char *bytes;
    size_t length;
    size_t capacity;
    SLIST_HEAD(, part) parts;
    unsigned parts_left;
    unsigned parts_waiting;
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
    struct watch status_watch;
    unsigned dials; /* connections that it got from us */
    struct conversation conversation;
    struct watch conversation_watch;
    struct part *part;
    bool retired; /* we told it to go */
    bool gone;    /* its status channel or its connection has ended, or it has: never used again */
    bool doomed;  /* it is to be ended by force, and the parent could not be told yet */
    char lost[QUEUE_ID_MAX + 1]; /* the request it died with, until we know what it died of */
};

/* One conversation with retry(8). */
struct deferral {
    struct dispatcher *dispatcher;
    struct conversation conversation;
    struct watch watch;
    uint64_t since;
    struct part *part; /* NULL: free */
    bool greeted;
    struct request request;
    struct iovec pieces[REDIRECT_PIECES];
    char text[REDIRECT_TEXT_MAX + 1];
};

struct dispatcher_totals {
    uint64_t requests;  /* read and locked */
    uint64_t delivered; /* answered with status 0 */
    uint64_t deferred;  /* answered otherwise by a worker */
    uint64_t lost;      /* parts whose worker died */
    uint64_t postponed; /* parts deferred by us */
    uint64_t postponed_for[DEFERRAL_REASONS];
    uint64_t bare;      /* of them, without retry(8) */
    uint64_t refused;   /* malformed, or without a queue file */
    uint64_t started;   /* workers */
    unsigned most_live; /* workers at a time */
};

/* How many workers there may be: what the limit said last. */
struct regulator {
    struct limit_settings settings;
    struct limit_state state;
    struct limit_decision decision;
    struct memory_sample sample;
    unsigned failed; /* starts that failed for want of memory or processes, since the last step */
    bool group_gone; /* the pool's group was removed, and is not there again */
    bool strangers;  /* a killed predecessor's workers may still be in the group */
    uint64_t oom_reported; /* oom_kill that was said */
    uint64_t stepped;      /* time of the last step */
    uint64_t changed;      /* when the mode was entered */
    uint64_t told;         /* when something was last said */
    enum limit_mode told_mode;
    enum limit_mode worst; /* that was said, until all state_lines are there again */
    uint64_t told_postponed_for[DEFERRAL_REASONS]; /* totals at that time */
    struct journal_budget state_lines;             /* changes and summaries */
    struct journal_limit change_lines;             /* changes */
    bool untold;                                   /* the change to this mode */
    uint64_t unsaid; /* changes before it since then that were not said */
    uint64_t left;   /* when OPEN was left; 0 while it is OPEN */
    struct dispatcher_totals left_totals;
    uint64_t
        away; /* not OPEN, before that and since OPEN was last said; us, and what happened in it */
    struct dispatcher_totals away_totals;
    sd_event_source *timer; /* of the next step */
    struct watch pressure[DISPATCHER_TRIGGERS];
};

struct dispatcher {
    const struct dispatcher_settings *settings;
    struct journal *journal;
    sd_event *event;
    sd_event_source *tick;
    struct watcher watcher; /* of clients and workers, and of sd-event */
    struct watch others;    /* all that sd-event looks after */
    bool unarmed;           /* sources of sd-event's are due, and it is not armed for them */
    uint64_t now;           /* the time of this turn of the loop, in us, by CLOCK_MONOTONIC */
    struct watch listen[MASTER_SOCKETS_MAX];
    bool listening;
    bool announced;         /* TAKEN and AVAIL were sent */
    bool descriptors_short; /* nothing is accepted until the next tick */

    struct client *client; /* clients_max of them */
    unsigned clients_max;
    unsigned clients;         /* in use */
    unsigned clients_touched; /* used ever: the memory of the others is not there yet */
    LIST_HEAD(, client) free; /* used, and free again */
    LIST_HEAD(, client) reading;
    unsigned reading_count;
    uint64_t held_bytes;

    struct part *part; /* parts_max of them */
    unsigned parts_max;
    unsigned parts; /* in use */
    unsigned parts_touched;
    TAILQ_HEAD(part_list, part) parts_free;
    unsigned waiting_count;    /* parts that wait */
    unsigned waiting_requests; /* requests of which a part waits, and their bytes */
    uint64_t waiting_bytes;
    struct room room;
    struct admission *admission;
    uint64_t wakeup_at; /* when admission wants to be asked again; 0: not at all */

    struct part_list deferring;
    struct deferral deferral[DEFERRALS_AT_ONCE];
    uint64_t deferral_next; /* the next one may begin then */

    struct regulator regulator;
    struct growth growth;
    int schedstat; /* of this process; negative: not known here */

    struct pool pool;
    struct worker *worker; /* as many as the pool has */
    char greeting[GREETING_MAX];
    size_t greeting_length; /* 0: not known yet */
    int start_error;        /* why starts fail, to say it once; 0 when they do not */
    bool start_said; /* that one of them failed: then it is also said when they succeed again */

    struct journal_limit start_lines;
    struct journal_limit refused_lines;
    struct journal_limit lost_lines;
    struct journal_limit descriptor_lines;
    struct journal_limit retry_lines;
    bool retry_away; /* retry(8) could not be had, which was said, and has not answered since */
    bool
        retry_mute; /* it did not answer in time, or take a connection, and has not answered since */
    uint64_t retry_full; /* since when it takes no connection; 0: it does, or nobody has asked */
    struct journal_limit learned_lines;
    struct journal_limit snapshot_lines;
    struct journal_limit metrics_lines;
    uint64_t remembered; /* when that was last written */
    struct dispatcher_totals totals;
    struct snapshot *snapshot;
    char scratch[65536]; /* what has just been read */
};

/* dispatcher.c */

/* The time now, by CLOCK_MONOTONIC, in us. For what is due later; all else goes by dispatcher->now. */
uint64_t dispatcher_clock(void);

/* Lets the clock wake it at that time; ADMISSION_NEVER for not at all. */
void dispatcher_wake_at(struct dispatcher *dispatcher, int64_t when);

/* A source of sd-event's was changed outside of its own handlers: arms what is to wake us. */
void dispatcher_arm(struct dispatcher *dispatcher);

/* No descriptor could be had: nothing is accepted until the next tick. */
void dispatcher_descriptors_short(struct dispatcher *dispatcher, int error);

/* A promise is broken: says it and aborts. master(8) starts a fresh pair. */
_Noreturn void dispatcher_broken(struct dispatcher *dispatcher, const char *what, int state,
                                 int event);

/* clients.c */

int clients_create(struct dispatcher *dispatcher);
void clients_destroy(struct dispatcher *dispatcher);

/*
 * Accepts, or does not, by whether there is room for one more. More than waiting.max wait only when
 * none of them may be deferred by us.
 */
void clients_listen(struct dispatcher *dispatcher);
void clients_on_listen(void *dispatcher, int fd, uint32_t events);

/* Refuses what does not come to its end, and tries again to lock what could not be locked. */
void clients_expire(struct dispatcher *dispatcher, uint64_t now);

/* The last part of the client has ended. */
void client_parts_ended(struct client *client);

/* parts_admit.c */

/* The request is split, and its parts begin to wait. */
void parts_admit(struct client *client);

/* Must its parts not be deferred by us? That changes while it waits. */
bool parts_exempt(const struct client *client);

/* The part begins to wait, known by its first recipient's key, or by the nexthop. `request` is that of its own bytes. */
void part_arrive(struct part *part, const struct request *request);

/* parts.c */

int parts_create(struct dispatcher *dispatcher);
void parts_destroy(struct dispatcher *dispatcher);

/* Keeps what was learned of destinations, for the next start. */
void parts_remember(struct dispatcher *dispatcher);

/* For parts_admit.c: it waits in admission from now on. */
void part_wait(struct part *part, const struct admission_arrival *arrival);

/* Those of its parts that are not handed over are dropped. */
void parts_cancel(struct client *client);

/* Gives back the parts of a client that has ended. */
void parts_release(struct client *client);

/* The part that may run now, or NULL; it is then chosen in admission. */
struct part *parts_next(struct dispatcher *dispatcher);

/* How many could be chosen now, if there were as many workers as that. */
unsigned parts_runnable(struct dispatcher *dispatcher);

/* Lets the clock wake the dispatcher when what waits may start by then, also when no worker is idle. */
void parts_wake(struct dispatcher *dispatcher);

/* A chosen part runs on this idle worker: connects. False when the worker has gone. */
bool part_connect(struct part *part, struct worker *worker);

void part_greeted(struct part *part, struct worker *worker);
void part_write(struct part *part);
void part_replied(struct part *part, const struct reply *reply, const char *bytes);
void part_worker_gone(struct part *part);

/* retry(8) has answered, or has not (reply NULL). */
void part_postponed(struct part *part, const struct reply *reply, const char *bytes);

/* Has a request that waits to leave? And how many may wait. */
bool parts_room_full(const struct dispatcher *dispatcher);
unsigned parts_room(const struct dispatcher *dispatcher);

/* For parts_admit.c: the part has begun to wait. */
void part_waits(struct part *part);

/* Defers what has to be: a full waiting room, slow destinations, no headroom. */
void parts_defer(struct dispatcher *dispatcher);

/* deferrals.c */

int deferrals_create(struct dispatcher *dispatcher);
void deferrals_destroy(struct dispatcher *dispatcher);

/* The part is in DEFERRING: sends it to retry(8) when its turn comes. */
void deferrals_add(struct part *part, enum deferral_reason reason);
void deferrals_pump(struct dispatcher *dispatcher);

/* Gives up those that retry(8) does not answer. */
void deferrals_expire(struct dispatcher *dispatcher, uint64_t now);

/* regulator.c */

int regulator_create(struct dispatcher *dispatcher);
void regulator_destroy(struct dispatcher *dispatcher);

/* Takes a sample and decides; retires, and says what has changed. Once a second, or on pressure. */
void regulator_step(struct dispatcher *dispatcher);

/* The limit, and how many of `wanted` workers may be started now: they count as started. */
unsigned regulator_limit(const struct dispatcher *dispatcher);
unsigned regulator_take(struct dispatcher *dispatcher, unsigned wanted);

/* A worker ended by itself; or could not be forked. */
void regulator_ended(struct dispatcher *dispatcher);
void regulator_failed(struct dispatcher *dispatcher);

/* Whether a process that died of SIGKILL was ended by the OOM killer; each kill answers once. Then
 * `figures` says what its group, or the machine, uses of what it has. */
bool regulator_oom_killed(struct dispatcher *dispatcher, char *figures, size_t size);

/* Workers and what waits for them, as the limit has to know them. */
struct limit_demand regulator_demand(struct dispatcher *dispatcher);

/* regulator_say.c */

/* The mode was `before`, and is another now: counts the change, and what happened while it was not OPEN. */
void regulator_say_changed(struct dispatcher *dispatcher, enum limit_mode before);

/* Says a change, or a summary, when it is time. To be called after each step. */
void regulator_say_if_due(struct dispatcher *dispatcher);

/* Changes of the mode since the last line about it, which the log will not have if it ends now. */
uint64_t regulator_unsaid(const struct dispatcher *dispatcher);

/* Where there is the least left: the group whose limit was met, or else the machine. */
void regulator_say_figures(const struct memory_sample *sample, char *figures, size_t size);

/* snapshot.c */

int snapshot_create(struct dispatcher *dispatcher);
void snapshot_destroy(struct dispatcher *dispatcher);

/* The state has changed: remembers it. */
void snapshot_changed(struct dispatcher *dispatcher);

/* Replaces the files for headroomctl and for metrics when it is time; in the end with `last`. */
void snapshot_tick(struct dispatcher *dispatcher, bool last);

/* remainders.c */

/* Says how often something happened that was not said each time; with `last` all of it. */
void remainders_say(struct dispatcher *dispatcher, bool last);

/* workers.c */

int workers_create(struct dispatcher *dispatcher);
void workers_destroy(struct dispatcher *dispatcher);

/*
 * Opens a connection to an idle worker. False when it has gone (it is then leaving), or when there
 * is no descriptor (dispatcher->descriptors_short is then set).
 */
bool worker_open(struct worker *worker);

/* Writes the request of its part, or what is left of it. False: part_write is called again. */
bool worker_write(struct worker *worker);

/* Closes its connection; it is idle again, or leaves. */
void worker_release(struct worker *worker);

/* Tells a worker without a request to go. */
void worker_retire(struct worker *worker);

/* The parent has reaped it. */
void workers_exited(struct dispatcher *dispatcher, unsigned number, int status);

/* Surplus idle workers, and those that do not greet. */
void workers_expire(struct dispatcher *dispatcher, uint64_t now);

/* For worker_start.c: connects to it, or a negative errno; what comes of it is seen by workers.c. */
int worker_dial(struct worker *worker);

/* For worker_start.c: sees the end of the status channel from now on. 0 or a negative errno. */
int worker_watch_status(struct worker *worker);

/* Its process has ended, or never was: the number may be used again. */
void worker_free(struct worker *worker);

/* worker_start.c */

/* May one be started: is there a number, and have starts not been failing? */
bool workers_may_start(const struct dispatcher *dispatcher);

/* Starts one worker, which may be started. False when it failed. */
bool workers_start(struct dispatcher *dispatcher);

/* The parent has started it, or could not. */
void workers_started(struct dispatcher *dispatcher, unsigned number, pid_t pid);
void workers_start_failed(struct dispatcher *dispatcher, unsigned number, int error);

/* A start failed: says so once for each reason (`error` tells them apart), but not without end, and pauses. */
void worker_starts_fail(struct dispatcher *dispatcher, int error, const char *reason);

/* A new worker has greeted. */
void worker_starts_succeed(struct dispatcher *dispatcher);

#endif
