/*
 * What is in the snapshot: from the dispatcher's parts into plain values.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/report/snapshot.h"

/* The wall clock's name for a moment of ours. */
static int64_t wall_of(const struct dispatcher *dispatcher, int64_t when)
{
    if (when == ADMISSION_NEVER)
        return 0;
    return dispatcher->snapshot->status.written - ((int64_t)dispatcher->now - when);
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
    status->state.since = wall_of(dispatcher, (int64_t)regulator->changed);
    status->state.limit = regulator->decision.limit;
    limit_reason_write(reason, status->state.reason, sizeof status->state.reason);
    status_text(status->state.key, sizeof status->state.key, reason->key);
    status->state.memory = reason->input != LIMIT_BY_GROWTH && reason->input != LIMIT_BY_MAX &&
                           reason->input != LIMIT_BY_FIXED;
    status->settings.workers_min = regulator->settings.min;
    status->settings.workers_max = regulator->settings.max;
    status->settings.fixed = regulator->settings.fixed;
    status->settings.waiting_max = room_bound(&dispatcher->room, 0);
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
    const struct snapshot_point *then =
        &snapshot
             ->point[snapshot->points < SNAPSHOT_POINTS ? 0 : snapshot->points % SNAPSHOT_POINTS];

    if (snapshot->points == 0)
        return;
    status->minute.span = dispatcher->now - then->time;
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

    count = admission_longest(dispatcher->admission, view, SNAPSHOT_LONGEST);
    count += admission_slowest(dispatcher->admission, view + count, SNAPSHOT_SLOWEST);
    count += admission_troubled(dispatcher->admission, view + count, SNAPSHOT_TROUBLED);
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

void snapshot_collect(struct dispatcher *dispatcher)
{
    struct status *status = &dispatcher->snapshot->status;

    status->written = snapshot_clock();
    collect_state(dispatcher, status);
    collect_figures(dispatcher, status);
    collect_memory(dispatcher, status);
    collect_minute(dispatcher, status);
    collect_destinations(dispatcher, status);
}
