/*
 * What a seed means.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/limits.h"
#include "tests/world/world.h"

const char *const trouble_names[TROUBLES] = {
    "memory short", "stall",         "fork fails", "exec fails", "workers die", "workers lie",
    "they sleep",   "retry gone",    "retry mute", "retry full", "retry lies",  "clients go",
    "clients lie",  "no descriptor", "no memory",  "queue ro",   "queue full",  "clock jumps",
    "date jumps",   "parent deaf",   "group gone", "held",
};

/* From the last trouble on: failed starts pause for 60 s, a greeting is waited for as long, a dead
 * destination holds its worker, and what waits for it is deferred by waiting.time. */
#define TO_RECOVER SECONDS(3000)
/* A delivery to five users of a dead destination: in a dry run all mail waits for it, as with stock. */
#define DELIVERY_MOST SECONDS(300)

bool troubled(enum trouble what)
{
    for (unsigned i = 0; i < world.plan.episodes; i++) {
        const struct episode *episode = &world.plan.episode[i];

        if (episode->what == what && world.now >= episode->begin && world.now < episode->end)
            return true;
    }
    return false;
}

bool strikes(enum trouble what, unsigned permille)
{
    return troubled(what) && chance(permille);
}

static void configure(struct plan *plan)
{
    struct config *config = &plan->config;

    config_defaults(config);
    config->workers_min = (uint32_t)draw_from(1, 2);
    config->workers_max = (uint32_t)draw_from(config->workers_min, chance(300) ? 3 : 12);
    config->workers_limit = chance(200) ? CONFIG_LIMIT_FIXED : CONFIG_LIMIT_MEMORY;
    config->workers_bound = chance(300) ? CONFIG_BOUND_COLUMN : CONFIG_BOUND_DEFAULT;
    /* A full room takes first mail for victims, too, of whom nothing is heard for slow_after. */
    config->waiting_max = plan->calm ? MAILS_MAX : (uint32_t)draw_from(1, chance(500) ? 20 : 60);
    config->waiting_time = SECONDS(draw_from(2, 120));
    config->destination_backlog = (uint32_t)draw_from(plan->calm ? 20 : 1, 30);
    config->destination_slow_after = SECONDS(draw_from(1, 6));
    config->destination_split = chance(800);
    if (chance(200))
        config->destination_key =
            chance(500) ? CONFIG_DESTINATION_NEXTHOP : CONFIG_DESTINATION_RECIPIENT;
    if (!plan->calm && chance(100))
        config->destination_pace = SECONDS(draw_from(0, 3));
    if (chance(200))
        config->shed_grace = SECONDS(draw_from(0, 8));
    snprintf(config->agent, sizeof config->agent, "lmtp");

    plan->postconf = (struct postconf){
        .hash_queue_depth = 1,
        .maximal_queue_lifetime = 5 * 24 * 3600,
        .default_destination_concurrency_limit = (int[]){0, 4, 20}[world.seed / 24 % 3],
        .bounce_queue_lifetime = 2 * 24 * 3600,
        .daemon_timeout = 18000,
        .ipc_timeout = 1000,
        .max_use = 100,
        .default_process_limit = 100,
    };
    strcpy(plan->postconf.queue_directory, "/queue");
    strcpy(plan->postconf.data_directory, "/data");
    strcpy(plan->postconf.daemon_directory, "/daemons");
    strcpy(plan->postconf.config_directory, "/config");
    plan->descriptors = (unsigned)draw_from(80, chance(500) ? 160 : 600);
    if (plan->calm)
        plan->descriptors = 600;
    if (chance(300))
        plan->limit = draw_from(24, 100) << 20;
    /* Not drawn: seeds stay what they were before there was a dry run. */
    config->dry_run = world.seed % 8 == 5;
    config->workers_stock = config->workers_max + (uint32_t)(world.seed / 8 % 3);
}

static void trouble(struct plan *plan)
{
    uint64_t length = plan->last_mail - BEGIN;

    plan->episodes = (unsigned)draw_from(1, EPISODES_MAX);
    for (unsigned i = 0; i < plan->episodes; i++) {
        struct episode *episode = &plan->episode[i];

        episode->what = (enum trouble)draw_below(TROUBLES);
        episode->begin = BEGIN + draw_below(length + SECONDS(20));
        episode->end = plan->ends
                           ? episode->begin + draw_below(length + SECONDS(chance(200) ? 120 : 30))
                           : NEVER;
        if (plan->ends && episode->end > plan->quiet_from)
            plan->quiet_from = episode->end;
    }
}

void plan_draw(struct plan *plan)
{
    *plan = (struct plan){.calm = chance(125)};
    plan->ends = plan->calm || chance(650);
    plan->local = chance(300);
    plan->stop = chance(300);
    configure(plan);
    plan->domains = (unsigned)draw_from(1, DOMAINS_MAX);
    for (unsigned i = 0; i < plan->domains; i++)
        plan->server[i] = plan->calm || chance(400) ? QUICK : (enum server)draw_below(SERVERS);
    plan->held = (unsigned)draw_below(plan->domains);
    if (!plan->calm && chance(200))
        plan->strangers = (unsigned)draw_from(1, plan->config.workers_max);
    plan->mails = (unsigned)draw_from(1, chance(300) ? MAILS_MAX : 20);
    plan->last_mail = BEGIN + draw_below(SECONDS(chance(300) ? 120 : 10)) + 1;
    plan->quiet_from = plan->last_mail;
    if (!plan->calm)
        trouble(plan);
    plan->end = plan->quiet_from + TO_RECOVER;
    if (plan->config.dry_run)
        plan->end += plan->mails * DELIVERY_MOST / plan->config.workers_max;
    if (!plan->ends)
        plan->end = plan->last_mail + draw_below(SECONDS(120));
}
