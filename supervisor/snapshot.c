/*
 * The snapshot (supervisor/status/status.h): collects what the dispatcher knows, once a second when something has changed,
 * and replaces the file in its state directory; and likewise the metrics, when they are wanted.
 *
 * A disk that is full costs a line in the log; one that is slow is left alone for a hundred times as long as it took.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/dispatch.h"
#include "supervisor/status/metrics.h"
#include "supervisor/status/replace.h"
#include "supervisor/status/status.h"

/* Microseconds. */
#define WRITE_SOONEST UINT64_C(1000000)
#define WRITE_LATEST UINT64_C(10000000)
#define METRICS_SOONEST UINT64_C(10000000)
/* A write into memory takes a tenth of a millisecond. */
#define WRITE_SLOW UINT64_C(20000)
#define WRITE_SLOW_PAUSE 100

/* One a tick: what was a minute ago is the oldest. */
#define POINTS 60

/* Of each kind; a destination can be of several. */
#define LONGEST 20
#define SLOWEST 20
#define TROUBLED 20

struct point {
    uint64_t time;
    struct dispatcher_totals totals;
    unsigned waiting;
    unsigned limit;
    unsigned workers;
    double pressure;
};

/* What has to differ for the file to be written before its time. */
#define FIGURES (11 + WORKER_STATES)

struct snapshot {
    struct status status; /* the changes stay in it */
    uint64_t figure[FIGURES];
    uint64_t written;    /* monotonic */
    uint64_t not_before; /* the disk is slow */
    uint64_t metrics;    /* when they were written last */
    uint64_t taken;      /* the last point */
    unsigned points;     /* in all; [points % POINTS] is the next place */
    struct point point[POINTS];
    struct admission_view view[LONGEST + SLOWEST + TROUBLED];
    char metrics_text[METRICS_TEXT_MAX];
};

static int64_t wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* The wall clock's name for a moment of ours. */
static int64_t wall_of(const struct dispatcher *dispatcher, int64_t when)
{
    if (when == ADMISSION_NEVER)
        return 0;
    return dispatcher->snapshot->status.written - ((int64_t)dispatcher_now(dispatcher) - when);
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
        before->changes = 0;
}

int snapshot_create(struct dispatcher *dispatcher)
{
    struct snapshot *snapshot = dispatcher->snapshot = calloc(1, sizeof *snapshot);

    static_assert(sizeof dispatcher->scratch >= STATUS_TEXT_MAX, "the snapshot is written there");
    if (!snapshot)
        return -ENOMEM;
    load_changes(dispatcher);
    snapshot->status.started = wall_clock();
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
        .time = wall_clock(),
        .limit = decision->limit,
        .workers = pool_live(&dispatcher->pool),
        .waiting = dispatcher->waiting_count,
    };
    status_text(change->state, sizeof change->state, limit_mode_name(decision->mode));
    limit_reason_write(&decision->reason, change->reason, sizeof change->reason);
}

static void collect_state(const struct dispatcher *dispatcher, struct status *status)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    const struct regulator *regulator = &dispatcher->regulator;
    const struct limit_reason *reason = &regulator->decision.reason;

    status_text(status->version, sizeof status->version, HEADROOM_VERSION);
    status_text(status->service, sizeof status->service, settings->service);
    status->pid = (uint64_t)getpid();
    status->parent = (uint64_t)settings->parent;
    status_text(status->state.name, sizeof status->state.name,
                limit_mode_name(regulator->decision.mode));
    status->state.since = regulator->changed == 0
                              ? status->started
                              : wall_of(dispatcher, (int64_t)regulator->changed);
    status->state.limit = regulator->decision.limit;
    limit_reason_write(reason, status->state.reason, sizeof status->state.reason);
    status_text(status->state.key, sizeof status->state.key, reason->key);
    status->state.memory = reason->input != LIMIT_BY_GROWTH && reason->input != LIMIT_BY_MAX &&
                           reason->input != LIMIT_BY_FIXED;
    status->settings.workers_min = regulator->settings.min;
    status->settings.workers_max = regulator->settings.max;
    status->settings.fixed = regulator->settings.fixed;
    status->settings.waiting_max = settings->config->waiting_max;
    status->settings.slow_after = settings->config->destination_slow_after;
}

