#ifndef SUPERVISOR_REPORT_SNAPSHOT_H
#define SUPERVISOR_REPORT_SNAPSHOT_H

/*
 * The snapshot of a service (report/status.h) in its file, and the metrics. Once a second when
 * something has changed the file in the state directory is replaced; the metrics, when they are
 * wanted, each ten seconds. The changes of state that a predecessor had in its file are kept.
 *
 * A disk that is full costs a line in the log; one that is slow is left alone for twenty times as
 * long as a write took. collect.c fills in the figures.
 *
 * DIAGNOSTICS: a file that cannot be written (EVENT_STATE_FILE), once for each cause, rate-limited.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/report/complaints.h"
#include "supervisor/report/metrics.h"
#include "supervisor/report/status.h"
#include "supervisor/report/view.h"

/* One a tick: the oldest tells what was a minute ago. */
#define SNAPSHOT_POINTS 60

/* Destinations of each kind; one can be of several. */
#define SNAPSHOT_LONGEST 20
#define SNAPSHOT_SLOWEST 20
#define SNAPSHOT_TROUBLED 20

/* What has to differ for the file to be written before its time. */
#define SNAPSHOT_FIGURES (TOTALS_COUNT + 4 + WORKER_STATES)

struct snapshot_point {
    uint64_t time;
    struct totals totals;
    unsigned waiting;
    unsigned limit;
    unsigned workers;
    double pressure;
};

struct snapshot {
    int directory;     /* descriptor of the state directory; not owned */
    const char *place; /* its name, for the log */
    struct complaints *complaints;
    int error;            /* why the file could not be written, which was said; 0: it could */
    struct status status; /* the changes stay in it */
    uint64_t figure[SNAPSHOT_FIGURES];
    uint64_t written;    /* monotonic, as the next two */
    uint64_t not_before; /* the disk is slow */
    uint64_t metrics;    /* when they were written last */
    unsigned points;     /* the next place is [points % SNAPSHOT_POINTS]; twice that at most */
    struct snapshot_point point[SNAPSHOT_POINTS];
    struct admission_view view[SNAPSHOT_LONGEST + SNAPSHOT_SLOWEST + SNAPSHOT_TROUBLED];
    char metrics_text[METRICS_TEXT_MAX];
    char text[STATUS_TEXT_MAX];
};

/* `directory` negative: nothing is kept. 0 or -ENOMEM; snapshot_destroy() is right in any case. */
int snapshot_create(struct snapshot **out, int directory, const char *place,
                    struct complaints *complaints);
void snapshot_destroy(struct snapshot *snapshot);

/* There was no state directory, and now there is. */
void snapshot_place(struct snapshot *snapshot, int directory);

/* The limit's state has changed: remembers it. */
void snapshot_changed(struct snapshot *snapshot, const struct report_view *view);

/* Once a second: replaces the files when it is time; in the end with `last`. */
void snapshot_tick(struct snapshot *snapshot, const struct report_view *view, bool last);

/* collect.c: fills in `status` from the view, but for the changes and the time of the start. */
void snapshot_collect(struct snapshot *snapshot, const struct report_view *view);

#endif
