#include "supervisor/dispatcher/dispatcher_modules.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "agents/master.h"
#include "supervisor/limits.h"

static int admission_start(struct router *router)
{
    const struct config *config = router->config;
    struct admission_settings settings;

    admission_defaults(&settings);
    settings.slow_after = (int64_t)config->destination_slow_after;
    settings.waiting_time = (int64_t)config->waiting_time;
    settings.waiting_most = router->postconf->daemon_timeout * INT64_C(1000000) / 2;
    settings.backlog = config->destination_backlog;
    /* Where somebody chose a number, for Postfix or for us, so many are started. */
    if (config->workers_limit == CONFIG_LIMIT_FIXED ||
        config->workers_bound == CONFIG_BOUND_COLUMN ||
        config->workers_bound == CONFIG_BOUND_PROCESS_LIMIT)
        settings.stock = config->workers_max;
    if (getrandom(settings.seed, sizeof settings.seed, 0) != (ssize_t)sizeof settings.seed)
        return -EIO;
    router->admission = admission_create(&settings, parts_size(router->parts), DESTINATIONS_MAX);
    return router->admission ? 0 : -ENOMEM;
}

/* NOLINTNEXTLINE(misc-redundant-expression): they are the same, and must be. */
_Static_assert(LIMIT_AUTO == CONFIG_SIZE_AUTO, "memory.min_available is handed on as it is");

static struct limit_settings limit_settings_of(const struct config *config, bool shared)
{
    const unsigned most = config_workers(config);

    return (struct limit_settings){
        .min = config->workers_min,
        .max = config->workers_max < most ? config->workers_max : most,
        .stock = config->dry_run ? most : 0,
        .fixed = config->workers_limit == CONFIG_LIMIT_FIXED,
        .shared = shared,
        .min_available = config->memory_min_available,
        .hold = config->pressure_hold / 100,
        .target = config->pressure_target / 100,
        .full = config->pressure_full / 100,
        .shed_after = (double)config->shed_after / 1e6,
    };
}

/* The kernel would kill at these, and stock has none: in a dry run they only count. */
static uint64_t would_limit(const struct config *config, const struct pool_group *group)
{
    if (!config->dry_run || group_mode(group) == GROUP_OBSERVE)
        return 0;
    return config->memory_limit < config->memory_high ? config->memory_limit : config->memory_high;
}

int dispatcher_modules_create(struct router *router, const struct dispatcher_settings *settings,
                              struct sockets *sockets)
{
    const struct config *config = router->config;
    const struct postconf *postconf = router->postconf;
    const struct clients_config clients = {
        .loop = router->loop,
        .budget = router->budget,
        .complaints = router->complaints,
        .totals = router->totals,
        .queue_directory = settings->queue_directory,
        .hash_queue_names = postconf->hash_queue_names,
        .hash_queue_depth = (unsigned)postconf->hash_queue_depth,
        .timeout = (uint64_t)postconf->ipc_timeout * 1000000,
        .socket = MASTER_LISTEN_FD,
        .sockets = settings->sockets,
        .status = MASTER_STATUS_FD,
        .pid = settings->parent,
        .generation = settings->generation,
        .sink = router_on_client,
        .context = router,
    };
    const struct fleet_config fleet = {
        .loop = router->loop,
        .budget = router->budget,
        .complaints = router->complaints,
        .totals = router->totals,
        .channel = settings->channel,
        .min = config->workers_min,
        .max = config_workers(config),
        .agent = config->agent,
        .directory = postconf->daemon_directory,
        .sockets = sockets,
        .sink = router_on_fleet,
        .context = router,
    };
    struct retry_config retry = {
        .loop = router->loop,
        .budget = router->budget,
        .complaints = router->complaints,
        .queue_directory = settings->queue_directory,
        .still = router_still,
        .prepare = router_prepare,
        .sink = router_on_retry,
        .context = router,
    };
    const struct regulator_config regulator = {
        .loop = router->loop,
        .journal = router->journal,
        .settings = limit_settings_of(config, group_mode(settings->group) == GROUP_OBSERVE),
        .group = settings->group,
        .would_limit = would_limit(config, settings->group),
        .memory = settings->memory,
        .trigger = {settings->trigger[0].descriptor, settings->trigger[1].descriptor},
        .demand = router_demand,
        .sink = router_on_step,
        .context = router,
    };
    int result = clients_create(&router->clients, &clients);

    router->service = settings->service;
    router->queue_directory = settings->queue_directory;
    router->failures = calloc(1, sizeof *router->failures);
    if (result == 0 && !router->failures)
        result = -ENOMEM;
    if (result == 0)
        result = parts_create(&router->parts, router->budget, router->journal,
                              config->waiting_max * PARTS_EXTRA);
    if (result == 0)
        result = admission_start(router);
    if (result == 0)
        result = fleet_create(&router->fleet, &fleet);
    if (result == 0) {
        retry.size = parts_size(router->parts);
        result = retry_create(&router->retry, &retry);
    }
    if (result == 0)
        result = regulator_create(&router->regulator, &regulator);
    if (result == 0)
        router_holds(router);
    return result;
}

void dispatcher_modules_destroy(struct router *router)
{
    strangers_destroy(&router->strangers);
    free(router->failures);
    regulator_destroy(router->regulator);
    retry_destroy(router->retry);
    fleet_destroy(router->fleet);
    admission_destroy(router->admission);
    parts_destroy(router->parts);
    clients_destroy(router->clients);
    if (router->schedstat >= 0)
        close(router->schedstat);
}

static unsigned victims(const struct router *router)
{
    struct admission_counters counters;

    admission_count(router->admission, &counters);
    return counters.victims;
}

struct report_view dispatcher_view(const struct router *router,
                                   const struct dispatcher_settings *settings)
{
    const struct regulator_view regulator = regulator_view(router->regulator);
    const struct fleet_view fleet = fleet_view(router->fleet);
    return (struct report_view){
        .now = router->loop->now,
        .service = settings->service,
        .config = settings->config,
        .parent = settings->parent,
        .group_mode = group_mode_name(group_mode(settings->group)),
        .totals = router->totals,
        .failures = router->failures,
        .settings = regulator.settings,
        .state = regulator.state,
        .decision = regulator.decision,
        .sample = regulator.sample,
        .changed = regulator.changed,
        .demand = router_demand(router),
        .admission = router->admission,
        .pool = fleet.pool,
        .fleet = router->fleet,
        .parts = router->parts,
        .most = fleet.most,
        .held = clients_view(router->clients).held,
        .room = room_bound(&router->room, 0),
        .waiting = parts_view(router->parts).waiting,
        .deferring = retry_pending(router->retry) + victims(router),
        .greeting_known = fleet.greeting_length > 0,
        .start = fleet.start,
        .start_error = fleet.start_error,
        .starting = fleet_starting_since(router->fleet),
        .why = router->spawn.why,
        .queue = router->queue,
        .lines_lost = router->journal ? journal_lost(router->journal) : 0,
    };
}
