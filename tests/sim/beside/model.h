#ifndef TESTS_SIM_BESIDE_MODEL_H
#define TESTS_SIM_BESIDE_MODEL_H

/*
 * What the files of tests/sim/beside.c share:
 *
 *   model.c  events, qmgr(8), and behind it either stock or admission
 *   server.c the servers
 *   mail.c   what mail there is
 *   cases.c  the cases: which mail, and what has to be reached
 *
 * All times are in us. qmgr(8) is modelled as Postfix 3.7 has it by default: a window for each next hop, which grows by one
 * for each success up to the limit and shrinks by one for each failure with a DSN; failures of one whole window in a
 * row defer all that waits. Stock is a number of processes, in order of arrival. A broken promise of admission ends the
 * program with status 2.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/admission/admission_view.h"
#include "supervisor/admission/room.h"

#define MS INT64_C(1000)
#define SECOND ADMISSION_SECOND
#define MINUTE (60 * SECOND)
#define DOMAINS 1200
#define MESSAGES 24000
#define ROOM 2000 /* waiting.max */
#define CLIENTS 22500

enum kind {
    KIND_GOOD,   /* what the goals are about */
    KIND_OTHER,  /* as good, not counted */
    KIND_POISON, /* hangs, and fails */
    KIND_BUSY,   /* the recipient's mailbox answers 451 at once */
    KIND_BOUNCE, /* 550 at once */
};

enum server {
    SERVER_DELAY, /* delivers after `time`, as many at a time as there are; more than `queue` are refused, 0 for no bound */
    SERVER_ORDER, /* `lines` at a time, each takes `time`; what waits beyond `queue` is refused, 0 for no bound */
    SERVER_SHARED, /* `lines` processors that all share: each takes `time` alone, and so much longer beside others */
    SERVER_DEAD, /* holds it for `time`, then a temporary error */
};

enum trouble {
    TROUBLE_REFUSED, /* connections are refused */
    TROUBLE_TIMEOUT, /* no greeting for TIMEOUT, then a failure */
    TROUBLE_SILENT,  /* no greeting until the servers are back, then all is well */
};

struct queue {
    int head, tail, count;
};

struct domain {
    char name[24];
    enum server server;
    int64_t time;
    unsigned lines, queue;
    int64_t jitter; /* in order: messages are there after up to so long, each after another time */
    int64_t free_at[4];   /* of the lines */
    unsigned busy;        /* messages that it has */
    struct queue running; /* shared: in order of their ends */
    double work;          /* done for each that was there all the time */
    int64_t work_time;
    uint64_t armed; /* the event that ends the first of them */
};

struct message {
    int domain;
    int64_t arrived, begun, answered, ended; /* 0: not yet; ended: delivered */
    int64_t put_off;                         /* deferred by anybody */
    enum kind kind;
    bool first, exempt, deferred, refused;
    bool given_up; /* deferred by headroom, without a try */
    double done;   /* at a server that is shared: the work at which it ends */
    enum admission_outcome outcome;
    unsigned part;
    int next; /* in a queue, -1 at its end */
};

struct model;

/* One case. Goals: 0 is not asked for. */
struct plan {
    const char *name;
    const char *what;
    void (*set_up)(struct plan *plan, struct model *model);
    bool relay;              /* one next hop for all domains; else each domain is its own */
    unsigned initial, limit; /* qmgr's concurrency of a next hop */
    unsigned processes;      /* stock's process limit */
    unsigned workers;        /* L at the start, and what it grows to */
    unsigned workers_most;
    bool warm;  /* every destination has delivered before, as has qmgr's window grown */
    bool known; /* the first only: as after a reload, when qmgr begins anew */
    int64_t poison;
    enum trouble trouble; /* of all servers, between the two */
    int64_t down_from, down_until;
    unsigned refused_percent;                /* of all connections, all the time */
    int64_t until;                           /* the end */
    double p50_ratio, p99_ratio, time_ratio; /* at most so many times stock's */
    double p99_more;                         /* p99 at most stock's and so many s */
    double p99_most;                         /* s */
    double
        others_ratio; /* at most so many times stock's, until the last of the others was answered */
    double deferred_ratio; /* of good mail; with `none_more` no more than stock's */
    bool none_more;
    bool none_own;      /* nothing is deferred by headroom itself */
    double spread_most; /* percent of what is deferred, in half a minute */
    double full_most;   /* s from the return of the servers to the full rate */
    unsigned refused_most;
    unsigned peak_most;
    int64_t settled; /* from then on no more workers than: */
    unsigned late_most;
    double time_most;    /* s */
    unsigned dead_most;  /* workers at dead destinations at a time */
    int64_t judged_from; /* good mail that arrives before is not in the quantiles */
};

