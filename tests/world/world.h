#ifndef TESTS_WORLD_WORLD_H
#define TESTS_WORLD_WORLD_H

/*
 * The dispatcher in a world of its own: the real program from dispatcher_run() down, in this
 * process, over a simulated kernel. One seed moves all: clients, workers, parent, retry(8), memory,
 * clock, and the order of events. The same seed is the same run, call for call.
 *
 *   world.c     seeds, processes that share them, figures, the replay of one
 *   plan.c      what a seed means: configuration, destinations, mail, and episodes of trouble
 *   kernel.c    descriptors and sockets; calls.c: the system calls over them
 *   turn.c      epoll_wait(2), in which the world goes on
 *   outside.c   what is taken over above the kernel: sockets' names, memory, queue files
 *   nothing.c   what is not simulated: the log, files, confinement
 *   before.c    what a predecessor and an operator left behind
 *   mail.c      clients: qmgr(8) and local(8), what they say and when they go
 *   workers.c   processes of workers, started and reaped by the parent
 *   deferrals.c retry(8)
 *   promises.c  what must hold after each step, and at the end
 *   bugs/       patches, a bug in each promise: make check-world BUGS=1 says after how many seeds each is found
 *
 * Functions of the C library and of the product are taken over by the linker (--wrap, the list is
 * in GNUmakefile); nothing in the product knows of it. The world moves in epoll_wait(2) only, as
 * others do while the dispatcher waits: then it is between two turns, and all must be in order.
 *
 * A seed is of one of two kinds. In one all trouble ends, and after it everything must end well:
 * each request answered, no place or byte kept. In the other it never ends, and only safety is
 * asked. One in eight has no trouble at all: there nothing may be deferred.
 *
 * Times are us; `now` begins at 1000 s, and the wall clock at a date of 2026.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/dispatcher/dispatcher.h"
#include "supervisor/dispatcher/router.h"

#define SECONDS(n) ((uint64_t)(n)*UINT64_C(1000000))
#define NEVER UINT64_MAX
#define BEGIN SECONDS(1000)

#define DOMAINS_MAX 6
#define MAILS_MAX 64
#define RECIPIENTS_MAX 5
#define EPISODES_MAX 6
#define REQUEST_SIZE 4096
#define REPLY_SIZE 512

/* What may go wrong for a time. */
enum trouble {
    MEMORY_SHORT,  /* a neighbour takes all but a little */
    STALL,         /* the machine stalls for memory */
    FORK_FAILS,    /* the parent has no process more */
    EXEC_FAILS,    /* the agent is not there */
    WORKERS_DIE,   /* at any point */
    WORKERS_LIE,   /* any bytes, too many, too early */
    WORKERS_SLEEP, /* slow to start, to greet, to go */
    RETRY_GONE,
    RETRY_MUTE,
    RETRY_FULL,
    RETRY_LIES,
    CLIENTS_LEAVE, /* at any byte, or while they wait */
    CLIENTS_LIE,
    NO_DESCRIPTOR, /* accept, connect, socketpair fail now and then */
    NO_MEMORY,     /* so do malloc and its like */
    QUEUE_READONLY,
    QUEUE_FULL,
    CLOCK_JUMPS, /* the machine sleeps for seconds */
    WALL_JUMPS,  /* the date changes by hours */
    PARENT_DEAF, /* it does not read its channel for a while */
    GROUP_GONE,  /* somebody removed the memory group */
    HELD,        /* an operator holds a destination */
    TROUBLES,
};

extern const char *const trouble_names[TROUBLES];

struct episode {
    enum trouble what;
    uint64_t begin, end; /* NEVER: it does not end */
};

/* How a destination behaves. */
enum server { QUICK, SLOW, DEAD, REFUSING, SOMETIMES, SERVERS };

struct plan {
    bool ends;  /* all trouble does */
    bool calm;  /* there is none */
    bool local; /* some clients are local(8) */
    bool stop;  /* the end is SIGTERM, not a reload */
    struct config config;
    struct postconf postconf;
    unsigned descriptors;
    unsigned domains;
    enum server server[DOMAINS_MAX];
    unsigned held;      /* the destination that is */
    unsigned strangers; /* workers of a predecessor */
    unsigned mails;
    unsigned episodes;
    struct episode episode[EPISODES_MAX];
    uint64_t limit;      /* of the pool's group, bytes; 0: it has none */
    uint64_t last_mail;  /* no client comes after this */
    uint64_t quiet_from; /* no trouble after this */
    uint64_t end;        /* the reload or the signal */
};

struct world {
    uint64_t seed, random;
    bool verbose;
    struct plan plan;
    uint64_t now;
    int64_t wall;   /* of the date, less `now` */
    uint64_t woken; /* the last jump of the clock ended */
    bool dozed;     /* and two were close together: whoever is asked may be given up */
    uint64_t steps; /* turns of the dispatcher's loop */
    bool ending;    /* the signal or the reload has come */
    uint64_t moved; /* a new qmgr(8) has moved what is in active/ then */
    bool over;      /* all seeds of this process have run */
    struct router *router;
    uint64_t calm_since; /* memory is back since; NEVER: it is short */
    uint64_t short_last; /* when memory was short last; 0: never */
};

