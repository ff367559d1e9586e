/*
 * How many: samples memory, asks the limit (supervisor/limit/limit.h), and acts on its decision.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/dispatch.h"

/* A pressure event repeats at most once a window; this is for one that does not. Microseconds. */
#define STEP_SOONEST 100000

/* A change is said at once when nothing was said for so long, else at the end of it: a limit that
 * goes to and fro does not fill the journal. Microseconds. */
#define CHANGE_SOONEST UINT64_C(10000000)
#define SUMMARY_EVERY UINT64_C(60000000)

static uint64_t limit_bytes(uint64_t size, uint64_t word)
{
    return size == word ? LIMIT_AUTO : size;
}

static int on_step(sd_event_source *source, uint64_t when, void *userdata);
static int on_pressure(sd_event_source *source, int fd, uint32_t events, void *userdata);

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
    limit_init(&regulator->settings, &regulator->state);
    result = sd_event_add_time_relative(dispatcher->event, &regulator->timer, CLOCK_MONOTONIC,
                                        UINT64_MAX / 2, 1000, on_step, dispatcher);
    for (unsigned i = 0; i < DISPATCHER_TRIGGERS && result >= 0; i++)
        if (settings->trigger[i].descriptor >= 0)
            result =
                sd_event_add_io(dispatcher->event, &regulator->pressure[i],
                                settings->trigger[i].descriptor, EPOLLPRI, on_pressure, dispatcher);
    return result < 0 ? result : 0;
}

void regulator_destroy(struct dispatcher *dispatcher)
{
    sd_event_source_unref(dispatcher->regulator.timer);
    for (unsigned i = 0; i < DISPATCHER_TRIGGERS; i++)
        sd_event_source_unref(dispatcher->regulator.pressure[i]);
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

static struct limit_demand demand_of(struct dispatcher *dispatcher)
{
    const struct pool *pool = &dispatcher->pool;

    return (struct limit_demand){
        .live = pool_live(pool) + strangers(dispatcher),
        .starting = pool->count[WORKER_STARTING],
        .busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING],
        .idle = pool->count[WORKER_IDLE],
        .waiting = dispatcher->waiting_count,
        .failed = dispatcher->regulator.failed,
    };
}

/* Something is meant by it only where it is the same input that binds: value and threshold in its unit. */
static void figure_write(const struct limit_reason *reason, double figure, char *text, size_t size)
{
    if (reason->input == LIMIT_BY_STALL || reason->input == LIMIT_BY_FULL)
        snprintf(text, size, "%.2f%%", 100 * figure);
    else
        snprintf(text, size, "%.0f", figure < 0 ? 0 : figure);
}

/* Whom most of the waiting mail is for; nothing unless journal.domains is true. */
static void longest_write(struct dispatcher *dispatcher, char *text, size_t size)
{
    struct admission_view view;

    text[0] = '\0';
    if (dispatcher->settings->config->journal_domains &&
        admission_longest(dispatcher->admission, &view, 1) == 1)
        snprintf(text, size, ", most of them for %s (%u)", view.key, view.waiting);
}

/* Back in OPEN: what the time since the last OPEN was like. */
static void totals_write(const struct dispatcher *dispatcher, char *text, size_t size)
{
    const struct regulator *regulator = &dispatcher->regulator;
    const struct dispatcher_totals *now = &dispatcher->totals, *then = &regulator->left_totals;

    text[0] = '\0';
    if (regulator->decision.mode == LIMIT_OPEN && regulator->left != 0)
        snprintf(text, size,
                 "; it was not open for %" PRIu64 " s: %" PRIu64 " delivered, %" PRIu64
                 " deferred by workers, %" PRIu64 " postponed (memory %" PRIu64 ", full %" PRIu64
                 ", slow %" PRIu64 "), %" PRIu64 " lost",
                 (dispatcher_now(dispatcher) - regulator->left) / 1000000,
                 now->delivered - then->delivered, now->deferred - then->deferred,
                 now->postponed - then->postponed,
                 now->postponed_for[DEFERRAL_MEMORY] - then->postponed_for[DEFERRAL_MEMORY],
                 now->postponed_for[DEFERRAL_FULL] - then->postponed_for[DEFERRAL_FULL],
                 now->postponed_for[DEFERRAL_SLOW] - then->postponed_for[DEFERRAL_SLOW],
                 now->lost - then->lost);
}

