/*
 * How many: samples memory, asks the limit (supervisor/limit/limit.h), and acts on its decision.
 */

#include <errno.h>

#include "supervisor/dispatcher/dispatch.h"

/* A pressure event repeats at most once a window; this is for one that does not. Microseconds. */
#define STEP_SOONEST 100000

static uint64_t limit_bytes(uint64_t size, uint64_t word)
{
    return size == word ? LIMIT_AUTO : size;
}

static int on_step(sd_event_source *source, uint64_t when, void *userdata);
static void on_pressure(void *owner, int fd, uint32_t events);

int regulator_create(struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    const struct config *config = settings->config;
    struct regulator *regulator = &dispatcher->regulator;
    int result;

    regulator->settings = (struct limit_settings){
        .min = config->workers_min,
        .max = config->workers_max,
        .fixed = config->workers_limit == CONFIG_LIMIT_FIXED,
        .shared = group_mode(settings->group) == GROUP_OBSERVE,
        .min_available = limit_bytes(config->memory_min_available, CONFIG_SIZE_AUTO),
        .hold = config->pressure_hold / 100,
        .target = config->pressure_target / 100,
        .full = config->pressure_full / 100,
        .shed_after = (double)config->shed_after / 1e6,
    };
    regulator->strangers = group_adopted(settings->group);
    regulator->changed = dispatcher->now;
    limit_init(&regulator->settings, &regulator->state);
    result = sd_event_add_time_relative(dispatcher->event, &regulator->timer, CLOCK_MONOTONIC,
                                        UINT64_MAX / 2, 1000, on_step, dispatcher);
    /* What cannot be watched is no trigger (/dev/null in the place of the kernel's file, say): the tick looks all the same. */
    for (unsigned i = 0; i < DISPATCHER_TRIGGERS; i++)
        if (settings->trigger[i].descriptor >= 0)
            (void)watch_on(&dispatcher->watcher, &regulator->pressure[i],
                           settings->trigger[i].descriptor, EPOLLPRI, on_pressure, dispatcher);
    return result < 0 ? result : 0;
}

void regulator_destroy(struct dispatcher *dispatcher)
{
    sd_event_source_unref(dispatcher->regulator.timer);
}

/* Processes in the group that are not ours: a killed predecessor's workers, finishing. */
static unsigned strangers(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    unsigned ours = pool_live(&dispatcher->pool);
    int there;

    if (!regulator->strangers)
        return 0;
    there = group_count_processes(dispatcher->settings->group);
    if (there > 0 && (unsigned)there > ours)
        return (unsigned)there - ours;
    regulator->strangers = false;
    return 0;
}

struct limit_demand regulator_demand(struct dispatcher *dispatcher)
{
    const struct pool *pool = &dispatcher->pool;
    unsigned others = strangers(dispatcher);

    return (struct limit_demand){
        .live = pool_live(pool) + others,
        .strangers = others,
        .starting = pool->count[WORKER_STARTING],
        .busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING],
        .idle = pool->count[WORKER_IDLE],
        .waiting = dispatcher->waiting_count,
        .barred = dispatcher->waiting_count > 0 && parts_runnable(dispatcher) == 0,
        .failed = dispatcher->regulator.failed,
    };
}

/* The limit has promised this (promise 5); what it decides is acted on as root would. */
static void check(struct dispatcher *dispatcher, const struct limit_demand *demand)
{
    const struct regulator *regulator = &dispatcher->regulator;
    const struct limit_decision *decision = &regulator->decision;

    if (decision->limit < 1 || decision->limit > regulator->settings.max ||
        decision->start > regulator->settings.max || decision->retire > demand->idle)
        dispatcher_broken(dispatcher, "limit", (int)decision->limit, (int)decision->start);
}

static void changed(struct dispatcher *dispatcher, enum limit_mode before)
{
    dispatcher->regulator.changed = dispatcher->regulator.stepped;
    regulator_say_changed(dispatcher, before);
    snapshot_changed(dispatcher);
}

/*
 * Somebody has removed the pool's group, which anybody with the right may do while it is empty. The parent makes it again with
 * the next worker; without that our limits would hold for nobody.
 */