static void collect_figures(const struct dispatcher *dispatcher, struct status *status)
{
    const struct pool *pool = &dispatcher->pool;
    const struct dispatcher_totals *totals = &dispatcher->totals;
    struct admission_counters count;
    const struct part *part;

    admission_count(dispatcher->admission, &count);
    status->workers.live = pool_live(pool);
    status->workers.starting = pool->count[WORKER_STARTING];
    status->workers.idle = pool->count[WORKER_IDLE];
    status->workers.connecting = pool->count[WORKER_CONNECTING];
    status->workers.busy = pool->count[WORKER_BUSY];
    status->workers.releasing = pool->count[WORKER_RELEASING];
    status->workers.leaving = pool->count[WORKER_LEAVING];
    status->requests.held = dispatcher->clients;
    status->requests.waiting = dispatcher->waiting_count;
    status->requests.deferring = 0;
    TAILQ_FOREACH(part, &dispatcher->deferring, link)
    status->requests.deferring++;
    status->lanes.proven = count.lane[ADMISSION_PROVEN];
    status->lanes.first = count.lane[ADMISSION_FIRST];
    status->lanes.passed = count.lane[ADMISSION_PASSED];
    status->lanes.slow = count.lane[ADMISSION_SLOW];
    status->lanes.unknown = count.lane[ADMISSION_UNKNOWN];
    status->lanes.dead = count.lane[ADMISSION_DEAD];
    status->totals.requests = totals->requests;
    status->totals.delivered = totals->delivered;
    status->totals.deferred = totals->deferred;
    status->totals.lost = totals->lost;
    status->totals.postponed = totals->postponed;
    status->totals.postponed_memory = totals->postponed_for[DEFERRAL_MEMORY];
    status->totals.postponed_full = totals->postponed_for[DEFERRAL_FULL];
    status->totals.postponed_slow = totals->postponed_for[DEFERRAL_SLOW];
    status->totals.bare = totals->bare;
    status->totals.refused = totals->refused;
    status->totals.workers = totals->started;
    status->totals.most_workers = totals->most_live;
    status->faults.greeting_known = dispatcher->greeting_length > 0;
    status->faults.failed_starts = pool->failures;
    status_text(status->faults.start_error, sizeof status->faults.start_error,
                dispatcher->start_error != 0 ? strerror(abs(dispatcher->start_error)) : "");
    status->faults.lines_lost = dispatcher->journal ? journal_lost(dispatcher->journal) : 0;
}

static void collect_memory(const struct dispatcher *dispatcher, struct status *status)
{
    const struct regulator *regulator = &dispatcher->regulator;
    const struct memory_sample *sample = &regulator->sample;

    status_text(status->memory.mode, sizeof status->memory.mode,
                group_mode_name(group_mode(dispatcher->settings->group)));
    status->memory.machine_known = sample->machine_known;
    status->memory.total = sample->total;
    status->memory.available = sample->available;
    status->memory.min_available = (uint64_t)limit_floor(&regulator->settings, sample->total);
    status->memory.pool_known = sample->groups > 0 && sample->group[0].known;
    status->memory.working_set = sample->groups > 0 ? sample->group[0].working_set : 0;
    status->memory.limit = sample->groups > 0 ? sample->group[0].limit : STATUS_UNLIMITED;
    status->memory.footprint = (uint64_t)regulator->state.footprint;
    status->memory.oom_kills = sample->oom_kill;
    status->pressure.pool_known = sample->pool.known;
    status->pressure.pool_some = 100 * regulator->state.pool_some.fraction;
    status->pressure.pool_full = 100 * regulator->state.pool_full.fraction;
    status->pressure.machine_known = sample->machine.known;
    status->pressure.machine_some = 100 * regulator->state.machine_some.fraction;
    status->pressure.machine_full = 100 * regulator->state.machine_full.fraction;
    status->pressure.hold = 100 * regulator->settings.hold;
    status->pressure.target = 100 * regulator->settings.target;
    status->pressure.full = 100 * regulator->settings.full;
}

static void collect_minute(const struct dispatcher *dispatcher, struct status *status)
{
    const struct snapshot *snapshot = dispatcher->snapshot;
    const struct dispatcher_totals *totals = &dispatcher->totals;
    const struct point *then =
        &snapshot->point[snapshot->points < POINTS ? 0 : snapshot->points % POINTS];

    if (snapshot->points == 0)
        return;
    status->minute.span = dispatcher_now(dispatcher) - then->time;
    status->minute.delivered = totals->delivered - then->totals.delivered;
    status->minute.deferred = totals->deferred - then->totals.deferred;
    status->minute.postponed = totals->postponed - then->totals.postponed;
    status->minute.waiting = then->waiting;
    status->minute.limit = then->limit;
    status->minute.workers = then->workers;
    status->minute.pressure = then->pressure;
}

static struct status_destination *find(struct status *status, const char *name)
{
    for (size_t i = 0; i < status->destinations; i++)
        if (strcmp(status->destination[i].name, name) == 0)
            return &status->destination[i];
    return NULL;
}