/* One line: the state, the figures, and which input bound. */
static void say(struct dispatcher *dispatcher, bool changed, uint64_t unsaid)
{
    struct regulator *regulator = &dispatcher->regulator;
    const struct limit_decision *decision = &regulator->decision;
    const struct limit_demand demand = demand_of(dispatcher);
    const struct memory_sample *sample = &regulator->sample;
    uint64_t postponed = dispatcher->totals.postponed - regulator->told_postponed;
    uint64_t now = dispatcher_now(dispatcher);
    double pool = regulator->state.pool_some.fraction;
    double machine = regulator->state.machine_some.fraction;
    char reason[256], value[32], threshold[32], pressure[32], longest[128], totals[320];

    limit_reason_write(&decision->reason, reason, sizeof reason);
    figure_write(&decision->reason, decision->reason.value, value, sizeof value);
    figure_write(&decision->reason, decision->reason.threshold, threshold, sizeof threshold);
    snprintf(pressure, sizeof pressure, "%.2f%%", 100 * (pool > machine ? pool : machine));
    longest_write(dispatcher, longest, sizeof longest);
    totals_write(dispatcher, totals, sizeof totals);
    journal_log(dispatcher->journal, changed ? EVENT_STATE : EVENT_SUMMARY,
                decision->mode == LIMIT_OPEN ? LOG_NOTICE : LOG_WARNING,
                (struct journal_field[]){
                    JOURNAL_TEXT("HEADROOM_STATE", limit_mode_name(decision->mode)),
                    JOURNAL_NUMBER("HEADROOM_LIMIT", decision->limit),
                    JOURNAL_NUMBER("HEADROOM_WORKERS", demand.live),
                    JOURNAL_NUMBER("HEADROOM_BUSY", demand.busy),
                    JOURNAL_NUMBER("HEADROOM_WAITING", demand.waiting),
                    JOURNAL_NUMBER("HEADROOM_POSTPONED", (int64_t)postponed),
                    JOURNAL_TEXT("HEADROOM_REASON", reason),
                    JOURNAL_TEXT("HEADROOM_VALUE", value),
                    JOURNAL_TEXT("HEADROOM_THRESHOLD", threshold),
                    JOURNAL_TEXT("HEADROOM_KEY", decision->reason.key),
                    JOURNAL_NUMBER("HEADROOM_AVAILABLE", (int64_t)sample->available),
                    JOURNAL_NUMBER("HEADROOM_WORKING_SET", (int64_t)sample->group[0].working_set),
                    JOURNAL_TEXT("HEADROOM_PRESSURE", pressure),
                    JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid),
                },
                14,
                "%s %s: %s; limit %u, %u workers, %u busy, %u waiting%s, %" PRIu64
                " postponed (%" PRIu64 " s in this state)%s",
                changed ? "now" : "still", limit_mode_name(decision->mode), reason, decision->limit,
                demand.live, demand.busy, demand.waiting, longest, postponed,
                (now - regulator->changed) / 1000000, totals);
    regulator->told = now;
    regulator->told_mode = decision->mode;
    regulator->told_postponed = dispatcher->totals.postponed;
    if (decision->mode == LIMIT_OPEN)
        regulator->left = 0;
}

/* A change is said when one was not said for a while; a limit that goes to and fro says five of them, then one a minute. */
static void say_if_due(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    uint64_t now = dispatcher_now(dispatcher);
    uint64_t since = now - regulator->told;
    uint64_t unsaid;

    if (regulator->decision.mode != regulator->told_mode) {
        if ((regulator->told == 0 || since >= CHANGE_SOONEST) &&
            journal_limit_happened(&regulator->change_lines, now, &unsaid)) {
            say(dispatcher, true, regulator->unsaid);
            regulator->unsaid = 0;
        }
    } else if (regulator->decision.mode != LIMIT_OPEN && since >= SUMMARY_EVERY) {
        say(dispatcher, false, regulator->unsaid);
        regulator->unsaid = 0;
    }
}

