#ifndef SUPERVISOR_ADMISSION_VIEW_H
#define SUPERVISOR_ADMISSION_VIEW_H

/*
 * What admission tells of destinations, next hops and itself: to people (report/), to tests, and to the file that keeps what was
 * learned over a restart (learned.h). Nothing here decides.
 */

#include "supervisor/admission/admission.h"

/* What keeps the mail of a destination waiting while workers could be had. Of several the first. */
enum admission_wait {
    ADMISSION_WAIT_HELD,    /* an operator holds it */
    ADMISSION_WAIT_FAILING, /* it is slow or dead, hangs, fails in a row, or its next hop is down */
    ADMISSION_WAIT_PACE,    /* its destination.pace */
    ADMISSION_WAIT_NUMBER,  /* it takes no more at a time */
    ADMISSION_WAIT_WINDOW,  /* it delivers, and all of its window is in use */
    ADMISSION_WAIT_NEW,     /* it has not delivered yet, or not lately */
    ADMISSION_WAITS
};

struct admission_counters {
    unsigned waiting;                  /* parts now */
    unsigned victims;                  /* parts now; they do not wait any more */
    unsigned waits[ADMISSION_WAITS];   /* of those that wait, by what their destinations wait for */
    unsigned in_flight;                /* chosen and running parts now */
    unsigned hanging;                  /* of these, for longer than slow_after */
    unsigned lane[ADMISSION_LANES];    /* of these, by lane */
    unsigned destinations;             /* in the table now */
    uint64_t started[ADMISSION_LANES]; /* since creation */
    uint64_t finished;                 /* of them, by any outcome */
    uint64_t put_back;
    uint64_t joined; /* went along with others */
    uint64_t cancelled;
    uint64_t full;    /* of the victims of a full waiting room, those that left */
    uint64_t expired; /* waited too long, or backlog */
    uint64_t shed;
    uint64_t evicted; /* destinations forgotten to make room */
    uint64_t steps;   /* of work done, for tests of the cost */
};

void admission_count(const struct admission *admission, struct admission_counters *counters);

/* What is known of one destination, for people. */
struct admission_view {
    char key[ADMISSION_KEY];
    enum admission_lane lane;
    int64_t since;      /* in that lane */
    unsigned in_flight; /* those that went along with others included */
    unsigned hanging;   /* of them, for longer than slow_after */
    unsigned waiting;
    unsigned window;
    int64_t
        oldest_start; /* of those in flight that admission_slowest() found, else ADMISSION_NEVER */
    int64_t service;  /* decaying mean of its deliveries, us; 0 when there was none */
    int64_t last_success; /* or ADMISSION_NEVER */
    int64_t last_failure; /* or ADMISSION_NEVER */
    uint64_t deferred;    /* parts that were deferred for its sake since it was first seen */
    bool held;            /* by an operator */
};

/* -ENOENT when the destination is not in the table. */
int admission_look(const struct admission *admission, const char *key, size_t key_length,
                   struct admission_view *view);

/* Parts in flight for longer than slow_after, the oldest first but for joint ones, of which the leaders come last. */
size_t admission_oldest(const struct admission *admission, unsigned *parts, size_t most);

/* The destinations with the longest queues, longest first; returns how many were filled in. */
size_t admission_longest(const struct admission *admission, struct admission_view *views,
                         size_t most);

/* The destinations whose deliveries have been running for the longest time, slowest first. */
size_t admission_slowest(const struct admission *admission, struct admission_view *views,
                         size_t most);

/* Those that were deferred for, or whose lane is slow or dead, most recently used first; of many only the first are looked at. */
size_t admission_troubled(const struct admission *admission, struct admission_view *views,
                          size_t most);

enum admission_nexthop_state {
    ADMISSION_NEXTHOP_UP,
    ADMISSION_NEXTHOP_SILENT, /* several deliveries hang, and nothing else is heard of it */
    ADMISSION_NEXTHOP_DOWN    /* no server is reached: its mail waits */
};

struct admission_nexthop {
    char name[ADMISSION_KEY];
    enum admission_nexthop_state state;
    int64_t since; /* that it does not answer */
    unsigned waiting;
    unsigned destinations;
    unsigned failures;      /* deliveries that reached no server, in a row */
    int64_t crowded_until;  /* it is for admission_limit() until then; ADMISSION_NEVER: it is not */
    unsigned crowded_limit; /* no more than these until then */
};

/* The next hop with this index, which it keeps; false: there are not so many. */
bool admission_nexthop(const struct admission *admission, unsigned index, int64_t now,
                       struct admission_nexthop *view);

/*
 * What is learned of a destination and worth to be kept over a restart; learned.h writes and reads it. Ages in us before
 * the moment of the call, ADMISSION_NEVER when it never happened.
 */
struct admission_memory {
    char key[ADMISSION_KEY];
    int64_t success_age;
    int64_t failure_age;
    int64_t answer_age;
    int64_t service;
    int64_t least; /* the least service time; 0: not known */
    unsigned window;
    bool hung; /* the last failure was a hang */
};

/* Walks the destinations of which anything is known, most recently used first: start with *cursor = 0; false at the end. No
 * other call may come between. */
bool admission_recall(const struct admission *admission, uint32_t *cursor, int64_t now,
                      struct admission_memory *memory);

/*
 * Takes a memory over, unless the destination is known already or the table is full. For the start; to be called in the
 * order of admission_recall(). -EINVAL when something in it is out of range.
 */
int admission_teach(struct admission *admission, const struct admission_memory *memory,
                    int64_t now);

#endif