static void collect_destinations(const struct dispatcher *dispatcher, struct status *status)
{
    struct admission_view *view = dispatcher->snapshot->view;
    size_t count;

    count = admission_longest(dispatcher->admission, view, LONGEST);
    count += admission_slowest(dispatcher->admission, view + count, SLOWEST);
    count += admission_troubled(dispatcher->admission, view + count, TROUBLED);
    status->destinations = 0;
    for (size_t i = 0; i < count && status->destinations < STATUS_DESTINATIONS_MAX; i++) {
        struct status_destination *to = find(status, view[i].key);

        if (to) {
            if (view[i].oldest_start != ADMISSION_NEVER)
                to->oldest_start = wall_of(dispatcher, view[i].oldest_start);
            continue;
        }
        to = &status->destination[status->destinations];
        status_text(to->name, sizeof to->name, view[i].key);
        status_text(to->lane, sizeof to->lane, admission_lane_name(view[i].lane));
        to->since = wall_of(dispatcher, view[i].since);
        to->in_flight = view[i].in_flight;
        to->hanging = view[i].hanging;
        to->waiting = view[i].waiting;
        to->window = view[i].window;
        to->oldest_start = wall_of(dispatcher, view[i].oldest_start);
        to->service = (uint64_t)view[i].service;
        to->last_success = wall_of(dispatcher, view[i].last_success);
        to->last_failure = wall_of(dispatcher, view[i].last_failure);
        to->deferred = view[i].deferred;
        status->destinations++;
    }
}

static void collect(struct dispatcher *dispatcher)
{
    struct status *status = &dispatcher->snapshot->status;

    status->written = wall_clock();
    collect_state(dispatcher, status);
    collect_figures(dispatcher, status);
    collect_memory(dispatcher, status);
    collect_minute(dispatcher, status);
    collect_destinations(dispatcher, status);
}

static void say_failure(struct dispatcher *dispatcher, struct journal_limit *limit,
                        const char *name, int error, const char *effect)
{
    uint64_t unsaid;

    if (journal_limit_happened(limit, dispatcher_now(dispatcher), &unsaid))
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
    uint64_t began = clock_now();
    int length = status_write(&snapshot->status, dispatcher->scratch, STATUS_TEXT_MAX);
    int result = length;
    uint64_t took;

    if (length >= 0)
        result = replace_file(dispatcher->settings->state_directory, STATUS_FILE,
                              STATUS_FILE ".new", 0600, dispatcher->scratch, (size_t)length);
    took = clock_now() - began;
    if (took > WRITE_SLOW)
        snapshot->not_before = began + took * WRITE_SLOW_PAUSE;
    if (result < 0)
        say_failure(dispatcher, &dispatcher->snapshot_lines, STATUS_FILE, result,
                    "headroomctl status shows an old state until it can");
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

static void figures_take(const struct dispatcher *dispatcher, uint64_t figure[FIGURES])
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

    snapshot->point[snapshot->points % POINTS] = (struct point){
        .time = now,
        .totals = dispatcher->totals,
        .waiting = dispatcher->waiting_count,
        .limit = dispatcher->regulator.decision.limit,
        .workers = pool_live(&dispatcher->pool),
        .pressure = pressure_now(dispatcher),
    };
    /* Stays in this range, so that it is known whether the ring is full. */
    snapshot->points = snapshot->points + 1 < 2 * POINTS ? snapshot->points + 1 : POINTS;
}

void snapshot_tick(struct dispatcher *dispatcher, bool last)
{
    struct snapshot *snapshot = dispatcher->snapshot;
    uint64_t now = dispatcher_now(dispatcher);
    uint64_t figure[FIGURES];
    bool changed;
    uint64_t age = now - snapshot->written;
    bool metrics = dispatcher->settings->config->metrics_textfile[0] != '\0' &&
                   now - snapshot->metrics >= METRICS_SOONEST;
    bool due;

    figures_take(dispatcher, figure);
    changed = memcmp(figure, snapshot->figure, sizeof figure) != 0;
    /* A tick that comes early by a little is a tick. */
    due = now >= snapshot->not_before &&
          (age >= WRITE_LATEST || (changed && age >= WRITE_SOONEST - WRITE_SOONEST / 10));

    if (metrics || due || last)
        collect(dispatcher);
    if (metrics || last)
        snapshot->metrics = now;
    if (metrics)
        write_metrics(dispatcher);
    if (due || last) {
        snapshot->written = now;
        memcpy(snapshot->figure, figure, sizeof figure);
        write_status(dispatcher);
    }
    take_point(dispatcher, now);
}