static void group_look(struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    struct regulator *regulator = &dispatcher->regulator;

    if (regulator->sample.group[0].known || group_directory(settings->group)[0] == '\0') {
        regulator->group_gone = false;
        return;
    }
    if (!regulator->group_gone && group_count_processes(settings->group) == -ENODEV)
        journal_log(dispatcher->journal, EVENT_GROUP, LOG_WARNING, NULL, 0,
                    "memory group %s was removed by somebody else; it is made again with the next "
                    "worker",
                    group_directory(settings->group));
    regulator->group_gone = true;
    if (memory_source_renew(settings->memory, settings->group))
        memory_source_read(settings->memory, &regulator->sample);
    regulator->oom_reported = regulator->sample.oom_kill;
}

void regulator_step(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    struct limit_demand demand = regulator_demand(dispatcher);
    enum limit_mode before = regulator->decision.mode;
    int number;

    memory_source_read(dispatcher->settings->memory, &regulator->sample);
    group_look(dispatcher);
    if (regulator->stepped == 0)
        regulator->oom_reported = regulator->sample.oom_kill;
    regulator->decision =
        limit_step(&regulator->settings, &regulator->state, &regulator->sample, &demand);
    regulator->failed = 0;
    regulator->stepped = dispatcher->now;
    check(dispatcher, &demand);
    if (regulator->decision.mode != before)
        changed(dispatcher, before);
    for (unsigned i = 0; i < regulator->decision.retire; i++)
        if ((number = pool_surplus(&dispatcher->pool, regulator->stepped)) != POOL_NONE)
            worker_retire(&dispatcher->worker[number]);
    regulator_say_if_due(dispatcher);
    /*
     * By the clock of now: this turn may have begun long ago (the process was stopped, or waited for memory), and a timer that
     * is always due keeps all else from its turn. Not relative: sd-event's own time is that of its last turn.
     */
    sd_event_source_set_time(regulator->timer,
                             dispatcher_clock() + (uint64_t)(1e6 * regulator->decision.next));
    sd_event_source_set_enabled(regulator->timer, SD_EVENT_ONESHOT);
}

/* The next step is due: in a second, or sooner while memory is short. */
static int on_step(sd_event_source *source, uint64_t when, void *userdata)
{
    struct dispatcher *dispatcher = userdata;

    (void)source;
    (void)when;
    regulator_step(dispatcher);
    return 0;
}

static void on_pressure(void *owner, int fd, uint32_t events)
{
    struct dispatcher *dispatcher = owner;
    struct regulator *regulator = &dispatcher->regulator;

    if (events & EPOLLERR) {
        /* The group was removed: from now on only the tick looks. */
        for (unsigned i = 0; i < DISPATCHER_TRIGGERS; i++)
            if (regulator->pressure[i].on && regulator->pressure[i].fd == fd)
                watch_remove(&dispatcher->watcher, &regulator->pressure[i]);
        return;
    }
    if (dispatcher->now - regulator->stepped >= STEP_SOONEST) {
        regulator_step(dispatcher);
        dispatcher_arm(dispatcher);
    }
}

unsigned regulator_limit(const struct dispatcher *dispatcher)
{
    return dispatcher->regulator.decision.limit;
}

unsigned regulator_take(struct dispatcher *dispatcher, unsigned wanted)
{
    return limit_take(&dispatcher->regulator.state, wanted);
}

void regulator_ended(struct dispatcher *dispatcher)
{
    limit_ended(&dispatcher->regulator.state, pool_live(&dispatcher->pool));
}

void regulator_failed(struct dispatcher *dispatcher)
{
    dispatcher->regulator.failed++;
}

bool regulator_oom_killed(struct dispatcher *dispatcher, char *figures, size_t size)
{
    struct regulator *regulator = &dispatcher->regulator;
    struct memory_sample sample;

    memory_source_read(dispatcher->settings->memory, &sample);
    if (!sample.events_known || sample.oom_kill <= regulator->oom_reported)
        return false;
    regulator->oom_reported++;
    regulator_say_figures(&sample, figures, size);
    return true;
}