/* Figures over all seeds of a process. */
enum figure {
    STEPS,
    CALLS,
    ACCEPTED,
    ANSWERED,
    DELIVERED,
    DEFERRED,
    UNRECORDED,
    REFUSED,
    HUNG_UP,
    SPLIT,
    SPAWNED,
    DIED,
    SHED,
    JUMPS,
    FAULTS,
    FIGURES,
};

extern struct world world;
extern uint64_t figures[FIGURES];
extern const char *const figure_names[FIGURES];

/* --- world.c --- */

/* 0 ... 2^64-1; below `bound`; from `low` to `high`; true in so many of a thousand cases. */
uint64_t draw(void);
uint64_t draw_below(uint64_t bound);
uint64_t draw_from(uint64_t low, uint64_t high);
bool chance(unsigned permille);

/* A promise is broken: says so with the seed, and ends this process. */
_Noreturn void broken(const char *promise, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For the one who replays a seed. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- plan.c --- */

void plan_draw(struct plan *plan);

/* Is there such trouble at this moment? */
bool troubled(enum trouble what);

/* The same, and chance wants it. */
bool strikes(enum trouble what, unsigned permille);

/* --- before.c --- */

/* Workers of a predecessor: they are told to `left`, and end by and by. How many are there? */
void predecessor_left(void (*left)(void *context, int fd), void *context);
uint64_t predecessor_next(void);
void predecessor_act(void);
unsigned predecessor_workers(void);

/* An operator holds the destination, and has for so long that the dispatcher knows. */
bool held_for_sure(unsigned domain);

/* --- outside.c --- */

/* A worker ended with this status of wait(2). */
void outside_killed(int status);

/* --- mail.c --- */

struct recipient {
    unsigned domain;
    unsigned given; /* to workers */
    unsigned retry; /* to retry(8) */
    bool marked;    /* its record in the queue file is D */
    bool delivered; /* its worker said so */
    bool rested;    /* its worker gave a DSN */
};

struct mail {
    unsigned count; /* of recipients */
    struct recipient recipient[RECIPIENTS_MAX];
    int64_t arrived; /* wall clock */
    bool probe, bounce, junk, local, slow_reader;
    bool missing, foreign_lock; /* its queue file is not there, or locked by another */
    unsigned locks;             /* that the dispatcher holds */
    char bytes[REQUEST_SIZE];
    size_t length;
    size_t sent, cut; /* it hangs up when so much is sent */
    unsigned pieces;  /* in how many */
    uint64_t wake;
    uint64_t patience; /* it hangs up then */
    int stream;        /* -1: not connected, or gone */
    enum { MAIL_LATER, MAIL_GREETING, MAIL_SENDING, MAIL_WAITING, MAIL_OVER } state;
    bool unwatched; /* epoll refused its connection: it was greeted and closed */
    bool answered;
    char answer[REPLY_SIZE];
    size_t answer_length;
    unsigned replies; /* of agents, to parts of it */
    char reply[2 * RECIPIENTS_MAX][REPLY_SIZE];
    size_t reply_length[2 * RECIPIENTS_MAX];
};

extern struct mail mails[MAILS_MAX];

void mail_begin(void);
uint64_t mail_next(void);
void mail_act(void);

/* At a reload qmgr(8) restarts: its connections end. */
void mail_reload(void);

/* The connection of a client cannot be watched. */
void mail_unwatched(int stream);

/* The mail of a request, its recipients' numbers, and how many; -1: of no mail. */
int mail_of(const char *bytes, size_t length, unsigned number[RECIPIENTS_MAX], unsigned *count,
            char nexthop[REPLY_SIZE]);

/* An agent replies to a part of it. */
void mail_replied(struct mail *mail, const char *reply, size_t length);

/* --- workers.c --- */

#define WORKERS_MAX 16

void workers_begin(void);
uint64_t workers_next(void);
void workers_act(void);
unsigned workers_live(void); /* processes, those included that the parent is about to start */
int worker_listener(unsigned number);

/* The channel, at the parent's end. As in supervisor/parent/channel.h. */
bool parent_has_news(void);

/* --- deferrals.c --- */

void deferrals_begin(void);
uint64_t deferrals_next(void);
void deferrals_act(void);

/* --- promises.c --- */

void promises_begin(void);

/* Bytes that begin to leave to a worker that was connected to at `called`; to retry(8), at `wall`. */
void promise_given(const char *bytes, size_t length, uint64_t called);
void promise_deferred(const char *bytes, size_t length, int64_t wall);

/* A worker is asked for. */
void promise_spawn(void);

/* The client has all of its answer. */
void promise_answer(const struct mail *mail);

/* Between two turns; when all trouble is over and all must have ended well; when all is ended. */
void promise_step(void);
void promise_quiet(void);
void promise_end(int status);

#endif
