#ifndef SUPERVISOR_REPORT_STATUS_H
#define SUPERVISOR_REPORT_STATUS_H

/*
 * The snapshot of a service: what the dispatcher knows of itself, as plain values, and as JSON. The
 * dispatcher writes it into its state directory (report/snapshot.h), headroomctl reads it.
 *
 * status_write() and status_read() are inverse and pure: one table (status_table.c) names every
 * value once for both. A reader ignores names that it does not know; a value without a name is 0.
 *
 * Units: bytes; percent of time for stalls; microseconds since 1970 for points in time, 0 for
 * never; microseconds for durations. Numbers go up to 2^53, what a reader of JSON can hold.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/report/totals.h"

#define STATUS_FILE "status.json"

/* Raised when a name in the file changes its meaning. */
#define STATUS_FORMAT 2

/* Any snapshot fits; test_status.c writes the largest. */
#define STATUS_TEXT_MAX 131072

#define STATUS_CHANGES_MAX 50
#define STATUS_DESTINATIONS_MAX 40
#define STATUS_NEXTHOPS_MAX 8
#define STATUS_DELIVERIES_MAX 32
#define STATUS_WORD_SIZE 32
#define STATUS_NAME_SIZE 128   /* a service has at most 99 characters */
#define STATUS_REASON_SIZE 256 /* limit_reason_write() */
#define STATUS_KEY_SIZE 96     /* ADMISSION_KEY */
#define STATUS_ID_SIZE 65      /* QUEUE_ID_MAX */

#define STATUS_UNLIMITED UINT64_MAX

struct status_change {
    int64_t time;
    char state[STATUS_WORD_SIZE];
    char reason[STATUS_REASON_SIZE];
    uint64_t limit;
    uint64_t workers;
    uint64_t waiting;
};

/* A next hop that does not answer. */
struct status_nexthop {
    char name[STATUS_KEY_SIZE];
    char state[STATUS_WORD_SIZE]; /* down: no server is reached; silent: nothing is heard of it */
    int64_t since;
    uint64_t waiting;
    uint64_t destinations; /* that are known behind it */
};

struct status_destination {
    char name[STATUS_KEY_SIZE]; /* by destination.key: the recipient's domain, if nothing is set */
    char lane[STATUS_WORD_SIZE];
    int64_t since; /* in that lane */
    uint64_t in_flight;
    uint64_t hanging; /* in flight for longer than destination.slow_after */
    uint64_t waiting;
    uint64_t window;
    int64_t oldest_start; /* of the deliveries in flight */
    uint64_t service;     /* decaying mean of its deliveries, us */
    int64_t last_success;
    int64_t last_failure;
    uint64_t deferred;    /* by headroom, because the destination is slow or dead */
    uint64_t would_defer; /* that in a dry run */
    uint64_t failures;    /* deliveries, not counting those more than an hour before the next one */
    int64_t failing_since;
    int64_t failed;                  /* the last of them */
    char reason[STATUS_REASON_SIZE]; /* what the other side said last, or the agent: DSN and text */
    int64_t reason_time;
    bool held; /* by an operator */
};

/* A delivery that has been running for longer than destination.slow_after. */
struct status_delivery {
    char id[STATUS_ID_SIZE]; /* of the message in the queue */
    uint64_t pid;            /* of the agent */
    int64_t since;
    char destination[STATUS_KEY_SIZE];
    uint64_t others; /* destinations that went along with this one */
};

struct status {
    uint64_t format; /* STATUS_FORMAT */
    char version[STATUS_WORD_SIZE];
    char service[STATUS_NAME_SIZE];
    int64_t written;
    int64_t started;
    uint64_t pid;    /* of the dispatcher */
    uint64_t parent; /* whose other children are the workers */

    struct {
        char name[STATUS_WORD_SIZE]; /* OPEN, HOLD, SHRINK, SHED */
        int64_t since;
        uint64_t limit;
        char reason[STATUS_REASON_SIZE];
        char key[STATUS_NAME_SIZE]; /* of the configuration, that moves the threshold; or "" */
        bool memory;                /* memory or the kernel binds, not workers.max or demand */
    } state;

    struct {
        uint64_t dry_run; /* workers that stock would have at most; 0: this is no dry run */
        uint64_t workers_min;
        uint64_t workers_max;
        char workers_bound[STATUS_WORD_SIZE]; /* source of workers_max: config_bound_word() */
        bool fixed;                           /* workers.limit */
        uint64_t waiting_max;
        uint64_t slow_after; /* us */
    } settings;