/* Counts what was not said of a change before this one, and where it led away from OPEN. */
static void change(struct dispatcher *dispatcher, enum limit_mode before)
{
    struct regulator *regulator = &dispatcher->regulator;

    if (before != regulator->told_mode)
        regulator->unsaid++;
    if (before == LIMIT_OPEN && regulator->left == 0) {
        regulator->left = regulator->stepped;
        regulator->left_totals = dispatcher->totals;
    }
    regulator->changed = regulator->stepped;
    snapshot_changed(dispatcher);
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

void regulator_step(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    struct limit_demand demand = demand_of(dispatcher);
    enum limit_mode before = regulator->decision.mode;
    int number;

    memory_source_read(dispatcher->settings->memory, &regulator->sample);
    if (regulator->stepped == 0)
        regulator->oom_reported = regulator->sample.oom_kill;
    regulator->decision =
        limit_step(&regulator->settings, &regulator->state, &regulator->sample, &demand);
    regulator->failed = 0;
    regulator->stepped = dispatcher_now(dispatcher);
    check(dispatcher, &demand);
    if (regulator->decision.mode != before)
        change(dispatcher, before);
    for (unsigned i = 0; i < regulator->decision.retire; i++)
        if ((number = pool_surplus(&dispatcher->pool, regulator->stepped)) != POOL_NONE)
            worker_retire(&dispatcher->worker[number]);
    say_if_due(dispatcher);
    sd_event_source_set_time_relative(regulator->timer, (uint64_t)(1e6 * regulator->decision.next));
    sd_event_source_set_enabled(regulator->timer, SD_EVENT_ONESHOT);
}

/* The next step is due: in a second, or sooner while memory is short. */
static int on_step(sd_event_source *source, uint64_t when, void *userdata)
{
    struct dispatcher *dispatcher = userdata;

    (void)source;
    (void)when;
    regulator_step(dispatcher);
    dispatcher_pump(dispatcher);
    return 0;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct dispatcher *dispatcher = userdata;

    (void)fd;
    /* The group was removed: from now on only the tick looks. */
    if (events & EPOLLERR)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (dispatcher_now(dispatcher) - dispatcher->regulator.stepped >= STEP_SOONEST)
        regulator_step(dispatcher);
    dispatcher_pump(dispatcher);
    return 0;
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

/* Where there is the least left: the group whose limit was met, or else the machine. */
static void figures_write(const struct memory_sample *sample, char *figures, size_t size)
{
    const double mib = 1048576.0;
    const struct memory_group *tight = NULL;

    for (unsigned i = 0; i < sample->groups; i++) {
        const struct memory_group *group = &sample->group[i];

        if (group->known && group->limit != MEMORY_UNLIMITED &&
            (!tight || (double)group->usage / (double)group->limit >
                           (double)tight->usage / (double)tight->limit))
            tight = group;
    }
    if (tight)
        snprintf(figures, size, "%s uses %.1fM of %.0fM now",
                 tight == &sample->group[0] ? "its memory group" : "a memory group above it",
                 (double)tight->usage / mib, (double)tight->limit / mib);
    else if (sample->machine_known)
        snprintf(figures, size, "the machine has %.0fM available now",
                 (double)sample->available / mib);
    else
        snprintf(figures, size, "by the kernel");
}

bool regulator_oom_killed(struct dispatcher *dispatcher, char *figures, size_t size)
{
    struct regulator *regulator = &dispatcher->regulator;
    struct memory_sample sample;

    memory_source_read(dispatcher->settings->memory, &sample);
    if (!sample.events_known || sample.oom_kill <= regulator->oom_reported)
        return false;
    regulator->oom_reported++;
    figures_write(&sample, figures, size);
    return true;
}
