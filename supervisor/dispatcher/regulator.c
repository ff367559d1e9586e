#include "supervisor/dispatcher/regulator.h"

#include <errno.h>
#include <stdlib.h>

#include "supervisor/dispatcher/states.h"
#include "supervisor/journal/journal.h"

/* A pressure event repeats at most once a window; this is for one that does not. Microseconds. */
#define STEP_SOONEST 100000

struct regulator {
    struct regulator_config config;
    struct limit_state state;
    struct limit_decision decision;
    struct memory_sample sample;
    unsigned failed;
    bool group_gone;       /* the pool's group was removed, and is not there again */
    uint64_t oom_reported; /* oom_kill that was answered for */
    uint64_t stepped;
    uint64_t changed;
    uint64_t due;
    struct watch pressure[REGULATOR_TRIGGERS];
};

static void on_pressure(void *owner, int fd, uint32_t events);

int regulator_create(struct regulator **out, const struct regulator_config *config)
{
    struct regulator *regulator = calloc(1, sizeof *regulator);

    *out = regulator;
    if (!regulator)
        return -ENOMEM;
    regulator->config = *config;
    regulator->changed = config->loop->now;
    limit_init(&regulator->config.settings, &regulator->state);
    /* Ignores a trigger that epoll rejects (/dev/null over the file): steps still sample. */
    for (unsigned i = 0; i < REGULATOR_TRIGGERS; i++)
        if (config->trigger[i] >= 0)
            (void)watch_on(config->loop, &regulator->pressure[i], config->trigger[i], EPOLLPRI,
                           on_pressure, regulator);
    return 0;
}

void regulator_destroy(struct regulator *regulator)
{
    free(regulator);
}

void regulator_resume(struct regulator *regulator, unsigned limit)
{
    limit_resume(&regulator->config.settings, &regulator->state, limit);
}

uint64_t regulator_due(const struct regulator *regulator)
{
    return regulator->due;
}

/* The limit has promised this (promise 5); its decision is acted on as root would. */
static void check(const struct regulator *regulator, const struct limit_demand *demand)
{
    const struct limit_decision *decision = &regulator->decision;
    const struct limit_settings *settings = &regulator->config.settings;
    unsigned max = settings->max, most = settings->stock > 0 ? settings->stock : max;

    if (decision->limit < 1 || decision->limit > max || decision->start > most ||
        decision->retire > demand->idle)
        states_broken(regulator->config.journal, "limit", (int)decision->limit,
                      (int)decision->start);
}

/*
 * Anybody with the right to may remove the pool's group while it is empty. The parent makes it
 * again with the next worker; without that, limits would hold for nobody.
 */
static void group_look(struct regulator *regulator)
{
    const struct regulator_config *config = &regulator->config;

    if (regulator->sample.group[0].known || group_directory(config->group)[0] == '\0') {
        regulator->group_gone = false;
        return;
    }
    if (!regulator->group_gone && group_count_processes(config->group) == -ENODEV)
        journal_log(config->journal, EVENT_GROUP, LOG_WARNING, NULL, 0,
                    "memory group %s was removed by somebody else; it is made again with the next "
                    "worker",
                    group_directory(config->group));
    regulator->group_gone = true;
    if (memory_source_renew(config->memory, config->group))
        memory_source_read(config->memory, &regulator->sample);
    regulator->oom_reported = regulator->sample.oom_kill;
}

void regulator_step(struct regulator *regulator)
{
    const struct regulator_config *config = &regulator->config;
    struct limit_demand demand = config->demand(config->context);
    enum limit_mode before = regulator->decision.mode;

    memory_source_read(config->memory, &regulator->sample);
    group_look(regulator);
    if (config->would_limit > 0 && regulator->sample.group[0].limit > config->would_limit)
        regulator->sample.group[0].limit = config->would_limit;
    if (regulator->stepped == 0)
        regulator->oom_reported = regulator->sample.oom_kill;
    regulator->decision =
        limit_step(&config->settings, &regulator->state, &regulator->sample, &demand);
    regulator->failed = 0;
    regulator->stepped = config->loop->now;
    regulator->due = config->loop->now + (uint64_t)(1e6 * regulator->decision.next);
    check(regulator, &demand);
    if (regulator->decision.mode != before)
        regulator->changed = regulator->stepped;
    config->sink(config->context, before);
}

static void on_pressure(void *owner, int fd, uint32_t events)
{
    struct regulator *regulator = owner;

    if (events & EPOLLERR) {
        /* The group was removed: only the steps look from now on. */
        for (unsigned i = 0; i < REGULATOR_TRIGGERS; i++)
            if (regulator->pressure[i].on && regulator->pressure[i].fd == fd)
                watch_remove(regulator->config.loop, &regulator->pressure[i]);
        return;
    }
    if (regulator->config.loop->now - regulator->stepped >= STEP_SOONEST)
        regulator_step(regulator);
}

unsigned regulator_take(struct regulator *regulator, unsigned wanted)
{
    return limit_take(&regulator->state, wanted);
}

void regulator_ended(struct regulator *regulator, unsigned live)
{
    limit_ended(&regulator->state, live);
}

void regulator_failed(struct regulator *regulator)
{
    regulator->failed++;
}

bool regulator_oom_killed(struct regulator *regulator, char *figures, size_t size)
{
    struct memory_sample sample;

    memory_source_read(regulator->config.memory, &sample);
    if (!sample.events_known || sample.oom_kill <= regulator->oom_reported)
        return false;
    regulator->oom_reported++;
    limit_figures_write(&sample, figures, size);
    return true;
}

struct regulator_view regulator_view(const struct regulator *regulator)
{
    return (struct regulator_view){
        .settings = &regulator->config.settings,
        .state = &regulator->state,
        .decision = &regulator->decision,
        .sample = &regulator->sample,
        .stepped = regulator->stepped,
        .changed = regulator->changed,
        .failed = regulator->failed,
    };
}
