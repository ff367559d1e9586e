/*
 * From the view into the values of a snapshot.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/config/config_bound.h"
#include "supervisor/dispatcher/clients.h"
#include "supervisor/report/snapshot.h"

/* A monotonic time, by the wall clock. */
static int64_t wall_of(const struct status *status, const struct report_view *view, int64_t when)
{
    if (when == ADMISSION_NEVER)
        return 0;
    return status->written - ((int64_t)view->now - when);
}

static void collect_state(const struct report_view *view, struct status *status)
{
    const struct limit_reason *reason = &view->decision->reason;

    status_text(status->version, sizeof status->version, HEADROOM_VERSION);
    status_text(status->service, sizeof status->service, view->service);
    status->pid = (uint64_t)getpid();
    status->parent = (uint64_t)view->parent;
    status_text(status->state.name, sizeof status->state.name,
                limit_mode_name(view->decision->mode));
    status->state.since = wall_of(status, view, (int64_t)view->changed);
    status->state.limit = view->decision->limit;
    limit_reason_write(reason, status->state.reason, sizeof status->state.reason);
    status_text(status->state.key, sizeof status->state.key, reason->key);
    status->state.memory = reason->input != LIMIT_BY_GROWTH && reason->input != LIMIT_BY_MAX &&
                           reason->input != LIMIT_BY_FIXED;
    status->settings.dry_run = view->settings->stock;
    status->settings.workers_min = view->settings->min;
    status->settings.workers_max = view->settings->max;
    status_text(status->settings.workers_bound, sizeof status->settings.workers_bound,
                config_bound_word((enum config_bound)view->config->workers_bound));
    status->settings.fixed = view->settings->fixed;
    status->settings.waiting_max = view->room;
    status->settings.slow_after = view->config->destination_slow_after;
}

static void collect_figures(const struct report_view *view, struct status *status)
{
    const struct pool *pool = view->pool;
    struct admission_counters count;

    admission_count(view->admission, &count);
    status->workers.live = pool_live(pool);
    status->workers.starting = pool->count[WORKER_STARTING];
    status->workers.idle = pool->count[WORKER_IDLE];
    status->workers.connecting = pool->count[WORKER_CONNECTING];
    status->workers.busy = pool->count[WORKER_BUSY];
    status->workers.leaving = pool->count[WORKER_LEAVING];
    status->workers.most = view->most;
    status_text(status->workers.why, sizeof status->workers.why,
                view->why == SPAWN_START ? "" : spawn_text(view->why));
    status_text(status->workers.start, sizeof status->workers.start, view->start);
    status->workers.starting_since =
        view->starting == 0 ? 0 : wall_of(status, view, (int64_t)view->starting);
    status->requests.held = view->held;
    status->requests.waiting = view->waiting;
    status->requests.deferring = view->deferring;
    status->requests.hanging = count.hanging;
    status->waits.held = count.waits[ADMISSION_WAIT_HELD];
    status->waits.failing = count.waits[ADMISSION_WAIT_FAILING];
    status->waits.pace = count.waits[ADMISSION_WAIT_PACE];
    status->waits.number = count.waits[ADMISSION_WAIT_NUMBER];
    status->waits.window = count.waits[ADMISSION_WAIT_WINDOW];
    status->waits.unproven = count.waits[ADMISSION_WAIT_NEW];
    status->lanes.proven = count.lane[ADMISSION_PROVEN];
    status->lanes.first = count.lane[ADMISSION_FIRST];
    status->lanes.passed = count.lane[ADMISSION_PASSED];
    status->lanes.slow = count.lane[ADMISSION_SLOW];
    status->lanes.unknown = count.lane[ADMISSION_UNKNOWN];
    status->lanes.dead = count.lane[ADMISSION_DEAD];
    status->shares.proven = admission_share(ADMISSION_PROVEN, view->decision->limit);
    status->shares.first = admission_share(ADMISSION_FIRST, view->decision->limit);
    status->shares.passed = admission_share(ADMISSION_PASSED, view->decision->limit);
    status->shares.slow = admission_share(ADMISSION_SLOW, view->decision->limit);
    status->shares.unknown = admission_share(ADMISSION_UNKNOWN, view->decision->limit);
    status->shares.dead = admission_share(ADMISSION_DEAD, view->decision->limit);
    status->totals = *view->totals;
    status->faults.greeting_known = view->greeting_known;
    status->faults.failed_starts = pool->failures;
    status_text(status->faults.start_error, sizeof status->faults.start_error, view->start_error);
    status->faults.lines_lost = view->lines_lost;
    status->faults.queue_read_only = view->queue == -EROFS;
    status->faults.queue_full = view->queue == -ENOSPC;
}

