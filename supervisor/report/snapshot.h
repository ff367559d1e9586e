#ifndef SUPERVISOR_REPORT_SNAPSHOT_H
#define SUPERVISOR_REPORT_SNAPSHOT_H

/*
 * What the two files of the snapshot share. Internal to them.
 */

#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/report/metrics.h"
#include "supervisor/report/status.h"

/* One a tick: what was a minute ago is the oldest. */
#define SNAPSHOT_POINTS 60

/* Destinations of each kind; one can be of several. */
#define SNAPSHOT_LONGEST 20
#define SNAPSHOT_SLOWEST 20
#define SNAPSHOT_TROUBLED 20

/* What has to differ for the file to be written before its time. */
#define SNAPSHOT_FIGURES (11 + WORKER_STATES)

struct snapshot_point {
    uint64_t time;
    struct dispatcher_totals totals;
    unsigned waiting;
    unsigned limit;
    unsigned workers;
    double pressure;
};

struct snapshot {
    struct status status; /* the changes stay in it */
    uint64_t figure[SNAPSHOT_FIGURES];
    uint64_t written;    /* monotonic, as the next two */
    uint64_t not_before; /* the disk is slow */
    uint64_t metrics;    /* when they were written last */
    unsigned
        points; /* [points % SNAPSHOT_POINTS] is the next place; never falls below that again */
    struct snapshot_point point[SNAPSHOT_POINTS];
    struct admission_view view[SNAPSHOT_LONGEST + SNAPSHOT_SLOWEST + SNAPSHOT_TROUBLED];
    char metrics_text[METRICS_TEXT_MAX];
};

/* Microseconds since 1970. */
int64_t snapshot_clock(void);

/* Fills in snapshot->status, but for the changes and the time of the start. */
void snapshot_collect(struct dispatcher *dispatcher);

#endif
