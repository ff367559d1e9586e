#include "supervisor/report/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/file.h"
#include "supervisor/report/status_word.h"

/* Microseconds. */
#define WRITE_SOONEST UINT64_C(1000000)
#define WRITE_LATEST UINT64_C(10000000)
#define METRICS_SOONEST UINT64_C(10000000)
/* A write into the page cache takes 100 us. */
#define WRITE_SLOW UINT64_C(20000)
#define WRITE_SLOW_PAUSE 20 /* times as long as the write took */
#define WRITE_SLOW_LONGEST UINT64_C(60000000)

/* Takes over the changes of a predecessor, so that a reload does not lose them. */
static void load_changes(struct snapshot *snapshot)
{
    struct status *before = &snapshot->status;
    char *text = NULL;
    size_t length;
    int fd =
        openat(snapshot->directory, STATUS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    if (file_read(fd, STATUS_TEXT_MAX, &text, &length) < 0 || status_read(text, length, before) < 0)
        memset(before, 0, sizeof *before);
    free(text);
    close(fd);
    memset(before, 0, offsetof(struct status, changes));
    before->destinations = 0;
}

int snapshot_create(struct snapshot **out, int directory, const char *place, int word,
                    struct complaints *complaints)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    *out = snapshot;
    if (!snapshot)
        return -ENOMEM;
    snapshot->directory = directory;
    snapshot->place = place;
    snapshot->word = word;
    snapshot->complaints = complaints;
    load_changes(snapshot);
    snapshot->status.started = clock_wall();
    return 0;
}

void snapshot_destroy(struct snapshot *snapshot)
{
    free(snapshot);
}

void snapshot_place(struct snapshot *snapshot, int directory)
{
    snapshot->directory = directory;
}

void snapshot_changed(struct snapshot *snapshot, const struct report_view *view)
{
    const struct limit_decision *decision = view->decision;
    struct status *status = &snapshot->status;
    struct status_change *change = &status->change[0];

    memmove(change + 1, change, (STATUS_CHANGES_MAX - 1) * sizeof *change);
    if (status->changes < STATUS_CHANGES_MAX)
        status->changes++;
    *change = (struct status_change){
        .time = clock_wall(),
        .limit = decision->limit,
        .workers = pool_live(view->pool),
        .waiting = view->waiting,
    };
    status_text(change->state, sizeof change->state, limit_mode_name(decision->mode));
    limit_reason_write(&decision->reason, change->reason, sizeof change->reason);
}

static void write_status(struct snapshot *snapshot, uint64_t now)
{
    int length = status_write(&snapshot->status, snapshot->text, sizeof snapshot->text);
    int result = length;
    int before;

    if (length >= 0)
        result = file_replace(snapshot->directory, STATUS_FILE, STATUS_FILE ".new", 0600, false,
                              snapshot->text, (size_t)length);
    before = snapshot->error;
    snapshot->error = result < 0 ? result : 0;
    if (result < 0 && result != before)
        complain(snapshot->complaints, COMPLAINT_SNAPSHOT, now, NULL, 0,
                 "%s/" STATUS_FILE
                 " cannot be written: %s; headroomctl status shows an old state until it can%s",
                 snapshot->place, strerror(-result),
                 result == -ENOENT ? "; `postfix reload` makes the directory again" : "");
}

static void write_metrics(struct snapshot *snapshot, const struct report_view *view)
{
    char path[METRICS_PATH_MAX];
    char beside[METRICS_PATH_MAX];
    int result = metrics_paths(view->config->metrics_textfile, view->service, path, beside);
    int length = 0;

    if (result == 0)
        result = length =
            metrics_write(&snapshot->status, snapshot->metrics_text, METRICS_TEXT_MAX);
    if (length > 0)
        result = file_replace(AT_FDCWD, path, beside, 0644, false, snapshot->metrics_text,
                              (size_t)length);
    if (result < 0)
        complain(snapshot->complaints, COMPLAINT_METRICS, view->now, NULL, 0,
                 "%s cannot be written: %s; the directory of metrics.textfile must be writable by "
                 "Postfix's mail_owner",
                 path, strerror(-result));
}

static void figures_take(const struct report_view *view, uint64_t figure[SNAPSHOT_FIGURES])
{
    unsigned n = 0;

    while (n < TOTALS_COUNT) {
        figure[n] = totals_value(view->totals, n);
        n++;
    }
    figure[n++] = view->waiting;
    figure[n++] = view->held;
    figure[n++] = view->decision->limit;
    figure[n++] = view->decision->mode;
    for (unsigned i = 0; i < WORKER_STATES; i++)
        figure[n++] = view->pool->count[i];
}

static void take_point(struct snapshot *snapshot, const struct report_view *view)
{
    snapshot->point[snapshot->points % SNAPSHOT_POINTS] = (struct snapshot_point){
        .time = view->now,
        .totals = *view->totals,
        .waiting = view->waiting,
        .limit = view->decision->limit,
        .workers = pool_live(view->pool),
        .pressure = report_pressure(view),
    };
    /* From SNAPSHOT_POINTS on the ring is full: the number must not fall below. */
    snapshot->points =
        snapshot->points + 1 < 2 * SNAPSHOT_POINTS ? snapshot->points + 1 : SNAPSHOT_POINTS;
}

static void write_files(struct snapshot *snapshot, const struct report_view *view, bool status,
                        bool metrics)
{
    /* For who acts on it: a dry run turns no mail away. */
    enum limit_mode mode = view->config->dry_run ? LIMIT_OPEN : view->decision->mode;
    uint64_t began = clock_monotonic();
    uint64_t took;

    snapshot_collect(snapshot, view);
    if (metrics)
        write_metrics(snapshot, view);
    if (status)
        write_status(snapshot, view->now);
    /* That it cannot be written lets mail pass: its age says so. */
    if (snapshot->word >= 0)
        (void)status_word_write(snapshot->word, limit_mode_name(mode), clock_wall());
    if (snapshot->word >= 0 && view->config->status_public)
        (void)status_public_write(snapshot->word, &snapshot->status);
    took = clock_monotonic() - began;
    if (took * WRITE_SLOW_PAUSE > WRITE_SLOW_LONGEST)
        took = WRITE_SLOW_LONGEST / WRITE_SLOW_PAUSE;
    if (took > WRITE_SLOW)
        snapshot->not_before = began + took * WRITE_SLOW_PAUSE;
}

void snapshot_tick(struct snapshot *snapshot, const struct report_view *view, bool last)
{
    uint64_t now = view->now;
    uint64_t figure[SNAPSHOT_FIGURES];
    uint64_t age = now - snapshot->written;
    bool metrics =
        view->config->metrics_textfile[0] != '\0' && now - snapshot->metrics >= METRICS_SOONEST;
    bool changed, due;

    figures_take(view, figure);
    changed = memcmp(figure, snapshot->figure, sizeof figure) != 0;
    /* A tick may come early by a little. */
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
        write_files(snapshot, view, due && snapshot->directory >= 0, metrics);
    take_point(snapshot, view);
}