static void collect_unlogged(const struct report_view *view, struct status *status)
{
    struct totals since = {0};

    if (view->logged)
        totals_add(&since, view->logged, view->totals);
    status->unlogged = totals_would(&since);
}

static void collect_memory(const struct report_view *view, struct status *status)
{
    const struct memory_sample *sample = view->sample;

    status_text(status->memory.mode, sizeof status->memory.mode, view->group_mode);
    status->memory.machine_known = sample->machine_known;
    status->memory.total = sample->total;
    status->memory.available = sample->available;
    status->memory.min_available = (uint64_t)limit_floor(view->settings, sample->total);
    status->memory.pool_known = sample->groups > 0 && sample->group[0].known;
    status->memory.working_set = sample->groups > 0 ? sample->group[0].working_set : 0;
    status->memory.limit = sample->groups > 0 ? sample->group[0].limit : STATUS_UNLIMITED;
    status->memory.footprint = (uint64_t)view->state->footprint;
    status->memory.oom_kills = sample->oom_kill;
    status->pressure.pool_known = sample->pool.known;
    status->pressure.pool_some = 100 * view->state->pool_some.fraction;
    status->pressure.pool_full = 100 * view->state->pool_full.fraction;
    status->pressure.machine_known = sample->machine.known;
    status->pressure.machine_some = 100 * view->state->machine_some.fraction;
    status->pressure.machine_full = 100 * view->state->machine_full.fraction;
    status->pressure.hold = 100 * view->settings->hold;
    status->pressure.target = 100 * view->settings->target;
    status->pressure.full = 100 * view->settings->full;
}

static void collect_minute(const struct snapshot *snapshot, const struct report_view *view,
                           struct status *status)
{
    unsigned oldest = snapshot->points < SNAPSHOT_POINTS ? 0 : snapshot->points % SNAPSHOT_POINTS;
    const struct snapshot_point *then = &snapshot->point[oldest];

    if (snapshot->points == 0)
        return;
    status->minute.span = view->now - then->time;
    status->minute.delivered = view->totals->delivered - then->totals.delivered;
    status->minute.failed = view->totals->failed - then->totals.failed;
    status->minute.deferred = view->totals->deferred - then->totals.deferred;
    status->minute.waiting = then->waiting;
    status->minute.limit = then->limit;
    status->minute.workers = then->workers;
    status->minute.pressure = then->pressure;
}

static void collect_nexthops(const struct report_view *view, struct status *status)
{
    struct admission_nexthop hop;

    status->nexthops = 0;
    for (unsigned i = 0; status->nexthops < STATUS_NEXTHOPS_MAX &&
                         admission_nexthop(view->admission, i, (int64_t)view->now, &hop);
         i++) {
        struct status_nexthop *to = &status->nexthop[status->nexthops];

        if (hop.state == ADMISSION_NEXTHOP_UP)
            continue;
        status_text(to->name, sizeof to->name, hop.name);
        status_text(to->state, sizeof to->state,
                    hop.state == ADMISSION_NEXTHOP_DOWN ? "down" : "silent");
        to->since = wall_of(status, view, hop.since);
        to->waiting = hop.waiting;
        to->destinations = hop.destinations;
        status->nexthops++;
    }
}

static struct status_destination *find(struct status *status, const char *name)
{
    for (size_t i = 0; i < status->destinations; i++)
        if (strcmp(status->destination[i].name, name) == 0)
            return &status->destination[i];
    return NULL;
}