    struct {
        uint64_t live;
        uint64_t starting;
        uint64_t idle;
        uint64_t connecting;
        uint64_t busy;
        uint64_t leaving;
        uint64_t most;                /* at a time, since the start */
        char why[STATUS_NAME_SIZE];   /* no more are started: a phrase of limit/spawn.h */
        char start[STATUS_NAME_SIZE]; /* how the last was: "forked", "executed: ...", or "" */
        int64_t starting_since;       /* the oldest start that waits for its greeting */
    } workers;

    struct {
        uint64_t held; /* connections of qmgr(8) */
        uint64_t waiting;
        uint64_t deferring; /* on their way to retry(8) */
        uint64_t hanging;   /* deliveries for longer than destination.slow_after */
    } requests;

    struct { /* of those that wait, by what their destinations wait for: enum admission_wait */
        uint64_t held;
        uint64_t failing;
        uint64_t pace;
        uint64_t number;
        uint64_t window;
        uint64_t unproven;
    } waits;

    struct { /* in flight, by lane (supervisor/admission/admission.h) */
        uint64_t proven;
        uint64_t first;
        uint64_t passed;
        uint64_t slow;
        uint64_t unknown;
        uint64_t dead;
    } lanes;

    struct { /* of the limit: a lane together with those below it in this order */
        uint64_t proven;
        uint64_t first;
        uint64_t passed;
        uint64_t slow;
        uint64_t unknown;
        uint64_t dead;
    } shares;

    struct totals totals; /* since the start */

    struct totals_would unlogged; /* of a dry run: what no line of the log has counted yet */

    struct { /* counts of the last `span` us, about a minute, and figures at their beginning */
        uint64_t span;
        uint64_t delivered;
        uint64_t failed;
        uint64_t deferred;
        uint64_t waiting;
        uint64_t limit;
        uint64_t workers;
        double pressure;
    } minute;

    struct {
        char mode[STATUS_WORD_SIZE]; /* unit, hybrid, observe */
        bool machine_known;
        uint64_t total;
        uint64_t available;
        uint64_t min_available;
        bool pool_known;
        uint64_t working_set; /* of the pool's group; in observe mode of Postfix's */
        uint64_t limit;       /* of that group, or STATUS_UNLIMITED */
        uint64_t footprint;   /* estimate of what one more worker needs */
        uint64_t oom_kills;
    } memory;

    struct {
        bool pool_known;
        double pool_some;
        double pool_full;
        bool machine_known;
        double machine_some;
        double machine_full;
        double hold;
        double target;
        double full;
    } pressure;

    struct {
        bool greeting_known; /* a worker has greeted: before, nothing is accepted */
        uint64_t failed_starts;
        char start_error[STATUS_REASON_SIZE];
        uint64_t lines_lost; /* of the journal */
        bool queue_read_only;
        bool queue_full; /* no space, or no inode */
    } faults;

    uint64_t nexthops; /* those that do not answer */
    struct status_nexthop nexthop[STATUS_NEXTHOPS_MAX];
    uint64_t deliveries; /* the oldest */
    struct status_delivery delivery[STATUS_DELIVERIES_MAX];
    uint64_t changes; /* newest first */
    struct status_change change[STATUS_CHANGES_MAX];
    uint64_t destinations; /* longest queues first, then the slowest, then others in trouble */
    struct status_destination destination[STATUS_DESTINATIONS_MAX];
};

/*
 * Writes one JSON object. Returns the length, or -ENOSPC (never with STATUS_TEXT_MAX). Control
 * characters in texts and bytes that are not UTF-8 become '?'; numbers above 2^53 become 2^53.
 */
int status_write(const struct status *status, char *text, size_t size);

/*
 * Reads a snapshot. Who wrote it need not be trusted: in texts '?' stands for what a terminal would
 * obey, as in status_write(), and for a word that is none of those that are known.
 *
 * -EINVAL: not JSON, or not a snapshot. -EPROTO: its format is not
 * STATUS_FORMAT; status->format has its number (0: from before formats had numbers). Else *status
 * is undefined after an error. Allocates (cJSON), and frees all of it.
 */
int status_read(const char *text, size_t length, struct status *status);

/* Percent of time in which a task waited for memory: of the pool or of the machine, the larger. */
static inline double status_pressure(const struct status *status)
{
    double pool = status->pressure.pool_some, machine = status->pressure.machine_some;

    return pool > machine ? pool : machine;
}

/* Copies a text into a field, cut at the end of a character. */
void status_text(char *field, size_t size, const char *text);

#endif
