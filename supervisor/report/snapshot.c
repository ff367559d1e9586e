/*
 * The snapshot (supervisor/report/status.h): once a second when something has changed, the file in the
 * state directory is replaced; and likewise the metrics, when they are wanted. snapshot_collect.c collects what is in it.
 *
 * A disk that is full costs a line in the log; one that is slow is left alone for twenty times as long as it took.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/file.h"
#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/report/metrics.h"
#include "supervisor/report/snapshot.h"
#include "supervisor/report/status.h"

/* Microseconds. */
#define WRITE_SOONEST UINT64_C(1000000)
#define WRITE_LATEST UINT64_C(10000000)
#define METRICS_SOONEST UINT64_C(10000000)
/* A write into memory takes a tenth of a millisecond. */
#define WRITE_SLOW UINT64_C(20000)
#define WRITE_SLOW_PAUSE 20
#define WRITE_SLOW_LONGEST UINT64_C(60000000)

int64_t snapshot_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Percent of time in which some task waited for memory, in the pool or on the machine. */
static double pressure_now(const struct dispatcher *dispatcher)
{
    const struct limit_state *state = &dispatcher->regulator.state;

    return 100 * larger(state->pool_some.fraction, state->machine_some.fraction);
}

/* The changes of those before us are kept: a reload is no reason to forget them. */
static void load_changes(struct dispatcher *dispatcher)
{
    struct snapshot *snapshot = dispatcher->snapshot;
    int fd = openat(dispatcher->settings->state_directory, STATUS_FILE,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat found;
    ssize_t length = -1;
    struct status *before = &snapshot->status;

    if (fd < 0)
        return;
    if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode))
        length = read(fd, dispatcher->scratch, sizeof dispatcher->scratch);
    close(fd);
    if (length <= 0 || status_read(dispatcher->scratch, (size_t)length, before) < 0)
        memset(before, 0, sizeof *before);
    memset(before, 0, offsetof(struct status, changes));
    before->destinations = 0;
}

int snapshot_create(struct dispatcher *dispatcher)
{
    struct snapshot *snapshot = dispatcher->snapshot = calloc(1, sizeof *snapshot);

    static_assert(sizeof dispatcher->scratch >= STATUS_TEXT_MAX, "the snapshot is written there");
    if (!snapshot)
        return -ENOMEM;
    load_changes(dispatcher);
    snapshot->status.started = snapshot_clock();
    return 0;
}

void snapshot_destroy(struct dispatcher *dispatcher)
{
    free(dispatcher->snapshot);
}

void snapshot_changed(struct dispatcher *dispatcher)
{
    const struct limit_decision *decision = &dispatcher->regulator.decision;
    struct status *status = &dispatcher->snapshot->status;
    struct status_change *change = &status->change[0];

    memmove(change + 1, change, (STATUS_CHANGES_MAX - 1) * sizeof *change);
    if (status->changes < STATUS_CHANGES_MAX)
        status->changes++;
    *change = (struct status_change){
        .time = snapshot_clock(),
        .limit = decision->limit,
        .workers = pool_live(&dispatcher->pool),
        .waiting = dispatcher->waiting_count,
    };
    status_text(change->state, sizeof change->state, limit_mode_name(decision->mode));
    limit_reason_write(&decision->reason, change->reason, sizeof change->reason);
}