/* A next hop as qmgr(8) sees it. */
struct hop {
    struct queue todo;
    unsigned in_flight;
    double window, cohorts;
    bool dead;
};

enum event_kind { EVENT_ARRIVE, EVENT_REACH, EVENT_END, EVENT_SHARED, EVENT_WAKE };

struct event {
    int64_t at;
    uint64_t order;
    enum event_kind kind;
    int index;
};

struct model {
    const struct plan *plan;
    bool stock;
    int64_t now, wake;
    uint64_t random, order;
    struct event *events;
    size_t event_count;
    struct domain domains[DOMAINS];
    struct hop hops[DOMAINS];
    int domain_count;
    struct message *messages;
    int message_count;
    struct queue connected;   /* stock: requests without a process; ours: not accepted yet */
    unsigned busy, peak;      /* processes, workers */
    unsigned late_peak;       /* from plan->settled on */
    unsigned dead, dead_peak; /* of these, at dead destinations */
    double workers;           /* L */
    int64_t grown;            /* when L was last looked at */
    struct admission *admission;
    int *held; /* message of a part */
    unsigned *spare;
    unsigned spare_count;
    unsigned exempt; /* waiting ones */
    struct room room;
    struct room_flow flow;
    int64_t looked; /* when the flow was */
    unsigned here;  /* accepted, and not answered */
    int *line;      /* accepted, in order; those that have begun or left are taken out later */
    int line_count;
};

/* What came of one run. */
struct figures {
    unsigned good, delivered, deferred, refused, peak, late_peak;
    unsigned dead_peak;
    unsigned own; /* of the deferred: by headroom, without a try */
    double
        spread;  /* percent of all that were deferred, of any kind, within the worst half minute */
    double full; /* s from the return of the servers until as much is delivered as arrives */
    double p50, p99, most; /* s from arrival to delivery */
    double time;           /* s until the last good message was delivered */
    double others;         /* s until the last of the others was answered */
    unsigned others_waiting;
};

/* model.c */
void model_create(struct model *model);
void model_destroy(struct model *model);
void model_run(struct model *model, struct plan *plan, bool stock, struct figures *figures);

/* Shared with the servers. */
_Noreturn void model_broken(const char *what);
uint64_t model_push(struct model *model, int64_t at, enum event_kind kind,
                    int index); /* -> its order */
void model_queue_add(struct model *model, struct queue *queue, int index);
int model_queue_take(struct model *model, struct queue *queue);
void model_end(struct model *model, int index);

/* server.c */
/* A process has the message: what the server does with it, and when that is over. */
void server_takes(struct model *model, int index);
/* It is there, at a server with jitter. */
void server_reached(struct model *model, int index);
/* An event of a shared server. */
void server_shares(struct model *model, int domain, uint64_t order);

/* For the cases. */
int model_domain(struct model *model, enum server server, int64_t time);
void model_mail(struct model *model, int64_t at, int domain, enum kind kind);
double model_uniform(struct model *model);
/* An interval between two messages of `rate` a second, by chance. */
int64_t model_gap(struct model *model, double rate);

/* cases.c */
struct plan *cases_at(size_t number);

#endif