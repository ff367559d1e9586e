#ifndef SUPERVISOR_REPORT_SNAPSHOT_H
#define SUPERVISOR_REPORT_SNAPSHOT_H

/*
 * The files of a service's snapshot: STATUS_FILE (report/status.h) and the metrics. A tick replaces
 * STATUS_FILE when a figure has changed, at most once a second, at least each ten seconds; and the
 * metrics, if metrics.textfile is set, each ten seconds. The changes of state in a predecessor's
 * file are kept. snapshot.c decides when to write, collect.c fills in the figures.
 *
 * After a write that took more than 20 ms nothing is written for twenty times as long, up to a
 * minute: a slow disk must not slow down mail.
 *
 * DIAGNOSTICS: a file cannot be written: COMPLAINT_SNAPSHOT (once for each cause),
 * COMPLAINT_METRICS.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/report/complaints.h"
#include "supervisor/report/metrics.h"
#include "supervisor/report/status.h"
#include "supervisor/report/view.h"

/* One a tick: the oldest is a minute old. */
#define SNAPSHOT_POINTS 60

/* Destinations of each kind; a destination can be of several. */
#define SNAPSHOT_LONGEST 20
#define SNAPSHOT_SLOWEST 20
#define SNAPSHOT_TROUBLED 20
#define SNAPSHOT_FAILING 20

/* Figures whose change makes a write due. */
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
    const char *place; /* name of the directory, for the log */
    int word;          /* descriptor for report/status_word.h, not owned; -1: none */
    struct complaints *complaints;
    int error;                         /* of the last write of STATUS_FILE, logged; 0: none */
    struct status status;              /* changes and started are kept in it */
    uint64_t figure[SNAPSHOT_FIGURES]; /* at the last write */
    uint64_t written;                  /* time of the last write; us, monotonic, as the next two */
    uint64_t not_before;               /* nothing is written earlier: the disk is slow */
    uint64_t metrics;                  /* time of the last write of metrics */
    unsigned points; /* [points % SNAPSHOT_POINTS] is next; from SNAPSHOT_POINTS on all are taken */
    struct snapshot_point point[SNAPSHOT_POINTS];
    struct admission_view
        view[SNAPSHOT_LONGEST + SNAPSHOT_SLOWEST + SNAPSHOT_TROUBLED + SNAPSHOT_FAILING];
    char metrics_text[METRICS_TEXT_MAX];
    char text[STATUS_TEXT_MAX];
};

/*
 * With a negative `directory` only metrics are written. 0 or -ENOMEM; snapshot_destroy() is allowed
 * in any case.
 */
int snapshot_create(struct snapshot **out, int directory, const char *place, int word,
                    struct complaints *complaints);
void snapshot_destroy(struct snapshot *snapshot);

/* The state directory exists now, and did not before. */
void snapshot_place(struct snapshot *snapshot, int directory);

/* Keeps a change of the limit's mode, the newest STATUS_CHANGES_MAX of them. */
void snapshot_changed(struct snapshot *snapshot, const struct report_view *view);

/* Once a second: writes the files that are due; with `last`, STATUS_FILE in any case. */
void snapshot_tick(struct snapshot *snapshot, const struct report_view *view, bool last);

/* Fills in snapshot->status from the view, but for the changes and the time of the start. */
void snapshot_collect(struct snapshot *snapshot, const struct report_view *view);

#endif