static void say_failure(struct dispatcher *dispatcher, struct journal_limit *limit,
                        const char *name, int error, const char *effect)
{
    uint64_t unsaid;

    if (journal_limit_happened(limit, dispatcher->now, &unsaid))
        journal_log(dispatcher->journal, EVENT_STATE_FILE, LOG_WARNING,
                    (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                    "%s cannot be written: %s; %s", name, strerror(-error), effect);
}

/* How long a write took; the clock of the loop stands still meanwhile. */
static uint64_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void write_status(struct dispatcher *dispatcher)
{
    struct snapshot *snapshot = dispatcher->snapshot;
    char path[PATH_MAX + STATUS_NAME_SIZE + 32];
    int length = status_write(&snapshot->status, dispatcher->scratch, STATUS_TEXT_MAX);
    int result = length;

    if (length >= 0)
        result = replace_file(dispatcher->settings->state_directory, STATUS_FILE,
                              STATUS_FILE ".new", 0600, dispatcher->scratch, (size_t)length);
    if (result < 0) {
        snprintf(path, sizeof path, "%s/headroom.%s/" STATUS_FILE,
                 dispatcher->settings->postconf->data_directory, dispatcher->settings->service);
        say_failure(dispatcher, &dispatcher->snapshot_lines, path, result,
                    "headroomctl status shows an old state until it can");
    }
}

static void write_metrics(struct dispatcher *dispatcher)
{
    struct snapshot *snapshot = dispatcher->snapshot;
    const struct dispatcher_settings *settings = dispatcher->settings;
    char path[METRICS_PATH_MAX];
    char beside[METRICS_PATH_MAX];
    int result = metrics_paths(settings->config->metrics_textfile, settings->service, path, beside);
    int length = 0;

    if (result == 0)
        result = length =
            metrics_write(&snapshot->status, snapshot->metrics_text, METRICS_TEXT_MAX);
    if (length > 0)
        result = replace_file(AT_FDCWD, path, beside, 0644, snapshot->metrics_text, (size_t)length);
    if (result < 0)
        say_failure(dispatcher, &dispatcher->metrics_lines, path, result,
                    "the directory of metrics.textfile must be writable by Postfix's mail_owner");
}

static void figures_take(const struct dispatcher *dispatcher, uint64_t figure[SNAPSHOT_FIGURES])
{
    const struct dispatcher_totals *totals = &dispatcher->totals;

    figure[0] = totals->requests;
    figure[1] = totals->delivered;
    figure[2] = totals->deferred;
    figure[3] = totals->lost;
    figure[4] = totals->postponed;
    figure[5] = totals->refused;
    figure[6] = totals->started;
    figure[7] = dispatcher->waiting_count;
    figure[8] = dispatcher->clients;
    figure[9] = dispatcher->regulator.decision.limit;
    figure[10] = dispatcher->regulator.decision.mode;
    for (unsigned i = 0; i < WORKER_STATES; i++)
        figure[11 + i] = dispatcher->pool.count[i];
}

static void take_point(struct dispatcher *dispatcher, uint64_t now)
{
    struct snapshot *snapshot = dispatcher->snapshot;

    snapshot->point[snapshot->points % SNAPSHOT_POINTS] = (struct snapshot_point){
        .time = now,
        .totals = dispatcher->totals,
        .waiting = dispatcher->waiting_count,
        .limit = dispatcher->regulator.decision.limit,
        .workers = pool_live(&dispatcher->pool),
        .pressure = pressure_now(dispatcher),
    };
    /* Stays in this range, so that it is known whether the ring is full. */
    snapshot->points =
        snapshot->points + 1 < 2 * SNAPSHOT_POINTS ? snapshot->points + 1 : SNAPSHOT_POINTS;
}

static void write_files(struct dispatcher *dispatcher, bool status, bool metrics)
{
    uint64_t began = clock_now();
    uint64_t took;

    snapshot_collect(dispatcher);
    if (metrics)
        write_metrics(dispatcher);
    if (status)
        write_status(dispatcher);
    took = clock_now() - began;
    if (took * WRITE_SLOW_PAUSE > WRITE_SLOW_LONGEST)
        took = WRITE_SLOW_LONGEST / WRITE_SLOW_PAUSE;
    if (took > WRITE_SLOW)
        dispatcher->snapshot->not_before = began + took * WRITE_SLOW_PAUSE;
}

void snapshot_tick(struct dispatcher *dispatcher, bool last)
{
    struct snapshot *snapshot = dispatcher->snapshot;
    uint64_t now = dispatcher->now;
    uint64_t figure[SNAPSHOT_FIGURES];
    bool changed;
    uint64_t age = now - snapshot->written;
    bool metrics = dispatcher->settings->config->metrics_textfile[0] != '\0' &&
                   now - snapshot->metrics >= METRICS_SOONEST;
    bool due;

    figures_take(dispatcher, figure);
    changed = memcmp(figure, snapshot->figure, sizeof figure) != 0;
    /* A tick that comes early by a little is a tick. */
    due = age >= WRITE_LATEST || (changed && age >= WRITE_SOONEST - WRITE_SOONEST / 10);

    if (now < snapshot->not_before)
        due = metrics = false;
    else if (last)
        due = true;
    if (metrics)
        snapshot->metrics = now;
    if (due) {
        snapshot->written = now;
        memcpy(snapshot->figure, figure, sizeof figure);
    }
    if (due || metrics)
        write_files(dispatcher, due, metrics);
    take_point(dispatcher, now);
}