static void collect_deliveries(const struct report_view *view, struct status *status)
{
    unsigned oldest[STATUS_DELIVERIES_MAX];
    size_t count = admission_oldest(view->admission, oldest, STATUS_DELIVERIES_MAX);

    for (size_t i = 0; i < count; i++) {
        const struct part *part = parts_look(view->parts, oldest[i]);
        const struct client *client = part->job->client;
        struct status_delivery *to = &status->delivery[i];

        status_text(to->id, sizeof to->id, client->bytes + client->request.queue_id.offset);
        status_text(to->destination, sizeof to->destination,
                    admission_key(view->admission, oldest[i]));
        to->pid = (uint64_t)fleet_pid(view->fleet, part->worker);
        to->since = wall_of(status, view, (int64_t)part->started);
        to->others = part->members;
    }
    status->deliveries = count;
}

static void collect_failure(const struct report_view *view, const struct status *status,
                            struct status_destination *to)
{
    const struct failure *failure = failures_find(view->failures, to->name);

    to->failures = 0;
    to->failing_since = to->failed = to->reason_time = 0;
    to->reason[0] = '\0';
    if (!failure)
        return;
    to->failures = failure->count;
    to->failing_since = wall_of(status, view, (int64_t)failure->first);
    to->failed = wall_of(status, view, (int64_t)failure->last);
    status_text(to->reason, sizeof to->reason, failure->text);
    if (failure->text_time != 0)
        to->reason_time = wall_of(status, view, (int64_t)failure->text_time);
}

/* Those that failed last, whatever their lanes: greylisting and a full mailbox make no destination slow or dead. */
static size_t failing(const struct report_view *view, struct admission_view *views, size_t most)
{
    const struct failure *failure = NULL;
    size_t found = 0;

    while (found < most && (failure = failures_newest(view->failures, failure)))
        if (admission_look(view->admission, failure->key, strlen(failure->key), &views[found]) == 0)
            found++;
    return found;
}

static void collect_destinations(struct snapshot *snapshot, const struct report_view *view)
{
    struct status *status = &snapshot->status;
    struct admission_view *found = snapshot->view;
    size_t count;

    count = admission_longest(view->admission, found, SNAPSHOT_LONGEST);
    count += admission_slowest(view->admission, found + count, SNAPSHOT_SLOWEST);
    count += admission_troubled(view->admission, found + count, SNAPSHOT_TROUBLED);
    count += failing(view, found + count, SNAPSHOT_FAILING);
    status->destinations = 0;
    for (size_t i = 0; i < count && status->destinations < STATUS_DESTINATIONS_MAX; i++) {
        struct status_destination *to = find(status, found[i].key);

        if (to) {
            if (found[i].oldest_start != ADMISSION_NEVER)
                to->oldest_start = wall_of(status, view, found[i].oldest_start);
            continue;
        }
        to = &status->destination[status->destinations];
        status_text(to->name, sizeof to->name, found[i].key);
        status_text(to->lane, sizeof to->lane, admission_lane_name(found[i].lane));
        to->since = wall_of(status, view, found[i].since);
        to->in_flight = found[i].in_flight;
        to->hanging = found[i].hanging;
        to->waiting = found[i].waiting;
        to->window = found[i].window;
        to->oldest_start = wall_of(status, view, found[i].oldest_start);
        to->service = (uint64_t)found[i].service;
        to->last_success = wall_of(status, view, found[i].last_success);
        to->last_failure = wall_of(status, view, found[i].last_failure);
        to->deferred = view->config->dry_run ? 0 : found[i].deferred;
        to->would_defer = view->config->dry_run ? found[i].deferred : 0;
        to->held = found[i].held;
        collect_failure(view, status, to);
        status->destinations++;
    }
}

void snapshot_collect(struct snapshot *snapshot, const struct report_view *view)
{
    struct status *status = &snapshot->status;

    status->format = STATUS_FORMAT;
    status->written = clock_wall();
    collect_state(view, status);
    collect_figures(view, status);
    collect_unlogged(view, status);
    collect_memory(view, status);
    collect_minute(snapshot, view, status);
    collect_nexthops(view, status);
    collect_deliveries(view, status);
    collect_destinations(snapshot, view);
}
